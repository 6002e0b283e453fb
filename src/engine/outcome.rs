//! What a run came to.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use crate::migration::blocked::Blocked;
use crate::migration::file_name::Direction;
use crate::migration::history::History;
use crate::migration::plan::Plan;
use crate::migration::script::ScriptDefect;
use crate::migration::version::Version;

use super::check::ChecksFailed;
use super::database::Server;
use super::decision::{Change, Refusal};
use super::error::{DatabaseError, InDoubt, LockHeld, LockTimeout, ScriptFailure, UnderWay};
use super::hold::Hold;
use super::loss::{DataLoss, sentence};
use super::review::ReviewedPlan;
use super::server_identity::ServerChange;
use super::task::{Actor, Owner};

pub(super) mod committed;
mod ran;
mod stands;
mod version;

use version::tells_what_is_half_done;

/// The result of one run: where the database stands, what was done, and why it ended.
///
/// The fields are private so that only a run can make one.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub(super) server: Option<Server>,
    pub(super) database_id: Option<Uuid>,
    pub(super) audit_entries: Option<i64>,
    pub(super) privileges: Vec<String>,
    pub(super) server_change: Option<ServerChange>,
    pub(super) passed_claim: Option<Owner>,
    /// The migration lock was this run's when the history was read: what is begun there is not a live run's.
    pub(super) is_locked: bool,
    pub(super) history: Option<History>,
    pub(super) plan: Option<Plan>,
    pub(super) reviewed: Option<ReviewedPlan>,
    /// What a way back that nobody allows would take away.
    pub(super) denied: Vec<DataLoss>,
    pub(super) done: Vec<Done>,
    /// Checks that were asked at the target, all of which passed.
    pub(super) checks_passed: usize,
    pub(super) under_way: Option<UnderWay>,
    /// Committed, and not known to be on the server's disk when the run ended.
    pub(super) unflushed: Vec<Version>,
    /// A clause: what there is of a version that was begun in this run and is not recorded.
    pub(super) remains: Option<String>,
    /// A clause: what was committed before the first version, or what a person decided.
    pub(super) prepared: Option<String>,
    /// The database was made to try the migrations in.
    pub(super) is_scratch: bool,
    pub(super) end: End,
}

/// One version that was applied or undone, and is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// UP or DOWN.
    pub direction: Direction,
    /// When it was committed, by the server's clock.
    pub at: Timestamp,
    /// Milliseconds on the server.
    pub execution_time_ms: i64,
}

/// Why a run ended.
#[derive(Debug, Clone)]
pub enum End {
    /// The database stands where the task wants it.
    Reached,
    /// The task was only to plan; nothing ran.
    Planned,
    /// The caller asked to stop; the versions that were begun are finished and recorded.
    Interrupted,
    /// What a person decided is written: these changes, none when all of it was so already.
    Decided(Vec<Change>),
    /// Something stands in the way.
    Stopped(Stop),
}

/// What stands in the way.
#[derive(Debug, Clone)]
pub enum Stop {
    /// There is no plan from here to the target.
    Blocked(Blocked),
    /// Somebody wants the plan to wait.
    Held(Box<Hold>),
    /// A script failed.
    Script(Box<ScriptFailure>),
    /// Nobody can say whether a statement is done.
    InDoubt(Box<InDoubt>),
    /// Trouble with the database.
    Database(DatabaseError),
    /// The ledger belongs to another resource.
    Claimed(Box<Claimed>),
    /// What a person decided cannot be carried out.
    Refused(Box<Refusal>),
    /// A value would not fit into the ledger's columns, which are used as they are.
    DoesNotFit(DoesNotFit),
    /// Somebody else is migrating.
    LockHeld(LockHeld),
    /// A session of an earlier run for the same resource still holds the lock.
    PreviousRunStillActive(LockHeld),
    /// A version did not get its locks in all its attempts.
    LockTimeout(LockTimeout),
    /// Checks of the live database failed.
    ChecksFailed(Box<ChecksFailed>),
    /// A script that was kept or known before cannot be run by this version of Schemaward.
    Unusable {
        /// The version.
        version: Version,
        /// UP or DOWN.
        direction: Direction,
        /// What is wrong with it.
        defects: Vec<ScriptDefect>,
    },
}

/// A ledger that belongs to another resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The resource that it belongs to.
    pub owner: Owner,
    /// The one that the run acted for.
    pub wanted: Owner,
}

impl Stop {
    /// The migration lock stayed with its holder. A session that is of the very resource we act for is one of
    /// an earlier run: its operator is gone, or about to go, and the server has not noticed yet or cannot.
    /// Two command lines are two people's, although they are called the same.
    pub(super) fn lock_held(held: LockHeld, actor: &Actor) -> Self {
        let is_same_identity = held
            .holder
            .as_ref()
            .is_some_and(|holder| holder.is_same_identity);
        match actor {
            Actor::Resource(_) if is_same_identity => Self::PreviousRunStillActive(held),
            Actor::Resource(_) | Actor::CommandLine => Self::LockHeld(held),
        }
    }
}

/// A value too long for a ledger that somebody else created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoesNotFit {
    /// The version concerned.
    pub version: Version,
    /// The ledger's column.
    pub column: &'static str,
    /// Characters needed.
    pub needed: usize,
    /// Characters that the column takes.
    pub available: usize,
}

impl Outcome {
    /// The server, when it was reached.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// The random identity of the database, once it has one.
    #[must_use]
    pub fn database_id(&self) -> Option<Uuid> {
        self.database_id
    }

    /// How many entries the audit has at least, once there is one.
    #[must_use]
    pub fn audit_entries(&self) -> Option<i64> {
        self.audit_entries
    }

    /// What the role may do on the database server beyond a database; empty when nothing.
    #[must_use]
    pub fn privileges(&self) -> &[String] {
        &self.privileges
    }

    /// That another server has the database than before: a warning, told by the run that notes it in the audit.
    #[must_use]
    pub fn server_change(&self) -> Option<&ServerChange> {
        self.server_change.as_ref()
    }

    /// The resource that owns the ledger, when a run from the command line passed its claim.
    #[must_use]
    pub fn passed_claim(&self) -> Option<&Owner> {
        self.passed_claim.as_ref()
    }

    /// The history as last read or recorded; `None` when it was never read.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// The plan as last made; `None` when there was none.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// The plan as it was looked through last; `None` when nobody asked for that, or nothing would run.
    #[must_use]
    pub fn reviewed(&self) -> Option<&ReviewedPlan> {
        self.reviewed.as_ref()
    }

    /// Whether it ran all of a plan that somebody approved, whatever came after the last version: the approval is
    /// for nothing more.
    #[must_use]
    pub fn used_its_approval(&self) -> bool {
        let approved = self.reviewed().filter(|plan| plan.approved.is_some());
        let all =
            |plan: &ReviewedPlan| !self.done.is_empty() && self.done.len() >= plan.scripts.len();
        approved.is_some_and(all)
    }

    /// What was applied or undone in this run, in order.
    #[must_use]
    pub fn done(&self) -> &[Done] {
        &self.done
    }

    /// The version that was begun and is not known to be recorded, when the run stopped in the middle of one.
    #[must_use]
    pub fn under_way(&self) -> Option<&UnderWay> {
        self.under_way.as_ref()
    }

    /// A clause: what there is of a version that was begun in this run and is not recorded.
    #[must_use]
    pub fn remains(&self) -> Option<&str> {
        self.remains.as_deref()
    }

    /// Why the run ended.
    #[must_use]
    pub fn end(&self) -> &End {
        &self.end
    }

    /// What stands in the way, if anything does.
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match &self.end {
            End::Stopped(stop) => Some(stop),
            End::Reached | End::Planned | End::Interrupted | End::Decided(_) => None,
        }
    }

    /// The message that stands alone in status, in a Helm error and on a terminal: what happened,
    /// where, what it means for the data, what to do next.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.end {
            End::Reached => match self.history.as_ref().and_then(History::current) {
                Some(version) => format!("at version {version}{}", self.checks_passed()),
                None => format!(
                    "no version is applied, and none is wanted{}",
                    self.checks_passed()
                ),
            },
            End::Planned => self.planned_message() + &self.half_done(),
            End::Interrupted => self.interrupted_message() + &self.half_done(),
            End::Decided(changes) => decided_message(changes),
            End::Stopped(stop) if tells_what_is_half_done(stop) => {
                self.after_commits(stop, self.stop_message(stop))
            }
            End::Stopped(stop) => {
                self.after_commits(stop, self.stop_message(stop) + &self.half_done())
            }
        }
    }

    fn checks_passed(&self) -> String {
        match self.checks_passed {
            0 => String::new(),
            1 => ", 1 check passed".to_owned(),
            count => format!(", {count} checks passed"),
        }
    }

    fn planned_message(&self) -> String {
        let steps = self.plan.as_ref().map_or(0, |plan| plan.steps.len());
        match steps {
            0 => format!("Nothing to do; {}.", self.stands_at()),
            1 => format!("1 version to run; {}.", self.stands_at()),
            n => format!("{n} versions to run; {}.", self.stands_at()),
        }
    }

    fn stop_message(&self, stop: &Stop) -> String {
        match stop {
            Stop::Blocked(blocked) => match sentence(&self.denied) {
                Some(loses) => format!("{blocked} {loses}"),
                None => blocked.to_string(),
            },
            Stop::Held(hold) => hold.message(&self.so_far()),
            Stop::Script(failure) => self.script_message(failure),
            Stop::InDoubt(doubt) => self.in_doubt_message(doubt),
            Stop::Database(error) => self.database_message(error),
            Stop::Claimed(claimed) => claimed.to_string(),
            Stop::Refused(refusal) => refusal.to_string(),
            Stop::DoesNotFit(value) => value.to_string(),
            Stop::LockHeld(held) => held.message(),
            Stop::PreviousRunStillActive(held) => held.message_of_earlier_run(),
            Stop::LockTimeout(timeout) => {
                let left = self.left_of(&timeout.version, Direction::Up);
                timeout.message(&left, &self.stands_at())
            }
            Stop::ChecksFailed(failed) => failed.message(&self.was_run(failed.moment)),
            Stop::Unusable {
                version,
                direction,
                defects,
            } => format!(
                "The {direction} script of {version} cannot be run: {}. Nothing of it was run this time; {}.",
                defects
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; "),
                self.stands_at()
            ),
        }
    }
}

/// What a decision changed.
fn decided_message(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "Nothing to do: it is so already.".to_owned();
    }
    let said: Vec<_> = changes.iter().map(ToString::to_string).collect();
    format!("{} No script was run.", said.join(" "))
}

impl fmt::Display for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, wanted } = self;
        let elsewhere = if owner.cluster == wanted.cluster {
            ""
        } else {
            " of another cluster"
        };
        write!(
            f,
            "This history belongs to DatabaseSchema {owner}{elsewhere}. Nothing was changed. If that one is gone or \
             lets go, take it over"
        )?;
        // The claim is a row that others may have written: what is no name stands in no command to paste.
        if owner.has_plain_names() {
            write!(
                f,
                ": `kubectl -n {} annotate --overwrite databaseschema {} schemaward.dev/takeover={}/{}`",
                wanted.namespace, wanted.name, owner.namespace, owner.name
            )?;
        }
        f.write_str(". Otherwise delete this one, or give it a history table of its own.")
    }
}

impl fmt::Display for DoesNotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} needs {} characters in column {} of the history table, which takes {}. Nothing was \
             changed. Widen the column, or shorten the value.",
            self.version, self.needed, self.column, self.available
        )
    }
}

#[cfg(test)]
mod tests;
