//! A state of the model: the database, the runners, and sessions whose client is gone; and all that
//! can happen next.

use schemaward::engine::database::Request;
use schemaward::engine::event::Next;
use schemaward::engine::step::StepAction;
use schemaward::migration::version::Version;

use super::database::{Answer, Committed, Session, Work, statements_of};
use super::invariants::{self, Violation};
use super::memory::{self, Handle, Memory, Snapshot, Told};
use super::scenario::{Defect, Faults};
use super::texts;

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// What is committed.
    pub database: Snapshot,
    /// The runners.
    pub runners: Vec<Runner>,
    /// Sessions that the server has not noticed to be alone, sorted.
    pub orphans: Vec<Session>,
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
    /// A runner is killed.
    Crash(usize),
    /// The server ends a session without a client: what it had open is rolled back.
    End(usize),
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
        Self {
            database: memory.snapshot(&scenario.database),
            runners: scenario.runners.iter().map(runner).collect(),
            orphans: Vec::new(),
            left: scenario.faults,
        }
    }

    /// A database with nobody there but one runner, which nothing will disturb.
    pub fn at_rest(database: Snapshot, task: usize) -> Self {
        Self {
            database,
            runners: vec![Runner {
                task,
                starts: 1,
                run: None,
            }],
            orphans: Vec::new(),
            left: Faults::default(),
        }
    }

    /// All that has to be tried next. Where a runner or a session is at something that nobody else can
    /// notice, what it may do now comes before everything else: the other orders lead to the same
    /// states. (`Scenario::every_order` tries those, too.)
    pub fn actions(&self, memory: &Memory<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        if memory.scenario.every_order || !self.alone(memory, &mut actions) {
            self.anyone(memory, &mut actions);
        }
        // What goes well first: it leads to where most can still happen.
        actions.sort_by_key(|action| action.is_fault());
        actions
    }

    fn anyone(&self, memory: &Memory<'_>, actions: &mut Vec<Action>) {
        for (index, runner) in self.runners.iter().enumerate() {
            match &runner.run {
                None if runner.starts > 0 => actions.push(Action::Begin(index)),
                None => {}
                Some(run) => self.of_run(memory, index, run, actions),
            }
        }
        for (index, orphan) in self.orphans.iter().enumerate() {
            self.of_session(memory, Which::Orphan(index), orphan, actions);
            actions.push(Action::End(index));
        }
    }

    /// What the first one does that is at something of its own; false when there is none.
    fn alone(&self, memory: &Memory<'_>, actions: &mut Vec<Action>) -> bool {
        for (index, runner) in self.runners.iter().enumerate() {
            match &runner.run {
                None if runner.starts > 0 => {
                    actions.push(Action::Begin(index));
                    return true;
                }
                Some(run) if is_alone(memory, run) => {
                    self.of_run(memory, index, run, actions);
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    fn of_run(&self, memory: &Memory<'_>, index: usize, run: &Run, actions: &mut Vec<Action>) {
        if let Some(session) = &run.session {
            self.of_session(memory, Which::Of(index), session, actions);
        }
        match &memory.position(run.at).next {
            Next::Ask(_) => match run.session.map(|session| session.work) {
                None => actions.push(Action::Notice(index)),
                Some(Work::Answered(_)) => actions.push(Action::Deliver(index)),
                Some(Work::Open(..) | Work::Outside(..)) if self.left.interrupts > 0 => {
                    actions.push(Action::Cancel(index));
                }
                Some(_) => {}
            },
            Next::Pause(_) => {
                actions.push(Action::Wait(index));
                if self.left.interrupts > 0 {
                    actions.push(Action::Interrupt(index));
                }
            }
            Next::MayRun | Next::Checkpoint(_) => {
                actions.push(Action::Continue(index));
                if self.left.interrupts > 0 {
                    actions.push(Action::Interrupt(index));
                }
            }
            Next::Done(outcome) => panic!("a run that is over still goes on: {outcome:?}"),
        }
        if self.left.losses > 0
            && run
                .session
                .is_some_and(|session| session.work != Work::Idle)
        {
            actions.push(Action::Lose(index));
        }
        if self.left.crashes > 0 {
            actions.push(Action::Crash(index));
            if run.session.is_some() {
                actions.push(Action::Terminate(index));
            }
        }
    }

    fn of_session(
        &self,
        memory: &Memory<'_>,
        which: Which,
        session: &Session,
        actions: &mut Vec<Action>,
    ) {
        match session.work {
            Work::Idle | Work::Answered(_) => {}
            Work::Sent(_) => {
                if self.is_served(memory, session) {
                    actions.push(Action::Serve(which));
                }
            }
            Work::Unrecorded(_) => actions.push(Action::Advance(which)),
            Work::Open(request, _) | Work::Outside(request, _) => {
                actions.push(Action::Advance(which));
                let request = memory.request(request);
                if self.left.refusals > 0 && may_fail(request) {
                    actions.push(Action::RefuseLocks(which));
                }
                if self.left.failures > 0 && may_fail(request) {
                    actions.push(Action::FailScript(which));
                    actions.push(Action::FailServer(which));
                }
            }
        }
    }

    /// False where a wrong adapter waits for somebody else first.
    fn is_served(&self, memory: &Memory<'_>, session: &Session) -> bool {
        let Work::Sent(request) = session.work else {
            return false;
        };
        let writes = is_under_the_lock(memory.request(request));
        match memory.scenario.defect {
            Some(Defect::Pooler) => !writes || !self.sessions().any(Session::writes),
            Some(Defect::BlindRetry) => {
                !writes || session.locked || !self.sessions().any(|other| other.locked)
            }
            _ => true,
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
                let at = memory.begin(world.runners[index].task);
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
                world.session_mut(which).work = Work::Answered(Answer::ScriptFailed);
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
            Action::Crash(index) => {
                world.left.crashes -= 1;
                world.leave(memory, index);
                world.runners[index].run = None;
            }
            Action::End(index) => {
                world.orphans.remove(index);
            }
        }
        world.orphans.retain(|orphan| matters(memory, orphan));
        world.orphans.sort_unstable();
        invariants::of_sessions(&world)?;
        if world.database != self.database {
            invariants::of_database(memory, memory.committed(world.database))?;
        }
        Ok(world)
    }

    fn run_mut(&mut self, index: usize) -> &mut Run {
        self.runners[index].run.as_mut().expect("a run")
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
        let run = self.run_mut(index);
        run.at = memory.step(run.at, told);
        self.send(memory, index)
    }

    /// The machine's request is under way; or its run is over, and the session with it.
    fn send(&mut self, memory: &mut Memory<'_>, index: usize) -> Result<(), Violation> {
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
            Next::Pause(_) | Next::MayRun | Next::Checkpoint(_) => {}
        }
        Ok(())
    }

    fn serve(&mut self, memory: &Memory<'_>, which: Which) {
        let defect = memory.scenario.defect;
        let is_free = !self.sessions().any(|session| session.locked);
        let database = self.database;
        let session = self.session_mut(which);
        let Work::Sent(handle) = session.work else {
            panic!("nothing was sent");
        };
        session.work = match memory.request(handle) {
            Request::Inspect if defect == Some(Defect::OldSnapshot) => {
                Work::Answered(Answer::Inspected(*session.saw.get_or_insert(database)))
            }
            Request::Inspect => Work::Answered(Answer::Inspected(database)),
            Request::TryLock => {
                let gets = is_free || matches!(defect, Some(Defect::LockIsShared | Defect::Pooler));
                session.locked |= gets;
                Work::Answered(if gets {
                    Answer::Locked
                } else {
                    Answer::LockHeld
                })
            }
            Request::LoadDown(version) => Work::Answered(stored_down(memory, database, version)),
            Request::Prepare(_) | Request::Execute(_) | Request::Step(_) => {
                session.locked |= defect == Some(Defect::BlindRetry);
                if session.locked || defect == Some(Defect::LockElsewhere) {
                    begun(memory, handle, database)
                } else {
                    Work::Answered(Answer::Lost)
                }
            }
            other => panic!("it is not in the model: {other:?}"),
        };
    }

    /// The next statement; after the last one the commit.
    fn advance(&mut self, memory: &mut Memory<'_>, which: Which) -> Result<(), Violation> {
        let mut committed = *memory.committed(self.database);
        let defect = memory.scenario.defect;
        let session = self.session_mut(which);
        let (handle, done) = match session.work {
            Work::Open(handle, done) => (handle, Some(done)),
            Work::Unrecorded(handle) => (handle, None),
            Work::Outside(handle, phase) => {
                return self.advance_outside(memory, which, handle, phase);
            }
            other => panic!("nothing is open: {other:?}"),
        };
        let request = memory.request(handle);
        if let Some(done) = done {
            if usize::from(done) < statements(request) {
                session.work = Work::Open(handle, done + 1);
                return Ok(());
            }
            committed.effects(request);
        }
        let apart = defect == Some(Defect::RecordApart) && matches!(request, Request::Execute(_));
        if done.is_some() && apart {
            session.work = Work::Unrecorded(handle);
            self.database = memory.snapshot(&committed);
            return Ok(());
        }
        invariants::of_commit(memory, handle, memory.committed(self.database))?;
        let forgets = defect == Some(Defect::NoIntent) && action(request).is_some_and(is_start);
        if !forgets {
            committed.record(request);
        }
        let (is_preparation, answer) = (
            matches!(request, Request::Prepare(_)),
            committed_answer(request, &committed),
        );
        let snapshot = memory.snapshot(&committed);
        self.database = snapshot;
        self.session_mut(which).work = Work::Answered(if is_preparation {
            Answer::Inspected(snapshot)
        } else {
            answer
        });
        Ok(())
    }

    /// What a statement outside of a transaction does next, or what puts right what it left.
    fn advance_outside(
        &mut self,
        memory: &mut Memory<'_>,
        which: Which,
        handle: Handle,
        phase: u8,
    ) -> Result<(), Violation> {
        let Request::Step(step) = memory.request(handle) else {
            panic!("only a step runs outside of a transaction");
        };
        let mends = matches!(step.action, StepAction::Repair(..));
        let mut committed = *memory.committed(self.database);
        if !mends && phase == 0 {
            invariants::of_statement(step, &committed)?;
        }
        let work = match committed.go_outside(step, phase) {
            Some(false) => Work::Outside(handle, phase + 1),
            // What is gone already is put right, too.
            Some(true) | None if mends => Work::Answered(Answer::Repaired),
            Some(true) => Work::Answered(Answer::Executed),
            None => Work::Answered(Answer::ScriptFailed),
        };
        self.session_mut(which).work = work;
        self.database = memory.snapshot(&committed);
        Ok(())
    }
}

/// What a step is asked to do.
fn action(request: &Request) -> Option<&StepAction> {
    match request {
        Request::Step(step) => Some(&step.action),
        _ => None,
    }
}

fn is_start(action: &StepAction) -> bool {
    matches!(action, StepAction::Start(_))
}

/// Whether a request writes, or looks at what only the holder of the lock may rely on.
fn is_under_the_lock(request: &Request) -> bool {
    matches!(
        request,
        Request::Execute(_) | Request::Prepare(_) | Request::Step(_)
    )
}

/// Whether a request sends statements that can fail.
fn may_fail(request: &Request) -> bool {
    match request {
        Request::Execute(_) => true,
        Request::Step(step) => step.action.may_wait_for_locks(),
        _ => false,
    }
}

/// A session takes up a request that the lock is needed for.
fn begun(memory: &Memory<'_>, handle: Handle, database: Snapshot) -> Work {
    let request = memory.request(handle);
    let index = |request| {
        let execution = memory::execution(request);
        let number = texts::number(&execution.version);
        memory.committed(database).fate(number).index
    };
    match action(request) {
        Some(StepAction::Execute(_) | StepAction::Repair(..)) => Work::Outside(handle, 0),
        Some(StepAction::Look(_)) if memory.scenario.defect == Some(Defect::OldEvidence) => {
            Work::Answered(Answer::Evidence(None))
        }
        Some(StepAction::Look(_)) => Work::Answered(Answer::Evidence(index(request))),
        _ => Work::Open(handle, 0),
    }
}

/// The answer to a transaction that is committed.
fn committed_answer(request: &Request, committed: &Committed) -> Answer {
    match action(request) {
        None | Some(StepAction::Record(_)) => Answer::Done,
        Some(StepAction::Start(_)) => {
            let execution = memory::execution(request);
            let number = texts::number(&execution.version);
            Answer::Evidence(committed.fate(number).index)
        }
        Some(_) => Answer::Journaled,
    }
}

/// Whether what a run does next is nobody else's business: it takes in an answer, it goes on, or it
/// executes a statement of a transaction that is not at its end.
fn is_alone(memory: &Memory<'_>, run: &Run) -> bool {
    match (
        &memory.position(run.at).next,
        run.session.map(|session| session.work),
    ) {
        (Next::Ask(_), None | Some(Work::Answered(_))) => true,
        (Next::Ask(_), Some(Work::Open(request, done))) => {
            usize::from(done) < statements(memory.request(request))
        }
        (next, _) => matches!(next, Next::Pause(_) | Next::MayRun | Next::Checkpoint(_)),
    }
}

/// How many statements of a user a request executes.
fn statements(request: &Request) -> usize {
    match request {
        Request::Execute(execution) => execution.script.statements().len(),
        Request::Step(step) => statements_of(&step.action).len(),
        _ => 0,
    }
}

/// Whether a session without a client can still change anything.
fn matters(memory: &Memory<'_>, orphan: &Session) -> bool {
    orphan.locked
        || orphan.writes()
        || match orphan.work {
            Work::Sent(handle) => match memory.request(handle) {
                Request::TryLock => true,
                request => {
                    is_under_the_lock(request)
                        && memory.scenario.defect == Some(Defect::LockElsewhere)
                }
            },
            _ => false,
        }
}

fn stored_down(memory: &Memory<'_>, database: Snapshot, version: &Version) -> Answer {
    let number = texts::number(version);
    let row = memory.committed(database).fate(number).row;
    match row.and_then(|row| row.stored.filter(|_| row.zeros == texts::zeros(version))) {
        Some(stored) => Answer::DownLoaded {
            number: u8::try_from(number).expect("few versions"),
            variant: stored.variant,
        },
        None => Answer::NoSuchText,
    }
}
