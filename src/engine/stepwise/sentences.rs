//! What is left of a version that is not recorded, in the words that a person reads.

use crate::migration::begun::{Begun, EntryState};
use crate::migration::evidence::IndexSeen;
use crate::migration::subject::Subject;

use super::{State, Stepwise};
use crate::engine::step::StepAction;

/// `IF NOT EXISTS` saw the name taken by something else, an index of another table for one.
pub(super) const SKIPPED: &str =
    "the server skipped it: something that is no index of its table has its name already";

/// An index that somebody else left.
pub(super) fn invalid_index(index: &IndexSeen) -> String {
    format!("index {index} is INVALID, and was so before this statement came")
}

/// A DROP INDEX CONCURRENTLY that came half way.
pub(super) fn half_dropped(index: &IndexSeen) -> String {
    format!("index {index} is half dropped: it is INVALID, and the next attempt drops it")
}

/// Whether the server told how what was asked last ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Heard {
    Yes,
    No,
}

impl Stepwise {
    /// What a person should know of a version that ended here, as a clause that starts a sentence; `None`:
    /// nothing of it is left.
    pub(in crate::engine) fn remains(&self, ended: Heard) -> Option<String> {
        let text = self.clauses([self.under_way(), self.unheard(ended)])?;
        let version = &self.execution.version;
        Some(match (&self.state, ended) {
            (State::Recording, Heard::No) => {
                format!("{text}; the next look at the database tells whether {version} is recorded")
            }
            _ => format!("{text}; {version} is not recorded"),
        })
    }

    /// The same while it waits for a lock: this run goes on with it.
    pub(in crate::engine) fn remains_in_pause(&self) -> Option<String> {
        let text = self.clauses([self.left_in_pause()])?;
        Some(format!(
            "{text}; {} is not recorded",
            self.execution.version
        ))
    }

    /// What is kept, and then these.
    fn clauses(&self, more: impl IntoIterator<Item = Option<String>>) -> Option<String> {
        let known = [done(&self.begun), self.leftover.clone()];
        let clauses: Vec<_> = known.into_iter().chain(more).flatten().collect();
        let mut text = clauses.join(", and ");
        let first = text.get(..1).map(str::to_uppercase)?;
        text.replace_range(..1, &first);
        Some(text)
    }

    /// What a statement left that waits for its locks. One that is to be executed again left nothing: that was looked
    /// up, and put right.
    fn left_in_pause(&self) -> Option<String> {
        let State::Paused(action, _) = &self.state else {
            return None;
        };
        match &**action {
            StepAction::Repair(part, _) => Some(put_right(part.first, "attempt")),
            StepAction::Execute(part) if self.subject(part) == Subject::Repeatable => {
                Some(repeated(part.first, "attempt"))
            }
            _ => None,
        }
    }

    /// What an attempt left is not put right yet.
    fn has_left_something(&self) -> bool {
        let is_cleared = matches!(
            &self.state,
            State::Paused(action, _) if matches!(**action, StepAction::Execute(_))
        );
        self.repairs > 0 && !is_cleared
    }

    /// A transaction of which nobody heard whether it was committed.
    fn unheard(&self, ended: Heard) -> Option<String> {
        let part = match (&self.state, ended) {
            (State::Running, Heard::No) => self.parts.front(),
            _ => None,
        }?;
        let statements = if part.first == part.last {
            format!("statement {} is", part.first)
        } else {
            format!("statements {} to {} are", part.first, part.last)
        };
        Some(format!("{statements} either done and kept or rolled back"))
    }

    /// What of the statement that is not finished has to be said.
    fn under_way(&self) -> Option<String> {
        let part = self.parts.front()?;
        let started = self
            .begun
            .entries
            .iter()
            .any(|entry| entry.first == part.first && entry.state == EntryState::Started);
        if !started || self.in_doubt {
            return None;
        }
        Some(if self.has_left_something() {
            put_right(part.first, "run")
        } else if self.subject(part) == Subject::Repeatable {
            repeated(part.first, "run")
        } else {
            format!(
                "what became of statement {} is looked up in the catalog by the next run",
                part.first
            )
        })
    }
}

/// `by`: the next one of what does it.
fn put_right(statement: usize, by: &str) -> String {
    format!(
        "what statement {statement} left (an INVALID index, for one) is put right by the next {by}"
    )
}

fn repeated(statement: usize, by: &str) -> String {
    format!("statement {statement} may be done in part, which the next {by} repeats")
}

fn done(begun: &Begun) -> Option<String> {
    match begun.last_done() {
        0 => None,
        1 => Some("statement 1 is done and kept".to_owned()),
        last => Some(format!("statements 1 to {last} are done and kept")),
    }
}
