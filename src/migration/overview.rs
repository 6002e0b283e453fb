//! One row per version: `list` and the status share it.

use jiff::Timestamp;

use super::catalog::Catalog;
use super::history::History;
use super::target::Target;
use super::version::Version;

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionState {
    /// Applied, and its files are what was applied.
    Applied,
    /// Not applied, and not above the target.
    Pending,
    /// Applied and above the target.
    Ahead,
    /// Applied, not above the target, and no longer in the set.
    Missing,
    /// Applied, and its files are no longer what was applied.
    Changed,
}

/// What is known of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The version.
    pub version: Version,
    /// Where it stands.
    pub state: VersionState,
    /// Its name: in the ledger, or of the file when it is not applied.
    pub name: String,
    /// When it was applied.
    pub applied_at: Option<Timestamp>,
    /// How long that took, in milliseconds.
    pub execution_time_ms: Option<i64>,
    /// Of the applied UP text, or of the file when it is not applied; 64 hexadecimal digits.
    pub checksum: Option<String>,
}

/// One row per version that is applied or that the target asks for, lowest first.
#[must_use]
pub fn overview(catalog: &Catalog, history: &History, target: &Target) -> Vec<Row> {
    let _ = (catalog, history, target);
    Vec::new()
}
