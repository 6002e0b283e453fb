//! What the server does for a session.

use schemaward::engine::database::{Record, Request};
use schemaward::engine::step::StepAction;
use schemaward::engine::task::{Mode, Task};
use schemaward::migration::version::Version;

use super::{Which, World};
use crate::database::{Answer, Committed, Entry, Seen, Session, Work, statements_of};
use crate::invariants::{self, Violation, people};
use crate::memory::{self, Handle, Memory, Snapshot};
use crate::scenario::Defect;
use crate::texts::{self, VERSIONS};

impl World {
    pub(super) fn serve(&mut self, memory: &Memory<'_>, which: Which) {
        let defect = memory.scenario.defect;
        let is_free = !self.sessions().any(|session| session.locked);
        let database = self.database;
        let Work::Sent(handle) = self.session(which).work else {
            panic!("nothing was sent");
        };
        match memory.request(handle) {
            // A look waits until what it shows is on the disk.
            Request::Inspect => self.durable = database,
            Request::Flush if defect != Some(Defect::EarlyWord) => self.durable = database,
            _ => {}
        }
        let session = self.session_mut(which);
        session.work = match memory.request(handle) {
            Request::Inspect if sees_the_first(defect, memory.task(handle)) => {
                Work::Answered(Answer::Inspected(*session.saw.get_or_insert(database)))
            }
            Request::Inspect => Work::Answered(Answer::Inspected(database)),
            Request::TryLock => {
                let gets = is_free || matches!(defect, Some(Defect::LockIsShared | Defect::Pooler));
                session.locked |= gets;
                Work::Answered(if gets {
                    Answer::Locked
                } else {
                    Answer::LockHeld
                })
            }
            Request::Flush => Work::Answered(Answer::Flushed),
            Request::Estimate(_) => Work::Answered(Answer::Estimated),
            Request::LoadDowns(versions) => {
                Work::Answered(stored_downs(memory, database, versions))
            }
            Request::Check(_) => {
                let asked = match defect {
                    Some(Defect::OldAnswer) => *session.saw.get_or_insert(database),
                    _ => database,
                };
                // What is true now, whatever the answer is.
                session.passed = !memory.committed(database).spoiled;
                Work::Answered(Answer::Checked(!memory.committed(asked).spoiled))
            }
            Request::Prepare(_) | Request::Execute(_) | Request::Step(_) | Request::Decide(_) => {
                session.locked |= defect == Some(Defect::BlindRetry);
                session.along = followed_by(memory.request(handle));
                if session.locked || defect == Some(Defect::LockElsewhere) {
                    begun(memory, handle, database)
                } else {
                    Work::Answered(Answer::Lost)
                }
            }
        };
    }

    /// The next statement; after the last one the commit.
    pub(super) fn advance(
        &mut self,
        memory: &mut Memory<'_>,
        which: Which,
    ) -> Result<(), Violation> {
        let mut committed = *memory.committed(self.database);
        let defect = memory.scenario.defect;
        let session = self.session_mut(which);
        let (handle, done) = match session.work {
            Work::Open(handle, done) => (handle, Some(done)),
            Work::Unrecorded(handle) => (handle, None),
            Work::Outside(handle, phase) => {
                return self.advance_outside(memory, which, handle, phase);
            }
            other => panic!("nothing is open: {other:?}"),
        };
        let request = memory.request(handle);
        if let Some(done) = done {
            if escapes_at(request, done) {
                return self.escape(memory, which, handle, done);
            }
            if usize::from(done) < statements(request) {
                session.work = Work::Open(handle, done + 1);
                return Ok(());
            }
            committed.effects(request);
        }
        let apart = defect == Some(Defect::RecordApart) && matches!(request, Request::Execute(_));
        if done.is_some() && apart {
            session.work = Work::Unrecorded(handle);
            self.commit(memory.snapshot(&committed));
            return Ok(());
        }
        let before = *memory.committed(self.database);
        invariants::of_commit(memory, handle, &before)?;
        people::of_commit(memory, handle, self.session(which), &before)?;
        if !is_forgotten(defect, request) {
            committed.record(request);
        }
        if !memory.scenario.approved.is_empty() {
            count_undone(request, &mut committed);
        }
        let (is_preparation, answer) = (
            matches!(request, Request::Prepare(_) | Request::Decide(_)),
            committed_answer(request, &committed),
        );
        let is_checked = !memory.task(handle).checks.is_empty();
        let waits = matches!(memory.request(handle), Request::Execute(execution) if execution.may_flush_later);
        let snapshot = memory.snapshot(&committed);
        self.database = snapshot;
        if !waits {
            self.durable = snapshot;
        }
        let session = self.session_mut(which);
        session.work = Work::Answered(if is_preparation {
            Answer::Inspected(snapshot)
        } else {
            answer
        });
        if session.along > 0 {
            go_on(memory, session, handle);
        }
        if is_checked && !is_preparation {
            session.passed = false;
            session.ran = true;
        }
        Ok(())
    }

    /// A script fails.
    pub(super) fn fail(&mut self, memory: &mut Memory<'_>, which: Which) {
        let defect = memory.scenario.defect;
        let session = self.session_mut(which);
        match session.work {
            Work::Open(handle, _) if defect == Some(Defect::RunsOn) && session.along > 0 => {
                go_on(memory, session, handle);
            }
            _ => session.work = Work::Answered(Answer::ScriptFailed),
        }
    }

    /// A commit that waits for the disk.
    fn commit(&mut self, database: Snapshot) {
        self.database = database;
        self.durable = database;
    }

    /// A statement ends the transaction that it runs in: what was done so far is committed, and the server
    /// refuses the rest, because the savepoint is gone.
    fn escape(
        &mut self,
        memory: &mut Memory<'_>,
        which: Which,
        handle: Handle,
        done: u8,
    ) -> Result<(), Violation> {
        let before = *memory.committed(self.database);
        invariants::of_commit(memory, handle, &before)?;
        let mut committed = before;
        let execution = memory::execution(memory.request(handle));
        for statement in 0..=usize::from(done) {
            committed.mark(execution, statement);
        }
        self.session_mut(which).work = Work::Answered(Answer::Escaped);
        self.commit(memory.snapshot(&committed));
        Ok(())
    }

    /// What a statement outside of a transaction does next, or what puts right what it left.
    fn advance_outside(
        &mut self,
        memory: &mut Memory<'_>,
        which: Which,
        handle: Handle,
        phase: u8,
    ) -> Result<(), Violation> {
        let Request::Step(step) = memory.request(handle) else {
            panic!("only a step runs outside of a transaction");
        };
        let mends = matches!(step.action, StepAction::Repair(..));
        let mut committed = *memory.committed(self.database);
        if !mends && phase == 0 {
            invariants::of_statement(step, &committed)?;
        }
        let work = match committed.go_outside(step, phase) {
            Some(false) => Work::Outside(handle, phase + 1),
            // What is gone already is put right, too.
            Some(true) | None if mends => Work::Answered(Answer::Repaired),
            Some(true) => Work::Answered(Answer::Executed),
            None => Work::Answered(Answer::ScriptFailed),
        };
        self.session_mut(which).work = work;
        self.commit(memory.snapshot(&committed));
        Ok(())
    }
}

/// What a step is asked to do.
fn action(request: &Request) -> Option<&StepAction> {
    match request {
        Request::Step(step) => Some(&step.action),
        _ => None,
    }
}

/// Whether a wrong adapter shows a run what its session saw first.
fn sees_the_first(defect: Option<Defect>, task: &Task) -> bool {
    match defect {
        Some(Defect::OldSnapshot) => true,
        Some(Defect::OldDecision) => matches!(task.mode, Mode::Decide(_)),
        _ => false,
    }
}

/// Whether a wrong adapter leaves out what a request is to write.
fn is_forgotten(defect: Option<Defect>, request: &Request) -> bool {
    match action(request) {
        Some(StepAction::Start(_)) => defect == Some(Defect::NoIntent),
        Some(StepAction::NoteEscape(_)) => defect == Some(Defect::NoEscapeNote),
        _ => false,
    }
}

/// Counts a version that was undone.
fn count_undone(request: &Request, committed: &mut Committed) {
    if let Request::Execute(execution) = request
        && execution.record == Record::Undo
    {
        let fate = committed.fate_mut(texts::number(&execution.version));
        fate.undone += 1;
    }
}

/// Whether the next statement of a transaction ends it; `done` are done.
pub(super) fn escapes_at(request: &Request, done: u8) -> bool {
    let Request::Execute(execution) = request else {
        return false;
    };
    let is_it = usize::from(done) == texts::MIDDLE && matches!(execution.record, Record::Apply(_));
    is_it && texts::mark(execution.script.text()).variant == texts::ESCAPES
}

/// Whether a request writes, or looks at what only the holder of the lock may rely on.
pub(super) fn is_under_the_lock(request: &Request) -> bool {
    matches!(
        request,
        Request::Execute(_) | Request::Prepare(_) | Request::Step(_) | Request::Decide(_)
    )
}

/// A session takes up a request that the lock is needed for.
fn begun(memory: &Memory<'_>, handle: Handle, database: Snapshot) -> Work {
    let request = memory.request(handle);
    let committed = memory.committed(database);
    match action(request) {
        Some(StepAction::Execute(_) | StepAction::Repair(..)) => Work::Outside(handle, 0),
        Some(StepAction::Look(_)) if memory.scenario.defect == Some(Defect::OldEvidence) => {
            Work::Answered(Answer::Evidence(before(committed)))
        }
        Some(StepAction::Look(_)) => {
            let seen = committed.seen(memory::execution(request));
            Work::Answered(Answer::Evidence(seen))
        }
        _ => Work::Open(handle, 0),
    }
}

/// What was there before the statement that was started.
fn before(committed: &Committed) -> Seen {
    match committed.begun.map(|begun| begun.middle) {
        Some(Entry::Started(before)) => before,
        _ => Seen::Nothing,
    }
}

/// A session goes on with the version that was sent along with the one that a position asks for.
fn go_on(memory: &mut Memory<'_>, session: &mut Session, handle: Handle) {
    let past = memory.past(handle);
    session.along -= 1;
    session.past = Some(past);
    session.work = Work::Open(past, 0);
}

/// How many versions are sent along with a request.
fn followed_by(request: &Request) -> u8 {
    match request {
        Request::Execute(execution) => {
            let along = execution.with_those_that_follow().skip(1).count();
            u8::try_from(along).expect("few versions")
        }
        _ => 0,
    }
}

/// The answer to a transaction that is committed.
fn committed_answer(request: &Request, committed: &Committed) -> Answer {
    match action(request) {
        None | Some(StepAction::Record(_)) => Answer::Done,
        Some(StepAction::Start(_)) => Answer::Evidence(committed.seen(memory::execution(request))),
        Some(_) => Answer::Journaled,
    }
}

/// How many statements of a user a request executes.
pub(super) fn statements(request: &Request) -> usize {
    match request {
        Request::Execute(execution) => execution.script.statements().len(),
        Request::Step(step) => statements_of(&step.action).len(),
        _ => 0,
    }
}

/// Whether a session without a client can still change anything.
pub(super) fn matters(memory: &Memory<'_>, orphan: &Session) -> bool {
    orphan.locked
        || orphan.writes()
        || match orphan.work {
            Work::Sent(handle) => match memory.request(handle) {
                Request::TryLock => true,
                request => {
                    is_under_the_lock(request)
                        && memory.scenario.defect == Some(Defect::LockElsewhere)
                }
            },
            _ => false,
        }
}

fn stored_downs(memory: &Memory<'_>, database: Snapshot, versions: &[Version]) -> Answer {
    let mut variants = [None; VERSIONS];
    for (variant, version) in variants.iter_mut().zip(versions) {
        let row = memory.committed(database).fate(texts::number(version)).row;
        let row = row.filter(|row| row.zeros == texts::zeros(version));
        *variant = row.and_then(|row| row.stored).map(|stored| stored.variant);
    }
    Answer::DownsLoaded(variants)
}
