//! The one planner: catalog, history, target and policy to a plan, or to why there is none.

mod begun;

use super::baseline::baseline;
use super::blocked::Blocked;
use super::catalog::{Catalog, Migration};
use super::checksum::Checksum;
use super::compare::mismatches;
use super::history::{Applied, History};
use super::mismatch::Mismatch;
use super::target::{Policy, Rollback, Target};
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

/// A version that was there before the history, and is recorded without being run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baselined {
    /// The version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// Of the UP file.
    pub checksum: Checksum,
}

/// What has to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Rows to take over, lowest version first.
    pub adopt: Vec<Adoption>,
    /// Versions to record without running them, lowest version first.
    pub baseline: Vec<Baselined>,
    /// Undo steps, newest first, then apply steps, oldest first.
    pub steps: Vec<Step>,
    /// The highest applied version.
    pub current: Option<Version>,
    /// The version that the database is at afterwards.
    pub target: Option<Version>,
}

impl Plan {
    /// Whether there is nothing to do: no steps, nothing to take over and nothing to record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.adopt.is_empty() && self.baseline.is_empty() && self.steps.is_empty()
    }
}

/// Plans the way from a history to a target.
///
/// # Errors
/// Why there is none. When several reasons hold it is the first of [`Blocked::HistoryTampered`],
/// [`Blocked::AuditTampered`],
/// [`Blocked::Begun`] for what nobody can tell or a file that is gone, [`Blocked::ChecksumMismatch`],
/// [`Blocked::UnknownTarget`], [`Blocked::NotEmpty`], [`Blocked::BaselineOutOfReach`],
/// [`Blocked::VersionMissing`], [`Blocked::OutOfOrder`], [`Blocked::DatabaseAhead`],
/// [`Blocked::BelowBaseline`], [`Blocked::DownMissing`] and [`Blocked::Begun`] for what would not be gone on
/// with first.
pub fn plan(
    catalog: &Catalog,
    history: &History,
    target: &Target,
    policy: &Policy,
) -> Result<Plan, Blocked> {
    judge_history(history)?;
    if let Some(begun) = history.begun() {
        begun::judge(catalog, begun)?;
    }
    judge_checksums(catalog, history)?;
    let goal = Goal::of(catalog, history, target)?;
    let baselined = match &policy.baseline {
        Some(wanted) if goal.applies => baseline(catalog, history, wanted, goal.top.as_ref())?,
        _ => Vec::new(),
    };
    let comparison = Comparison::of(catalog, history, &goal);
    judge_order(&comparison)?;
    judge_way_back(&comparison, &goal, policy.rollback)?;
    judge_baseline(&comparison, history)?;
    let undo = undo_steps(catalog, &comparison)?;
    let pending = comparison.pending.iter().skip(baselined.len());
    let apply = pending.map(|migration| Step::Apply {
        version: migration.version.clone(),
        name: migration.name.clone(),
        checksum: migration.up.checksum,
    });
    let steps: Vec<Step> = undo.into_iter().chain(apply).collect();
    if let Some(begun) = history.begun() {
        begun::judge_first_step(begun, steps.first())?;
    }
    Ok(Plan {
        adopt: adoptions(catalog, history),
        baseline: baselined.into_iter().map(to_record).collect(),
        steps,
        current: history.current().cloned(),
        target: goal.top,
    })
}

/// The target as a place in the numeric order.
struct Goal {
    /// The highest version that shall stay or be applied; `None`: none.
    top: Option<Version>,
    applies: bool,
    /// An empty set: whatever the policy, this is not the wish to undo everything.
    is_by_emptiness: bool,
}

impl Goal {
    fn of(catalog: &Catalog, history: &History, target: &Target) -> Result<Self, Blocked> {
        let (top, applies) = match target {
            Target::Latest => (catalog.latest().cloned(), true),
            Target::Version(version) => match catalog.get(version) {
                Some(migration) => (Some(migration.version.clone()), true),
                None => return Err(Blocked::UnknownTarget(version.clone())),
            },
            Target::DownTo(None) => (None, false),
            Target::DownTo(Some(version)) => {
                let of_set = catalog.get(version).map(|migration| &migration.version);
                let applied = || history.get(version).map(|applied| &applied.version);
                match of_set.or_else(applied) {
                    Some(version) => (Some(version.clone()), false),
                    None => return Err(Blocked::UnknownTarget(version.clone())),
                }
            }
        };
        let is_by_emptiness = applies && top.is_none();
        Ok(Self {
            top,
            applies,
            is_by_emptiness,
        })
    }

    /// Whether the target asks for this version or one above it.
    fn reaches(&self, version: &Version) -> bool {
        self.top.as_ref().is_some_and(|top| version <= top)
    }
}

/// Set and history side by side, as seen from the target; each list lowest version first.
struct Comparison<'a> {
    /// To be applied.
    pending: Vec<&'a Migration>,
    /// Applied, and above the target.
    ahead: Vec<&'a Applied>,
    /// Applied, not above the target, and taken out of the middle of the set.
    missing: Vec<&'a Applied>,
    /// The highest applied version that is not above the target.
    kept: Option<&'a Version>,
}

impl<'a> Comparison<'a> {
    fn of(catalog: &'a Catalog, history: &'a History, goal: &Goal) -> Self {
        let (staying, ahead): (Vec<&Applied>, Vec<&Applied>) = history
            .iter()
            .partition(|applied| goal.reaches(&applied.version));
        let pending = catalog
            .iter()
            .filter(|migration| goal.applies && goal.reaches(&migration.version))
            .filter(|migration| history.get(&migration.version).is_none())
            .collect();
        // What lies above the whole set is not missing from it: the set was cut short, as a Git revert does.
        let missing = staying
            .iter()
            .filter(|applied| catalog.get(&applied.version).is_none())
            .filter(|applied| {
                catalog
                    .latest()
                    .is_some_and(|latest| applied.version < *latest)
            })
            .copied()
            .collect();
        Self {
            pending,
            ahead,
            missing,
            kept: staying.last().map(|applied| &applied.version),
        }
    }
}

/// A ledger and our records that contradict each other, or an audit that somebody changed.
///
/// # Errors
/// What contradicts what.
pub fn judge_history(history: &History) -> Result<(), Blocked> {
    let contradicted =
        history
            .iter()
            .filter(|applied| match (&applied.stored, &applied.checksum) {
                (Some(stored), Some(text)) => Checksum::parse(text) != Ok(stored.up),
                _ => false,
            });
    let mut tampered: Vec<Version> = contradicted
        .map(|applied| applied.version.clone())
        .collect();
    tampered.extend_from_slice(history.orphans());
    tampered.sort();
    if !tampered.is_empty() {
        return Err(Blocked::HistoryTampered(tampered));
    }
    match history.audit_defect() {
        Some(defect) => Err(Blocked::AuditTampered(defect.clone())),
        None => Ok(()),
    }
}

/// Files that are not what was applied, or not what is pinned.
fn judge_checksums(catalog: &Catalog, history: &History) -> Result<(), Blocked> {
    let mismatches: Vec<Mismatch> = catalog
        .iter()
        .flat_map(|migration| mismatches(migration, history.get(&migration.version)))
        .collect();
    if mismatches.is_empty() {
        Ok(())
    } else {
        Err(Blocked::ChecksumMismatch(mismatches))
    }
}

fn judge_order(comparison: &Comparison<'_>) -> Result<(), Blocked> {
    if !comparison.missing.is_empty() {
        let missing = comparison
            .missing
            .iter()
            .map(|applied| applied.version.clone());
        return Err(Blocked::VersionMissing(missing.collect()));
    }
    let Some(kept) = comparison.kept else {
        return Ok(());
    };
    let late = comparison
        .pending
        .iter()
        .filter(|migration| migration.version < *kept);
    let late: Vec<Version> = late.map(|migration| migration.version.clone()).collect();
    if late.is_empty() {
        Ok(())
    } else {
        Err(Blocked::OutOfOrder {
            pending: late,
            current: kept.clone(),
        })
    }
}

fn judge_way_back(
    comparison: &Comparison<'_>,
    goal: &Goal,
    rollback: Rollback,
) -> Result<(), Blocked> {
    let is_allowed = rollback == Rollback::Allow && !goal.is_by_emptiness;
    if comparison.ahead.is_empty() || is_allowed {
        return Ok(());
    }
    let applied = comparison
        .ahead
        .iter()
        .map(|applied| applied.version.clone())
        .collect();
    Err(Blocked::DatabaseAhead {
        applied,
        target: goal.top.clone(),
    })
}

/// What was there before us is not undone by a text that never ran here.
fn judge_baseline(comparison: &Comparison<'_>, history: &History) -> Result<(), Blocked> {
    let ahead = comparison.ahead.iter().map(|applied| &applied.version);
    let below: Vec<Version> = ahead
        .filter(|version| history.is_baselined(version))
        .cloned()
        .collect();
    if below.is_empty() {
        Ok(())
    } else {
        Err(Blocked::BelowBaseline(below))
    }
}

fn to_record(migration: &Migration) -> Baselined {
    Baselined {
        version: migration.version.clone(),
        name: migration.name.clone(),
        checksum: migration.up.checksum,
    }
}

/// Newest first, each with the text that was stored for it; the file's only where none was stored.
fn undo_steps(catalog: &Catalog, comparison: &Comparison<'_>) -> Result<Vec<Step>, Blocked> {
    let mut steps = Vec::new();
    let mut without_down = Vec::new();
    for applied in comparison.ahead.iter().rev() {
        let stored = applied
            .stored
            .and_then(|stored| stored.down)
            .map(DownSource::Stored);
        let of_file = || {
            let down = catalog.get(&applied.version)?.down.as_ref()?;
            Some(DownSource::File(down.checksum))
        };
        match stored.or_else(of_file) {
            Some(down) => {
                steps.push(Step::Undo {
                    version: applied.version.clone(),
                    name: applied.name.clone(),
                    down,
                });
            }
            None => without_down.insert(0, applied.version.clone()),
        }
    }
    if without_down.is_empty() {
        Ok(steps)
    } else {
        Err(Blocked::DownMissing(without_down))
    }
}

/// Every row that another program wrote and that the set knows. Those that will be undone too: their record is what
/// the way back reads.
fn adoptions(catalog: &Catalog, history: &History) -> Vec<Adoption> {
    history
        .iter()
        .filter(|applied| applied.stored.is_none() && catalog.get(&applied.version).is_some())
        .map(|applied| Adoption {
            version: applied.version.clone(),
            stamp: applied.checksum.is_none(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
