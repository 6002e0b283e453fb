//! A scratch database: made, used for a test of migrations, and dropped.

use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::migration::script::Script;
use crate::migration::statement::Position;

use super::connection::{Postgres, column};
use super::dial::open;
use super::names::place;
use super::quote::{identifier, literal};
use super::session::{self, Scope};
use super::settings::Settings;
use super::startup::Startup;
use super::{error, query, sanitize};

/// What the name of every scratch database begins with; 32 hexadecimal digits follow.
const PREFIX: &str = "schemaward_test_";

/// The limit of connections of one that is not marked by its comment yet. It limits nothing; it is there from the
/// first moment on, as no comment can be, and tells one that a kill left between the two from a database of others.
const UNMARKED: u32 = 1_000_003;

/// For how long the server may make, mark or drop one.
const LIMIT: Duration = Duration::from_mins(1);

/// A database that nobody else knows of.
#[derive(Debug)]
pub struct ScratchDatabase {
    server: Settings,
    name: String,
    /// Somebody is connected to it until it is dropped, so that a clean-up elsewhere leaves it alone.
    holder: PgConnection,
}

/// What is to become of a scratch database after its test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is dropped; if the test does not come to that, by a clean-up.
    Dropped,
    /// It stays, and no clean-up drops it.
    Kept,
}

impl Fate {
    /// The comment of a database with this fate. The clean-up goes by it.
    fn comment(self) -> &'static str {
        match self {
            Self::Dropped => {
                "A scratch database of schemaward test. It is dropped at the end of the test; if it is left, \
                 schemaward test --cleanup drops it."
            }
            Self::Kept => {
                "A scratch database of schemaward test --keep. Drop it when it is not needed any more; \
                 schemaward test --cleanup leaves it alone."
            }
        }
    }
}

/// A statement of a script that failed outside of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementFailure {
    /// Where it starts.
    pub position: Position,
    /// The server's message, sanitised.
    pub message: String,
    /// Its SQLSTATE.
    pub sqlstate: String,
}

impl ScratchDatabase {
    /// Creates one on the server that `server` leads to; the database named there is only connected to.
    ///
    /// # Errors
    /// When the server cannot be reached, does not let the role, or does not answer in time.
    pub async fn create(server: &Settings, fate: Fate) -> Result<Self, DatabaseError> {
        let id = Uuid::new_v4();
        let name = format!("{PREFIX}{}", id.simple());
        let maker = make(server, &name, id).await?;
        let held = hold(server, &name, fate).await;
        close(server, maker).await;
        match held {
            Ok(holder) => Ok(Self {
                server: server.clone(),
                name,
                holder,
            }),
            Err(error) => {
                // Whatever keeps it from being marked may keep it from being dropped; the first is told.
                let _ = drop_by_force(server, &name).await;
                Err(error)
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to reach it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        settings_in(&self.server, &self.name)
    }

    /// Drops it, whoever is still connected to it.
    ///
    /// # Errors
    /// When the server cannot be reached, or does not answer in time.
    pub async fn drop(self) -> Result<(), DatabaseError> {
        close(&self.server, self.holder).await;
        drop_by_force(&self.server, &self.name).await
    }

    /// Drops those that tests left, and that nobody is connected to: the names of those dropped. One that is
    /// kept, or is not known as ours, is left alone.
    ///
    /// # Errors
    /// When the server cannot be reached, does not answer in time, or one cannot be dropped.
    pub async fn drop_leftovers(server: &Settings) -> Result<Vec<String>, DatabaseError> {
        let names = names_of(server, leftovers(None)).await?;
        let mut dropped = Vec::new();
        for name in names.split_whitespace().filter(|name| is_ours(name)) {
            // Since the list was made it may have been marked to be kept.
            if names_of(server, leftovers(Some(name))).await? != name {
                continue;
            }
            let sql = format!("DROP DATABASE IF EXISTS {}", identifier(name));
            match at_the_server(server, sql).await {
                Ok(_) => dropped.push(name.to_owned()),
                // Somebody connected to it meanwhile: it is in use.
                Err(error) if error.sqlstate.as_deref() == Some("55006") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(dropped)
    }
}

/// Makes one under a lock that says, to a clean-up elsewhere, that somebody is about to connect to it and to mark it.
/// The lock is held as long as the connection lasts.
async fn make(server: &Settings, name: &str, id: Uuid) -> Result<PgConnection, DatabaseError> {
    let mut maker = open(server, &Startup::new(server)).await?;
    let (first, _) = id.as_u64_pair();
    let key = i64::from_be_bytes(first.to_be_bytes());
    let lock = format!("SELECT pg_catalog.pg_advisory_lock({key})");
    let create = format!(
        "CREATE DATABASE {} CONNECTION LIMIT {UNMARKED}",
        identifier(name)
    );
    for sql in [lock, create] {
        if let Err(error) = send_own(server, &mut maker, sql).await {
            close(server, maker).await;
            return Err(cannot_create(server, error));
        }
    }
    Ok(maker)
}

async fn names_of(server: &Settings, sql: String) -> Result<String, DatabaseError> {
    let found = at_the_server(server, sql).await?;
    found.map_or_else(|| Ok(String::new()), |row| column(&row, 0))
}

/// The names of those that tests left, of all or of this one, in one text: marked, or made by somebody who is gone and marked it never.
fn leftovers(only: Option<&str>) -> String {
    let only = only.map_or_else(String::new, |name| {
        let name = literal(name);
        format!(" AND d.datname::pg_catalog.text OPERATOR(pg_catalog.=) {name}")
    });
    // The lock has the first half of the digits.
    let half = PREFIX.len() + 1;
    format!(
        "SELECT COALESCE(pg_catalog.string_agg(d.datname::pg_catalog.text, ' ' ORDER BY d.datname), '') \
         FROM pg_catalog.pg_database d, \
         LATERAL pg_catalog.shobj_description(d.oid, 'pg_database') AS marked (comment) \
         WHERE d.datname::pg_catalog.text OPERATOR(pg_catalog.~) '^{PREFIX}[0-9a-f]{{32}}$' \
         AND (marked.comment OPERATOR(pg_catalog.=) {comment} \
            OR marked.comment IS NULL AND d.datconnlimit OPERATOR(pg_catalog.=) {UNMARKED} \
            AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' \
               AND pg_catalog.concat(pg_catalog.lpad(pg_catalog.to_hex(l.classid::pg_catalog.int8), 8, '0'), \
               pg_catalog.lpad(pg_catalog.to_hex(l.objid::pg_catalog.int8), 8, '0')) \
               OPERATOR(pg_catalog.=) pg_catalog.substr(d.datname::pg_catalog.text, {half}, 16))) \
         AND pg_catalog.pg_has_role(d.datdba, 'MEMBER') \
         AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a WHERE a.datid OPERATOR(pg_catalog.=) d.oid){only}",
        comment = literal(Fate::Dropped.comment())
    )
}

/// Whether a name is one that [`ScratchDatabase::create`] gives, whatever the server said of it.
fn is_ours(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.strip_prefix(PREFIX)
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(is_digit))
}

fn settings_in(server: &Settings, database: &str) -> Settings {
    Settings {
        database: database.to_owned(),
        ..server.clone()
    }
}

/// Connects to a new one, and only then says by its comment what is to become of it: a clean-up, which goes by the
/// comment, finds it in use from the first moment on.
async fn hold(server: &Settings, name: &str, fate: Fate) -> Result<PgConnection, DatabaseError> {
    let settings = settings_in(server, name);
    let mut holder = open(&settings, &Startup::new(&settings)).await?;
    let comment = literal(fate.comment());
    let name = identifier(name);
    let sql = format!(
        "COMMENT ON DATABASE {name} IS {comment}; ALTER DATABASE {name} CONNECTION LIMIT -1"
    );
    send_own(server, &mut holder, sql).await?;
    Ok(holder)
}

async fn drop_by_force(server: &Settings, name: &str) -> Result<(), DatabaseError> {
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name));
    at_the_server(server, sql).await.map(|_| ())
}

/// Sends one statement over a connection of its own.
async fn at_the_server(server: &Settings, sql: String) -> Result<Option<PgRow>, DatabaseError> {
    let startup = Startup::new(server);
    let mut connection = open(server, &startup).await?;
    let done = send_own(server, &mut connection, sql).await;
    close(server, connection).await;
    done
}

/// Sends one own statement, under names that nobody can shadow.
async fn send_own(
    server: &Settings,
    connection: &mut PgConnection,
    sql: String,
) -> Result<Option<PgRow>, DatabaseError> {
    let what: Vec<_> = sql.split(' ').take(2).map(str::to_owned).collect();
    let path = session::OWN_SEARCH_PATH_OF_SESSION.to_owned();
    let sent = async {
        // By itself: CREATE and DROP DATABASE want to be alone in their Query.
        query::last_row(connection, path).await?;
        query::last_row(connection, sql).await
    };
    match tokio::time::timeout(LIMIT, sent).await {
        Ok(done) => done.map_err(|cause| error::working(server, &cause, error::Work::Whole)),
        Err(_) => Err(no_answer(server, &what.join(" "))),
    }
}

/// Ends a connection. The server ends the session with it, whether it hears the farewell or not.
async fn close(server: &Settings, connection: PgConnection) {
    let _ = tokio::time::timeout(server.connect_timeout, connection.close()).await;
}

fn no_answer(server: &Settings, what: &str) -> DatabaseError {
    DatabaseError::new(
        DatabaseErrorKind::ConnectionLost,
        format!(
            "The server at {} did not answer {what} within {} s, and it is not known whether it was done. No other \
             database was touched. See what the server waits for, in pg_stat_activity.",
            place(server),
            LIMIT.as_secs()
        ),
    )
}

fn cannot_create(server: &Settings, error: DatabaseError) -> DatabaseError {
    if error.kind != DatabaseErrorKind::PermissionDenied {
        return error;
    }
    DatabaseError {
        message: format!(
            "Role \"{0}\" may not create databases, and a test runs in one of its own. Nothing was changed. Run as \
             a superuser: ALTER ROLE {1} CREATEDB; or test on a server of your own.",
            server.username,
            identifier(&server.username)
        ),
        ..error
    }
}

impl Postgres {
    /// Runs a script statement by statement, without a record: in one transaction where that can be, with the
    /// role and the `search_path` of scripts.
    ///
    /// # Errors
    /// Trouble with the database; a statement that fails is an answer.
    pub async fn run_unrecorded(
        &mut self,
        script: &Script,
    ) -> Result<Option<StatementFailure>, DatabaseError> {
        let in_transaction = !script.has_parts();
        let mut opening = self.startup.again();
        let scope = if in_transaction {
            opening.push("BEGIN".to_owned());
            Scope::Transaction
        } else {
            Scope::Session
        };
        opening.extend(session::script_settings(&self.settings, scope));
        self.own_despite_cancelling(&opening.join("; ")).await?;
        for statement in script.statements() {
            let sql = script.text_of(statement).to_owned();
            if let Some(cause) = query::send(&mut self.connection, sql).await.error {
                let failed = failure(statement.position, &cause);
                let explained = self.explain(&cause);
                self.roll_back().await;
                return failed.map(Some).ok_or(explained);
            }
        }
        if in_transaction
            && let Some(cause) = query::send(&mut self.connection, "COMMIT".to_owned())
                .await
                .error
        {
            // Constraints that are deferred fail here.
            let last = script.statements().last().map(|last| last.position);
            let failed = last.and_then(|position| failure(position, &cause));
            return failed.map(Some).ok_or_else(|| self.explain(&cause));
        }
        Ok(None)
    }
}

fn failure(position: Position, cause: &sqlx::Error) -> Option<StatementFailure> {
    let server = error::server_error(cause)?;
    let code = server.code();
    Some(StatementFailure {
        position,
        message: sanitize::message(code, server.message()),
        sqlstate: code.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_a_test_gives_is_dropped() {
        let digits = "0123456789abcdef0123456789abcdef";
        assert!(is_ours(&format!("{PREFIX}{digits}")));
        for name in [
            "postgres".to_owned(),
            PREFIX.to_owned(),
            digits.to_owned(),
            format!("{PREFIX}{digits}0"),
            format!("{PREFIX}{}", &digits[1..]),
            format!("{PREFIX}{}", digits.to_uppercase()),
            format!("a{PREFIX}{digits}"),
            format!("{PREFIX}{}g", &digits[1..]),
        ] {
            assert!(!is_ours(&name), "{name}");
        }
    }

    #[test]
    fn leftovers_are_found_by_names_that_nobody_can_shadow() {
        let sql = leftovers(None);
        assert!(
            sql.contains("datname::pg_catalog.text OPERATOR(pg_catalog.~) "),
            "{sql}"
        );
        assert!(sql.contains(Fate::Dropped.comment()) && !sql.contains(Fate::Kept.comment()));
        // And each once more before it is dropped.
        let again = leftovers(Some("schemaward_test_0"));
        let rest = again.strip_prefix(sql.as_str());
        assert_eq!(
            rest,
            Some(" AND d.datname::pg_catalog.text OPERATOR(pg_catalog.=) 'schemaward_test_0'")
        );
    }
}
