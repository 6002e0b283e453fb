//! Looking at our own session from a second connection while its answer is awaited.
//!
//! The driver sets no keepalive on its socket, and a long statement may rightly be silent for hours. So
//! silence is not judged; the server is asked whether our session is still there. A host that vanished
//! without a farewell (a failover, a pulled cable) would otherwise be waited for forever. While a script
//! runs the same look shows what it waits for: afterwards nobody could tell.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgConnection;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::engine::error::DatabaseErrorKind;
use crate::engine::sessions::Activity;

use super::activity::{self, Seen};
use super::dial::open;
use super::facts::Session;
use super::query;
use super::settings::{Password, Settings};
use super::startup::Startup;

/// So many questions in a row without an answer: then it is gone.
const UNANSWERED: u32 = 4;

/// Pause before and between looks at a script. Most versions are over before the first one and cost
/// neither a connection nor a round trip. Shorter than `deadlock_timeout`, which is usually 1 s.
const LOOK_PERIOD: Duration = Duration::from_millis(750);

/// Shortest such pause.
const SHORTEST_PERIOD: Duration = Duration::from_millis(50);

/// Whether the password was not to be had, so that no server was asked.
fn is_of_identity(kind: DatabaseErrorKind) -> bool {
    matches!(
        kind,
        DatabaseErrorKind::IdentityUnavailable | DatabaseErrorKind::AccessDenied
    )
}

/// Watches one session.
pub struct Watch {
    settings: Settings,
    session: Arc<OnceLock<Session>>,
    shown: watch::Sender<Option<Activity>>,
    /// Kept from the first look to the end of the run: a version that is tried again is looked at sooner.
    connection: Option<PgConnection>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Whether the session is there.
    Session,
    /// What it does, too.
    Script,
}

/// What one look came to.
enum Answer {
    /// The session is there, and this is what it does.
    Shown(Option<Activity>),
    /// The server is there and did not say.
    Alive,
    /// The server is there and our session is not.
    Gone,
    /// Nothing that speaks for the session.
    Silence,
}

impl Watch {
    /// A watch over the session of `settings`. What it sees a script do goes to `shown`.
    pub fn new(
        settings: Settings,
        session: Arc<OnceLock<Session>>,
        shown: watch::Sender<Option<Activity>>,
    ) -> Self {
        Self {
            settings,
            session,
            shown,
            connection: None,
        }
    }

    /// Returns when the session is known to be gone, and not before.
    pub async fn until_gone(&mut self, subject: Subject) {
        let mut unanswered = 0;
        let mut pause = self.period(subject);
        while unanswered < UNANSWERED {
            sleep(pause).await;
            // A server that does not answer, or that refuses us, is not asked more often for it.
            pause = self.settings.liveness_period;
            match self.look().await {
                Answer::Shown(activity) => {
                    unanswered = 0;
                    pause = self.period(subject);
                    if subject == Subject::Script {
                        self.shown.send_replace(activity);
                    }
                }
                Answer::Alive => unanswered = 0,
                Answer::Gone => return,
                Answer::Silence => unanswered += 1,
            }
        }
    }

    /// Whoever waits for a lock is looked at twice before `lock_timeout` ends the wait.
    fn period(&self, subject: Subject) -> Duration {
        let limit = self.settings.lock_timeout;
        match subject {
            Subject::Session => self.settings.liveness_period,
            Subject::Script if limit.is_zero() => LOOK_PERIOD,
            Subject::Script => (limit / 3).clamp(SHORTEST_PERIOD, LOOK_PERIOD),
        }
        .min(self.settings.liveness_period)
    }

    /// Whether the server answers somebody without a password; what it answers says nothing of the session.
    async fn knock(&self) -> Answer {
        let nobody = Settings {
            password: Password::None,
            ..self.settings.clone()
        };
        match open(&nobody, &Startup::new(&nobody)).await {
            Err(error) if error.kind == DatabaseErrorKind::Unreachable => Answer::Silence,
            Ok(_) | Err(_) => Answer::Alive,
        }
    }

    /// Looks once, on the connection of the last look if there is one.
    async fn look(&mut self) -> Answer {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match open(&self.settings, &Startup::new(&self.settings)).await {
                Ok(connection) => connection,
                Err(error) if error.kind == DatabaseErrorKind::Unreachable => {
                    return Answer::Silence;
                }
                Err(error) if is_of_identity(error.kind) => return self.knock().await,
                // A server that refuses a second connection is there.
                Err(_) => return Answer::Alive,
            },
        };
        let Some(session) = self.session.get() else {
            // Nobody can ask for a session that has not said its name. The first look, which asks it,
            // takes moments on a server that is there.
            return Answer::Silence;
        };
        let question = query::last_row(&mut connection, activity::query(session));
        let Ok(Ok(row)) = timeout(self.settings.connect_timeout, question).await else {
            // The next look opens a new connection and learns more.
            return Answer::Alive;
        };
        self.connection = Some(connection);
        let Some(row) = row else {
            return Answer::Gone;
        };
        let text: String = row.try_get(0).unwrap_or_default();
        serde_json::from_str::<Seen>(&text)
            .map_or(Answer::Alive, |seen| Answer::Shown(seen.activity()))
    }
}
