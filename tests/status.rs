//! What the operator shows and remembers, from attempt to attempt: `controller::{verdict, memory,
//! status, lint}` together, on outcomes of the real engine.

#![allow(
    clippy::expect_used,
    reason = "helpers of tests are tests, too, although they do not bear #[test]"
)]

mod played;

use std::time::Duration;

use jiff::Timestamp;

use schemaward::api::condition::{Condition, ConditionStatus, Reason};
use schemaward::api::v1alpha1::{DatabaseSchemaSpec, DatabaseSchemaStatus};
use schemaward::engine::error::{DatabaseError, DatabaseErrorKind, ScriptFailureKind};
use schemaward::engine::sessions::{Activity, Blocker, IndexBuild, LockOwner};
use schemaward::engine::task::Mode;
use schemaward::migration::file_name::Direction;
use schemaward::migration::plan::Plan;
use schemaward::migration::target::Rollback;
use serde_json::json;

use played::{Answer, Scene, at, attempts, spec, version};
use schemaward::controller::attempt::{
    Attempt, DereferenceError, DereferenceErrorKind, Running, Waiting,
};
use schemaward::controller::lint::lint;
use schemaward::controller::memory::Memory;
use schemaward::controller::policy::{State, state};
use schemaward::controller::status::{Happened, Subject, is_news, status};
use schemaward::controller::verdict::verdict;

/// A resource and its operator: what the controller keeps between attempts.
struct Resource {
    spec: DatabaseSchemaSpec,
    generation: i64,
    reconcile: Option<String>,
    status: DatabaseSchemaStatus,
    memory: Memory,
}

impl Resource {
    fn new() -> Self {
        Self {
            spec: spec(&["041", "042", "043", "044"]),
            generation: 3,
            reconcile: None,
            status: DatabaseSchemaStatus {
                observed_generation: Some(-1),
                ..DatabaseSchemaStatus::default()
            },
            memory: Memory::default(),
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            generation: self.generation,
            spec: &self.spec,
            reconcile: self.reconcile.as_deref(),
            catalog: None,
        }
    }

    fn mode(&self) -> Mode {
        self.memory.mode(self.generation, self.reconcile.as_deref())
    }

    fn report(&mut self, mode: &Mode, attempt: &Attempt, now: Timestamp) {
        let subject = self.subject();
        let memory = self.memory.after(&subject, mode, attempt, now);
        let happened = Happened::Attempted {
            attempt,
            memory: &memory,
            next: memory.next_attempt(Duration::from_mins(10), 0.5, now),
        };
        let next = status(&self.status, &subject, &happened, now);
        assert_eq!(lint(&next, self.generation), [""; 0], "{next:#?}");
        self.memory = memory;
        self.status = next;
    }

    /// One attempt as the controller makes it.
    fn attempt(&mut self, scene: &Scene, now: Timestamp) {
        let mut mode = self.mode();
        let mut outcome = Scene {
            mode: mode.clone(),
            ..scene.clone()
        }
        .outcome();
        if mode == Mode::Plan && self.memory.wants_migration(&outcome) {
            mode = Mode::Migrate;
            outcome = Scene {
                mode: mode.clone(),
                ..scene.clone()
            }
            .outcome();
        }
        self.report(&mode, &Attempt::Ran(Box::new(outcome)), now);
    }

    fn running(&mut self, running: &Running, now: Timestamp) {
        let next = status(
            &self.status,
            &self.subject(),
            &Happened::Running(running),
            now,
        );
        assert_eq!(lint(&next, self.generation), [""; 0], "{next:#?}");
        self.status = next;
    }

    fn restart_operator(&mut self) {
        let json = serde_json::to_string(&self.status).expect("JSON");
        let read = serde_json::from_str(&json).expect("status");
        assert_eq!(self.status, read, "status survives the API server");
        self.memory = Memory::restore(&read);
    }

    fn condition(&self, type_: &str) -> Option<&Condition> {
        self.status
            .conditions
            .iter()
            .find(|condition| condition.type_ == type_)
    }

    fn ready(&self) -> &Condition {
        self.condition("Ready").expect("Ready is always there")
    }
}

fn failing() -> Scene {
    Scene {
        answer: Answer::Fails(ScriptFailureKind::Failed),
        ..Scene::default()
    }
}

#[test]
fn every_attempt_comes_to_its_reason_and_a_status_without_fault() {
    for (reason, attempt) in attempts() {
        for first in [0, 300] {
            let mut resource = Resource::new();
            resource.report(&Mode::Migrate, &attempt, at(0));
            resource.report(&resource.mode(), &attempt, at(first));
            assert_eq!(resource.ready().reason, reason, "{:#?}", resource.status);
            let shown = state(verdict(&attempt).reason, at(0), at(first));
            let expected = match shown {
                State::Ready => (ConditionStatus::True, None),
                State::Reconciling => (ConditionStatus::False, Some("Reconciling")),
                State::Stalled => (ConditionStatus::False, Some("Stalled")),
                State::Waiting => (ConditionStatus::False, None),
                State::Unknown => (ConditionStatus::Unknown, Some("Reconciling")),
            };
            let second = resource.status.conditions.get(1);
            let found = (
                resource.ready().status,
                second.map(|condition| condition.type_.as_str()),
            );
            assert_eq!(found, expected, "{reason} after {first} s");
        }
    }
}

#[test]
fn a_message_is_a_sentence_that_says_what_to_do_or_what_happens_next() {
    for (reason, attempt) in attempts() {
        let message = verdict(&attempt).message;
        // Commands to run end in a semicolon.
        let whole = message.ends_with(['.', ';']) || reason == "UpToDate";
        println!("{reason}: {message}");
        assert!(whole && !message.contains('\n'), "{reason}: {message}");
        assert!(
            !message.contains("Some("),
            "debug text in {reason}: {message}"
        );
    }
}

#[test]
fn up_to_date_shows_where_the_database_stands() {
    let mut resource = Resource::new();
    resource.attempt(&Scene::default(), at(0));
    let status = &resource.status;
    assert_eq!(resource.ready().message, "at version 044");
    assert_eq!(status.current_version.as_deref(), Some("044"));
    assert_eq!(status.target_version.as_deref(), Some("044"));
    assert_eq!(
        (status.applied_count, status.pending_count),
        (Some(4), Some(0))
    );
    assert_eq!(status.history[0].version, "044");
    assert_eq!(
        status.source.as_deref(),
        Some("ConfigMap/ledger-migrations")
    );
    assert!(status.last_applied_time.is_some() && status.database_id.is_some());
    assert_eq!(status.failure, None);
}

#[test]
fn a_resource_at_rest_is_not_written_again() {
    for scene in [
        Scene::default(),
        failing(),
        Scene {
            claimed: true,
            ..Scene::default()
        },
        Scene {
            texts: vec![("041", "SELECT 0")],
            ..Scene::default()
        },
        Scene {
            missing_grants: vec!["GRANT CREATE ON SCHEMA public TO ledger;".to_owned()],
            ..Scene::default()
        },
    ] {
        let mut resource = Resource::new();
        resource.attempt(&scene, at(0));
        let applied = Scene {
            applied: resource
                .status
                .history
                .iter()
                .rev()
                .map(|row| match row.version.as_str() {
                    "041" => "041",
                    "042" => "042",
                    "043" => "043",
                    _ => "044",
                })
                .collect(),
            ..scene
        };
        resource.attempt(&applied, at(600));
        let before = resource.status.clone();
        for hour in 1..5 {
            resource.attempt(&applied, at(hour * 3600));
            assert_eq!(resource.status, before);
        }
    }
    for kind in [
        DereferenceErrorKind::SecretNotFound,
        DereferenceErrorKind::AccessDenied,
    ] {
        let waiting = Attempt::Waiting(DereferenceError {
            kind,
            message: "Secret ledger-db does not exist. Create it.".to_owned(),
        });
        let mut resource = Resource::new();
        resource.report(&Mode::Migrate, &waiting, at(0));
        resource.report(&Mode::Migrate, &waiting, at(130));
        let before = resource.status.clone();
        resource.report(&Mode::Migrate, &waiting, at(4000));
        assert_eq!(resource.status, before);
    }
}

#[test]
fn a_failed_script_says_what_and_where() {
    let mut resource = Resource::new();
    resource.attempt(&failing(), at(0));
    let failure = resource.status.failure.clone().expect("a failure");
    assert_eq!(
        resource.ready().message,
        "042 v042 failed at line 7, column 1: relation \"nowhere\" does not exist (42P01). Nothing \
         of 042 was applied; the database is at 041. Correct 042 and commit."
    );
    assert_eq!(failure.version.as_deref(), Some("042"));
    assert_eq!(
        (failure.statement, failure.line, failure.column),
        (Some(3), Some(7), Some(1))
    );
    assert_eq!(failure.sql_state.as_deref(), Some("42P01"));
    assert_eq!(failure.attempts, Some(1));
    assert_eq!(
        failure.next_retry_time, None,
        "it is not run again by itself"
    );
    assert_eq!(resource.status.pending_count, Some(3));
    assert_eq!(resource.status.pending[0].version, "042");
    assert_eq!(
        resource.condition("Stalled"),
        Some(&Condition {
            type_: "Stalled".to_owned(),
            status: ConditionStatus::True,
            ..resource.ready().clone()
        })
    );
}

#[test]
fn a_failed_script_is_not_run_again_by_itself() {
    let mut resource = Resource::new();
    resource.attempt(&failing(), at(0));
    assert_eq!(resource.mode(), Mode::Plan);
    resource.restart_operator();
    assert_eq!(resource.mode(), Mode::Plan);
    let looked = Scene {
        mode: Mode::Plan,
        ..failing()
    }
    .outcome();
    assert!(!resource.memory.wants_migration(&looked));

    // Another trouble in between does not make it forget, nor a restart in the middle of that.
    let down = Attempt::Ran(Box::new(
        Scene {
            mode: Mode::Plan,
            answer: Answer::Error(DatabaseErrorKind::Unreachable),
            ..failing()
        }
        .outcome(),
    ));
    resource.report(&Mode::Plan, &down, at(60));
    assert_eq!(resource.ready().reason, "DatabaseUnreachable");
    let failure = resource
        .status
        .failure
        .as_ref()
        .expect("the script is not mended");
    assert_eq!(failure.reason, "MigrationFailed");
    resource.restart_operator();
    assert_eq!(resource.mode(), Mode::Plan);
    resource.attempt(&failing(), at(120));
    assert_eq!(resource.ready().reason, "MigrationFailed");
    assert_eq!(
        resource
            .status
            .failure
            .as_ref()
            .and_then(|failure| failure.attempts),
        Some(1)
    );
}

#[test]
fn a_failed_script_runs_again_when_its_text_or_the_resource_changes_or_a_person_asks() {
    let mut failed = Resource::new();
    failed.attempt(&failing(), at(0));

    let mended = Scene {
        texts: vec![("042", "SELECT 'mended'")],
        mode: Mode::Plan,
        ..Scene::default()
    };
    assert!(
        failed.memory.wants_migration(&mended.outcome()),
        "the text changed"
    );
    let by_hand = Scene {
        applied: vec!["041", "042"],
        mode: Mode::Plan,
        ..Scene::default()
    };
    assert!(
        failed.memory.wants_migration(&by_hand.outcome()),
        "somebody ran it"
    );
    assert_eq!(
        failed.memory.mode(4, None),
        Mode::Migrate,
        "the resource changed"
    );
    assert_eq!(
        failed.memory.mode(3, Some("now")),
        Mode::Migrate,
        "a person asked"
    );

    failed.reconcile = Some("now".to_owned());
    failed.attempt(&failing(), at(300));
    assert_eq!(failed.status.last_handled_reconcile.as_deref(), Some("now"));
    let failure = failed.status.failure.clone().expect("a failure");
    assert_eq!(
        (failure.attempts, failure.first_time.get()),
        (Some(2), at(0))
    );
    failed.restart_operator();
    assert_eq!(failed.mode(), Mode::Plan, "asked once, run once");
    failed.attempt(&mended, at(400));
    assert_eq!(
        (
            failed.ready().reason.as_str(),
            failed.status.failure.as_ref()
        ),
        ("UpToDate", None)
    );
}

#[test]
fn what_may_have_happened_runs_again_only_when_a_person_asks() {
    let mut resource = Resource::new();
    let escaped = Scene {
        answer: Answer::Fails(ScriptFailureKind::TransactionEscaped),
        ..Scene::default()
    };
    resource.attempt(&escaped, at(0));
    resource.generation = 4;
    assert_eq!(resource.mode(), Mode::Plan);
    let changed = Scene {
        texts: vec![("042", "SELECT 'changed'")],
        mode: Mode::Plan,
        ..escaped
    };
    assert!(!resource.memory.wants_migration(&changed.outcome()));
    assert_eq!(resource.memory.mode(4, Some("now")), Mode::Migrate);
}

#[test]
fn what_may_have_happened_is_not_forgotten_when_nothing_is_left_to_run() {
    let mut resource = Resource::new();
    let escaped = Scene {
        answer: Answer::Fails(ScriptFailureKind::TransactionEscaped),
        ..Scene::default()
    };
    resource.attempt(&escaped, at(0));
    // The target is set back to where the history stands.
    resource.generation = 4;
    let back = Scene {
        target: Some("041"),
        ..Scene::default()
    };
    resource.attempt(&back, at(60));
    assert_eq!(resource.ready().reason, "TransactionEscaped");
    // A defect of ours in between.
    let bug = Attempt::Bug("src/engine/machine.rs:1".to_owned());
    resource.report(&Mode::Migrate, &bug, at(90));
    resource.restart_operator();
    resource.attempt(&back, at(120));
    assert_eq!(resource.ready().reason, "TransactionEscaped");
    resource.reconcile = Some("now".to_owned());
    resource.attempt(&back, at(180));
    assert_eq!(resource.ready().reason, "UpToDate");
}

#[test]
fn suspending_keeps_the_trace_of_a_failed_script() {
    for kind in [
        ScriptFailureKind::Failed,
        ScriptFailureKind::TransactionEscaped,
    ] {
        let mut resource = Resource::new();
        resource.attempt(
            &Scene {
                answer: Answer::Fails(kind),
                ..Scene::default()
            },
            at(0),
        );
        let failure = resource.status.failure.clone();
        resource.generation = 4;
        resource.report(&resource.mode(), &Attempt::Suspended, at(60));
        assert_eq!(resource.ready().reason, "Suspended");
        assert!(failure.is_some());
        assert_eq!(resource.status.failure, failure);
        resource.generation = 5;
        let runs = kind == ScriptFailureKind::Failed;
        assert_eq!(resource.mode() == Mode::Migrate, runs, "{kind:?}");
    }
}

fn losing() -> Scene {
    Scene {
        answer: Answer::Loses,
        ..Scene::default()
    }
}

#[test]
fn a_script_that_loses_its_connection_thrice_in_a_row_is_poison() {
    let mut resource = Resource::new();
    let unreachable = Attempt::NotConnected(DatabaseError::new(
        DatabaseErrorKind::Unreachable,
        "No connection to db:5432. Nothing was changed.",
    ));
    for (count, seconds) in [(1, 0), (2, 20)] {
        resource.attempt(&losing(), at(seconds));
        assert_eq!(
            resource.ready().message,
            "The connection to db:5432 was lost. It was at 042 v042. Tries again by itself."
        );
        assert_eq!(resource.ready().reason, "ConnectionLost");
        // The server is still on its way up, and the operator is another one by now.
        resource.report(&Mode::Migrate, &unreachable, at(seconds + 10));
        let failure = resource.status.failure.clone().expect("a failure");
        assert_eq!(failure.reason, "DatabaseUnreachable");
        assert_eq!(failure.version.as_deref(), Some("042"));
        assert_eq!(failure.connections_lost, Some(count));
        resource.restart_operator();
        let plan = losing().outcome().plan().cloned().expect("a plan");
        let running = Running {
            plan,
            finished: 0,
            current: None,
            waiting: None,
            activity: None,
        };
        resource.running(&running, at(seconds + 15));
        resource.restart_operator();
    }
    resource.attempt(&losing(), at(40));
    let ready = resource.ready();
    assert_eq!(ready.reason, "PoisonMigration");
    assert_eq!(
        ready.message,
        "042 v042 was executed in 3 attempts in a row, and each lost the connection: it may be what ends its \
         session, or the server. It is recorded whole or rolled back, and not run again by itself. Look for the \
         cause in the server's log (a crash, out of memory, pg_terminate_backend), correct 042 and commit. If the \
         cause was not in the script, set annotation schemaward.dev/reconcile to run it once more."
    );
    assert!(resource.condition("Stalled").is_some());
    let failure = resource.status.failure.clone().expect("a failure");
    assert_eq!(
        (failure.attempts, failure.connections_lost),
        (Some(3), Some(3))
    );
    assert!(failure.checksum.is_some());

    // It is only looked at, by the next operator too.
    resource.restart_operator();
    assert_eq!(resource.mode(), Mode::Plan);
    let status = resource.status.clone();
    resource.attempt(&losing(), at(700));
    assert_eq!(resource.status, status);
    // A person asks: one attempt.
    resource.reconcile = Some("again".to_owned());
    assert_eq!(resource.mode(), Mode::Migrate);
    resource.attempt(&losing(), at(800));
    assert_eq!(resource.ready().reason, "PoisonMigration");
    assert_eq!(resource.mode(), Mode::Plan);
    // It was recorded after all.
    resource.attempt(
        &Scene {
            applied: vec!["041", "042", "043", "044"],
            ..losing()
        },
        at(1400),
    );
    assert_eq!(resource.ready().reason, "UpToDate");
}

#[test]
fn only_the_same_script_in_a_row_is_counted() {
    let another_text = Scene {
        texts: vec![("042", "SELECT 'mended'")],
        ..losing()
    };
    let another_version = Scene {
        applied: vec!["041", "042"],
        ..losing()
    };
    let no_locks = Scene {
        answer: Answer::NoLocks,
        ..Scene::default()
    };
    for between in [another_text, another_version, no_locks] {
        let mut resource = Resource::new();
        resource.attempt(&losing(), at(0));
        resource.attempt(&losing(), at(10));
        resource.attempt(&between, at(20));
        resource.attempt(&losing(), at(30));
        resource.attempt(&losing(), at(40));
        assert_eq!(resource.ready().reason, "ConnectionLost", "{between:?}");
        resource.attempt(&losing(), at(50));
        assert_eq!(resource.ready().reason, "PoisonMigration", "{between:?}");
    }
    // A connection that is lost outside of a script says nothing of one.
    let mut resource = Resource::new();
    for seconds in 0..9 {
        let scene = Scene {
            answer: Answer::Error(DatabaseErrorKind::ConnectionLost),
            ..Scene::default()
        };
        resource.attempt(&scene, at(seconds));
        assert_eq!(resource.ready().reason, "ConnectionLost");
        let failure = resource.status.failure.clone().expect("a failure");
        assert_eq!((failure.version, failure.connections_lost), (None, None));
    }
}

#[test]
fn another_operator_s_failed_script_is_taken_over() {
    let mut other = Resource::new();
    other.attempt(&failing(), at(0));
    let blocked = Scene {
        answer: Answer::LockHeld,
        ..Scene::default()
    };
    let mut resource = Resource::new();
    resource.attempt(&blocked, at(0));
    resource.memory = resource.memory.or_failed_in(&other.status);
    assert_eq!(resource.mode(), Mode::Plan);
    resource.attempt(&failing(), at(20));
    assert_eq!(resource.ready().reason, "MigrationFailed");
}

#[test]
fn another_cause_is_news_and_another_count_is_none() {
    let mut resource = Resource::new();
    resource.attempt(&failing(), at(0));
    let before = resource.status.clone();
    resource.attempt(&failing(), at(600));
    assert!(!is_news(Some(&before), &resource.status));
    let mended = Scene {
        texts: vec![("042", "SELECT 'mended'")],
        ..failing()
    };
    resource.attempt(&mended, at(700));
    assert_eq!(resource.ready().reason, "MigrationFailed");
    assert!(
        is_news(Some(&before), &resource.status),
        "it failed once more"
    );

    let blocked = Scene {
        answer: Answer::NoLocks,
        ..Scene::default()
    };
    let mut resource = Resource::new();
    resource.attempt(&blocked, at(0));
    let before = resource.status.clone();
    assert!(is_news(None, &before));
    resource.attempt(&blocked, at(30));
    assert_ne!(resource.status, before);
    assert!(!is_news(Some(&before), &resource.status));
}

#[test]
fn troubles_that_take_turns_are_counted_on() {
    let mut resource = Resource::new();
    let answers = [
        Answer::Error(DatabaseErrorKind::Unreachable),
        Answer::Error(DatabaseErrorKind::ConnectionLost),
        Answer::Error(DatabaseErrorKind::TooManyConnections),
    ];
    for (answer, attempt) in answers.into_iter().zip(1..) {
        let scene = Scene {
            answer,
            ..Scene::default()
        };
        resource.attempt(&scene, at(i64::from(attempt) * 60));
        assert_eq!(resource.memory.attempts(), attempt);
        let since = resource.memory.since();
        assert_eq!(since, Some(at(i64::from(attempt) * 60)));
    }
    resource.attempt(&Scene::default(), at(400));
    assert_eq!(resource.memory.attempts(), 1);
}

#[test]
fn what_can_heal_is_counted_and_says_when_it_is_tried_again() {
    let mut resource = Resource::new();
    let blocked = Scene {
        answer: Answer::NoLocks,
        ..Scene::default()
    };
    for (attempt, seconds) in [(1, 0), (2, 30), (3, 90)] {
        resource.attempt(&blocked, at(seconds));
        let failure = resource.status.failure.clone().expect("a failure");
        assert_eq!(
            (failure.attempts, failure.version.as_deref()),
            (Some(attempt), Some("042"))
        );
        assert_eq!(failure.first_time.get(), at(0));
        assert!(
            failure
                .next_retry_time
                .is_some_and(|next| next.get() > at(seconds))
        );
        let reconciling = resource
            .condition("Reconciling")
            .expect("it goes on by itself");
        assert_eq!(reconciling.reason, "ProgressingWithRetry");
        assert_eq!(reconciling.last_transition_time.get(), at(0));
        resource.restart_operator();
    }
    resource.attempt(&Scene::default(), at(100));
    assert_eq!(resource.memory.attempts(), 1);
    assert_eq!(resource.ready().last_transition_time.get(), at(100));
}

#[test]
fn times_of_conditions_change_only_with_their_status() {
    let mut resource = Resource::new();
    resource.attempt(&failing(), at(0));
    resource.generation = 4;
    resource.attempt(
        &Scene {
            claimed: true,
            ..Scene::default()
        },
        at(50),
    );
    assert_eq!(resource.ready().reason, "DatabaseClaimed");
    for condition in &resource.status.conditions {
        assert_eq!(
            condition.last_transition_time.get(),
            at(0),
            "{}",
            condition.type_
        );
        assert_eq!(condition.observed_generation, Some(4));
    }
}

#[test]
fn a_run_in_the_middle_says_where_it_is() {
    let plan = Scene::default().outcome().plan().cloned().expect("a plan");
    let mut running = Running {
        plan,
        finished: 0,
        current: None,
        waiting: None,
        activity: None,
    };
    let mut resource = Resource::new();
    resource.running(&running, at(0));
    assert_eq!(resource.ready().message, "Applying 3 versions: 042 to 044.");
    assert_eq!(resource.ready().reason, "Applying");
    assert_eq!(
        resource.condition("Reconciling").map(|c| c.reason.as_str()),
        Some("Applying")
    );

    running.finished = 1;
    running.current = Some((version("043"), "v043".to_owned(), Direction::Up));
    resource.running(&running, at(1));
    assert_eq!(
        resource.ready().message,
        "Applying 3 versions: 042 to 044; 1 done, 043 v043 runs."
    );
    assert_eq!(resource.status.current_version.as_deref(), Some("042"));
    assert_eq!(resource.status.pending_count, Some(2));

    // The next attempt is no other news than the wait for it.
    for (seconds, end) in [(Some(40), "in 40 s"), (None, "runs")] {
        running.waiting = Some(Waiting {
            held: "a lock on public.orders held for 12 min by pid 4711".to_owned(),
            attempt: 4,
            attempts: 11,
            seconds,
        });
        resource.running(&running, at(2));
        let words = format!(
            "043 v043 waits for a lock on public.orders held for 12 min by pid 4711. Nothing of 043 was \
             applied. Attempt 4 of 11 {end}."
        );
        assert_eq!(resource.ready().message, words);
        assert_eq!(resource.ready().reason, "LockTimeout");
    }
}

#[test]
fn a_version_that_runs_for_long_says_how_far_it_is() {
    let plan = Scene::default().outcome().plan().cloned().expect("a plan");
    let activity = Activity {
        since: at(-100),
        waits_for: Vec::new(),
        index_build: Some(IndexBuild {
            phase: "building index: scanning table".to_owned(),
            percent: Some(43),
            lockers: None,
            current_locker: None,
        }),
    };
    let mut running = Running {
        plan,
        finished: 0,
        current: Some((version("042"), "v042".to_owned(), Direction::Up)),
        waiting: None,
        activity: Some(activity.clone()),
    };
    let mut resource = Resource::new();
    resource.running(&running, at(0));
    let expected = json!({
        "version": "042",
        "startTime": at(-100),
        "phase": "building index: scanning table",
        "percent": 43,
    });
    assert_eq!(json!(resource.status.progress), expected);

    // However long it has been held: the same lock is no news.
    let blocker = Blocker {
        owner: LockOwner::Session {
            pid: 4711,
            application_name: "report".to_owned(),
            state: Some("idle in transaction".to_owned()),
        },
        user: "ledger".to_owned(),
        held_seconds: Some(50),
        relation: Some("public.orders".to_owned()),
    };
    for held_seconds in [50, 60] {
        running.activity = Some(Activity {
            waits_for: vec![Blocker {
                held_seconds: Some(held_seconds),
                ..blocker.clone()
            }],
            index_build: None,
            ..activity.clone()
        });
        resource.running(&running, at(held_seconds));
        assert_eq!(
            json!(resource.status.progress)["waitsFor"],
            "a lock on public.orders held by pid 4711 (app \"report\", role \"ledger\", idle in \
             transaction)"
        );
    }
    running.activity = None;
    resource.running(&running, at(70));
    assert_eq!(resource.status.progress, None);
}

#[test]
fn a_way_back_says_so() {
    let scene = Scene {
        applied: vec!["041", "042", "043"],
        target: Some("041"),
        rollback: Rollback::Allow,
        mode: Mode::Plan,
        ..Scene::default()
    };
    let plan = scene.outcome().plan().cloned().expect("a plan");
    let running = Running {
        plan,
        finished: 0,
        current: None,
        waiting: None,
        activity: None,
    };
    let mut resource = Resource::new();
    resource.running(&running, at(0));
    assert_eq!(resource.ready().message, "Undoing 2 versions: 043 to 042.");
    assert_eq!(resource.ready().reason, "RollingBack");
}

#[test]
fn a_version_alone_is_called_by_its_name() {
    let scene = Scene {
        target: Some("042"),
        mode: Mode::Plan,
        ..Scene::default()
    };
    let running = Running {
        plan: scene.outcome().plan().cloned().expect("a plan"),
        finished: 0,
        current: Some((version("042"), "v042".to_owned(), Direction::Up)),
        waiting: None,
        activity: None,
    };
    let mut resource = Resource::new();
    resource.running(&running, at(0));
    assert_eq!(resource.ready().message, "Applying 042 v042.");
    let nothing = Running {
        plan: Plan::default(),
        current: None,
        ..running
    };
    resource.running(&nothing, at(1));
    assert_eq!(
        resource.ready().message,
        "Recording versions that are already there."
    );
}

#[test]
fn what_is_pending_is_known_without_a_plan() {
    let scene = Scene {
        texts: vec![("041", "SELECT 'changed'")],
        ..Scene::default()
    };
    let mut resource = Resource::new();
    let catalog = scene.catalog();
    let subject = Subject {
        catalog: Some(&catalog),
        ..resource.subject()
    };
    let attempt = scene.attempt();
    let memory = resource
        .memory
        .after(&subject, &Mode::Migrate, &attempt, at(0));
    let happened = Happened::Attempted {
        attempt: &attempt,
        memory: &memory,
        next: None,
    };
    let next = status(&resource.status, &subject, &happened, at(0));
    assert_eq!(lint(&next, 3), [""; 0]);
    assert_eq!(
        (next.pending_count, next.target_version.as_deref()),
        (Some(3), Some("044"))
    );
    resource.status = next;
    assert_eq!(resource.ready().reason, "ChecksumMismatch");
}

#[test]
fn texts_from_outside_are_cut_and_put_on_one_line() {
    let mut resource = Resource::new();
    resource.reconcile = Some("x".repeat(100_000));
    let long = Attempt::Waiting(DereferenceError {
        kind: DereferenceErrorKind::SecretNotFound,
        message: "ñ\n".repeat(40_000),
    });
    resource.report(&Mode::Migrate, &long, at(0));
    let message = &resource.ready().message;
    assert_eq!(message.chars().count(), 1024);
    assert!(message.ends_with('…') && message.starts_with("ñ ñ "));
}

#[test]
fn a_long_history_is_cut() {
    let many: Vec<&'static str> = (1..=120).map(|n| &*format!("{n:03}").leak()).collect();
    let scene = Scene {
        files: many.clone(),
        applied: many[..50].to_vec(),
        ..failing()
    };
    let mut resource = Resource::new();
    resource.attempt(&scene, at(0));
    let status = &resource.status;
    assert_eq!((status.pending.len(), status.pending_count), (20, Some(70)));
    assert_eq!((status.history.len(), status.applied_count), (10, Some(50)));
    assert_eq!(status.history[0].version, "050");
}

#[test]
fn the_lint_sees_what_is_wrong() {
    let mut resource = Resource::new();
    resource.attempt(&failing(), at(0));
    let good = resource.status.clone();
    let wrong = |change: &dyn Fn(&mut DatabaseSchemaStatus)| {
        let mut status = good.clone();
        change(&mut status);
        lint(&status, 3).len()
    };
    assert_eq!(wrong(&|_| {}), 0);
    assert!(wrong(&|s| s.observed_generation = Some(2)) > 0);
    assert!(wrong(&|s| s.conditions.clear()) > 0);
    assert!(wrong(&|s| s.conditions[1].status = ConditionStatus::False) > 0);
    assert!(wrong(&|s| s.conditions[0].status = ConditionStatus::True) > 0);
    assert!(wrong(&|s| s.conditions[0].message = "x".repeat(1025)) > 0);
    assert!(wrong(&|s| s.conditions[0].reason = "Whatever".to_owned()) > 0);
    assert!(wrong(&|s| s.conditions[1].type_ = "Failed".to_owned()) > 0);
    assert!(wrong(&|s| s.failure = None) > 0);
    assert!(wrong(&|s| s.pending_count = Some(9)) > 0);
    assert!(wrong(&|s| s.source = Some("x".repeat(70_000))) > 0);
}

#[test]
fn the_cases_reach_every_reason_that_this_version_can_give() {
    // What the next versions will give.
    let later = [
        Reason::RollingBack, // only while it runs
        Reason::ProgressingWithRetry,
        Reason::PoisonMigration, // of the third attempt
        Reason::HistoryRegressed,
        Reason::NotEmpty,
        Reason::DatabaseIdentityChanged,
        Reason::PoolerDetected,
        Reason::PrivilegedRole,
        Reason::HostNotAllowed,
        Reason::AwaitingApproval,
        Reason::PolicyDenied,
        Reason::OutsideWindow,
        Reason::GateNotMet,
    ];
    let seen: Vec<_> = attempts().iter().map(|(reason, _)| *reason).collect();
    for reason in Reason::ALL {
        assert_ne!(
            later.contains(reason),
            seen.contains(&reason.as_str()),
            "{reason}"
        );
    }
}

#[test]
fn what_keeps_a_decision_from_being_carried_out_hides_no_failed_script() {
    use schemaward::engine::decision::{Decision, Wish};
    let mut resource = Resource::new();
    resource.attempt(&failing(), at(0));
    let failed = resource.status.failure.clone();
    let wish = Wish::accept("041").expect("a wish");
    let mode = Mode::Decide(Box::new(Decision { wish, by: None }));
    let held = Scene {
        answer: Answer::Error(DatabaseErrorKind::ConnectionLost),
        mode: mode.clone(),
        ..Scene::default()
    };
    resource.report(&mode, &held.attempt(), at(60));
    assert_eq!(resource.ready().reason, "ConnectionLost");
    assert_eq!(resource.status.failure, failed);
    assert_eq!(resource.mode(), Mode::Plan);
}

#[test]
fn decisions_that_were_acted_on_outlive_the_operator() {
    let mut resource = Resource::new();
    let handled = [("schemaward.dev/accept".to_owned(), "041".to_owned())];
    resource.memory = Memory::default().having_handled(handled.clone().into());
    resource.attempt(&Scene::default(), at(0));
    assert_eq!(
        resource.status.last_handled_decisions,
        handled.clone().into()
    );
    resource.restart_operator();
    assert_eq!(*resource.memory.handled(), handled.clone().into());
    resource.attempt(&failing(), at(60));
    assert_eq!(*resource.memory.handled(), handled.into());
}
