//! The run on the database: one connection, under a permit, cancellable, with its progress in
//! status.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

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
use super::events::Severity;
use super::memory::Memory;
use super::news::News;
use super::permit::Permit;
use super::progress::ProgressWriter;
use super::report::Report;
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
}

impl Run<'_> {
    /// Carries it out as far as `mode` says. A look at a failed script (decision 11) that finds
    /// something else to run is followed by the run; the mode of what was done last comes back too.
    pub async fn carry_out(&self, mode: Mode, report: &mut Report) -> (Attempt, Mode) {
        if mode == Mode::Plan {
            let looked = self.look().await;
            let goes_on =
                matches!(&looked, Attempt::Ran(outcome) if self.memory.wants_migration(outcome));
            if !goes_on {
                return (looked, Mode::Plan);
            }
        }
        (self.migrate(report).await, Mode::Migrate)
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

    async fn migrate(&self, report: &mut Report) -> Attempt {
        let began = Instant::now();
        let mut database = match Postgres::connect(&self.validated.settings).await {
            Ok(database) => database,
            Err(error) => return Attempt::NotConnected(error),
        };
        let _registered = self.context.running.register(database.canceller());
        let permit = self.permit().await;
        let writer = ProgressWriter::start(report.clone(), database.activity());
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
        let (news, coming) = mpsc::unbounded_channel();
        let run = async {
            // Moved in, so that nothing more comes once the run is over.
            let news = news;
            let outcome = engine::run_under(
                &conditions,
                &mut database,
                task,
                || permit.holds(),
                |progress| {
                    writer.note(&progress);
                    if let Some(told) = News::of(&progress) {
                        // Whoever listens does so until the run is over.
                        let _ = news.send(told);
                    }
                },
            )
            .await;
            // The connection and its lock go, whoever is still to be told.
            database.close().await;
            outcome
        };
        let (outcome, ()) = tokio::join!(Box::pin(run), self.tell_all(coming));
        self.count(&outcome, began.elapsed());
        self.tell_of_another_server(&outcome).await;
        self.warn(&outcome).await;
        if let Ok(written) = writer.finish().await {
            *report = written;
        }
        Attempt::Ran(Box::new(outcome))
    }

    /// Tells that another server has the database: the audit has it now, so that no later run does.
    pub(super) async fn tell_of_another_server(&self, outcome: &Outcome) {
        let Some(change) = outcome.server_change() else {
            return;
        };
        let note = change.to_string();
        self.tell(Severity::Warning, SERVER_CHANGED, "Reconcile", &note)
            .await;
    }

    /// Tells what a policy warns of, once it ran: by then status shows no plan any more.
    async fn warn(&self, outcome: &Outcome) {
        let Some(note) = approval::warning(outcome) else {
            return;
        };
        self.tell(Severity::Warning, POLICY_WARNING, "Reconcile", &note)
            .await;
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
