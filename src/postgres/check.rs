//! Asking a check: the SELECT of a person, in a transaction that can only read and is rolled back.

use std::time::Instant;

use sqlx::postgres::PgDatabaseError;

use crate::engine::check::{Check, CheckAnswer, MAX_EQUALS};
use crate::engine::error::DatabaseError;

use super::connection::{Postgres, column};
use super::names::place;
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
    let began = Instant::now();
    let answer = query::send(&mut database.connection, sql).await;
    let Some(cause) = answer.error else {
        let row = answer
            .last_row
            .ok_or_else(|| error::internal("a check answered no row"))?;
        return Ok(CheckAnswer::Value(column(&row, "answer")?));
    };
    let judged = match error::server_error(&cause) {
        Some(server) if answer.completed >= before.len() => {
            let time_is_over = began.elapsed() >= check.timeout;
            judge(database, server, check.show_value, time_is_over)
                .ok_or_else(|| trouble(database, &cause, server))
        }
        // The settings of scripts, which hold no data.
        Some(server) if answer.completed >= own.len() && !passes(server) => {
            Ok(failed(server.code(), None, server.message()))
        }
        _ => Err(database.explain(&cause)),
    };
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

/// Whether an error says nothing of the check.
fn passes(server: &PgDatabaseError) -> bool {
    let code = server.code();
    error::is_about_the_environment(server, true)
        || error::is_lock_trouble(code)
        || code == error::QUERY_CANCELED
}

/// The check's answer that an error is; `None`: it is trouble with the database.
fn judge(
    database: &Postgres,
    server: &PgDatabaseError,
    show_value: bool,
    time_is_over: bool,
) -> Option<CheckAnswer> {
    let code = server.code();
    if code == error::QUERY_CANCELED && time_is_over && !database.is_cancelled() {
        return Some(CheckAnswer::TimedOut);
    }
    if passes(server) {
        return None;
    }
    let own_words = own_words(code, show_value, server.r#where().is_some());
    Some(failed(code, own_words, server.message()))
}

fn failed(code: &str, own_words: Option<&str>, message: &str) -> CheckAnswer {
    CheckAnswer::Failed {
        sqlstate: code.to_owned(),
        message: own_words.map_or_else(|| sanitize::message(code, message), str::to_owned),
    }
}

/// Trouble with the database while a check is asked. A function can raise most of what looks like it, with data in
/// the text; only what ended the session is surely the server's.
fn trouble(database: &Postgres, cause: &sqlx::Error, server: &PgDatabaseError) -> DatabaseError {
    let explained = database.explain(cause);
    if error::is_cancellation(&explained) || error::has_ended(server) {
        return explained;
    }
    let code = server.code();
    DatabaseError {
        message: format!(
            "A check got no answer from the server at {}: {} ({code}). It changed nothing.",
            place(&database.settings),
            class(code)
        ),
        ..explained
    }
}

/// What stands in place of the server's message; `None`: that can be shown.
///
/// Whoever wrote a function chooses SQLSTATE and text of what it raises, and may have put data in. An error with a
/// context comes out of a function; one without, in a statement that the server did not get to run, names only
/// what the check itself names.
fn own_words(code: &str, show_value: bool, in_function: bool) -> Option<&'static str> {
    match code {
        "25006" => Some("it would write, and a check only reads"),
        "P0001" => Some(class(code)),
        _ if show_value => None,
        "42P01" | "42703" | "42883" | "42501" | "42601" if !in_function => None,
        _ => Some(class(code)),
    }
}

/// What the class of a SQLSTATE says (PostgreSQL manual, Appendix A).
fn class(code: &str) -> &'static str {
    match code {
        error::QUERY_CANCELED => "somebody cancelled it before its time was over",
        "55P03" => "it did not get a lock in time",
        "40P01" => "it was in a deadlock",
        "42P01" => "a table or view is not there",
        "42703" => "a column is not there",
        "42883" => "a function or operator is not there",
        "42501" => "a right is missing",
        "42601" => "a syntax error",
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "HV" => "another server that it asks is in trouble",
            "0A" => "PostgreSQL does not support what it asks",
            "21" => "more than one row where there can be only one",
            "22" => "a value is not of the type or range that is needed",
            "23" => "a constraint is violated",
            "25" => "the transaction does not allow it",
            "28" => "a role is not let in",
            "3D" | "3F" => "a database or schema is not there",
            "40" => "its transaction was rolled back",
            "42" => "it does not fit the objects that are there, or the rights on them",
            "53" => "the server is short of memory, disk or connections",
            "54" => "it is beyond a limit of the server",
            "55" => "an object is not in the state that is needed",
            "57" => "somebody or something ended it",
            "58" => "the server's system is in trouble",
            "P0" => "a function raises an error",
            "XX" => "an internal error of the server",
            _ => "an error of a function or extension",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_may_hold_data_is_told_in_our_words() {
        for (code, show_value, in_function, shown) in [
            ("42P01", false, false, true),
            ("42703", false, false, true),
            ("42883", false, false, true),
            ("42501", false, false, true),
            ("42601", false, false, true),
            // RAISE … USING ERRCODE.
            ("42P01", false, true, false),
            ("42501", false, true, false),
            ("23514", false, true, false),
            ("23514", false, false, false),
            ("22P02", false, false, false),
            ("42804", false, false, false),
            ("P0004", false, true, false),
            ("P0001", true, true, false),
            ("25006", true, false, false),
            ("ABCDE", false, true, false),
            ("22P02", true, false, true),
            ("23514", true, true, true),
        ] {
            let own = own_words(code, show_value, in_function);
            assert_eq!(own.is_none(), shown, "{code} {show_value} {in_function}");
        }
    }
}
