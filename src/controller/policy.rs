//! From a reason to behaviour: what is shown, when it is tried again, what event there is. Pure, and
//! exhaustive without a `_` arm, so that a new reason does not compile until it is decided here.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::condition::Reason;

/// How long a trouble that can heal by itself may last before a person should look.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// What a reason means for the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What the conditions show.
    pub shape: Shape,
    /// When it is tried again.
    pub retry: Retry,
    /// What event there is.
    pub notice: Notice,
}

/// What the conditions show for a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Ready True.
    Ready,
    /// Ready False and Reconciling: it heals by itself.
    Reconciling,
    /// Reconciling, and Stalled once the same reason has lasted for [`PATIENCE`]; still tried again.
    AfterTwoMinutes,
    /// Ready False and Stalled: a person has to act.
    Stalled,
    /// Ready False alone: nothing is wrong, and somebody wants it so.
    Waiting,
    /// Ready Unknown.
    Unknown,
}

/// When a resource is looked at again. A change of the resource always counts at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After `spec.interval`.
    Interval,
    /// Every few seconds, and every minute once it has lasted for [`PATIENCE`]: it costs a GET of each object
    /// that is referred to, and a call of AWS where the connection needs one.
    Poll,
    /// After a random part of an exponentially growing time, never less than `floor`.
    Backoff {
        /// The least time.
        floor: Duration,
    },
    /// When the resource, or an object that it refers to, changes.
    OnChange,
    /// On change, and after `spec.interval` all the same, because the database may change.
    OnChangeWithSlowRecheck,
    /// As before, but a script that failed is not run by such a re-check (decision 11); see
    /// [`super::memory::Memory::mode`].
    OnChangeWithSlowLook,
    /// Only when a person asks for it by the annotation.
    Never,
}

/// What event a reason gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A Normal event when the reason appears.
    Normal,
    /// A Warning when the reason appears.
    Warning,
    /// A Warning from the third attempt on: once or twice is everyday life.
    WarningWhenItLasts,
}

/// Events as Kubernetes types them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// All is well.
    Normal,
    /// Somebody may want to look.
    Warning,
}

/// What the conditions of a resource show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// At the target.
    Ready,
    /// At work, or trying again by itself.
    Reconciling,
    /// A person has to act.
    Stalled,
    /// Held back because somebody wants it so.
    Waiting,
    /// It cannot be known.
    Unknown,
}

impl State {
    /// The word in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Reconciling => "reconciling",
            Self::Stalled => "stalled",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
        }
    }
}

/// The closed table of reasons (decisions.md).
#[must_use]
#[expect(
    clippy::match_same_arms,
    reason = "the arms are the rows of the table, which groups by cause"
)]
pub fn policy(reason: Reason) -> Policy {
    use Notice::{Normal, Warning, WarningWhenItLasts};
    use Retry::{
        Backoff, Interval, Never, OnChange, OnChangeWithSlowLook, OnChangeWithSlowRecheck, Poll,
    };
    use Shape::{AfterTwoMinutes, Ready, Reconciling, Stalled, Unknown, Waiting};

    const SOON: Retry = Backoff {
        floor: Duration::from_secs(1),
    };
    /// Servers lock users out and people count failed logins.
    const CAREFULLY: Retry = Backoff {
        floor: Duration::from_secs(15),
    };

    let (shape, retry, notice) = match reason {
        Reason::UpToDate => (Ready, Interval, Normal),
        // A run that ended in the middle (shutdown) goes on soon.
        Reason::Applying | Reason::RollingBack => (Reconciling, SOON, Normal),
        // Only reasons of other conditions; Ready never carries them.
        Reason::ProgressingWithRetry => (Reconciling, SOON, Normal),
        Reason::DecisionRefused => (Waiting, OnChange, Normal),
        Reason::Suspended => (Waiting, OnChange, Normal),

        Reason::SourceNotFound
        | Reason::SecretNotFound
        | Reason::KeyMissing
        | Reason::AccessDenied
        | Reason::InvalidCredentials => (AfterTwoMinutes, Poll, Warning),

        Reason::DatabaseUnreachable
        | Reason::ConnectionLost
        | Reason::ReadOnlyReplica
        | Reason::TooManyConnections
        | Reason::DiskFull => (Reconciling, SOON, WarningWhenItLasts),

        Reason::AuthenticationFailed
        | Reason::DatabaseNotFound
        | Reason::TlsVerificationFailed
        | Reason::TlsRequired => (AfterTwoMinutes, CAREFULLY, Warning),

        Reason::LockHeld | Reason::PreviousRunStillActive => {
            (Reconciling, SOON, WarningWhenItLasts)
        }
        // A run tries often before it gives up: that is no everyday life any more.
        Reason::LockTimeout => (Reconciling, SOON, Warning),

        Reason::InvalidSpec
        | Reason::InvalidSource
        | Reason::DuplicateVersion
        | Reason::UnsupportedStatement
        | Reason::TransactionControl => (Stalled, OnChange, Warning),

        Reason::VersionMissing
        | Reason::OutOfOrder
        | Reason::DatabaseAhead
        | Reason::DownMissing
        | Reason::ChecksumMismatch => (Stalled, OnChangeWithSlowRecheck, Warning),

        Reason::MigrationFailed
        | Reason::StatementTimeout
        | Reason::PermissionDenied
        | Reason::PoisonMigration => (Stalled, OnChangeWithSlowLook, Warning),

        Reason::InDoubt | Reason::TransactionEscaped | Reason::InvalidIndex => {
            (Stalled, Never, Warning)
        }

        Reason::HistoryTampered
        | Reason::HistoryUnreadable
        | Reason::HistoryTooNew
        | Reason::HistoryRegressed
        | Reason::ForeignHistory
        | Reason::NotEmpty
        | Reason::DatabaseClaimed
        | Reason::DatabaseIdentityChanged
        | Reason::PoolerDetected
        | Reason::PrivilegedRole
        | Reason::ServerTooOld
        | Reason::HostNotAllowed => (Stalled, OnChangeWithSlowRecheck, Warning),

        Reason::AwaitingApproval | Reason::OutsideWindow | Reason::GateNotMet => {
            (Waiting, OnChangeWithSlowRecheck, Normal)
        }
        Reason::PolicyDenied | Reason::CheckFailed => (Stalled, OnChangeWithSlowRecheck, Warning),

        Reason::InternalError => (Unknown, OnChangeWithSlowRecheck, Warning),
    };
    Policy {
        shape,
        retry,
        notice,
    }
}

/// What is shown at `now` for a reason that was first met at `since`.
#[must_use]
pub fn state(reason: Reason, since: Timestamp, now: Timestamp) -> State {
    match policy(reason).shape {
        Shape::Ready => State::Ready,
        Shape::AfterTwoMinutes if lasts(since, now) => State::Stalled,
        Shape::Reconciling | Shape::AfterTwoMinutes => State::Reconciling,
        Shape::Stalled => State::Stalled,
        Shape::Waiting => State::Waiting,
        Shape::Unknown => State::Unknown,
    }
}

/// Attempts after which everyday trouble is worth an event.
const LASTS: u32 = 3;

/// The event to write after an attempt; `changed`: Ready had another reason before it, or the same for
/// another cause; `shown`: the attempts that status counted before it.
#[must_use]
pub fn event(reason: Reason, changed: bool, shown: u32, attempts: u32) -> Option<EventType> {
    match policy(reason).notice {
        Notice::Normal => changed.then_some(EventType::Normal),
        Notice::Warning => changed.then_some(EventType::Warning),
        // Not only at the third itself: that one's status may not have been taken.
        Notice::WarningWhenItLasts => {
            (attempts >= LASTS && (changed || shown < LASTS)).then_some(EventType::Warning)
        }
    }
}

/// How long to wait before the next attempt; `None`: until something changes.
///
/// `attempts` is how often the reason was met in a row, `random` a number from 0 to 1.
#[must_use]
pub fn next_attempt(
    reason: Reason,
    since: Timestamp,
    attempts: u32,
    interval: Duration,
    random: f64,
    now: Timestamp,
) -> Option<Duration> {
    let random = random.clamp(0.0, 1.0);
    match policy(reason).retry {
        // A tenth less, at random: many resources made at once shall not stay in step.
        Retry::Interval | Retry::OnChangeWithSlowRecheck | Retry::OnChangeWithSlowLook => {
            Some(interval.mul_f64(1.0 - random / 10.0))
        }
        Retry::Poll if lasts(since, now) => Some(between(30, 60, random)),
        Retry::Poll => Some(between(5, 10, random)),
        Retry::Backoff { floor } => {
            let ceiling = Duration::from_secs(1 << attempts.clamp(1, 9)).min(LONGEST_BACKOFF);
            Some(floor + ceiling.saturating_sub(floor).mul_f64(random))
        }
        Retry::OnChange | Retry::Never => None,
    }
}

/// Longest time between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

fn between(least: u64, most: u64, random: f64) -> Duration {
    let least = Duration::from_secs(least);
    least
        + Duration::from_secs(most)
            .saturating_sub(least)
            .mul_f64(random)
}

fn lasts(since: Timestamp, now: Timestamp) -> bool {
    u128::try_from(now.duration_since(since).as_millis()).unwrap_or_default()
        >= PATIENCE.as_millis()
}

/// True for troubles that are tried again after a time that grows.
#[must_use]
pub fn backs_off(reason: Reason) -> bool {
    is_trouble(reason) && matches!(policy(reason).retry, Retry::Backoff { .. })
}

/// True for plans that somebody wants to wait.
#[must_use]
pub fn waits(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AwaitingApproval | Reason::OutsideWindow | Reason::GateNotMet
    )
}

/// False for reasons that are as somebody wants it.
#[must_use]
pub fn is_trouble(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::UpToDate
            | Reason::Applying
            | Reason::RollingBack
            | Reason::Suspended
            | Reason::ProgressingWithRetry
            | Reason::DecisionRefused
            | Reason::AwaitingApproval
            | Reason::OutsideWindow
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// decisions.md, "Reasons: one closed table", word for word.
    const TABLE: &str = "
| UpToDate | Ready | interval |
| Applying, RollingBack | Reconciling | |
| Suspended | Ready False | |
| SourceNotFound, SecretNotFound, KeyMissing, AccessDenied | 2 min | poll |
| InvalidCredentials | 2 min | poll |
| DatabaseUnreachable, ConnectionLost, ReadOnlyReplica, TooManyConnections, DiskFull | Reconciling | back-off |
| AuthenticationFailed, DatabaseNotFound, TLSVerificationFailed, TLSRequired | 2 min | back-off ≥ 15 s |
| LockHeld, LockTimeout, PreviousRunStillActive | Reconciling | back-off |
| InvalidSpec, InvalidSource, DuplicateVersion, UnsupportedStatement, TransactionControl | Stalled | on change |
| VersionMissing, OutOfOrder, DatabaseAhead, DownMissing | Stalled | on change, slow re-check |
| ChecksumMismatch | Stalled | on change, slow re-check |
| MigrationFailed, StatementTimeout, PermissionDenied, PoisonMigration | Stalled | item 11 |
| InDoubt, TransactionEscaped, InvalidIndex | Stalled | never |
| HistoryTampered, HistoryUnreadable, HistoryTooNew, HistoryRegressed, ForeignHistory, NotEmpty | Stalled | slow re-check |
| DatabaseClaimed, DatabaseIdentityChanged | Stalled | slow re-check |
| PoolerDetected, PrivilegedRole, ServerTooOld, HostNotAllowed | Stalled | slow re-check |
| AwaitingApproval, OutsideWindow, GateNotMet | Ready False | on change, at the next opening |
| PolicyDenied, CheckFailed | Stalled | on change, at the next opening |
| InternalError | Ready Unknown | slow |
";

    fn rows() -> impl Iterator<Item = (Reason, &'static str, &'static str)> {
        TABLE
            .lines()
            .filter(|line| !line.is_empty())
            .flat_map(|line| {
                let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                cells[0].split(", ").map(move |name| {
                    let reason =
                        Reason::parse(name).unwrap_or_else(|| panic!("{name} is no reason"));
                    (reason, cells[1], cells[2])
                })
            })
    }

    #[test]
    fn behaves_as_the_table_says() {
        for (reason, shape, retry) in rows() {
            let policy = policy(reason);
            let expected = match shape {
                "Ready" => Shape::Ready,
                "Reconciling" => Shape::Reconciling,
                "2 min" => Shape::AfterTwoMinutes,
                "Stalled" => Shape::Stalled,
                "Ready False" => Shape::Waiting,
                "Ready Unknown" => Shape::Unknown,
                word => panic!("{word}"),
            };
            assert_eq!(policy.shape, expected, "{reason}");
            let backoff = |seconds| Retry::Backoff {
                floor: Duration::from_secs(seconds),
            };
            let expected = match retry {
                "interval" => Retry::Interval,
                "poll" => Retry::Poll,
                "back-off ≥ 15 s" => backoff(15),
                "on change" => Retry::OnChange,
                "on change, slow re-check" | "slow re-check" | "slow" => {
                    Retry::OnChangeWithSlowRecheck
                }
                // The opening of a window brings it forward, whatever policy says.
                "on change, at the next opening" => Retry::OnChangeWithSlowRecheck,
                "item 11" => Retry::OnChangeWithSlowLook,
                "never" => Retry::Never,
                "" if reason == Reason::Suspended => Retry::OnChange,
                "back-off" | "" => backoff(1),
                word => panic!("{word}"),
            };
            assert_eq!(policy.retry, expected, "{reason}");
        }
    }

    #[test]
    fn the_table_has_every_reason_once() {
        let mut listed: Vec<Reason> = rows().map(|(reason, ..)| reason).collect();
        listed.extend([Reason::ProgressingWithRetry, Reason::DecisionRefused]);
        listed.sort();
        let mut all = Reason::ALL.to_vec();
        all.sort();
        assert_eq!(listed, all);
    }

    #[test]
    fn what_can_heal_is_stalled_after_two_minutes_of_the_same_reason() {
        let since = Timestamp::UNIX_EPOCH;
        let after = |seconds| Timestamp::from_second(seconds).expect("a time");
        for (seconds, expected) in [
            (0, State::Reconciling),
            (119, State::Reconciling),
            (120, State::Stalled),
        ] {
            assert_eq!(
                state(Reason::SecretNotFound, since, after(seconds)),
                expected
            );
        }
        assert_eq!(
            state(Reason::LockHeld, since, after(9999)),
            State::Reconciling
        );
        // A clock that went back is no reason to alarm anybody.
        assert_eq!(
            state(Reason::SecretNotFound, after(500), since),
            State::Reconciling
        );
    }

    #[test]
    fn attempts_spread_out_up_to_five_minutes() {
        let now = Timestamp::UNIX_EPOCH;
        let interval = Duration::from_mins(10);
        let wait = |reason, attempts, random| {
            next_attempt(reason, now, attempts, interval, random, now).map(|wait| wait.as_secs())
        };
        for (reason, attempts, least, most) in [
            (Reason::DatabaseUnreachable, 1, 1, 2),
            (Reason::DatabaseUnreachable, 4, 1, 16),
            (Reason::DatabaseUnreachable, 40, 1, 300),
            (Reason::AuthenticationFailed, 1, 15, 15),
            (Reason::AuthenticationFailed, 6, 15, 64),
            (Reason::SecretNotFound, 1, 5, 10),
            (Reason::UpToDate, 1, 600, 540),
            (Reason::MigrationFailed, 1, 600, 540),
        ] {
            assert_eq!(
                wait(reason, attempts, 0.0),
                Some(least),
                "{reason}, shortest"
            );
            assert_eq!(wait(reason, attempts, 1.0), Some(most), "{reason}, longest");
        }
        for reason in [
            Reason::InvalidSpec,
            Reason::TransactionEscaped,
            Reason::Suspended,
        ] {
            assert_eq!(wait(reason, 1, 0.5), None, "{reason}");
        }
    }

    #[test]
    fn events_tell_of_changes_and_of_trouble_that_lasts() {
        assert_eq!(
            event(Reason::MigrationFailed, true, 0, 1),
            Some(EventType::Warning)
        );
        assert_eq!(event(Reason::MigrationFailed, false, 1, 1), None);
        assert_eq!(event(Reason::UpToDate, true, 0, 1), Some(EventType::Normal));
        let lock: Vec<_> = (1..=5)
            .map(|n| event(Reason::LockHeld, n == 1, n - 1, n))
            .collect();
        assert_eq!(lock, [None, None, Some(EventType::Warning), None, None]);
        // The status of the third attempt was not taken.
        let later = event(Reason::LockHeld, false, 2, 4);
        assert_eq!(later, Some(EventType::Warning));
        // Another trouble after the third attempt.
        let other = event(Reason::DatabaseUnreachable, true, 4, 5);
        assert_eq!(other, Some(EventType::Warning));
    }
}
