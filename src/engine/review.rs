//! What has to be so before a plan may run, and what a person reads of a plan. Pure.
//!
//! The same judgement is made at each look of a run, the one under the migration lock included: what was
//! approved is what runs, or nothing does.

use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::history::History;
use crate::migration::lint::{Impact, Loss, TableLock};
use crate::migration::plan::Plan;
use crate::migration::plan_hash::{PlanContext, is_approved, plan_hash};
use crate::migration::statement::StatementClass;
use crate::migration::statement_policy::{Action, StatementPolicy};
use crate::migration::version::Version;

use super::hold::{AwaitingApproval, Because, Denied, GivenApproval, Hold, in_words};
use super::loss::{DataLoss, Estimate, data_losses, sentence};
use super::task::Actor;

mod judged;
mod scripts;

pub use judged::{JudgedScript, Judgements, ScriptKey, ScriptText};
pub use scripts::Scripts;

/// What is asked of a plan.
#[derive(Debug, Clone)]
pub struct Review {
    /// What the plan is for.
    pub context: PlanContext,
    /// Which plans need an approval.
    pub required: RequiredApproval,
    /// What follows from what is known of its statements.
    pub policy: StatementPolicy,
    /// What somebody approved.
    pub approval: Option<Approval>,
    /// Where the server's write-ahead log was before the run, and when, for the audit.
    pub wal_position: Option<String>,
    /// What is known of scripts from other runs.
    pub judgements: Judgements,
}

impl Review {
    /// A look that nothing is held by: whoever is at the command line decides by what is shown.
    #[must_use]
    pub fn of_command_line() -> Self {
        Self {
            context: PlanContext::default(),
            required: RequiredApproval::Never,
            policy: StatementPolicy::default(),
            approval: None,
            wal_position: None,
            judgements: Judgements::default(),
        }
    }
}

/// Which plans need an approval, the strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequiredApproval {
    /// None, unless the policy asks for one.
    Never,
    /// Each that applies a version which loses data.
    Destructive,
    /// Those, and each that undoes a version.
    Down,
    /// Each that runs a script.
    Always,
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
    /// The data that its ways back would take away.
    pub losses: Vec<DataLoss>,
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
    /// What is about the script as a whole.
    pub findings: Vec<Concern>,
    /// What holds data and is taken away, when the script undoes its version.
    pub losses: Vec<Loss>,
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
    /// What it does to a database in use.
    pub impact: Impact,
    /// The strongest lock that it takes on what was there before.
    pub lock: TableLock,
    /// What somebody should know of it.
    pub findings: Vec<Concern>,
}

/// What a policy does not ignore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// The rule or the impact.
    pub name: &'static str,
    /// What follows from it.
    pub action: Action,
    /// What was found; of an impact nothing, its name says it.
    pub message: Option<String>,
}

impl ReviewedScript {
    /// True when a statement may take something away, lose it, keep others from a table for long, or do what its
    /// words do not tell.
    #[must_use]
    pub fn is_risky(&self) -> bool {
        self.statements
            .iter()
            .any(|statement| match statement.impact {
                Impact::None | Impact::Additive | Impact::Definition | Impact::DataChange => false,
                Impact::Incompatible
                | Impact::Blocking
                | Impact::Rewrite
                | Impact::Unknown
                | Impact::Destructive => true,
            })
    }
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

    /// All statements, each with its script.
    pub fn statements(&self) -> impl Iterator<Item = (&ReviewedScript, &ReviewedStatement)> {
        let scripts = self.scripts.iter();
        scripts.flat_map(|script| {
            let statements = script.statements.iter();
            statements.map(move |statement| (script, statement))
        })
    }

    /// What the scripts of its ways back take away, each with the version that is undone.
    pub(super) fn script_losses(&self) -> impl Iterator<Item = (&Version, &Loss)> {
        let scripts = self.scripts.iter();
        scripts.flat_map(|script| script.losses.iter().map(|loss| (&script.version, loss)))
    }

    /// What follows from a policy, each with the version and the line; without a line it is about the script.
    pub fn concerns(&self) -> impl Iterator<Item = (&Version, Option<usize>, &Concern)> {
        self.scripts.iter().flat_map(|script| {
            let whole = script.findings.iter().map(|concern| (None, concern));
            let statements = script.statements.iter().flat_map(|statement| {
                let findings = statement.findings.iter();
                findings.map(|concern| (Some(statement.line), concern))
            });
            let concerns = whole.chain(statements);
            concerns.map(|(line, concern)| (&script.version, line, concern))
        })
    }

    /// True when it applies a version that loses data.
    fn is_destructive_up(&self) -> bool {
        self.statements().any(|(script, statement)| {
            script.direction == Direction::Up && statement.impact == Impact::Destructive
        })
    }
}

/// Looks through `plan`; `estimate` is what the catalog has of what it takes away.
pub(super) fn reviewed(
    review: &Review,
    plan: &Plan,
    history: &History,
    scripts: Vec<ReviewedScript>,
    estimate: &Estimate,
) -> ReviewedPlan {
    let approved = review.approval.as_ref().and_then(|approval| {
        let approved = approval.plan.filter(|_| !approval.is_used)?;
        is_approved(&review.context, plan, history, approved).then(|| Approved {
            plan: approved,
            by: approval.by.clone(),
        })
    });
    let mut plan = ReviewedPlan {
        hash: plan_hash(&review.context, plan, history),
        scripts,
        losses: Vec::new(),
        approved,
    };
    plan.losses = data_losses(plan.script_losses(), estimate);
    plan
}

/// Why a plan that was looked through may not run, if it may not: what forbids it first, then what a person has
/// to do.
pub(super) fn hold(review: &Review, plan: &ReviewedPlan, actor: &Actor) -> Option<Hold> {
    if let Some(denied) = Denied::of(plan) {
        return Some(Hold::Policy(denied));
    }
    let because = because(review.required, plan).filter(|_| plan.approved.is_none())?;
    Some(Hold::Approval(AwaitingApproval {
        plan: plan.hash,
        what: in_words(&plan.scripts),
        because,
        loses: sentence(&plan.losses),
        given: GivenApproval::of(review.approval.as_ref()),
        resource: match actor {
            Actor::Resource(owner) => Some(owner.clone()),
            Actor::CommandLine => None,
        },
    }))
}

/// Whether what is left of `plan`, once `ran` of its scripts ran, needs an approval of its own: what is left of an
/// approved way back is not recognised as such.
pub(super) fn is_approved_anew(review: &Review, plan: &ReviewedPlan, ran: usize) -> bool {
    let is_way_back = plan.direction() == Direction::Down;
    let scripts = plan.scripts.get(ran..).unwrap_or_default();
    let left = ReviewedPlan {
        hash: plan.hash,
        scripts: scripts.to_vec(),
        losses: Vec::new(),
        approved: None,
    };
    ran > 0 && is_way_back && because(review.required, &left).is_some()
}

/// Why a plan needs an approval, if it does.
fn because(required: RequiredApproval, plan: &ReviewedPlan) -> Option<Because> {
    let is_down = plan.direction() == Direction::Down;
    match required {
        RequiredApproval::Always => Some(Because::Always),
        RequiredApproval::Down if is_down => Some(Because::Down),
        RequiredApproval::Down | RequiredApproval::Destructive if plan.is_destructive_up() => {
            Some(Because::Destructive(required))
        }
        RequiredApproval::Down | RequiredApproval::Destructive | RequiredApproval::Never => plan
            .concerns()
            .find(|(.., concern)| concern.action == Action::RequireApproval)
            .map(|(.., concern)| Because::Policy(concern.name)),
    }
}
