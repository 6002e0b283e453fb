//! What has to be so before a plan may run, and what a person reads of a plan. Pure.
//!
//! The same judgement is made at each look of a run, the one under the migration lock included: what was
//! approved is what runs, or nothing does.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::migration::catalog::Catalog;
use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::history::History;
use crate::migration::plan::{DownSource, Plan, Step};
use crate::migration::plan_hash::{PlanContext, is_approved, plan_hash};
use crate::migration::script::Script;
use crate::migration::statement::StatementClass;
use crate::migration::statement_words::words;
use crate::migration::version::Version;

use super::hold::{AwaitingApproval, Because, GivenApproval, Hold, in_words};
use super::task::{Actor, Ledger};

/// What is asked of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// What the plan is for.
    pub context: PlanContext,
    /// Which plans need an approval.
    pub required: RequiredApproval,
    /// What somebody approved.
    pub approval: Option<Approval>,
}

/// Which plans need an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredApproval {
    /// Each that runs a script.
    Always,
    /// Each that undoes a version.
    Down,
    /// None.
    Never,
}

/// An approval as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The hash that it names; `None`: it names none.
    pub plan: Option<Checksum>,
    /// Who gave it, as it stands in the audit.
    pub by: String,
    /// A run carried it out already; it is for nothing more.
    pub is_used: bool,
}

/// A plan with what a person has to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewedPlan {
    /// Names exactly what would run.
    pub hash: Checksum,
    /// The scripts in the order in which they would run.
    pub scripts: Vec<ReviewedScript>,
    /// What somebody approved, when it is this plan or this is what is left of it.
    pub approved: Option<Approved>,
}

/// An approval that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// The hash that it names.
    pub plan: Checksum,
    /// Who gave it.
    pub by: String,
}

/// One script of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewedScript {
    /// UP or DOWN.
    pub direction: Direction,
    /// The version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// Of the text that would run.
    pub checksum: Checksum,
    /// Its statements.
    pub statements: Vec<ReviewedStatement>,
}

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewedStatement {
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Its key words and names, without any value.
    pub words: String,
    /// How it is run.
    pub class: StatementClass,
}

impl ReviewedPlan {
    /// Down when anything is undone.
    #[must_use]
    pub fn direction(&self) -> Direction {
        let is_down = |script: &ReviewedScript| script.direction == Direction::Down;
        if self.scripts.iter().any(is_down) {
            Direction::Down
        } else {
            Direction::Up
        }
    }

    /// How many statements would run.
    #[must_use]
    pub fn statement_count(&self) -> usize {
        let counts = self.scripts.iter().map(|script| script.statements.len());
        counts.sum()
    }
}

/// The DOWN texts that were stored with their versions, as far as they were read, by their checksum.
pub type DownTexts = BTreeMap<Checksum, Arc<[u8]>>;

/// Looks through `plan`.
pub(super) fn reviewed(
    review: &Review,
    plan: &Plan,
    history: &History,
    catalog: &Catalog,
    downs: &DownTexts,
    ledger: &Ledger,
) -> ReviewedPlan {
    let hash = plan_hash(&review.context, plan);
    let scripts = plan
        .steps
        .iter()
        .map(|step| script(step, catalog, downs, &ledger.table))
        .collect();
    let approved = review.approval.as_ref().and_then(|approval| {
        let approved = approval.plan.filter(|_| !approval.is_used)?;
        is_approved(&review.context, plan, history, approved).then(|| Approved {
            plan: approved,
            by: approval.by.clone(),
        })
    });
    ReviewedPlan {
        hash,
        scripts,
        approved,
    }
}

/// Why a plan that was looked through may not run, if it may not.
pub(super) fn hold(review: &Review, plan: &ReviewedPlan, actor: &Actor) -> Option<Hold> {
    let because = match review.required {
        RequiredApproval::Always => Because::Always,
        RequiredApproval::Down if plan.direction() == Direction::Down => Because::Down,
        RequiredApproval::Down | RequiredApproval::Never => return None,
    };
    if plan.approved.is_some() {
        return None;
    }
    Some(Hold::Approval(AwaitingApproval {
        plan: plan.hash,
        what: in_words(plan),
        because,
        given: GivenApproval::of(review.approval.as_ref()),
        resource: match actor {
            Actor::Resource(owner) => Some(owner.clone()),
            Actor::CommandLine => None,
        },
    }))
}

fn script(step: &Step, catalog: &Catalog, downs: &DownTexts, table: &str) -> ReviewedScript {
    match step {
        Step::Apply {
            version,
            name,
            checksum,
        } => {
            let bytes = catalog.get(version).map(|known| &known.up.bytes);
            ReviewedScript {
                direction: Direction::Up,
                version: version.clone(),
                name: name.clone(),
                checksum: *checksum,
                statements: statements(bytes, table),
            }
        }
        Step::Undo {
            version,
            name,
            down,
        } => {
            let (checksum, bytes) = match down {
                DownSource::Stored(checksum) => (checksum, downs.get(checksum)),
                DownSource::File(checksum) => {
                    let file = catalog.get(version).and_then(|known| known.down.as_ref());
                    (checksum, file.map(|file| &file.bytes))
                }
            };
            ReviewedScript {
                direction: Direction::Down,
                version: version.clone(),
                name: name.clone(),
                checksum: *checksum,
                statements: statements(bytes, table),
            }
        }
    }
}

/// A text that cannot be parsed has no statements to show: its run ends before it.
fn statements(bytes: Option<&Arc<[u8]>>, table: &str) -> Vec<ReviewedStatement> {
    let Some(Ok(script)) = bytes.map(|bytes| Script::parse(bytes, table)) else {
        return Vec::new();
    };
    let text = script.text();
    let run = script
        .statements()
        .iter()
        .filter(|statement| statement.class != StatementClass::TransactionControl)
        .filter(|statement| !statement.is_self_record);
    run.map(|statement| ReviewedStatement {
        line: statement.position.line,
        words: words(&text[statement.range.clone()]),
        class: statement.class,
    })
    .collect()
}
