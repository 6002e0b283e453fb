//! Why there is no plan.

use std::fmt;

use super::checksum::Checksum;
use super::file_name::Direction;
use super::version::Version;

/// Why there is no plan. Displayed as the sentences that a person reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Texts that are not what was applied, or not what the resource pins.
    ChecksumMismatch(Vec<Mismatch>),
    /// Applied versions below the target that are no longer in the set.
    VersionMissing(Vec<Version>),
    /// Versions that are not applied while one above them is.
    OutOfOrder {
        /// The versions that came too late.
        pending: Vec<Version>,
        /// The highest applied version up to the target.
        current: Version,
    },
    /// The database is above the target, and going back is denied.
    DatabaseAhead {
        /// The versions above the target, lowest first.
        applied: Vec<Version>,
        /// `None`: the target is a database that nothing is applied to.
        target: Option<Version>,
    },
    /// Versions that would have to be undone and have no DOWN.
    DownMissing(Vec<Version>),
    /// Our record without a ledger row, or a ledger checksum that differs from our record.
    HistoryTampered(Vec<Version>),
    /// The target is not a version of the set.
    UnknownTarget(Version),
}

/// A text that is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The version.
    pub version: Version,
    /// Its UP or its DOWN.
    pub direction: Direction,
    /// What was expected; `None`: the ledger's text is not a SHA-256 checksum.
    pub expected: Option<Checksum>,
    /// What the file has.
    pub found: Checksum,
    /// Where the expectation comes from.
    pub against: Against,
}

/// Where an expected checksum comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Our own record of the applied text.
    Recorded,
    /// The pin in the resource.
    Pin,
    /// The ledger row that another program wrote.
    Ledger,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Blocked {}
