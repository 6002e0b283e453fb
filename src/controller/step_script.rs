//! The script that a step of a plan runs, for whoever tells of it. Pure.

use crate::api::v1alpha1::MigrationDirection;
use crate::migration::plan::{DownSource, Step};
use crate::migration::version::Version;

/// The script that a step of a plan runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepScript<'a> {
    /// The version.
    pub version: &'a Version,
    /// Its name.
    pub name: &'a str,
    /// Up or Down.
    pub direction: MigrationDirection,
    /// SHA-256 of the text.
    pub checksum: String,
}

/// The script that `step` runs.
#[must_use]
pub fn step_script(step: &Step) -> StepScript<'_> {
    match step {
        Step::Apply {
            version,
            name,
            checksum,
        } => StepScript {
            version,
            name,
            direction: MigrationDirection::Up,
            checksum: checksum.to_string(),
        },
        Step::Undo {
            version,
            name,
            down: DownSource::Stored(checksum) | DownSource::File(checksum),
        } => StepScript {
            version,
            name,
            direction: MigrationDirection::Down,
            checksum: checksum.to_string(),
        },
    }
}
