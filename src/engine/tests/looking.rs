//! What a look finds out before a way back, and about the server.

use super::*;

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
    reached(&outcome);
    assert_eq!(
        database.asked,
        [
            "inspect",
            "load 3 2",
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
            "The stored DOWN text of 2 is recorded and not there. Nothing of 2 was undone this time."
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
fn a_change_of_the_server_is_told_once_it_is_noted() {
    let mut database = Simulated::default();
    database.server.now = Some(server(1));
    run(task(&["001"]), &mut database);
    database.server.now = Some(server(2));
    database.asked.clear();
    database.fail_at = Some(3);
    let failed = run(task(&["001"]), &mut database);
    assert_eq!(database.asked.last().map(String::as_str), Some("prepare"));
    assert!(matches!(failed.stop(), Some(Stop::Database(_))));
    assert_eq!(failed.server_change(), None, "it is not noted");
    database.fail_at = None;
    assert!(run(task(&["001"]), &mut database).server_change().is_some());
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

/// However many versions are undone, and however few texts one answer has.
#[test]
fn the_texts_of_all_ways_back_are_read_at_once_and_the_rest_of_a_long_answer_next() {
    for (at_once, asked) in [
        (None, &["load 4 3 2"][..]),
        (Some(2), &["load 4 3 2", "load 2"]),
        (Some(1), &["load 4 3 2", "load 3 2", "load 2"]),
    ] {
        let mut database = Simulated::default();
        run(task(&["1", "2", "3", "4"]), &mut database);
        database.texts_at_once = at_once;
        database.asked.clear();
        let outcome = run(looked_through(&["1"]), &mut database);
        reached(&outcome);
        let loads = database
            .asked
            .iter()
            .filter(|asked| asked.starts_with("load"));
        assert_eq!(loads.collect::<Vec<_>>(), asked);
        assert_eq!(database.applied(), ["1"]);
    }
    let mut database = Simulated::default();
    run(task(&["1", "2"]), &mut database);
    database.texts_at_once = Some(0);
    let outcome = run(looked_through(&["1"]), &mut database);
    assert!(
        matches!(outcome.stop(), Some(Stop::Database(_))),
        "an answer without any text"
    );
}
