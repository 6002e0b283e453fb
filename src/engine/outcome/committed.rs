//! What a run had committed by the time that it stopped. A message that nothing was changed does not hold then: somebody
//! may have come between its preparation and the look after that, or a later version was stopped by the server.

use crate::engine::check::Moment;
use crate::engine::database::Preparation;
use crate::engine::error::DatabaseError;
use crate::migration::file_name::Direction;

use super::{Outcome, Stop};

/// How messages say that a run changed nothing, and what holds in one that committed something before.
const UNCHANGED: [(&str, &str); 3] = [
    ("Nothing was changed", "Nothing else was changed"),
    ("nothing was changed", "nothing else was changed"),
    ("The database was not changed", "Nothing else was changed"),
];

/// What is behind those words in our own sentences.
const ENDS: [&str; 4] = [".", ";", ":", " in this run;"];

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

    /// `message` about `stop`, as it holds after what this run committed. What the server, a script or another session
    /// said in it stays as it was said.
    pub(super) fn after_commits(&self, stop: &Stop, message: String) -> String {
        let (prepared, done) = (self.prepared.clone(), self.what_was_done());
        let told: Vec<_> = prepared.into_iter().chain(done).collect();
        let has_committed =
            !told.is_empty() || !self.unflushed.is_empty() || self.remains.is_some();
        let Some((place, said, holds)) = denial(stop, &message).filter(|_| has_committed) else {
            return message;
        };
        let mut message = message;
        message.replace_range(place..place + said.len(), holds);
        if told.is_empty() {
            return message;
        }
        let told = told.join(" and ");
        format!("{message} Before that, {told} in this run, and that stays.")
    }
}

/// Where `message` says in words of ours that nothing was changed, these words, and those that hold otherwise.
fn denial(stop: &Stop, message: &str) -> Option<(usize, &'static str, &'static str)> {
    let ours = match stop {
        // Our own sentences about these do not say it, whatever they quote.
        Stop::Script(_) | Stop::InDoubt(_) | Stop::LockTimeout(_) | Stop::Unusable { .. } => {
            return None;
        }
        Stop::ChecksFailed(failed) if failed.moment == Moment::After => return None,
        Stop::Database(error) => behind_what_the_server_said(error, message),
        Stop::Blocked(_)
        | Stop::Held(_)
        | Stop::Claimed(_)
        | Stop::Refused(_)
        | Stop::DoesNotFit(_)
        | Stop::LockHeld(_)
        | Stop::PreviousRunStillActive(_)
        | Stop::ChecksFailed(_) => 0,
    };
    let said = UNCHANGED.iter().flat_map(|(said, holds)| {
        let places = message.match_indices(said);
        places.map(move |(place, _)| (place, *said, *holds))
    });
    let is_ours = |(place, said, _): &(usize, &str, &str)| {
        let behind = message.get(place + said.len()..).unwrap_or_default();
        *place >= ours && ENDS.iter().any(|end| behind.starts_with(end))
    };
    // What is quoted comes first.
    said.filter(is_ours).max_by_key(|(place, ..)| *place)
}

/// Our sentences about an error of the server begin behind its text, which ends with its SQLSTATE.
fn behind_what_the_server_said(error: &DatabaseError, message: &str) -> usize {
    let code = error.sqlstate.as_ref().map(|code| format!(" ({code})."));
    code.and_then(|code| message.rfind(&code)).unwrap_or(0)
}
