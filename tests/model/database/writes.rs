//! What requests write: the record of a version, the journal, what a person decided.

use schemaward::engine::database::{Execution, Preparation, Record, Request, Texts};
use schemaward::engine::decision::{Change, Settlement, Verdict};
use schemaward::engine::step::{StepAction, StepRequest};
use schemaward::migration::file_name::Direction;

use super::{Begun, Committed, Entry, Fate, Row, Seen, Stored, Whole, statements_of};
use crate::texts::{self, MIDDLE, STATEMENTS, VARIANTS};

impl Committed {
    /// One statement of a script takes effect.
    pub fn mark(&mut self, execution: &Execution, statement: usize) {
        let script = &execution.script;
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
            self.mark(execution, statement);
        }
    }

    /// What a request writes into our own tables.
    pub fn record(&mut self, request: &Request) {
        match request {
            Request::Prepare(preparation) => self.prepare(preparation),
            Request::Execute(execution) => self.record_version(execution),
            Request::Step(step) => self.record_step(step),
            Request::Decide(settlement) => self.settle(settlement),
            other => panic!("it writes nothing: {other:?}"),
        }
    }

    fn record_version(&mut self, execution: &Execution) {
        let fate = self.fate_mut(texts::number(&execution.version));
        fate.row = match &execution.record {
            Record::Apply(texts) => Some(recorded(texts, texts::zeros(&execution.version))),
            Record::Undo => None,
        };
    }

    fn record_step(&mut self, step: &StepRequest) {
        let execution = &*step.execution;
        let seen = self.seen(execution);
        let mut begun = self.begun.unwrap_or_else(|| begin(execution));
        match &step.action {
            StepAction::Run(_) => begun.first = true,
            StepAction::Start(_) => begun.middle = Entry::Started(seen),
            StepAction::Finish(..) => begun.middle = Entry::Done,
            StepAction::Withdraw(_) => begun.middle = Entry::None,
            StepAction::NoteEscape(_) => begun.whole = Some(Whole::Escaped),
            StepAction::Record(_) => {
                self.record_version(execution);
                self.begun = None;
                return;
            }
            StepAction::Execute(_) | StepAction::Look(_) | StepAction::Repair(..) => {
                panic!("it writes nothing into our tables: {:?}", step.action)
            }
        }
        self.begun = begun.if_anything();
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

    /// Whoever decides knows: from then on things are as he says.
    fn settle(&mut self, settlement: &Settlement) {
        self.ledger = true;
        self.installed = true;
        for change in &settlement.changes {
            match change {
                Change::Take { version, texts, .. } => self.take(texts::number(version), texts),
                Change::PutBack { version, .. } => {
                    let fate = self.fate_mut(texts::number(version));
                    let row = fate.row.as_mut().expect("a row");
                    row.checksum = row.stored.map(|stored| stored.variant);
                }
                Change::Claim { to, .. } => {
                    self.claim = Some(to.uid.parse().expect("the index of the owner"));
                }
                Change::Release { .. } => self.claim = None,
                Change::Resolve {
                    direction, verdict, ..
                } => self.resolve(*direction, *verdict),
                Change::Forget { .. } | Change::AcceptAudit { .. } | Change::Know { .. } => {
                    panic!("it is not in the model: {change:?}")
                }
            }
        }
    }

    fn take(&mut self, number: usize, texts: &Texts) {
        let fate = self.fate_mut(number);
        let old = fate.row.expect("a row");
        let mut row = recorded(texts, old.zeros);
        // Without a DOWN the kept one stays.
        if let (Some(new), Some(kept)) = (&mut row.stored, old.stored) {
            new.down |= kept.down;
        }
        fate.row = Some(row);
        fate.has_effects_of(texts::variant(texts));
    }

    fn resolve(&mut self, direction: Direction, verdict: Verdict) {
        let mut begun = self.begun.expect("something in doubt");
        let variant = usize::from(begun.variant);
        let fate = self.fate_mut(usize::from(begun.number));
        let is_done = verdict == Verdict::Applied;
        if begun.whole.is_some() {
            fate.marks[variant] = [i8::from(is_done); STATEMENTS];
            begun.whole = is_done.then_some(Whole::Done);
        } else {
            fate.has_middle(variant, is_done == (direction == Direction::Up));
            begun.middle = if is_done { Entry::Done } else { Entry::None };
        }
        self.begun = begun.if_anything();
    }

    /// A statement outside of a transaction comes one step further; true when that was the last one. `None`:
    /// the server refuses it.
    pub fn go_outside(&mut self, step: &StepRequest, phase: u8) -> Option<bool> {
        let execution = &*step.execution;
        let variant = texts::mark(execution.script.text()).variant;
        let fate = self.fate_mut(texts::number(&execution.version));
        if matches!(step.action, StepAction::Repair(..)) {
            return fate.repair(variant, phase);
        }
        fate.go_outside(variant, matches!(execution.record, Record::Undo), phase)
    }
}

impl Begun {
    fn if_anything(self) -> Option<Self> {
        let is_something = self.first || self.middle != Entry::None || self.whole.is_some();
        is_something.then_some(self)
    }
}

impl Fate {
    fn go_outside(&mut self, variant: usize, is_down: bool, phase: u8) -> Option<bool> {
        match (variant, phase) {
            (texts::UNPROVABLE, _) => self.marks[variant][MIDDLE] += if is_down { -1 } else { 1 },
            (texts::REPEATABLE, _) => self.marks[variant][MIDDLE] = i8::from(!is_down),
            (texts::REINDEX, 0) => {
                self.leftovers += 1;
                return Some(false);
            }
            (texts::REINDEX, _) => {
                self.leftovers -= 1;
                self.marks[variant][MIDDLE] = i8::from(!is_down);
            }
            (texts::DETACH, 0) if self.pending || self.marks[variant][MIDDLE] > 0 => return None,
            (texts::DETACH, 0) => {
                self.pending = true;
                return Some(false);
            }
            (texts::DETACH, _) => self.finish_detach(),
            (texts::INDEX, _) if is_down => return self.drop_index(phase),
            (texts::INDEX, 0) if self.index.is_some() => return None,
            (texts::INDEX, 0) => {
                self.oids += 1;
                let oid = self.oids;
                self.index = Some(super::Index { oid, valid: false });
                return Some(false);
            }
            (texts::INDEX, _) => self.index.as_mut()?.valid = true,
            (other, _) => panic!("text {other} runs in a transaction"),
        }
        Some(true)
    }

    fn repair(&mut self, variant: usize, phase: u8) -> Option<bool> {
        match variant {
            texts::INDEX => return self.drop_index(phase),
            texts::REINDEX => self.leftovers = 0,
            texts::DETACH if self.pending => self.finish_detach(),
            texts::DETACH => return None,
            other => panic!("text {other} leaves nothing to put right"),
        }
        Some(true)
    }

    fn drop_index(&mut self, phase: u8) -> Option<bool> {
        let index = self.index.as_mut()?;
        if phase == 0 {
            index.valid = false;
            return Some(false);
        }
        self.index = None;
        Some(true)
    }

    fn finish_detach(&mut self) {
        self.pending = false;
        self.marks[texts::DETACH][MIDDLE] += 1;
    }

    /// As if this text had run.
    pub fn has_effects_of(&mut self, variant: usize) {
        self.marks = [[0; STATEMENTS]; VARIANTS];
        self.marks[variant] = [1; STATEMENTS];
        self.index = None;
        self.has_middle(variant, true);
    }

    /// As if the statement in the middle were done, or not.
    fn has_middle(&mut self, variant: usize, is_done: bool) {
        self.leftovers = 0;
        self.pending = false;
        self.marks[variant][MIDDLE] = i8::from(is_done);
        if variant == texts::INDEX {
            self.marks[variant][MIDDLE] = 0;
            let (oid, valid) = (self.oids, true);
            self.index = is_done.then_some(super::Index { oid, valid });
        }
    }

    /// What the catalog shows of the statement in the middle.
    pub fn seen(&self, variant: usize) -> Seen {
        match variant {
            texts::INDEX => Seen::Index(self.index),
            texts::REINDEX => Seen::Leftovers(self.leftovers),
            texts::DETACH => Seen::Partition {
                attached: self.marks[variant][MIDDLE] == 0,
                pending: self.pending,
            },
            _ => Seen::Nothing,
        }
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
        whole: None,
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
