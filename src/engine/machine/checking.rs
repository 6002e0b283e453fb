//! The part of a run that asks the checks.

use std::collections::VecDeque;

use super::reviewing::Stage;
use super::{Machine, State};
use crate::engine::check::{Check, CheckAnswer, CheckFailure, ChecksFailed, Moment};
use crate::engine::database::{Inspection, Preparation, Request};
use crate::engine::event::Next;
use crate::engine::outcome::committed::prepared;
use crate::engine::outcome::{End, Stop};
use crate::engine::server_identity::ServerChange;
use crate::engine::task::Mode;
use crate::migration::plan::Step;

/// The checks of one moment, under way.
#[derive(Debug, Clone)]
pub(super) struct Checking {
    moment: Moment,
    /// Those that were not answered yet; never empty.
    left: VecDeque<Check>,
    asked: usize,
    failures: Vec<CheckFailure>,
    then: Then,
}

/// What follows when all of them passed.
#[derive(Debug, Clone)]
pub(super) enum Then {
    /// What has to be there before the first version, and the change of the server that is noted with it.
    Prepare(Box<Preparation>, Option<ServerChange>),
    /// The first version.
    Begin,
    /// The end of the run.
    Reach,
}

impl Machine {
    /// Before the first version, with the lock: nothing was written yet. A version of which a part is done
    /// had its turn, and a way back is not kept up by what may be the reason for it.
    pub(super) fn check_before(&mut self, then: Then) -> Next {
        let has_begun = self
            .outcome
            .history
            .as_ref()
            .is_some_and(|history| history.begun().is_some());
        let applies = matches!(self.steps.front(), Some(Step::Apply { .. }));
        if applies && !has_begun {
            self.check(Moment::Before, then)
        } else {
            self.proceed(then)
        }
    }

    /// At the target. Asked at every look that finds nothing to do, too: Ready means that they passed.
    pub(super) fn check_after(&mut self) -> Next {
        if self.task.mode == Mode::Migrate {
            self.check(Moment::After, Then::Reach)
        } else {
            self.proceed(Then::Reach)
        }
    }

    fn check(&mut self, moment: Moment, then: Then) -> Next {
        let history = self.outcome.history.as_ref();
        let current = history.and_then(|history| history.current());
        let due = self.task.checks.iter();
        let left: VecDeque<Check> = due
            .filter(|check| check.is_due(moment, current))
            .cloned()
            .collect();
        if left.is_empty() {
            return self.proceed(then);
        }
        self.state = State::BeforeCheck(Box::new(Checking {
            moment,
            asked: left.len(),
            left,
            failures: Vec::new(),
            then,
        }));
        Next::Checkpoint(None)
    }

    /// The caller lets the run go on to its next check.
    pub(super) fn ask_check(&mut self, checking: Box<Checking>) -> Next {
        match checking.left.front().cloned() {
            Some(check) => self.ask(State::Checking(checking), Request::Check(Box::new(check))),
            None => self.impossible("a check was announced and there is none"),
        }
    }

    pub(super) fn checked(&mut self, mut checking: Box<Checking>, answer: CheckAnswer) -> Next {
        let Some(check) = checking.left.pop_front() else {
            return self.impossible("a check was answered that nobody asked");
        };
        checking.failures.extend(check.judge(answer).err());
        if !checking.left.is_empty() {
            self.state = State::BeforeCheck(checking);
            return Next::Checkpoint(None);
        }
        let Checking {
            moment,
            asked,
            failures,
            then,
            ..
        } = *checking;
        if failures.is_empty() {
            if moment == Moment::After {
                self.outcome.checks_passed = asked;
            }
            return self.proceed(then);
        }
        self.end(End::Stopped(Stop::ChecksFailed(Box::new(ChecksFailed {
            moment,
            failures,
            asked,
        }))))
    }

    fn proceed(&mut self, then: Then) -> Next {
        match then {
            Then::Prepare(preparation, server) => self.ask(
                State::Preparing(prepared(&preparation), server),
                Request::Prepare(*preparation),
            ),
            Then::Begin => self.checkpoint(),
            Then::Reach => self.end(End::Reached),
        }
    }

    /// What was missing is there, and the change of the server is noted, so that no later run tells it.
    pub(super) fn prepared(
        &mut self,
        what: String,
        server: Option<ServerChange>,
        seen: &Inspection,
    ) -> Next {
        self.outcome.prepared = Some(what);
        self.outcome.server_change = server;
        self.judged_at(Stage::Prepared, seen)
    }
}
