//! A scratch database: made, used for a test of migrations, and dropped.

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::migration::script::Script;
use crate::migration::statement::Position;

use super::connection::{Postgres, column};
use super::dial::open;
use super::quote::{identifier, literal};
use super::session::{self, Scope};
use super::settings::Settings;
use super::startup::Startup;
use super::{error, query, sanitize};

/// What the name of every scratch database begins with; 32 hexadecimal digits follow.
const PREFIX: &str = "schemaward_test_";

/// A database that nobody else knows of.
#[derive(Debug)]
pub struct ScratchDatabase {
    server: Settings,
    name: String,
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
    /// When the server cannot be reached, or does not let the role.
    pub async fn create(server: &Settings) -> Result<Self, DatabaseError> {
        let name = format!("{PREFIX}{}", Uuid::new_v4().simple());
        let made = Self {
            server: server.clone(),
            name,
        };
        made.at_the_server(format!("CREATE DATABASE {}", identifier(&made.name)))
            .await
            .map_err(|error| cannot_create(server, error))?;
        let comment = "A scratch database of schemaward test. It is dropped at the end of the test; if it is left, \
                       schemaward test --cleanup drops it.";
        let commented = made
            .at_the_server(format!(
                "COMMENT ON DATABASE {} IS {}",
                identifier(&made.name),
                literal(comment)
            ))
            .await;
        if let Err(error) = commented {
            // Whatever keeps it from being commented may keep it from being dropped; the first is told.
            let _ = made.drop().await;
            return Err(error);
        }
        Ok(made)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to reach it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            database: self.name.clone(),
            ..self.server.clone()
        }
    }

    /// Drops it, whoever is still connected to it.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn drop(&self) -> Result<(), DatabaseError> {
        let name = identifier(&self.name);
        self.at_the_server(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .await
    }

    async fn at_the_server(&self, sql: String) -> Result<(), DatabaseError> {
        at_the_server(&self.server, sql).await.map(|_| ())
    }

    /// Drops those that tests left, and that nobody is connected to: the names of those dropped.
    ///
    /// # Errors
    /// When the server cannot be reached, or one cannot be dropped.
    pub async fn drop_leftovers(server: &Settings) -> Result<Vec<String>, DatabaseError> {
        let found = at_the_server(
            server,
            format!(
                "SELECT COALESCE(pg_catalog.string_agg(d.datname, ' ' ORDER BY d.datname), '') \
                 FROM pg_catalog.pg_database d WHERE d.datname ~ '^{PREFIX}[0-9a-f]{{32}}$' \
                 AND pg_catalog.pg_has_role(d.datdba, 'MEMBER') \
                 AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid)"
            ),
        )
        .await?;
        let names: String = found.map_or_else(|| Ok(String::new()), |row| column(&row, 0))?;
        let mut dropped = Vec::new();
        for name in names.split_whitespace() {
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

/// Sends one statement over a connection of its own.
async fn at_the_server(
    server: &Settings,
    sql: String,
) -> Result<Option<sqlx::postgres::PgRow>, DatabaseError> {
    let startup = Startup::new(server);
    let mut connection: PgConnection = open(server, &startup).await?;
    let done = query::last_row(&mut connection, sql).await;
    let _ = connection.close().await;
    done.map_err(|cause| error::working(server, &cause, error::Work::Whole))
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
