//! The simulated database: what is committed, and the sessions on the server.
//!
//! It answers as the adapter promises: effects and record of a version commit together; every
//! transaction that writes checks first that its own session holds the lock; a session that lost its
//! client goes on with what it has received, and ends some time.

use std::ops::Range;

use schemaward::engine::database::Execution;
use schemaward::engine::step::StepAction;

use super::memory::{Handle, Snapshot};
use super::texts::{self, ESCAPES, INDEX, MIDDLE, STATEMENTS, VARIANTS, VERSIONS};

mod writes;

/// What is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Committed {
    /// The history table is there.
    pub ledger: bool,
    /// Schema `schemaward` is there.
    pub installed: bool,
    /// Whose ledger it is, as an index of the scenario's owners.
    pub claim: Option<u8>,
    /// Version 1 first.
    pub versions: [Fate; VERSIONS],
    /// The version that was begun and is not recorded.
    pub begun: Option<Begun>,
    /// What the checks ask for does not hold.
    pub spoiled: bool,
}

/// What a version has left in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fate {
    /// Its row in the ledger.
    pub row: Option<Row>,
    /// How often each statement of each of its texts has taken effect; an index is not among them.
    pub marks: [[i8; STATEMENTS]; VARIANTS],
    /// Its index.
    pub index: Option<Index>,
    /// How many indexes were made.
    pub oids: u8,
    /// Indexes that are not valid, which building one anew left.
    pub leftovers: u8,
    /// The detaching of its partition was begun and is not finished.
    pub pending: bool,
    /// How often it was undone; counted where somebody approves.
    pub undone: u8,
}

/// An index of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index {
    /// Which one; another one each time.
    pub oid: u8,
    /// False while it is half made or half dropped.
    pub valid: bool,
}

/// What the journal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Begun {
    /// The version.
    pub number: u8,
    /// Zeros in front of it.
    pub zeros: u8,
    /// Which text of it.
    pub variant: u8,
    /// Its DOWN was begun.
    pub down: bool,
    /// The statements before the one in the middle are done.
    pub first: bool,
    /// The one in the middle.
    pub middle: Entry,
    /// The script as a whole, when it ended its transaction by itself.
    pub whole: Option<Whole>,
}

/// What the journal has of a script that ended its transaction by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whole {
    /// Nobody can say what it did.
    Escaped,
    /// A person says that it is done.
    Done,
}

/// What the catalog shows of the statement in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// The index there is.
    Index(Option<Index>),
    /// So many indexes that are not valid.
    Leftovers(u8),
    /// A partition.
    Partition {
        /// It is one.
        attached: bool,
        /// Its detaching was begun and is not finished.
        pending: bool,
    },
}

/// How far the statement in the middle is, as the journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Nothing is known of it.
    None,
    /// It was about to be sent, and this was there before.
    Started(Seen),
    /// It is done.
    Done,
}

/// A row of the ledger, and our own record beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    /// Zeros in front of the version.
    pub zeros: u8,
    /// The text whose checksum the row has; `None`: null.
    pub checksum: Option<u8>,
    /// The texts that are kept.
    pub stored: Option<Stored>,
}

/// The texts that are kept with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stored {
    /// Which text of the version.
    pub variant: u8,
    /// Whether it has a DOWN.
    pub down: bool,
}

/// A session on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session {
    /// It holds the migration lock.
    pub locked: bool,
    /// What it is at.
    pub work: Work,
    /// What it saw first. Only a wrong adapter remembers.
    pub saw: Option<Snapshot>,
    /// The check passed, and nothing was run since. Counted where there is one.
    pub passed: bool,
    /// It ran something of a version. Counted where there is a check.
    pub ran: bool,
    /// Versions that were sent along with the one it is at, and come behind it.
    pub along: u8,
    /// The position that its work is of, where it is past the one that its client is at.
    pub past: Option<Handle>,
}

/// What a session is at. The request is the one of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Work {
    /// Waits for its client.
    Idle,
    /// The request is under way to it.
    Sent(Handle),
    /// Its transaction is open, and so many statements are done.
    Open(Handle, u8),
    /// It executes a statement outside of a transaction, and came so far.
    Outside(Handle, u8),
    /// The effects are committed and the record is not. Only a wrong adapter comes here.
    Unrecorded(Handle),
    /// The answer is under way to the client.
    Answered(Answer),
}

/// Answers, small enough to be a part of a state; the inspection is what was committed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// `Inspected`, of this snapshot.
    Inspected(Snapshot),
    /// `Locked`.
    Locked,
    /// `LockHeld`.
    LockHeld,
    /// `DownsLoaded`: for each version that was asked for, which text it has, if it has one.
    DownsLoaded([Option<u8>; VERSIONS]),
    /// `Done`.
    Done,
    /// `Flushed`.
    Flushed,
    /// `Journaled`.
    Journaled,
    /// `Evidence`, of what there is.
    Evidence(Seen),
    /// `Executed`.
    Executed,
    /// `Repaired`.
    Repaired,
    /// `Failed`.
    ScriptFailed,
    /// `Failed`: the script ended its transaction by itself.
    Escaped,
    /// `Checked`: whether what was asked for holds.
    Checked(bool),
    /// `LockNotAvailable`.
    LockNotAvailable,
    /// An error: the connection is gone, or the lock is.
    Lost,
    /// An error: it was cancelled.
    Cancelled,
    /// An error: the server could not go on.
    DiskFull,
    /// `Estimated`: nobody knows.
    Estimated,
}

impl Session {
    /// A session that just began.
    pub fn new() -> Self {
        Self {
            locked: false,
            work: Work::Idle,
            saw: None,
            passed: false,
            ran: false,
            along: 0,
            past: None,
        }
    }

    /// Whether it is at something that writes.
    pub fn writes(&self) -> bool {
        matches!(
            self.work,
            Work::Open(..) | Work::Outside(..) | Work::Unrecorded(_)
        )
    }
}

impl Committed {
    /// The versions in the ledger, lowest first.
    pub fn applied(&self) -> impl DoubleEndedIterator<Item = usize> {
        (1..=VERSIONS).filter(|number| self.fate(*number).row.is_some())
    }

    /// The highest version in the ledger; 0 for none.
    pub fn top(&self) -> usize {
        self.applied().next_back().unwrap_or(0)
    }

    /// What a version has left.
    pub fn fate(&self, number: usize) -> &Fate {
        &self.versions[number - 1]
    }

    /// The same, to be changed.
    pub fn fate_mut(&mut self, number: usize) -> &mut Fate {
        &mut self.versions[number - 1]
    }

    /// Whether a script has ended its transaction by itself, and that is not in the journal.
    pub fn has_just_escaped(&self) -> bool {
        let versions = self.versions.iter();
        let escaped =
            versions.filter(|fate| fate.row.is_none() && fate.marks[ESCAPES] == [1, 1, 0]);
        escaped.count() > 0 && self.begun.is_none()
    }

    /// What the catalog shows of the statement in the middle of a script.
    pub fn seen(&self, execution: &Execution) -> Seen {
        let variant = texts::mark(execution.script.text()).variant;
        self.fate(texts::number(&execution.version)).seen(variant)
    }
}

impl Fate {
    /// How often each statement of a text has taken effect; the index is a mark like others.
    pub fn effects(&self, variant: usize) -> [i8; STATEMENTS] {
        let mut marks = self.marks[variant];
        if variant == INDEX {
            marks[MIDDLE] = i8::from(self.index.is_some_and(|index| index.valid));
        }
        marks
    }
}

/// The statements that a step executes in its transaction.
pub fn statements_of(action: &StepAction) -> Range<usize> {
    match action {
        StepAction::Run(part) => part.statements.clone(),
        StepAction::Record(rest) => rest.statements.clone(),
        _ => 0..0,
    }
}
