//! What the end of a run means for the exit code.

use std::process::ExitCode;

use crate::engine::error::DatabaseErrorKind;
use crate::engine::outcome::{End, Outcome, Stop};

/// How the program ends (decision 26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// Not done, for the reason printed.
    NotDone,
    /// The command line is wrong.
    Usage,
    /// The database could not be reached, or was busy for too long: a retry may help.
    Retry,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::NotDone => 1,
            Exit::Usage => 2,
            Exit::Retry => 3,
        })
    }
}

/// A command that could not do what it should, told in sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// How the program ends.
    pub(super) exit: Exit,
    /// What is printed, each as an error of its own.
    pub(super) messages: Vec<String>,
}

impl Failure {
    /// A failure that a retry does not mend.
    pub(super) fn not_done(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::NotDone,
            messages: vec![message.into()],
        }
    }

    /// A combination of options that cannot be meant.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            messages: vec![message.into()],
        }
    }
}

/// The exit code for the end of a run.
pub(super) fn exit_for(outcome: &Outcome) -> Exit {
    match outcome.end() {
        End::Reached | End::Planned | End::Decided(_) => Exit::Done,
        End::Interrupted => Exit::NotDone,
        End::Stopped(stop) => exit_for_stop(stop),
    }
}

fn exit_for_stop(stop: &Stop) -> Exit {
    match stop {
        Stop::Database(error) => exit_for_database(error.kind),
        Stop::LockHeld(_) | Stop::PreviousRunStillActive(_) | Stop::LockTimeout(_) => Exit::Retry,
        Stop::Blocked(_)
        | Stop::Held(_)
        | Stop::Script(_)
        | Stop::InDoubt(_)
        | Stop::Claimed(_)
        | Stop::Refused(_)
        | Stop::DoesNotFit(_)
        | Stop::ChecksFailed(_)
        | Stop::Unusable { .. } => Exit::NotDone,
    }
}

/// [`Exit::Retry`] exactly for what the operator retries by itself without calling for a person.
pub(super) fn exit_for_database(kind: DatabaseErrorKind) -> Exit {
    match kind {
        DatabaseErrorKind::Unreachable
        | DatabaseErrorKind::ConnectionLost
        | DatabaseErrorKind::LockLost
        | DatabaseErrorKind::ReadOnlyReplica
        | DatabaseErrorKind::TooManyConnections
        | DatabaseErrorKind::DiskFull
        | DatabaseErrorKind::IdentityUnavailable => Exit::Retry,
        DatabaseErrorKind::AuthenticationFailed
        | DatabaseErrorKind::DatabaseNotFound
        | DatabaseErrorKind::TlsVerificationFailed
        | DatabaseErrorKind::TlsRequired
        | DatabaseErrorKind::InvalidCredentials
        | DatabaseErrorKind::AccessDenied
        | DatabaseErrorKind::PermissionDenied
        | DatabaseErrorKind::ForeignHistory
        | DatabaseErrorKind::HistoryUnreadable
        | DatabaseErrorKind::HistoryTooNew
        | DatabaseErrorKind::ServerTooOld
        | DatabaseErrorKind::PoolerDetected
        | DatabaseErrorKind::PrivilegedRole
        | DatabaseErrorKind::HostNotAllowed
        | DatabaseErrorKind::IdentityChanged
        | DatabaseErrorKind::HistoryRegressed
        | DatabaseErrorKind::Cancelled
        | DatabaseErrorKind::Internal => Exit::NotDone,
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::decision::Refusal;
    use crate::engine::error::{
        DatabaseError, LockHeld, LockTimeout, ScriptFailure, ScriptFailureKind,
    };
    use crate::engine::outcome::{Claimed, DoesNotFit};
    use crate::engine::task::Owner;
    use crate::migration::blocked::Blocked;
    use crate::migration::file_name::Direction;
    use crate::migration::version::Version;

    use super::*;

    #[test]
    fn every_trouble_with_a_database_has_its_code() {
        use DatabaseErrorKind as Kind;
        // Reason in decisions and status, and whether it heals without a person.
        let table = [
            (Kind::Unreachable, Exit::Retry),
            (Kind::ConnectionLost, Exit::Retry),
            (Kind::LockLost, Exit::Retry),
            (Kind::ReadOnlyReplica, Exit::Retry),
            (Kind::TooManyConnections, Exit::Retry),
            (Kind::DiskFull, Exit::Retry),
            (Kind::IdentityUnavailable, Exit::Retry),
            (Kind::AuthenticationFailed, Exit::NotDone),
            (Kind::DatabaseNotFound, Exit::NotDone),
            (Kind::TlsVerificationFailed, Exit::NotDone),
            (Kind::TlsRequired, Exit::NotDone),
            (Kind::InvalidCredentials, Exit::NotDone),
            (Kind::AccessDenied, Exit::NotDone),
            (Kind::PermissionDenied, Exit::NotDone),
            (Kind::ForeignHistory, Exit::NotDone),
            (Kind::HistoryUnreadable, Exit::NotDone),
            (Kind::HistoryTooNew, Exit::NotDone),
            (Kind::ServerTooOld, Exit::NotDone),
            (Kind::PoolerDetected, Exit::NotDone),
            (Kind::PrivilegedRole, Exit::NotDone),
            (Kind::HostNotAllowed, Exit::NotDone),
            (Kind::IdentityChanged, Exit::NotDone),
            (Kind::HistoryRegressed, Exit::NotDone),
            (Kind::Cancelled, Exit::NotDone),
            (Kind::Internal, Exit::NotDone),
        ];
        for (kind, expected) in table {
            let stop = Stop::Database(DatabaseError::new(kind, ""));
            assert_eq!(exit_for_stop(&stop), expected, "{kind:?}");
        }
    }

    #[test]
    fn every_other_stop_has_its_code() {
        let version = Version::parse("1").unwrap();
        let failure = |kind| {
            Stop::Script(Box::new(ScriptFailure {
                kind,
                version: version.clone(),
                name: String::new(),
                direction: Direction::Up,
                statement: None,
                position: None,
                sqlstate: None,
                message: String::new(),
                outside_transaction: false,
                by_hand: None,
            }))
        };
        let owner = Owner {
            cluster: String::new(),
            namespace: String::new(),
            name: String::new(),
            uid: String::new(),
        };
        let table = [
            (
                Stop::Blocked(Blocked::UnknownTarget(version.clone())),
                Exit::NotDone,
            ),
            (failure(ScriptFailureKind::Failed), Exit::NotDone),
            (failure(ScriptFailureKind::PermissionDenied), Exit::NotDone),
            (failure(ScriptFailureKind::StatementTimeout), Exit::NotDone),
            (failure(ScriptFailureKind::LockTableFull), Exit::NotDone),
            (failure(ScriptFailureKind::OutOfMemory), Exit::NotDone),
            (
                failure(ScriptFailureKind::TransactionEscaped),
                Exit::NotDone,
            ),
            (
                Stop::Claimed(Box::new(Claimed {
                    owner: owner.clone(),
                    wanted: owner,
                })),
                Exit::NotDone,
            ),
            (
                Stop::Refused(Box::new(Refusal::NotApplied(version.clone()))),
                Exit::NotDone,
            ),
            (
                Stop::DoesNotFit(DoesNotFit {
                    version: version.clone(),
                    column: "name",
                    needed: 2,
                    available: 1,
                }),
                Exit::NotDone,
            ),
            (
                Stop::LockHeld(LockHeld {
                    holder: None,
                    waited_seconds: 1,
                }),
                Exit::Retry,
            ),
            (
                Stop::PreviousRunStillActive(LockHeld {
                    holder: None,
                    waited_seconds: 1,
                }),
                Exit::Retry,
            ),
            (
                Stop::LockTimeout(LockTimeout {
                    version: version.clone(),
                    name: String::new(),
                    attempts: 11,
                    blockers: Vec::new(),
                }),
                Exit::Retry,
            ),
            (
                Stop::Unusable {
                    version: version.clone(),
                    direction: Direction::Down,
                    defects: Vec::new(),
                },
                Exit::NotDone,
            ),
        ];
        for (stop, expected) in table {
            assert_eq!(exit_for_stop(&stop), expected, "{stop:?}");
        }
    }
}
