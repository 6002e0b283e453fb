//! What would run, as status shows it.

use crate::api::v1alpha1::{
    LossKind, PlanStatus, PlannedClass, PlannedFinding, PlannedLoss, PlannedScript,
    PlannedStatement,
};
use crate::engine::loss::{self, DataLoss};
use crate::engine::outcome::Outcome;
use crate::engine::review::{Concern, ReviewedPlan, ReviewedScript, ReviewedStatement};
use crate::migration::lint::Impact;
use crate::migration::statement::StatementClass;

use super::super::verdict::of_direction;
use super::{MAX_PENDING, clip_name, clip_to};

/// Statements that status lists.
pub const MAX_STATEMENTS: usize = 50;
/// Losses that status lists.
const MAX_LOSSES: usize = 20;
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
        loss_count: (!plan.losses.is_empty()).then(|| count(plan.losses.len())),
        losses: plan
            .losses
            .iter()
            .take(MAX_LOSSES)
            .map(planned_loss)
            .collect(),
        statements: kept(plan)
            .into_iter()
            .map(|(script, statement)| planned_statement(script, statement))
            .collect(),
        scripts: scripts.take(MAX_PENDING).map(planned_script).collect(),
    }
}

/// The statements that are shown, in their order. Where not all of them fit, those that lose data come first: no
/// place in a long script hides one.
fn kept(plan: &ReviewedPlan) -> Vec<(&ReviewedScript, &ReviewedStatement)> {
    let mut kept: Vec<_> = plan.statements().enumerate().collect();
    kept.sort_by_key(|(place, (_, statement))| (statement.impact != Impact::Destructive, *place));
    kept.truncate(MAX_STATEMENTS);
    kept.sort_by_key(|(place, _)| *place);
    kept.into_iter().map(|(_, statement)| statement).collect()
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn planned_loss(loss: &DataLoss) -> PlannedLoss {
    PlannedLoss {
        version: loss.version.to_string(),
        line: count(loss.line),
        kind: match loss.kind {
            loss::LossKind::Table => LossKind::Table,
            loss::LossKind::Rows => LossKind::Rows,
            loss::LossKind::Column => LossKind::Column,
            loss::LossKind::Schema => LossKind::Schema,
            loss::LossKind::Untold => LossKind::Unknown,
        },
        object: clip_to(&loss.object, MAX_STATEMENT),
        estimated_rows: loss
            .rows
            .number()
            .map(|number| i64::try_from(number).unwrap_or(i64::MAX)),
        amount: loss.how_much(),
    }
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
        direction: Some(of_direction(script.direction)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::checksum::Checksum;
    use crate::migration::file_name::Direction;
    use crate::migration::lint::TableLock;
    use crate::migration::version::Version;

    #[test]
    fn a_statement_that_loses_data_is_shown_wherever_it_is() {
        let statement = |line: usize| ReviewedStatement {
            line,
            words: "CREATE TABLE t".to_owned(),
            class: StatementClass::Transactional,
            impact: if line == 1 || line >= 70 {
                Impact::Destructive
            } else {
                Impact::Additive
            },
            lock: TableLock::None,
            findings: Vec::new(),
        };
        let script = ReviewedScript {
            direction: Direction::Up,
            version: Version::parse("1").unwrap(),
            name: "a".to_owned(),
            checksum: Checksum::of(b"a"),
            statements: (1..=71).map(statement).collect(),
            findings: Vec::new(),
            losses: Vec::new(),
        };
        let shown = shown(&ReviewedPlan {
            hash: Checksum::of(b"plan"),
            scripts: vec![script],
            losses: Vec::new(),
            approved: None,
        });
        assert_eq!(shown.statement_count, 71);
        let lines: Vec<i64> = shown.statements.iter().map(|shown| shown.line).collect();
        let expected: Vec<i64> = (1..=48).chain([70, 71]).collect();
        assert_eq!(lines, expected);
    }
}
