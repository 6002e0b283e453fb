//! What the operator shows and remembers, from attempt to attempt: `controller::{verdict, memory,
//! status, lint}` together, on outcomes of the real engine.

#![allow(
    clippy::expect_used,
    reason = "helpers of tests are tests, too, although they do not bear #[test]"
)]

#[path = "../played/mod.rs"]
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
use schemaward::controller::decisions::{Decided, Handled};
use schemaward::controller::lint::lint;
use schemaward::controller::memory::Memory;
use schemaward::controller::policy::{State, state};
use schemaward::controller::status::{Happened, Subject, is_news, status};
use schemaward::controller::verdict::verdict;

mod again;
mod decisions;
mod failed_script;
mod running;

/// A resource and its operator: what the controller keeps between attempts.
struct Resource {
    spec: DatabaseSchemaSpec,
    generation: i64,
    reconcile: Option<String>,
    decided: Handled,
    /// What was decided in the attempt that runs.
    decided_in_it: Decided,
    status: DatabaseSchemaStatus,
    memory: Memory,
}

impl Resource {
    fn new() -> Self {
        Self {
            spec: spec(&["041", "042", "043", "044"]),
            generation: 3,
            reconcile: None,
            decided: Handled::new(),
            decided_in_it: Decided::default(),
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
            decided: &self.decided,
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
            &Happened::Running {
                running,
                decided: &self.decided_in_it,
            },
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

/// A run of a scene's plan, before its first version.
fn begun(scene: &Scene) -> Running {
    Running {
        plan: scene.outcome().plan().cloned().expect("a plan"),
        finished: 0,
        current: None,
        waiting: None,
        activity: None,
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
fn a_version_alone_is_called_by_its_name() {
    let scene = Scene {
        target: Some("042"),
        mode: Mode::Plan,
        ..Scene::default()
    };
    let running = Running {
        current: Some((version("042"), "v042".to_owned(), Direction::Up)),
        ..begun(&scene)
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
        Reason::DecisionRefused,
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
