//! The simulated database: what is committed, and the sessions on the server.
//!
//! It answers as the adapter promises: effects and record of a version commit together; every
//! transaction that writes checks first that its own session holds the lock; a session that lost its
//! client goes on with what it has received, and ends some time.

use schemaward::engine::database::{Preparation, Record, Request, Texts};
use schemaward::migration::script::Script;

use super::memory::{Handle, Snapshot};
use super::texts::{self, STATEMENTS, VARIANTS, VERSIONS};

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
}

/// What a version has left in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fate {
    /// Its row in the ledger.
    pub row: Option<Row>,
    /// How often each statement of each of its texts has taken effect.
    pub marks: [[i8; STATEMENTS]; VARIANTS],
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
    /// `DownLoaded`.
    DownLoaded { number: u8, variant: u8 },
    /// `Done`.
    Done,
    /// `Failed`.
    ScriptFailed,
    /// `LockNotAvailable`.
    LockNotAvailable,
    /// An error: the connection is gone, or the lock is.
    Lost,
    /// An error: it was cancelled.
    Cancelled,
    /// An error: the server could not go on.
    DiskFull,
    /// An error: there is no such text. A run that planned under the lock never asks for one.
    NoSuchText,
}

impl Session {
    /// A session that just began.
    pub fn new() -> Self {
        Self {
            locked: false,
            work: Work::Idle,
            saw: None,
        }
    }

    /// Whether a transaction that writes is open.
    pub fn writes(&self) -> bool {
        matches!(self.work, Work::Open(..) | Work::Unrecorded(_))
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

    fn fate_mut(&mut self, number: usize) -> &mut Fate {
        &mut self.versions[number - 1]
    }

    /// One statement takes effect.
    pub fn mark(&mut self, script: &Script, statement: usize) {
        let range = script.statements()[statement].range.clone();
        let mark = texts::mark(&script.text()[range]);
        self.fate_mut(mark.number).marks[mark.variant][mark.statement] += mark.change;
    }

    /// All statements of a request's script take effect.
    pub fn effects(&mut self, request: &Request) {
        if let Request::Execute(execution) = request {
            for statement in 0..execution.script.statements().len() {
                self.mark(&execution.script, statement);
            }
        }
    }

    /// The record of a request is written.
    pub fn record(&mut self, request: &Request) {
        match request {
            Request::Prepare(preparation) => self.prepare(preparation),
            Request::Execute(execution) => {
                let row = match &execution.record {
                    Record::Apply(texts) => Some(recorded(texts, texts::zeros(&execution.version))),
                    Record::Undo => None,
                };
                self.fate_mut(texts::number(&execution.version)).row = row;
            }
            other => panic!("it writes nothing, or is not in the model: {other:?}"),
        }
    }

    fn prepare(&mut self, preparation: &Preparation) {
        self.ledger = true;
        self.installed = true;
        if let Some(owner) = &preparation.claim {
            self.claim = Some(owner.uid.parse().expect("the index of the owner"));
        }
        for adopted in &preparation.adopt {
            let row = recorded(&adopted.texts, texts::zeros(&adopted.version));
            let fate = self.fate_mut(texts::number(&adopted.version));
            fate.row = Some(row);
            // Nobody knows what once ran; from now on it counts as this text.
            fate.marks = [[0; STATEMENTS]; VARIANTS];
            fate.marks[texts::variant(&adopted.texts)] = [1; STATEMENTS];
        }
    }
}

fn recorded(texts: &Texts, zeros: u8) -> Row {
    let variant = u8::try_from(texts::variant(texts)).expect("few variants");
    Row {
        zeros,
        checksum: Some(variant),
        stored: Some(Stored {
            variant,
            down: texts.down.is_some(),
        }),
    }
}
