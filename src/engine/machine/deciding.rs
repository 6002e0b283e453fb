//! The part of a run that carries out what a person decided.

use super::{Machine, State};
use crate::engine::database::{Inspection, Request};
use crate::engine::decision::{Change, Decision, Weighed, weigh};
use crate::engine::event::Next;
use crate::engine::outcome::End;

/// Whether what was seen can still be changed by somebody else.
pub(super) enum Locked {
    NotYet,
    Yes,
}

impl Machine {
    /// Takes in a look and decides what follows. What cannot be, and what is so already, ends the run
    /// without the lock.
    pub(super) fn weigh(&mut self, decision: &Decision, seen: &Inspection, locked: Locked) -> Next {
        if let Err(stop) = self.admit(seen) {
            return self.stop(stop);
        }
        let Weighed {
            settlement,
            passed_claim,
        } = match weigh(&self.task, decision, seen) {
            Ok(weighed) => weighed,
            Err(stop) => return self.stop(stop),
        };
        self.outcome.passed_claim = passed_claim;
        match (settlement, locked) {
            (None, _) => self.end(End::Decided(Vec::new())),
            (Some(_), Locked::NotYet) => self.ask(State::TryingLock, Request::TryLock),
            (Some(settlement), Locked::Yes) => {
                let changes = settlement.changes.clone();
                let request = Request::Decide(Box::new(settlement));
                self.ask(State::Deciding(changes, seen.server_seen.change()), request)
            }
        }
    }

    /// The decision is written; `seen` is how the database stands now.
    pub(super) fn decided(&mut self, changes: Vec<Change>, seen: &Inspection) -> Next {
        self.note(seen);
        self.end(End::Decided(changes))
    }
}
