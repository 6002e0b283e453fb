//! A version that does not run in one transaction, as a pure step function of its own: each part with its
//! journal row, and for a statement outside of a transaction what the catalog proves of it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::migration::begun::{Begun, Entry, EntryState};
use crate::migration::evidence::{Evidence, Repair};
use crate::migration::part::{Part, Parts, Rest};

use super::database::{Blocker, Execution, Observation, Recorded};
use super::error::{LockTimeout, ScriptFailure, ScriptFailureKind};
use super::outcome::Stop;
use super::recovery::Recovery;
use super::step::{StepAction, StepObservation};

mod proof;
mod recovered;
mod sentences;

pub(super) use sentences::Heard;

/// What comes next.
pub(super) enum Turn {
    /// Ask the database.
    Ask(Box<StepAction>),
    /// Wait, and then ask for the same again.
    Pause {
        /// The attempt that comes next, counted from 1.
        attempt: u32,
        /// Attempts at the most.
        attempts: u32,
        /// Who stood in the way.
        blockers: Vec<Blocker>,
    },
    /// The version is recorded.
    Recorded(Recorded),
    /// It cannot go on.
    Stop(Box<Stop>),
    /// A state that must not be.
    Impossible(String),
}

/// How the statement that is looked after ended.
#[derive(Debug, Clone)]
enum After {
    Succeeded { began: String },
    Failed(Box<ScriptFailure>),
    LockNotAvailable(Vec<Blocker>),
    Unheard,
}

/// What the statement left, of which one thing after the other is put right.
#[derive(Debug, Clone)]
struct Repairs {
    after: After,
    /// The first one is under way.
    left: VecDeque<Repair>,
    /// A person was told of one of them.
    is_told: bool,
}

#[derive(Debug, Clone)]
enum State {
    Resting,
    Running,
    Starting,
    Executing,
    Looking(After),
    Repairing(Repairs),
    Finishing(After),
    Withdrawing(Box<Stop>),
    NotingEscape(Box<Stop>),
    Recording,
    Paused(Box<StepAction>, Box<State>),
}

/// One version in parts.
#[derive(Debug, Clone)]
pub(super) struct Stepwise {
    execution: Arc<Execution>,
    /// As the journal has it.
    begun: Begun,
    parts: VecDeque<Part>,
    rest: Rest,
    state: State,
    attempt: u32,
    attempts: u32,
    /// So often what one attempt of the statement left was put right.
    repairs: u32,
    /// That what an attempt without its locks left was put right is told already of this statement.
    is_clearing_told: bool,
    /// A clause: what is left of a statement that was given up.
    leftover: Option<String>,
    /// A person has to say whether the statement is done.
    in_doubt: bool,
    /// What was found and put right, and not taken yet.
    recovered: Vec<Recovery>,
}

impl Stepwise {
    /// A version of which `begun` is what the journal has. Each part is attempted `attempts` times when its
    /// locks are not free.
    pub(super) fn new(execution: Execution, begun: Option<&Begun>, attempts: u32) -> Self {
        let Parts { parts, rest } = execution.script.parts(begun);
        let begun = begun.cloned().unwrap_or_else(|| Begun {
            version: execution.version.clone(),
            direction: execution.record.direction(),
            entries: Vec::new(),
        });
        Self {
            execution: Arc::new(execution),
            begun,
            parts: parts.into(),
            rest,
            state: State::Resting,
            attempt: 1,
            attempts,
            repairs: 0,
            is_clearing_told: false,
            leftover: None,
            in_doubt: false,
            recovered: Vec::new(),
        }
    }

    /// The version that is run.
    pub(super) fn execution(&self) -> &Arc<Execution> {
        &self.execution
    }

    /// How far it came; `None`: nothing of it is in the journal.
    pub(super) fn begun(&self) -> Option<Begun> {
        (!self.begun.entries.is_empty()).then(|| self.begun.clone())
    }

    /// Why it ends, where that is settled and only the journal is still to be told: a journal that cannot be told
    /// changes nothing about it.
    pub(super) fn reason(&self) -> Option<Stop> {
        match &self.state {
            State::Withdrawing(reason) | State::NotingEscape(reason) => Some((**reason).clone()),
            _ => None,
        }
    }

    /// The next part, or the record.
    pub(super) fn advance(&mut self) -> Turn {
        self.attempt = 1;
        self.repairs = 0;
        self.leftover = None;
        self.is_clearing_told = false;
        let Some(part) = self.parts.front().cloned() else {
            return self.ask(State::Recording, StepAction::Record(self.rest.clone()));
        };
        if part.outside.is_none() {
            return self.ask(State::Running, StepAction::Run(part));
        }
        match self.begun.started() {
            Some(entry) if entry.first == part.first => self.look(After::Unheard),
            _ => self.ask(State::Starting, StepAction::Start(part)),
        }
    }

    /// After a pause.
    pub(super) fn resume(&mut self) -> Turn {
        match std::mem::replace(&mut self.state, State::Resting) {
            State::Paused(action, state) => {
                if matches!(*action, StepAction::Execute(_)) {
                    // What this attempt leaves is its own again.
                    self.repairs = 0;
                }
                self.ask(*state, *action)
            }
            state => impossible("Waited", &state),
        }
    }

    /// Takes in an answer.
    pub(super) fn observe(&mut self, observation: Observation) -> Turn {
        let state = std::mem::replace(&mut self.state, State::Resting);
        match (state, observation) {
            (state, Observation::Step(observation)) => self.stepped(state, observation),
            (State::Recording, Observation::Done(recorded)) => Turn::Recorded(recorded),
            (State::Executing, Observation::Failed(failure)) => {
                self.look(After::Failed(Box::new(failure)))
            }
            (State::Executing, Observation::LockNotAvailable(blockers)) => {
                self.look(After::LockNotAvailable(blockers))
            }
            (State::Running | State::Recording, Observation::Failed(failure))
                if failure.kind == ScriptFailureKind::TransactionEscaped =>
            {
                self.escaped(failure)
            }
            (
                State::Running
                | State::Recording
                | State::Starting
                | State::Looking(_)
                | State::Repairing(..),
                Observation::Failed(failure),
            ) => stop(Stop::Script(Box::new(failure))),
            (State::Running, Observation::LockNotAvailable(blockers)) => match self.part() {
                Ok(part) => self.later(State::Running, StepAction::Run(part), blockers),
                Err(turn) => turn,
            },
            (State::Recording, Observation::LockNotAvailable(blockers)) => {
                let action = StepAction::Record(self.rest.clone());
                self.later(State::Recording, action, blockers)
            }
            (State::Repairing(repairs), Observation::LockNotAvailable(blockers)) => {
                match self.next_repair(&repairs) {
                    Some(action) => self.later(State::Repairing(repairs), action, blockers),
                    None => self.look(repairs.after),
                }
            }
            (state, observation) => impossible(observation.label(), &state),
        }
    }

    fn stepped(&mut self, state: State, observation: StepObservation) -> Turn {
        match (state, observation) {
            (State::Finishing(after), StepObservation::Journaled) => {
                self.note_proof(&after);
                self.part_done()
            }
            (State::Running, StepObservation::Journaled) => self.part_done(),
            (State::Starting, StepObservation::Evidence(before)) => match self.part() {
                Ok(part) => {
                    self.note(&part, EntryState::Started, Some(before));
                    self.ask(State::Executing, StepAction::Execute(part))
                }
                Err(turn) => turn,
            },
            (State::Executing, StepObservation::Executed { began }) => {
                self.look(After::Succeeded { began })
            }
            (State::Looking(after), StepObservation::Evidence(now)) => self.looked(after, &now),
            (State::Repairing(mut repairs), StepObservation::Repaired(repair)) => {
                if let Some(repair) = repair {
                    self.note_repair(&mut repairs, repair);
                }
                repairs.left.pop_front();
                self.put_right(repairs)
            }
            (State::Withdrawing(reason), StepObservation::Journaled) => {
                let withdrawn = self.parts.front().map(|part| part.first);
                self.begun.entries.retain(|entry| {
                    entry.state != EntryState::Started || Some(entry.first) != withdrawn
                });
                Turn::Stop(reason)
            }
            (State::NotingEscape(reason), StepObservation::Journaled) => {
                match self.escaped_part() {
                    Some(part) => self.note(&part, EntryState::Escaped, None),
                    None => return Turn::Impossible("nothing escaped".to_owned()),
                }
                Turn::Stop(reason)
            }
            (state, observation) => impossible(observation.label(), &state),
        }
    }

    fn part_done(&mut self) -> Turn {
        match self.parts.pop_front() {
            Some(part) => self.note(&part, EntryState::Done, None),
            None => return Turn::Impossible("a part is done that nobody ran".to_owned()),
        }
        self.advance()
    }

    fn escaped(&mut self, failure: ScriptFailure) -> Turn {
        let reason = Box::new(Stop::Script(Box::new(failure)));
        match self.escaped_part() {
            Some(part) => self.ask(State::NotingEscape(reason), StepAction::NoteEscape(part)),
            None => Turn::Stop(reason),
        }
    }

    /// What ran when a transaction ended by itself: the next part, or what is left of the script.
    fn escaped_part(&self) -> Option<Part> {
        let of_rest = || self.execution.script.part(self.rest.statements.clone());
        self.parts.front().cloned().or_else(of_rest)
    }

    /// Asks for the same again after a pause, unless that was done often enough.
    fn later(&mut self, state: State, action: StepAction, blockers: Vec<Blocker>) -> Turn {
        if self.attempt >= self.attempts {
            return stop(Stop::LockTimeout(self.lock_timeout(blockers)));
        }
        self.attempt += 1;
        self.state = State::Paused(Box::new(action), Box::new(state));
        Turn::Pause {
            attempt: self.attempt,
            attempts: self.attempts,
            blockers,
        }
    }

    fn lock_timeout(&self, blockers: Vec<Blocker>) -> LockTimeout {
        LockTimeout {
            version: self.execution.version.clone(),
            name: self.execution.name.clone(),
            attempts: self.attempts,
            blockers,
        }
    }

    fn look(&mut self, after: After) -> Turn {
        match self.part() {
            Ok(part) => self.ask(State::Looking(after), StepAction::Look(part)),
            Err(turn) => turn,
        }
    }

    fn ask(&mut self, state: State, action: StepAction) -> Turn {
        self.state = state;
        Turn::Ask(Box::new(action))
    }

    /// The part under way.
    fn part(&self) -> Result<Part, Turn> {
        let part = self.parts.front().cloned();
        part.ok_or_else(|| Turn::Impossible("no part is under way".to_owned()))
    }

    /// Keeps what the journal has.
    fn note(&mut self, part: &Part, state: EntryState, before: Option<Evidence>) {
        self.begun.entries.retain(|entry| entry.first != part.first);
        self.begun.entries.push(Entry {
            first: part.first,
            last: part.last,
            checksum: part.checksum,
            state,
            before,
        });
    }
}

fn stop(reason: Stop) -> Turn {
    Turn::Stop(Box::new(reason))
}

fn impossible(what: &str, state: &State) -> Turn {
    let state = match state {
        State::Resting => "resting",
        State::Running => "running",
        State::Starting => "starting",
        State::Executing => "executing",
        State::Looking(_) => "looking",
        State::Repairing(..) => "repairing",
        State::Finishing(_) => "finishing",
        State::Withdrawing(_) => "withdrawing",
        State::NotingEscape(_) => "noting an escape",
        State::Recording => "recording",
        State::Paused(..) => "paused",
    };
    Turn::Impossible(format!("{what} while {state}"))
}

#[cfg(test)]
mod tests;
