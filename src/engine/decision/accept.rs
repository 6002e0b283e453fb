//! `accept`: the present file of an applied version, or the history as it stands, is right.

use std::fmt;

use crate::migration::catalog::Migration;
use crate::migration::checksum::Checksum;
use crate::migration::history::{Applied, History};
use crate::migration::plan::{Step, plan};
use crate::migration::target::Target;
use crate::migration::version::Version;

use super::{Change, InvalidWish, NextRun, Refusal, Was};
use crate::engine::database::Inspection;
use crate::engine::judgement::texts;
use crate::engine::task::Task;

/// Least length of the beginning of a checksum: what messages show of one.
const SHORTEST: usize = 8;
/// A whole checksum.
const LONGEST: usize = 64;

/// A version whose text is accepted, and which text that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedText {
    /// The version.
    pub version: Version,
    /// The beginning of the checksum of its UP or its DOWN; `None`: whatever they are.
    pub checksum: Option<String>,
}

impl AcceptedText {
    /// Reads `002` or `002:1dd701f2`.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidWish> {
        let (version, checksum) = match text.split_once(':') {
            Some((version, checksum)) => (version, Some(checksum.to_ascii_lowercase())),
            None => (text, None),
        };
        let version = Version::parse(version)
            .map_err(|_| InvalidWish(format!("{version:?} is no version, such as 002")))?;
        let is_beginning = |checksum: &String| {
            (SHORTEST..=LONGEST).contains(&checksum.len())
                && checksum.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if checksum.as_ref().is_some_and(|text| !is_beginning(text)) {
            return Err(InvalidWish(format!(
                "what follows {version}: is not the beginning of a checksum, 8 to 64 hexadecimal digits"
            )));
        }
        Ok(Self { version, checksum })
    }
}

impl fmt::Display for AcceptedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.checksum {
            Some(checksum) => write!(f, "{}:{checksum}", self.version),
            None => self.version.fmt(f),
        }
    }
}

/// What accepting one version changes; `None`: nothing contradicts anything.
pub(super) fn accept(
    task: &Task,
    seen: &Inspection,
    accepted: &AcceptedText,
) -> Result<Option<Change>, Refusal> {
    let version = &accepted.version;
    let Some(applied) = seen.history.get(version) else {
        return forget(task, seen, accepted).map(Some);
    };
    let is_baselined = seen.history.is_baselined(version);
    match task.catalog.get(version) {
        Some(migration) => take(applied, is_baselined, migration, accepted),
        None => put_back(applied, accepted).map(Some),
    }
}

/// The ledger has no row: then the ledger is right, and our record goes.
fn forget(task: &Task, seen: &Inspection, accepted: &AcceptedText) -> Result<Change, Refusal> {
    let mut orphans = seen.history.orphans().iter();
    let recorded = orphans
        .find(|orphan| **orphan == accepted.version)
        .ok_or_else(|| Refusal::NotApplied(accepted.version.clone()))?;
    no_text_named(accepted)?;
    Ok(Change::Forget {
        version: recorded.clone(),
        next: next_run(task, &seen.history, recorded),
    })
}

/// What the next run makes of a version whose record is gone, were all rows that are lost accepted as that. What holds
/// whatever else stands in the way comes first: the planner names one reason of several.
fn next_run(task: &Task, history: &History, version: &Version) -> NextRun {
    if task.catalog.get(version).is_none() {
        return NextRun::HasNoFile;
    }
    if let Some(top) = top(task) {
        if version > top {
            return NextRun::IsAbove(top.clone());
        }
        let mut applied = history.iter().rev().map(|applied| &applied.version);
        if let Some(later) = applied.find(|applied| *applied <= top && *applied > version) {
            return NextRun::IsBehind(later.clone());
        }
    }
    let history = history.clone().without_orphans();
    let applies =
        |step: &Step| matches!(step, Step::Apply { version: next, .. } if next == version);
    match plan(&task.catalog, &history, &task.target, &task.policy) {
        Ok(plan) if plan.steps.iter().any(applies) => NextRun::Applies,
        _ => NextRun::IsBlocked,
    }
}

/// The version that the next run goes up to; `None`: it applies none.
fn top(task: &Task) -> Option<&Version> {
    match &task.target {
        Target::Latest => task.catalog.latest(),
        Target::Version(version) => Some(version),
        Target::DownTo(version) => version.as_ref(),
    }
}

/// There is a file: it is what was applied. Of a version that a baseline recorded it says, too, that its DOWN
/// undoes what is there.
fn take(
    applied: &Applied,
    is_baselined: bool,
    migration: &Migration,
    accepted: &AcceptedText,
) -> Result<Option<Change>, Refusal> {
    let (up, down) = (
        migration.up.checksum,
        migration.down.as_ref().map(|down| down.checksum),
    );
    let is_named = |named: &String| {
        let begins = |checksum: Checksum| checksum.to_string().starts_with(named.as_str());
        begins(up) || down.is_some_and(begins)
    };
    if let Some(named) = accepted.checksum.as_ref().filter(|named| !is_named(named)) {
        return Err(Refusal::OtherText {
            version: accepted.version.clone(),
            named: named.clone(),
        });
    }
    let is_pinned = |pin: &crate::migration::catalog::Pin| {
        pin.up == up && (pin.down.is_none() || down.is_none() || pin.down == down)
    };
    if migration.pin.as_ref().is_some_and(|pin| !is_pinned(pin)) {
        return Err(Refusal::Pinned(accepted.version.clone()));
    }
    if !is_baselined && agrees(applied, up, down) {
        return Ok(None);
    }
    Ok(Some(Change::Take {
        version: applied.version.clone(),
        texts: texts(migration),
        was: Was {
            ledger: applied.checksum.clone(),
            up: applied.stored.map(|stored| stored.up),
            down: applied.stored.and_then(|stored| stored.down),
        },
    }))
}

/// Whether ledger, record and file say the same, so that there is nothing to accept. A row without a record
/// is taken over by the next run, if its checksum is the file's or none.
fn agrees(applied: &Applied, up: Checksum, down: Option<Checksum>) -> bool {
    let in_ledger = applied
        .checksum
        .as_deref()
        .map(|text| Checksum::parse(text).ok());
    let ledger_agrees = in_ledger.is_none_or(|checksum| checksum == Some(up));
    let record_agrees = applied
        .stored
        .is_none_or(|stored| stored.up == up && (down.is_none() || stored.down == down));
    ledger_agrees && record_agrees
}

/// There is no file: what was kept is what was applied, and the ledger gets its checksum back.
fn put_back(applied: &Applied, accepted: &AcceptedText) -> Result<Change, Refusal> {
    let in_ledger = applied
        .checksum
        .as_deref()
        .and_then(|text| Checksum::parse(text).ok());
    match applied.stored {
        Some(stored) if applied.checksum.is_some() && in_ledger != Some(stored.up) => {
            no_text_named(accepted)?;
            Ok(Change::PutBack {
                version: applied.version.clone(),
                checksum: stored.up,
                ledger: applied.checksum.clone(),
            })
        }
        _ => Err(Refusal::NoFile(accepted.version.clone())),
    }
}

/// Who names a text means a file, and there is none.
fn no_text_named(accepted: &AcceptedText) -> Result<(), Refusal> {
    match &accepted.checksum {
        None => Ok(()),
        Some(named) => Err(Refusal::OtherText {
            version: accepted.version.clone(),
            named: named.clone(),
        }),
    }
}

#[cfg(test)]
mod tests;
