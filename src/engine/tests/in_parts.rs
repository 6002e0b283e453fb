//! Versions in parts, and scripts that ended their transaction.

use super::*;

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
    reached(&outcome);
    assert_eq!(
        database.asked[1..],
        ["inspect", "lock", "inspect", "record 1"]
    );
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
