//! What one attempt at a resource came to: the only thing that status and policy are made from.

use jiff::Timestamp;

use crate::engine::error::DatabaseError;
use crate::engine::hold::Hold;
use crate::engine::outcome::{Outcome, Stop};
use crate::engine::sessions::Activity;
use crate::migration::file_name::Direction;
use crate::migration::plan::Plan;
use crate::migration::version::Version;

/// The end of one attempt.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// `spec.suspend`: nothing was fetched, nothing was connected to.
    Suspended,
    /// A referenced object is not there, has not the key, or may not be read.
    Waiting(DereferenceError),
    /// The resource or its source cannot be used as it is; nothing was connected to.
    Invalid(Invalid),
    /// No connection to the database could be made; nothing was looked at.
    NotConnected(DatabaseError),
    /// The engine ran. A shutdown or a change of the resource in the middle of it is
    /// `End::Interrupted`; a shutdown that could not wait any longer, `DatabaseErrorKind::Cancelled`.
    Ran(Box<Outcome>),
    /// A defect of Schemaward. The text is a place in its source and nothing else.
    Bug(String),
}

impl Attempt {
    /// When what it waits for comes by itself, where that is known.
    #[must_use]
    pub fn opens_at(&self) -> Option<Timestamp> {
        self.hold()?.opens_at()
    }

    /// True when it waits for other objects, which nothing tells of.
    #[must_use]
    pub fn waits_for_gates(&self) -> bool {
        matches!(self.hold(), Some(Hold::Gate(_)))
    }

    /// True when what it left to run has to be looked at before anybody can approve it.
    #[must_use]
    pub fn leaves_another_plan(&self) -> bool {
        self.hold().is_some_and(Hold::leaves_another_plan)
    }

    /// What it waits for.
    fn hold(&self) -> Option<&Hold> {
        match self {
            Self::Ran(outcome) => match outcome.stop()? {
                Stop::Held(hold) => Some(hold),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Why the objects that a resource refers to could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DereferenceError {
    /// What class of trouble it is.
    pub kind: DereferenceErrorKind,
    /// Stands alone: what is missing, what it means, what to do.
    pub message: String,
}

/// Classes of [`DereferenceError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DereferenceErrorKind {
    /// A `ConfigMap` with migrations does not exist.
    SourceNotFound,
    /// A Secret or `ConfigMap` with connection data does not exist.
    SecretNotFound,
    /// It exists and lacks the key.
    KeyMissing,
    /// The operator may not read it.
    AccessDenied,
    /// It is AWS', and the operator's configuration or AWS itself refuses it.
    AwsDenied,
    /// It is there and is no text.
    Unusable,
    /// The API server did not answer.
    ApiUnavailable,
    /// A service of AWS did not answer.
    AwsUnreachable,
}

/// Why a resource cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// What class of trouble it is.
    pub kind: InvalidKind,
    /// Stands alone: every defect, what it means, what to do.
    pub message: String,
}

/// Classes of [`Invalid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvalidKind {
    /// The resource contradicts itself.
    InvalidSpec,
    /// The set of files has a defect.
    InvalidSource,
    /// Two files are one version.
    DuplicateVersion,
    /// A statement that is never sent to a server, or that cannot run where it stands.
    UnsupportedStatement,
    /// Transaction control that cannot be folded into ours.
    TransactionControl,
    /// Connection data from a Secret or `ConfigMap` is malformed.
    InvalidCredentials,
}

/// A run in the middle.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// What it does.
    pub plan: Plan,
    /// How many of the plan's steps are recorded.
    pub finished: usize,
    /// The version under way, its name and its direction.
    pub current: Option<(Version, String, Direction)>,
    /// What the version under way did not get in its last attempt; `None` in its first one.
    pub waiting: Option<Waiting>,
    /// What the server shows of it, once it runs for long enough to be looked at.
    pub activity: Option<Activity>,
}

/// A version, or a part of it, that did not get its locks and was rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The lock and who held it, in words.
    pub held: String,
    /// A clause: what there is of the version; `None`: nothing.
    pub remains: Option<String>,
    /// The attempt that comes next, or runs, counted from 1.
    pub attempt: u32,
    /// Attempts at the most.
    pub attempts: u32,
    /// Seconds to that attempt; `None` while it runs.
    pub seconds: Option<u64>,
}
