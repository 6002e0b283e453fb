//! What must hold in every state, whatever happens. Nothing here asks the planner or the machine what
//! it thinks of it.

use std::collections::BTreeSet;

use schemaward::engine::database::{Execution, Preparation, Record, Request};
use schemaward::engine::error::DatabaseErrorKind;
use schemaward::engine::outcome::{End, Outcome, Stop};
use schemaward::engine::step::StepRequest;
use schemaward::engine::task::Task;
use schemaward::migration::target::{Rollback, Target};

use super::database::{Begun, Committed, Entry, Fate, Session, Whole};
use super::memory::{Handle, Memory};
use super::scenario::owner;
use super::texts::{self, MIDDLE, STATEMENTS, VARIANTS, VERSIONS};
use super::world::World;

pub mod people;

/// The invariants, numbered as in the issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Effects and record of a version are both there or both not.
    EffectsAndRecord,
    /// No statement takes effect twice.
    AtMostOnce,
    /// Never two sessions that write at once.
    NeverTwo,
    /// The history is a prefix of the declared order.
    Prefix,
    /// Going back needs leave, and takes the text that was kept.
    WayBack,
    /// A ledger that somebody owns is not taken from him.
    Claim,
    /// What is in doubt goes no further until a person has said what is true.
    InDoubt,
    /// What needs an approval runs as it was approved, and once.
    Approval,
    /// A decision changes what somebody decided, where that is so, and nothing else.
    Decision,
    /// Nothing is applied before the checks have passed, and nothing is Ready without.
    Checks,
    /// No version begins while its window is closed.
    Window,
    /// What was told is never taken back.
    Announced,
    /// What a run says is what the database says.
    Honest,
    /// Every run ends, and one that nothing disturbs ends as it should.
    Ends,
}

/// An invariant that does not hold.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
}

/// `Err` unless it holds.
pub fn hold(
    holds: bool,
    invariant: Invariant,
    what: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        Err(Violation {
            invariant,
            what: what(),
        })
    }
}

/// Never two that write.
pub fn of_sessions(world: &World) -> Result<(), Violation> {
    let writing = world.sessions().filter(|session| session.writes()).count();
    hold(writing <= 1, Invariant::NeverTwo, || {
        format!("{writing} sessions have a transaction open that writes")
    })
}

/// What was told of is there after the server crashed.
pub fn of_outage(told: &BTreeSet<usize>, committed: &Committed) -> Result<(), Violation> {
    let lost = told
        .iter()
        .find(|number| committed.fate(**number).row.is_none());
    hold(lost.is_none(), Invariant::Announced, || {
        format!("{lost:?} was told of as applied, and is gone")
    })
}

/// What is committed is whole.
pub fn of_database(memory: &Memory<'_>, committed: &Committed) -> Result<(), Violation> {
    for number in 1..=VERSIONS {
        let fate = committed.fate(number);
        let begun = committed
            .begun
            .filter(|begun| usize::from(begun.number) == number);
        let recorded = fate.row.map(|row| {
            let known = row.stored.map(|stored| stored.variant).or(row.checksum);
            known.map_or(0, usize::from)
        });
        for variant in 0..VARIANTS {
            let marks = fate.effects(variant);
            hold(
                marks.iter().all(|mark| (0..=1).contains(mark)),
                Invariant::AtMostOnce,
                || format!("the statements of {number} have taken effect so often: {marks:?}"),
            )?;
            let journaled = begun.filter(|begun| usize::from(begun.variant) == variant);
            let is_recorded = recorded == Some(variant);
            let is_whole = if let Some(begun) = journaled {
                is_as_the_journal_says(begun, recorded.is_some(), marks)
            } else {
                marks == [i8::from(is_recorded); STATEMENTS]
                    || (!is_recorded && has_just_escaped(variant, marks))
            };
            hold(is_whole, Invariant::EffectsAndRecord, || {
                format!(
                    "the record of {number} is {:?}, the journal has {begun:?}, its effects are {marks:?}",
                    fate.row
                )
            })?;
        }
        hold(
            begun.is_some() || leaves_nothing(fate, recorded),
            Invariant::EffectsAndRecord,
            || format!("{number} left {fate:?}"),
        )?;
    }
    if memory.scenario.declares_all() {
        let top = committed.top();
        hold(
            committed.applied().count() == top,
            Invariant::Prefix,
            || format!("applied are {:?}", committed.applied().collect::<Vec<_>>()),
        )?;
    }
    Ok(())
}

/// Whether nothing half done is left of a version that is not under way.
fn leaves_nothing(fate: &Fate, recorded: Option<usize>) -> bool {
    let may_have_index = recorded == Some(texts::INDEX);
    (fate.index.is_none() || may_have_index) && fate.leftovers == 0 && !fate.pending
}

/// Whether these are the marks of a script that ended its transaction by itself, before that is in the journal.
fn has_just_escaped(variant: usize, marks: [i8; STATEMENTS]) -> bool {
    variant == texts::ESCAPES && marks == [1, 1, 0]
}

/// Whether what a version has done is what the journal says. A statement that was started may be done or not.
fn is_as_the_journal_says(begun: Begun, is_recorded: bool, marks: [i8; STATEMENTS]) -> bool {
    match begun.whole {
        Some(Whole::Escaped) => return !is_recorded && marks == [1, 1, 0],
        Some(Whole::Done) => return !is_recorded && marks == [1; STATEMENTS],
        None => {}
    }
    let (not_done, done) = if begun.down { (1, 0) } else { (0, 1) };
    let first = if begun.first { done } else { not_done };
    let is_middle = match begun.middle {
        Entry::Started(_) => true,
        Entry::Done => marks[MIDDLE] == done,
        // A DROP that failed leaves an index that is not valid, and says so; what is as good twice counts as not
        // done when its last attempt failed.
        Entry::None => {
            let is_repeatable = texts::may_run_twice(usize::from(begun.variant));
            begun.down || is_repeatable || marks[MIDDLE] == not_done
        }
    };
    is_recorded == begun.down && marks[0] == first && is_middle && marks[2] == not_done
}

/// A statement outside of a transaction is about to be executed; `before` is the truth, which no run knows.
pub fn of_statement(step: &StepRequest, before: &Committed) -> Result<(), Violation> {
    let execution = &*step.execution;
    let number = texts::number(&execution.version);
    let variant = texts::mark(execution.script.text()).variant;
    let done = match execution.record {
        Record::Apply(_) => 1,
        Record::Undo => 0,
    };
    let is_done = before.fate(number).effects(variant)[MIDDLE] == done;
    // Half dropped is not done.
    let is_there = variant == texts::INDEX && before.fate(number).index.is_some();
    hold(
        texts::may_run_twice(variant) || !is_done || (done == 0 && is_there),
        Invariant::AtMostOnce,
        || format!("the statement in the middle of {number} is executed, and it is done"),
    )
}

/// What a transaction is about to commit, beside what is committed.
pub fn of_commit(memory: &Memory<'_>, handle: Handle, before: &Committed) -> Result<(), Violation> {
    let task = memory.task(handle);
    let escaped = before
        .begun
        .filter(|begun| begun.whole == Some(Whole::Escaped));
    if let (Some(escaped), Request::Execute(_) | Request::Step(_)) =
        (escaped, memory.request(handle))
    {
        let what = || format!("something runs, and {} is in doubt", escaped.number);
        hold(false, Invariant::InDoubt, what)?;
    }
    match memory.request(handle) {
        Request::Prepare(preparation) => of_preparation(preparation, before),
        Request::Decide(_) => Ok(()),
        Request::Execute(execution) => match &execution.record {
            Record::Apply(_) => of_apply(task, execution, before),
            Record::Undo => of_undo(task, execution, before),
        },
        Request::Step(step) => match step.execution.record {
            Record::Apply(_) => of_apply(task, &step.execution, before),
            Record::Undo => of_undo(task, &step.execution, before),
        },
        other => panic!("it writes nothing, or is not in the model: {other:?}"),
    }
}

fn of_preparation(preparation: &Preparation, before: &Committed) -> Result<(), Violation> {
    if let (Some(new), Some(old)) = (&preparation.claim, before.claim) {
        hold(owner(old).is_same_resource(new), Invariant::Claim, || {
            format!("{new:?} takes it from {:?}", owner(old))
        })?;
    }
    for adopted in &preparation.adopt {
        let row = before.fate(texts::number(&adopted.version)).row;
        hold(
            row.is_some_and(|row| row.stored.is_none()),
            Invariant::EffectsAndRecord,
            || format!("{} is taken over, and there is {row:?}", adopted.version),
        )?;
    }
    Ok(())
}

fn of_apply(task: &Task, execution: &Execution, before: &Committed) -> Result<(), Violation> {
    let number = texts::number(&execution.version);
    let applied: Vec<usize> = before.applied().collect();
    hold(!applied.contains(&number), Invariant::AtMostOnce, || {
        format!("{number} is applied upon {applied:?}")
    })?;
    hold(before.top() < number, Invariant::Prefix, || {
        format!("{number} is applied upon {applied:?}")
    })?;
    let declared = task
        .catalog
        .iter()
        .map(|known| texts::number(&known.version));
    for below in declared.filter(|declared| *declared < number) {
        hold(applied.contains(&below), Invariant::Prefix, || {
            format!("{number} is applied upon {applied:?}, before {below}")
        })?;
    }
    Ok(())
}

fn of_undo(task: &Task, execution: &Execution, before: &Committed) -> Result<(), Violation> {
    let number = texts::number(&execution.version);
    hold(
        before.fate(number).row.is_some(),
        Invariant::AtMostOnce,
        || format!("{number} is undone and not applied"),
    )?;
    hold(before.top() == number, Invariant::Prefix, || {
        let applied: Vec<usize> = before.applied().collect();
        format!("{number} is undone while {applied:?} are applied")
    })?;
    let may = task.policy.rollback == Rollback::Allow;
    hold(may, Invariant::WayBack, || {
        format!("{number} is undone without leave")
    })?;
    let row = before.fate(number).row;
    let text = texts::mark(execution.script.text());
    let stored = row.and_then(|row| row.stored);
    hold(
        text.number == number
            && stored.is_some_and(|stored| usize::from(stored.variant) == text.variant),
        Invariant::WayBack,
        || format!("{number} is undone by {text:?}, and kept is {stored:?}"),
    )?;
    hold(
        row.is_some_and(|row| row.zeros == texts::zeros(&execution.version)),
        Invariant::WayBack,
        || format!("{} is not how the ledger writes it", execution.version),
    )
}

/// What a run says when it ends, beside what is committed.
pub fn of_outcome(
    task: &Task,
    committed: &Committed,
    session: Option<Session>,
    outcome: &Outcome,
) -> Result<(), Violation> {
    let honest = |holds: bool, what: &str| {
        hold(holds, Invariant::Honest, || {
            format!("{what}: {}", outcome.message())
        })
    };
    if let Some(Stop::Database(error)) = outcome.stop() {
        let strange = [
            DatabaseErrorKind::Internal,
            DatabaseErrorKind::HistoryUnreadable,
        ];
        honest(!strange.contains(&error.kind), "a state that must not be")?;
        return Ok(());
    }
    let applied: Vec<usize> = committed.applied().collect();
    // Without its session nobody can say more than what was seen last.
    let Some(session) = session else {
        return Ok(());
    };
    people::of_outcome(task, committed, session, outcome)?;
    if session.locked {
        let said: Option<Vec<usize>> = outcome.history().map(|history| {
            history
                .iter()
                .map(|row| texts::number(&row.version))
                .collect()
        });
        honest(
            said.as_ref() == Some(&applied),
            "it says another history than there is",
        )?;
        if matches!(outcome.end(), End::Reached) {
            honest(is_at_target(task, &applied), "it is not at its target")?;
        }
    } else {
        honest(
            outcome.done().is_empty(),
            "it says that it did something, without the lock",
        )?;
    }
    Ok(())
}

/// Whether these versions are what the task asks for.
pub fn is_at_target(task: &Task, applied: &[usize]) -> bool {
    let declared: Vec<usize> = task
        .catalog
        .iter()
        .map(|known| texts::number(&known.version))
        .collect();
    let goes_up = |top: usize| {
        let wanted: Vec<usize> = declared.iter().copied().filter(|one| *one <= top).collect();
        wanted == applied
    };
    match &task.target {
        Target::Latest => goes_up(declared.last().copied().unwrap_or(0)),
        Target::Version(version) => goes_up(texts::number(version)),
        Target::DownTo(version) => {
            let top = version.as_ref().map_or(0, texts::number);
            applied.iter().all(|one| *one <= top)
        }
    }
}
