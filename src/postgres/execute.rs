//! Running one script together with its record.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::engine::database::{Execution, Observation, Recorded};
use crate::engine::error::{DatabaseError, ScriptFailure, ScriptFailureKind};
use crate::migration::script::Chunk;
use crate::migration::statement::{Position, Statement};

use super::closing::Closing;
use super::connection::{Postgres, column};
use super::prepared::Prepared;
use super::query::{self, Answer};
use super::session::{self, Scope};
use super::{error, record, sanitize};

/// Largest part of a script that goes in one Query, in bytes (decision 7).
pub(super) const LARGEST_QUERY: usize = 1024 * 1024;

/// Runs `execution` whole: effects and record commit together or not at all.
pub async fn execute(
    database: &mut Postgres,
    execution: &Arc<Execution>,
) -> Result<Observation, DatabaseError> {
    let ledger = &database.settings.ledger;
    let direction = execution.record.direction();
    let known = database.prepared.take();
    let known = known.filter(|prepared| prepared.is_for(direction));
    let is_new = known.is_none();
    let prepared = known.unwrap_or_else(|| Prepared::new(direction, ledger));
    let record = {
        let prepared = prepared.clone();
        move |execution: &Execution| prepared.record(execution, is_new)
    };
    let transaction = Transaction {
        is_prepared: true,
        closing: Closing::made_by(record, execution)?,
        ..Transaction::whole(execution)
    };
    match transaction.run(database, execution).await? {
        Committed::Yes(row) => {
            database.prepared = Some(prepared);
            recorded(row)
        }
        Committed::No(observation) => Ok(observation),
        Committed::Deallocated => in_full(database, execution).await,
    }
}

/// For a script that deallocates all prepared statements, ours too.
async fn in_full(
    database: &mut Postgres,
    execution: &Arc<Execution>,
) -> Result<Observation, DatabaseError> {
    let ledger = database.settings.ledger.clone();
    let record =
        move |execution: &Execution| record::statements(&ledger, execution, record::MILLISECONDS);
    let transaction = Transaction {
        closing: Closing::made_by(record, execution)?,
        ..Transaction::whole(execution)
    };
    match transaction.run(database, execution).await? {
        Committed::Yes(row) => recorded(row),
        Committed::No(observation) => Ok(observation),
        Committed::Deallocated => Err(not_prepared()),
    }
}

/// A transaction without prepared statements missed one.
pub(super) fn not_prepared() -> DatabaseError {
    error::internal("a record was not prepared, and then missed")
}

/// Statements of a script, and own ones that commit with them.
pub struct Transaction<'a> {
    /// Whether `closing` executes prepared statements.
    pub is_prepared: bool,
    /// Whether it is a part of a version.
    pub is_part: bool,
    /// Statements from elsewhere in the script that are said first: its session's settings above all.
    pub said_first: Vec<&'a Statement>,
    /// The statements, as places in [`crate::migration::script::Script::statements`].
    pub statements: Range<usize>,
    /// Own statements after them.
    pub closing: Closing,
}

/// How a transaction ended.
pub enum Committed {
    /// With the last row that it answered.
    Yes(Option<PgRow>),
    /// It was rolled back.
    No(Observation),
    /// It was rolled back, because the script deallocated what the record is written with.
    Deallocated,
}

/// What ends the script's own text.
const SCRIPT_END: &str = "\n;\n";

/// Statements of ours around a part of the script, in one Query.
struct Envelope<'a> {
    before: Vec<String>,
    /// Statements from elsewhere in the script, between ours and the part.
    said_first: Vec<&'a Statement>,
    chunk: Chunk<'a>,
    after: Vec<String>,
}

impl Transaction<'_> {
    /// All of a script, with nothing of ours yet.
    fn whole(execution: &Execution) -> Self {
        Self {
            is_prepared: false,
            is_part: false,
            said_first: Vec::new(),
            statements: 0..execution.script.statements().len(),
            closing: Closing::Said(Vec::new()),
        }
    }

    /// Runs it.
    pub async fn run(
        self,
        database: &mut Postgres,
        execution: &Execution,
    ) -> Result<Committed, DatabaseError> {
        let guard = format!("schemaward_{}", Uuid::new_v4().simple());
        let mut before = opening(database, &guard);
        if self.is_part {
            // What an earlier part prepared would be there or not, as it was interrupted or not.
            before.insert(1, "DEALLOCATE ALL".to_owned());
            database.prepared = None;
        }
        let mut said_first = self.said_first;
        let mut own = Some(self.closing);
        let mut chunks = execution.script.chunks_of(self.statements, LARGEST_QUERY);
        if chunks.is_empty() {
            chunks.push(Chunk::default());
        }
        let last = chunks.len().saturating_sub(1);
        let mut answer = None;
        for (number, chunk) in chunks.into_iter().enumerate() {
            let after = match own.take_if(|_| number == last) {
                Some(own) => own.behind_script(database, &guard).await?,
                None => Vec::new(),
            };
            let envelope = Envelope {
                before: std::mem::take(&mut before),
                said_first: std::mem::take(&mut said_first),
                chunk,
                after,
            };
            let got = query::send(&mut database.connection, envelope.sql(execution)).await;
            if let Some(cause) = &got.error {
                let ended = if self.is_prepared && envelope.is_deallocated(&got, cause) {
                    Ok(Committed::Deallocated)
                } else {
                    judge(database, execution, &envelope, &got, cause).map(Committed::No)
                };
                database.roll_back().await;
                return ended;
            }
            answer = got.last_row;
        }
        Ok(Committed::Yes(answer))
    }
}

/// Everything before the script: the session as new, the lock checked, the transaction fenced, the
/// guard set. Short: `pg_stat_activity` shows the first 1,024 bytes of a Query, and a person looks for the script.
fn opening(database: &Postgres, guard: &str) -> Vec<String> {
    let mut statements = database.startup.again();
    statements.extend(session::begin_locked());
    statements.extend(session::script_settings(
        &database.settings,
        Scope::Transaction,
    ));
    statements.push(format!("SAVEPOINT {guard}"));
    statements
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

    fn sql(&self, execution: &Execution) -> String {
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

    /// Whether the script was through, and took our prepared statements away.
    fn is_deallocated(&self, answer: &Answer, cause: &sqlx::Error) -> bool {
        let is_ours = answer.completed >= self.head_count() + self.chunk.statement_count;
        is_ours
            && error::server_error(cause)
                .is_some_and(|server| server.code() == error::NO_SUCH_STATEMENT)
    }

    /// How many statements the server completes before the script's part.
    fn head_count(&self) -> usize {
        self.before.len() + self.said_first.len()
    }
}

/// What an error in one of our Queries means: ours, the environment's, or the script's.
fn judge(
    database: &Postgres,
    execution: &Execution,
    envelope: &Envelope<'_>,
    answer: &Answer,
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
    let statement = failed_statement(execution, envelope, answer.completed);
    let position = position_in_script(cause, execution, envelope);
    if answer.completed < envelope.before.len() && position.is_none() {
        return Err(database.explain(cause));
    }
    // The statement behind the script's last one runs what that deferred.
    let in_script = answer.completed <= envelope.head_count() + envelope.chunk.statement_count;
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
    use sqlx::postgres::PgErrorPosition;
    let server = error::server_error(cause)?;
    let Some(PgErrorPosition::Original(position)) = server.position() else {
        return None;
    };
    let within = position.checked_sub(envelope.head(execution).chars().count())?;
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

/// The row that the record answers.
pub(super) fn recorded(row: Option<PgRow>) -> Result<Observation, DatabaseError> {
    let row = row.ok_or_else(|| error::internal("the record answered no row"))?;
    let at = Timestamp::from_microsecond(column(&row, 0)?)
        .map_err(|_| error::internal("the server's clock is out of range"))?;
    Ok(Observation::Done(Recorded {
        at,
        execution_time_ms: column(&row, 1)?,
        is_flushed: column::<Option<String>, _>(&row, 3)?.is_none(),
    }))
}
