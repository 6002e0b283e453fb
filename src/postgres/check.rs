//! Asking a check: the SELECT of a person, in a transaction that can only read and is rolled back.

use crate::engine::check::{Check, CheckAnswer, MAX_EQUALS};
use crate::engine::error::DatabaseError;

use super::connection::{Postgres, column};
use super::session::{self, Scope};
use super::{error, query, sanitize};

/// Asks it, with the role and the `search_path` of scripts.
pub async fn ask(database: &mut Postgres, check: &Check) -> Result<CheckAnswer, DatabaseError> {
    let (own, settings) = opening(database, check);
    let before: Vec<_> = own.iter().chain(&settings).map(String::as_str).collect();
    let sql = format!(
        "{}; SELECT pg_catalog.left((\n{}\n)::pg_catalog.text, {}) AS answer; ROLLBACK",
        before.join("; "),
        check.query.text(),
        MAX_EQUALS + 1
    );
    let answer = query::send(&mut database.connection, sql).await;
    let Some(cause) = answer.error else {
        let row = answer
            .last_row
            .ok_or_else(|| error::internal("a check answered no row"))?;
        return Ok(CheckAnswer::Value(column(&row, "answer")?));
    };
    let judged = judge(database, &cause, answer.completed >= own.len());
    database.roll_back().await;
    judged
}

/// Our own statements, and behind them the settings of scripts, which the user chose.
fn opening(database: &Postgres, check: &Check) -> (Vec<String>, Vec<String>) {
    let mut own = database.startup.again();
    own.push("BEGIN READ ONLY".to_owned());
    own.push(format!(
        "SET LOCAL statement_timeout TO {}",
        check.timeout.as_millis()
    ));
    (
        own,
        session::script_settings(&database.settings, Scope::Transaction),
    )
}

/// What an error means: the check's answer, or trouble with the database.
fn judge(
    database: &Postgres,
    cause: &sqlx::Error,
    in_check: bool,
) -> Result<CheckAnswer, DatabaseError> {
    let Some(server) = error::server_error(cause).filter(|_| in_check) else {
        return Err(database.explain(cause));
    };
    let code = server.code();
    if code == error::QUERY_CANCELED && !database.is_cancelled() {
        return Ok(CheckAnswer::TimedOut);
    }
    let passes = error::is_about_the_environment(server, true) || error::is_lock_trouble(code);
    if passes || code == error::QUERY_CANCELED {
        return Err(database.explain(cause));
    }
    Ok(CheckAnswer::Failed {
        sqlstate: code.to_owned(),
        message: match code {
            // Whoever wrote the function that raises it may have put data in.
            "P0001" => "a function raises an error".to_owned(),
            // PostgreSQL names the statement or the function.
            "25006" => format!("{}, and a check only reads", server.message()),
            _ => sanitize::message(code, server.message()),
        },
    })
}
