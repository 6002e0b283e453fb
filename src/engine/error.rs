//! Why a run stopped, as data. SQLSTATEs are classified in the adapter; drivers map these kinds to
//! conditions, exit codes and metrics without looking at texts.

use std::fmt;

use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::statement::Position;
use crate::migration::version::Version;

use super::database::{Blocker, Execution, Holder};
use super::sessions::{WayOut, waited_for};

/// An error that is not about one script: reaching the server, rights, the shape of the history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DatabaseError {
    /// What class of trouble it is.
    pub kind: DatabaseErrorKind,
    /// A few sentences for a person: what happened, what it means for the data, what to do. Never holds
    /// a secret, row data or an SQL literal.
    pub message: String,
    /// The server's SQLSTATE, where the server spoke.
    pub sqlstate: Option<String>,
}

impl DatabaseError {
    /// An error without a SQLSTATE.
    pub fn new(kind: DatabaseErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            sqlstate: None,
        }
    }
}

/// The closed list of troubles with a database. Each but [`Self::LockLost`] (a lost connection to status) and
/// [`Self::IdentityUnavailable`] (`DatabaseUnreachable` there) is a reason of the same name in the resource's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatabaseErrorKind {
    /// No connection: refused, timed out, name not resolved.
    Unreachable,
    /// The connection ended while in use, the server shuts down or is starting.
    ConnectionLost,
    /// The migration lock is not this session's any more; nothing was run without it.
    LockLost,
    /// A standby, or `default_transaction_read_only` without a way to write.
    ReadOnlyReplica,
    /// SQLSTATE 53300.
    TooManyConnections,
    /// SQLSTATE 53100.
    DiskFull,
    /// SQLSTATE 28000 or 28P01.
    AuthenticationFailed,
    /// SQLSTATE 3D000.
    DatabaseNotFound,
    /// The server's certificate did not pass.
    TlsVerificationFailed,
    /// TLS is wanted and the server has none, or the server wants TLS and we do not.
    TlsRequired,
    /// A CA that is not PEM, or any other connection parameter that cannot be used.
    InvalidCredentials,
    /// There is no identity to sign in with, or it may not.
    AccessDenied,
    /// The service that gives what to sign in with does not answer. The server was not asked.
    IdentityUnavailable,
    /// A right is missing; the message has the GRANT to run.
    PermissionDenied,
    /// `schema_migrations` belongs to another tool.
    ForeignHistory,
    /// The history table has not the five columns, or a row that cannot be read.
    HistoryUnreadable,
    /// Schema `schemaward` was written by a newer Schemaward.
    HistoryTooNew,
    /// PostgreSQL older than 14.
    ServerTooOld,
    /// A pooler that does not keep one server session for one client, or may not.
    PoolerDetected,
    /// The role may do more on the server than a resource may ask for.
    PrivilegedRole,
    /// The operator may not connect to that host.
    HostNotAllowed,
    /// Another database answers than the one that is known.
    IdentityChanged,
    /// The known database lost a part of its history.
    HistoryRegressed,
    /// The run was cancelled from outside; what was under way was rolled back.
    Cancelled,
    /// A state that must not be.
    Internal,
}

/// What a failed script did, precisely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFailure {
    /// What class of failure it is.
    pub kind: ScriptFailureKind,
    /// The version whose script failed.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// UP or DOWN.
    pub direction: Direction,
    /// Number of the failed statement in the file, counted from 1.
    pub statement: Option<usize>,
    /// Where in the file: the server's own position, else the start of the statement.
    pub position: Option<Position>,
    /// The server's SQLSTATE.
    pub sqlstate: Option<String>,
    /// The server's primary message, sanitised: one line, at most 300 characters, without literals.
    pub message: String,
    /// True when the failed statement ran outside a transaction, so that a part of what it did may
    /// remain.
    pub outside_transaction: bool,
    /// A statement that a person has to run, because we could not put right what the failed one left.
    pub by_hand: Option<String>,
}

/// Classes of script failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScriptFailureKind {
    /// The script is wrong, or the data is not as it expects.
    Failed,
    /// SQLSTATE 42501.
    PermissionDenied,
    /// SQLSTATE 57014 by `statement_timeout`.
    StatementTimeout,
    /// SQLSTATE 53200 of the server's lock table: the transaction touches more objects than there is room for.
    LockTableFull,
    /// SQLSTATE 53200 of any other memory.
    OutOfMemory,
    /// The script ended our transaction, so what it did is not known to be whole.
    TransactionEscaped,
    /// `CREATE INDEX CONCURRENTLY IF NOT EXISTS` met an index that is not valid and not ours.
    InvalidIndex,
}

impl fmt::Display for ScriptFailure {
    /// What happened and where; what it means for the data follows in the outcome, which knows
    /// where the database stands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.name)?;
        if self.direction == Direction::Down {
            write!(f, " (DOWN)")?;
        }
        write!(f, " failed")?;
        if let Some(position) = &self.position {
            write!(f, " at {position}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(code) = &self.sqlstate {
            write!(f, " ({code})")?;
        }
        Ok(())
    }
}

/// A statement outside of a transaction, of which nobody can say whether it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InDoubt {
    /// The version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// UP or DOWN.
    pub direction: Direction,
    /// The statement's number in the file, from 1.
    pub statement: usize,
    /// Where it starts.
    pub position: Option<Position>,
    /// Its leading words, upper case.
    pub words: String,
    /// SHA-256 of its text.
    pub checksum: Checksum,
    /// Why it cannot be told.
    pub why: Doubt,
}

/// Why nobody can say whether a statement is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// Its end was not heard.
    Unheard,
    /// The server said that it is done, and the catalog shows something else.
    Succeeded,
    /// The server said that it failed, and there is something new in the catalog.
    Failed,
    /// What it left was put right again and again.
    RepairDoesNotLast,
}

impl fmt::Display for Doubt {
    /// A clause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unheard => "its end was not heard, and the catalog does not show it",
            Self::Succeeded => "the server said that it is done, and the catalog shows something else",
            Self::Failed => "it failed, and what is new in the catalog may be its own or somebody else's",
            Self::RepairDoesNotLast => {
                "and what it left (an INVALID index, for one) was there again each time it had been put right: \
                 somebody else may be making it"
            }
        })
    }
}

impl fmt::Display for InDoubt {
    /// Which statement it is; what is known besides follows in the outcome.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.name)?;
        if self.direction == Direction::Down {
            write!(f, " (DOWN)")?;
        }
        write!(f, ", statement {}", self.statement)?;
        if let Some(position) = self.position {
            write!(f, " at {position}")?;
        }
        write!(f, " ({}, {})", self.words, self.checksum.short())
    }
}

/// A version that could not get its locks (55P03, 40P01) in all its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockTimeout {
    /// The version that waited.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// Attempts made, the first one included.
    pub attempts: u32,
    /// Who held what it waited for, when it was looked at last.
    pub blockers: Vec<Blocker>,
}

/// The migration lock was held by somebody else for as long as the run was ready to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHeld {
    /// Who holds it, where the server shows it.
    pub holder: Option<Box<Holder>>,
    /// How long the run waited, in whole seconds.
    pub waited_seconds: u64,
}

impl LockTimeout {
    /// What it waited for, what that means for the data, and what to do. `left` is what there is of the
    /// version, and `stands_at` where the database stands, as clauses.
    pub(super) fn message(&self, left: &str, stands_at: &str) -> String {
        let Self {
            version,
            name,
            attempts,
            blockers,
        } = self;
        let held = waited_for(blockers);
        let attempts = match attempts {
            1 => "1 attempt".to_owned(),
            count => format!("{count} attempts"),
        };
        let way_out = if blockers.is_empty() {
            ""
        } else {
            " End that transaction, or let it end."
        };
        format!(
            "{version} {name} waits for {held}. {left}; {stands_at}. Gave up after \
             {attempts}.{way_out}"
        )
    }
}

impl LockHeld {
    /// Who holds it, for how long it was waited, and what that means for the data.
    pub(super) fn message(&self) -> String {
        format!(
            "Another run migrates this database: the migration lock is held by {}. {}.{}",
            self.holder(),
            self.nothing_changed(),
            self.way_out().unwrap_or_default()
        )
    }

    /// The same where the holder is of an earlier run for the same resource, which a person may have to end.
    pub(super) fn message_of_earlier_run(&self) -> String {
        let to_end_it =
            |holder: &Holder| format!(" To end it: SELECT pg_terminate_backend({}).", holder.pid);
        let way_out = self.way_out();
        let way_out = way_out.or_else(|| self.holder.as_deref().map(to_end_it));
        let way_out = way_out.unwrap_or_default();
        format!(
            "An earlier run for this resource is still active on the server and holds the migration lock: {}. \
             {}. What it has under way is recorded whole or rolled back when \
             that session ends, and nothing runs beside it.{way_out}",
            self.holder(),
            self.nothing_changed()
        )
    }

    /// How long it was waited in vain, as a clause that starts a sentence.
    fn nothing_changed(&self) -> String {
        match self.waited_seconds {
            0 => "Nothing was changed".to_owned(),
            seconds => format!("Waited {seconds} s; nothing was changed"),
        }
    }

    /// What lets the holder go on that waits for others, as a sentence after a blank.
    fn way_out(&self) -> Option<String> {
        let WayOut { sentence, pid } = self.holder.as_ref()?.way_out()?;
        let command = pid.map_or_else(String::new, |pid| {
            format!(": SELECT pg_terminate_backend({pid})")
        });
        Some(format!(" {sentence}{command}."))
    }

    fn holder(&self) -> String {
        self.holder
            .as_ref()
            .map_or_else(|| "another session".to_owned(), ToString::to_string)
    }
}

/// A version that was begun and is not known to be recorded when the run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// The version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// UP or DOWN.
    pub direction: Direction,
    /// The last version that was sent along with it, and was to run behind it.
    pub up_to: Option<Version>,
}

impl UnderWay {
    pub(super) fn of(execution: &Execution) -> Self {
        Self {
            version: execution.version.clone(),
            name: execution.name.clone(),
            direction: execution.record.direction(),
            up_to: execution.last_along().cloned(),
        }
    }
}

impl fmt::Display for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.name)?;
        if self.direction == Direction::Down {
            write!(f, " (DOWN)")?;
        }
        Ok(())
    }
}
