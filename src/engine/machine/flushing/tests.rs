//! Quick versions that share a flush: what is told, and when.

use super::*;

/// Runs `task` with leave for everything, and shows what the machine is at and asks for.
fn drive(task: Task, database: &mut Simulated, mut see: impl FnMut(&Machine, &Next)) -> Outcome {
    let mut machine = Machine::new(task);
    let mut event = Event::Begin;
    loop {
        let next = machine.step(event);
        see(&machine, &next);
        event = match next {
            Next::Ask(request) => match database.answer(&request) {
                Ok(observation) => Event::Observed(Box::new(observation)),
                Err(error) => Event::Failed(error),
            },
            Next::Pause(_) => Event::Waited(Duration::from_secs(1)),
            Next::MayRun | Next::Checkpoint(_) => Event::Continue,
            Next::Judge(scripts) => judged(scripts),
            Next::Done(outcome) => return *outcome,
        };
    }
}

/// Runs `task`, and keeps for each request how many versions had been told of before it.
fn told_before_each(task: Task, database: &mut Simulated) -> (Vec<(String, usize)>, Outcome) {
    let mut all = Vec::new();
    let outcome = drive(task, database, |machine, next| {
        if let Next::Ask(request) = next {
            all.push((label(request), machine.done().len()));
        }
    });
    (all, outcome)
}

fn from_first_script(all: &[(String, usize)]) -> Vec<(&str, usize)> {
    let scripts = all.iter().skip_while(|(label, _)| label != "apply 1");
    scripts
        .map(|(label, told)| (label.as_str(), *told))
        .collect()
}

fn recorded(is_flushed: bool) -> Observation {
    Observation::Done(Recorded {
        at: Timestamp::UNIX_EPOCH,
        execution_time_ms: 1,
        is_flushed,
        next_is_answered: false,
    })
}

fn versions(outcome: &Outcome) -> Vec<String> {
    let done = outcome.done().iter();
    done.map(|done| done.version.to_string()).collect()
}

#[test]
fn nothing_is_told_of_a_version_before_it_is_on_the_disk() {
    let mut database = Simulated::default();
    let (all, outcome) = told_before_each(task(&["1", "2", "3"]), &mut database);
    assert_eq!(
        from_first_script(&all),
        [("apply 1", 0), ("apply 2", 0), ("apply 3", 0)]
    );
    assert_eq!(versions(&outcome), ["1", "2", "3"]);
}

#[test]
fn one_that_was_flushed_is_told_at_once_with_those_before_it() {
    let mut database = Simulated {
        script_answers: [recorded(false), recorded(true), recorded(false)].into(),
        ..Simulated::default()
    };
    let (all, _) = told_before_each(task(&["1", "2", "3", "4"]), &mut database);
    assert_eq!(
        from_first_script(&all),
        [
            ("apply 1", 0),
            ("apply 2", 0),
            ("apply 3", 2),
            ("apply 4", 2)
        ]
    );
}

#[test]
fn so_many_share_a_flush_at_the_most() {
    let names: Vec<String> = (1..=40).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (all, _) = told_before_each(task(&names), &mut Simulated::default());
    let told: Vec<usize> = all.iter().map(|(_, told)| *told).collect();
    for number in [16, 32] {
        assert!(told.contains(&number), "{told:?}");
    }
    assert!(!told.contains(&17), "{told:?}");
}

#[test]
fn a_run_that_goes_no_further_flushes_first() {
    for (answer, then) in [
        (failure(ScriptFailureKind::Failed, "3"), "flush"),
        (Observation::LockNotAvailable(Vec::new()), "flush"),
    ] {
        let mut database = Simulated {
            script_answers: [recorded(false), recorded(false), answer].into(),
            ..Simulated::default()
        };
        let (all, outcome) = told_before_each(task(&["1", "2", "3"]), &mut database);
        let scripts = from_first_script(&all);
        assert_eq!(scripts[3], (then, 0));
        assert!(versions(&outcome).starts_with(&["1".to_owned(), "2".to_owned()]));
        if let Some(again) = scripts.get(4) {
            assert_eq!(*again, ("apply 3", 2));
        }
    }
}

#[test]
fn a_stop_between_two_versions_flushes_first() {
    let mut database = Simulated::default();
    let outcome = run_limited(task_one_by_one(&["1", "2", "3"]), &mut database, 2);
    assert!(matches!(outcome.end(), End::Interrupted));
    assert_eq!(database.asked.last().map(String::as_str), Some("flush"));
    assert_eq!(versions(&outcome), ["1", "2"]);
}

#[test]
fn a_window_that_closes_closes_behind_a_flush() {
    use crate::engine::hold::OutsideWindow;

    let mut database = Simulated::default();
    let mut machine = Machine::new(task_one_by_one(&["1", "2", "3"]));
    let (mut event, mut checkpoints) = (Event::Begin, 0);
    let outcome = loop {
        event = match machine.step(event) {
            Next::Ask(request) => Event::Observed(Box::new(database.answer(&request).unwrap())),
            Next::Checkpoint(_) if checkpoints == 2 => {
                Event::Held(Box::new(Hold::Window(OutsideWindow::new(&[], None))))
            }
            Next::Checkpoint(_) => {
                checkpoints += 1;
                Event::Continue
            }
            Next::MayRun => Event::Continue,
            Next::Judge(scripts) => judged(scripts),
            Next::Pause(_) => panic!("nobody waits"),
            Next::Done(outcome) => break outcome,
        };
    };
    assert!(matches!(outcome.stop(), Some(Stop::Held(_))));
    assert_eq!(database.asked.last().map(String::as_str), Some("flush"));
    assert_eq!(versions(&outcome), ["1", "2"]);
}

#[test]
fn what_may_have_gone_with_a_lost_connection_is_not_told_and_said_so() {
    let lost_at = |request| Simulated {
        fail_at: Some(request),
        ..Simulated::default()
    };
    // inspect, lock, inspect, prepare, and two versions.
    let (all, outcome) = told_before_each(task(&["1", "2", "3"]), &mut lost_at(6));
    assert_eq!(
        from_first_script(&all),
        [("apply 1", 0), ("apply 2", 0), ("apply 3", 0)]
    );
    assert!(outcome.done().is_empty());
    assert_eq!(
        outcome.history().map(|history| history.iter().count()),
        Some(0)
    );
    let message = outcome.message();
    assert!(
        message.ends_with(
            "The version under way was 3 t. 1 to 2 were committed in this run; only a crash of the server can have taken \
             them back."
        ),
        "{message}"
    );
}

/// Versions 1 and 2 are committed, and 3 ends as `third` says; `None`: the run is stopped before it. The flush fails.
fn with_a_flush_that_fails(third: Option<Observation>, kind: DatabaseErrorKind) -> Outcome {
    let mut versions = if third.is_some() { 3 } else { 2 };
    let mut database = Simulated {
        script_answers: [recorded(false), recorded(false)]
            .into_iter()
            .chain(third)
            .collect(),
        ..Simulated::default()
    };
    let mut machine = Machine::new(task_one_by_one(&["1", "2", "3"]));
    let mut event = Event::Begin;
    loop {
        event = match machine.step(event) {
            Next::Ask(request) if matches!(*request, Request::Flush) => {
                Event::Failed(DatabaseError::new(kind, "No flush."))
            }
            Next::Ask(request) => Event::Observed(Box::new(database.answer(&request).unwrap())),
            Next::Checkpoint(_) if versions == 0 => Event::Interrupt,
            Next::Checkpoint(_) => {
                versions -= 1;
                Event::Continue
            }
            Next::MayRun => Event::Continue,
            Next::Pause(_) | Next::Judge(_) => panic!("nobody waits"),
            Next::Done(outcome) => return *outcome,
        };
    }
}

#[test]
fn a_flush_that_fails_leaves_them_untold_and_names_them() {
    use DatabaseErrorKind::{ConnectionLost, LockLost, PermissionDenied};

    let named =
        "1 to 2 were committed in this run; only a crash of the server can have taken them back.";
    for (third, kind, before) in [
        (None, PermissionDenied, "No flush."),
        (None, LockLost, "No flush."),
        (None, ConnectionLost, "No flush."),
        (
            Some(failure(ScriptFailureKind::Failed, "3")),
            PermissionDenied,
            "No flush.",
        ),
        (
            Some(failure(ScriptFailureKind::Failed, "3")),
            ConnectionLost,
            "No flush. The version under way was 3 t.",
        ),
    ] {
        let outcome = with_a_flush_that_fails(third, kind);
        assert!(outcome.done().is_empty());
        assert!(matches!(outcome.stop(), Some(Stop::Database(_))));
        assert_eq!(outcome.message(), format!("{before} {named}"), "{kind:?}");
    }
}

#[test]
fn what_takes_long_or_is_undone_waits_for_nobody_and_nobody_for_it() {
    let files = |up: &str| {
        let file = |name: &str, text: &str| SourceFile {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
        };
        vec![
            file("1_t_UP.sql", "CREATE TABLE a (id int);"),
            file("1_t_DOWN.sql", "DROP TABLE a;"),
            file("2_t_UP.sql", up),
            file("2_t_DOWN.sql", "SELECT 1;"),
        ]
    };
    for (up, told) in [
        ("CREATE INDEX ON a (id);", 0),
        ("UPDATE a SET id = 1;", 1),
        ("CREATE INDEX CONCURRENTLY i ON a (id);", 1),
    ] {
        let catalog = Catalog::from_files(files(up), "schema_migrations", &|_| false);
        let task = Task {
            catalog: catalog.expect("a sound set"),
            ..task(&[])
        };
        let (all, _) = told_before_each(task, &mut Simulated::default());
        assert_eq!(from_first_script(&all)[1].1, told, "{up}: {all:?}");
    }
}

/// What is asked of the database for versions with these UPs, each with the versions that may be sent along.
fn sent_along(task: Task, database: &mut Simulated) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    drive(task, database, |_, next| match next {
        Next::Ask(request) => {
            if let Request::Execute(execution) = &**request {
                let along = execution.with_those_that_follow().skip(1);
                let along = along.map(|along| along.version.to_string()).collect();
                all.push((execution.version.to_string(), along));
            }
        }
        Next::Checkpoint(_) => all.push(("leave".to_owned(), Vec::new())),
        Next::MayRun | Next::Judge(_) | Next::Pause(_) | Next::Done(_) => {}
    });
    all
}

#[test]
fn what_is_about_new_tables_alone_is_sent_along_and_nobody_asked_in_between() {
    for (ups, expected) in [
        (
            &[
                "CREATE TABLE a (id int)",
                "CREATE INDEX ON a (id)",
                "INSERT INTO a VALUES (1)",
            ][..],
            "leave 1+2+3 2+3 3",
        ),
        (
            &[
                "CREATE TABLE a (id int)",
                "GRANT SELECT ON a TO b",
                "CREATE TABLE c ()",
                "CREATE TABLE d ()",
            ],
            "leave 1 leave 2 leave 3+4 4",
        ),
        (
            &[
                "UPDATE a SET id = 1",
                "CREATE TABLE b ()",
                "CREATE TABLE c ()",
                "VACUUM c",
            ],
            "leave 1 leave 2+3 3 leave",
        ),
        (
            &[
                "CREATE TABLE a (id int)",
                "INSERT INTO schema_migrations (version) VALUES ('2')",
            ],
            "leave 1 leave 2",
        ),
        (
            &[
                "CREATE TABLE a (id int)",
                "CREATE TABLE b (id int REFERENCES c)",
            ],
            "leave 1 leave 2",
        ),
    ] {
        let names: Vec<_> = (1..=ups.len()).map(|number| number.to_string()).collect();
        let scripts = names.iter().zip(ups);
        let scripts =
            scripts.map(|(name, up)| (name.as_str(), (*up).to_owned(), "SELECT 1".to_owned()));
        let task = Task {
            catalog: catalog_of(scripts),
            ..task(&[])
        };
        assert_eq!(
            in_words(&sent_along(task, &mut Simulated::default())),
            expected,
            "{ups:?}"
        );
    }
}

#[test]
fn tables_of_versions_that_were_sent_along_are_new_behind_them() {
    let mut scripts: Vec<_> = (1..=16)
        .map(|number| {
            (
                number.to_string(),
                format!("CREATE TABLE t{number} (id int)"),
            )
        })
        .collect();
    scripts.push(("17".to_owned(), "CREATE INDEX ON t16 (id)".to_owned()));
    scripts.push(("18".to_owned(), "CREATE INDEX ON t2 (id)".to_owned()));
    let scripts = scripts.iter();
    let scripts = scripts.map(|(name, up)| (name.as_str(), up.clone(), "SELECT 1".to_owned()));
    let task = Task {
        catalog: catalog_of(scripts),
        ..task(&[])
    };
    let asked = in_words(&sent_along(task, &mut Simulated::default()));
    assert!(asked.ends_with(" 15+16 16 leave 17+18 18"), "{asked}");
}

fn in_words(asked: &[(String, Vec<String>)]) -> String {
    let words = asked.iter().map(|(version, along)| {
        let all = std::iter::once(version).chain(along).cloned();
        all.collect::<Vec<_>>().join("+")
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn long_texts_go_alone() {
    let down = |bytes: usize| format!("SELECT '{}'", "x".repeat(bytes));
    for (downs, expected) in [
        ([60_000; 3], "leave 1+2 2 leave 3"),
        ([200_000, 1, 1], "leave 1 leave 2+3 3"),
    ] {
        let names = ["1", "2", "3"];
        let scripts = names.iter().zip(downs);
        let scripts =
            scripts.map(|(name, bytes)| (*name, format!("CREATE TABLE t{name} ()"), down(bytes)));
        let task = Task {
            catalog: catalog_of(scripts),
            ..task(&[])
        };
        assert_eq!(
            in_words(&sent_along(task, &mut Simulated::default())),
            expected
        );
    }
}

#[test]
fn nothing_is_sent_along_where_leave_is_needed_for_each() {
    let reviewed = Task {
        review: Some(Review::of_command_line()),
        ..task(&["1", "2"])
    };
    let asked = sent_along(reviewed, &mut Simulated::default());
    assert_eq!(in_words(&asked), "leave 1 leave 2");
}

#[test]
fn what_was_not_sent_along_after_all_is_asked_for_with_leave() {
    let done = |next_is_answered| {
        Observation::Done(Recorded {
            at: Timestamp::UNIX_EPOCH,
            execution_time_ms: 1,
            is_flushed: false,
            next_is_answered,
        })
    };
    let no_locks = || Observation::LockNotAvailable(Vec::new());
    for (answers, expected) in [
        (vec![no_locks()], "leave 1+2+3 1+2+3 2+3 3"),
        (vec![done(true), no_locks()], "leave 1+2+3 2+3 2+3 3"),
        (vec![done(false)], "leave 1+2+3 leave 2+3 3"),
        (vec![done(true), done(false)], "leave 1+2+3 2+3 leave 3"),
    ] {
        let mut database = Simulated {
            script_answers: answers.into(),
            ..Simulated::default()
        };
        let asked = sent_along(task(&["1", "2", "3"]), &mut database);
        assert_eq!(in_words(&asked), expected);
    }
}

#[test]
fn nothing_joins_a_flush_that_was_waited_for_long_enough() {
    let slow = Observation::Done(Recorded {
        at: Timestamp::UNIX_EPOCH,
        execution_time_ms: 120,
        is_flushed: false,
        next_is_answered: false,
    });
    let mut database = Simulated {
        script_answers: [slow].into(),
        ..Simulated::default()
    };
    let scripts = [
        "COMMENT ON SCHEMA s IS 's'",
        "CREATE TABLE a ()",
        "CREATE TABLE b ()",
    ];
    let scripts = ["1", "2", "3"].into_iter().zip(scripts);
    let scripts = scripts.map(|(name, up)| (name, up.to_owned(), "SELECT 1".to_owned()));
    let task = Task {
        catalog: catalog_of(scripts),
        ..task(&[])
    };
    assert_eq!(
        in_words(&sent_along(task, &mut database)),
        "leave 1 leave 2 leave 3"
    );
}

#[test]
fn a_lost_connection_names_all_that_were_sent() {
    let mut database = Simulated {
        // inspect, lock, inspect, prepare, and one version.
        fail_at: Some(5),
        ..Simulated::default()
    };
    let (_, outcome) = told_before_each(task(&["1", "2", "3", "4"]), &mut database);
    let message = outcome.message();
    assert!(
        message.contains(
            "The version under way was 2 t, and those up to 4 may have been sent along with it. 1 was committed in this run;"
        ),
        "{message}"
    );
}
