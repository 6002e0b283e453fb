//! Noticing that a session is gone while its answer is awaited.
//!
//! The driver sets no keepalive on its socket, and a long statement may rightly be silent for hours. So
//! silence is not judged; a second connection asks the server whether our session is still there. A host
//! that vanished without a farewell (a failover, a pulled cable) would otherwise be waited for forever.

use std::sync::{Arc, OnceLock};

use sqlx::Connection;
use tokio::time::sleep;

use crate::engine::error::DatabaseErrorKind;

use super::connection::open;
use super::facts::Session;
use super::query;
use super::quote::literal;
use super::settings::Settings;

/// So many questions in a row that found no server: then it is gone.
const UNANSWERED: u32 = 4;

/// Watches one session.
pub struct Watch {
    settings: Settings,
    session: Arc<OnceLock<Session>>,
}

/// What one question came to.
enum Answer {
    /// The session is there, or the server is and would not say.
    Alive,
    /// The server is there and our session is not.
    Gone,
    /// No server answered.
    Silence,
}

impl Watch {
    /// A watch over the session of `settings`.
    pub fn new(settings: Settings, session: Arc<OnceLock<Session>>) -> Self {
        Self { settings, session }
    }

    /// Returns when the session is known to be gone, and not before.
    pub async fn until_gone(&self) {
        let mut unanswered = 0;
        while unanswered < UNANSWERED {
            sleep(self.settings.liveness_period).await;
            match self.ask().await {
                Answer::Alive => unanswered = 0,
                Answer::Gone => return,
                Answer::Silence => unanswered += 1,
            }
        }
    }

    async fn ask(&self) -> Answer {
        let mut connection = match open(&self.settings).await {
            Ok(connection) => connection,
            Err(error) if error.kind == DatabaseErrorKind::Unreachable => return Answer::Silence,
            // A server that refuses a second connection is there.
            Err(_) => return Answer::Alive,
        };
        let answer = match self.session.get() {
            None => Answer::Alive,
            Some(session) => {
                let found = query::last_row(&mut connection, question(session)).await;
                if found.is_ok_and(|row| row.is_none()) {
                    Answer::Gone
                } else {
                    Answer::Alive
                }
            }
        };
        let _ = tokio::time::timeout(self.settings.connect_timeout, connection.close()).await;
        answer
    }
}

fn question(session: &Session) -> String {
    format!(
        "SELECT 1 FROM pg_catalog.pg_stat_activity a WHERE a.pid = {} \
         AND a.backend_start::pg_catalog.text = {}",
        session.pid,
        literal(&session.began)
    )
}
