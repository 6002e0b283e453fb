//! The step function against a small simulated database: what it asks for, in which order, and when it
//! stops. No server, no clock.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::migration::begun::{Begun, Entry, EntryState};
use crate::migration::catalog::{Catalog, SourceFile};
use crate::migration::checksum::Checksum;
use crate::migration::evidence::Evidence;
use crate::migration::file_name::Direction;
use crate::migration::history::{Applied, History, Stored};
use crate::migration::part::Part;
use crate::migration::plan_hash::PlanContext;
use crate::migration::script::Script;
use crate::migration::statement_policy::{Action, StatementPolicy};
use crate::migration::target::{Policy, Rollback, Target};
use crate::migration::version::Version;

use super::check::CheckAnswer;
use super::database::{
    Holder, Inspection, Installation, LedgerLimits, Observation, Record, Recorded, Request, Server,
    Texts,
};
use super::decision::{Change, Verdict};
use super::error::{DatabaseError, DatabaseErrorKind, ScriptFailure, ScriptFailureKind};
use super::event::{Event, Next};
use super::hold::Hold;
use super::loss::{Estimate, FoundLoss, MAX_ASKED, Rows};
use super::machine::Machine;
use super::outcome::{End, Outcome, Stop};
use super::review::{Approval, Judgements, RequiredApproval, Review, ScriptText};
use super::server_identity::{ServerIdentity, ServerSeen};
use super::step::{StepAction, StepObservation, StepRequest};
use super::task::{Actor, Ledger, Mode, Owner, Patience, Task};

mod simulated;

mod approving;
mod checking;
mod committed;
mod held {
    mod tests;
}
mod in_parts;
mod looking;
mod running;

#[path = "machine/flushing/tests.rs"]
mod flushing;

/// A database that does what it is asked, with faults to be met on the way.
#[derive(Default)]
struct Simulated {
    ledger_exists: bool,
    installed: bool,
    limits: LedgerLimits,
    claim: Option<Owner>,
    server: ServerSeen,
    history: History,
    down_texts: Vec<(Version, Vec<u8>)>,
    estimates: Vec<FoundLoss>,
    /// What the next estimate ends in.
    estimate_error: Option<DatabaseError>,
    missing_grants: Vec<String>,
    /// How often the lock is refused.
    lock_refusals: usize,
    /// Answers to scripts, in order; afterwards they succeed.
    script_answers: VecDeque<Observation>,
    /// Answers to checks, in order; afterwards they are `true`.
    check_answers: VecDeque<CheckAnswer>,
    /// The lock's holder bears our identity.
    is_same_identity: bool,
    /// Who claims the history behind its preparation.
    claimed_meanwhile: Option<Owner>,
    /// The version that somebody else undoes when its text is to be read.
    undone_meanwhile: Option<Version>,
    /// The version whose text is recorded and not there.
    lost_text: Option<Version>,
    /// How many texts of ways back it answers at once; `None`: all that it is asked for.
    texts_at_once: Option<usize>,
    /// The request (counted from 0) that ends in an error.
    fail_at: Option<usize>,
    /// Labels of what was asked.
    asked: Vec<String>,
}

fn label(request: &Request) -> String {
    match request {
        Request::Inspect => "inspect".to_owned(),
        Request::TryLock => "lock".to_owned(),
        Request::Prepare(_) => "prepare".to_owned(),
        Request::Decide(_) => "decide".to_owned(),
        Request::LoadDowns(versions) => {
            let versions: Vec<_> = versions.iter().map(Version::as_str).collect();
            format!("load {}", versions.join(" "))
        }
        Request::Estimate(losses) => format!("estimate {}", losses.len()),
        Request::Check(check) => format!("check {}", check.name),
        Request::Flush => "flush".to_owned(),
        Request::Execute(execution) => match execution.record {
            Record::Apply(_) => format!("apply {}", execution.version),
            Record::Undo => format!("undo {}", execution.version),
        },
        Request::Step(step) => match &step.action {
            StepAction::Run(part) => format!("run {}-{}", part.first, part.last),
            StepAction::Start(part) => format!("start {}", part.first),
            StepAction::Execute(part) => format!("execute {}", part.first),
            StepAction::Look(part) => format!("look {}", part.first),
            StepAction::Repair(part, _) => format!("repair {}", part.first),
            StepAction::Finish(part, _) => format!("finish {}", part.first),
            StepAction::Withdraw(part) => format!("withdraw {}", part.first),
            StepAction::NoteEscape(part) => format!("escape {}-{}", part.first, part.last),
            StepAction::Record(_) => format!("record {}", step.execution.version),
        },
    }
}

fn version(text: &str) -> Version {
    Version::parse(text).expect("digits")
}

fn catalog(names: &[&str]) -> Catalog {
    let scripts = names.iter().map(|name| {
        let [up, down] = ["CREATE", "DROP"].map(|verb| format!("{verb} TABLE t{name};"));
        (*name, up, down)
    });
    catalog_of(scripts)
}

/// Versions with their UP and DOWN.
fn catalog_of<'a>(scripts: impl Iterator<Item = (&'a str, String, String)>) -> Catalog {
    let files = scripts.flat_map(|(name, up, down)| {
        [("UP", up), ("DOWN", down)].map(|(way, text)| SourceFile {
            name: format!("{name}_t_{way}.sql"),
            bytes: text.into_bytes(),
        })
    });
    Catalog::from_files(files.collect(), "schema_migrations", &|_| false).expect("a sound set")
}

/// As [`task`], of versions that take moments and of which each is asked for when the one before it is done.
fn task_one_by_one(names: &[&str]) -> Task {
    let scripts = names.iter().map(|name| {
        let up = format!("COMMENT ON SCHEMA s IS '{name}';");
        (*name, up, "SELECT 1;".to_owned())
    });
    Task {
        catalog: catalog_of(scripts),
        ..task(&[])
    }
}

fn task(names: &[&str]) -> Task {
    Task {
        catalog: catalog(names),
        target: Target::Latest,
        policy: Policy {
            rollback: Rollback::Allow,
            ..Policy::default()
        },
        mode: Mode::Migrate,
        ledger: Ledger::default(),
        actor: Actor::CommandLine,
        patience: Patience {
            lock_wait: Duration::from_secs(3),
            lock_retries: 2,
            ..Patience::default()
        },
        allow_privileged_role: false,
        known: None,
        review: None,
        checks: Vec::new(),
        is_scratch: false,
    }
}

fn owner(name: &str, uid: &str) -> Owner {
    Owner {
        cluster: "c".to_owned(),
        namespace: "n".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
    }
}

/// What is found in scripts.
fn judged(scripts: Vec<ScriptText>) -> Event {
    let judge = |script: ScriptText| {
        let judged = Judgements::default().of(&script);
        (script.key, judged)
    };
    Event::Judged(scripts.into_iter().map(judge).collect())
}

/// Runs `task` against `database`; the caller lets `versions` of them start.
fn run_limited(task: Task, database: &mut Simulated, mut versions: usize) -> Outcome {
    let mut machine = Machine::new(task);
    let mut event = Event::Begin;
    for _ in 0..1_000 {
        event = match machine.step(event) {
            Next::Ask(request) => match database.answer(&request) {
                Ok(observation) => Event::Observed(Box::new(observation)),
                Err(error) => Event::Failed(error),
            },
            Next::Judge(scripts) => judged(scripts),
            Next::Pause(_) => Event::Waited(Duration::from_secs(1)),
            Next::MayRun => Event::Continue,
            Next::Checkpoint(_) if versions == 0 => Event::Interrupt,
            Next::Checkpoint(_) => {
                versions -= 1;
                Event::Continue
            }
            Next::Done(outcome) => return *outcome,
        };
    }
    panic!("a run must end");
}

fn run(task: Task, database: &mut Simulated) -> Outcome {
    run_limited(task, database, usize::MAX)
}

/// A set of one version whose file holds both kinds of statements.
fn mixed(last: &str) -> Task {
    let sql = format!("CREATE TABLE t (); ALTER SUBSCRIPTION s ADD PUBLICATION p; {last}");
    let files = vec![SourceFile {
        name: "1_t_UP.sql".to_owned(),
        bytes: sql.into_bytes(),
    }];
    let mut task = task(&[]);
    task.catalog = Catalog::from_files(files, "schema_migrations", &|_| false).expect("a set");
    task
}

fn failure(kind: ScriptFailureKind, of: &str) -> Observation {
    Observation::Failed(ScriptFailure {
        kind,
        version: version(of),
        name: "t".to_owned(),
        direction: Direction::Up,
        statement: None,
        position: None,
        sqlstate: None,
        message: "no".to_owned(),
        outside_transaction: false,
        by_hand: None,
    })
}

fn reviewed_task(names: &[&str], required: RequiredApproval, approved: Option<Checksum>) -> Task {
    Task {
        actor: Actor::Resource(owner("shop", "1")),
        review: Some(Review {
            context: PlanContext::new(["c", "n", "shop"]),
            required,
            policy: StatementPolicy::default(),
            approval: approved.map(|plan| Approval {
                plan: Some(plan),
                by: "annotation, set by field manager kubectl-annotate".to_owned(),
                is_used: false,
            }),
            wal_position: None,
            judgements: Judgements::default(),
        }),
        ..task(names)
    }
}

/// The hash that a run waits for.
#[track_caller]
fn awaited(outcome: &Outcome) -> Checksum {
    match outcome.stop() {
        Some(Stop::Held(hold)) => match hold.as_ref() {
            Hold::Approval(awaiting) => awaiting.plan,
            Hold::Policy(_) | Hold::Window(_) | Hold::Gate(_) => panic!("{}", outcome.message()),
        },
        _ => panic!("{}", outcome.message()),
    }
}

/// The run came to its end; otherwise its message says why not.
#[track_caller]
fn reached(outcome: &Outcome) {
    assert!(
        matches!(outcome.end(), End::Reached),
        "{}",
        outcome.message()
    );
}
