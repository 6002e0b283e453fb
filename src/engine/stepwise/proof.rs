//! What the catalog proves of a statement outside of a transaction, and what follows from it.

use crate::migration::begun::EntryState;
use crate::migration::evidence::{Conclusion, Evidence, conclude};
use crate::migration::part::Part;
use crate::migration::subject::Subject;

use super::{After, Repairs, State, Stepwise, Turn, sentences, stop};
use crate::engine::error::{Doubt, InDoubt, ScriptFailure, ScriptFailureKind};
use crate::engine::outcome::Stop;
use crate::engine::step::{Finished, StepAction};

/// So often what one attempt of a statement left is put right; a repair that does not last is for a person.
const REPAIRS: u32 = 3;

impl Stepwise {
    /// What the catalog proves of the statement, and what follows.
    pub(super) fn looked(&mut self, after: After, now: &Evidence) -> Turn {
        let part = match self.part() {
            Ok(part) => part,
            Err(turn) => return turn,
        };
        match self.conclude(&part, &after, now) {
            Conclusion::Done => {
                let finished = match &after {
                    After::Succeeded { began } => Finished::Executed {
                        began: began.clone(),
                    },
                    After::Failed(_) | After::LockNotAvailable(_) | After::Unheard => {
                        Finished::Proved
                    }
                };
                self.ask(State::Finishing(after), StepAction::Finish(part, finished))
            }
            Conclusion::NotDone { leftover } => {
                self.leftover = leftover.map(|index| sentences::half_dropped(&index));
                self.not_done(part, after)
            }
            Conclusion::Repair(repairs) if self.repairs < REPAIRS => {
                self.repairs += 1;
                self.put_right(Repairs {
                    after,
                    left: repairs.into(),
                    is_told: false,
                })
            }
            Conclusion::InvalidIndex(index) => self.refuted(part, sentences::invalid_index(&index)),
            Conclusion::Skipped => self.refuted(part, sentences::SKIPPED.to_owned()),
            Conclusion::Repair(_) => self.ask_a_person(&part, Doubt::RepairDoesNotLast),
            Conclusion::Unknown => {
                let why = match after {
                    After::Succeeded { .. } => Doubt::Succeeded,
                    After::Failed(_) | After::LockNotAvailable(_) => Doubt::Failed,
                    After::Unheard => Doubt::Unheard,
                };
                self.ask_a_person(&part, why)
            }
        }
    }

    fn conclude(&self, part: &Part, after: &After, now: &Evidence) -> Conclusion {
        let mut entries = self.begun.entries.iter();
        let before = entries
            .find(|entry| entry.state == EntryState::Started && entry.first == part.first)
            .and_then(|entry| entry.before.clone())
            .unwrap_or(Evidence::Nothing);
        conclude(&self.subject(part), &before, now, after.ended())
    }

    /// What the statement of a part acts on.
    pub(super) fn subject(&self, part: &Part) -> Subject {
        let found = self.execution.script.outside(part);
        found.map_or(Subject::Unknown, |(_, subject)| subject)
    }

    /// Asks for the next repair; after the last one, for what the catalog shows then.
    pub(super) fn put_right(&mut self, repairs: Repairs) -> Turn {
        if let Some(action) = self.next_repair(&repairs) {
            return self.ask(State::Repairing(repairs), action);
        }
        let is_clearing = matches!(repairs.after, After::LockNotAvailable(_));
        self.is_clearing_told |= is_clearing && repairs.is_told;
        self.look(repairs.after)
    }

    pub(super) fn next_repair(&self, repairs: &Repairs) -> Option<StepAction> {
        let part = self.parts.front()?.clone();
        let repair = repairs.left.front()?.clone();
        Some(StepAction::Repair(part, repair))
    }

    /// The statement is not done, and nothing of it is in the way of another attempt.
    fn not_done(&mut self, part: Part, after: After) -> Turn {
        match after {
            After::Unheard => self.ask(State::Executing, StepAction::Execute(part)),
            After::LockNotAvailable(blockers) => {
                if self.attempt < self.attempts {
                    return self.later(State::Executing, StepAction::Execute(part), blockers);
                }
                let reason = Stop::LockTimeout(self.lock_timeout(blockers));
                self.withdraw(part, reason)
            }
            After::Failed(failure) => self.withdraw(part, Stop::Script(failure)),
            After::Succeeded { .. } => self.ask_a_person(&part, Doubt::Succeeded),
        }
    }

    /// The server took the statement for done, and it is not.
    fn refuted(&mut self, part: Part, message: String) -> Turn {
        let failure = ScriptFailure {
            kind: ScriptFailureKind::InvalidIndex,
            message,
            ..self.failure_at(&part)
        };
        self.withdraw(part, Stop::Script(Box::new(failure)))
    }

    /// Nothing of the statement is left, so that its journal row can go.
    fn withdraw(&mut self, part: Part, reason: Stop) -> Turn {
        self.ask(
            State::Withdrawing(Box::new(reason)),
            StepAction::Withdraw(part),
        )
    }

    /// Nobody can say whether the statement is done.
    fn ask_a_person(&mut self, part: &Part, why: Doubt) -> Turn {
        self.in_doubt = true;
        let script = &self.execution.script;
        let statement = script.statements().get(part.statements.start);
        stop(Stop::InDoubt(Box::new(InDoubt {
            version: self.execution.version.clone(),
            name: self.execution.name.clone(),
            direction: self.execution.record.direction(),
            statement: part.first,
            position: statement.map(|statement| statement.position),
            words: statement.map_or_else(String::new, |found| script.words_of(found)),
            checksum: part.checksum,
            why,
        })))
    }

    fn failure_at(&self, part: &Part) -> ScriptFailure {
        let statements = self.execution.script.statements();
        ScriptFailure {
            kind: ScriptFailureKind::Failed,
            version: self.execution.version.clone(),
            name: self.execution.name.clone(),
            direction: self.execution.record.direction(),
            statement: Some(part.first),
            position: statements
                .get(part.statements.start)
                .map(|statement| statement.position),
            sqlstate: None,
            message: String::new(),
            outside_transaction: true,
            by_hand: None,
        }
    }
}
