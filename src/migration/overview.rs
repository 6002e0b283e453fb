//! One row per version: `list` and the status share it.

use jiff::Timestamp;

use super::catalog::{Catalog, Migration};
use super::checksum::Checksum;
use super::compare::mismatches;
use super::history::{Applied, History};
use super::target::Target;
use super::version::Version;

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionState {
    /// Applied, and its files are what was applied.
    Applied,
    /// Not applied, and not above the target.
    Pending,
    /// A part of it was run, up or down, and the rest was not.
    Begun,
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

/// One row per version that is applied or that the target asks for, lowest first. A version that is neither, because
/// the target is below it, has none.
#[must_use]
pub fn overview(catalog: &Catalog, history: &History, target: &Target) -> Vec<Row> {
    let top = match target {
        Target::Latest => catalog.latest(),
        Target::Version(version) | Target::DownTo(Some(version)) => Some(version),
        Target::DownTo(None) => None,
    };
    let is_above = |version: &Version| top.is_none_or(|top| version > top);
    let applied = history.iter().map(|applied| {
        let state = match catalog.get(&applied.version) {
            Some(migration) if !mismatches(migration, Some(applied)).is_empty() => {
                VersionState::Changed
            }
            _ if is_above(&applied.version) => VersionState::Ahead,
            Some(_) => VersionState::Applied,
            None => VersionState::Missing,
        };
        applied_row(applied, state)
    });
    let pending = catalog
        .iter()
        .filter(|migration| {
            history.get(&migration.version).is_none() && !is_above(&migration.version)
        })
        .map(pending_row);
    let mut rows: Vec<Row> = applied.chain(pending).collect();
    if let Some(begun) = history.begun() {
        mark_begun(&mut rows, catalog, &begun.version);
    }
    rows.sort_by(|a, b| a.version.cmp(&b.version));
    rows
}

/// A begun version is shown wherever the target is, and where its file is gone.
fn mark_begun(rows: &mut Vec<Row>, catalog: &Catalog, version: &Version) {
    let place = rows.iter().position(|row| row.version == *version);
    let row = match place {
        Some(place) => rows.remove(place),
        None => catalog.get(version).map_or_else(
            || Row {
                version: version.clone(),
                state: VersionState::Begun,
                name: String::new(),
                applied_at: None,
                execution_time_ms: None,
                checksum: None,
            },
            pending_row,
        ),
    };
    rows.push(Row {
        state: VersionState::Begun,
        ..row
    });
}

fn applied_row(applied: &Applied, state: VersionState) -> Row {
    let in_ledger = || {
        applied
            .checksum
            .as_deref()
            .and_then(|text| Checksum::parse(text).ok())
    };
    let checksum = applied.stored.map(|stored| stored.up).or_else(in_ledger);
    Row {
        version: applied.version.clone(),
        state,
        name: applied.name.clone(),
        applied_at: applied.applied_at,
        execution_time_ms: applied.execution_time_ms,
        checksum: checksum.map(|checksum| checksum.to_string()),
    }
}

fn pending_row(migration: &Migration) -> Row {
    Row {
        version: migration.version.clone(),
        state: VersionState::Pending,
        name: migration.name.clone(),
        applied_at: None,
        execution_time_ms: None,
        checksum: Some(migration.up.checksum.to_string()),
    }
}

#[cfg(test)]
mod tests;
