//! The hash that names what a plan would run, so that somebody can approve exactly that. Pure.
//!
//! It is SHA-256 over a canonical encoding of the [`PlanContext`] and of each script in the order in which it
//! would run: direction, version, name and the checksum of its text, and how often the version was undone before,
//! when it was. With that, the same scripts once more are another plan: what approved them the first time approves
//! nothing more, whoever forgot that it was used. Every field has its length before it, so that two different plans
//! never have the same encoding.

use super::checksum::Checksum;
use super::file_name::Direction;
use super::history::History;
use super::plan::{DownSource, Plan, Step};
use super::version::Version;

/// What the encoding begins with; another one would be another hash for the same plan.
const FORMAT: &str = "schemaward.plan/v1";

/// How many versions may have run since an approval for what is left of its plan to be recognised.
const LONGEST_PREFIX: usize = 200;

/// What a plan is for: the same scripts on another database, or under another role, are another plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanContext(Vec<u8>);

impl PlanContext {
    /// The context that these fields make, in this order.
    #[must_use]
    pub fn new<'a>(fields: impl IntoIterator<Item = &'a str>) -> Self {
        let mut bytes = Vec::new();
        encode(&mut bytes, FORMAT);
        for field in fields {
            encode(&mut bytes, field);
        }
        Self(bytes)
    }
}

/// One script of a plan.
#[derive(Debug, Clone, Copy)]
struct Script<'a> {
    direction: Direction,
    version: &'a Version,
    name: &'a str,
    checksum: Checksum,
    times_undone: u64,
}

impl<'a> Script<'a> {
    fn of(step: &'a Step, history: &History) -> Self {
        match step {
            Step::Apply {
                version,
                name,
                checksum,
            } => Self {
                direction: Direction::Up,
                version,
                name,
                checksum: *checksum,
                times_undone: history.times_undone(version),
            },
            Step::Undo {
                version,
                name,
                down: DownSource::Stored(checksum) | DownSource::File(checksum),
            } => Self {
                direction: Direction::Down,
                version,
                name,
                checksum: *checksum,
                times_undone: history.times_undone(version),
            },
        }
    }
}

/// The hash of what `plan` would run. What it only records (rows taken over, a baseline) does not count.
#[must_use]
pub fn plan_hash(context: &PlanContext, plan: &Plan, history: &History) -> Checksum {
    let scripts = plan.steps.iter().map(|step| Script::of(step, history));
    hash(context, scripts)
}

/// Whether `approved` is the hash of `plan`, or of a plan of which `plan` is what is left: its first versions
/// were applied since, with the texts that were approved. What is left of a way back is not recognised,
/// because the history no longer has what was undone.
#[must_use]
pub fn is_approved(
    context: &PlanContext,
    plan: &Plan,
    history: &History,
    approved: Checksum,
) -> bool {
    if plan_hash(context, plan, history) == approved {
        return true;
    }
    if plan
        .steps
        .iter()
        .any(|step| matches!(step, Step::Undo { .. }))
    {
        return false;
    }
    let mut scripts: Vec<Script<'_>> = plan
        .steps
        .iter()
        .map(|step| Script::of(step, history))
        .collect();
    for applied in history.iter().rev().take(LONGEST_PREFIX) {
        let Some(stored) = applied.stored else {
            return false;
        };
        scripts.insert(
            0,
            Script {
                direction: Direction::Up,
                version: &applied.version,
                name: &applied.name,
                checksum: stored.up,
                times_undone: history.times_undone(&applied.version),
            },
        );
        if hash(context, scripts.iter().copied()) == approved {
            return true;
        }
    }
    false
}

fn hash<'a>(context: &PlanContext, scripts: impl Iterator<Item = Script<'a>>) -> Checksum {
    let mut bytes = context.0.clone();
    for script in scripts {
        let direction = match script.direction {
            Direction::Up => "up",
            Direction::Down => "down",
        };
        let checksum = script.checksum.to_string();
        for field in [direction, script.version.as_str(), script.name, &checksum] {
            encode(&mut bytes, field);
        }
        // No direction reads like this, so what follows a checksum is told apart.
        if script.times_undone > 0 {
            encode(&mut bytes, &format!("undone {}", script.times_undone));
        }
    }
    Checksum::of(&bytes)
}

fn encode(bytes: &mut Vec<u8>, field: &str) {
    bytes.extend(field.len().to_string().bytes());
    bytes.push(b':');
    bytes.extend(field.bytes());
}

#[cfg(test)]
mod tests;
