//! The deciding part of a run: a pure step function. No I/O, no clock, no randomness; the same code
//! runs against PostgreSQL and against a simulated database.

mod deciding;
mod looking;

use std::collections::VecDeque;
use std::time::Duration;

use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::history::{Applied, Stored};
use crate::migration::plan::{DownSource, Step};
use crate::migration::script::Script;
use crate::migration::version::Version;

use super::database::{
    Blocker, Execution, Holder, Inspection, Observation, Record, Recorded, Request,
};
use super::decision::Change;
use super::error::{DatabaseError, DatabaseErrorKind, LockHeld, LockTimeout, UnderWay};
use super::event::{Event, Next, Pause};
use super::judgement::{Judgement, texts};
use super::outcome::{Done, End, Outcome, Stop};
use super::task::{Mode, Task};
use deciding::Locked;

#[derive(Debug, Clone)]
enum State {
    Beginning,
    /// Looking without the lock: most runs end here.
    Looking,
    TryingLock,
    PausedForLock(Option<Holder>),
    /// Looking again, now that nobody else can change what is seen.
    LookingLocked,
    Preparing,
    Deciding(Vec<Change>),
    AtCheckpoint,
    LoadingDown,
    Executing {
        attempt: u32,
    },
    PausedBeforeRetry {
        attempt: u32,
    },
    Over,
}

/// One run in progress.
#[derive(Debug, Clone)]
pub struct Machine {
    task: Task,
    state: State,
    waited: Duration,
    steps: VecDeque<Step>,
    running: Option<Box<Execution>>,
    announced: bool,
    outcome: Outcome,
}

impl Machine {
    /// A run that has not begun.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self {
            task,
            state: State::Beginning,
            waited: Duration::ZERO,
            steps: VecDeque::new(),
            running: None,
            announced: false,
            outcome: Outcome {
                server: None,
                database_id: None,
                audit_entries: None,
                privileges: Vec::new(),
                passed_claim: None,
                history: None,
                plan: None,
                done: Vec::new(),
                under_way: None,
                end: End::Interrupted,
            },
        }
    }

    /// Takes in what happened and says what is next. After `Done` every further call answers `Done`.
    pub fn step(&mut self, event: Event) -> Next {
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, event) {
            (State::Beginning, Event::Begin) => self.ask(State::Looking, Request::Inspect),
            (_, Event::Failed(error)) => self.stop(Stop::Database(error)),
            (state, Event::Observed(observation)) => self.observed(state, *observation),
            (State::PausedForLock(holder), Event::Waited(time)) => {
                self.waited += time;
                if self.waited >= self.task.patience.lock_wait {
                    let held = LockHeld {
                        holder,
                        waited_seconds: self.waited.as_secs(),
                    };
                    return self.stop(Stop::lock_held(held, &self.task.actor));
                }
                self.ask(State::TryingLock, Request::TryLock)
            }
            (State::PausedBeforeRetry { attempt }, Event::Waited(_)) => self.execute(attempt + 1),
            (State::AtCheckpoint, Event::Continue) => self.next_step(),
            (
                State::AtCheckpoint | State::PausedForLock(_) | State::PausedBeforeRetry { .. },
                Event::Interrupt,
            ) => self.end(End::Interrupted),
            (state, event) => self.impossible(&format!("{} while {state:?}", event.label())),
        }
    }

    fn observed(&mut self, state: State, observation: Observation) -> Next {
        match (state, observation) {
            (State::Looking, Observation::Inspected(seen)) => self.looked(&seen),
            (State::TryingLock, Observation::Locked) => {
                self.ask(State::LookingLocked, Request::Inspect)
            }
            (State::TryingLock, Observation::LockHeld(holder)) => {
                self.state = State::PausedForLock(holder.clone());
                Next::Pause(Pause::ForLock { holder })
            }
            (State::LookingLocked, Observation::Inspected(seen)) => self.looked_locked(&seen),
            (State::Preparing, Observation::Inspected(seen)) => self.prepared(&seen),
            (State::Deciding(changes), Observation::Inspected(seen)) => {
                self.decided(changes, &seen)
            }
            (State::LoadingDown, Observation::DownLoaded(bytes)) => self.down_loaded(&bytes),
            (State::Executing { .. }, Observation::Done(recorded)) => self.executed(recorded),
            (State::Executing { .. }, Observation::Failed(failure)) => {
                self.stop(Stop::Script(Box::new(failure)))
            }
            (State::Executing { attempt }, Observation::LockNotAvailable(blockers)) => {
                self.lock_not_available(attempt, blockers)
            }
            (state, observation) => {
                self.impossible(&format!("{} while {state:?}", observation.label()))
            }
        }
    }

    /// First look, without the lock: ends the run when there is nothing to do or no way.
    fn looked(&mut self, seen: &Inspection) -> Next {
        if let Mode::Decide(decision) = self.task.mode.clone() {
            return self.weigh(&decision, seen, Locked::NotYet);
        }
        match self.judge(seen) {
            Err(stop) => self.stop(stop),
            Ok(_) if self.task.mode == Mode::Plan => self.end(End::Planned),
            Ok(judgement) if judgement.nothing_to_do() => self.end(End::Reached),
            Ok(_) => self.ask(State::TryingLock, Request::TryLock),
        }
    }

    fn looked_locked(&mut self, seen: &Inspection) -> Next {
        if let Mode::Decide(decision) = self.task.mode.clone() {
            return self.weigh(&decision, seen, Locked::Yes);
        }
        match self.judge(seen) {
            Err(stop) => self.stop(stop),
            Ok(Judgement {
                preparation: Some(preparation),
                ..
            }) => self.ask(State::Preparing, Request::Prepare(preparation)),
            Ok(_) => self.checkpoint(),
        }
    }

    fn prepared(&mut self, seen: &Inspection) -> Next {
        match self.judge(seen) {
            Err(stop) => self.stop(stop),
            Ok(Judgement {
                preparation: Some(_),
                ..
            }) => self.impossible("the preparation did not last"),
            Ok(_) => self.checkpoint(),
        }
    }

    fn checkpoint(&mut self) -> Next {
        if self.steps.is_empty() {
            return self.end(End::Reached);
        }
        self.state = State::AtCheckpoint;
        let first = !std::mem::replace(&mut self.announced, true);
        let announcement = if first {
            self.outcome.plan.clone()
        } else {
            None
        };
        Next::Checkpoint(announcement.map(Box::new))
    }

    fn next_step(&mut self) -> Next {
        match self.steps.front().cloned() {
            None => self.end(End::Reached),
            Some(Step::Apply { version, .. }) => self.begin_apply(&version),
            Some(Step::Undo {
                version,
                down: DownSource::Stored(_),
                ..
            }) => self.ask(
                State::LoadingDown,
                Request::LoadDown(self.as_recorded(&version)),
            ),
            Some(Step::Undo {
                version,
                name,
                down: DownSource::File(_),
            }) => {
                let Some(down) = self
                    .task
                    .catalog
                    .get(&version)
                    .and_then(|migration| migration.down.clone())
                else {
                    return self.impossible("the plan names a DOWN file that is not there");
                };
                self.begin(version, name, &down.bytes, Record::Undo)
            }
        }
    }

    fn begin_apply(&mut self, version: &Version) -> Next {
        let Some(migration) = self.task.catalog.get(version) else {
            return self.impossible("the plan names a version that is not known");
        };
        let (version, name) = (migration.version.clone(), migration.name.clone());
        let (bytes, record) = (migration.up.bytes.clone(), Record::Apply(texts(migration)));
        self.begin(version, name, &bytes, record)
    }

    fn down_loaded(&mut self, bytes: &[u8]) -> Next {
        let Some(Step::Undo {
            version,
            name,
            down: DownSource::Stored(expected),
        }) = self.steps.front().cloned()
        else {
            return self.impossible("a DOWN text was loaded that nobody wanted");
        };
        if Checksum::of(bytes) != expected {
            return self.stop(Stop::Database(DatabaseError::new(
                DatabaseErrorKind::HistoryUnreadable,
                format!(
                    "The stored DOWN text of {version} does not have its recorded checksum. Nothing \
                     of {version} was undone. Restore schema \"schemaward\" from a backup."
                ),
            )));
        }
        let version = self.as_recorded(&version);
        self.begin(version, name, bytes, Record::Undo)
    }

    fn begin(&mut self, version: Version, name: String, bytes: &[u8], record: Record) -> Next {
        let direction = match record {
            Record::Apply(_) => Direction::Up,
            Record::Undo => Direction::Down,
        };
        let script = match Script::parse(bytes, &self.task.ledger.table) {
            Ok(script) => script,
            Err(defects) => {
                return self.stop(Stop::Unusable {
                    version,
                    direction,
                    defects,
                });
            }
        };
        self.running = Some(Box::new(Execution {
            version,
            name,
            script,
            record,
            actor: self.task.actor.to_string(),
        }));
        self.execute(1)
    }

    fn execute(&mut self, attempt: u32) -> Next {
        match self.running.clone() {
            Some(execution) => self.ask(State::Executing { attempt }, Request::Execute(execution)),
            None => self.impossible("nothing to execute"),
        }
    }

    fn lock_not_available(&mut self, attempt: u32, blockers: Vec<Blocker>) -> Next {
        let Some(execution) = &self.running else {
            return self.impossible("nothing was executing");
        };
        let attempts = self.task.patience.lock_retries + 1;
        if attempt >= attempts {
            let timeout = LockTimeout {
                version: execution.version.clone(),
                name: execution.name.clone(),
                attempts,
                blockers,
            };
            return self.stop(Stop::LockTimeout(timeout));
        }
        let version = execution.version.clone();
        self.state = State::PausedBeforeRetry { attempt };
        Next::Pause(Pause::BeforeRetry {
            version,
            attempt: attempt + 1,
            attempts,
            blockers,
        })
    }

    fn executed(&mut self, recorded: Recorded) -> Next {
        let (Some(execution), Some(history)) = (self.running.take(), &mut self.outcome.history)
        else {
            return self.impossible("nothing was executing");
        };
        let direction = match execution.record {
            Record::Apply(texts) => {
                history.insert(Applied {
                    version: execution.version.clone(),
                    name: execution.name.clone(),
                    applied_at: Some(recorded.at),
                    execution_time_ms: Some(recorded.execution_time_ms),
                    checksum: Some(texts.up_checksum.to_string()),
                    stored: Some(Stored {
                        up: texts.up_checksum,
                        down: texts.down_checksum,
                    }),
                });
                Direction::Up
            }
            Record::Undo => {
                history.remove(&execution.version);
                Direction::Down
            }
        };
        self.outcome.done.push(Done {
            version: execution.version,
            name: execution.name,
            direction,
            at: recorded.at,
            execution_time_ms: recorded.execution_time_ms,
        });
        if let Some(entries) = &mut self.outcome.audit_entries {
            *entries += 1;
        }
        self.steps.pop_front();
        self.checkpoint()
    }

    /// The version's spelling in the ledger, which may differ from the file's (`1` and `001`).
    fn as_recorded(&self, version: &Version) -> Version {
        self.outcome
            .history
            .as_ref()
            .and_then(|history| history.get(version))
            .map_or_else(|| version.clone(), |applied| applied.version.clone())
    }

    fn ask(&mut self, state: State, request: impl Into<Box<Request>>) -> Next {
        self.state = state;
        Next::Ask(request.into())
    }

    fn stop(&mut self, stop: Stop) -> Next {
        self.outcome.under_way = self.running.as_deref().map(UnderWay::of);
        self.end(End::Stopped(stop))
    }

    fn end(&mut self, end: End) -> Next {
        self.state = State::Over;
        self.outcome.end = end;
        Next::Done(Box::new(self.outcome.clone()))
    }

    fn impossible(&mut self, what: &str) -> Next {
        self.stop(Stop::Database(DatabaseError::new(
            DatabaseErrorKind::Internal,
            format!("Schemaward met a state that must not be ({what}). Please report it."),
        )))
    }
}
