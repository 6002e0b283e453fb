//! Requests about a version that does not run in one transaction, one small step each.

use std::sync::Arc;

use crate::migration::evidence::{Evidence, Repair};
use crate::migration::part::{Part, Rest};

use super::database::Execution;

/// One step of a version that runs in parts.
#[derive(Debug, Clone)]
pub struct StepRequest {
    /// The version.
    pub execution: Arc<Execution>,
    /// What to do.
    pub action: StepAction,
}

/// What is asked of the database for a version that runs in parts.
#[derive(Debug, Clone)]
pub enum StepAction {
    /// One transaction: the statements of the part, and its journal row as done. Answer: `Journaled`,
    /// `Failed` or `LockNotAvailable`.
    Run(Part),
    /// Look at the catalog, and then, in a transaction, write the journal row as started with what was seen. What
    /// changes between the two is seen as if the statement had done it. Answer: `Evidence`, or `Failed` when a
    /// setting of the script does.
    Start(Part),
    /// Send the statement, outside of a transaction. Answer: `Executed`, `Failed` or `LockNotAvailable`.
    Execute(Part),
    /// Look at the catalog. Answer: `Evidence`, or `Failed` when a setting of the script does.
    Look(Part),
    /// Put right one thing that the statement left, and say so in the audit. Answer: `Repaired`, `Failed` or
    /// `LockNotAvailable`.
    Repair(Part, Repair),
    /// The statement is done. Answer: `Journaled`.
    Finish(Part, Finished),
    /// The statement is not done: its journal row goes. Answer: `Journaled`.
    Withdraw(Part),
    /// A transaction of the script's ended by itself: the journal keeps that until a person resolves it.
    /// Answer: `Journaled`.
    NoteEscape(Part),
    /// One transaction: the statements that are left, the version's record, and the end of its journal rows.
    /// Answer: `Done`, `Failed` or `LockNotAvailable`.
    Record(Rest),
}

/// How it is known that a statement is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// The server said so and the catalog agrees. With the server's time of its start.
    Executed {
        /// `clock_timestamp()` when it was sent, as the server writes it.
        began: String,
    },
    /// A later run found it done in the catalog.
    Proved,
}

/// What the database answered to a step; what every request can answer is in
/// [`super::database::Observation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepObservation {
    /// The journal says so, and what belongs to it is committed.
    Journaled,
    /// What the catalog shows.
    Evidence(Evidence),
    /// The statement came to its end without an error.
    Executed {
        /// `clock_timestamp()` when it was sent, as the server writes it.
        began: String,
    },
    /// It is put right; `None`: it was so already.
    Repaired(Option<Repair>),
}

impl StepAction {
    /// Whether it sends statements of the script.
    #[must_use]
    pub fn runs_the_script(&self) -> bool {
        match self {
            Self::Run(_) | Self::Execute(_) | Self::Record(_) => true,
            Self::Start(_)
            | Self::Look(_)
            | Self::Repair(..)
            | Self::Finish(..)
            | Self::Withdraw(_)
            | Self::NoteEscape(_) => false,
        }
    }

    /// Whether it can wait for locks that others hold on objects of the script.
    #[must_use]
    pub fn may_wait_for_locks(&self) -> bool {
        self.runs_the_script() || matches!(self, Self::Repair(..))
    }
}

impl StepObservation {
    /// The kind of answer, without its content.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Journaled => "Journaled",
            Self::Evidence(_) => "Evidence",
            Self::Executed { .. } => "Executed",
            Self::Repaired(_) => "Repaired",
        }
    }
}
