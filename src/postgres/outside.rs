//! A script with one statement that cannot run inside a transaction block.
//!
//! What is needed to survive a crash in the middle of one comes with the journal; until then its failure
//! is for a person (decision 12), because nobody can say how far it came.

use crate::engine::database::{Execution, Observation};
use crate::engine::error::{DatabaseError, ScriptFailure, ScriptFailureKind};
use crate::migration::statement::Statement;

use super::connection::{Postgres, column};
use super::execute::{failure, recorded};
use super::quote::literal;
use super::session::{self, Scope};
use super::{error, query, record, sanitize};

/// How often a record is tried again that a late cancellation hit.
const RECORD_RETRIES: usize = 3;

/// Runs the statement by itself, and then the script's own record together with ours.
pub async fn execute(
    database: &mut Postgres,
    execution: &Execution,
    statement: &Statement,
) -> Result<Observation, DatabaseError> {
    let mut before = database.startup.again();
    before.push(session::lock_check());
    before.extend(session::script_settings(&database.settings, Scope::Session));
    before.push("SELECT pg_catalog.clock_timestamp()::pg_catalog.text".to_owned());
    let began: String = match database.own(before.join("; ")).await? {
        Some(row) => column(&row, 0)?,
        None => return Err(error::internal("the server does not tell the time")),
    };
    let milliseconds = format!(
        "(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - {}::pg_catalog.timestamptz) * 1000)\
         ::pg_catalog.int8",
        literal(&began)
    );
    let mut closing = database.startup.again();
    closing.extend([
        "BEGIN".to_owned(),
        session::OWN_SEARCH_PATH.to_owned(),
        session::lock_check(),
        session::fence(),
    ]);
    closing.extend(session::script_settings(
        &database.settings,
        Scope::Transaction,
    ));
    closing.extend(
        execution
            .script
            .statements()
            .iter()
            .filter(|other| other.is_self_record)
            .map(|other| execution.script.text()[other.range.clone()].to_owned()),
    );
    closing.extend(database.startup.after_script());
    closing.extend(record::statements(
        &database.settings.ledger,
        execution,
        &milliseconds,
    )?);
    closing.push("COMMIT".to_owned());
    let text = execution.script.text()[statement.range.clone()].to_owned();
    let answer = query::send(&mut database.connection, text).await;
    if let Some(cause) = answer.error {
        return Ok(Observation::Failed(judge(
            database, execution, statement, &cause,
        )));
    }
    record_outside(database, execution, statement, &closing.join(";\n")).await
}

/// Records a statement that was executed outside a transaction. A cancellation that comes now is too
/// late for the statement, so it must not stop the record.
async fn record_outside(
    database: &mut Postgres,
    execution: &Execution,
    statement: &Statement,
    closing: &str,
) -> Result<Observation, DatabaseError> {
    let mut answer = query::send(&mut database.connection, closing.to_owned()).await;
    for _ in 0..RECORD_RETRIES {
        let code = answer.error.as_ref().and_then(error::server_error);
        if code.is_none_or(|server| server.code() != error::QUERY_CANCELED) {
            break;
        }
        database.roll_back().await;
        answer = query::send(&mut database.connection, closing.to_owned()).await;
    }
    let Some(cause) = answer.error else {
        return recorded(answer.last_row);
    };
    let code = error::server_error(&cause).map(|server| server.code().to_owned());
    database.roll_back().await;
    Ok(Observation::Failed(failure(
        execution,
        ScriptFailureKind::Failed,
        Some(statement),
        Some(statement.position),
        code.as_deref(),
        "it was executed, and then it could not be recorded".to_owned(),
        true,
    )))
}

fn judge(
    database: &Postgres,
    execution: &Execution,
    statement: &Statement,
    cause: &sqlx::Error,
) -> ScriptFailure {
    let Some(server) = error::server_error(cause) else {
        return lost(execution, statement);
    };
    let code = server.code();
    let position = match server.position() {
        Some(sqlx::postgres::PgErrorPosition::Original(position)) => {
            let start = execution.script.text()[..statement.range.start]
                .chars()
                .count();
            execution.script.position_of_char(start + position)
        }
        _ => statement.position,
    };
    failure(
        execution,
        error::script_failure_kind(
            code,
            server.hint(),
            !database.settings.statement_timeout.is_zero(),
        ),
        Some(statement),
        Some(position),
        Some(code),
        sanitize::message(code, server.message()),
        true,
    )
}

/// The connection went away under the statement.
pub fn lost(execution: &Execution, statement: &Statement) -> ScriptFailure {
    failure(
        execution,
        ScriptFailureKind::Failed,
        Some(statement),
        Some(statement.position),
        None,
        "the connection was lost while it was executed, so whether it is done is not known"
            .to_owned(),
        true,
    )
}
