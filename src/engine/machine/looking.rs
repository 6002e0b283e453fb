//! What a run takes in of one look at the database.

use super::{Machine, State};
use crate::engine::database::Inspection;
use crate::engine::error::DatabaseError;
use crate::engine::event::Next;
use crate::engine::identity::admit;
use crate::engine::judgement::{Judgement, judge};
use crate::engine::outcome::Stop;
use crate::engine::outcome::committed::DECIDED;

impl Machine {
    /// Takes in one look at the database and decides what follows from it.
    pub(super) fn judge(&mut self, seen: &Inspection) -> Result<Judgement, Stop> {
        self.admit(seen)?;
        let judgement = judge(&self.task, seen)?;
        self.outcome
            .passed_claim
            .clone_from(&judgement.passed_claim);
        self.outcome.plan = Some(judgement.plan.clone());
        self.steps = judgement.steps.clone().into();
        Ok(judgement)
    }

    /// Keeps for the outcome what a look showed, if it is the database that the caller knows: of another
    /// one the outcome has nothing to say.
    pub(super) fn admit(&mut self, seen: &Inspection) -> Result<(), Stop> {
        self.outcome.server = Some(seen.server.clone());
        self.outcome.privileges.clone_from(&seen.privileges);
        admit(&self.task, seen)?;
        self.note(seen);
        Ok(())
    }

    /// What was prepared or decided is committed, and nobody could see what there is now.
    pub(super) fn committed_unseen(&mut self, state: State, error: DatabaseError) -> Next {
        let (what, server) = match state {
            State::Deciding(_, server) => (DECIDED.to_owned(), server),
            State::Preparing(what, server) => (what, server),
            other => return self.impossible(&format!("CommittedUnseen while {other:?}")),
        };
        self.outcome.prepared = Some(what);
        // It is noted, so that no later run tells it.
        self.outcome.server_change = server;
        self.stop(Stop::Database(error))
    }

    /// Keeps for the outcome what a look showed.
    pub(super) fn note(&mut self, seen: &Inspection) {
        self.outcome.server = Some(seen.server.clone());
        self.outcome.database_id = seen.installation.map(|found| found.database_id);
        self.outcome.audit_entries = seen.installation.map(|found| found.audit_entries);
        self.outcome.history = Some(seen.history.clone());
    }
}
