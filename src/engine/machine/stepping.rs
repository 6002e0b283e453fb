//! The part of a run that takes a version through its parts.

use std::sync::Arc;

use crate::migration::begun::{Begun, Entry, EntryState};
use crate::migration::blocked::Blocked;

use super::{Machine, State};
use crate::engine::database::{Execution, Request};
use crate::engine::error::{DatabaseErrorKind, UnderWay};
use crate::engine::event::{Next, Pause};
use crate::engine::judgement::unchanged;
use crate::engine::outcome::{End, Stop};
use crate::engine::step::{StepAction, StepRequest};
use crate::engine::stepwise::{Heard, Stepwise, Turn};

impl Machine {
    /// What the journal has of a script that is about to run.
    pub(super) fn begun_of(&self, execution: &Execution) -> Result<Option<Begun>, Blocked> {
        let begun = self
            .outcome
            .history
            .as_ref()
            .and_then(|history| history.begun());
        let begun = begun.filter(|begun| {
            begun.version == execution.version && begun.direction == execution.record.direction()
        });
        match begun {
            None => Ok(None),
            Some(begun) => unchanged(begun, &execution.script).map(|()| Some(begun.clone())),
        }
    }

    /// Starts a version that does not run in one transaction, or goes on with it.
    pub(super) fn begin_parts(&mut self, execution: Execution, begun: Option<&Begun>) -> Next {
        let attempts = self.task.patience.lock_retries + 1;
        let mut stepwise = Stepwise::new(execution, begun, attempts);
        let turn = stepwise.advance();
        self.turned(Box::new(stepwise), turn)
    }

    /// Does what the version's own step function wants.
    pub(super) fn turned(&mut self, mut stepwise: Box<Stepwise>, turn: Turn) -> Next {
        self.recovered.extend(stepwise.take_recovered());
        match turn {
            Turn::Ask(action) => {
                let request = StepRequest {
                    execution: stepwise.execution().clone(),
                    action: *action,
                };
                self.ask(State::Stepping(stepwise), Request::Step(Box::new(request)))
            }
            Turn::Pause {
                attempt,
                attempts,
                blockers,
            } => {
                let version = stepwise.execution().version.clone();
                let remains = stepwise.remains_in_pause();
                self.state = State::PausedInStep(stepwise);
                Next::Pause(Pause::BeforeRetry {
                    is_under_way: true,
                    version,
                    attempt,
                    attempts,
                    blockers,
                    remains,
                })
            }
            Turn::Recorded(recorded) => self.committed(stepwise.execution().clone(), recorded),
            Turn::Stop(reason) => self.stop_in_step(&stepwise, *reason),
            Turn::Impossible(what) => self.impossible(&what),
        }
    }

    /// Ends the run in the middle of a version, with what is left of it.
    pub(super) fn stop_in_step(&mut self, stepwise: &Stepwise, reason: Stop) -> Next {
        let heard = match &reason {
            Stop::Database(error) if error.kind == DatabaseErrorKind::ConnectionLost => Heard::No,
            _ => Heard::Yes,
        };
        self.note_progress(stepwise, heard);
        self.outcome.under_way = Some(UnderWay::of(stepwise.execution()));
        self.end(End::Stopped(reason))
    }

    /// Keeps how far the version came, for the history that the outcome shows and for its sentences.
    pub(super) fn note_progress(&mut self, stepwise: &Stepwise, heard: Heard) {
        self.outcome.remains = stepwise.remains(heard);
        if let Some(history) = &mut self.outcome.history {
            history.set_begun(stepwise.begun());
        }
    }

    /// A script that ended its transaction by itself: the journal keeps that, so that whoever comes next
    /// stops too.
    pub(super) fn note_escape(&mut self, execution: Arc<Execution>, reason: Stop) -> Next {
        let script = &execution.script;
        let Some(part) = script.part(0..script.statements().len()) else {
            return self.stop(reason);
        };
        if let Some(history) = &mut self.outcome.history {
            history.set_begun(Some(Begun {
                version: execution.version.clone(),
                direction: execution.record.direction(),
                entries: vec![Entry {
                    first: part.first,
                    last: part.last,
                    checksum: part.checksum,
                    state: EntryState::Escaped,
                    before: None,
                }],
            }));
        }
        let request = StepRequest {
            execution,
            action: StepAction::NoteEscape(part),
        };
        self.ask(
            State::NotingEscape(Box::new(reason)),
            Request::Step(Box::new(request)),
        )
    }
}
