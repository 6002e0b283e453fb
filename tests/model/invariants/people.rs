//! What must hold of what people approve, decide and ask for.

use schemaward::engine::database::{Execution, Record, Request};
use schemaward::engine::decision::{Change, Settlement, Wish};
use schemaward::engine::event::{Next, Pause};
use schemaward::engine::outcome::{End, Outcome};
use schemaward::engine::review::RequiredApproval;
use schemaward::engine::step::StepAction;
use schemaward::engine::task::{Mode, Task};
use schemaward::migration::file_name::Direction;

use super::{Invariant, Violation, hold};
use crate::database::{Committed, Entry, Session};
use crate::memory::{Handle, Memory};
use crate::scenario::{Scenario, owner};
use crate::texts;

/// What a transaction is about to commit for a session, beside what is committed.
pub fn of_commit(
    memory: &Memory<'_>,
    handle: Handle,
    session: &Session,
    before: &Committed,
) -> Result<(), Violation> {
    let task = memory.task(handle);
    match memory.request(handle) {
        Request::Execute(execution) => of_script(memory.scenario, task, execution, session, before),
        Request::Step(step) => match step.action {
            StepAction::NoteEscape(_) => Ok(()),
            _ => of_script(memory.scenario, task, &step.execution, session, before),
        },
        Request::Decide(settlement) => of_settlement(task, settlement, before),
        _ => Ok(()),
    }
}

/// Whether a run that is `before` may ask for what it asks `after` while the window is closed: for no version that
/// it did not ask leave for.
pub fn of_closed_window(task: &Task, before: &Next, after: &Next) -> Result<(), Violation> {
    let (Next::Ask(request), true) = (after, task.review.is_some()) else {
        return Ok(());
    };
    let begins = match (&**request, before) {
        (Request::Execute(_), Next::Ask(last)) => !matches!(**last, Request::LoadDowns(_)),
        (Request::Step(_), Next::Ask(last)) => {
            !matches!(**last, Request::LoadDowns(_) | Request::Step(_))
        }
        // A version that runs in parts goes on.
        (
            Request::Step(_),
            Next::Pause(Pause::BeforeRetry {
                is_under_way: true, ..
            }),
        ) => false,
        (Request::Execute(_) | Request::Step(_), _) => true,
        _ => false,
    };
    hold(!begins, Invariant::Window, || {
        format!(
            "{} begins, and the window is closed",
            request_label(request)
        )
    })
}

fn request_label(request: &Request) -> &'static str {
    match request {
        Request::Step(_) => "a part of a version",
        _ => "a version",
    }
}

/// A script, or a part of one, in the name of a task.
fn of_script(
    scenario: &Scenario,
    task: &Task,
    execution: &Execution,
    session: &Session,
    before: &Committed,
) -> Result<(), Violation> {
    hold(task.mode == Mode::Migrate, Invariant::Decision, || {
        format!("{} runs for a decision", execution.version)
    })?;
    let review = task.review.as_ref();
    if review.is_some_and(|review| review.required == RequiredApproval::Always) {
        of_approved(scenario, execution, before)?;
    }
    let is_up = matches!(execution.record, Record::Apply(_));
    let is_first = !session.ran && before.begun.is_none();
    hold(
        task.checks.is_empty() || !is_up || !is_first || session.passed,
        Invariant::Checks,
        || {
            format!(
                "{} runs, and the check did not pass before",
                execution.version
            )
        },
    )
}

/// What was approved is these texts, as often as they had been undone when that was said.
fn of_approved(
    scenario: &Scenario,
    execution: &Execution,
    before: &Committed,
) -> Result<(), Violation> {
    let number = texts::number(&execution.version);
    let variant = texts::mark(execution.script.text()).variant;
    let is_down = matches!(execution.record, Record::Undo);
    let approved = &scenario.approved;
    hold(
        approved.contains(&(number, variant, is_down)),
        Invariant::Approval,
        || format!("text {variant} of {number} runs (undone: {is_down}), approved is {approved:?}"),
    )?;
    let undone = before.fate(number).undone;
    hold(
        undone == scenario.database.fate(number).undone,
        Invariant::Approval,
        || format!("{number} runs, approved once and undone {undone} times since"),
    )
}

/// A decision changes what its wish names, where that is so, and nothing else.
fn of_settlement(
    task: &Task,
    settlement: &Settlement,
    before: &Committed,
) -> Result<(), Violation> {
    let Mode::Decide(decision) = &task.mode else {
        let what = || "something is decided by a run that migrates".to_owned();
        return hold(false, Invariant::Decision, what);
    };
    for change in &settlement.changes {
        let is_wished = match (&decision.wish, change) {
            (Wish::Accept(accepted), Change::Take { version, texts, .. }) => {
                let own = task.catalog.get(version);
                let is_own = own.is_some_and(|own| own.up.checksum == texts.up_checksum);
                let is_named = accepted.iter().any(|text| text.version == *version);
                let is_applied = before.fate(texts::number(version)).row.is_some();
                is_own && is_named && is_applied
            }
            (Wish::Accept(accepted), Change::PutBack { version, .. }) => {
                accepted.iter().any(|text| text.version == *version)
            }
            (Wish::Takeover(_), Change::Claim { from, .. } | Change::Release { from }) => {
                before.claim.map(owner).as_ref() == Some(from)
            }
            (
                Wish::Resolve(resolution),
                Change::Resolve {
                    version, direction, ..
                },
            ) => {
                let number = texts::number(version);
                before.begun.is_some_and(|begun| {
                    let in_doubt =
                        matches!(begun.middle, Entry::Started(_)) || begun.whole.is_some();
                    usize::from(begun.number) == number
                        && resolution.version == *version
                        && begun.down == matches!(direction, Direction::Down)
                        && in_doubt
                })
            }
            _ => false,
        };
        hold(is_wished, Invariant::Decision, || {
            format!("{change:?} is committed, and wished is {:?}", decision.wish)
        })?;
    }
    Ok(())
}

/// What a run says of checks and decisions when it ends, beside what is committed.
pub fn of_outcome(
    task: &Task,
    committed: &Committed,
    session: Session,
    outcome: &Outcome,
) -> Result<(), Violation> {
    match outcome.end() {
        End::Reached => hold(
            task.checks.is_empty() || session.passed,
            Invariant::Checks,
            || "it is Ready, and the check did not pass".to_owned(),
        ),
        End::Decided(changes) => {
            let stands = changes.iter().all(|change| is_so(change, committed));
            hold(stands, Invariant::Decision, || {
                format!("it says that {changes:?} is decided")
            })
        }
        End::Planned | End::Interrupted | End::Stopped(_) => Ok(()),
    }
}

/// Whether a change is in the database.
fn is_so(change: &Change, committed: &Committed) -> bool {
    match change {
        Change::Take { version, texts, .. } => {
            let row = committed.fate(texts::number(version)).row;
            let variant = texts::variant(texts);
            row.is_some_and(|row| row.checksum.map(usize::from) == Some(variant))
        }
        Change::Claim { to, .. } => committed.claim.map(owner).as_ref() == Some(to),
        Change::Release { .. } => committed.claim.is_none(),
        Change::Resolve { .. } => committed
            .begun
            .is_none_or(|begun| !matches!(begun.middle, Entry::Started(_))),
        Change::PutBack { .. }
        | Change::Forget { .. }
        | Change::AcceptAudit { .. }
        | Change::Know { .. } => true,
    }
}
