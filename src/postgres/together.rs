//! Several quick versions in one Query.
//!
//! Each one is a transaction of its own with its record, word for word as if it was sent alone: the server runs a Query
//! statement by statement and skips the rest after an error, so that no version runs behind one that failed. What is
//! saved is the time in which the server waits for us, a tenth of a quick version's.

use std::collections::VecDeque;
use std::iter::once;
use std::sync::Arc;

use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::engine::database::{Execution, Observation};
use crate::engine::error::DatabaseError;
use crate::engine::sessions::Activity;

use super::activity::explained;
use super::closing::around;
use super::connection::Postgres;
use super::envelope::{Envelope, judge};
use super::execute::{LARGEST_QUERY, opening, recorded};
use super::prepared::Prepared;
use super::{error, query};

type Answer = Result<Observation, DatabaseError>;

/// What came of versions that nobody asked for yet, in their order.
#[derive(Default)]
pub struct SentAlong(VecDeque<(Arc<Execution>, Answer)>);

impl SentAlong {
    /// What came of `execution`, if it was sent and ended.
    pub fn answer(&mut self, execution: &Arc<Execution>) -> Option<Answer> {
        let (sent, answer) = self.0.pop_front()?;
        if Arc::ptr_eq(&sent, execution) {
            return Some(answer);
        }
        self.0.clear();
        None
    }

    /// Takes in who held the locks of a version that did not get them.
    pub fn explain(&mut self, seen: &Activity) {
        for (_, answer) in &mut self.0 {
            if let Ok(observation) = answer {
                *observation = explained(observation.clone(), Some(seen));
            }
        }
    }
}

/// Runs `first` and those that follow it. `None`: nothing of them ran, and each is to be sent alone.
pub async fn execute(
    database: &mut Postgres,
    first: &Arc<Execution>,
) -> Result<Option<Answer>, DatabaseError> {
    let ledger = &database.settings.ledger;
    let mut prepared = Prepared::serving(database.prepared.take(), first, ledger);
    let all: Vec<_> = once(first).chain(&first.followed_by).collect();
    let (sql, envelopes) = compose(database, &all, &mut prepared)?;
    let ends: Vec<_> = ends(&envelopes).collect();
    let mut rows: Vec<Option<PgRow>> = ends.iter().map(|_| None).collect();
    let (completed, failed) = query::rows(&mut database.connection, sql, |number, row| {
        // The record is checked before the commit.
        if let Ok(place) = ends.binary_search(&(number + 2)) {
            rows[place] = Some(row);
        }
    })
    .await;
    let is_refused = |cause| error::server_error(cause).is_some_and(error::is_about_what_was_sent);
    if completed == 0 && failed.as_ref().is_some_and(is_refused) {
        // A Query is read whole before any of it runs.
        return Ok(None);
    }
    let done = ends.partition_point(|end| *end <= completed);
    database.prepared = (done > 0).then_some(prepared);
    let mut answers: VecDeque<_> = rows.into_iter().take(done).map(recorded).collect();
    if let (Some(cause), Some(execution), Some(envelope)) =
        (&failed, all.get(done), envelopes.get(done))
    {
        let before = done.checked_sub(1).map_or(0, |last| ends[last]);
        let completed = completed - before;
        if envelope.is_deallocated(completed, cause) {
            database.prepared = None;
        } else {
            answers.push_back(judge(database, execution, envelope, completed, cause));
        }
        database.roll_back().await;
    }
    let answer = answers.pop_front();
    let sent = first.followed_by.iter().map(Arc::clone);
    database.sent_along = SentAlong(sent.zip(answers).collect());
    Ok(answer)
}

/// The text of the Query, and what it has of each version.
fn compose<'a>(
    database: &Postgres,
    all: &[&'a Arc<Execution>],
    prepared: &mut Prepared,
) -> Result<(String, Vec<Envelope<'a>>), DatabaseError> {
    let mut sql = String::new();
    let mut envelopes = Vec::with_capacity(all.len());
    let mut starts_at = 0;
    for (place, execution) in all.iter().enumerate() {
        let guard = format!("schemaward_{}", Uuid::new_v4().simple());
        let record = prepared.record(execution, place > 0)?;
        let statements = 0..execution.script.statements().len();
        let chunks = execution.script.chunks_of(statements, LARGEST_QUERY);
        let envelope = Envelope {
            before: opening(database, false, &guard),
            said_first: Vec::new(),
            chunk: chunks.into_iter().next().unwrap_or_default(),
            after: around(record, &database.startup, &guard),
            starts_at,
        };
        let text = envelope.sql(execution) + ";\n";
        starts_at += text.chars().count();
        sql.push_str(&text);
        envelopes.push(envelope);
    }
    Ok((sql, envelopes))
}

/// How many statements of the Query are completed at the end of each.
fn ends(envelopes: &[Envelope<'_>]) -> impl Iterator<Item = usize> {
    envelopes.iter().scan(0, |end, envelope| {
        *end += envelope.count();
        Some(*end)
    })
}
