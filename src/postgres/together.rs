//! Several quick versions in one Query.
//!
//! Each one is a transaction of its own with its record, word for word as if it was sent alone: the server runs a Query
//! statement by statement and skips the rest after an error, so that no version runs behind one that failed. What is
//! saved is the time in which the server waits for us, a tenth of a quick version's.

use std::collections::VecDeque;
use std::sync::Arc;

use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::engine::database::{Execution, Observation};
use crate::engine::error::DatabaseError;

use super::closing::around;
use super::connection::Postgres;
use super::envelope::{Envelope, judge};
use super::execute::{LARGEST_QUERY, opening, recorded};
use super::prepared::Prepared;
use super::{error, query};

type Answer = Result<Observation, DatabaseError>;

/// What came of versions that were sent along and not asked for yet, in their order. Who held the locks of one that did not get them
/// is not known: what was seen meanwhile may have been of any of them. It is known when that one is tried again.
#[derive(Default)]
pub struct SentAlong(VecDeque<(Arc<Execution>, Answer)>);

impl SentAlong {
    /// What came of `execution`. `None`: nothing was sent along.
    pub fn answer(&mut self, execution: &Arc<Execution>) -> Option<Answer> {
        let (sent, answer) = self.0.pop_front()?;
        if Arc::ptr_eq(&sent, execution) {
            return Some(answer);
        }
        let (sent, asked) = (&sent.version, &execution.version);
        Some(Err(error::internal(&format!(
            "{sent} was sent along and is recorded whole or rolled back, and {asked} was asked for"
        ))))
    }
}

/// Runs `first` and those that follow it. `None`: nothing of `first` is there, and it is to be sent alone.
pub async fn execute(database: &mut Postgres, first: &Arc<Execution>) -> Option<Answer> {
    let facts = database.facts.as_ref();
    if !facts.is_some_and(|facts| facts.versions_may_share_a_query) {
        return None;
    }
    let mut prepared = database.prepared_for(first);
    let all: Vec<_> = first.with_those_that_follow().collect();
    let (sql, envelopes) = match compose(database, &all, &prepared) {
        Ok(composed) => composed?,
        Err(error) => return Some(Err(error)),
    };
    let sent = send(database, sql, &envelopes).await;
    let mut answers = sent.answers(database, &all, &envelopes);
    let done = sent.done();
    // An error that is no version's: what it was to be recorded with is gone.
    let is_deallocated = sent.error.is_some() && answers.len() == done;
    if done > 0 && !is_deallocated {
        prepared.sent();
        database.prepared = Some(prepared);
    }
    if sent.error.is_some() && sent.completed > 0 {
        database.roll_back().await;
    }
    let last = answers.len().saturating_sub(1);
    for answer in answers.iter_mut().take(last) {
        if let Ok(Observation::Done(recorded)) = answer {
            recorded.next_is_answered = true;
        }
    }
    let answer = answers.pop_front();
    let along = all.into_iter().skip(1).map(Arc::clone);
    database.sent_along = SentAlong(along.zip(answers).collect());
    answer
}

/// The text of the Query, and what it has of each version. `None`: one of them is too long for it.
fn compose<'a>(
    database: &Postgres,
    all: &[&'a Arc<Execution>],
    prepared: &Prepared,
) -> Result<Option<(String, Vec<Envelope<'a>>)>, DatabaseError> {
    let mut sql = String::new();
    let mut envelopes = Vec::with_capacity(all.len());
    let mut starts_at = 0;
    for (place, execution) in all.iter().enumerate() {
        let guard = format!("schemaward_{}", Uuid::new_v4().simple());
        let record = prepared.record(execution, place)?;
        let statements = 0..execution.script.statements().len();
        let mut chunks = execution.script.chunks_of(statements, LARGEST_QUERY);
        if chunks.len() > 1 {
            return Ok(None);
        }
        let envelope = Envelope {
            before: opening(database, prepared.fence(place), false, &guard),
            said_first: Vec::new(),
            chunk: chunks.pop().unwrap_or_default(),
            after: around(record, &database.startup, &guard),
            starts_at,
        };
        let text = envelope.sql(execution) + ";\n";
        starts_at += text.chars().count();
        sql.push_str(&text);
        envelopes.push(envelope);
    }
    Ok(Some((sql, envelopes)))
}

/// How far a Query of several versions came.
struct Sent {
    /// Statements that are completed at the end of each.
    ends: Vec<usize>,
    /// Statements that the server completed.
    completed: usize,
    /// What the check of each record answered.
    rows: Vec<Option<PgRow>>,
    /// The error that ended it.
    error: Option<sqlx::Error>,
}

async fn send(database: &mut Postgres, sql: String, envelopes: &[Envelope<'_>]) -> Sent {
    let ends = ends(envelopes.iter().map(Envelope::count));
    let mut rows: Vec<Option<PgRow>> = ends.iter().map(|_| None).collect();
    let (completed, error) = query::rows(&mut database.connection, sql, |number, row| {
        // The record is checked before the commit.
        if let Ok(place) = ends.binary_search(&(number + 2)) {
            rows[place] = Some(row);
        }
    })
    .await;
    Sent {
        ends,
        completed,
        rows,
        error,
    }
}

impl Sent {
    /// How many versions are committed.
    fn done(&self) -> usize {
        self.ends.partition_point(|end| *end <= self.completed)
    }

    /// What came of each version of which that is known; of those behind one that failed nothing ran. None at all: the first one is to
    /// be sent alone.
    fn answers(
        &self,
        database: &Postgres,
        all: &[&Arc<Execution>],
        envelopes: &[Envelope<'_>],
    ) -> VecDeque<Answer> {
        let done = self.done();
        let rows = self.rows.iter().take(done);
        let mut answers: VecDeque<_> = rows.map(|row| recorded(row.as_ref())).collect();
        let (Some(execution), Some(envelope)) = (all.get(done), envelopes.get(done)) else {
            return answers;
        };
        let Some(cause) = &self.error else {
            let version = &execution.version;
            answers.push_back(Err(error::internal(&format!(
                "the server completed fewer statements than were sent: {version} is recorded whole or rolled back, and \
                 the next look tells"
            ))));
            return answers;
        };
        // A Query is read whole before any of it runs.
        let is_refused = self.completed == 0
            && error::server_error(cause).is_some_and(error::is_about_what_was_sent);
        let completed = self.within(done);
        if !is_refused && !envelope.is_deallocated(completed, cause) {
            answers.push_back(judge(database, execution, envelope, completed, cause));
        }
        answers
    }

    /// Statements that the server completed of the version at this place.
    fn within(&self, place: usize) -> usize {
        let before = place.checked_sub(1).and_then(|last| self.ends.get(last));
        self.completed - before.copied().unwrap_or(0)
    }
}

/// How many statements of a Query are completed at the end of each part.
fn ends(counts: impl Iterator<Item = usize>) -> Vec<usize> {
    let ends = counts.scan(0, |end, count| {
        *end += count;
        Some(*end)
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(completed: usize) -> Sent {
        Sent {
            ends: ends([10, 12, 9].into_iter()),
            completed,
            rows: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn what_is_committed_is_told_by_the_number_of_completed_statements() {
        for (completed, done, within) in [
            (0, 0, 0),
            (9, 0, 9),
            (10, 1, 0),
            (21, 1, 11),
            (22, 2, 0),
            (30, 2, 8),
            (31, 3, 0),
        ] {
            let sent = sent(completed);
            assert_eq!(
                (sent.done(), sent.within(done)),
                (done, within),
                "{completed}"
            );
        }
    }
}
