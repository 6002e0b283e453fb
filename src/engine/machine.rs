//! The deciding part of a run: a pure step function. No I/O, no clock, no randomness; the same code
//! runs against PostgreSQL and against a simulated database.

mod checking;
mod deciding;
mod executing;
mod flushing;
mod looking;
mod reviewing;
mod stepping;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::migration::lint::Loss;
use crate::migration::new_tables::NewTables;
use crate::migration::plan::{DownSource, Step};
use crate::migration::script::Script;
use crate::migration::version::Version;

use super::database::{Execution, Holder, Inspection, Observation, Record, Request};
use super::decision::Change;
use super::error::{DatabaseError, DatabaseErrorKind, LockHeld, UnderWay};
use super::event::{Event, Next, Pause};
use super::judgement::Judgement;
use super::loss::Estimate;
use super::outcome::{Done, End, Outcome, Stop};
use super::recovery::Recovery;
use super::review::Scripts;
use super::server_identity::ServerChange;
use super::stepwise::{Heard, Stepwise};
use super::task::{Mode, Task};
use checking::Checking;
use deciding::Locked;
use flushing::Unflushed;
use reviewing::{ReadDown, Reviewed, Stage};

#[derive(Debug, Clone)]
enum State {
    Beginning,
    /// Looking without the lock: most runs end here.
    Looking,
    TryingLock,
    PausedForLock,
    /// Looking again, now that nobody else can change what is seen.
    LookingLocked,
    /// Creating what is missing, which is this as a clause, and noting which server it is.
    Preparing(String, Option<ServerChange>),
    /// Reading the texts of ways back, to know what they do.
    ReadingDowns {
        of: Vec<ReadDown>,
        then: Box<Reviewed>,
    },
    /// Finding out what scripts do.
    Judging(Box<Reviewed>),
    /// Asking how much data a way back would take away.
    Estimating {
        losses: Arc<[Loss]>,
        then: Box<Reviewed>,
    },
    /// Writing what a person decided, and which server it is.
    Deciding(Vec<Change>, Option<ServerChange>),
    /// The caller is asked whether the plan may run.
    BeforePlan {
        at: Stage,
        judgement: Box<Judgement>,
    },
    /// The caller is asked whether the next check may start.
    BeforeCheck(Box<Checking>),
    Checking(Box<Checking>),
    AtCheckpoint,
    LoadingDown,
    Executing {
        attempt: u32,
    },
    PausedBeforeRetry {
        attempt: u32,
    },
    /// A version that does not run in one transaction.
    Stepping(Box<Stepwise>),
    PausedInStep(Box<Stepwise>),
    /// Keeping in the journal why the run stops.
    NotingEscape(Box<Stop>),
    Over,
}

/// One run in progress.
#[derive(Debug, Clone)]
pub struct Machine {
    task: Task,
    state: State,
    waited: Duration,
    steps: VecDeque<Step>,
    /// What is known of its scripts, when somebody wants to know.
    scripts: Scripts,
    /// What the ways back of the plan would take away, as it was asked for last, and what the catalog has of it.
    estimated: Option<(Arc<[Loss]>, Estimate)>,
    running: Option<Arc<Execution>>,
    /// Versions that are committed and may not be on the server's disk; nothing was told of them.
    unflushed: Vec<Unflushed>,
    /// What comes next once they are.
    held_back: Option<Box<Next>>,
    /// What the scripts of this run made.
    new_tables: NewTables,
    /// The script of a version whose turn comes next.
    ahead: Option<(Version, Script)>,
    announced: bool,
    /// What was found of earlier runs and put right.
    recovered: Vec<Recovery>,
    /// What is to be written can wait for the next run.
    is_optional: bool,
    /// The version whose text was gone when it was to be read without the lock.
    missed: Option<Version>,
    outcome: Outcome,
}

impl Machine {
    /// A run that has not begun.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self {
            outcome: Outcome::unseen(task.is_scratch),
            task,
            state: State::Beginning,
            waited: Duration::ZERO,
            steps: VecDeque::new(),
            scripts: Scripts::default(),
            estimated: None,
            running: None,
            unflushed: Vec::new(),
            held_back: None,
            new_tables: NewTables::default(),
            ahead: None,
            announced: false,
            recovered: Vec::new(),
            is_optional: false,
            missed: None,
        }
    }

    /// Takes in what happened and says what is next. After `Done` every further call answers `Done`.
    pub fn step(&mut self, event: Event) -> Next {
        if let Some(next) = self.held_back.take() {
            return self.flushed(*next, event);
        }
        let next = self.turn(event);
        self.flush_before(next)
    }

    /// What was done in this run and is there to stay, so far.
    #[must_use]
    pub fn done(&self) -> &[Done] {
        &self.outcome.done
    }

    /// What was found of earlier runs and put right in this one, so far.
    #[must_use]
    pub fn recovered(&self) -> &[Recovery] {
        &self.recovered
    }

    fn turn(&mut self, event: Event) -> Next {
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, event) {
            (State::Beginning, Event::Begin) => self.ask(State::Looking, Request::Inspect),
            (State::Stepping(stepwise), Event::Failed(error)) => {
                let reason = stepwise.reason().unwrap_or(Stop::Database(error));
                self.stop_in_step(&stepwise, reason)
            }
            (State::NotingEscape(reason), Event::Failed(_)) => self.stop(*reason),
            (State::Estimating { losses, then }, Event::Failed(error)) => {
                self.not_estimated(losses, *then, error)
            }
            (State::ReadingDowns { then, .. } | State::Judging(then), Event::Failed(error)) => {
                self.unread_because(*then, Stop::Database(error))
            }
            (_, Event::Failed(error)) => self.stop(Stop::Database(error)),
            (state, Event::Observed(observation)) => self.observed(state, *observation),
            (State::Judging(then), Event::Judged(judged)) => {
                for (key, judged) in judged {
                    self.scripts.take_in(key, judged);
                }
                self.look_through(*then)
            }
            (State::PausedForLock, Event::Waited(time)) => {
                self.waited += time;
                self.ask(State::TryingLock, Request::TryLock)
            }
            (State::PausedBeforeRetry { attempt }, Event::Waited(_)) => self.execute(attempt + 1),
            (State::PausedInStep(mut stepwise), Event::Waited(_)) => {
                let turn = stepwise.resume();
                self.turned(stepwise, turn)
            }
            (State::PausedInStep(stepwise), Event::Interrupt) => {
                self.note_progress(&stepwise, Heard::Yes);
                self.end(End::Interrupted)
            }
            (State::BeforePlan { at, judgement }, Event::Continue) => self.go_on(at, *judgement),
            (State::BeforeCheck(checking), Event::Continue) => self.ask_check(checking),
            (State::AtCheckpoint, Event::Continue) => self.next_step(),
            (
                State::Looking
                | State::LookingLocked
                | State::BeforePlan { .. }
                | State::BeforeCheck(_)
                | State::AtCheckpoint
                | State::PausedForLock
                | State::PausedBeforeRetry { .. },
                Event::Interrupt,
            ) => self.end(End::Interrupted),
            (
                State::BeforePlan { .. }
                | State::BeforeCheck(_)
                | State::AtCheckpoint
                | State::PausedForLock
                | State::PausedBeforeRetry { .. },
                Event::Held(hold),
            ) => self.hold(*hold),
            (state, event) => self.impossible(&format!("{} while {state:?}", event.label())),
        }
    }

    fn observed(&mut self, state: State, observation: Observation) -> Next {
        match (state, observation) {
            (State::Looking, Observation::Inspected(seen)) => self.looked(&seen),
            (State::TryingLock, Observation::Locked) => {
                self.ask(State::LookingLocked, Request::Inspect)
            }
            (State::TryingLock, Observation::LockHeld(holder)) => self.lock_held(holder),
            (State::LookingLocked, Observation::Inspected(seen)) => self.looked_locked(&seen),
            (State::Preparing(what, server), Observation::Inspected(seen)) => {
                self.prepared(what, server, &seen)
            }
            (State::Deciding(changes, server), Observation::Inspected(seen)) => {
                self.outcome.server_change = server;
                self.decided(changes, &seen)
            }
            (State::ReadingDowns { of, then }, Observation::DownsLoaded(texts)) => {
                self.downs_read(&of, &texts, *then)
            }
            (State::Estimating { losses, then }, Observation::Estimated(found)) => {
                self.estimated(losses, found, *then)
            }
            (State::Checking(checking), Observation::Checked(answer)) => {
                self.checked(checking, answer)
            }
            (State::LoadingDown, Observation::DownsLoaded(texts)) => match texts.first() {
                Some(Some(bytes)) => self.down_loaded(bytes),
                _ => self.no_text_to_run(),
            },
            (State::Executing { .. }, Observation::Done(recorded)) => self.executed(recorded),
            (State::Executing { .. }, Observation::Failed(failure)) => self.script_failed(failure),
            (State::Executing { attempt }, Observation::LockNotAvailable(blockers)) => {
                self.lock_not_available(attempt, blockers)
            }
            (State::Stepping(mut stepwise), observation) => {
                let turn = stepwise.observe(observation);
                self.turned(stepwise, turn)
            }
            (State::NotingEscape(reason), Observation::Step(_)) => self.stop(*reason),
            (state, Observation::CommittedUnseen(error)) => self.committed_unseen(state, error),
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
        self.judged_at(Stage::Looked, seen)
    }

    fn looked_locked(&mut self, seen: &Inspection) -> Next {
        self.outcome.is_locked = true;
        if let Mode::Decide(decision) = self.task.mode.clone() {
            return self.weigh(&decision, seen, Locked::Yes);
        }
        self.judged_at(Stage::Locked, seen)
    }

    fn lock_held(&mut self, holder: Option<Holder>) -> Next {
        if self.is_optional {
            return self.check_after();
        }
        if self.waited >= self.task.patience.lock_wait {
            let held = LockHeld {
                holder: holder.map(Box::new),
                waited_seconds: (self.task.patience.waited_before + self.waited).as_secs(),
            };
            return self.stop(Stop::lock_held(held, &self.task.actor));
        }
        self.state = State::PausedForLock;
        Next::Pause(Pause::ForLock { holder })
    }

    fn judged_at(&mut self, at: Stage, seen: &Inspection) -> Next {
        match self.judge(seen) {
            Err(stop) => self.denied(stop),
            Ok(judgement) => self.look_through(Reviewed::Run(at, Box::new(judgement))),
        }
    }

    fn checkpoint(&mut self) -> Next {
        if self.steps.is_empty() {
            return self.check_after();
        }
        self.state = State::AtCheckpoint;
        let first = !std::mem::replace(&mut self.announced, true);
        let announcement = if first {
            self.announcement().map(Box::new)
        } else {
            None
        };
        Next::Checkpoint(announcement)
    }

    fn next_step(&mut self) -> Next {
        match self.steps.front().cloned() {
            None => self.check_after(),
            Some(Step::Apply { version, .. }) => self.begin_apply(&version),
            Some(Step::Undo {
                version,
                down: DownSource::Stored(_),
                ..
            }) => match self.read_already() {
                Some(bytes) => self.down_loaded(&bytes),
                None => self.ask(
                    State::LoadingDown,
                    Request::LoadDowns(vec![self.as_recorded(&version)]),
                ),
            },
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
