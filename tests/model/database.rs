//! The simulated database: what is committed, and the sessions on the server.
//!
//! It answers as the adapter promises: effects and record of a version commit together; every
//! transaction that writes checks first that its own session holds the lock; a session that lost its
//! client goes on with what it has received, and ends some time.

use std::ops::Range;

use schemaward::engine::database::{Execution, Preparation, Record, Request, Texts};
use schemaward::engine::step::{StepAction, StepRequest};
use schemaward::migration::script::Script;

use super::memory::{Handle, Snapshot};
use super::texts::{self, INDEX, MIDDLE, REPEATABLE, STATEMENTS, UNPROVABLE, VARIANTS, VERSIONS};

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
}

/// How far the statement in the middle is, as the journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Nothing is known of it.
    None,
    /// It was about to be sent, and this was the index before.
    Started(Option<Index>),
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
    /// `DownLoaded`.
    DownLoaded { number: u8, variant: u8 },
    /// `Done`.
    Done,
    /// `Journaled`.
    Journaled,
    /// `Evidence`: the index there is.
    Evidence(Option<Index>),
    /// `Executed`.
    Executed,
    /// `Repaired`.
    Repaired,
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

    fn fate_mut(&mut self, number: usize) -> &mut Fate {
        &mut self.versions[number - 1]
    }

    /// One statement takes effect.
    pub fn mark(&mut self, script: &Script, statement: usize) {
        let range = script.statements()[statement].range.clone();
        let mark = texts::mark(&script.text()[range]);
        self.fate_mut(mark.number).marks[mark.variant][mark.statement] += mark.change;
    }

    /// All statements of a request that run in its transaction take effect.
    pub fn effects(&mut self, request: &Request) {
        let (execution, statements) = match request {
            Request::Execute(execution) => (&**execution, 0..execution.script.statements().len()),
            Request::Step(step) => (&*step.execution, statements_of(&step.action)),
            _ => return,
        };
        for statement in statements {
            self.mark(&execution.script, statement);
        }
    }

    /// What a request writes into our own tables.
    pub fn record(&mut self, request: &Request) {
        match request {
            Request::Prepare(preparation) => self.prepare(preparation),
            Request::Execute(execution) => self.record_version(execution),
            Request::Step(step) => self.record_step(step),
            other => panic!("it writes nothing, or is not in the model: {other:?}"),
        }
    }

    fn record_version(&mut self, execution: &Execution) {
        let row = match &execution.record {
            Record::Apply(texts) => Some(recorded(texts, texts::zeros(&execution.version))),
            Record::Undo => None,
        };
        self.fate_mut(texts::number(&execution.version)).row = row;
    }

    fn record_step(&mut self, step: &StepRequest) {
        let execution = &*step.execution;
        let index = self.fate(texts::number(&execution.version)).index;
        let mut begun = self.begun.unwrap_or_else(|| begin(execution));
        match &step.action {
            StepAction::Run(_) => begun.first = true,
            StepAction::Start(_) => begun.middle = Entry::Started(index),
            StepAction::Finish(..) => begun.middle = Entry::Done,
            StepAction::Withdraw(_) => begun.middle = Entry::None,
            StepAction::Record(_) => {
                self.record_version(execution);
                self.begun = None;
                return;
            }
            other => panic!("it is not in the model: {other:?}"),
        }
        let is_something = begun.first || begun.middle != Entry::None;
        self.begun = is_something.then_some(begun);
    }

    /// A statement outside of a transaction comes one step further; true when that was the last one. `None`:
    /// the server refuses it.
    pub fn go_outside(&mut self, step: &StepRequest, phase: u8) -> Option<bool> {
        let execution = &*step.execution;
        let is_down = matches!(execution.record, Record::Undo);
        let variant = texts::mark(execution.script.text()).variant;
        let fate = self.fate_mut(texts::number(&execution.version));
        let drops = is_down || matches!(step.action, StepAction::Repair(..));
        match (variant, phase) {
            (UNPROVABLE, _) => fate.marks[variant][MIDDLE] += if is_down { -1 } else { 1 },
            (REPEATABLE, _) => fate.marks[variant][MIDDLE] = i8::from(!is_down),
            (INDEX, 0) if drops => {
                let index = fate.index.as_mut()?;
                index.valid = false;
                return Some(false);
            }
            (INDEX, _) if drops => fate.index = None,
            (INDEX, 0) if fate.index.is_some() => return None,
            (INDEX, 0) => {
                fate.oids += 1;
                let oid = fate.oids;
                fate.index = Some(Index { oid, valid: false });
                return Some(false);
            }
            (INDEX, _) => fate.index.as_mut()?.valid = true,
            (other, _) => panic!("text {other} runs in a transaction"),
        }
        Some(true)
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
            fate.has_effects_of(texts::variant(&adopted.texts));
        }
    }
}

impl Fate {
    /// As if this text had run.
    pub fn has_effects_of(&mut self, variant: usize) {
        self.marks = [[0; STATEMENTS]; VARIANTS];
        self.marks[variant] = [1; STATEMENTS];
        self.index = None;
        if variant == INDEX {
            self.marks[variant][MIDDLE] = 0;
            self.index = Some(Index {
                oid: self.oids,
                valid: true,
            });
        }
    }

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

fn begin(execution: &Execution) -> Begun {
    let small = |number| u8::try_from(number).expect("a small number");
    Begun {
        number: small(texts::number(&execution.version)),
        zeros: texts::zeros(&execution.version),
        variant: small(texts::mark(execution.script.text()).variant),
        down: matches!(execution.record, Record::Undo),
        first: false,
        middle: Entry::None,
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
