//! What goes in and out of the step function besides the database's own requests and answers.

use std::sync::Arc;
use std::time::Duration;

use crate::migration::plan::Plan;
use crate::migration::version::Version;

use super::database::{Blocker, Holder, Observation, Request};
use super::error::DatabaseError;
use super::hold::Hold;
use super::loss::DataLoss;
use super::outcome::Outcome;
use super::review::{JudgedScript, ScriptKey, ScriptText};

/// What happened since the last step.
#[derive(Debug)]
pub enum Event {
    /// The run begins.
    Begin,
    /// The database answered.
    Observed(Box<Observation>),
    /// The database could not answer.
    Failed(DatabaseError),
    /// The scripts were judged.
    Judged(Vec<(ScriptKey, Arc<JudgedScript>)>),
    /// The pause is over; it took this long.
    Waited(Duration),
    /// The caller lets the run go on.
    Continue,
    /// The caller wants the run to end before the next version.
    Interrupt,
    /// The caller lets nothing more begin, for a reason that no database knows.
    Held(Box<Hold>),
}

impl Event {
    /// The kind of event, without its content (which may hold SQL).
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Begin => "Begin",
            Self::Observed(observation) => observation.label(),
            Self::Failed(_) => "Failed",
            Self::Judged(_) => "Judged",
            Self::Waited(_) => "Waited",
            Self::Continue => "Continue",
            Self::Interrupt => "Interrupt",
            Self::Held(_) => "Held",
        }
    }
}

/// What is to be done next.
#[derive(Debug, Clone)]
pub enum Next {
    /// Ask the database. Answered by `Observed` or `Failed`.
    Ask(Box<Request>),
    /// Judge scripts, which takes its time and needs no database. Answered by `Judged` or `Failed`.
    Judge(Vec<ScriptText>),
    /// Wait. Answered by `Waited`.
    Pause(Pause),
    /// Ask the caller whether the plan that was looked through may run, as far as no database knows:
    /// [`super::Conditions`]. Answered by `Continue`, `Interrupt` or `Held`.
    MayRun,
    /// Ask the caller whether the next version may start, with those that are sent along; the first time with what would run. Answered by
    /// `Continue`, `Interrupt` or `Held`.
    Checkpoint(Option<Box<Announcement>>),
    /// The run is over.
    Done(Box<Outcome>),
}

/// What is about to run.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The plan, as it was made under the lock.
    pub plan: Plan,
    /// The data that its ways back take away, when the plan was looked through.
    pub losses: Vec<DataLoss>,
}

/// Why the run waits.
#[derive(Debug, Clone)]
pub enum Pause {
    /// The migration lock is held by somebody else.
    ForLock {
        /// Who holds it, where known.
        holder: Option<Holder>,
    },
    /// A version did not get its locks and is tried again.
    BeforeRetry {
        /// It runs in parts and is under way: it goes on whatever was `Held` else.
        is_under_way: bool,
        /// The version.
        version: Version,
        /// The attempt that comes next, counted from 1.
        attempt: u32,
        /// Attempts at the most.
        attempts: u32,
        /// Who stood in the way.
        blockers: Vec<Blocker>,
        /// A clause: what there is of the version; `None`: nothing.
        remains: Option<String>,
    },
}
