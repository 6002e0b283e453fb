//! One connection for one run, and a second one to cancel from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use tokio::sync::watch;

use crate::engine::database::{Database, Execution, Inspection, Observation, Preparation, Request};
use crate::engine::decision::Settlement;
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::sessions::Activity;
use crate::migration::version::Version;

use super::activity::explained;
use super::dial::open;
use super::error::Work;
use super::facts::{Facts, Session};
use super::history;
use super::prepared::Prepared;
use super::settings::{Pooler, Settings};
use super::startup::Startup;
use super::together::SentAlong;
use super::watch::{Subject, Watch};
use super::{check, decide, error, execute, pooler, prepare, query, session, steps, stored_text};

/// A connection to one database, for one run.
pub struct Postgres {
    pub(super) connection: PgConnection,
    pub(super) settings: Settings,
    pub(super) cancelled: Arc<AtomicBool>,
    /// How the session began.
    pub(super) startup: Startup,
    /// What the session has prepared.
    pub(super) prepared: Option<Prepared>,
    /// What came of versions that were sent along with an earlier one.
    pub(super) sent_along: SentAlong,
    /// When we began to connect.
    pub(super) dialled: Instant,
    /// Behind a pooler: nobody else is served by our session.
    proven: bool,
    /// Known from the first look on.
    pub(super) session: Arc<OnceLock<Session>>,
    /// The last look, which says what exists already.
    pub(super) facts: Option<Facts>,
    /// The migration lock was taken.
    pub(super) is_locked: bool,
    /// What is under way.
    work: Work,
    /// What the server shows of a script that runs for long enough to be looked at.
    activity: watch::Sender<Option<Activity>>,
    watch: Option<Watch>,
}

/// A pooler that shares our session answers a second connection from it at once.
const SHARED_WITHIN: Duration = Duration::from_secs(1);

/// Cancels what a run has under way, from a connection of its own.
#[derive(Clone)]
pub struct Canceller {
    settings: Settings,
    session: Arc<OnceLock<Session>>,
    cancelled: Arc<AtomicBool>,
}

impl Postgres {
    /// Connects and authenticates.
    ///
    /// # Errors
    /// Any kind that reaching a server can have; nothing was changed then.
    pub async fn connect(settings: &Settings) -> Result<Self, DatabaseError> {
        let (dialled, startup) = (Instant::now(), Startup::new(settings));
        let mut database = Self {
            connection: open(settings, &startup).await?,
            settings: settings.clone(),
            cancelled: Arc::default(),
            startup,
            prepared: None,
            sent_along: SentAlong::default(),
            dialled,
            proven: false,
            session: Arc::default(),
            facts: None,
            is_locked: false,
            work: Work::Whole,
            activity: watch::Sender::default(),
            watch: None,
        };
        if let Some(pin) = database.startup.pin() {
            let pinned = query::last_row(&mut database.connection, pin).await;
            pinned.map_err(|cause| error::working(settings, &cause, Work::Whole))?;
        }
        Ok(database)
    }

    /// What the server shows of the script that runs now; nothing in its first second, and nothing
    /// between two of them.
    #[must_use]
    pub fn activity(&self) -> watch::Receiver<Option<Activity>> {
        self.activity.subscribe()
    }

    /// A handle that can cancel while a run has the connection.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller {
            settings: self.settings.clone(),
            session: self.session.clone(),
            cancelled: self.cancelled.clone(),
        }
    }

    /// Ends the session, which frees the migration lock at once.
    pub async fn close(self) {
        // The server ends the session with the connection, whether it hears the farewell or not.
        let _ = tokio::time::timeout(self.settings.connect_timeout, self.connection.close()).await;
    }

    /// For how long we are connected, at the most.
    pub(super) fn connected_for(&self) -> Duration {
        self.dialled.elapsed()
    }

    async fn try_lock(&mut self) -> Result<Observation, DatabaseError> {
        if self.settings.pooler == Pooler::Session && !self.proven {
            self.prove_that_nobody_shares_it().await?;
            self.proven = true;
        }
        let row = self.own(session::try_lock()).await?;
        let locked = row.map(|row| column::<bool, _>(&row, 0)).transpose()?;
        if locked == Some(true) {
            self.is_locked = true;
            return Ok(Observation::Locked);
        }
        Ok(Observation::LockHeld(self.lock_holder().await?))
    }

    /// Connects a second time while our session is idle: a pooler in transaction mode serves that with the
    /// very same server session. Before the lock is taken, because that session would keep it.
    pub(super) async fn prove_that_nobody_shares_it(&self) -> Result<(), DatabaseError> {
        let mut second = open(&self.settings, &Startup::new(&self.settings)).await?;
        let question = query::last_row(&mut second, self.startup.check());
        // In session mode the pool may have no other session for us: then nobody shares ours either.
        let answer = tokio::time::timeout(SHARED_WITHIN, question).await;
        if answer.is_ok() {
            let _ = tokio::time::timeout(SHARED_WITHIN, second.close()).await;
        }
        match answer {
            Ok(Ok(_)) => Err(pooler::shared(&self.settings)),
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    async fn prepare(&mut self, preparation: &Preparation) -> Result<Inspection, DatabaseError> {
        let Some(facts) = &self.facts else {
            return Err(error::internal("a preparation before the first look"));
        };
        let statements = prepare::statements(facts, &self.settings.ledger, preparation)?;
        let written = self.own(statements.join("; ")).await;
        written.map_err(error::or_lock_lost)?;
        self.look_behind_a_commit().await
    }

    async fn decide(&mut self, settlement: &Settlement) -> Result<Inspection, DatabaseError> {
        let Some(facts) = &self.facts else {
            return Err(error::internal("a decision before the first look"));
        };
        let statements = decide::statements(facts, &self.settings.ledger, settlement)?;
        self.own(statements.join("; ")).await?;
        self.look_behind_a_commit().await
    }

    async fn look_behind_a_commit(&mut self) -> Result<Inspection, DatabaseError> {
        self.work = Work::Committed;
        self.look().await.map(|(inspection, _)| inspection)
    }

    /// The stored DOWN texts of the first of these versions; `None` where there is none (any more).
    async fn stored_downs(
        &mut self,
        versions: &[Version],
    ) -> Result<Vec<Option<Vec<u8>>>, DatabaseError> {
        let row = self
            .own(history::stored_downs_query(&self.settings.ledger, versions))
            .await?;
        let packed: Vec<Option<Vec<u8>>> = row
            .map(|row| column(&row, 0))
            .transpose()?
            .unwrap_or_default();
        let texts = versions.iter().zip(packed);
        texts
            .map(|(version, packed)| {
                let unpacked = packed.map(|packed| stored_text::unpack(&packed));
                unpacked.transpose().map_err(|_| {
                    DatabaseError::new(
                        DatabaseErrorKind::HistoryUnreadable,
                        format!(
                            "The stored DOWN text of {version} cannot be unpacked. Nothing of {version} was \
                             undone this time. Restore schema \"schemaward\" from a backup."
                        ),
                    )
                })
            })
            .collect()
    }

    /// Runs own statements, the session checked first; their failure is trouble with the database.
    pub(super) async fn own(
        &mut self,
        sql: String,
    ) -> Result<Option<sqlx::postgres::PgRow>, DatabaseError> {
        let check = self.startup.check();
        let answered = query::last_row_after(&mut self.connection, &check, &sql).await;
        self.own_answered(answered).await
    }

    /// The same of statements that begin with [`Startup::begin_fenced`], which checks the session.
    pub(super) async fn own_fenced(
        &mut self,
        sql: String,
    ) -> Result<Option<sqlx::postgres::PgRow>, DatabaseError> {
        let answered = query::last_row(&mut self.connection, sql).await;
        self.own_answered(answered).await
    }

    async fn own_answered(
        &mut self,
        answered: Result<Option<sqlx::postgres::PgRow>, sqlx::Error>,
    ) -> Result<Option<sqlx::postgres::PgRow>, DatabaseError> {
        match answered {
            Ok(row) => Ok(row),
            Err(cause) => {
                let error = self.explain(&cause);
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// An error of an own statement, with a cancellation of ours told from other errors.
    pub(super) fn explain(&self, cause: &sqlx::Error) -> DatabaseError {
        let code = error::server_error(cause).map(|server| server.code().to_owned());
        if self.is_cancelled() && code.as_deref() == Some(error::QUERY_CANCELED) {
            error::cancelled()
        } else {
            error::working(&self.settings, cause, self.work)
        }
    }

    /// What the session has prepared for `execution`, or is to.
    pub(super) fn prepared_for(&mut self, execution: &Execution) -> Prepared {
        let known = self.prepared.take();
        Prepared::serving(known, execution, &self.settings.ledger, &self.startup)
    }

    /// The connection is gone.
    pub(super) fn lost(&self) -> DatabaseError {
        error::lost(&self.settings, self.work)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Leaves a failed transaction. When even that fails the connection is gone, and the server rolls
    /// back by itself.
    pub(super) async fn roll_back(&mut self) {
        let _ = query::last_row(&mut self.connection, "ROLLBACK".to_owned()).await;
    }
}

impl Database for Postgres {
    async fn perform(&mut self, request: &Request) -> Result<Observation, DatabaseError> {
        self.work = match request {
            Request::Step(_) => Work::InParts,
            Request::Flush => Work::Flush,
            _ => Work::Whole,
        };
        let mut watch = self.watch.take().unwrap_or_else(|| {
            Watch::new(
                self.settings.clone(),
                self.session.clone(),
                self.activity.clone(),
            )
        });
        let subject = match request {
            Request::Execute(_) => Subject::Script,
            Request::Step(step) if step.action.may_wait_for_locks() => Subject::Script,
            _ => Subject::Session,
        };
        let observation = tokio::select! {
            observation = Box::pin(self.obey(request)) => observation,
            () = Box::pin(watch.until_gone(subject)) => Err(self.lost()),
        };
        self.watch = Some(watch);
        let seen = self.activity.send_replace(None);
        match observation {
            Err(error) if self.work == Work::Committed => Ok(Observation::CommittedUnseen(error)),
            observation => observation.map(|observation| explained(observation, seen.as_ref())),
        }
    }
}

impl Postgres {
    async fn obey(&mut self, request: &Request) -> Result<Observation, DatabaseError> {
        match request {
            Request::Inspect => Ok(Observation::Inspected(Box::new(self.inspect().await?))),
            Request::TryLock => self.try_lock().await,
            Request::Prepare(preparation) => Ok(Observation::Inspected(Box::new(
                self.prepare(preparation).await?,
            ))),
            Request::Decide(settlement) => Ok(Observation::Inspected(Box::new(
                self.decide(settlement).await?,
            ))),
            Request::LoadDowns(versions) => self
                .stored_downs(versions)
                .await
                .map(Observation::DownsLoaded),
            Request::Estimate(losses) => self.estimate(losses).await,
            Request::Execute(execution) => execute::execute(self, execution).await,
            Request::Flush => {
                self.flush().await?;
                Ok(Observation::Flushed)
            }
            Request::Check(question) => Ok(Observation::Checked(check::ask(self, question).await?)),
            Request::Step(step) => steps::perform(self, step).await,
        }
    }
}

impl Canceller {
    /// Asks the server to cancel what the run's session executes now, and makes the run end as
    /// [`DatabaseErrorKind::Cancelled`]. Does nothing before the run's first look and between two
    /// statements; call it again until the run ended.
    ///
    /// # Errors
    /// When no second connection can be had.
    pub async fn cancel(&self) -> Result<(), DatabaseError> {
        self.cancelled.store(true, Ordering::Release);
        let Some(session) = self.session.get() else {
            return Ok(());
        };
        let mut connection = open(&self.settings, &Startup::new(&self.settings)).await?;
        let cancelled = query::last_row(
            &mut connection,
            format!(
                "SELECT pg_catalog.pg_cancel_backend(a.pid) FROM pg_catalog.pg_stat_activity a \
                 WHERE a.pid = {} AND a.backend_start::pg_catalog.text = {}",
                session.pid,
                super::quote::literal(&session.began)
            ),
        )
        .await;
        let _ = connection.close().await;
        cancelled
            .map(|_| ())
            .map_err(|cause| error::working(&self.settings, &cause, Work::Whole))
    }
}

/// Decodes one column of an own query.
pub(super) fn column<'r, T, I>(row: &'r sqlx::postgres::PgRow, index: I) -> Result<T, DatabaseError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    I: sqlx::ColumnIndex<sqlx::postgres::PgRow>,
{
    row.try_get(index)
        .map_err(|_| error::internal("a column of an own query has an unexpected type"))
}
