//! A state of the model: the database, the runners, and sessions whose client is gone; and what each
//! event makes of it.

use std::collections::BTreeSet;

use schemaward::engine::database::Request;
use schemaward::engine::event::Next;

use super::database::{Answer, Session, Work};
use super::invariants::{self, Violation};
use super::memory::{Handle, Memory, Snapshot, Told};
use super::scenario::{Defect, Faults};

mod possible;
mod server;

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// What is committed.
    pub database: Snapshot,
    /// What of it is on the server's disk.
    pub durable: Snapshot,
    /// Versions that a run told of as applied, and nobody undid since; kept where the server may crash.
    pub told: BTreeSet<usize>,
    /// The runners.
    pub runners: Vec<Runner>,
    /// Sessions that the server has not noticed to be alone, sorted.
    pub orphans: Vec<Session>,
    /// Whether the window is closed.
    pub is_closed: bool,
    /// Faults that may still come.
    pub left: Faults,
}

/// One operator or command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Runner {
    /// The index of its task.
    pub task: usize,
    /// How often it may still begin.
    pub starts: u8,
    /// Its run, while there is one.
    pub run: Option<Run>,
}

/// A run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run {
    /// Its machine, and what that asks for.
    pub at: Handle,
    /// Its session, unless the server ended it.
    pub session: Option<Session>,
}

/// Which session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// A runner's.
    Of(usize),
    /// One without a client.
    Orphan(usize),
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A runner connects and begins a run.
    Begin(usize),
    /// A session takes up the request that was sent to it.
    Serve(Which),
    /// A session executes the next statement, or commits.
    Advance(Which),
    /// The version does not get its locks and is rolled back.
    RefuseLocks(Which),
    /// A statement fails, and the version is rolled back.
    FailScript(Which),
    /// The server cannot go on, and the version is rolled back.
    FailServer(Which),
    /// The caller cancels what is executed.
    Cancel(usize),
    /// The answer comes to the runner.
    Deliver(usize),
    /// A runner's session is gone, and it learns so.
    Notice(usize),
    /// A runner takes its connection for lost, which the server does not know.
    Lose(usize),
    /// A runner's session is ended by somebody.
    Terminate(usize),
    /// A pause is over.
    Wait(usize),
    /// The caller lets the run go on.
    Continue(usize),
    /// The caller wants the run to end.
    Interrupt(usize),
    /// The caller lets nothing more begin, because the window is closed.
    Hold(usize),
    /// The window closes.
    Close,
    /// It opens.
    Open,
    /// A runner is killed.
    Crash(usize),
    /// The server ends a session without a client: what it had open is rolled back.
    End(usize),
    /// Somebody else makes wrong what the checks ask for, or right again.
    Spoil,
    /// The server writes its log by itself.
    Flush,
    /// The server crashes, and comes back with what is on its disk.
    Outage,
}

impl Action {
    /// Whether it is one of the faults that are counted.
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Self::RefuseLocks(_)
                | Self::FailScript(_)
                | Self::FailServer(_)
                | Self::Cancel(_)
                | Self::Lose(_)
                | Self::Terminate(_)
                | Self::Interrupt(_)
                | Self::Crash(_)
                | Self::Spoil
                | Self::Close
                | Self::Outage
        )
    }
}

impl World {
    /// How it begins.
    pub fn new(memory: &mut Memory<'_>) -> Self {
        let scenario = memory.scenario;
        let runner = |task: &usize| Runner {
            task: *task,
            starts: scenario.starts,
            run: None,
        };
        let database = memory.snapshot(&scenario.database);
        Self {
            database,
            durable: database,
            told: BTreeSet::new(),
            runners: scenario.runners.iter().map(runner).collect(),
            orphans: Vec::new(),
            is_closed: false,
            left: scenario.faults,
        }
    }

    /// A database with nobody there but one runner, which nothing will disturb.
    pub fn at_rest(database: Snapshot, task: usize) -> Self {
        Self {
            database,
            durable: database,
            told: BTreeSet::new(),
            runners: vec![Runner {
                task,
                starts: 1,
                run: None,
            }],
            orphans: Vec::new(),
            is_closed: false,
            left: Faults::default(),
        }
    }

    /// All sessions on the server.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.runners
            .iter()
            .filter_map(|runner| runner.run.as_ref()?.session.as_ref())
            .chain(&self.orphans)
    }

    /// The state after an action.
    ///
    /// # Errors
    /// The invariant that does not hold there.
    pub fn after(&self, memory: &mut Memory<'_>, action: Action) -> Result<Self, Violation> {
        let mut world = self.clone();
        match action {
            Action::Begin(index) => {
                let at = memory.begin(world.runners[index].task, world.database);
                world.runners[index].starts -= 1;
                world.runners[index].run = Some(Run {
                    at,
                    session: Some(Session::new()),
                });
                world.send(memory, index)?;
            }
            Action::Serve(which) => world.serve(memory, which),
            Action::Advance(which) => world.advance(memory, which)?,
            Action::RefuseLocks(which) => {
                world.left.refusals -= 1;
                world.session_mut(which).work = Work::Answered(Answer::LockNotAvailable);
            }
            Action::FailScript(which) => {
                world.left.failures -= 1;
                world.fail(memory, which);
            }
            Action::FailServer(which) => {
                world.left.failures -= 1;
                world.session_mut(which).work = Work::Answered(Answer::DiskFull);
            }
            Action::Cancel(index) => {
                world.left.interrupts -= 1;
                world.session_mut(Which::Of(index)).work = Work::Answered(Answer::Cancelled);
            }
            Action::Deliver(index) => {
                let session = world.session_mut(Which::Of(index));
                let Work::Answered(answer) = session.work else {
                    panic!("nothing to deliver");
                };
                session.work = Work::Idle;
                session.along = 0;
                let past = session.past.take();
                let run = world.run_mut(index);
                run.at = past.unwrap_or(run.at);
                world.tell(memory, index, Told::Answer(answer))?;
            }
            Action::Notice(index) => world.lost(memory, index)?,
            Action::Lose(index) => {
                world.left.losses -= 1;
                world.leave(memory, index);
                world.lost(memory, index)?;
            }
            Action::Terminate(index) => {
                world.left.crashes -= 1;
                world.run_mut(index).session = None;
            }
            Action::Wait(index) => world.tell(memory, index, Told::Waited)?,
            Action::Continue(index) => world.tell(memory, index, Told::Continue)?,
            Action::Interrupt(index) => {
                world.left.interrupts -= 1;
                world.tell(memory, index, Told::Interrupt)?;
            }
            Action::Hold(index) => world.tell(memory, index, Told::Closed)?,
            Action::Close => {
                world.left.closings -= 1;
                world.is_closed = true;
            }
            Action::Open => world.is_closed = false,
            Action::Crash(index) => {
                world.left.crashes -= 1;
                world.leave(memory, index);
                world.runners[index].run = None;
            }
            Action::End(index) => {
                world.orphans.remove(index);
            }
            Action::Spoil => {
                world.left.spoils -= 1;
                let mut committed = *memory.committed(world.database);
                committed.spoiled = !committed.spoiled;
                world.database = memory.snapshot(&committed);
                world.durable = world.database;
            }
            Action::Flush => world.durable = world.database,
            Action::Outage => world.outage(memory)?,
        }
        world
            .orphans
            .retain(|orphan| server::matters(memory, orphan));
        world.orphans.sort_unstable();
        invariants::of_sessions(&world)?;
        if world.database != self.database {
            if action != Action::Outage {
                // What somebody undid is not told of any more.
                let committed = memory.committed(world.database);
                world
                    .told
                    .retain(|number| committed.fate(*number).row.is_some());
            }
            invariants::of_database(memory, memory.committed(world.database))?;
        }
        Ok(world)
    }

    /// All sessions end, and what was not on the disk is gone, effects and records.
    fn outage(&mut self, memory: &Memory<'_>) -> Result<(), Violation> {
        self.left.outages -= 1;
        self.database = self.durable;
        self.orphans.clear();
        for runner in &mut self.runners {
            if let Some(run) = &mut runner.run {
                run.session = None;
            }
        }
        invariants::of_outage(&self.told, memory.committed(self.database))
    }

    /// Keeps what a run tells of, where the server may crash.
    fn hear(&mut self, memory: &Memory<'_>, index: usize) {
        if memory.scenario.faults.outages == 0 {
            return;
        }
        let told = memory.told(self.run_mut(index).at);
        let committed = memory.committed(self.database);
        self.told.extend(told);
        self.told
            .retain(|number| committed.fate(*number).row.is_some());
    }

    fn run_mut(&mut self, index: usize) -> &mut Run {
        self.runners[index].run.as_mut().expect("a run")
    }

    fn session(&self, which: Which) -> &Session {
        let run = |index: usize| self.runners[index].run.as_ref().expect("a run");
        match which {
            Which::Of(index) => run(index).session.as_ref().expect("a session"),
            Which::Orphan(index) => &self.orphans[index],
        }
    }

    fn session_mut(&mut self, which: Which) -> &mut Session {
        match which {
            Which::Of(index) => self.run_mut(index).session.as_mut().expect("a session"),
            Which::Orphan(index) => &mut self.orphans[index],
        }
    }

    /// A runner's session is left alone on the server.
    fn leave(&mut self, memory: &Memory<'_>, index: usize) {
        if let Some(mut session) = self.run_mut(index).session.take() {
            if memory.scenario.defect == Some(Defect::LockElsewhere) {
                session.locked = false;
            }
            self.orphans.push(session);
        }
    }

    /// A runner learns that its connection is gone.
    fn lost(&mut self, memory: &mut Memory<'_>, index: usize) -> Result<(), Violation> {
        let run = self.run_mut(index);
        let is_blind = memory.scenario.defect == Some(Defect::BlindRetry);
        if is_blind
            && matches!(&memory.position(run.at).next, Next::Ask(request) if matches!(**request, Request::Execute(_)))
        {
            run.session = Some(Session {
                work: Work::Sent(run.at),
                ..Session::new()
            });
            return Ok(());
        }
        // Between two requests nobody looks, so it is told with the next one.
        if matches!(memory.position(run.at).next, Next::Ask(_)) {
            self.tell(memory, index, Told::Answer(Answer::Lost))?;
        }
        Ok(())
    }

    fn tell(&mut self, memory: &mut Memory<'_>, index: usize, told: Told) -> Result<(), Violation> {
        let is_closed = self.is_closed;
        let run = self.run_mut(index);
        let before = run.at;
        run.at = memory.step(before, told);
        if is_closed {
            let (before, after) = (memory.position(before), memory.position(run.at));
            let task = memory.task(run.at);
            invariants::people::of_closed_window(task, &before.next, &after.next)?;
        }
        self.send(memory, index)
    }

    /// The machine's request is under way; or its run is over, and the session with it.
    fn send(&mut self, memory: &mut Memory<'_>, index: usize) -> Result<(), Violation> {
        self.hear(memory, index);
        let run = *self.run_mut(index);
        match &memory.position(run.at).next {
            Next::Ask(_) => {
                if let Some(session) = &mut self.run_mut(index).session {
                    session.work = Work::Sent(run.at);
                }
            }
            Next::Done(outcome) => {
                let committed = memory.committed(self.database);
                invariants::of_outcome(memory.task(run.at), committed, run.session, outcome)?;
                memory.end(run.at);
                self.leave(memory, index);
                self.runners[index].run = None;
            }
            Next::Pause(_) | Next::MayRun | Next::Checkpoint(_) | Next::Judge(_) => {}
        }
        Ok(())
    }
}
