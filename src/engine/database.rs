//! The one seam between deciding and doing: what a run may ask of a database, and what it sees.

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::history::History;
use crate::migration::lint::Loss;
use crate::migration::script::Script;
use crate::migration::version::Version;

use super::check::{Check, CheckAnswer};
use super::decision::Settlement;
use super::error::{DatabaseError, ScriptFailure};
use super::loss::Estimate;
use super::server_identity::{ServerIdentity, ServerSeen};
pub use super::sessions::{Blocker, Holder};
use super::step::{StepObservation, StepRequest};
use super::task::Owner;

/// A database that can be asked one thing at a time. The real one is PostgreSQL over one connection.
pub trait Database {
    /// Does what `request` says and tells what was seen.
    ///
    /// # Errors
    /// A [`DatabaseError`] ends the run; a failed script is an [`Observation`], not an error.
    fn perform(
        &mut self,
        request: &Request,
    ) -> impl Future<Output = Result<Observation, DatabaseError>> + Send;
}

/// Versions that one [`Request::LoadDowns`] names, at the most; the adapter answers fewer when their texts are long.
pub const MOST_DOWNS_AT_ONCE: usize = 1_000;

/// One thing asked of the database.
#[derive(Debug, Clone)]
pub enum Request {
    /// Look without writing: server, rights, ledger, claim, history. Answer: `Inspected`.
    Inspect,
    /// Try once to get the migration lock on this session. Answer: `Locked` or `LockHeld`.
    TryLock,
    /// One transaction: create what is missing, claim, take rows over. Answer: `Inspected`, as it
    /// stands afterwards.
    Prepare(Preparation),
    /// One transaction: what a person decided, with its rows in the audit. Creates what is missing first.
    /// Answer: `Inspected`, as it stands afterwards.
    Decide(Box<Settlement>),
    /// Read the stored DOWN texts of these versions, one or more. Answer: `DownsLoaded`.
    LoadDowns(Vec<Version>),
    /// Estimate how much data these ways back would take away, from what the server knows of its tables already.
    /// Answer: `Estimated`.
    Estimate(Arc<[Loss]>),
    /// Run one script and its record. Answer: `Done`, `Failed` or `LockNotAvailable`.
    Execute(Arc<Execution>),
    /// See to it that everything that this session committed is on the server's disk. Answer: `Flushed`.
    Flush,
    /// Ask one check, in a transaction that only reads. Answer: `Checked`.
    Check(Box<Check>),
    /// One step of a version that does not run in one transaction. Answer: as the step says.
    Step(Box<StepRequest>),
}

/// What the database answered.
#[derive(Debug, Clone)]
pub enum Observation {
    /// See [`Inspection`].
    Inspected(Box<Inspection>),
    /// The migration lock is ours until the connection ends.
    Locked,
    /// Somebody else has the lock.
    LockHeld(Option<Holder>),
    /// The stored DOWN texts of the first of the versions that were asked for, at least one, in their order,
    /// decompressed; `None` where there is no such text. Their checksums were not judged yet.
    DownsLoaded(Vec<Option<Vec<u8>>>),
    /// What the catalog has of each loss, in the order of their places.
    Estimated(Estimate),
    /// The script and its record are committed.
    Done(Recorded),
    /// No crash of the server takes anything back that was committed.
    Flushed,
    /// The script failed; its transaction was rolled back (or it ran outside one).
    Failed(ScriptFailure),
    /// 55P03 or 40P01: the version was rolled back and may be tried again.
    LockNotAvailable(Vec<Blocker>),
    /// What the check answered.
    Checked(CheckAnswer),
    /// A step was done.
    Step(StepObservation),
    /// What was to be prepared or decided is committed, and the look at the database after it failed.
    CommittedUnseen(DatabaseError),
}

impl Observation {
    /// The kind of answer, without its content (which may hold SQL).
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Inspected(_) => "Inspected",
            Self::Locked => "Locked",
            Self::LockHeld(_) => "LockHeld",
            Self::DownsLoaded(_) => "DownsLoaded",
            Self::Estimated(_) => "Estimated",
            Self::Done(_) => "Done",
            Self::Flushed => "Flushed",
            Self::Failed(_) => "Failed",
            Self::LockNotAvailable(_) => "LockNotAvailable",
            Self::Checked(_) => "Checked",
            Self::Step(step) => step.label(),
            Self::CommittedUnseen(_) => "CommittedUnseen",
        }
    }
}

/// What one look at the database showed.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The server.
    pub server: Server,
    /// Which one it is, and which one the audit has.
    pub server_seen: ServerSeen,
    /// False when the history table does not exist yet.
    pub ledger_exists: bool,
    /// What fits into the history table's columns.
    pub limits: LedgerLimits,
    /// Our own schema, when it exists.
    pub installation: Option<Installation>,
    /// Who owns this ledger.
    pub claim: Option<Owner>,
    /// What was applied.
    pub history: History,
    /// GRANT statements (or the like) without which a run that writes would fail. Empty: all there.
    pub missing_grants: Vec<String>,
    /// What the role may do on the database server beyond a database, each as a clause: `it is a
    /// superuser`. Empty: nothing.
    pub privileges: Vec<String>,
}

/// The server as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `server_version`, such as `16.15`.
    pub version: String,
    /// The database connected to.
    pub database: String,
    /// The role connected as.
    pub user: String,
}

/// Our own schema in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    /// Random identity of this database, made once.
    pub database_id: Uuid,
    /// Entries in the audit. It only grows.
    pub audit_entries: i64,
    /// Its tables are those of an older Schemaward; a run that may write brings them up to date first.
    pub is_outdated: bool,
}

/// Longest texts (in characters) and largest number that the ledger's columns take; `None`: no limit
/// that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerLimits {
    /// Column `version`.
    pub version: Option<usize>,
    /// Column `name`.
    pub name: Option<usize>,
    /// Column `checksum`.
    pub checksum: Option<usize>,
}

/// What is done once before versions run, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Preparation {
    /// Claim the ledger for this owner (new, or the same name with a new uid).
    pub claim: Option<Owner>,
    /// Rows to take over.
    pub adopt: Vec<AdoptedVersion>,
    /// Versions to record without running them.
    pub baseline: Vec<BaselinedVersion>,
    /// The server, where the audit does not have it yet.
    pub server: Option<ServerIdentity>,
    /// False when that is all of it.
    pub is_essential: bool,
    /// Who acts, for the audit.
    pub actor: String,
}

/// A ledger row without our record, and the files that it is taken over with.
#[derive(Debug, Clone)]
pub struct AdoptedVersion {
    /// The version as it stands in the ledger.
    pub version: Version,
    /// The UP and DOWN texts to keep.
    pub texts: Texts,
    /// The ledger's checksum was null: write the file's.
    pub stamp: bool,
}

/// A version that was there before the history.
#[derive(Debug, Clone)]
pub struct BaselinedVersion {
    /// The version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// The UP text to keep. A DOWN is not kept: nobody here made what it would take away.
    pub texts: Texts,
}

/// The texts of a version that are kept with the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// Exact bytes of the UP file.
    pub up: Arc<[u8]>,
    /// SHA-256 of them.
    pub up_checksum: Checksum,
    /// Exact bytes of the DOWN file.
    pub down: Option<Arc<[u8]>>,
    /// SHA-256 of them.
    pub down_checksum: Option<Checksum>,
}

impl Texts {
    /// How long both are, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.up.len() + self.down.as_ref().map_or(0, |down| down.len())
    }
}

/// One script to run, with the record that commits with it.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The version; for a way back as it stands in the ledger.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// The parsed script.
    pub script: Script,
    /// What is recorded.
    pub record: Record,
    /// Who acts, for the audit.
    pub actor: String,
    /// The version behind this one, of which nobody has to be asked: it may be sent along, with those that follow it in turn. It runs
    /// only once this one is committed. The answer to this one says whether it is answered, too ([`Recorded::next_is_answered`]), and then it is what is asked for next.
    pub followed_by: Option<Arc<Execution>>,
    /// Whether its commit may be left to reach the server's disk with a later one: the next version follows at once.
    pub may_flush_later: bool,
}

impl Execution {
    /// This version and those that may be sent along with it, in their order.
    pub fn with_those_that_follow(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |execution| execution.followed_by.as_ref())
    }

    /// The last version of those that may be sent along with it.
    #[must_use]
    pub fn last_along(&self) -> Option<&Version> {
        let along = self.followed_by.as_ref()?.with_those_that_follow();
        along.last().map(|last| &last.version)
    }
}

/// What is recorded together with a script's effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// UP: a ledger row, and these texts.
    Apply(Texts),
    /// DOWN: the ledger row and our record go.
    Undo,
}

impl Record {
    /// UP or DOWN.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self {
            Self::Apply(_) => Direction::Up,
            Self::Undo => Direction::Down,
        }
    }
}

/// Facts of a committed version, from the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// When it was applied or undone.
    pub at: Timestamp,
    /// How long it took on the server, in milliseconds.
    pub execution_time_ms: i64,
    /// False while a crash of the server could take it back, effects and record together: the version is followed
    /// by one that will be flushed, and everything before it, or by [`Request::Flush`].
    pub is_flushed: bool,
    /// The version that follows it ([`Execution::followed_by`]) was sent along, and what came of it is known.
    pub next_is_answered: bool,
}
