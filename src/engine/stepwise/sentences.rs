//! What is left of a version that is not recorded, in the words that a person reads.

use crate::migration::begun::{Begun, EntryState};
use crate::migration::evidence::IndexSeen;
use crate::migration::subject::Subject;

use super::{State, Stepwise};

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
        let mut clauses = Vec::new();
        clauses.extend(done(&self.begun));
        clauses.extend(self.leftover.clone());
        clauses.extend(self.under_way());
        clauses.extend(self.unheard(ended));
        if clauses.is_empty() {
            return None;
        }
        let mut text = clauses.join(", and ");
        if let Some(first) = text.get(..1).map(str::to_uppercase) {
            text.replace_range(..1, &first);
        }
        let version = &self.execution.version;
        Some(match (&self.state, ended) {
            (State::Recording, Heard::No) => {
                format!("{text}; the next look at the database tells whether {version} is recorded")
            }
            _ => format!("{text}; {version} is not recorded"),
        })
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
        Some(if self.repairs > 0 {
            format!(
                "what statement {} left (an INVALID index, for one) is put right by the next run",
                part.first
            )
        } else if self.subject(part) == Subject::Repeatable {
            format!(
                "statement {} may be done in part, which the next run repeats",
                part.first
            )
        } else {
            format!(
                "what became of statement {} is looked up in the catalog by the next run",
                part.first
            )
        })
    }
}

fn done(begun: &Begun) -> Option<String> {
    match begun.last_done() {
        0 => None,
        1 => Some("statement 1 is done and kept".to_owned()),
        last => Some(format!("statements 1 to {last} are done and kept")),
    }
}
