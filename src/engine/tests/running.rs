//! A run from the look to its end: what it asks for, and when it stops.

use super::*;

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
    reached(&outcome);
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
    let outcome = run_limited(task_one_by_one(&["1", "2", "3"]), &mut database, 2);
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
