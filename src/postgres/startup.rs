//! How a session of ours begins, what brings it back there, and how it is told from every other one.
//!
//! A pooler that hands out one server session after another would take the migration lock on one and run
//! the script on the next. So a session begins with a random mark in a setting of our own, and every Query
//! of ours first asks for it: whoever answers without the mark is another session. On the way to the server
//! itself the mark travels in the start-up packet, where a pooler that hands out sessions it has already
//! cannot pass it on ([decision 0012](../../docs/adr/0012-a-mark-in-the-start-up-packet.md)).

use std::time::Duration;

use uuid::Uuid;

use super::quote::literal;
use super::session::{self, OWN_SEARCH_PATH};
use super::settings::{Pooler, Settings};

/// The setting that holds the mark. The server takes a name with a dot from everybody.
const MARK: &str = "schemaward.session";

/// The settings that a session starts with.
#[derive(Debug, Clone)]
pub struct Startup {
    /// Name and value, the mark included.
    settings: Vec<(&'static str, String)>,
    mark: String,
    pooler: Pooler,
    has_transaction_timeout: bool,
}

impl Startup {
    /// A new session's, with a mark that no other one has.
    pub fn new(settings: &Settings) -> Self {
        // Half of it is random enough, and leaves the more of a script to read in `pg_stat_activity`.
        let (mark, _) = Uuid::new_v4().as_u64_pair();
        let mark = format!("{mark:016x}");
        let mut pinned = pinned(settings);
        pinned.push((MARK, mark.clone()));
        Self {
            settings: pinned,
            mark,
            pooler: settings.pooler,
            has_transaction_timeout: false,
        }
    }

    /// Takes in what server it is, by `server_version_num`.
    pub fn meets(&mut self, server: i32) {
        self.has_transaction_timeout = server >= TRANSACTION_TIMEOUT_SINCE;
    }

    /// What the start-up packet carries. `RESET ALL` returns to it.
    pub fn packet(&self) -> &[(&'static str, String)] {
        match self.pooler {
            Pooler::None => &self.settings,
            // PgBouncer refuses what it does not know.
            Pooler::Session => &[],
        }
    }

    /// The statement that sets what the start-up packet could not carry.
    pub fn pin(&self) -> Option<String> {
        if self.pooler == Pooler::None {
            return None;
        }
        let calls: Vec<_> = self
            .settings
            .iter()
            .map(|(name, value)| {
                let (name, value) = (literal(name), literal(value));
                format!("pg_catalog.set_config({name}, {value}, false)")
            })
            .collect();
        Some(format!("SELECT {}", calls.join(", ")))
    }

    /// Fails with [`super::error::ANOTHER_SESSION`] unless this very session answers. Safe under any
    /// `search_path`.
    pub fn check(&self) -> String {
        format!("SELECT {}", self.checked())
    }

    fn checked(&self) -> String {
        format!(
            "(CASE WHEN pg_catalog.current_setting('{MARK}', true) OPERATOR(pg_catalog.=) {} \
             THEN '2000-01-01' ELSE 'another' END)::pg_catalog.date",
            literal(&self.mark)
        )
    }

    /// Asks whether this very session answers, and fails in no case: for a transaction that begins before that, only
    /// reads, and whose answers count for nothing unless this one is true.
    pub fn question(&self) -> String {
        format!(
            "SELECT pg_catalog.current_setting('{MARK}', true) OPERATOR(pg_catalog.=) {}",
            literal(&self.mark)
        )
    }

    /// The session checked, and then as it began (decision 6).
    pub fn again(&self) -> Vec<String> {
        let mut all = vec![self.check()];
        all.extend(self.as_it_began());
        all
    }

    /// How a transaction of ours that writes begins: its session checked, and the lock taken for it. It says how it
    /// is, for a script's `SET default_transaction_read_only` holds until it is reset. [`Self::as_it_began`] follows;
    /// a rollback takes that back, so that whatever comes then begins with this again.
    pub fn begin_fenced(&self) -> [String; 2] {
        [
            "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE".to_owned(),
            self.fence(),
        ]
    }

    /// The second statement of [`Self::begin_fenced`], which may be prepared.
    pub fn fence(&self) -> String {
        format!("SELECT {}, {}", self.checked(), session::fence())
    }

    /// What brings the session back to its start (decision 6).
    pub fn as_it_began(&self) -> Vec<String> {
        let mut all = Vec::with_capacity(16);
        all.extend(
            [
                "RESET SESSION AUTHORIZATION",
                "RESET ROLE",
                "RESET ALL",
                "DISCARD TEMP",
                "DISCARD SEQUENCES",
                "UNLISTEN *",
                "CLOSE ALL",
            ]
            .map(str::to_owned),
        );
        all.extend(self.pin());
        if self.has_transaction_timeout {
            all.push("SET transaction_timeout TO 0".to_owned());
        }
        all
    }

    /// Back to the login role, to the settings that the session began with (a script's own
    /// `statement_timeout` would cancel its record), to names that nobody can shadow, and to a session that
    /// listens to nothing (a notification of its own would arrive in the middle of the answer): what own
    /// statements after a script, in its transaction, begin with.
    pub fn after_script(&self) -> Vec<String> {
        let mut all: Vec<_> = ["RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL"]
            .map(str::to_owned)
            .into();
        all.extend(self.pin());
        all.extend([OWN_SEARCH_PATH, "UNLISTEN *"].map(str::to_owned));
        all
    }
}

/// The first server with `transaction_timeout`. The start-up packet cannot switch it off, because an older
/// server refuses a name that it does not know. There is no limit over all of a version (decision 10).
const TRANSACTION_TIMEOUT_SINCE: i32 = 170_000;

/// Settings that win over `ALTER DATABASE … SET` and `ALTER ROLE … SET`. The keepalives let the server notice
/// within seconds that we are gone (measured: 8 s with a dead network instead of minutes; under 1 s after
/// a kill).
fn pinned(settings: &Settings) -> Vec<(&'static str, String)> {
    let milliseconds = |time: Duration| time.as_millis().to_string();
    vec![
        ("lock_timeout", milliseconds(settings.lock_timeout)),
        (
            "statement_timeout",
            milliseconds(settings.statement_timeout),
        ),
        ("idle_in_transaction_session_timeout", "0".to_owned()),
        ("default_transaction_read_only", "off".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("idle_session_timeout", "0".to_owned()),
        ("standard_conforming_strings", "on".to_owned()),
        ("bytea_output", "hex".to_owned()),
        ("row_security", "on".to_owned()),
        ("client_connection_check_interval", "1000".to_owned()),
        ("tcp_user_timeout", "5000".to_owned()),
        ("tcp_keepalives_idle", "3".to_owned()),
        ("tcp_keepalives_interval", "2".to_owned()),
        ("tcp_keepalives_count", "2".to_owned()),
    ]
}
