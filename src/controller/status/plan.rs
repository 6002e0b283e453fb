//! What would run, as status shows it.

use crate::api::v1alpha1::{
    PlanStatus, PlannedClass, PlannedFinding, PlannedScript, PlannedStatement,
};
use crate::engine::outcome::Outcome;
use crate::engine::review::{Concern, ReviewedPlan, ReviewedScript, ReviewedStatement};
use crate::migration::lint::Impact;
use crate::migration::statement::StatementClass;

use super::super::verdict::of_direction;
use super::{MAX_PENDING, clip_name, clip_to};

/// Statements that status lists.
pub const MAX_STATEMENTS: usize = 50;
/// Findings of one statement that status lists.
const MAX_FINDINGS: usize = 10;
/// Longest text of a finding in status, in characters.
const MAX_FINDING: usize = 200;
/// Longest words of a statement in status, in characters.
const MAX_STATEMENT: usize = 120;

/// What would run after an attempt; `None`: nothing, or it is not known, because a part of it ran.
pub(super) fn plan(outcome: &Outcome) -> Option<PlanStatus> {
    let plan = outcome.reviewed()?;
    outcome.done().is_empty().then(|| shown(plan))
}

fn shown(plan: &ReviewedPlan) -> PlanStatus {
    let scripts = plan.scripts.iter();
    let destructive = plan
        .statements()
        .filter(|(_, statement)| statement.impact == Impact::Destructive);
    PlanStatus {
        hash: plan.hash.to_string(),
        direction: of_direction(plan.direction()),
        approved_by: plan
            .approved
            .as_ref()
            .map(|approved| clip_name(&approved.by)),
        script_count: count(plan.scripts.len()),
        statement_count: count(plan.statements().count()),
        destructive_count: count(destructive.count()),
        statements: plan
            .statements()
            .take(MAX_STATEMENTS)
            .map(|(script, statement)| planned_statement(script, statement))
            .collect(),
        scripts: scripts.take(MAX_PENDING).map(planned_script).collect(),
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn planned_script(script: &ReviewedScript) -> PlannedScript {
    PlannedScript {
        version: script.version.to_string(),
        name: clip_name(&script.name),
        direction: of_direction(script.direction),
        checksum: script.checksum.to_string(),
        findings: findings(&script.findings),
    }
}

fn findings(concerns: &[Concern]) -> Vec<PlannedFinding> {
    let first = concerns.iter().take(MAX_FINDINGS);
    let shown = first.map(|concern| PlannedFinding {
        rule: concern.name.to_owned(),
        action: concern.action.name().to_owned(),
        message: concern
            .message
            .as_ref()
            .map(|text| clip_to(text, MAX_FINDING)),
    });
    shown.collect()
}

fn planned_statement(script: &ReviewedScript, statement: &ReviewedStatement) -> PlannedStatement {
    PlannedStatement {
        version: script.version.to_string(),
        line: count(statement.line),
        statement: clip_to(&statement.words, MAX_STATEMENT),
        class: match statement.class {
            StatementClass::NonTransactional(_) => PlannedClass::NonTransactional,
            // The other classes do not get past the judgement of a script.
            StatementClass::Transactional
            | StatementClass::TransactionControl
            | StatementClass::Refused(_) => PlannedClass::Transactional,
        },
        impact: statement.impact.to_string(),
        lock: statement.lock.to_string(),
        findings: findings(&statement.findings),
    }
}
