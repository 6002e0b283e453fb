//! Carries out what a person decided by an annotation, before the attempt goes on.

use crate::api::condition::Reason;
use crate::engine;
use crate::engine::decision::{Decision, Wish};
use crate::engine::outcome::{End, Outcome, Stop};
use crate::engine::task::Mode;
use crate::postgres::Postgres;

use super::attempt::Attempt;
use super::decisions::{Decided, Open, open};
use super::events::Severity;
use super::migrate::Run;
use super::news::News;

/// Reasons of the events about decisions.
const DECIDED: &str = "Decided";
const REFUSED: &str = Reason::DecisionRefused.as_str();

/// What became of the open decisions.
pub struct Decisions {
    /// Those that were acted on or refused.
    pub decided: Decided,
    /// One of them says that the database that answers now is the right one, and was carried out.
    pub database_accepted: bool,
    /// What kept the others from being carried out; it is what the attempt came to.
    pub stopped: Option<(Attempt, Mode)>,
}

impl Run<'_> {
    /// Carries out what is open, each in a run of its own. What cannot be carried out as it was asked is
    /// told by an event and in status; what stands in the way ends the attempt, and is tried again as any other trouble.
    pub async fn decide(&self) -> Decisions {
        let mut all = Decisions {
            decided: Decided::default(),
            database_accepted: false,
            stopped: None,
        };
        for Open {
            kind,
            value,
            decision,
        } in open(self.resource, self.memory.handled())
        {
            let annotation = kind.annotation();
            let (reason, note) = match decision {
                Err(invalid) => (
                    REFUSED,
                    format!("Annotation {annotation} cannot be acted on: {invalid}."),
                ),
                Ok(decision) => match self.carry_out_decision(decision.clone()).await {
                    Ok(told) => {
                        all.database_accepted |=
                            told.0 == DECIDED && matches!(decision.wish, Wish::Database(_));
                        told
                    }
                    Err(stopped) => {
                        all.stopped = Some(stopped);
                        return all;
                    }
                },
            };
            let severity = if reason == DECIDED {
                Severity::Normal
            } else {
                all.decided.refused.insert(kind, note.clone());
                Severity::Warning
            };
            self.tell(News {
                severity,
                reason,
                action: "Decide",
                note,
            });
            all.decided.handled.insert(annotation.to_owned(), value);
        }
        all
    }

    /// The event's reason and note; an error when the decision was not reached.
    async fn carry_out_decision(
        &self,
        decision: Decision,
    ) -> Result<(&'static str, String), (Attempt, Mode)> {
        let mode = Mode::Decide(Box::new(decision));
        let outcome = match self.run_alone(mode.clone()).await {
            Ok(outcome) => outcome,
            Err(attempt) => return Err((attempt, mode)),
        };
        self.tell_of_another_server(&outcome);
        match outcome.end() {
            End::Decided(_) => Ok((DECIDED, outcome.message())),
            End::Stopped(Stop::Refused(_)) => Ok((REFUSED, outcome.message())),
            End::Reached | End::Planned | End::Interrupted | End::Stopped(_) => {
                Err((Attempt::Ran(Box::new(outcome)), mode))
            }
        }
    }

    async fn run_alone(&self, mode: Mode) -> Result<Outcome, Attempt> {
        let mut database = Postgres::connect(&self.validated.settings)
            .await
            .map_err(Attempt::NotConnected)?;
        let _registered = self.context.running.register(database.canceller());
        let permit = self.permit().await;
        let may_start = || permit.holds();
        let outcome = engine::run(&mut database, self.task(mode), may_start, |_| ()).await;
        database.close().await;
        Ok(outcome)
    }
}
