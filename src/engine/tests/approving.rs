//! Which plans wait for an approval, and which the policy forbids.

use super::*;

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
