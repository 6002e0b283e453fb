//! Why a plan is not run although nothing is wrong with it: somebody wants it to wait. Pure.

use jiff::Timestamp;

use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::lint::Impact;
use crate::migration::statement_policy::Action;

use super::review::{Approval, RequiredApproval, ReviewedPlan, ReviewedScript};
use super::task::Owner;

/// What a plan waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// An approval.
    Approval(AwaitingApproval),
    /// Nothing by itself: a policy forbids it.
    Policy(Denied),
    /// The opening of a window.
    Window(OutsideWindow),
    /// Other objects.
    Gate(GateNotMet),
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
    /// What data it takes away, as a sentence.
    pub loses: Option<String>,
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
    /// It applies a version that loses data, and that is asked for by this.
    Destructive(RequiredApproval),
    /// The policy asks for it, because of this rule or impact.
    Policy(&'static str),
}

/// What a policy forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What the plan would do, as a clause.
    what: String,
    /// The first things that are forbidden, each as a clause.
    first: Vec<String>,
    /// How many there are.
    count: usize,
}

/// Forbidden things that a message names.
const NAMED: usize = 3;

impl Denied {
    /// What is forbidden in `plan`, if anything is.
    pub(super) fn of(plan: &ReviewedPlan) -> Option<Self> {
        let denied: Vec<_> = plan
            .concerns()
            .filter(|(.., concern)| concern.action == Action::Deny)
            .collect();
        let named = denied.iter().take(NAMED);
        let first = named.map(|(version, line, concern)| match line {
            Some(line) => format!("{version} line {line}: {}", concern.name),
            None => format!("{version}: {}", concern.name),
        });
        (!denied.is_empty()).then(|| Self {
            what: in_words(&plan.scripts),
            first: first.collect(),
            count: denied.len(),
        })
    }

    fn message(&self, so_far: &str) -> String {
        let more = match self.count - self.first.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "The policy forbids the plan {}: {}{more}. {so_far}. Write it another way and commit, \
             waive the rule in the file with a reason, or change spec.policy.",
            self.what,
            self.first.join(", ")
        )
    }
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

/// A plan that may run in windows alone, and none of them is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideWindow {
    /// What is left to run, as a clause.
    what: String,
    /// The next opening; `None`: there is none in sight.
    opening: Option<Opening>,
    /// What is left waits for an approval of its own first.
    is_approved_anew: bool,
}

/// When a window opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The time.
    pub at: Timestamp,
    /// The same where the window is: `Sat 2026-03-07 02:00 Europe/Berlin`.
    pub local: String,
}

impl OutsideWindow {
    /// These scripts wait for `opening`.
    #[must_use]
    pub fn new(scripts: &[ReviewedScript], opening: Option<Opening>) -> Self {
        Self {
            what: in_words(scripts),
            opening,
            is_approved_anew: false,
        }
    }

    fn opens_at(&self) -> Option<Timestamp> {
        self.opening.as_ref().map(|opening| opening.at)
    }

    fn message(&self, so_far: &str) -> String {
        let what = &self.what;
        let then = if self.is_approved_anew {
            "What is left of a way back is another plan than the one that was approved: it waits for a new approval, \
             and runs in a window"
        } else {
            "It runs then by itself"
        };
        match &self.opening {
            Some(Opening { at, local }) => format!(
                "The plan {what}, waits for the window that opens {at} ({local}), by spec.windows. {so_far}. {then}; \
                 to run it sooner, change spec.windows."
            ),
            None => format!(
                "The plan {what}, waits for a window, and none of spec.windows opens within four years. {so_far}. \
                 Correct spec.windows."
            ),
        }
    }
}

/// A plan that waits for other objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateNotMet {
    /// What is left to run, as a clause.
    what: String,
    /// What is not as it has to be, each as a clause.
    unmet: Vec<String>,
    /// One of the objects may not be read.
    pub is_denied: bool,
}

impl GateNotMet {
    /// These scripts wait for `unmet`, each a clause that names its object.
    #[must_use]
    pub fn new(scripts: &[ReviewedScript], unmet: Vec<String>, is_denied: bool) -> Self {
        Self {
            what: in_words(scripts),
            unmet,
            is_denied,
        }
    }

    fn message(&self, so_far: &str) -> String {
        let named = self.unmet.iter().take(NAMED).cloned().collect::<Vec<_>>();
        let more = match self.unmet.len() - named.len() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        format!(
            "The plan {} waits for spec.gates: {}{more}. {so_far}. It runs by itself once they are met.",
            self.what,
            named.join("; ")
        )
    }
}

impl Hold {
    /// When what it waits for comes by itself, where that is known.
    #[must_use]
    pub fn opens_at(&self) -> Option<Timestamp> {
        match self {
            Self::Window(outside) => outside.opens_at(),
            Self::Approval(_) | Self::Policy(_) | Self::Gate(_) => None,
        }
    }

    /// True when what is left is another plan than the one that ran, and waits for an approval that nobody can give
    /// before it is looked at: its hash is not known yet.
    #[must_use]
    pub fn leaves_another_plan(&self) -> bool {
        match self {
            Self::Window(outside) => outside.is_approved_anew,
            Self::Approval(_) | Self::Policy(_) | Self::Gate(_) => false,
        }
    }

    /// The same where what is left waits for a new approval as well.
    #[must_use]
    pub(super) fn approved_anew(self) -> Self {
        match self {
            Self::Window(outside) => Self::Window(OutsideWindow {
                is_approved_anew: true,
                ..outside
            }),
            other => other,
        }
    }

    /// What waits, for what, what that means for the data, and what to do. `so_far`: what ran and where the
    /// database stands, as a clause that starts a sentence.
    pub(super) fn message(&self, so_far: &str) -> String {
        match self {
            Self::Approval(awaiting) => awaiting.message(so_far),
            Self::Policy(denied) => denied.message(so_far),
            Self::Window(outside) => outside.message(so_far),
            Self::Gate(unmet) => unmet.message(so_far),
        }
    }
}

impl AwaitingApproval {
    fn message(&self, so_far: &str) -> String {
        let because = match self.because {
            Because::Always => "spec.approval.required is Always".to_owned(),
            Because::Down => "spec.approval.required is Down and it undoes a version".to_owned(),
            Because::Destructive(required) => {
                format!("spec.approval.required is {required:?} and it loses data")
            }
            Because::Policy(name) => format!("spec.policy asks for one for {name}"),
        };
        let given = self.given.sentence();
        let loses = self
            .loses
            .as_ref()
            .map_or_else(String::new, |loses| format!(" {loses}"));
        let (plan, what) = (&self.plan, &self.what);
        let command = self.resource.as_ref().map_or_else(String::new, |owner| {
            format!(
                " To approve exactly this: `kubectl -n {} annotate --overwrite databaseschema {} \
                 schemaward.dev/approve={plan}`.",
                owner.namespace, owner.name
            )
        });
        format!(
            "Plan {}, {what}, waits for an approval, because {because}.{loses}{given} {so_far}. \
             status.plan shows what would run.{command}",
            plan.short()
        )
    }
}

/// `to undo 003 add_limits, 2 statements`; `to apply 002 to 005, 4 versions, 19 statements`.
pub(super) fn in_words(scripts: &[ReviewedScript]) -> String {
    let part = |direction, verb: &str| {
        let mut scripts = scripts
            .iter()
            .filter(|script| script.direction == direction);
        let first = scripts.next()?;
        Some(match scripts.next_back() {
            None => format!("to {verb} {} {}", first.version, first.name),
            Some(last) => format!("to {verb} {} to {}", first.version, last.version),
        })
    };
    let parts = [part(Direction::Down, "undo"), part(Direction::Up, "apply")];
    let versions = match scripts.len() {
        1 => None,
        count => Some(format!("{count} versions")),
    };
    let statements = || scripts.iter().flat_map(|script| &script.statements);
    let destructive = statements().filter(|statement| statement.impact == Impact::Destructive);
    let statements = match statements().count() {
        1 => "1 statement".to_owned(),
        count => format!("{count} statements"),
    };
    let destructive = match destructive.count() {
        0 => None,
        count => Some(format!("{count} destructive")),
    };
    let parts = parts.into_iter().flatten().chain(versions);
    let parts = parts.chain([statements]).chain(destructive);
    parts.collect::<Vec<_>>().join(", ")
}
