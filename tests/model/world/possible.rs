//! All that can happen next.

use schemaward::engine::database::Request;
use schemaward::engine::event::Next;

use super::server::{escapes_at, is_under_the_lock, statements};
use super::{Action, Run, Which, World};
use crate::database::{Session, Work};
use crate::memory::Memory;
use crate::scenario::Defect;

impl World {
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
        if self.left.spoils > 0 {
            actions.push(Action::Spoil);
        }
        if self.is_closed {
            actions.push(Action::Open);
        } else if self.left.closings > 0 {
            actions.push(Action::Close);
        }
        if self.left.outages > 0 {
            actions.push(Action::Outage);
            if self.durable != self.database {
                actions.push(Action::Flush);
            }
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
                Some(run) if is_alone(memory, run) && !self.may_be_held(memory, run) => {
                    self.of_run(memory, index, run, actions);
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    /// Whether the driver keeps a run from going on now.
    fn is_held(&self, memory: &Memory<'_>, run: &Run) -> bool {
        let reads = memory.scenario.defect != Some(Defect::WindowUnread);
        self.is_closed && reads && memory.is_for_a_window(run.at)
    }

    /// Whether it makes a difference to a run if the window closes, or opens, before it goes on.
    fn may_be_held(&self, memory: &Memory<'_>, run: &Run) -> bool {
        (self.is_closed || self.left.closings > 0) && memory.is_for_a_window(run.at)
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
            _ if self.is_held(memory, run) => actions.push(Action::Hold(index)),
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
            Next::Judge(_) => panic!("scripts are judged at once"),
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
}

/// Whether a request sends statements that can fail.
fn may_fail(request: &Request) -> bool {
    match request {
        Request::Execute(_) => true,
        Request::Step(step) => step.action.may_wait_for_locks(),
        _ => false,
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
            let request = memory.request(request);
            usize::from(done) < statements(request) && !escapes_at(request, done)
        }
        (next, _) => matches!(next, Next::Pause(_) | Next::MayRun | Next::Checkpoint(_)),
    }
}
