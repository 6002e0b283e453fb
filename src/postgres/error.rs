//! The driver's errors and the server's SQLSTATEs as kinds that the engine knows. The only place that
//! looks at SQLSTATEs (PostgreSQL manual, Appendix A).

mod work;

use std::io;

use rustls::AlertDescription;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::engine::error::{DatabaseError, DatabaseErrorKind as Kind, ScriptFailureKind};

use super::names::{database, place, role};
use super::settings::{Settings, TlsMode};
use super::{password, pooler, sanitize};

pub use work::Work;

/// `lock_not_available` and `deadlock_detected`: the version may be tried again.
pub fn is_lock_trouble(code: &str) -> bool {
    matches!(code, "55P03" | "40P01")
}

/// `query_canceled`.
pub const QUERY_CANCELED: &str = "57014";

/// `invalid_datetime_format`: what [`super::startup::Startup::check`] fails with, and no other own statement.
pub const ANOTHER_SESSION: &str = "22007";

/// `invalid_argument_for_power_function`: what [`super::session::lock_check`] and [`super::session::fence`] fail
/// with, and no other own statement.
pub const LOCK_LOST: &str = "2201F";

/// `invalid_savepoint_specification` and `no_active_sql_transaction`: what releasing the guard
/// savepoint answers when the script ended our transaction.
pub fn is_escape(code: &str) -> bool {
    matches!(code, "3B001" | "25P01")
}

/// SQLSTATE `invalid_sql_statement_name`: no prepared statement of that name.
pub const NO_SUCH_STATEMENT: &str = "26000";

/// The server's own error, if it is one.
pub fn server_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref())
}

/// The class of a script's failure. The server's `hint` names settings, whatever its language.
pub fn script_failure_kind(
    code: &str,
    hint: Option<&str>,
    statement_timeout_is_set: bool,
) -> ScriptFailureKind {
    let is_about_locks = || hint.is_some_and(|hint| hint.contains("max_locks_per_transaction"));
    match code {
        "42501" => ScriptFailureKind::PermissionDenied,
        "53200" if is_about_locks() => ScriptFailureKind::LockTableFull,
        "53200" => ScriptFailureKind::OutOfMemory,
        QUERY_CANCELED if statement_timeout_is_set => ScriptFailureKind::StatementTimeout,
        _ => ScriptFailureKind::Failed,
    }
}

/// Classes of trouble that passes: connection, rolled-back transaction, short resources, a server that
/// stops or starts, its operating system, its own defects.
const PASSING: [&str; 6] = ["08", "40", "53", "57P", "58", "XX"];

/// Trouble that has nothing to do with what a script says, by its SQLSTATE; `None`: the statement is at
/// fault.
pub fn environment_kind(code: &str) -> Option<Kind> {
    Some(match code {
        "28000" | "28P01" => Kind::AuthenticationFailed,
        "3D000" => Kind::DatabaseNotFound,
        "53300" => Kind::TooManyConnections,
        "53100" => Kind::DiskFull,
        "25006" => Kind::ReadOnlyReplica,
        code if PASSING.iter().any(|class| code.starts_with(class)) => Kind::ConnectionLost,
        _ => return None,
    })
}

/// Whether an error in one of our Queries says something about the server rather than the script.
///
/// A script's statement can raise any SQLSTATE (`RAISE`, a foreign server that is away, a GRANT on a
/// database that is not there); only what ended the session, or a full disk, is not its own.
pub fn is_about_the_environment(server: &PgDatabaseError, in_script: bool) -> bool {
    let kind = environment_kind(server.code());
    has_ended(server) || (kind.is_some() && !in_script) || kind == Some(Kind::DiskFull)
}

/// Whether an error behind a script is about our own statements there: no lock that was not to be had, no cancellation,
/// nothing that the server lacks.
pub fn is_about_what_was_sent(server: &PgDatabaseError) -> bool {
    let code = server.code();
    !has_ended(server)
        && !is_lock_trouble(code)
        && code != QUERY_CANCELED
        && environment_kind(code).is_none()
}

/// True when the server ended the session with its error.
pub fn has_ended(server: &PgDatabaseError) -> bool {
    matches!(server.severity(), PgSeverity::Fatal | PgSeverity::Panic)
}

/// What an error means that is not the script's own. `ended`: the server ended the session with it, such as
/// for a time-out that a script set for itself (25P03, 25P04).
fn working_kind(code: &str, ended: bool) -> Kind {
    match code {
        "42501" => Kind::PermissionDenied,
        QUERY_CANCELED => Kind::ConnectionLost,
        code if is_lock_trouble(code) => Kind::ConnectionLost,
        code => environment_kind(code).unwrap_or(if ended {
            Kind::ConnectionLost
        } else {
            Kind::HistoryUnreadable
        }),
    }
}

/// Whether an error may mean that a server tells nobody which one it is: it refuses (`insufficient_privilege`), does
/// not have that (`feature_not_supported`), or changed its control file while it was read, which PostgreSQL 14 did not
/// prevent at first and calls an `internal_error`. No reason to stop; any other error is one of the look.
pub fn is_untold(error: &DatabaseError) -> bool {
    matches!(error.sqlstate.as_deref(), Some("42501" | "0A000" | "XX000"))
}

/// SQLSTATEs of a table, schema or column that is not there.
pub fn is_gone(code: &str) -> bool {
    matches!(code, "42P01" | "3F000" | "42703")
}

/// An error while connecting and authenticating.
pub fn connecting(settings: &Settings, error: &sqlx::Error) -> DatabaseError {
    if let Some(server) = server_error(error) {
        return refused(settings, server);
    }
    let place = place(settings);
    let (kind, message) = match error {
        sqlx::Error::Io(cause) => match tls_cause(cause) {
            Some(rustls::Error::AlertReceived(alert)) => turned_away(&place, *alert),
            Some(cause) => tls(&place, &cause.to_string()),
            None => unreachable(&place, &io_text(cause)),
        },
        sqlx::Error::Tls(cause) if cause.to_string().contains("does not support TLS") => (
            Kind::TlsRequired,
            format!(
                "{place} offers no TLS, and it is demanded. Nothing was sent. Switch TLS on at the \
                 server, or set tls.mode (--sslmode) to Disable where the network is trusted."
            ),
        ),
        sqlx::Error::Tls(cause) => tls(&place, &cause.to_string()),
        sqlx::Error::Protocol(_) => unreachable(&place, "what answers does not speak PostgreSQL"),
        _ => unreachable(&place, "the connection could not be set up"),
    };
    DatabaseError::new(kind, message)
}

/// The name of the host could not be resolved.
pub fn unresolved(settings: &Settings, cause: &io::Error) -> DatabaseError {
    let (kind, message) = unreachable(&place(settings), &io_text(cause));
    DatabaseError::new(kind, message)
}

/// Connecting took too long.
pub fn connect_timeout(settings: &Settings) -> DatabaseError {
    let (kind, message) = unreachable(
        &place(settings),
        &format!(
            "no answer within {} s (a firewall or security group that drops packets looks like this: let this \
             machine in, or see that the VPN or tunnel is up)",
            settings.connect_timeout.as_secs()
        ),
    );
    DatabaseError::new(kind, message)
}

/// What a connection that ended means for what commits whole. A pooler in between may say more than the server did, so
/// no error of its kind tells that the server did not commit.
const RECORDED_OR_NOT: &str = " A version that was under way is either recorded whole or rolled back; the next look at the database \
                               tells.";

/// An error of an own statement, or a connection that ended.
pub fn working(settings: &Settings, error: &sqlx::Error, work: Work) -> DatabaseError {
    let Some(server) = server_error(error) else {
        return lost(settings, work);
    };
    let code = server.code();
    match code {
        ANOTHER_SESSION => return pooler::another_session(settings),
        LOCK_LOST => return lock_lost(),
        _ => {}
    }
    let text = sanitize::message(code, server.message());
    let kind = working_kind(code, has_ended(server));
    let unchanged = work.whole(" Nothing was changed.");
    let message = match kind {
        Kind::ConnectionLost => format!(
            "The server at {} ended the work: {text} ({code}).{}",
            place(settings),
            work.whole(RECORDED_OR_NOT)
        ),
        Kind::DiskFull => format!(
            "The server's disk is full: {text} ({code}).{} Make room.",
            work.whole(" What was under way was rolled back.")
        ),
        Kind::ReadOnlyReplica => format!(
            "The server takes no changes: {text} ({code}).{unchanged} Connect to the primary, or wait for the \
             failover to end."
        ),
        Kind::PermissionDenied => format!(
            "Schemaward may not do its bookkeeping: {text} ({code}).{unchanged} Grant the right to {}.",
            role(settings)
        ),
        _ => format!(
            "Bookkeeping failed: {text} ({code}).{unchanged} Check the history table and schema \"schemaward\"."
        ),
    };
    DatabaseError {
        kind,
        message,
        sqlstate: Some(code.to_owned()),
    }
}

/// The connection ended in the middle of something.
pub fn lost(settings: &Settings, work: Work) -> DatabaseError {
    DatabaseError::new(
        Kind::ConnectionLost,
        format!(
            "The connection to {} was lost.{}",
            place(settings),
            work.whole(RECORDED_OR_NOT)
        ),
    )
}

/// What a look saw is committed, and the server's disk does not take it.
pub fn not_on_disk(settings: &Settings) -> DatabaseError {
    DatabaseError::new(
        Kind::ConnectionLost,
        format!(
            "The server at {} keeps what was seen in memory: it is not on its disk yet, and a crash would take it \
             back. Nothing was changed. Look at the server's disk if that stays so; the next run looks again.",
            place(settings)
        ),
    )
}

/// The lock check or the fence before something of ours failed.
fn lock_lost() -> DatabaseError {
    DatabaseError::new(
        Kind::LockLost,
        "The migration lock is not this session's any more: a script released it (pg_advisory_unlock_all), or \
         something between here and the server hands its sessions round.",
    )
}

/// The error of what is prepared before the first version: what released the lock then is a check. What that
/// means for the data, the engine says.
pub fn or_lock_lost(error: DatabaseError) -> DatabaseError {
    if error.kind != Kind::LockLost {
        return error;
    }
    DatabaseError::new(
        Kind::LockLost,
        "The migration lock is not this session's any more: a check released it (pg_advisory_unlock_all), or \
         something between here and the server hands its sessions round.",
    )
}

/// We asked the server to cancel.
pub fn cancelled() -> DatabaseError {
    DatabaseError {
        kind: Kind::Cancelled,
        message: "Cancelled on request. What was under way in a transaction was rolled back."
            .to_owned(),
        sqlstate: Some(QUERY_CANCELED.to_owned()),
    }
}

/// Whether it is a cancellation of ours that hit.
pub fn is_cancellation(error: &DatabaseError) -> bool {
    error.kind == Kind::Cancelled
}

/// We asked the server to cancel a statement outside of a transaction.
pub fn cancelled_outside() -> DatabaseError {
    DatabaseError {
        message: "Cancelled on request.".to_owned(),
        ..cancelled()
    }
}

/// A state of the connection that must not be.
pub fn internal(what: &str) -> DatabaseError {
    DatabaseError::new(
        Kind::Internal,
        format!("Schemaward met a state that must not be ({what}). Please report it."),
    )
}

/// The server answered the start-up with an error.
fn refused(settings: &Settings, server: &PgDatabaseError) -> DatabaseError {
    let place = place(settings);
    let code = server.code();
    if let Some(error) = pooler::refused(settings, server) {
        return error;
    }
    let role = role(settings);
    let plaintext_refused = code == "28000"
        && settings.tls.mode == TlsMode::Disable
        && server.message().contains("no encryption");
    let kind = match environment_kind(code) {
        _ if plaintext_refused => Kind::TlsRequired,
        Some(kind) => kind,
        None if code == "42501" => Kind::PermissionDenied,
        None => Kind::Unreachable,
    };
    let message = match kind {
        Kind::TlsRequired => format!(
            "{place} refuses {role} without TLS ({code}). Nothing was changed. Set tls.mode \
             (--sslmode) to VerifyFull."
        ),
        Kind::AuthenticationFailed => password::not_accepted(settings, code),
        Kind::DatabaseNotFound => format!(
            "{place} has no {} ({code}). Nothing was changed. Create it, or correct the \
             name; Schemaward does not create databases.",
            database(settings)
        ),
        Kind::TooManyConnections => {
            format!("{place} has no connection free ({code}). Nothing was changed.")
        }
        _ => format!(
            "{place} refused the connection: {} ({code}). Nothing was changed.",
            sanitize::message(code, server.message())
        ),
    };
    DatabaseError {
        kind,
        message,
        sqlstate: Some(code.to_owned()),
    }
}

fn unreachable(place: &str, why: &str) -> (Kind, String) {
    (
        Kind::Unreachable,
        format!("No connection to {place}: {why}. Nothing was changed."),
    )
}

fn tls(place: &str, why: &str) -> (Kind, String) {
    (
        Kind::TlsVerificationFailed,
        format!(
            "The certificate of {place} did not pass: {why}. No password was sent. Give the right CA \
             in tls.ca (--ca-file), or connect by the name that the certificate carries."
        ),
    )
}

/// The server ended the handshake.
fn turned_away(place: &str, alert: AlertDescription) -> (Kind, String) {
    (
        Kind::TlsVerificationFailed,
        format!(
            "{place} ended the TLS handshake ({alert:?}). No password was sent. Where it checks client \
             certificates, ours must come from an authority that it knows (tls.clientCertificate, --ssl-cert); \
             else it has no version or method of TLS in common with us."
        ),
    )
}

/// A TLS library's error that came wrapped in an I/O error.
fn tls_cause(error: &io::Error) -> Option<&rustls::Error> {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
}

/// What an I/O error says, in words that do not change with the platform.
pub(super) fn io_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
            "the connection was closed at once".to_owned()
        }
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "no route to the host".to_owned()
        }
        _ if error.raw_os_error().is_none() => "the name could not be resolved".to_owned(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_is_wrong_with_the_history() {
        for (code, ended, expected) in [
            // A restart, a crash of another session, a server on its way up, an idle session, a dropped
            // database.
            ("57P01", true, Kind::ConnectionLost),
            ("57P02", true, Kind::ConnectionLost),
            ("57P03", true, Kind::ConnectionLost),
            ("57P04", true, Kind::ConnectionLost),
            ("57P05", true, Kind::ConnectionLost),
            // Time-outs that a script set for itself.
            ("25P03", true, Kind::ConnectionLost),
            ("25P04", true, Kind::ConnectionLost),
            ("08006", true, Kind::ConnectionLost),
            ("40001", false, Kind::ConnectionLost),
            ("55P03", false, Kind::ConnectionLost),
            ("53200", false, Kind::ConnectionLost),
            ("58030", false, Kind::ConnectionLost),
            ("XX000", false, Kind::ConnectionLost),
            ("53100", false, Kind::DiskFull),
            ("53300", true, Kind::TooManyConnections),
            ("25006", false, Kind::ReadOnlyReplica),
            ("42501", false, Kind::PermissionDenied),
            ("42703", false, Kind::HistoryUnreadable),
            ("22001", false, Kind::HistoryUnreadable),
        ] {
            assert_eq!(working_kind(code, ended), expected, "{code}");
        }
    }

    #[test]
    fn a_script_that_failed_for_want_of_memory_is_told_from_a_wrong_one() {
        use ScriptFailureKind as Failure;
        let locks = Some("Es könnte sein, dass Sie »max_locks_per_transaction« erhöhen müssen.");
        for (code, hint, timeout, expected) in [
            ("53200", locks, false, Failure::LockTableFull),
            ("53200", None, false, Failure::OutOfMemory),
            ("42501", None, false, Failure::PermissionDenied),
            ("57014", None, true, Failure::StatementTimeout),
            ("57014", None, false, Failure::Failed),
            ("42P01", locks, false, Failure::Failed),
        ] {
            assert_eq!(script_failure_kind(code, hint, timeout), expected, "{code}");
        }
    }
}
