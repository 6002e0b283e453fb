//! What the server, our rights and the history table look like. Reads only.

use std::time::Duration;

use crate::engine::database::{LedgerLimits, Server};
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::task::Ledger;

use super::doubtful::{Doubtful, Table};
use super::quote::{identifier, ledger as quoted};
use super::settings::{Pooler, Settings};
use super::{pooler, sanitize};

pub mod read;
mod rights;

/// The oldest server that is supported: 14.
const OLDEST_SERVER: i32 = 140_000;

/// The names of our tables in schema `schemaward`.
pub const OUR_TABLES: [&str; 5] = ["installation", "claim", "script", "audit", "journal"];

/// Facts of one look.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question to the catalog, and they are asked at once"
)]
#[derive(Debug)]
pub struct Facts {
    pub session: Session,
    pub version_number: i32,
    version: String,
    in_recovery: bool,
    /// Several versions may go in one Query. Not where a commit waits for a standby: to cancel that wait commits, and the server goes
    /// on with the next version. Nor where the server counts bytes: the place of an error is a character's.
    pub versions_may_share_a_query: bool,
    database: String,
    user: String,
    history_schema_exists: bool,
    may_create_in_history_schema: bool,
    pub ledger_exists: bool,
    ledger: Option<Table>,
    columns: Vec<Column>,
    may_read_ledger: bool,
    may_read_our_tables: bool,
    pub our_schema_exists: bool,
    may_create_our_schema: bool,
    may_create_in_our_schema: bool,
    pub installed: bool,
    pub journal_exists: bool,
    pub baselines_are_marked: bool,
    owns_scripts: bool,
    may_update_installation: bool,
    may_use_our_tables: bool,
    pub may_read_server_identity: bool,
    role_exists: bool,
    pub may_take_role: bool,
    privileged: Vec<Privileged>,
    doubtful: Option<Doubtful>,
}

/// A role with power over the server, which ours is or can become.
#[derive(Debug)]
struct Privileged {
    role: String,
    superuser: bool,
    /// It has CREATEROLE, with which any other of them can be granted up to PostgreSQL 15.
    can_grant: bool,
}

/// What names our server session, so that a cancellation never hits a successor with the same pid.
#[derive(Debug, Clone)]
pub struct Session {
    pub pid: i32,
    pub began: String,
    /// Seconds since then, by the server's clock.
    age: f64,
}

/// A server's clock may be put forward while we connect.
const AGE_TOLERANCE: Duration = Duration::from_secs(2);

impl Session {
    /// Refuses a session that is older than our connection: a pooler had it before.
    pub fn judge(&self, settings: &Settings, connected: Duration) -> Result<(), DatabaseError> {
        let age = Duration::try_from_secs_f64(self.age).unwrap_or_default();
        if settings.pooler == Pooler::None && age > connected + AGE_TOLERANCE {
            return Err(pooler::handed_out(settings));
        }
        Ok(())
    }
}

/// A column of the ledger.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: String,
    characters: Option<usize>,
    must_be_given: bool,
    takes_null: bool,
}

/// The five columns and the types that an existing table may have for them (decision 1).
const COLUMNS: [(&str, &[&str]); 5] = [
    ("version", &["text", "varchar", "bpchar"]),
    ("name", &["text", "varchar", "bpchar"]),
    ("applied_at", &["timestamp", "timestamptz"]),
    ("execution_time_ms", &["int4", "int8"]),
    ("checksum", &["text", "varchar", "bpchar"]),
];

/// Column sets by which other tools' tables of this name are known.
const FOREIGN: [(&[&str], &str); 3] = [
    (&["version"], "Ruby on Rails or dbmate"),
    (&["dirty", "version"], "golang-migrate"),
    (&["inserted_at", "version"], "Ecto"),
];

impl Facts {
    /// The server, as the engine knows it.
    pub fn server(&self) -> Server {
        Server {
            version: self.version.clone(),
            database: self.database.clone(),
            user: self.user.clone(),
        }
    }

    /// Longest values that the ledger takes.
    pub fn limits(&self) -> LedgerLimits {
        let characters = |name: &str| self.column(name).and_then(|column| column.characters);
        LedgerLimits {
            version: characters("version"),
            name: characters("name"),
            checksum: characters("checksum"),
        }
    }

    /// What stands in the ledger as the time that a version took which did not run: a ledger of somebody else may
    /// take no NULL.
    pub fn no_time(&self) -> &'static str {
        match self.column("execution_time_ms") {
            Some(column) if !column.takes_null => "0",
            _ => "NULL",
        }
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Refuses what cannot be worked with: an old server, a standby, another tool's table, a table
    /// that is not plainly ours.
    pub fn judge(&self, ledger: &Ledger) -> Result<(), DatabaseError> {
        self.judge_version()?;
        self.judge_primary()?;
        self.judge_tables(ledger)
    }

    /// Refuses an old server.
    pub fn judge_version(&self) -> Result<(), DatabaseError> {
        if self.version_number < OLDEST_SERVER {
            return Err(DatabaseError::new(
                DatabaseErrorKind::ServerTooOld,
                format!(
                    "The server is PostgreSQL {}; Schemaward needs 14 or newer. Nothing was changed. \
                     Upgrade the server.",
                    self.version
                ),
            ));
        }
        Ok(())
    }

    /// Refuses a standby.
    pub fn judge_primary(&self) -> Result<(), DatabaseError> {
        if self.in_recovery {
            return Err(DatabaseError::new(
                DatabaseErrorKind::ReadOnlyReplica,
                "The server is a standby and takes no changes. Nothing was changed. Connect to the \
                 primary, or wait for the failover to end.",
            ));
        }
        Ok(())
    }

    /// Refuses another tool's table, and tables that are not plainly ours.
    pub fn judge_tables(&self, ledger: &Ledger) -> Result<(), DatabaseError> {
        if self.ledger_exists {
            self.judge_ledger(ledger)?;
        }
        match &self.doubtful {
            Some(object) => Err(object.refuse(&self.user)),
            None => Ok(()),
        }
    }

    /// Refuses a role that cannot even look at what was applied.
    pub fn judge_reading(&self, settings: &Settings) -> Result<(), DatabaseError> {
        let unreadable = (self.ledger_exists && !self.may_read_ledger)
            || (self.installed && !self.may_read_our_tables);
        if !unreadable {
            return Ok(());
        }
        let user = identifier(&self.user);
        let mut grants = Vec::new();
        if self.ledger_exists && !self.may_read_ledger {
            grants.push(format!(
                "GRANT USAGE ON SCHEMA {} TO {user}; GRANT SELECT ON {} TO {user};",
                identifier(&settings.ledger.schema),
                quoted(&settings.ledger)
            ));
        }
        if self.installed && !self.may_read_our_tables {
            grants.push(format!(
                "GRANT USAGE ON SCHEMA schemaward TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA \
                 schemaward TO {user};"
            ));
        }
        Err(DatabaseError::new(
            DatabaseErrorKind::PermissionDenied,
            format!(
                "Role {user} may not read the history. Nothing was changed. Run as its owner: {}",
                grants.join(" ")
            ),
        ))
    }

    fn judge_ledger(&self, ledger: &Ledger) -> Result<(), DatabaseError> {
        let mut names: Vec<_> = self.columns.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        if let Some((_, tool)) = FOREIGN.iter().find(|(columns, _)| *columns == names) {
            return Err(DatabaseError::new(
                DatabaseErrorKind::ForeignHistory,
                format!(
                    "Table {0}.{1} is the history of {tool}. It was not touched. Name another table \
                     in history.table (--history-table), or move that one away.",
                    ledger.schema, ledger.table
                ),
            ));
        }
        match self.ledger_defect() {
            None => Ok(()),
            Some(defect) => Err(DatabaseError::new(
                DatabaseErrorKind::HistoryUnreadable,
                format!(
                    "Table {}.{} cannot serve as history: {defect}. It was not touched. Mend the \
                     table, or name another one in history.table (--history-table).",
                    ledger.schema, ledger.table
                ),
            )),
        }
    }

    fn ledger_defect(&self) -> Option<String> {
        let ledger = self.ledger.as_ref()?;
        if !matches!(ledger.kind.as_str(), "r" | "p") {
            return Some("it is not a table".to_owned());
        }
        for (name, kinds) in COLUMNS {
            match self.column(name) {
                None => return Some(format!("it has no column {name}")),
                Some(column) if !kinds.contains(&column.kind.as_str()) => {
                    return Some(format!(
                        "its column {name} is of type {}, not {}",
                        column.kind,
                        kinds.join(" or ")
                    ));
                }
                Some(_) => {}
            }
        }
        if let Some(extra) = self.columns.iter().find(|column| {
            column.must_be_given && !COLUMNS.iter().any(|(name, _)| *name == column.name)
        }) {
            return Some(format!(
                "its column {} must be given a value, and Schemaward knows none for it",
                extra.name
            ));
        }
        let hidden = [
            (ledger.has_triggers, "it has triggers"),
            (ledger.has_rules, "it has rules"),
            (ledger.has_row_security, "it has row level security"),
        ];
        hidden
            .iter()
            .find(|(present, _)| *present)
            .map(|(_, what)| format!("{what}, which can hide or change rows"))
    }

    /// What the role may do on the server beyond a database. A script has all rights of the login role: it
    /// can leave the role that it was given with RESET ROLE, and become whatever the login role is a
    /// member of, directly or not. A superuser is a member of every role.
    pub fn privileges(&self) -> Vec<String> {
        if self
            .privileged
            .iter()
            .any(|role| role.superuser && role.role == self.user)
        {
            return vec!["it is a superuser".to_owned()];
        }
        let clause = |found: &Privileged| {
            let role = sanitize::name(&found.role);
            if found.superuser {
                format!("it is a member of \"{role}\", a superuser")
            } else if found.can_grant && found.role == self.user {
                "it has CREATEROLE, by which it can grant itself pg_execute_server_program"
                    .to_owned()
            } else if found.can_grant {
                format!(
                    "it is a member of \"{role}\", whose CREATEROLE can grant pg_execute_server_program"
                )
            } else {
                format!("it is a member of {role}")
            }
        };
        self.privileged.iter().map(clause).collect()
    }
}
