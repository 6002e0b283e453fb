//! What is said when a pooler stands where the server should.

use sqlx::postgres::PgDatabaseError;

use crate::engine::error::{DatabaseError, DatabaseErrorKind};

use super::names::place;
use super::settings::{Pooler, Settings};

/// What to do about a pooler that was not declared.
const CONNECT_DIRECTLY: &str = "Nothing was changed. Connect to the server itself. Through a pooler that keeps \
     one server session for a client (PgBouncer with pool_mode = session), say so: connection.pooler: Session \
     (--pooler session). Transaction and statement mode cannot be used: the migration lock and the script \
     would be on different sessions.";

/// A pooler that refused our start-up packet, if that is what `server` says. PgBouncer takes the few settings
/// that it tracks, and answers every other one with `protocol_violation`.
pub fn refused(settings: &Settings, server: &PgDatabaseError) -> Option<DatabaseError> {
    let is_pooler =
        server.code() == "08P01" && server.message().contains("unsupported startup parameter");
    is_pooler.then(|| {
        detected(format!(
            "{} is a pooler: it refuses the settings that a session of Schemaward starts with, as PgBouncer \
             does. {CONNECT_DIRECTLY}",
            place(settings)
        ))
    })
}

/// The session existed before we connected.
pub fn handed_out(settings: &Settings) -> DatabaseError {
    detected(format!(
        "{} is a pooler: the server session that answers is older than this connection. {CONNECT_DIRECTLY}",
        place(settings)
    ))
}

/// A session without our mark answered.
pub fn another_session(settings: &Settings) -> DatabaseError {
    match settings.pooler {
        Pooler::None => detected(format!(
            "{} is a pooler: the server session that answers did not start with Schemaward's settings. \
             {CONNECT_DIRECTLY}",
            place(settings)
        )),
        Pooler::Session => not_in_session_mode(
            settings,
            "another server session answers than the one before. What was not recorded was rolled back",
        ),
    }
}

/// A second connection was served by our session.
pub fn shared(settings: &Settings) -> DatabaseError {
    not_in_session_mode(
        settings,
        "it gave our server session to a second connection. Nothing was changed",
    )
}

fn not_in_session_mode(settings: &Settings, why: &str) -> DatabaseError {
    detected(format!(
        "The pooler at {} is not in session mode, though connection.pooler (--pooler) says so: {why}. Set \
         pool_mode = session for this database and user, or connect to the server itself.",
        place(settings)
    ))
}

fn detected(message: String) -> DatabaseError {
    DatabaseError::new(DatabaseErrorKind::PoolerDetected, message)
}
