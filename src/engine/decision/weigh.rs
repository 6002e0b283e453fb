//! What one look makes of a decision. Pure.

use super::accept::accept;
use super::resolve::resolve;
use super::takeover::takeover;
use super::{Change, Decision, Settlement, Wish, database};
use crate::engine::database::Inspection;
use crate::engine::judgement::{judge_claim, missing_grants, too_narrow};
use crate::engine::outcome::Stop;
use crate::engine::task::{Owner, Task};

/// What is to be written for a decision, and what a run from the command line passes.
pub(in crate::engine) struct Weighed {
    /// `None`: nothing, because all of it is so already.
    pub settlement: Option<Settlement>,
    /// The claim that a run from the command line passes.
    pub passed_claim: Option<Owner>,
}

/// Weighs a decision against one look.
pub(in crate::engine) fn weigh(
    task: &Task,
    decision: &Decision,
    seen: &Inspection,
) -> Result<Weighed, Stop> {
    let (changes, passed_claim) = match &decision.wish {
        Wish::Accept(texts) => {
            let (_, passed_claim) = judge_claim(task, seen)?;
            let changes = texts.iter().map(|text| accept(task, seen, text));
            (changes.collect::<Result<Vec<_>, _>>(), passed_claim)
        }
        Wish::AcceptAudit => {
            let (_, passed_claim) = judge_claim(task, seen)?;
            let defect = seen.history.audit_defect().cloned();
            (Ok(vec![Some(Change::AcceptAudit { defect })]), passed_claim)
        }
        Wish::Database(accepted) => {
            let (_, passed_claim) = judge_claim(task, seen)?;
            let change = database::accept(task, seen, accepted);
            (change.map(|change| vec![change]), passed_claim)
        }
        Wish::Resolve(resolution) => {
            let (_, passed_claim) = judge_claim(task, seen)?;
            let changes = resolve(seen, resolution).map(|change| vec![Some(change)]);
            (changes, passed_claim)
        }
        Wish::Takeover(named) => (takeover(task, seen, named).map(|change| vec![change]), None),
    };
    let changes: Vec<Change> = changes
        .map_err(|refusal| Stop::Refused(Box::new(refusal)))?
        .into_iter()
        .flatten()
        .collect();
    for change in &changes {
        if let Change::Take { version, .. } | Change::PutBack { version, .. } = change {
            too_narrow(seen, version, 0)?;
        }
    }
    if !changes.is_empty() && !seen.missing_grants.is_empty() {
        return Err(missing_grants(seen));
    }
    let settlement = (!changes.is_empty()).then(|| Settlement {
        changes,
        server: seen.server_seen.news(),
        actor: format!("{}{decision}", task.actor),
    });
    Ok(Weighed {
        settlement,
        passed_claim,
    })
}
