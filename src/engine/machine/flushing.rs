//! The part of a run that waits for the server's disk.
//!
//! Most of the time that a quick version takes is the disk's, for its commit. One flush serves all that was
//! committed before it, so a version that is followed by another one at once may leave it to that. Until then the
//! run keeps it to itself: nothing is told of it, for a crash of the server could take it back.

use std::sync::Arc;

use super::{Machine, State};
use crate::engine::database::{Execution, Observation, Record, Recorded, Request, Texts};
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::event::{Event, Next};
use crate::engine::judgement::texts;
use crate::engine::outcome::{End, Stop};
use crate::migration::catalog::Migration;
use crate::migration::new_tables::Outlook;
use crate::migration::plan::Step;
use crate::migration::script::Script;

/// So many versions wait for one flush, at the most.
const MOST: usize = 16;

/// So long they took, at the most, in milliseconds on the server: what a crash of the server costs, and how long
/// the first of them is kept back.
const LONGEST_MS: i64 = 100;

/// So long are their texts, UP and DOWN, in one Query at the most, in bytes.
const MOST_BYTES: usize = 128 * 1024;

/// A version that is committed and may not be on the disk.
#[derive(Debug, Clone)]
pub(super) struct Unflushed {
    pub(super) execution: Arc<Execution>,
    recorded: Recorded,
}

impl Machine {
    /// Whether the first step's version, whose record is `record`, may leave its flush to the next one. That has to take moments as far
    /// as its text tells, for the first one is not told before it is over.
    pub(super) fn may_flush_later(&mut self, record: &Record) -> bool {
        if !matches!(record, Record::Apply(_)) || self.room() < 2 {
            return false;
        }
        // It is read already where it was looked at whether it may be sent along.
        let ahead = self.ahead.take().or_else(|| {
            let (next, script) = self.applied_at(1)?;
            Some((next.version.clone(), script))
        });
        let Some((version, script)) = ahead else {
            return false;
        };
        let is_brief = self.new_tables.make_brief(&script);
        self.ahead = Some((version, script));
        is_brief
    }

    /// How many versions may still share the next flush, that of the next one among them.
    fn room(&self) -> usize {
        let waiting = self.unflushed.iter();
        let waiting: i64 = waiting.map(|one| one.recorded.execution_time_ms).sum();
        if waiting >= LONGEST_MS {
            return 1;
        }
        MOST.saturating_sub(self.unflushed.len())
    }

    /// What is applied that many steps on, if that is applied and its script can be read.
    fn applied_at(&self, place: usize) -> Option<(&Migration, Script)> {
        let Step::Apply { version, .. } = self.steps.get(place)? else {
            return None;
        };
        let migration = self.task.catalog.get(version)?;
        let script = Script::parse(&migration.up.bytes, &self.task.ledger.table).ok()?;
        Some((migration, script))
    }

    /// The version that may be sent along with the first step's, whose texts are `first` and which is about new tables alone, and those
    /// that follow it in turn: they are so, too, and share its flush. None where somebody reviews the run, for then a window or a
    /// gate may close between two versions; nor where an earlier run began one.
    pub(super) fn that_follow(&mut self, first: &Texts) -> Option<Arc<Execution>> {
        let history = self.outcome.history.as_ref();
        let is_begun = history.is_some_and(|history| history.begun().is_some());
        if is_begun || self.task.review.is_some() {
            return None;
        }
        let mut tables = self.new_tables.clone();
        let mut found = Vec::new();
        let mut ahead = None;
        let mut bytes = first.bytes();
        for place in 1..self.room() {
            let Some((migration, script)) = self.applied_at(place) else {
                break;
            };
            let texts = texts(migration);
            bytes += texts.bytes();
            if bytes > MOST_BYTES || tables.take_in(&script) != Outlook::MomentsAlone {
                ahead = Some((migration.version.clone(), script));
                break;
            }
            found.push((migration, script, texts));
        }
        let actor = self.actor();
        let first = found
            .into_iter()
            .rev()
            .fold(None, |follows, (migration, script, texts)| {
                Some(Arc::new(Execution {
                    version: migration.version.clone(),
                    name: migration.name.clone(),
                    script,
                    record: Record::Apply(texts),
                    actor: actor.clone(),
                    may_flush_later: follows.is_some(),
                    followed_by: follows,
                }))
            });
        self.ahead = ahead;
        first
    }

    /// A version is committed. It is told with those before it, once all of them are on the disk.
    pub(super) fn committed(&mut self, execution: Arc<Execution>, recorded: Recorded) -> Next {
        let next = execution.followed_by.clone();
        let next = next.filter(|_| recorded.next_is_answered);
        self.unflushed.push(Unflushed {
            execution,
            recorded,
        });
        if recorded.is_flushed && !self.note_flushed() {
            return self.impossible("something ran without a look at the history");
        }
        self.steps.pop_front();
        match next {
            Some(next) => self.go_on_with(next),
            None => self.checkpoint(),
        }
    }

    /// While something is not on the disk, nothing is done but to send the next version: whatever else comes next
    /// waits for a flush.
    pub(super) fn flush_before(&mut self, next: Next) -> Next {
        let sends_the_next = match &next {
            Next::Checkpoint(_) => matches!(self.state, State::AtCheckpoint),
            Next::Ask(request) => matches!(**request, Request::Execute(_)),
            Next::MayRun | Next::Judge(_) | Next::Pause(_) | Next::Done(_) => false,
        };
        if self.unflushed.is_empty() || sends_the_next {
            return next;
        }
        if is_lost(&next) {
            // There is nobody to ask.
            return self.forget_unflushed(next);
        }
        self.held_back = Some(Box::new(next));
        Next::Ask(Box::new(Request::Flush))
    }

    /// What was asked to be flushed is, or not; `next` had waited for it.
    pub(super) fn flushed(&mut self, next: Next, event: Event) -> Next {
        match event {
            Event::Observed(observation) if matches!(*observation, Observation::Flushed) => {
                if !self.note_flushed() {
                    return self.impossible("something ran without a look at the history");
                }
                self.with_this_outcome(next)
            }
            Event::Failed(error) => self.not_flushed(next, error),
            other => {
                self.unflushed.clear();
                self.impossible(&format!("{} while a flush was awaited", other.label()))
            }
        }
    }

    /// A run that ended because of the database ends for that. Any other end would say what is not known now.
    fn not_flushed(&mut self, next: Next, error: DatabaseError) -> Next {
        let next = match &next {
            Next::Done(outcome) if matches!(outcome.end, End::Stopped(Stop::Database(_))) => next,
            _ => self.stop(Stop::Database(error)),
        };
        self.forget_unflushed(next)
    }

    /// Tells of what is on the disk now.
    fn note_flushed(&mut self) -> bool {
        let flushed = std::mem::take(&mut self.unflushed);
        flushed
            .iter()
            .all(|one| self.recorded(&one.execution, one.recorded))
    }

    /// The run ends, and only the next one can tell whether these are there.
    fn forget_unflushed(&mut self, next: Next) -> Next {
        let unflushed = std::mem::take(&mut self.unflushed);
        let versions = unflushed.iter().map(|one| one.execution.version.clone());
        self.outcome.unflushed = versions.collect();
        self.with_this_outcome(next)
    }

    /// An end, with all that is known by now.
    fn with_this_outcome(&self, next: Next) -> Next {
        match next {
            Next::Done(_) => Next::Done(Box::new(self.outcome.clone())),
            other => other,
        }
    }
}

fn is_lost(next: &Next) -> bool {
    let Next::Done(outcome) = next else {
        return false;
    };
    matches!(&outcome.end, End::Stopped(Stop::Database(error)) if error.kind == DatabaseErrorKind::ConnectionLost)
}
