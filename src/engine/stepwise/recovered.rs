//! What of a version's statements a person has to be told of, although the run goes on.

use crate::migration::evidence::{Ended, Repair};

use super::{After, Repairs, Stepwise};
use crate::engine::recovery::{Recovered, Recovery};

impl After {
    /// How the statement ended, as far as its sender knows.
    pub(super) fn ended(&self) -> Ended {
        match self {
            Self::Succeeded { .. } => Ended::Succeeded,
            Self::Failed(_) | Self::LockNotAvailable(_) => Ended::Failed,
            Self::Unheard => Ended::Unheard,
        }
    }
}

impl Stepwise {
    /// What was found and put right since this was asked last.
    pub(in crate::engine) fn take_recovered(&mut self) -> Vec<Recovery> {
        std::mem::take(&mut self.recovered)
    }

    /// The journal has the statement as done. That is news where the server did not say so.
    pub(super) fn note_proof(&mut self, after: &After) {
        match after {
            After::Succeeded { .. } => {}
            After::Failed(_) | After::LockNotAvailable(_) | After::Unheard => {
                self.recovered(after, Recovered::Proved);
            }
        }
    }

    /// One thing that the statement left is put right, and that is told whatever becomes of the next. It is news once
    /// where each attempt without its locks leaves the same.
    pub(super) fn note_repair(&mut self, repairs: &mut Repairs, repair: Repair) {
        if self.is_clearing_told && matches!(repairs.after, After::LockNotAvailable(_)) {
            return;
        }
        repairs.is_told = true;
        self.recovered(
            &repairs.after,
            match repair {
                Repair::DropIndex(index) => Recovered::Dropped(index),
                Repair::FinishDetach => Recovered::Detached,
            },
        );
    }

    fn recovered(&mut self, after: &After, what: Recovered) {
        let Some(part) = self.parts.front() else {
            return;
        };
        let script = &self.execution.script;
        let statement = script.statements().get(part.statements.start);
        self.recovered.push(Recovery {
            version: self.execution.version.clone(),
            name: self.execution.name.clone(),
            direction: self.execution.record.direction(),
            statement: part.first,
            words: statement.map_or_else(String::new, |found| script.words_of(found)),
            ended: after.ended(),
            what,
        });
    }
}
