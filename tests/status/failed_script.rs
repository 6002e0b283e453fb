//! A script that failed, or may have: when it runs again.

use super::*;

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
    let escaped = escaped();
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
    let escaped = escaped();
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

fn escaped() -> Scene {
    Scene {
        answer: Answer::Fails(ScriptFailureKind::TransactionEscaped),
        ..Scene::default()
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
            "The connection to db:5432 was lost. The version under way was 042 v042; before it, the database was at 041. Tries \
             again by itself."
        );
        assert_eq!(resource.ready().reason, "ConnectionLost");
        // The server is still on its way up, and the operator is another one by now.
        resource.report(&Mode::Migrate, &unreachable, at(seconds + 10));
        let failure = resource.status.failure.clone().expect("a failure");
        assert_eq!(failure.reason, "DatabaseUnreachable");
        assert_eq!(failure.version.as_deref(), Some("042"));
        assert_eq!(failure.connections_lost, Some(count));
        resource.restart_operator();
        resource.running(&begun(&losing()), at(seconds + 15));
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
