//! What one look at the database decides: whose it is, whether there is a plan, whether it can be
//! recorded, what has to be there first, and whether the rights suffice. Pure.

use crate::migration::begun::Begun;
use crate::migration::blocked::{BegunProblem, Blocked};
use crate::migration::catalog::Migration;
use crate::migration::file_name::Direction;
use crate::migration::plan::{Plan, Step, plan};
use crate::migration::script::Script;
use crate::migration::target::Target;
use crate::migration::version::Version;

use super::database::{AdoptedVersion, BaselinedVersion, Inspection, Preparation, Texts};
use super::error::{DatabaseError, DatabaseErrorKind};
use super::outcome::{Claimed, DoesNotFit, Stop};
use super::server_identity::ServerChange;
use super::task::{Actor, Mode, Owner, Task};

/// Characters of a SHA-256 in the ledger.
const CHECKSUM_CHARACTERS: usize = 64;

/// What follows from one look.
#[derive(Debug, Clone)]
pub(super) struct Judgement {
    /// The way to the target.
    pub plan: Plan,
    /// The steps to run in this mode.
    pub steps: Vec<Step>,
    /// What has to be created, claimed or taken over first.
    pub preparation: Option<Preparation>,
    /// The claim that a run from the command line passes.
    pub passed_claim: Option<Owner>,
    /// The change of server that is to be noted.
    pub server_change: Option<ServerChange>,
}

impl Judgement {
    /// True when all that is to be written is which server it is. That must not make a run fail.
    pub fn only_notes_the_server(&self) -> bool {
        self.steps.is_empty()
            && self
                .preparation
                .as_ref()
                .is_some_and(|preparation| !preparation.is_essential)
    }

    /// True when the database is as the task wants it.
    pub fn nothing_to_do(&self) -> bool {
        self.preparation.is_none() && self.steps.is_empty()
    }
}

/// Judges one look.
pub(super) fn judge(task: &Task, seen: &Inspection) -> Result<Judgement, Stop> {
    let (claim, passed_claim) = judge_claim(task, seen)?;
    let plan = match &task.mode {
        Mode::Plan | Mode::Migrate => {
            plan(&task.catalog, &seen.history, &task.target, &task.policy).map_err(Stop::Blocked)?
        }
        // Whatever is applied already, the history can be there.
        Mode::Initialize | Mode::Decide(_) => Plan {
            current: seen.history.current().cloned(),
            target: seen.history.current().cloned(),
            ..Plan::default()
        },
    };
    goes_on_with_what_was_begun(task, seen, &plan)?;
    fits(seen, &plan)?;
    let preparation = preparation(task, seen, claim, &plan);
    let noted = preparation.as_ref().and_then(|found| found.server);
    let judgement = Judgement {
        server_change: noted.and_then(|_| seen.server_seen.change()),
        preparation,
        steps: plan.steps.clone(),
        plan,
        passed_claim,
    };
    let writes = task.mode != Mode::Plan && !judgement.nothing_to_do();
    if writes && !seen.missing_grants.is_empty() {
        return Err(missing_grants(seen));
    }
    Ok(judgement)
}

/// A version that was begun goes on only when its file still begins with what was run. (The text of a way back
/// is not known here; it is compared before it runs.)
fn goes_on_with_what_was_begun(task: &Task, seen: &Inspection, plan: &Plan) -> Result<(), Stop> {
    let (Some(begun), Some(Step::Apply { version, .. })) =
        (seen.history.begun(), plan.steps.first())
    else {
        return Ok(());
    };
    let Some(migration) = task.catalog.get(version) else {
        return Ok(());
    };
    match Script::parse(&migration.up.bytes, &task.ledger.table) {
        Ok(script) => unchanged(begun, &script).map_err(Stop::Blocked),
        Err(defects) => Err(Stop::Unusable {
            version: version.clone(),
            direction: Direction::Up,
            defects,
        }),
    }
}

/// Whether `script` still says what was begun.
pub(super) fn unchanged(begun: &Begun, script: &Script) -> Result<(), Blocked> {
    match begun.contradiction(script) {
        None => Ok(()),
        Some(entry) => Err(Blocked::Begun {
            begun: begun.clone(),
            problem: BegunProblem::Changed {
                statement: entry.first,
            },
        }),
    }
}

/// The claim to write, if one is to be written, and the one that is passed.
pub(super) fn judge_claim(
    task: &Task,
    seen: &Inspection,
) -> Result<(Option<Owner>, Option<Owner>), Stop> {
    match (&task.actor, &seen.claim) {
        (Actor::CommandLine, claim) => Ok((None, claim.clone())),
        (Actor::Resource(owner), Some(claim)) if owner == claim => Ok((None, None)),
        (Actor::Resource(owner), Some(claim)) if !owner.is_same_resource(claim) => {
            Err(Stop::Claimed(Box::new(Claimed {
                owner: claim.clone(),
                wanted: owner.clone(),
            })))
        }
        (Actor::Resource(owner), _) => Ok((Some(owner.clone()), None)),
    }
}

/// A ledger that somebody else created may have narrower columns; that is found out before anything
/// runs.
fn fits(seen: &Inspection, plan: &Plan) -> Result<(), Stop> {
    let stamped = plan.adopt.iter().filter(|adoption| adoption.stamp);
    let applied = plan.steps.iter().filter_map(|step| match step {
        Step::Apply { version, name, .. } => Some((version, name.chars().count())),
        Step::Undo { .. } => None,
    });
    let baseline = plan.baseline.iter();
    let recorded = baseline.map(|recorded| (&recorded.version, recorded.name.chars().count()));
    let rows = stamped
        .map(|adoption| (&adoption.version, 0))
        .chain(recorded)
        .chain(applied);
    for (version, name) in rows {
        too_narrow(seen, version, name)?;
    }
    Ok(())
}

/// Whether a row of `version`, with a name of so many characters, fits into the ledger's columns.
pub(super) fn too_narrow(seen: &Inspection, version: &Version, name: usize) -> Result<(), Stop> {
    let columns = [
        ("version", version.as_str().len(), seen.limits.version),
        ("name", name, seen.limits.name),
        ("checksum", CHECKSUM_CHARACTERS, seen.limits.checksum),
    ];
    for (column, needed, available) in columns {
        if let Some(available) = available.filter(|available| *available < needed) {
            return Err(Stop::DoesNotFit(DoesNotFit {
                version: version.clone(),
                column,
                needed,
                available,
            }));
        }
    }
    Ok(())
}

/// What has to be created, claimed or taken over before versions run.
fn preparation(
    task: &Task,
    seen: &Inspection,
    claim: Option<Owner>,
    plan: &Plan,
) -> Option<Preparation> {
    let only_back = matches!(task.target, Target::DownTo(_));
    if only_back && plan.steps.is_empty() {
        return None;
    }
    let adopt: Vec<_> = plan
        .adopt
        .iter()
        .filter_map(|adoption| {
            Some(AdoptedVersion {
                version: seen.history.get(&adoption.version)?.version.clone(),
                texts: texts(task.catalog.get(&adoption.version)?),
                stamp: adoption.stamp,
            })
        })
        .collect();
    let baseline: Vec<_> = plan
        .baseline
        .iter()
        .filter_map(|recorded| {
            let texts = texts(task.catalog.get(&recorded.version)?);
            Some(BaselinedVersion {
                version: recorded.version.clone(),
                name: recorded.name.clone(),
                texts: Texts {
                    down: None,
                    down_checksum: None,
                    ..texts
                },
            })
        })
        .collect();
    let complete = seen.ledger_exists
        && seen
            .installation
            .is_some_and(|installation| !installation.is_outdated);
    let rows = !adopt.is_empty() || !baseline.is_empty();
    let is_essential = !complete || claim.is_some() || rows;
    // Who may not write is not stopped by it.
    let may_write = seen.missing_grants.is_empty();
    let server = seen.server_seen.news().filter(|_| may_write);
    (is_essential || server.is_some()).then(|| Preparation {
        claim,
        adopt,
        baseline,
        server,
        is_essential,
        actor: task.actor.to_string(),
    })
}

/// The texts of a migration, to be kept with its record.
pub(super) fn texts(migration: &Migration) -> Texts {
    Texts {
        up: migration.up.bytes.clone(),
        up_checksum: migration.up.checksum,
        down: migration.down.as_ref().map(|down| down.bytes.clone()),
        down_checksum: migration.down.as_ref().map(|down| down.checksum),
    }
}

pub(super) fn missing_grants(seen: &Inspection) -> Stop {
    Stop::Database(DatabaseError::new(
        DatabaseErrorKind::PermissionDenied,
        format!(
            "Role \"{}\" lacks rights in database \"{}\". Nothing was changed. Run as its owner: {}",
            seen.server.user,
            seen.server.database,
            seen.missing_grants.join(" ")
        ),
    ))
}
