//! When checks are asked, and what follows from their answers.

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
    let server = |timeline| ServerIdentity {
        system_identifier: 7,
        timeline,
    };
    database.server.now = Some(server(2));
    database.server.audited = Some(server(1));
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
    assert_eq!(outcome.server_change(), None, "it is not noted either");
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
    reached(&outcome);
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
