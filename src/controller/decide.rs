//! Carries out what a person decided by an annotation, before the attempt goes on.

use crate::api::condition::Reason;
use crate::engine;
use crate::engine::decision::{Decision, Wish};
use crate::engine::outcome::{End, Outcome, Stop};
use crate::engine::task::Mode;
use crate::postgres::Postgres;

use super::attempt::Attempt;
use super::decisions::{Open, Refused, open};
use super::events::Severity;
use super::migrate::Run;
use super::news::News;

/// Reasons of the events about decisions.
const DECIDED: &str = "Decided";
const REFUSED: &str = Reason::DecisionRefused.as_str();

/// What became of the open decisions.
pub struct Decisions {
    /// At least one was carried out or refused; [`Run::acted_on`] has them.
    pub any: bool,
    /// One of them says that the database that answers now is the right one, and was carried out.
    pub database_accepted: bool,
    /// What kept the others from being carried out; it is what the attempt came to.
    pub stopped: Option<(Attempt, Mode)>,
}

/// What comes after a refusal, in every case.
const THEN: &str = "It is not tried again by itself: give the annotation another value, or take it away and set it \
                    anew.";

/// The event's reason and note about a decision that was refused for `why`.
fn refused(why: &str) -> (&'static str, String) {
    (REFUSED, format!("{why} {THEN}"))
}

impl Run<'_> {
    /// Carries out what is open, each in a run of its own. What cannot be carried out as it was asked is
    /// told by an event and in status; what stands in the way ends the attempt, and is tried again as any other trouble.
    pub async fn decide(&self) -> Decisions {
        let mut all = Decisions {
            any: false,
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
                Err(invalid) => refused(&format!(
                    "Annotation {annotation} cannot be acted on: {invalid}. Nothing was changed."
                )),
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
            let (severity, refused) = if reason == DECIDED {
                (Severity::Normal, None)
            } else {
                let generation = self.resource.metadata.generation.unwrap_or_default();
                let why = note.clone();
                (Severity::Warning, Some(Refused { why, generation }))
            };
            // Before it is told: from here on nothing may forget it.
            self.acted_on.note(kind, value, refused);
            all.any = true;
            self.tell(News {
                severity,
                reason,
                action: "Decide",
                note,
            });
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
            // Only that: what else is to be known of the database goes stale, and Ready says it.
            End::Stopped(Stop::Refused(refusal)) => Ok(refused(&refusal.to_string())),
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
