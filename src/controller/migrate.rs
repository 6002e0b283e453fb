//! The run on the database: one connection, under a permit, cancellable, with its progress in
//! status.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use crate::api::v1alpha1::DatabaseSchema;
use crate::engine;
use crate::engine::identity::Known;
use crate::engine::outcome::Outcome;
use crate::engine::review::Review;
use crate::engine::task::{Mode, Task};
use crate::migration::file_name::Direction;
use crate::postgres::Postgres;

use super::approval::{self, review};
use super::attempt::Attempt;
use super::conditions::RunConditions;
use super::context::{Context, Identity};
use super::decisions::ActedOn;
use super::events::Severity;
use super::memory::Memory;
use super::news::News;
use super::permit::Permit;
use super::progress::ProgressWriter;
use super::report::Report;
use super::turns::Turn;
use super::validate::ValidatedRun;

/// Reason of the event about what a policy warns of, once it ran.
const POLICY_WARNING: &str = "PolicyWarning";
/// Reason of the event that another server has the database than before.
const SERVER_CHANGED: &str = "ServerChanged";

/// One run, with all that it needs.
pub struct Run<'a> {
    /// How to reach the database and what to do there.
    pub validated: &'a ValidatedRun,
    /// The resource.
    pub resource: &'a DatabaseSchema,
    /// When it was read.
    pub read_at: Instant,
    /// Its names.
    pub identity: &'a Identity,
    /// What is remembered of it.
    pub memory: &'a Memory,
    /// What all runs share.
    pub context: &'a Context,
    /// What status knows of the database.
    pub known: Option<Known>,
    /// Keeps what a person decided and this attempt carried out or refused.
    pub acted_on: &'a ActedOn,
    /// Takes what is told beside it.
    pub news: UnboundedSender<News>,
}

impl Run<'_> {
    /// Carries it out as far as `mode` says. A look at a failed script (decision 11) that finds
    /// something else to run is followed by the run; the mode of what was done last comes back too. The `turn`
    /// ends with the work at the database.
    pub async fn carry_out(&self, mode: Mode, report: &mut Report, turn: Turn) -> (Attempt, Mode) {
        if mode == Mode::Plan {
            let looked = self.look().await;
            let goes_on =
                matches!(&looked, Attempt::Ran(outcome) if self.memory.wants_migration(outcome));
            if !goes_on {
                return (looked, Mode::Plan);
            }
        }
        (self.migrate(report, turn).await, Mode::Migrate)
    }

    pub(super) fn task(&self, mode: Mode) -> Task {
        Task {
            mode,
            known: self.known.clone(),
            review: Some(self.review()),
            ..self.validated.task.clone()
        }
    }

    pub(super) async fn permit(&self) -> Permit {
        Permit::for_run(
            self.context.lifecycle.clone(),
            self.context.resources(&self.identity.namespace),
            self.resource,
            self.read_at,
        )
        .await
    }

    fn review(&self) -> Review {
        let owner = self.context.owner(self.identity);
        let asked = review(
            self.resource,
            &owner,
            self.memory.handled(),
            &self.context.configuration,
        );
        Review {
            judgements: self.context.judgements.clone(),
            ..asked
        }
    }

    /// Plans, without a lock and without writing.
    async fn look(&self) -> Attempt {
        let mut database = match Postgres::connect(&self.validated.settings).await {
            Ok(database) => database,
            Err(error) => return Attempt::NotConnected(error),
        };
        let permit = self.permit().await;
        let goes_on = || permit.is_unrevoked();
        let outcome = engine::run(&mut database, self.task(Mode::Plan), goes_on, |_| ()).await;
        database.close().await;
        Attempt::Ran(Box::new(outcome))
    }

    async fn migrate(&self, report: &mut Report, turn: Turn) -> Attempt {
        let began = Instant::now();
        let mut database = match Postgres::connect(&self.validated.settings).await {
            Ok(database) => database,
            Err(error) => return Attempt::NotConnected(error),
        };
        let _registered = self.context.running.register(database.canceller());
        let permit = self.permit().await;
        let writer =
            ProgressWriter::start(report.clone(), database.activity(), self.acted_on.get());
        let mut task = self.task(Mode::Migrate);
        if let (Some(review), false) = (&mut task.review, self.validated.gates.is_empty()) {
            review.wal_position = database.wal_position().await;
        }
        let conditions = RunConditions {
            windows: &self.validated.windows,
            gates: &self.validated.gates,
            client: &self.context.client,
            namespace: &self.identity.namespace,
            grantee: &self.context.grantee,
        };
        let outcome = engine::run_under(
            &conditions,
            &mut database,
            task,
            || permit.holds(),
            |progress| {
                writer.note(&progress);
                if let Some(news) = News::of(&progress) {
                    self.tell(news);
                }
            },
        )
        .await;
        // The connection and its lock go, and the next run may come, whoever is still to be told.
        database.close().await;
        drop(turn);
        self.count(&outcome, began.elapsed());
        self.tell_of_another_server(&outcome);
        self.warn(&outcome);
        if let Ok(written) = writer.finish().await {
            *report = written;
        }
        Attempt::Ran(Box::new(outcome))
    }

    /// Tells that another server has the database: the audit has it now, so that no later run does.
    pub(super) fn tell_of_another_server(&self, outcome: &Outcome) {
        if let Some(change) = outcome.server_change() {
            self.tell_warning(SERVER_CHANGED, change.to_string());
        }
    }

    /// Tells what a policy warns of, once it ran: by then status shows no plan any more.
    fn warn(&self, outcome: &Outcome) {
        if let Some(note) = approval::warning(outcome) {
            self.tell_warning(POLICY_WARNING, note);
        }
    }

    fn tell_warning(&self, reason: &'static str, note: String) {
        self.tell(News {
            severity: Severity::Warning,
            reason,
            action: "Reconcile",
            note,
        });
    }

    fn count(&self, outcome: &Outcome, duration: Duration) {
        let done = |wanted: Direction| {
            let versions = outcome.done().iter();
            versions.filter(|done| done.direction == wanted).count() as u64
        };
        let metrics = &self.context.metrics;
        metrics.run(duration);
        metrics.versions(
            &self.identity.namespace,
            &self.identity.name,
            done(Direction::Up),
            done(Direction::Down),
        );
    }
}
