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
    /// The version that somebody else undoes when its text is to be read.
    undone_meanwhile: Option<Version>,
    /// The version whose text is recorded and not there.
    lost_text: Option<Version>,
    /// The request (counted from 0) that ends in an error.
    fail_at: Option<usize>,
    /// Labels of what was asked.
    asked: Vec<String>,
}

impl Simulated {
    fn answer(&mut self, request: &Request) -> Result<Observation, DatabaseError> {
        let number = self.asked.len();
        self.asked.push(label(request));
        if self.fail_at == Some(number) {
            return Err(DatabaseError::new(
                DatabaseErrorKind::ConnectionLost,
                "gone",
            ));
        }
        Ok(match request {
            Request::Inspect => self.inspected(),
            Request::TryLock if self.lock_refusals > 0 => {
                self.lock_refusals -= 1;
                Observation::LockHeld(Some(Holder {
                    pid: 7,
                    application_name: "other".to_owned(),
                    user: "u".to_owned(),
                    connected_seconds: 5,
                    state: None,
                    is_same_identity: self.is_same_identity,
                }))
            }
            Request::TryLock => Observation::Locked,
            Request::Prepare(preparation) => {
                self.ledger_exists = true;
                self.installed = true;
                if preparation.claim.is_some() {
                    self.claim.clone_from(&preparation.claim);
                }
                if preparation.server.is_some() {
                    self.server.audited = preparation.server;
                }
                for adopted in &preparation.adopt {
                    self.record(&adopted.version, "adopted", &adopted.texts);
                }
                self.inspected()
            }
            Request::Decide(settlement) => {
                self.installed = true;
                self.ledger_exists = true;
                settlement
                    .changes
                    .iter()
                    .for_each(|change| self.settle(change));
                self.inspected()
            }
            Request::Check(_) => Observation::Checked(
                self.check_answers
                    .pop_front()
                    .unwrap_or_else(|| CheckAnswer::Value(Some("true".to_owned()))),
            ),
            Request::LoadDown(version) if self.undone_meanwhile.as_ref() == Some(version) => {
                self.history.remove(version);
                Observation::DownMissing
            }
            Request::LoadDown(version) if self.lost_text.as_ref() == Some(version) => {
                Observation::DownMissing
            }
            Request::LoadDown(version) => Observation::DownLoaded(
                self.down_texts
                    .iter()
                    .find(|(known, _)| known == version)
                    .map(|(_, text)| text.clone())
                    .unwrap_or_default(),
            ),
            Request::Estimate(_) => {
                if let Some(error) = self.estimate_error.take() {
                    return Err(error);
                }
                Observation::Estimated(Estimate {
                    found: self.estimates.clone(),
                    ends_at: MAX_ASKED,
                })
            }
            Request::Execute(execution) => {
                if let Some(answer) = self.script_answers.pop_front() {
                    return Ok(answer);
                }
                match &execution.record {
                    Record::Apply(texts) => {
                        self.record(&execution.version, &execution.name, texts);
                    }
                    Record::Undo => self.history.remove(&execution.version),
                }
                Observation::Done(Recorded {
                    at: Timestamp::UNIX_EPOCH,
                    execution_time_ms: 1,
                    is_flushed: !execution.may_flush_later,
                })
            }
            Request::Flush => Observation::Flushed,
            Request::Step(step) => self.step(step),
        })
    }

    fn settle(&mut self, change: &Change) {
        match change {
            Change::Take { version, texts, .. } => self.record(version, "accepted", texts),
            Change::PutBack {
                version, checksum, ..
            } => {
                if let Some(mut row) = self.history.get(version).cloned() {
                    row.checksum = Some(checksum.to_string());
                    self.history.insert(row);
                }
            }
            Change::Forget { version } => self.forget(version),
            Change::AcceptAudit { .. } => {}
            Change::Claim { to, .. } => self.claim = Some(to.clone()),
            Change::Release { .. } => self.claim = None,
            Change::Know { .. } => self.installed = true,
            Change::Resolve {
                statements: (first, _),
                verdict,
                ..
            } => {
                let mut begun = self.history.begun().cloned().expect("it was begun");
                match verdict {
                    Verdict::Applied => {
                        let entries = begun.entries.iter_mut();
                        entries
                            .filter(|entry| entry.first == *first)
                            .for_each(|entry| entry.state = EntryState::Done);
                    }
                    Verdict::Retry => begun.entries.retain(|entry| entry.first != *first),
                }
                let begun = (!begun.entries.is_empty()).then_some(begun);
                self.history.set_begun(begun);
            }
        }
    }

    fn forget(&mut self, version: &Version) {
        let rows = self.history.iter().cloned().collect();
        let orphans = self.history.orphans().iter();
        let orphans = orphans.filter(|orphan| *orphan != version).cloned();
        self.history = History::new(rows, orphans.collect()).expect("a history");
    }

    /// What a version in parts does to the journal. The catalog of this database shows nothing.
    fn step(&mut self, step: &StepRequest) -> Observation {
        let entry = |part: &Part, state, before| Entry {
            first: part.first,
            last: part.last,
            checksum: part.checksum,
            state,
            before,
        };
        let mut begun = self.history.begun().cloned().unwrap_or_else(|| Begun {
            version: step.execution.version.clone(),
            direction: step.execution.record.direction(),
            entries: Vec::new(),
        });
        let mut set = |part: &Part, state, before| {
            begun.entries.retain(|entry| entry.first != part.first);
            begun.entries.push(entry(part, state, before));
            self.history.set_begun(Some(begun.clone()));
        };
        match &step.action {
            StepAction::Start(part) => {
                set(part, EntryState::Started, Some(Evidence::Nothing));
                return Observation::Step(StepObservation::Evidence(Evidence::Nothing));
            }
            StepAction::Run(part) | StepAction::Finish(part, _) => {
                set(part, EntryState::Done, None);
            }
            StepAction::NoteEscape(part) => set(part, EntryState::Escaped, None),
            StepAction::Withdraw(part) => {
                begun.entries.retain(|entry| entry.first != part.first);
                let begun = (!begun.entries.is_empty()).then_some(begun);
                self.history.set_begun(begun);
            }
            StepAction::Execute(_) => {
                return self.script_answers.pop_front().unwrap_or_else(|| {
                    Observation::Step(StepObservation::Executed {
                        began: "now".to_owned(),
                    })
                });
            }
            StepAction::Look(_) => {
                return Observation::Step(StepObservation::Evidence(Evidence::Nothing));
            }
            StepAction::Repair(..) => return Observation::Step(StepObservation::Repaired),
            StepAction::Record(_) => {
                match &step.execution.record {
                    Record::Apply(texts) => {
                        self.record(&step.execution.version, &step.execution.name, texts);
                    }
                    Record::Undo => self.history.remove(&step.execution.version),
                }
                self.history.set_begun(None);
                return Observation::Done(Recorded {
                    at: Timestamp::UNIX_EPOCH,
                    execution_time_ms: 1,
                    is_flushed: true,
                });
            }
        }
        Observation::Step(StepObservation::Journaled)
    }

    fn record(&mut self, version: &Version, name: &str, texts: &Texts) {
        if let Some(down) = &texts.down {
            self.down_texts.push((version.clone(), down.to_vec()));
        }
        self.history.insert(Applied {
            version: version.clone(),
            name: name.to_owned(),
            applied_at: None,
            execution_time_ms: None,
            checksum: Some(texts.up_checksum.to_string()),
            stored: Some(Stored {
                up: texts.up_checksum,
                down: texts.down_checksum,
            }),
        });
    }

    fn inspected(&self) -> Observation {
        Observation::Inspected(Box::new(Inspection {
            server_seen: self.server,
            server: Server {
                version: "16".to_owned(),
                database: "d".to_owned(),
                user: "u".to_owned(),
            },
            ledger_exists: self.ledger_exists,
            limits: self.limits,
            installation: self.installed.then_some(Installation {
                database_id: Uuid::nil(),
                audit_entries: 1,
                is_outdated: false,
            }),
            claim: self.claim.clone(),
            history: self.history.clone(),
            missing_grants: self.missing_grants.clone(),
            privileges: Vec::new(),
        }))
    }

    fn applied(&self) -> Vec<String> {
        self.history
            .iter()
            .map(|row| row.version.to_string())
            .collect()
    }
}

fn label(request: &Request) -> String {
    match request {
        Request::Inspect => "inspect".to_owned(),
        Request::TryLock => "lock".to_owned(),
        Request::Prepare(_) => "prepare".to_owned(),
        Request::Decide(_) => "decide".to_owned(),
        Request::LoadDown(version) => format!("load {version}"),
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
    let files = names
        .iter()
        .flat_map(|name| {
            [("UP", "CREATE TABLE"), ("DOWN", "DROP TABLE")].map(|(way, verb)| SourceFile {
                name: format!("{name}_t_{way}.sql"),
                bytes: format!("{verb} t{name};").into_bytes(),
            })
        })
        .collect();
    Catalog::from_files(files, "schema_migrations", &|_| false).expect("a sound set")
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
        },
        allow_privileged_role: false,
        known: None,
        review: None,
        checks: Vec::new(),
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

#[test]
fn a_fresh_database_is_prepared_once_and_migrated_under_the_lock() {
    let mut database = Simulated::default();
    let outcome = run(task(&["1", "2"]), &mut database);
    assert!(matches!(outcome.end(), End::Reached));
    assert_eq!(
        database.asked,
        [
            "inspect", "lock", "inspect", "prepare", "apply 1", "apply 2"
        ]
    );
    assert_eq!(outcome.message(), "at version 2");
}

#[test]
fn nothing_to_do_takes_no_lock_and_writes_nothing() {
    let mut database = Simulated::default();
    run(task(&["1"]), &mut database);
    database.asked.clear();
    let outcome = run(task(&["1"]), &mut database);
    assert!(matches!(outcome.end(), End::Reached));
    assert_eq!(database.asked, ["inspect"]);
}

#[test]
fn a_plan_only_looks() {
    let mut database = Simulated::default();
    let mut wanted = task(&["1", "2"]);
    wanted.mode = Mode::Plan;
    let outcome = run(wanted, &mut database);
    assert!(matches!(outcome.end(), End::Planned));
    assert_eq!(outcome.plan().map(|plan| plan.steps.len()), Some(2));
    assert_eq!(database.asked, ["inspect"]);
}

#[test]
fn initializing_creates_and_applies_nothing() {
    let mut database = Simulated::default();
    let mut wanted = task(&["1"]);
    wanted.mode = Mode::Initialize;
    let outcome = run(wanted, &mut database);
    assert!(matches!(outcome.end(), End::Reached));
    assert_eq!(database.asked, ["inspect", "lock", "inspect", "prepare"]);
    assert!(database.applied().is_empty());
}

#[test]
fn a_way_back_runs_the_stored_text_when_the_file_is_gone() {
    let mut database = Simulated::default();
    run(task(&["1", "2", "3"]), &mut database);
    database.asked.clear();
    let outcome = run(task(&["1"]), &mut database);
    assert!(
        matches!(outcome.end(), End::Reached),
        "{}",
        outcome.message()
    );
    assert_eq!(
        database.asked,
        [
            "inspect", "lock", "inspect", "load 3", "undo 3", "load 2", "undo 2"
        ]
    );
    assert_eq!(database.applied(), ["1"]);
}

#[test]
fn a_stored_text_that_changed_is_not_run() {
    let mut database = Simulated::default();
    run(task(&["1", "2"]), &mut database);
    for (_, text) in &mut database.down_texts {
        *text = b"DROP DATABASE d".to_vec();
    }
    let outcome = run(task(&["1"]), &mut database);
    assert!(
        matches!(outcome.stop(), Some(Stop::Database(error)) if error.kind == DatabaseErrorKind::HistoryUnreadable),
        "{}",
        outcome.message()
    );
    assert_eq!(database.applied(), ["1", "2"]);
}

#[test]
fn the_lock_is_waited_for_and_then_given_up_with_its_holder() {
    let mut database = Simulated {
        lock_refusals: 2,
        ..Simulated::default()
    };
    assert!(matches!(
        run(task(&["1"]), &mut database).end(),
        End::Reached
    ));

    let mut database = Simulated {
        lock_refusals: 100,
        ..Simulated::default()
    };
    let outcome = run(task(&["1"]), &mut database);
    let Some(Stop::LockHeld(held)) = outcome.stop() else {
        panic!("{}", outcome.message());
    };
    assert_eq!(held.waited_seconds, 3);
    assert_eq!(held.holder.as_ref().map(|holder| holder.pid), Some(7));
    assert!(!database.asked.iter().any(|asked| asked == "prepare"));
}

#[test]
fn only_a_session_of_the_same_resource_is_an_earlier_run() {
    let resource = || {
        Actor::Resource(Owner {
            cluster: "c".to_owned(),
            namespace: "n".to_owned(),
            name: "shop".to_owned(),
            uid: "u".to_owned(),
        })
    };
    for (actor, is_same_identity, is_earlier) in [
        (resource(), true, true),
        (resource(), false, false),
        (Actor::CommandLine, true, false),
        (Actor::CommandLine, false, false),
    ] {
        let mut database = Simulated {
            lock_refusals: 100,
            is_same_identity,
            ..Simulated::default()
        };
        let task = Task {
            actor: actor.clone(),
            ..task(&["1"])
        };
        let outcome = run(task, &mut database);
        let seen = matches!(outcome.stop(), Some(Stop::PreviousRunStillActive(_)));
        assert_eq!(seen, is_earlier, "{actor:?}: {}", outcome.message());
    }
}

#[test]
fn a_version_without_its_locks_is_tried_again_so_often_and_no_more() {
    let refusals = |count| Simulated {
        script_answers: std::iter::repeat_n(Observation::LockNotAvailable(Vec::new()), count)
            .collect(),
        ..Simulated::default()
    };
    let mut twice = refusals(2);
    assert!(matches!(run(task(&["1"]), &mut twice).end(), End::Reached));
    let mut thrice = refusals(3);
    let outcome = run(task(&["1"]), &mut thrice);
    assert!(matches!(outcome.stop(), Some(Stop::LockTimeout(timeout)) if timeout.attempts == 3));
    assert!(thrice.applied().is_empty());
}

#[test]
fn a_failed_script_ends_the_run_and_keeps_what_came_before() {
    let mut database = Simulated::default();
    run(task(&["1"]), &mut database);
    database.script_answers = [Observation::Failed(ScriptFailure {
        kind: ScriptFailureKind::Failed,
        version: version("2"),
        name: "t".to_owned(),
        direction: Direction::Up,
        statement: Some(1),
        position: None,
        sqlstate: Some("42P01".to_owned()),
        message: "no".to_owned(),
        outside_transaction: false,
        by_hand: None,
    })]
    .into();
    let outcome = run(task(&["1", "2", "3"]), &mut database);
    assert_eq!(
        outcome.message(),
        "2 t failed: no (42P01). Nothing of 2 was applied; the database is at 1. Correct 2 and commit."
    );
    assert_eq!(database.applied(), ["1"]);
}

#[test]
fn an_error_at_any_request_ends_the_run_there() {
    for at in 0..6 {
        let mut database = Simulated {
            fail_at: Some(at),
            ..Simulated::default()
        };
        let outcome = run(task(&["1", "2"]), &mut database);
        assert!(
            matches!(outcome.stop(), Some(Stop::Database(_))),
            "{at}: {}",
            outcome.message()
        );
        assert_eq!(database.asked.len(), at + 1);
        // What shares the flush of a version that was lost is named, and not told of as done.
        let known = outcome.done().len() + outcome.unflushed.len();
        assert_eq!(known, database.applied().len());
    }
}

#[test]
fn a_caller_can_end_the_run_between_versions() {
    let mut database = Simulated::default();
    let outcome = run_limited(task(&["1", "2", "3"]), &mut database, 2);
    assert!(matches!(outcome.end(), End::Interrupted));
    assert_eq!(database.applied(), ["1", "2"]);
    assert_eq!(outcome.done().len(), 2);
}

#[test]
fn one_ledger_has_one_owner() {
    let mut database = Simulated::default();
    let owned = |name: &str, uid: &str| Task {
        actor: Actor::Resource(owner(name, uid)),
        ..task(&["1"])
    };
    run(owned("a", "1"), &mut database);
    assert_eq!(database.claim, Some(owner("a", "1")));
    let other = run(owned("b", "2"), &mut database);
    assert!(matches!(other.stop(), Some(Stop::Claimed(claim)) if claim.owner.name == "a"));
    // The same name made anew takes its claim along.
    run(owned("a", "9"), &mut database);
    assert_eq!(database.claim, Some(owner("a", "9")));
    let passing = run(task(&["1", "2"]), &mut database);
    assert_eq!(passing.passed_claim(), Some(&owner("a", "9")));
    assert_eq!(database.claim, Some(owner("a", "9")));
}

#[test]
fn what_cannot_be_recorded_or_written_is_refused_before_the_lock() {
    let mut narrow = Simulated {
        ledger_exists: true,
        limits: LedgerLimits {
            checksum: Some(32),
            ..LedgerLimits::default()
        },
        ..Simulated::default()
    };
    let outcome = run(task(&["1"]), &mut narrow);
    assert!(matches!(outcome.stop(), Some(Stop::DoesNotFit(value)) if value.column == "checksum"));
    assert_eq!(narrow.asked, ["inspect"]);

    let mut unprivileged = Simulated {
        missing_grants: vec!["GRANT CREATE ON SCHEMA public TO u;".to_owned()],
        ..Simulated::default()
    };
    let outcome = run(task(&["1"]), &mut unprivileged);
    assert!(
        outcome
            .message()
            .contains("GRANT CREATE ON SCHEMA public TO u;")
    );
    assert_eq!(unprivileged.asked, ["inspect"]);
}

#[test]
fn a_script_that_cannot_be_parsed_is_never_sent() {
    let mut database = Simulated::default();
    let mut wanted = task(&["1"]);
    // Known to the caller from an earlier judgement, so not parsed when the set was made.
    let files = vec![SourceFile {
        name: "1_t_UP.sql".to_owned(),
        bytes: b"CREATE TABLE a (); COMMIT; CREATE TABLE b ();".to_vec(),
    }];
    wanted.catalog = Catalog::from_files(files, "schema_migrations", &|_| true).expect("known");
    let outcome = run(wanted, &mut database);
    assert!(
        matches!(outcome.stop(), Some(Stop::Unusable { .. })),
        "{}",
        outcome.message()
    );
    assert!(database.applied().is_empty());
    assert!(Script::parse(b"COMMIT", "schema_migrations").is_err());
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

#[test]
fn a_run_that_is_lost_anywhere_in_a_version_in_parts_goes_on_or_stops_in_doubt() {
    let mut asked = Simulated::default();
    run(mixed("SELECT 1"), &mut asked);
    assert_eq!(
        asked.asked[4..],
        [
            "run 1-1",
            "start 2",
            "execute 2",
            "look 2",
            "finish 2",
            "record 1"
        ]
    );
    for at in 4..asked.asked.len() {
        let mut database = Simulated {
            fail_at: Some(at),
            ..Simulated::default()
        };
        let lost = run(mixed("SELECT 1"), &mut database);
        assert!(matches!(lost.stop(), Some(Stop::Database(_))), "{at}");
        assert!(database.applied().is_empty());
        database.asked.clear();
        database.fail_at = None;
        let outcome = run(mixed("SELECT 1"), &mut database);
        // Once it was started nobody can say whether this statement is done.
        let in_doubt = (6..=8).contains(&at);
        assert_eq!(
            matches!(outcome.stop(), Some(Stop::InDoubt(_))),
            in_doubt,
            "{at}: {}",
            outcome.message()
        );
        let sent = database
            .asked
            .iter()
            .filter(|asked| asked.starts_with("execute"));
        let sent_again = sent.count();
        assert_eq!(
            sent_again,
            usize::from(at < 6),
            "{at}: {:?}",
            database.asked
        );
        assert_eq!(database.applied().is_empty(), in_doubt, "{at}");
    }
}

#[test]
fn what_was_begun_stays_the_beginning_of_its_file() {
    let mut database = Simulated {
        fail_at: Some(9),
        ..Simulated::default()
    };
    run(mixed("SELECT 1"), &mut database);
    database.fail_at = None;
    database.asked.clear();
    let mut changed = mixed("SELECT 2");
    let files = vec![SourceFile {
        name: "1_t_UP.sql".to_owned(),
        bytes: b"CREATE TABLE u (); ALTER SUBSCRIPTION s ADD PUBLICATION p; SELECT 1".to_vec(),
    }];
    changed.catalog = Catalog::from_files(files, "schema_migrations", &|_| false).expect("a set");
    let refused = run(changed, &mut database);
    assert!(
        refused
            .message()
            .contains("no longer what was begun, from statement 1 on"),
        "{}",
        refused.message()
    );
    assert_eq!(database.asked, ["inspect"]);
    // What is behind it may be corrected.
    let outcome = run(mixed("SELECT 2"), &mut database);
    assert!(
        matches!(outcome.end(), End::Reached),
        "{}",
        outcome.message()
    );
    assert_eq!(
        database.asked[1..],
        ["inspect", "lock", "inspect", "record 1"]
    );
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

#[test]
fn an_escape_is_kept_before_the_run_ends() {
    let answer = failure(ScriptFailureKind::TransactionEscaped, "1");
    let mut database = Simulated {
        script_answers: [answer].into(),
        ..Simulated::default()
    };
    let outcome = run(task(&["1"]), &mut database);
    assert!(matches!(outcome.stop(), Some(Stop::Script(_))));
    assert!(
        outcome
            .message()
            .contains("(annotation schemaward.dev/resolve=1:")
    );
    assert_eq!(
        database.asked.last().map(String::as_str),
        Some("escape 1-1")
    );
    // Whoever comes next stops too, and sends nothing.
    let next = run(task(&["1"]), &mut database);
    assert!(
        next.message()
            .contains("1 ended the transaction that it ran in")
    );
    assert_eq!(database.asked.last().map(String::as_str), Some("inspect"));
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

#[test]
fn a_plan_waits_for_its_approval_without_the_lock_and_runs_with_it() {
    use RequiredApproval::Always;
    let mut database = Simulated::default();
    let outcome = run(reviewed_task(&["1", "2"], Always, None), &mut database);
    assert_eq!(database.asked, ["inspect"]);
    let hash = awaited(&outcome);
    assert_eq!(
        outcome.message(),
        format!(
            "Plan {}, to apply 1 to 2, 2 versions, 2 statements, waits for an approval, because \
             spec.approval.required is Always. Nothing was changed; the database has no version yet. \
             status.plan shows what would run. To approve exactly this: `kubectl -n n annotate --overwrite \
             databaseschema shop schemaward.dev/approve={hash}`.",
            hash.short()
        )
    );
    let plan = outcome.reviewed().expect("it was looked through");
    let words: Vec<_> = plan
        .scripts
        .iter()
        .flat_map(|script| &script.statements)
        .map(|statement| statement.words.as_str())
        .collect();
    assert_eq!(words, ["CREATE TABLE t1", "CREATE TABLE t2"]);

    // Another plan than the approved one waits again, and says so.
    let outcome = run(
        reviewed_task(&["1", "2", "3"], Always, Some(hash)),
        &mut database,
    );
    assert_ne!(awaited(&outcome), hash);
    let void = format!(
        "The plan changed since {} was approved, so that approval is void.",
        hash.short()
    );
    assert!(outcome.message().contains(&void), "{}", outcome.message());
    assert_eq!(database.applied(), [""; 0]);

    let approved = || reviewed_task(&["1", "2"], Always, Some(hash));
    assert_eq!(outcome.what_ran(), None);
    // Stopped half way, what is left of the plan is still approved.
    let outcome = run_limited(approved(), &mut database, 1);
    assert!(matches!(outcome.end(), End::Interrupted));
    let outcome = run(approved(), &mut database);
    assert!(matches!(outcome.end(), End::Reached));
    assert_eq!(database.applied(), ["1", "2"]);
    let expected = format!(
        "Applied: 2 t in 1 ms. Plan {} was approved by annotation, set by field manager kubectl-annotate.",
        hash.short()
    );
    assert_eq!(outcome.what_ran(), Some(expected));
}

/// An approval is used once all of its plan ran, also when a check fails then; and should nobody remember that, the
/// same versions once more are another plan.
#[test]
fn an_approval_is_for_one_run_whatever_comes_after_it() {
    use RequiredApproval::{Always, Never};
    let mut database = Simulated::default();
    let hash = awaited(&run(
        reviewed_task(&["1", "2"], Always, None),
        &mut database,
    ));
    let approved = || Task {
        checks: checking::checks(&[("last", "After", None)]),
        ..reviewed_task(&["1", "2"], Always, Some(hash))
    };
    let outcome = run_limited(approved(), &mut database, 1);
    assert!(!outcome.used_its_approval(), "a part is left");
    let wrong = CheckAnswer::Value(Some("false".to_owned()));
    database.check_answers.push_back(wrong);
    let outcome = run(approved(), &mut database);
    assert!(matches!(outcome.stop(), Some(Stop::ChecksFailed(_))));
    assert_eq!(database.applied(), ["1", "2"]);
    assert!(outcome.used_its_approval());

    let outcome = run(reviewed_task(&["1"], Never, None), &mut database);
    assert!(!outcome.used_its_approval(), "nobody approved it");
    assert_eq!(database.applied(), ["1"]);
    let outcome = run(approved(), &mut database);
    assert_ne!(awaited(&outcome), hash);
    assert!(!outcome.used_its_approval());
    assert_eq!(database.applied(), ["1"]);
}

#[test]
fn only_a_way_back_waits_where_only_that_is_asked_for() {
    use RequiredApproval::Down;
    let mut database = Simulated::default();
    let outcome = run(reviewed_task(&["1", "2"], Down, None), &mut database);
    assert!(matches!(outcome.end(), End::Reached));
    database.asked.clear();
    database.estimates = vec![FoundLoss {
        place: 0,
        schema: "public".to_owned(),
        table: "t2".to_owned(),
        rows: Rows::About(7),
    }];
    let outcome = run(reviewed_task(&["1"], Down, None), &mut database);
    assert_eq!(database.asked, ["inspect", "load 2", "estimate 1"]);
    let hash = awaited(&outcome);
    let loses = "Going back would lose table public.t2 (about 7 rows).";
    assert!(outcome.message().contains(loses), "{}", outcome.message());
    let undone = &outcome.reviewed().expect("a plan").scripts[0];
    assert_eq!(undone.statements[0].words, "DROP TABLE t2");
    database.asked.clear();
    run(reviewed_task(&["1"], Down, Some(hash)), &mut database);
    // The text is read once, for the look and for the run, and what it loses is asked for once.
    assert_eq!(
        database.asked,
        [
            "inspect",
            "load 2",
            "estimate 1",
            "lock",
            "inspect",
            "undo 2"
        ]
    );
}

#[test]
fn an_estimate_that_fails_is_not_known_and_stops_no_way_back() {
    use RequiredApproval::Never;
    let gone = DatabaseError::new(DatabaseErrorKind::ConnectionLost, "gone");
    let timed_out = DatabaseError {
        sqlstate: Some("57014".to_owned()),
        ..gone.clone()
    };
    for (error, stops) in [(timed_out, false), (gone, true)] {
        let mut database = Simulated::default();
        run(task(&["1", "2"]), &mut database);
        database.estimate_error = Some(error);
        let outcome = run(reviewed_task(&["1"], Never, None), &mut database);
        assert_eq!(outcome.stop().is_some(), stops, "{}", outcome.message());
        if !stops {
            assert_eq!(database.applied(), ["1"]);
            let losses = &outcome.reviewed().expect("a plan").losses;
            assert_eq!(losses[0].rows, Rows::Unknown);
        }
    }
}

#[test]
fn a_way_back_that_is_denied_says_what_it_would_lose() {
    let mut database = Simulated::default();
    run(task(&["1", "2"]), &mut database);
    database.asked.clear();
    database.estimates = vec![FoundLoss {
        place: 0,
        schema: "public".to_owned(),
        table: "t2".to_owned(),
        rows: Rows::NeverAnalyzed,
    }];
    let denied = || Task {
        policy: Policy::default(),
        ..reviewed_task(&["1"], RequiredApproval::Never, None)
    };
    let outcome = run(denied(), &mut database);
    assert!(matches!(outcome.stop(), Some(Stop::Blocked(_))));
    assert!(outcome.reviewed().is_none(), "nothing would run");
    let loses = "Going back would lose table public.t2 (number of rows unknown: never analyzed).";
    assert!(outcome.message().ends_with(loses), "{}", outcome.message());
    assert_eq!(database.asked, ["inspect", "load 2", "estimate 1"]);
    // A stored text that is not the recorded one is no other reason than that.
    for (_, text) in &mut database.down_texts {
        text.push(b' ');
    }
    let outcome = run(denied(), &mut database);
    assert!(matches!(outcome.stop(), Some(Stop::Blocked(_))));
    assert!(!outcome.message().contains("lose"), "{}", outcome.message());
}

/// Between the first look and the lock somebody else changed the history: what was approved is not what would
/// run.
#[test]
fn an_approval_is_compared_again_under_the_lock() {
    use RequiredApproval::Always;
    let mut database = Simulated::default();
    run(task(&["1"]), &mut database);
    let hash = awaited(&run(
        reviewed_task(&["1", "2"], Always, None),
        &mut database,
    ));
    let mut machine = Machine::new(reviewed_task(&["1", "2"], Always, Some(hash)));
    let mut event = Event::Begin;
    let outcome = loop {
        event = match machine.step(event) {
            Next::Ask(request) => {
                if matches!(*request, Request::TryLock) {
                    database.history.remove(&version("1"));
                }
                Event::Observed(Box::new(database.answer(&request).expect("no faults")))
            }
            Next::MayRun => Event::Continue,
            Next::Judge(scripts) => judged(scripts),
            Next::Checkpoint(_) => panic!("a version is about to start"),
            Next::Pause(_) => panic!("a pause"),
            Next::Done(outcome) => break outcome,
        };
    };
    assert_ne!(awaited(&outcome), hash);
    assert!(outcome.message().contains("void"), "{}", outcome.message());
    assert_eq!(database.applied(), [""; 0]);
}

/// When checks are asked, and what follows from their answers.
mod held {
    mod tests;
}

mod checking {
    use super::*;
    use crate::api::v1alpha1::CheckSpec;
    use crate::engine::check::{self, Check};

    /// Checks from lines of `name when version`.
    pub(super) fn checks(lines: &[(&str, &str, Option<&str>)]) -> Vec<Check> {
        let specs: Vec<CheckSpec> = lines
            .iter()
            .map(|(name, when, from_version)| {
                serde_json::from_value(serde_json::json!({
                    "name": name,
                    "sql": "SELECT true",
                    "when": when,
                    "fromVersion": from_version,
                }))
                .expect("a check")
            })
            .collect();
        check::read(&specs).expect("checks")
    }

    fn checked(names: &[&str], lines: &[(&str, &str, Option<&str>)]) -> Task {
        Task {
            checks: checks(lines),
            ..task(names)
        }
    }

    const ALL: [(&str, &str, Option<&str>); 4] = [
        ("first", "Before", None),
        ("both", "Both", Some("1")),
        ("last", "After", Some("2")),
        ("far", "After", Some("3")),
    ];

    fn wrong() -> CheckAnswer {
        CheckAnswer::Value(Some("false".to_owned()))
    }

    #[test]
    fn they_are_asked_in_the_lock_before_the_first_version_and_after_the_last_one() {
        let mut database = Simulated::default();
        let outcome = run(checked(&["1", "2"], &ALL), &mut database);
        assert_eq!(
            database.asked,
            [
                "inspect",
                "lock",
                "inspect",
                "check first",
                "prepare",
                "apply 1",
                "apply 2",
                "check both",
                "check last"
            ]
        );
        assert_eq!(outcome.message(), "at version 2, 2 checks passed");
    }

    #[test]
    fn at_rest_they_are_asked_without_the_lock() {
        let mut database = Simulated::default();
        run(task(&["1", "2"]), &mut database);
        database.asked.clear();
        let outcome = run(checked(&["1", "2"], &ALL), &mut database);
        assert_eq!(database.asked, ["inspect", "check both", "check last"]);
        assert!(matches!(outcome.end(), End::Reached));

        database.check_answers.push_back(wrong());
        let outcome = run(checked(&["1", "2"], &ALL), &mut database);
        assert_eq!(
            outcome.message(),
            "1 of 2 checks failed. both: the answer is not the expected one (showValue: true would show it). \
             Nothing was run; the database is at 2. Mend what is checked, or correct the check. Nothing is \
             undone by itself."
        );
    }

    #[test]
    fn one_that_fails_before_keeps_everything_as_it_is() {
        let mut database = Simulated::default();
        database.check_answers.extend([
            CheckAnswer::Failed {
                sqlstate: "42P01".to_owned(),
                message: "relation \"t\" does not exist".to_owned(),
            },
            CheckAnswer::TimedOut,
        ]);
        let lines = [
            ("a", "Before", None),
            ("b", "Both", None),
            ("c", "Before", None),
        ];
        let outcome = run(checked(&["1"], &lines), &mut database);
        assert_eq!(
            database.asked,
            [
                "inspect", "lock", "inspect", "check a", "check b", "check c"
            ]
        );
        assert_eq!(
            outcome.message(),
            "2 of 3 checks failed. a: the server cannot answer: relation \"t\" does not exist (42P01); b: no \
             answer within 30 s. Asked before the first version, so nothing was changed; the database has no \
             version yet. Mend what is checked, or correct the check, and let it run again."
        );
    }

    #[test]
    fn one_that_fails_after_says_what_was_applied() {
        for (names, said) in [
            (
                &["1"][..],
                "1 t was applied and is recorded; the database is at 1.",
            ),
            (
                &["1", "2"],
                "1 to 2 were applied and are recorded; the database is at 2.",
            ),
        ] {
            let mut database = Simulated::default();
            database.check_answers.push_back(wrong());
            let mut task = checked(names, &[("a", "After", None)]);
            task.checks[0].show_value = true;
            let outcome = run(task, &mut database);
            let message = outcome.message();
            assert!(
                message.starts_with(
                    "The check failed. a: the answer is \"false\", and \"true\" is expected. "
                ),
                "{message}"
            );
            assert!(message.contains(said), "{message}");
            assert_eq!(outcome.done().len(), names.len());
        }
    }

    #[test]
    fn a_way_back_is_not_held_up_by_what_may_be_the_reason_for_it() {
        let mut database = Simulated::default();
        run(task(&["1", "2"]), &mut database);
        database.asked.clear();
        let mut back = checked(
            &["1", "2"],
            &[("both", "Both", None), ("two", "Both", Some("2"))],
        );
        back.target = Target::Version(version("1"));
        run(back, &mut database);
        assert_eq!(
            database.asked,
            [
                "inspect",
                "lock",
                "inspect",
                "load 2",
                "undo 2",
                "check both"
            ]
        );
    }

    #[test]
    fn a_version_of_which_a_part_is_done_goes_on_without_those_before() {
        let mut database = Simulated::default();
        run(task(&["1"]), &mut database);
        let task = checked(&["1", "2"], &[("before", "Before", None)]);
        let up = &task.catalog.get(&version("2")).expect("it is there").up;
        let script = Script::parse(&up.bytes, "schema_migrations").expect("a script");
        let part = script.part(0..1).expect("a part");
        database.history.set_begun(Some(Begun {
            version: version("2"),
            direction: Direction::Up,
            entries: vec![Entry {
                first: part.first,
                last: part.last,
                checksum: part.checksum,
                state: EntryState::Done,
                before: None,
            }],
        }));
        database.asked.clear();
        let outcome = run(task, &mut database);
        assert!(
            matches!(outcome.end(), End::Reached),
            "{}",
            outcome.message()
        );
        assert!(!database.asked.contains(&"check before".to_owned()));
    }

    #[test]
    fn nothing_else_asks_them() {
        for mode in [Mode::Plan, Mode::Initialize] {
            let mut database = Simulated::default();
            let lines = [("a", "Both", None)];
            let task = Task {
                mode,
                ..checked(&["1"], &lines)
            };
            run(task, &mut database);
            assert!(!database.asked.contains(&"check a".to_owned()));
        }
    }

    #[test]
    fn a_run_can_end_before_each_of_them() {
        for versions in 0..3 {
            let mut database = Simulated::default();
            let lines = [
                ("a", "Before", None),
                ("b", "Before", None),
                ("c", "After", None),
            ];
            let outcome = run_limited(checked(&["1"], &lines), &mut database, versions);
            assert!(matches!(outcome.end(), End::Interrupted), "{versions}");
            let asked = database
                .asked
                .iter()
                .filter(|asked| asked.starts_with("check"));
            assert_eq!(asked.count(), versions.min(2));
        }
    }

    #[test]
    fn trouble_with_the_database_is_no_answer() {
        let mut database = Simulated {
            fail_at: Some(1),
            ..Simulated::default()
        };
        run(task(&["1"]), &mut Simulated::default());
        database.ledger_exists = true;
        database.installed = true;
        let mut task = checked(&["1"], &[("a", "After", None)]);
        task.target = Target::DownTo(None);
        let outcome = run(task, &mut database);
        let Some(Stop::Database(error)) = outcome.stop() else {
            panic!("{}", outcome.message());
        };
        assert_eq!(error.kind, DatabaseErrorKind::ConnectionLost);
    }
}

fn server(timeline: i64) -> ServerIdentity {
    ServerIdentity {
        system_identifier: 7,
        timeline,
    }
}

/// A run that reads a way back before it goes.
fn looked_through(names: &[&str]) -> Task {
    Task {
        review: reviewed_task(names, RequiredApproval::Never, None).review,
        ..task(names)
    }
}

/// Without the lock, what a look showed may be gone when its text is read.
#[test]
fn a_version_that_is_undone_while_its_text_is_read_is_looked_for_again() {
    let mut database = Simulated::default();
    run(task(&["1", "2", "3"]), &mut database);
    database.undone_meanwhile = Some(version("3"));
    database.asked.clear();
    let outcome = run(looked_through(&["1"]), &mut database);
    assert!(
        matches!(outcome.end(), End::Reached),
        "{}",
        outcome.message()
    );
    assert_eq!(
        database.asked,
        [
            "inspect",
            "load 3",
            "inspect",
            "load 2",
            "estimate 1",
            "lock",
            "inspect",
            "undo 2"
        ]
    );
}

#[test]
fn a_text_that_is_recorded_and_not_there_ends_the_run() {
    let mut database = Simulated::default();
    run(task(&["1", "2"]), &mut database);
    database.lost_text = Some(version("2"));
    let outcome = run(looked_through(&["1"]), &mut database);
    assert!(
        outcome.message().starts_with(
            "The stored DOWN text of 2 is recorded and not there. Nothing of 2 was undone."
        ),
        "{}",
        outcome.message()
    );
}

#[test]
fn which_server_it_is_is_noted_once_and_a_change_is_told() {
    let mut database = Simulated::default();
    database.server.now = Some(server(1));
    let outcome = run(task(&["001"]), &mut database);
    assert_eq!(outcome.server_change(), None, "{}", outcome.message());
    assert_eq!(database.server.audited, Some(server(1)));
    database.asked.clear();
    run(task(&["001"]), &mut database);
    assert_eq!(database.asked, ["inspect"]);
    // A failover, and nothing else to do.
    database.server.now = Some(server(2));
    database.asked.clear();
    let outcome = run(task(&["001"]), &mut database);
    assert!(matches!(outcome.end(), End::Reached));
    assert_eq!(database.asked, ["inspect", "lock", "inspect", "prepare"]);
    let change = outcome.server_change().expect("it is told");
    assert_eq!((change.before, change.now), (server(1), server(2)));
    database.asked.clear();
    let outcome = run(task(&["001"]), &mut database);
    assert_eq!(outcome.server_change(), None, "told once");
    assert_eq!(database.asked, ["inspect"]);
}

#[test]
fn to_note_the_server_stops_nobody() {
    let mut settled = Simulated::default();
    run(task(&["001"]), &mut settled);
    settled.server.now = Some(server(1));
    settled.asked.clear();
    // The lock is somebody else's: the next run notes it.
    settled.lock_refusals = 1;
    let outcome = run(task(&["001"]), &mut settled);
    assert!(matches!(outcome.end(), End::Reached), "{outcome:?}");
    assert_eq!(settled.asked, ["inspect", "lock"]);
    // Whoever may not write is not asked to.
    settled.missing_grants = vec!["GRANT".to_owned()];
    settled.asked.clear();
    let outcome = run(task(&["001"]), &mut settled);
    assert!(matches!(outcome.end(), End::Reached), "{outcome:?}");
    assert_eq!(settled.asked, ["inspect"]);
}

#[test]
fn who_waits_for_no_lock_is_told_at_once() {
    let mut database = Simulated {
        lock_refusals: 2,
        ..Simulated::default()
    };
    let mut hasty = task(&["001"]);
    hasty.patience.lock_wait = Duration::ZERO;
    let outcome = run(hasty, &mut database);
    assert!(matches!(outcome.stop(), Some(Stop::LockHeld(held)) if held.waited_seconds == 0));
    assert_eq!(database.asked, ["inspect", "lock"]);
}

/// A set of one version with this UP, and a DOWN that drops a table.
fn single(up: &str) -> Catalog {
    let files = [("UP", up), ("DOWN", "DROP TABLE t;")].map(|(way, text)| SourceFile {
        name: format!("1_t_{way}.sql"),
        bytes: text.as_bytes().to_vec(),
    });
    Catalog::from_files(files.into(), "schema_migrations", &|_| false).expect("a sound set")
}

fn with_policy(up: &str, required: RequiredApproval, entries: &[(&str, Action)]) -> Task {
    let mut task = reviewed_task(&[], required, None);
    task.catalog = single(up);
    let review = task.review.as_mut().expect("a review");
    review.policy = StatementPolicy::new(entries.iter().copied()).expect("known names");
    task
}

#[test]
fn what_loses_data_waits_for_an_approval_unless_nobody_wants_one() {
    use RequiredApproval::{Destructive, Down, Never};
    for (up, required, waits) in [
        ("DROP TABLE old;", Destructive, true),
        ("DROP TABLE old;", Down, true),
        ("DROP TABLE old;", Never, false),
        ("ALTER TABLE t DROP COLUMN a;", Destructive, true),
        ("CREATE TABLE t (a int);", Destructive, false),
        ("CREATE TABLE t (a int);", Down, false),
        // In a comment or a text it is nothing.
        (
            "COMMENT ON TABLE t IS 'DROP TABLE t'; -- DROP TABLE t",
            Destructive,
            false,
        ),
    ] {
        let outcome = run(with_policy(up, required, &[]), &mut Simulated::default());
        let held = matches!(outcome.stop(), Some(Stop::Held(_)));
        assert_eq!(held, waits, "{up} {required:?}: {}", outcome.message());
    }
    let outcome = run(
        with_policy("DROP TABLE old;", Destructive, &[]),
        &mut Simulated::default(),
    );
    let said = outcome.message();
    assert!(
        said.contains("to apply 1 t, 1 statement, 1 destructive, waits for an approval, because spec.approval.required is Destructive and it loses data."),
        "{said}"
    );
}

#[test]
fn a_policy_forbids_asks_or_lets_go() {
    use Action::{Deny, Ignore, RequireApproval, Warn};
    use RequiredApproval::Never;
    let up = "ALTER TABLE t DROP COLUMN a;";
    let outcome = |entries: &[(&str, Action)]| {
        run(with_policy(up, Never, entries), &mut Simulated::default())
    };
    let denied = outcome(&[("ban-drop-column", Deny)]);
    assert_eq!(
        denied.message(),
        "The policy forbids the plan to apply 1 t, 1 statement, 1 destructive: 1 line 1: ban-drop-column. \
         Nothing was changed; the database has no version yet. Write it another way and commit, waive the \
         rule in the file with a reason, or change spec.policy."
    );
    let asked = outcome(&[("destructive", RequireApproval)]);
    awaited(&asked);
    assert!(
        asked
            .message()
            .contains("because spec.policy asks for one for destructive."),
        "{}",
        asked.message()
    );
    for entries in [
        vec![],
        vec![("ban-drop-column", Warn), ("destructive", Ignore)],
    ] {
        let outcome = outcome(&entries);
        assert!(matches!(outcome.end(), End::Reached), "{entries:?}");
    }
    let concerns = |entries: &[(&str, Action)]| -> Vec<(&'static str, Action)> {
        let outcome = outcome(entries);
        let plan = outcome.reviewed().expect("a plan");
        plan.concerns()
            .map(|(.., concern)| (concern.name, concern.action))
            .collect()
    };
    assert_eq!(
        concerns(&[("ban-drop-column", Deny)]),
        [("destructive", Warn), ("ban-drop-column", Deny)]
    );
}
