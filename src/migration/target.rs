//! What is asked for.

use super::version::Version;

/// The version that the database should be at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The last version of the catalog.
    Latest,
    /// This version of the catalog: what is missing up to it is applied, what is above it is undone if the policy allows.
    Version(Version),
    /// Undo everything above this version (`None`: everything). Never applies.
    DownTo(Option<Version>),
}

/// Whether versions may be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rollback {
    /// A database above its target is an error.
    #[default]
    Deny,
    /// A lower target or a shorter list is the wish to go back.
    Allow,
}

/// What a plan may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Whether versions may be undone.
    pub rollback: Rollback,
    /// The version that the database stood at before it had a history: up to it, versions are recorded and
    /// not run. It counts as long as the history was never used.
    pub baseline: Option<Version>,
}
