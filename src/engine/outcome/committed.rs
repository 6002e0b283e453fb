//! What a run had committed by the time that it stopped. A message that nothing was changed does not hold then: somebody
//! may have come between its preparation and the look after that, or a later version was stopped by the server.

use crate::engine::database::Preparation;
use crate::migration::file_name::Direction;

use super::Outcome;

/// How messages say that a run changed nothing.
const UNCHANGED: [&str; 2] = ["Nothing was changed", "The database was not changed"];

/// What holds in a run that committed something before.
const NO_MORE: &str = "Nothing else was changed";

/// What a person decided, as a clause.
pub(in crate::engine) const DECIDED: &str = "what was decided was written";

/// What a preparation writes, as a clause.
pub(in crate::engine) fn prepared(preparation: &Preparation) -> String {
    let (adopted, baseline) = (preparation.adopt.len(), preparation.baseline.len());
    let rows = counted(
        adopted,
        "row of the history was",
        "rows of the history were",
    );
    let versions = counted(baseline, "version was", "versions were");
    match (adopted, baseline) {
        (0, 0) if preparation.is_essential => "the history was made ready".to_owned(),
        (0, 0) => "the server was noted in the audit".to_owned(),
        (_, 0) => format!("{rows} adopted"),
        (0, _) => format!("{versions} recorded as the baseline"),
        (..) => format!("{rows} adopted and {versions} recorded as the baseline"),
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    let words = if count == 1 { one } else { many };
    format!("{count} {words}")
}

impl Outcome {
    /// The versions that this run applied or undid, as a clause; `None`: none.
    pub(super) fn what_was_done(&self) -> Option<String> {
        let what = match self.done.as_slice() {
            [] => return None,
            [only] => format!("{} {}", only.version, only.name),
            [first, .., last] => format!("{} to {}", first.version, last.version),
        };
        let verb = if self.done.len() == 1 { "was" } else { "were" };
        let done = match self.done.last().map(|done| done.direction) {
            Some(Direction::Down) => "undone",
            Some(Direction::Up) | None => "applied",
        };
        Some(format!("{what} {verb} {done}"))
    }

    /// `message`, as it holds after what this run committed.
    pub(super) fn after_commits(&self, message: String) -> String {
        let (prepared, done) = (self.prepared.clone(), self.what_was_done());
        let told: Vec<_> = prepared.into_iter().chain(done).collect();
        let has_committed =
            !told.is_empty() || !self.unflushed.is_empty() || self.remains.is_some();
        if !has_committed || !UNCHANGED.iter().any(|said| message.contains(said)) {
            return message;
        }
        let message = UNCHANGED
            .iter()
            .fold(message, |message, said| message.replace(said, NO_MORE));
        if told.is_empty() {
            return message;
        }
        let told = told.join(" and ");
        format!("{message} Before that, {told} in this run, and that stays.")
    }
}
