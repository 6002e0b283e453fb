//! Running one script together with its record.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::engine::database::{Execution, Observation, Recorded};
use crate::engine::error::DatabaseError;
use crate::migration::script::Chunk;
use crate::migration::statement::Statement;

use super::closing::Closing;
use super::connection::{Postgres, column};
use super::envelope::{Envelope, judge};
use super::session::{self, Scope};
use super::{error, query, record, together};

/// Largest part of a script that goes in one Query, in bytes (decision 7).
pub(super) const LARGEST_QUERY: usize = 1024 * 1024;

/// Runs `execution` whole: effects and record commit together or not at all. What was sent along with an earlier one is
/// answered already.
pub async fn execute(
    database: &mut Postgres,
    execution: &Arc<Execution>,
) -> Result<Observation, DatabaseError> {
    if let Some(answer) = database.sent_along.answer(execution) {
        return answer;
    }
    if execution.followed_by.is_some()
        && let Some(answer) = together::execute(database, execution).await
    {
        return answer;
    }
    let mut prepared = database.prepared_for(execution);
    let record = {
        let prepared = prepared.clone();
        move |execution: &Execution| prepared.record(execution, 0)
    };
    let transaction = Transaction {
        is_prepared: true,
        fence: prepared.fence(0),
        closing: Closing::made_by(record, execution)?,
        ..Transaction::whole(execution)
    };
    match transaction.run(database, execution).await? {
        Committed::Yes(row) => {
            prepared.sent();
            database.prepared = Some(prepared);
            recorded(row.as_ref())
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
        Committed::Yes(row) => recorded(row.as_ref()),
        Committed::No(observation) => Ok(observation),
        Committed::Deallocated => Err(not_prepared()),
    }
}

/// A record that prepares nothing failed as if what it needs was deallocated.
pub(super) fn not_prepared() -> DatabaseError {
    error::internal("a record without prepared statements missed one")
}

/// Statements of a script, and own ones that commit with them.
pub struct Transaction<'a> {
    /// Whether `closing` executes prepared statements.
    pub is_prepared: bool,
    /// What checks the session and takes the lock, where that is prepared.
    pub fence: Option<String>,
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

impl Transaction<'_> {
    /// All of a script, with nothing of ours yet.
    fn whole(execution: &Execution) -> Self {
        Self {
            is_prepared: false,
            fence: None,
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
        if self.is_part {
            database.prepared = None;
        }
        let mut before = opening(database, self.fence, self.is_part, &guard);
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
                starts_at: 0,
            };
            let got = query::send(&mut database.connection, envelope.sql(execution)).await;
            if let Some(cause) = &got.error {
                let ended = if self.is_prepared && envelope.is_deallocated(got.completed, cause) {
                    Ok(Committed::Deallocated)
                } else {
                    judge(database, execution, &envelope, got.completed, cause).map(Committed::No)
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
/// `fence` is what checks the session and takes the lock, where that is prepared.
pub(super) fn opening(
    database: &Postgres,
    fence: Option<String>,
    is_part: bool,
    guard: &str,
) -> Vec<String> {
    let [begin, in_full] = database.startup.begin_fenced();
    let mut statements = vec![begin, fence.unwrap_or(in_full)];
    if is_part {
        // What an earlier part prepared would be there or not, as it was interrupted or not.
        statements.push("DEALLOCATE ALL".to_owned());
    }
    statements.extend(database.startup.as_it_began());
    statements.extend(session::script_settings(
        &database.settings,
        Scope::Transaction,
    ));
    statements.push(format!("SAVEPOINT {guard}"));
    statements
}

/// The row that the record answers.
pub(super) fn recorded(row: Option<&PgRow>) -> Result<Observation, DatabaseError> {
    let row = row.ok_or_else(|| error::internal("the record answered no row"))?;
    let at = Timestamp::from_microsecond(column(row, 0)?)
        .map_err(|_| error::internal("the server's clock is out of range"))?;
    Ok(Observation::Done(Recorded {
        at,
        execution_time_ms: column(row, 1)?,
        is_flushed: column::<Option<String>, _>(row, 3)?.is_none(),
        next_is_answered: false,
    }))
}
