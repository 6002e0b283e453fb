//! Conditions: the closed lists of types and reasons, and the shape that Kubernetes gives them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::Time;

/// The conditions of a `DatabaseSchema`: the first three as kstatus defines them, which does not look at others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// True: the database stands where the resource wants it. Always there.
    Ready,
    /// There, and True, only while Schemaward works on it or tries again by itself.
    Reconciling,
    /// There, and True, only while a person has to act.
    Stalled,
    /// There, and True, only while the decision of the annotation schemaward.dev/takeover stands refused.
    TakeoverRefused,
    /// The same of the annotation schemaward.dev/accept.
    AcceptRefused,
    /// The same of the annotation schemaward.dev/resolve.
    ResolveRefused,
}

impl ConditionType {
    /// The name in status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::TakeoverRefused => "TakeoverRefused",
            Self::AcceptRefused => "AcceptRefused",
            Self::ResolveRefused => "ResolveRefused",
        }
    }
}

/// Declares [`Reason`] with its names once.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a condition is as it is: a closed list, the contract with people's alerts and
        /// scripts. A name is never taken away or given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in status, in events and in metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The reason of this name; `None` for a name that this version does not know.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

reasons! {
    /// The database stands at the target.
    UpToDate = "UpToDate",
    /// Versions are being applied.
    Applying = "Applying",
    /// Versions are being undone.
    RollingBack = "RollingBack",
    /// `spec.suspend` is true; nothing is looked at or run.
    Suspended = "Suspended",
    /// Reason of the condition Reconciling while a trouble is tried again by itself; Ready names
    /// the trouble.
    ProgressingWithRetry = "ProgressingWithRetry",
    /// Reason of the conditions `TakeoverRefused`, `AcceptRefused` and `ResolveRefused`, whose message says why.
    DecisionRefused = "DecisionRefused",

    /// A `ConfigMap` with migrations does not exist.
    SourceNotFound = "SourceNotFound",
    /// A Secret or `ConfigMap` with connection data does not exist.
    SecretNotFound = "SecretNotFound",
    /// A Secret or `ConfigMap` has no such key.
    KeyMissing = "KeyMissing",
    /// The operator may not read a Secret or `ConfigMap`.
    AccessDenied = "AccessDenied",
    /// Connection data is malformed: a port that is no number, a CA that is not PEM.
    InvalidCredentials = "InvalidCredentials",

    /// No connection to the server: refused, timed out, name not resolved.
    DatabaseUnreachable = "DatabaseUnreachable",
    /// The connection ended while in use; what was under way was rolled back by the server.
    ConnectionLost = "ConnectionLost",
    /// The server is a standby or takes no writes.
    ReadOnlyReplica = "ReadOnlyReplica",
    /// The server has no connection left.
    TooManyConnections = "TooManyConnections",
    /// The server has no disk space left.
    DiskFull = "DiskFull",

    /// The server refused user or password.
    AuthenticationFailed = "AuthenticationFailed",
    /// The server has no such database.
    DatabaseNotFound = "DatabaseNotFound",
    /// The server's certificate did not pass.
    TlsVerificationFailed = "TLSVerificationFailed",
    /// One side wants TLS and the other does not offer it.
    TlsRequired = "TLSRequired",

    /// Another run holds the migration lock.
    LockHeld = "LockHeld",
    /// A version did not get its locks within `execution.lockTimeout`.
    LockTimeout = "LockTimeout",
    /// A statement of an earlier run is still active on the server.
    PreviousRunStillActive = "PreviousRunStillActive",

    /// The resource says something that cannot be.
    InvalidSpec = "InvalidSpec",
    /// A migration file cannot be used as it is.
    InvalidSource = "InvalidSource",
    /// Two files have one version.
    DuplicateVersion = "DuplicateVersion",
    /// A script has a statement that cannot be run here, such as a psql command.
    UnsupportedStatement = "UnsupportedStatement",
    /// A script begins or ends transactions other than by one pair around all of it.
    TransactionControl = "TransactionControl",

    /// An applied version is no longer in the set.
    VersionMissing = "VersionMissing",
    /// A version below the current one was never applied.
    OutOfOrder = "OutOfOrder",
    /// The database is above the target and `rollback.policy` is Deny.
    DatabaseAhead = "DatabaseAhead",
    /// A version has to be undone and has no DOWN.
    DownMissing = "DownMissing",
    /// A file changed after it was applied, or is not what its pin says.
    ChecksumMismatch = "ChecksumMismatch",

    /// A script failed; nothing of it was kept.
    MigrationFailed = "MigrationFailed",
    /// A statement ran longer than `execution.statementTimeout`; nothing of the script was kept.
    StatementTimeout = "StatementTimeout",
    /// The role lacks a right; the message says which.
    PermissionDenied = "PermissionDenied",
    /// A script ended the server or the operator more than once.
    PoisonMigration = "PoisonMigration",

    /// It cannot be known whether a statement outside a transaction took effect.
    InDoubt = "InDoubt",
    /// A script ended our transaction, so that what it did is not known to be whole.
    TransactionEscaped = "TransactionEscaped",
    /// CREATE INDEX CONCURRENTLY IF NOT EXISTS met an INVALID index of somebody else.
    InvalidIndex = "InvalidIndex",

    /// The history was changed by somebody else.
    HistoryTampered = "HistoryTampered",
    /// The history table has not our columns, they are too narrow, or a row cannot be read.
    HistoryUnreadable = "HistoryUnreadable",
    /// The history was written by a newer Schemaward.
    HistoryTooNew = "HistoryTooNew",
    /// The database lost versions that status knows.
    HistoryRegressed = "HistoryRegressed",
    /// The history table belongs to another tool.
    ForeignHistory = "ForeignHistory",
    /// The database has tables but no history.
    NotEmpty = "NotEmpty",

    /// The history belongs to another resource.
    DatabaseClaimed = "DatabaseClaimed",
    /// Another database answers under the same name.
    DatabaseIdentityChanged = "DatabaseIdentityChanged",

    /// A connection pooler stands between us and the server.
    PoolerDetected = "PoolerDetected",
    /// The role is a superuser or as good as one.
    PrivilegedRole = "PrivilegedRole",
    /// The server is older than `PostgreSQL` 14.
    ServerTooOld = "ServerTooOld",
    /// The operator may not connect to this host.
    HostNotAllowed = "HostNotAllowed",

    /// The plan waits for an approval.
    AwaitingApproval = "AwaitingApproval",
    /// A policy forbids the plan.
    PolicyDenied = "PolicyDenied",
    /// The maintenance window is closed.
    OutsideWindow = "OutsideWindow",
    /// A gate, such as a backup, is not met.
    GateNotMet = "GateNotMet",
    /// A check of the live database failed.
    CheckFailed = "CheckFailed",

    /// A defect of Schemaward.
    InternalError = "InternalError",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It is not known.
    Unknown,
}

// `type` and `reason` are texts here and not the enums above, so that a status written by a newer
// Schemaward can still be read. It is the shape of meta/v1 Condition, whose own type would cost the
// schemars feature of k8s-openapi.
/// One aspect of the state of the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Ready, Reconciling or Stalled; or that a decision of a person was refused.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// The generation of the resource that this was found for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the status of this condition last changed.
    pub last_transition_time: Time,
    /// One word of a closed list; the documentation says for each what to do.
    pub reason: String,
    /// What happened, where, what it means for the data, and what happens next or what to do. At
    /// most 1024 characters.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_back_by_its_name() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::parse("FromTheFuture"), None);
    }
}
