//! The versions that a resource lists, out of all that its source holds.

use std::collections::BTreeMap;

use super::catalog::{Defect, DefectKind, Listed, Migration, Pin};
use super::text::quoted;
use super::version::Version;

/// The listed migrations with their pins, or all defects in the order of the list.
pub(super) fn select(
    mut migrations: BTreeMap<Version, Migration>,
    listed: &[Listed],
) -> Result<BTreeMap<Version, Migration>, Vec<Defect>> {
    let mut defects = Vec::new();
    let mut selected = BTreeMap::new();
    let mut highest: Option<&Version> = None;
    for entry in listed {
        let version = &entry.version;
        if let Some(first) = selected.get_key_value(version).map(|(first, _)| first) {
            let message = format!(
                "version {version} is listed twice, as {first} and as {version}; list it once"
            );
            defects.push(Defect::new(DefectKind::DuplicateVersion, message));
            continue;
        }
        match highest {
            Some(above) if version < above => {
                let message = format!(
                    "version {version} is listed after {above}; list the versions in numeric order"
                );
                defects.push(Defect::new(DefectKind::InvalidList, message));
            }
            _ => highest = Some(version),
        }
        let migration = migrations.remove(version);
        match &migration {
            None => {
                let message =
                    format!("version {version} is listed, but the source has no UP file of it");
                defects.push(Defect::new(DefectKind::InvalidSource, message));
            }
            Some(migration) => defects.extend(contradictions(entry, migration)),
        }
        selected.insert(
            version.clone(),
            migration.map(|migration| Migration {
                pin: entry.pin,
                ..migration
            }),
        );
    }
    if defects.is_empty() {
        Ok(selected
            .into_values()
            .flatten()
            .map(|migration| (migration.version.clone(), migration))
            .collect())
    } else {
        Err(defects)
    }
}

/// Where the list says something else about a version than its files. Whether the pinned checksums hold is the
/// planner's to say: that is no mistake in the list but a changed file.
fn contradictions(entry: &Listed, migration: &Migration) -> Vec<Defect> {
    let version = &migration.version;
    let mut defects = Vec::new();
    if let Some(name) = entry.name.as_ref().filter(|name| **name != migration.name) {
        let message = format!(
            "version {version} is listed as {}, but its file is {}; make both names alike",
            quoted(name),
            migration.up.file
        );
        defects.push(Defect::new(DefectKind::InvalidList, message));
    }
    let problem = match (entry.pin, &migration.down) {
        (Some(Pin { down: None, .. }), Some(down)) => Some(format!(
            "its UP has a checksum, but its DOWN {} has none; give both or neither",
            down.file
        )),
        (Some(Pin { down: Some(_), .. }), None) => {
            Some("its DOWN has a checksum, but the source has no DOWN file of it".to_owned())
        }
        _ => None,
    };
    if let Some(problem) = problem {
        let message = format!("version {version} is listed with checksums: {problem}");
        defects.push(Defect::new(DefectKind::InvalidList, message));
    }
    defects
}
