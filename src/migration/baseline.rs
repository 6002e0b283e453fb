//! The baseline: versions that a database had before Schemaward came to it. They are recorded and not run.

use super::blocked::Blocked;
use super::catalog::{Catalog, Migration};
use super::history::History;
use super::version::Version;

/// The versions to record as applied without running them, lowest first: all up to `wanted`, when the
/// history was never used. In a history that has `wanted` the baseline is behind us, and is nothing any more.
///
/// `top` is the version that the target asks for.
pub(super) fn baseline<'a>(
    catalog: &'a Catalog,
    history: &History,
    wanted: &Version,
    top: Option<&Version>,
) -> Result<Vec<&'a Migration>, Blocked> {
    if history.get(wanted).is_some() {
        return Ok(Vec::new());
    }
    if !history.is_empty() || history.was_used() {
        return Err(Blocked::NotEmpty {
            baseline: wanted.clone(),
            current: history.current().cloned(),
        });
    }
    let is_known = catalog.get(wanted).is_some();
    if !is_known || top.is_none_or(|top| top < wanted) {
        return Err(Blocked::BaselineOutOfReach {
            baseline: wanted.clone(),
            target: is_known.then(|| top.cloned()).flatten(),
        });
    }
    let versions = catalog.iter();
    Ok(versions
        .filter(|migration| migration.version <= *wanted)
        .collect())
}
