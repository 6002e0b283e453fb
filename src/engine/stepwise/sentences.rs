//! What is left of a version that is not recorded, in the words that a person reads.

use crate::migration::begun::{Begun, EntryState};
use crate::migration::evidence::IndexSeen;
use crate::migration::subject::Subject;

use super::Stepwise;

/// `IF NOT EXISTS` saw the name taken by something else.
pub(super) const SKIPPED: &str =
    "the server skipped it: something that is no index has its name already";

/// An index that somebody else left.
pub(super) fn invalid_index(index: &IndexSeen) -> String {
    format!("index {index} is INVALID, and was so before this statement came")
}

/// A DROP INDEX CONCURRENTLY that came half way.
pub(super) fn half_dropped(index: &IndexSeen) -> String {
    format!("index {index} is half dropped: it is INVALID, and the next attempt drops it")
}

impl Stepwise {
    /// What a person should know of a version that ended here, as a clause that starts a sentence; `None`:
    /// nothing of it is left.
    pub(in crate::engine) fn remains(&self) -> Option<String> {
        let mut clauses = Vec::new();
        clauses.extend(done(&self.begun));
        clauses.extend(self.leftover.clone());
        clauses.extend(self.under_way());
        if clauses.is_empty() {
            return None;
        }
        let mut text = clauses.join(", and ");
        if let Some(first) = text.get(..1).map(str::to_uppercase) {
            text.replace_range(..1, &first);
        }
        Some(format!(
            "{text}; {} is not recorded",
            self.execution.version
        ))
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
