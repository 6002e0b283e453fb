//! Why a plan is not run although nothing is wrong with it: somebody wants it to wait. Pure.

use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;

use super::review::{Approval, ReviewedPlan};
use super::task::Owner;

/// What a plan waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// An approval.
    Approval(AwaitingApproval),
}

/// A plan that needs an approval and has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitingApproval {
    /// The hash to approve.
    pub plan: Checksum,
    /// What it would do, as a clause.
    pub what: String,
    /// Why it needs one.
    pub because: Because,
    /// What was approved instead.
    pub given: GivenApproval,
    /// The resource that is annotated.
    pub resource: Option<Owner>,
}

/// Why a plan needs an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// Every plan does.
    Always,
    /// It undoes a version.
    Down,
}

/// What was approved, when it is not the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenApproval {
    /// Nothing.
    Nothing,
    /// Something that is no hash.
    NoHash,
    /// A plan that was carried out.
    Used(Checksum),
    /// Another plan, which this one was or was not before.
    Other(Checksum),
}

impl GivenApproval {
    pub(super) fn of(approval: Option<&Approval>) -> Self {
        match approval {
            None => Self::Nothing,
            Some(Approval { plan: None, .. }) => Self::NoHash,
            Some(Approval {
                plan: Some(plan),
                is_used: true,
                ..
            }) => Self::Used(*plan),
            Some(Approval {
                plan: Some(plan), ..
            }) => Self::Other(*plan),
        }
    }

    /// A sentence about it, after a blank; empty when there is nothing to say.
    fn sentence(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::NoHash => {
                " The value of annotation schemaward.dev/approve is no plan's hash.".to_owned()
            }
            Self::Used(plan) => format!(" What was approved as {} is done.", plan.short()),
            Self::Other(plan) => format!(
                " The plan changed since {} was approved, so that approval is void.",
                plan.short()
            ),
        }
    }
}

impl Hold {
    /// What waits, for what, what that means for the data, and what to do. `stands_at`: a clause.
    pub(super) fn message(&self, stands_at: &str) -> String {
        match self {
            Self::Approval(awaiting) => awaiting.message(stands_at),
        }
    }
}

impl AwaitingApproval {
    fn message(&self, stands_at: &str) -> String {
        let because = match self.because {
            Because::Always => "spec.approval.required is Always",
            Because::Down => "spec.approval.required is Down and it undoes a version",
        };
        let given = self.given.sentence();
        let (plan, what) = (&self.plan, &self.what);
        let command = self.resource.as_ref().map_or_else(String::new, |owner| {
            format!(
                " To approve exactly this: `kubectl -n {} annotate --overwrite databaseschema {} \
                 schemaward.dev/approve={plan}`.",
                owner.namespace, owner.name
            )
        });
        format!(
            "Plan {}, {what}, waits for an approval, because {because}.{given} Nothing was changed; \
             {stands_at}. status.plan shows what would run.{command}",
            plan.short()
        )
    }
}

/// `to undo 003 add_limits, 2 statements`; `to apply 002 to 005, 4 versions, 19 statements`.
pub(super) fn in_words(plan: &ReviewedPlan) -> String {
    let part = |direction, verb: &str| {
        let mut scripts = plan
            .scripts
            .iter()
            .filter(|script| script.direction == direction);
        let first = scripts.next()?;
        Some(match scripts.next_back() {
            None => format!("to {verb} {} {}", first.version, first.name),
            Some(last) => format!("to {verb} {} to {}", first.version, last.version),
        })
    };
    let parts = [part(Direction::Down, "undo"), part(Direction::Up, "apply")];
    let versions = match plan.scripts.len() {
        1 => None,
        count => Some(format!("{count} versions")),
    };
    let statements = match plan.statement_count() {
        1 => "1 statement".to_owned(),
        count => format!("{count} statements"),
    };
    let parts = parts.into_iter().flatten().chain(versions);
    parts.chain([statements]).collect::<Vec<_>>().join(", ")
}
