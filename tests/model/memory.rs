//! What the small states of the model point to: the machines, with what each asks for, and the
//! databases that were seen.
//!
//! A machine is a pure function of what it was told, so the same machine told the same thing is
//! stepped once; the search meets it a thousand times. `Debug` shows all that a machine holds, and so
//! tells two machines apart.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use schemaward::engine::check::CheckAnswer;
use schemaward::engine::database::{Execution, Holder, Observation, Record, Recorded, Request};
use schemaward::engine::error::{
    DatabaseError, DatabaseErrorKind, ScriptFailure, ScriptFailureKind,
};
use schemaward::engine::event::{Event, Next, Pause};
use schemaward::engine::hold::{Hold, OutsideWindow};
use schemaward::engine::loss::Estimate;
use schemaward::engine::machine::Machine;
use schemaward::engine::outcome::Outcome;
use schemaward::engine::review::{Judgements, ScriptText};
use schemaward::engine::step::{StepAction, StepObservation};
use schemaward::engine::task::Task;
use schemaward::migration::file_name::Direction;
use schemaward::migration::version::Version;

use super::database::{Answer, Committed};
use super::scenario::{Defect, Scenario, people};
use super::texts;

pub mod shown;

/// Names a [`Position`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(u32);

/// Names a database that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Snapshot(u32);

/// A machine, and what it asks for.
pub struct Position {
    /// The index of its task.
    pub task: usize,
    machine: Option<Machine>,
    /// What it asks for.
    pub next: Next,
}

/// What a machine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// The database answered.
    Answer(Answer),
    /// The pause is over.
    Waited,
    /// Go on.
    Continue,
    /// End before the next version.
    Interrupt,
    /// The window is closed.
    Closed,
}

/// How long a pause of the model is.
pub const PAUSE: Duration = Duration::from_secs(1);

/// All that was met so far.
pub struct Memory<'s> {
    /// What it is about.
    pub scenario: &'s Scenario,
    /// Whether equal things are looked for; without it everything is new, and nothing is copied.
    interns: bool,
    positions: Vec<Position>,
    position_of: HashMap<String, Handle>,
    steps: HashMap<(Handle, Told), Handle>,
    snapshots: Vec<Committed>,
    snapshot_of: HashMap<Committed, Snapshot>,
    ended: Option<Handle>,
}

impl<'s> Memory<'s> {
    /// For a search: equal machines and databases are one.
    pub fn interning(scenario: &'s Scenario) -> Self {
        Self {
            interns: true,
            ..Self::forgetful(scenario)
        }
    }

    /// For a single walk, where looking for equal ones costs more than it saves.
    pub fn forgetful(scenario: &'s Scenario) -> Self {
        Self {
            scenario,
            interns: false,
            positions: Vec::new(),
            position_of: HashMap::new(),
            steps: HashMap::new(),
            snapshots: Vec::new(),
            snapshot_of: HashMap::new(),
            ended: None,
        }
    }

    /// How many different machines there are.
    pub fn machines(&self) -> usize {
        self.positions.len()
    }

    /// The position of a handle.
    pub fn position(&self, handle: Handle) -> &Position {
        &self.positions[handle.0 as usize]
    }

    /// The request that a position asks for.
    pub fn request(&self, handle: Handle) -> &Request {
        match &self.position(handle).next {
            Next::Ask(request) => request,
            other => panic!("a session works for {other:?}"),
        }
    }

    /// Whether a run is kept from its next step at a position while its window is closed: where it asks for leave, or
    /// pauses before it begins something, and has something left to run.
    pub fn is_for_a_window(&self, handle: Handle) -> bool {
        let position = self.position(handle);
        let asks = match &position.next {
            Next::MayRun | Next::Checkpoint(_) | Next::Pause(Pause::ForLock { .. }) => true,
            Next::Pause(Pause::BeforeRetry { is_under_way, .. }) => !is_under_way,
            Next::Ask(_) | Next::Judge(_) | Next::Done(_) => false,
        };
        let machine = position.machine.as_ref();
        asks && machine.is_some_and(|machine| !machine.left().is_empty())
    }

    /// The task of a position.
    pub fn task(&self, handle: Handle) -> &Task {
        &self.scenario.tasks[self.position(handle).task]
    }

    /// The versions that a run has told of as applied, at a position.
    pub fn told(&self, handle: Handle) -> Vec<usize> {
        let machine = self.position(handle).machine.as_ref();
        let done = machine.map_or(&[][..], Machine::done);
        let applied = done.iter().filter(|done| done.direction == Direction::Up);
        applied.map(|done| texts::number(&done.version)).collect()
    }

    /// A run is over.
    pub fn end(&mut self, handle: Handle) {
        self.ended = Some(handle);
    }

    /// What the run came to that was over last.
    pub fn ended(&self) -> &Outcome {
        let handle = self.ended.expect("a run that is over");
        match &self.position(handle).next {
            Next::Done(outcome) => outcome,
            other => panic!("a run is over and asks for {other:?}"),
        }
    }

    /// The database of a snapshot.
    pub fn committed(&self, snapshot: Snapshot) -> &Committed {
        &self.snapshots[snapshot.0 as usize]
    }

    /// The snapshot of a database.
    pub fn snapshot(&mut self, committed: &Committed) -> Snapshot {
        let new = Snapshot(u32::try_from(self.snapshots.len()).expect("few databases"));
        let snapshot = if self.interns {
            *self.snapshot_of.entry(*committed).or_insert(new)
        } else {
            new
        };
        if snapshot == new {
            self.snapshots.push(*committed);
        }
        snapshot
    }

    /// A run begins, on a database that only a wrong driver looks at.
    pub fn begin(&mut self, task: usize, database: Snapshot) -> Handle {
        let mut wanted = self.scenario.tasks[task].clone();
        if self.scenario.defect == Some(Defect::ApprovesWhatItSees) {
            people::approve(&mut wanted, self.committed(database));
        }
        let mut machine = Machine::new(wanted);
        let next = next_of(&mut machine, Event::Begin);
        self.keep(task, machine, next)
    }

    /// A machine is told something.
    pub fn step(&mut self, handle: Handle, told: Told) -> Handle {
        if let Some(known) = self.steps.get(&(handle, told)) {
            return *known;
        }
        // A session whose client is gone may still come past this position.
        let goes_on = match &self.position(handle).next {
            Next::Ask(request) => {
                matches!(&**request, Request::Execute(execution) if execution.followed_by.is_some())
            }
            _ => false,
        };
        self.step_from(handle, told, self.interns || goes_on)
    }

    /// Where a machine will be that is told of a version, behind which others were sent along. It is not told yet.
    pub fn past(&mut self, handle: Handle) -> Handle {
        let told = Told::Answer(Answer::Done);
        match self.steps.get(&(handle, told)) {
            Some(known) => *known,
            None => self.step_from(handle, told, true),
        }
    }

    fn step_from(&mut self, handle: Handle, told: Told, keeps: bool) -> Handle {
        let event = self.event(handle, told);
        let position = &mut self.positions[handle.0 as usize];
        let task = position.task;
        let machine = if keeps {
            position.machine.clone()
        } else {
            position.machine.take()
        };
        let mut machine = machine.expect("each machine is stepped once");
        let next = next_of(&mut machine, event);
        let reached = self.keep(task, machine, next);
        if self.interns {
            self.steps.insert((handle, told), reached);
        }
        reached
    }

    fn keep(&mut self, task: usize, machine: Machine, next: Next) -> Handle {
        let new = Handle(u32::try_from(self.positions.len()).expect("few machines"));
        if self.interns {
            let text = format!("{task} {next:?} {machine:?}");
            let handle = *self.position_of.entry(text).or_insert(new);
            if handle != new {
                return handle;
            }
        }
        self.positions.push(Position {
            task,
            machine: Some(machine),
            next,
        });
        new
    }

    fn event(&self, handle: Handle, told: Told) -> Event {
        let answer = match told {
            Told::Answer(answer) => answer,
            Told::Waited => return Event::Waited(PAUSE),
            Told::Continue => return Event::Continue,
            Told::Interrupt => return Event::Interrupt,
            Told::Closed => {
                return Event::Held(Box::new(Hold::Window(OutsideWindow::new(&[], None))));
            }
        };
        let failed = |kind| Event::Failed(DatabaseError::new(kind, "a fault of the model"));
        let observation = match answer {
            Answer::Inspected(snapshot) => Observation::Inspected(Box::new(shown::inspection(
                self.scenario,
                self.committed(snapshot),
            ))),
            Answer::Locked => Observation::Locked,
            Answer::LockHeld => Observation::LockHeld(Some(Holder {
                pid: 7,
                application_name: "schemaward/cli".to_owned(),
                user: "u".to_owned(),
                connected_seconds: Some(5),
                state: None,
                is_same_identity: false,
                waits_for: Vec::new(),
            })),
            Answer::DownsLoaded(variants) => {
                let Request::LoadDowns(versions) = self.request(handle) else {
                    panic!("texts come that nobody asked for");
                };
                let text = |(version, variant): (&Version, Option<u8>)| {
                    let variant = usize::from(variant?);
                    Some(texts::down(texts::number(version), variant).into_bytes())
                };
                Observation::DownsLoaded(versions.iter().zip(variants).map(text).collect())
            }
            Answer::Done => Observation::Done(Recorded {
                at: Timestamp::UNIX_EPOCH,
                execution_time_ms: 1,
                is_flushed: !execution(self.request(handle)).may_flush_later,
                next_is_answered: execution(self.request(handle)).followed_by.is_some(),
            }),
            Answer::Flushed => Observation::Flushed,
            Answer::Journaled => Observation::Step(StepObservation::Journaled),
            Answer::Evidence(seen) => Observation::Step(StepObservation::Evidence(
                shown::evidence(self.request(handle), seen),
            )),
            Answer::Executed => Observation::Step(StepObservation::Executed {
                began: "now".to_owned(),
            }),
            Answer::Repaired => {
                let Request::Step(step) = self.request(handle) else {
                    panic!("a repair that nobody asked for");
                };
                let StepAction::Repair(_, repair) = &step.action else {
                    panic!("a repair that nobody asked for");
                };
                Observation::Step(StepObservation::Repaired(Some(repair.clone())))
            }
            Answer::ScriptFailed => {
                Observation::Failed(failure(self.request(handle), ScriptFailureKind::Failed))
            }
            Answer::Escaped => Observation::Failed(failure(
                self.request(handle),
                ScriptFailureKind::TransactionEscaped,
            )),
            Answer::Checked(holds) => Observation::Checked(CheckAnswer::Value(Some(
                if holds { people::HOLDS } else { "no" }.to_owned(),
            ))),
            Answer::LockNotAvailable => Observation::LockNotAvailable(Vec::new()),
            Answer::Lost => return failed(DatabaseErrorKind::ConnectionLost),
            Answer::Cancelled => return failed(DatabaseErrorKind::Cancelled),
            Answer::DiskFull => return failed(DatabaseErrorKind::DiskFull),
            Answer::Estimated => Observation::Estimated(Estimate::default()),
        };
        Event::Observed(Box::new(observation))
    }
}

/// What a machine does next. Judging scripts needs nobody, so it is done at once.
fn next_of(machine: &mut Machine, event: Event) -> Next {
    static JUDGEMENTS: LazyLock<Judgements> = LazyLock::new(Judgements::default);
    let mut next = machine.step(event);
    while let Next::Judge(scripts) = next {
        let judge = |script: ScriptText| {
            let judged = JUDGEMENTS.of(&script);
            (script.key, judged)
        };
        next = machine.step(Event::Judged(scripts.into_iter().map(judge).collect()));
    }
    next
}

/// The execution that a request is about.
pub fn execution(request: &Request) -> &Execution {
    match request {
        Request::Execute(execution) => execution,
        Request::Step(step) => &step.execution,
        other => panic!("it runs no script: {other:?}"),
    }
}

fn failure(request: &Request, kind: ScriptFailureKind) -> ScriptFailure {
    let execution = execution(request);
    ScriptFailure {
        kind,
        version: execution.version.clone(),
        name: execution.name.clone(),
        direction: match execution.record {
            Record::Apply(_) => Direction::Up,
            Record::Undo => Direction::Down,
        },
        statement: Some(1),
        position: None,
        sqlstate: Some("42P01".to_owned()),
        message: "a fault of the model".to_owned(),
        outside_transaction: matches!(request, Request::Step(step) if matches!(step.action, StepAction::Execute(_))),
        by_hand: None,
    }
}
