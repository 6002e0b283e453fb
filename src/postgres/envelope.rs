//! One Query of a script: its statements between ours, and what an error in it means.

use sqlx::postgres::PgErrorPosition;

use crate::engine::database::{Execution, Observation};
use crate::engine::error::{DatabaseError, ScriptFailure, ScriptFailureKind};
use crate::migration::script::Chunk;
use crate::migration::statement::{Position, Statement};

use super::connection::Postgres;
use super::{error, record, sanitize};

/// What ends the script's own text.
const SCRIPT_END: &str = "\n;\n";

/// Statements of ours around a part of the script, in one Query.
pub struct Envelope<'a> {
    pub before: Vec<String>,
    /// Statements from elsewhere in the script, between ours and the part.
    pub said_first: Vec<&'a Statement>,
    pub chunk: Chunk<'a>,
    pub after: Vec<String>,
    /// Characters of the Query before all this: other versions.
    pub starts_at: usize,
}

impl Envelope<'_> {
    /// The text before the script's part.
    fn head(&self, execution: &Execution) -> String {
        let mut text = String::new();
        for statement in &self.before {
            text.push_str(statement);
            text.push_str(";\n");
        }
        for statement in &self.said_first {
            text.push_str(execution.script.text_of(statement));
            // A line of its own: it may end in a comment.
            text.push_str(SCRIPT_END);
        }
        text
    }

    /// The text of the Query.
    pub fn sql(&self, execution: &Execution) -> String {
        let mut sql = self.head(execution);
        sql.push_str(&self.chunk.text);
        if !self.after.is_empty() {
            // A line of its own: the script may end in a comment, and its last statement need not end
            // in a semicolon.
            sql.push_str(SCRIPT_END);
            sql.push_str(&self.after.join(";\n"));
        }
        sql
    }

    /// How many statements the server completes.
    pub fn count(&self) -> usize {
        self.head_count() + self.chunk.statement_count + self.after.len()
    }

    /// Whether a statement of ours failed, behind `completed` ones, because a script deallocated it; or because another session
    /// answers, which is told apart once it is said in full.
    pub fn is_deallocated(&self, completed: usize, cause: &sqlx::Error) -> bool {
        self.own(completed)
            .is_some_and(|statement| statement.starts_with("EXECUTE "))
            && error::server_error(cause)
                .is_some_and(|server| server.code() == error::NO_SUCH_STATEMENT)
    }

    /// Our own statement behind so many of the Query's.
    fn own(&self, completed: usize) -> Option<&String> {
        let script_ends = self.head_count() + self.chunk.statement_count;
        match completed.checked_sub(script_ends) {
            Some(behind) => self.after.get(behind),
            None => self.before.get(completed),
        }
    }

    /// How many statements the server completes before the script's part.
    fn head_count(&self) -> usize {
        self.before.len() + self.said_first.len()
    }
}

/// What an error in one of our Queries means, behind `completed` statements of this version: ours, the environment's, or the
/// script's.
pub fn judge(
    database: &Postgres,
    execution: &Execution,
    envelope: &Envelope<'_>,
    completed: usize,
    cause: &sqlx::Error,
) -> Result<Observation, DatabaseError> {
    let Some(server) = error::server_error(cause) else {
        return Err(database.lost());
    };
    let code = server.code();
    if database.is_cancelled() && code == error::QUERY_CANCELED {
        return Err(error::cancelled());
    }
    if error::is_lock_trouble(code) {
        return Ok(Observation::LockNotAvailable(Vec::new()));
    }
    let statement = failed_statement(execution, envelope, completed);
    let position = position_in_script(cause, execution, envelope);
    let is_ours = completed < envelope.before.len() && !is_about_encoding(code);
    if is_ours && position.is_none() {
        return Err(database.explain(cause));
    }
    // The statement behind the script's last one runs what that deferred.
    let in_script = completed <= envelope.head_count() + envelope.chunk.statement_count;
    if error::is_about_the_environment(server, in_script) {
        return Err(database.explain(cause));
    }
    let position = position
        .map(|character| execution.script.position_of_char(character))
        .or_else(|| statement.map(|statement| statement.position));
    let escaped = !in_script && error::is_escape(code);
    let kind = if escaped {
        ScriptFailureKind::TransactionEscaped
    } else {
        error::script_failure_kind(
            code,
            server.hint(),
            !database.settings.statement_timeout.is_zero(),
        )
    };
    let message = if escaped {
        "the script ended the transaction it runs in, so what it did cannot be told from here"
            .to_owned()
    } else if !in_script && record::NOT_AS_RECORDED.contains(&code) {
        "it changed the history table or its own row there (another spelling of the version, a \
         trigger or a rule), so that its record would not stand"
            .to_owned()
    } else if !in_script && error::is_gone(code) {
        "it took away what its record needs, a table or column of schema schemaward or the history \
         table, so that it could not be recorded"
            .to_owned()
    } else {
        sanitize::message(code, server.message())
    };
    Ok(Observation::Failed(failure(
        execution,
        kind,
        statement,
        position,
        Some(code),
        message,
        false,
    )))
}

/// Whether a text has a character that the database's encoding lacks, or bytes that are no text in it. What is ours is ASCII.
fn is_about_encoding(code: &str) -> bool {
    ["22021", "22P05"].contains(&code)
}

/// The statement that the server was at, by the number of completed commands. A syntax error is found
/// before anything runs; there the position tells.
fn failed_statement<'e>(
    execution: &'e Execution,
    envelope: &Envelope<'_>,
    completed: usize,
) -> Option<&'e Statement> {
    let after_ours = completed.checked_sub(envelope.before.len())?;
    let Some(within) = after_ours.checked_sub(envelope.said_first.len()) else {
        let statement = envelope.said_first.get(after_ours)?;
        return execution.script.statement_at(statement.number);
    };
    if within >= envelope.chunk.statement_count {
        return None;
    }
    execution
        .script
        .statements()
        .get(envelope.chunk.first_statement + within)
}

/// The server's own position, as a 1-based character of the file; it counts from the start of the
/// Query.
fn position_in_script(
    cause: &sqlx::Error,
    execution: &Execution,
    envelope: &Envelope<'_>,
) -> Option<usize> {
    let server = error::server_error(cause)?;
    let Some(PgErrorPosition::Original(position)) = server.position() else {
        return None;
    };
    let head = envelope.starts_at + envelope.head(execution).chars().count();
    let within = position.checked_sub(head)?;
    // A statement that breaks off is reported at the semicolon that we put behind it.
    let length = envelope.chunk.text.chars().count();
    let inside = (1..=length + SCRIPT_END.len()).contains(&within);
    inside.then_some(envelope.chunk.start_char + within.min(length))
}

pub(super) fn failure(
    execution: &Execution,
    kind: ScriptFailureKind,
    statement: Option<&Statement>,
    position: Option<Position>,
    code: Option<&str>,
    message: String,
    outside_transaction: bool,
) -> ScriptFailure {
    let at_position = position.and_then(|position| {
        execution
            .script
            .statements()
            .iter()
            .rev()
            .find(|candidate| candidate.position <= position)
    });
    ScriptFailure {
        kind,
        version: execution.version.clone(),
        name: execution.name.clone(),
        direction: execution.record.direction(),
        statement: at_position.or(statement).map(|statement| statement.number),
        position,
        sqlstate: code.map(str::to_owned),
        message,
        outside_transaction,
        by_hand: None,
    }
}
