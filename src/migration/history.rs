//! What the database says was applied.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use thiserror::Error;

use super::begun::Begun;
use super::checksum::Checksum;
use super::file_name::Direction;
use super::text::{by_number, clauses, list};
use super::version::Version;

/// One row of the ledger, with our own record of it where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The version.
    pub version: Version,
    /// Its name in the ledger.
    pub name: String,
    /// When it was applied; not every ledger that was taken over knows.
    pub applied_at: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub execution_time_ms: Option<i64>,
    /// The checksum of the UP text as it stands in the ledger, whatever that is.
    pub checksum: Option<String>,
    /// Our own record; `None` for a row that another program wrote.
    pub stored: Option<Stored>,
}

/// Our own record beside the ledger row: the checksums of the texts that were kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Of the UP text.
    pub up: Checksum,
    /// Of the DOWN text; `None` when the version had none.
    pub down: Option<Checksum>,
}

/// The applied versions, in numeric order, and what does not fit beside them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    applied: BTreeMap<Version, Applied>,
    orphans: Vec<Version>,
    baselined: BTreeSet<Version>,
    undone: BTreeMap<Version, u64>,
    used: bool,
    begun: Option<Begun>,
    audit_defect: Option<AuditDefect>,
}

/// Something that another program did to the audit, the append-only table of who did what. Displayed as a
/// clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDefect {
    /// The row of the audit where it shows; 0: there is none.
    pub row: i64,
    /// What it is.
    pub kind: AuditDefectKind,
    /// What else is wrong, in the order of the rows; these have no others.
    pub others: Vec<Self>,
}

impl AuditDefect {
    /// The first of these, which are in the order of the rows, with the others behind it; `None`: there is none.
    #[must_use]
    pub fn of(defects: Vec<Self>) -> Option<Self> {
        let mut defects = defects.into_iter();
        let first = defects.next()?;
        Some(Self {
            others: defects.collect(),
            ..first
        })
    }

    /// It and all others.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// The rows that do not go on from what stands before them: they were written by another program, or changed, or
    /// what was before them is gone.
    pub fn rows(&self) -> impl Iterator<Item = i64> {
        self.all()
            .filter(|defect| match defect.kind {
                AuditDefectKind::Changed => true,
                AuditDefectKind::Missing => defect.row > 0,
                AuditDefectKind::Unwritten(_) | AuditDefectKind::Unrecorded(_) => false,
            })
            .map(|defect| defect.row)
    }

    fn clause(&self) -> String {
        let row = self.row;
        match &self.kind {
            AuditDefectKind::Changed => changed(&[row]),
            AuditDefectKind::Missing if row == 0 => "schemaward.audit is empty".to_owned(),
            AuditDefectKind::Missing => {
                format!("rows of schemaward.audit before row {row} are gone")
            }
            AuditDefectKind::Unwritten(version) => format!(
                "schemaward.audit has no row about {version} as it is recorded, so rows of it are gone"
            ),
            AuditDefectKind::Unrecorded(version) => format!(
                "row {row} of schemaward.audit says that {version} was applied, and its record in \
                 schemaward.script is gone"
            ),
        }
    }
}

/// `row 7 of schemaward.audit is not as it was written, nor do rows 9 and 12 fit what stands before them`: behind a row
/// whose hash was changed one that is as it was does not fit either.
fn changed(rows: &[i64]) -> String {
    let Some((first, others)) = rows.split_first() else {
        return String::new();
    };
    let first = format!("row {first} of schemaward.audit is not as it was written");
    let (does, it) = by_number(others.len(), ("does row", "it"), ("do rows", "them"));
    match others {
        [] => first,
        others => format!(
            "{first}, nor {does} {} fit what stands before {it}",
            list(others)
        ),
    }
}

/// What may have been done to the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditDefectKind {
    /// The row is not what its hash says.
    Changed,
    /// Rows before it are gone.
    Missing,
    /// This version has a record, and no row says so: rows after it are gone.
    Unwritten(Version),
    /// It says that this version was applied, and there is no record of that.
    Unrecorded(Version),
}

impl fmt::Display for AuditDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_changed = |defect: &&Self| defect.kind == AuditDefectKind::Changed;
        let rows: Vec<i64> = self.all().filter(is_changed).map(|one| one.row).collect();
        let others = self.all().filter(|defect| !is_changed(defect));
        let mut all: Vec<String> = others.map(Self::clause).collect();
        if !rows.is_empty() {
            // What shows first is said first.
            let place = if is_changed(&self) { 0 } else { all.len() };
            all.insert(place, changed(&rows));
        }
        f.write_str(&clauses(&all))
    }
}

/// A ledger that is no history: two rows are one version in two spellings. Displayed as a clause.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("version {first} is there twice, as {first} and as {second}")]
pub struct HistoryDefect {
    /// The spelling that was read first.
    pub first: Version,
    /// The other one.
    pub second: Version,
}

impl History {
    /// A history of these rows, in any order. `orphans`: versions that we have a record of and the ledger has not.
    ///
    /// # Errors
    /// When two rows are one version in two spellings (`1` and `001`).
    pub fn new(rows: Vec<Applied>, mut orphans: Vec<Version>) -> Result<Self, HistoryDefect> {
        let mut applied: BTreeMap<Version, Applied> = BTreeMap::new();
        for row in rows {
            if let Some(first) = applied.get(&row.version) {
                return Err(HistoryDefect {
                    first: first.version.clone(),
                    second: row.version,
                });
            }
            applied.insert(row.version.clone(), row);
        }
        orphans.sort();
        Ok(Self {
            applied,
            orphans,
            ..Self::default()
        })
    }

    /// The same history with a version that was begun. When its UP was begun, a row of it that we did not write is
    /// the script's own, come too early: the version is not applied yet.
    #[must_use]
    pub fn with_begun(mut self, begun: Option<Begun>) -> Self {
        self.set_begun(begun);
        self
    }

    /// Takes in how far a version came, or that none is begun any more.
    pub fn set_begun(&mut self, begun: Option<Begun>) {
        if let Some(begun) = &begun
            && begun.direction == Direction::Up
            && self
                .applied
                .get(&begun.version)
                .is_some_and(|applied| applied.stored.is_none())
        {
            self.applied.remove(&begun.version);
        }
        self.begun = begun;
    }

    /// The version that was begun and is not recorded yet.
    #[must_use]
    pub fn begun(&self) -> Option<&Begun> {
        self.begun.as_ref()
    }

    /// The history of a database that nothing was applied to.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The row of a version.
    #[must_use]
    pub fn get(&self, version: &Version) -> Option<&Applied> {
        self.applied.get(version)
    }

    /// All rows, lowest version first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Applied> {
        self.applied.values()
    }

    /// Takes in a version that was just recorded.
    pub fn insert(&mut self, row: Applied) {
        self.applied.insert(row.version.clone(), row);
    }

    /// Takes out a version that was just undone.
    pub fn remove(&mut self, version: &Version) {
        self.applied.remove(version);
        let undone = self.undone.entry(version.clone()).or_default();
        *undone = undone.saturating_add(1);
    }

    /// The highest applied version.
    #[must_use]
    pub fn current(&self) -> Option<&Version> {
        self.applied.last_key_value().map(|(version, _)| version)
    }

    /// How many versions are applied.
    #[must_use]
    pub fn len(&self) -> usize {
        self.applied.len()
    }

    /// Whether nothing is applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.applied.is_empty()
    }

    /// This history, of which these versions were recorded and never run here.
    #[must_use]
    pub fn with_baselined(self, baselined: BTreeSet<Version>) -> Self {
        Self { baselined, ..self }
    }

    /// This history, of which it is known how often each version was undone. Spellings of one version are
    /// added up.
    #[must_use]
    pub fn with_undone(self, counts: impl IntoIterator<Item = (Version, u64)>) -> Self {
        let mut undone: BTreeMap<Version, u64> = BTreeMap::new();
        for (version, count) in counts {
            let sum = undone.entry(version).or_default();
            *sum = sum.saturating_add(count);
        }
        Self { undone, ..self }
    }

    /// How often the version was undone so far.
    #[must_use]
    pub fn times_undone(&self, version: &Version) -> u64 {
        self.undone.get(version).copied().unwrap_or_default()
    }

    /// This history, of which it is known whether it ever held a version.
    #[must_use]
    pub fn with_use(self, used: bool) -> Self {
        Self { used, ..self }
    }

    /// This history, of whose audit the first defect was found, or none.
    #[must_use]
    pub fn with_audit_defect(self, audit_defect: Option<AuditDefect>) -> Self {
        Self {
            audit_defect,
            ..self
        }
    }

    /// What somebody did to the audit.
    #[must_use]
    pub fn audit_defect(&self) -> Option<&AuditDefect> {
        self.audit_defect.as_ref()
    }

    /// Whether the version was recorded by a baseline: nobody here ran it.
    #[must_use]
    pub fn is_baselined(&self, version: &Version) -> bool {
        self.baselined.contains(version)
    }

    /// Whether it ever held a version, although it may be empty now.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.used || !self.is_empty()
    }

    /// This history as it is once somebody accepted that the ledger has no row of its orphans.
    #[must_use]
    pub fn without_orphans(self) -> Self {
        Self {
            orphans: Vec::new(),
            ..self
        }
    }

    /// Versions that we have a record of and the ledger has not, lowest first.
    #[must_use]
    pub fn orphans(&self) -> &[Version] {
        &self.orphans
    }
}

#[cfg(test)]
mod tests;
