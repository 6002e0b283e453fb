//! From what happened to a reason and a message. Pure; every error of every layer is named here, with
//! no `_` arm, so that a new one does not compile until somebody decided what a person reads.

use crate::api::condition::Reason;
use crate::api::v1alpha1::MigrationDirection;
use crate::engine::error::{
    DatabaseError, DatabaseErrorKind, InDoubt, ScriptFailure, ScriptFailureKind,
};
use crate::engine::outcome::{End, Outcome, Stop};
use crate::migration::blocked::{BegunProblem, Blocked};
use crate::migration::file_name::Direction;
use crate::migration::plan::{Plan, Step};
use crate::migration::script::{ScriptDefect, ScriptDefectKind};
use crate::migration::version::Version;

use super::attempt::{Attempt, DereferenceErrorKind, InvalidKind};
use super::step_script::step_script;
use super::{approval, wording};

/// What one attempt means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The reason for Ready.
    pub reason: Reason,
    /// The message for Ready.
    pub message: String,
    /// Which version it is about, if it is about one.
    pub subject: Option<Concerned>,
    /// The server's SQLSTATE.
    pub sql_state: Option<String>,
    /// A clause: what there is of a version that was begun in this attempt and is not recorded.
    pub remains: Option<String>,
}

/// The version that a trouble is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concerned {
    /// The version.
    pub version: String,
    /// Its name, where known.
    pub name: Option<String>,
    /// Which of its scripts.
    pub direction: Option<MigrationDirection>,
    /// SHA-256 of the script that failed.
    pub checksum: Option<String>,
    /// The statement that failed, counted from 1.
    pub statement: Option<i64>,
    /// Line and column, counted from 1.
    pub position: Option<(i64, i64)>,
}

/// Judges an attempt.
#[must_use]
pub fn verdict(attempt: &Attempt) -> Verdict {
    let verdict = judged(attempt);
    let next = wording::what_happens_next(verdict.reason, verdict.subject.is_some());
    Verdict {
        message: format!("{}{next}", verdict.message),
        ..verdict
    }
}

fn judged(attempt: &Attempt) -> Verdict {
    match attempt {
        Attempt::Suspended => plain(
            Reason::Suspended,
            "Suspended by spec.suspend: the database is neither looked at nor changed. Set it to \
             false to go on.",
        ),
        Attempt::Waiting(error) => plain(of_dereference(error.kind), &error.message),
        Attempt::Invalid(invalid) => plain(of_invalid(invalid.kind), &invalid.message),
        Attempt::NotConnected(error) => Verdict {
            sql_state: error.sqlstate.clone(),
            ..plain(
                of_database(error.kind, Reason::Applying),
                &error.to_string(),
            )
        },
        Attempt::Ran(outcome) => of_outcome(outcome),
        Attempt::Bug(place) => plain(
            Reason::InternalError,
            &format!(
                "Schemaward met a defect of its own at {place}. What was under way in a transaction was rolled back. \
                 It looks again in a while; please report it."
            ),
        ),
    }
}

fn plain(reason: Reason, message: &str) -> Verdict {
    Verdict {
        reason,
        message: message.to_owned(),
        subject: None,
        sql_state: None,
        remains: None,
    }
}

fn of_dereference(kind: DereferenceErrorKind) -> Reason {
    match kind {
        DereferenceErrorKind::SourceNotFound => Reason::SourceNotFound,
        DereferenceErrorKind::SecretNotFound => Reason::SecretNotFound,
        DereferenceErrorKind::KeyMissing => Reason::KeyMissing,
        // The nearest of the closed list: the object could not be read, and why is in the message.
        DereferenceErrorKind::AccessDenied
        | DereferenceErrorKind::AwsDenied
        | DereferenceErrorKind::ApiUnavailable => Reason::AccessDenied,
        // What lies on the way to the database does not answer, and heals by itself.
        DereferenceErrorKind::AwsUnreachable => Reason::DatabaseUnreachable,
        DereferenceErrorKind::Unusable => Reason::InvalidCredentials,
    }
}

fn of_invalid(kind: InvalidKind) -> Reason {
    match kind {
        InvalidKind::InvalidSpec => Reason::InvalidSpec,
        InvalidKind::InvalidSource => Reason::InvalidSource,
        InvalidKind::DuplicateVersion => Reason::DuplicateVersion,
        InvalidKind::UnsupportedStatement => Reason::UnsupportedStatement,
        InvalidKind::TransactionControl => Reason::TransactionControl,
        InvalidKind::InvalidCredentials => Reason::InvalidCredentials,
    }
}

fn of_outcome(outcome: &Outcome) -> Verdict {
    match outcome.end() {
        End::Reached => plain(Reason::UpToDate, &outcome.message()),
        // A look that found work is followed by the work; it is reported only when it found none.
        End::Planned if outcome.plan().is_none_or(|plan| plan.steps.is_empty()) => {
            plain(Reason::UpToDate, &at_version(outcome))
        }
        // A decision is followed by the attempt that it was made for.
        End::Planned | End::Interrupted | End::Decided(_) => {
            plain(in_progress(outcome), &outcome.message())
        }
        End::Stopped(stop) => of_stop(stop, outcome),
    }
}

/// What a run that reached its target says.
fn at_version(outcome: &Outcome) -> String {
    match outcome.history().and_then(|history| history.current()) {
        Some(version) => format!("at version {version}"),
        None => "no version is applied, and none is wanted".to_owned(),
    }
}

/// Applying or `RollingBack`, by what comes next.
fn in_progress(outcome: &Outcome) -> Reason {
    let finished = outcome.done().len();
    outcome
        .plan()
        .map_or(Reason::Applying, |plan| under_way(plan, finished))
}

/// What a plan is at after `finished` of its steps.
#[must_use]
pub fn under_way(plan: &Plan, finished: usize) -> Reason {
    match plan.steps.get(finished) {
        Some(Step::Undo { .. }) => Reason::RollingBack,
        Some(Step::Apply { .. }) | None => Reason::Applying,
    }
}

fn of_stop(stop: &Stop, outcome: &Outcome) -> Verdict {
    let message = outcome.message();
    let about = |reason, subject| Verdict {
        subject,
        ..plain(reason, &message)
    };
    match stop {
        Stop::Blocked(blocked) => about(of_blocked(blocked), None),
        Stop::Held(hold) => about(approval::held(hold), None),
        Stop::Script(failure) => {
            let reason = of_script(failure.kind);
            Verdict {
                sql_state: failure.sqlstate.clone(),
                message: format!("{message}{}", wording::what_to_do_about(failure.kind)),
                ..about(reason, Some(of_failure(failure, outcome.plan())))
            }
        }
        Stop::InDoubt(doubt) => about(Reason::InDoubt, Some(of_doubt(doubt))),
        Stop::Database(error) => Verdict {
            sql_state: error.sqlstate.clone(),
            remains: outcome.remains().map(str::to_owned),
            ..about(
                of_database(error.kind, in_progress(outcome)),
                lost_in(error, outcome),
            )
        },
        Stop::Claimed(_) => about(Reason::DatabaseClaimed, None),
        // Told by an event; as an attempt it is a resource that asks for what cannot be.
        Stop::Refused(_) => about(Reason::InvalidSpec, None),
        // The nearest of the closed list: a history table that cannot be used as it is.
        Stop::DoesNotFit(value) => about(
            Reason::HistoryUnreadable,
            Some(concerned(&value.version, None, None)),
        ),
        Stop::LockHeld(_) => about(Reason::LockHeld, None),
        Stop::PreviousRunStillActive(_) => about(Reason::PreviousRunStillActive, None),
        Stop::LockTimeout(timeout) => about(
            Reason::LockTimeout,
            Some(concerned(&timeout.version, Some(&timeout.name), None)),
        ),
        Stop::ChecksFailed(_) => about(Reason::CheckFailed, None),
        Stop::Unusable {
            version,
            direction,
            defects,
        } => about(
            of_defects(defects),
            Some(concerned(version, None, Some(*direction))),
        ),
    }
}

fn of_blocked(blocked: &Blocked) -> Reason {
    match blocked {
        Blocked::ChecksumMismatch(_) => Reason::ChecksumMismatch,
        Blocked::VersionMissing(_) => Reason::VersionMissing,
        Blocked::OutOfOrder { .. } => Reason::OutOfOrder,
        Blocked::DatabaseAhead { .. } => Reason::DatabaseAhead,
        Blocked::DownMissing(_) | Blocked::BelowBaseline(_) => Reason::DownMissing,
        Blocked::HistoryTampered(_) | Blocked::AuditTampered(_) => Reason::HistoryTampered,
        Blocked::UnknownTarget(_) | Blocked::BaselineOutOfReach { .. } => Reason::InvalidSpec,
        Blocked::NotEmpty { .. } => Reason::NotEmpty,
        Blocked::Begun { problem, .. } => match problem {
            BegunProblem::Gone => Reason::VersionMissing,
            BegunProblem::Behind(_) => Reason::OutOfOrder,
            BegunProblem::NotWanted => Reason::DatabaseAhead,
            BegunProblem::Changed { .. } => Reason::ChecksumMismatch,
            BegunProblem::Escaped => Reason::TransactionEscaped,
        },
    }
}

fn of_script(kind: ScriptFailureKind) -> Reason {
    match kind {
        ScriptFailureKind::Failed
        | ScriptFailureKind::LockTableFull
        | ScriptFailureKind::OutOfMemory => Reason::MigrationFailed,
        ScriptFailureKind::PermissionDenied => Reason::PermissionDenied,
        ScriptFailureKind::StatementTimeout => Reason::StatementTimeout,
        ScriptFailureKind::TransactionEscaped => Reason::TransactionEscaped,
        ScriptFailureKind::InvalidIndex => Reason::InvalidIndex,
    }
}

/// `in_progress` is what a cancelled run was at.
fn of_database(kind: DatabaseErrorKind, in_progress: Reason) -> Reason {
    match kind {
        // Without what to sign in with, the database is as far away as without a network.
        DatabaseErrorKind::Unreachable | DatabaseErrorKind::IdentityUnavailable => {
            Reason::DatabaseUnreachable
        }
        DatabaseErrorKind::ConnectionLost | DatabaseErrorKind::LockLost => Reason::ConnectionLost,
        DatabaseErrorKind::ReadOnlyReplica => Reason::ReadOnlyReplica,
        DatabaseErrorKind::TooManyConnections => Reason::TooManyConnections,
        DatabaseErrorKind::DiskFull => Reason::DiskFull,
        DatabaseErrorKind::AuthenticationFailed => Reason::AuthenticationFailed,
        DatabaseErrorKind::DatabaseNotFound => Reason::DatabaseNotFound,
        DatabaseErrorKind::TlsVerificationFailed => Reason::TlsVerificationFailed,
        DatabaseErrorKind::TlsRequired => Reason::TlsRequired,
        DatabaseErrorKind::InvalidCredentials => Reason::InvalidCredentials,
        // As for a Secret that cannot be read: why is in the message.
        DatabaseErrorKind::AccessDenied => Reason::AccessDenied,
        DatabaseErrorKind::PermissionDenied => Reason::PermissionDenied,
        DatabaseErrorKind::ForeignHistory => Reason::ForeignHistory,
        DatabaseErrorKind::HistoryUnreadable => Reason::HistoryUnreadable,
        DatabaseErrorKind::HistoryTooNew => Reason::HistoryTooNew,
        DatabaseErrorKind::ServerTooOld => Reason::ServerTooOld,
        DatabaseErrorKind::PoolerDetected => Reason::PoolerDetected,
        DatabaseErrorKind::PrivilegedRole => Reason::PrivilegedRole,
        DatabaseErrorKind::HostNotAllowed => Reason::HostNotAllowed,
        DatabaseErrorKind::IdentityChanged => Reason::DatabaseIdentityChanged,
        DatabaseErrorKind::HistoryRegressed => Reason::HistoryRegressed,
        // Cancelled by our own shutdown: whoever comes next goes on with it.
        DatabaseErrorKind::Cancelled => in_progress,
        DatabaseErrorKind::Internal => Reason::InternalError,
    }
}

/// The first defect decides, as it stands first in the message.
fn of_defects(defects: &[ScriptDefect]) -> Reason {
    match defects.first().map(|defect| &defect.kind) {
        Some(ScriptDefectKind::TransactionControl { .. }) => Reason::TransactionControl,
        Some(ScriptDefectKind::Refused(_) | ScriptDefectKind::InTransaction(_)) => {
            Reason::UnsupportedStatement
        }
        Some(
            ScriptDefectKind::Empty
            | ScriptDefectKind::InvalidUtf8 { .. }
            | ScriptDefectKind::Nul { .. }
            | ScriptDefectKind::Unterminated(_),
        )
        | None => Reason::InvalidSource,
    }
}

/// SHA-256 of the script that `plan` runs for a version.
fn checksum(plan: Option<&Plan>, version: &Version, direction: Direction) -> Option<String> {
    let mut steps = plan?.steps.iter().map(step_script);
    let step =
        steps.find(|step| step.version == version && step.direction == of_direction(direction))?;
    Some(step.checksum)
}

/// The version in which the connection was lost.
fn lost_in(error: &DatabaseError, outcome: &Outcome) -> Option<Concerned> {
    let lost = outcome
        .under_way()
        .filter(|_| error.kind == DatabaseErrorKind::ConnectionLost)?;
    Some(Concerned {
        checksum: checksum(outcome.plan(), &lost.version, lost.direction),
        ..concerned(&lost.version, Some(&lost.name), Some(lost.direction))
    })
}

fn of_doubt(doubt: &InDoubt) -> Concerned {
    let number = |number: usize| i64::try_from(number).ok();
    Concerned {
        statement: number(doubt.statement),
        position: doubt
            .position
            .and_then(|at| Some((number(at.line)?, number(at.column)?))),
        ..concerned(&doubt.version, Some(&doubt.name), Some(doubt.direction))
    }
}

fn of_failure(failure: &ScriptFailure, plan: Option<&Plan>) -> Concerned {
    let position = failure.position;
    Concerned {
        checksum: checksum(plan, &failure.version, failure.direction),
        statement: failure.statement.and_then(|n| i64::try_from(n).ok()),
        position: position
            .and_then(|at| Some((i64::try_from(at.line).ok()?, i64::try_from(at.column).ok()?))),
        ..concerned(
            &failure.version,
            Some(&failure.name),
            Some(failure.direction),
        )
    }
}

fn concerned(version: &Version, name: Option<&str>, direction: Option<Direction>) -> Concerned {
    Concerned {
        version: version.to_string(),
        name: name.map(str::to_owned),
        direction: direction.map(of_direction),
        ..Concerned::default()
    }
}

/// The direction as the resource writes it.
#[must_use]
pub fn of_direction(direction: Direction) -> MigrationDirection {
    match direction {
        Direction::Up => MigrationDirection::Up,
        Direction::Down => MigrationDirection::Down,
    }
}
