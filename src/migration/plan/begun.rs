//! What a version that was begun means for the plan.

use super::Step;
use crate::migration::begun::Begun;
use crate::migration::blocked::{BegunProblem, Blocked};
use crate::migration::catalog::Catalog;
use crate::migration::file_name::Direction;

/// A version that was begun: whether there is anything to go on with.
pub(super) fn judge(catalog: &Catalog, begun: &Begun) -> Result<(), Blocked> {
    let problem = if begun.escaped().is_some() {
        BegunProblem::Escaped
    } else if begun.direction == Direction::Up && catalog.get(&begun.version).is_none() {
        BegunProblem::Gone
    } else {
        return Ok(());
    };
    Err(begun_blocks(begun, problem))
}

/// No other version starts while one is begun.
pub(super) fn judge_first_step(begun: &Begun, first: Option<&Step>) -> Result<(), Blocked> {
    let problem = match (begun.direction, first) {
        (Direction::Up, Some(Step::Apply { version, .. }))
        | (Direction::Down, Some(Step::Undo { version, .. }))
            if *version == begun.version =>
        {
            return Ok(());
        }
        (Direction::Up, Some(Step::Apply { version, .. })) if *version < begun.version => {
            BegunProblem::Behind(version.clone())
        }
        _ => BegunProblem::NotWanted,
    };
    Err(begun_blocks(begun, problem))
}

fn begun_blocks(begun: &Begun, problem: BegunProblem) -> Blocked {
    Blocked::Begun {
        begun: begun.clone(),
        problem,
    }
}
