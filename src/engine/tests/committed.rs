//! What a run says that committed something and then stopped at what it saw.

use super::*;

/// Somebody else claims the history between the preparation and the look behind it.
fn overtaken(wanted: Task, database: &mut Simulated) -> String {
    database.claimed_meanwhile = Some(owner("other", "2"));
    let wanted = Task {
        actor: Actor::Resource(owner("shop", "1")),
        ..wanted
    };
    let outcome = run(wanted, database);
    assert!(
        matches!(outcome.stop(), Some(Stop::Claimed(_))),
        "{}",
        outcome.message()
    );
    outcome.message()
}

#[test]
fn a_stop_behind_the_preparation_says_what_that_committed() {
    let said = overtaken(task(&["1"]), &mut Simulated::default());
    assert!(
        said.contains(" Nothing else was changed. If that one is gone"),
        "{said}"
    );
    assert!(
        said.ends_with(" Before that, the history was made ready in this run, and that stays."),
        "{said}"
    );

    let row = |text: &str| Applied {
        version: version(text),
        name: "t".to_owned(),
        applied_at: None,
        execution_time_ms: None,
        checksum: None,
        stored: None,
    };
    let mut database = Simulated {
        ledger_exists: true,
        history: History::new(vec![row("1"), row("2")], Vec::new()).expect("a history"),
        ..Simulated::default()
    };
    let said = overtaken(task(&["1", "2", "3"]), &mut database);
    let adopted = " Before that, 2 rows of the history were adopted in this run, and that stays.";
    assert!(said.ends_with(adopted), "{said}");

    let mut wanted = task(&["1", "2"]);
    wanted.policy.baseline = Some(version("1"));
    let said = overtaken(wanted, &mut Simulated::default());
    let recorded =
        " Before that, 1 version was recorded as the baseline in this run, and that stays.";
    assert!(said.ends_with(recorded), "{said}");
}

#[test]
fn a_look_that_does_not_bear_what_it_sees_behind_a_commit_says_so_too() {
    let mut machine = Machine::new(task(&["1"]));
    let mut database = Simulated::default();
    let mut event = Event::Begin;
    let outcome = loop {
        event = match machine.step(event) {
            Next::Ask(request) => Event::Observed(Box::new(match *request {
                Request::Prepare(_) => Observation::CommittedUnseen(DatabaseError::new(
                    DatabaseErrorKind::HistoryUnreadable,
                    "The history cannot be read: no. Nothing was changed. Mend that row.",
                )),
                request => database.answer(&request).expect("an answer"),
            })),
            Next::Done(outcome) => break outcome,
            _ => Event::Continue,
        };
    };
    assert_eq!(
        outcome.message(),
        "The history cannot be read: no. Nothing else was changed. Mend that row. Before that, the history was made \
         ready in this run, and that stays."
    );
}

#[test]
fn what_a_server_says_of_a_later_version_does_not_deny_those_before_it() {
    let mut database = Simulated::default();
    run(task(&["1"]), &mut database);
    let mut machine = Machine::new(task(&["1", "2", "3"]));
    let mut event = Event::Begin;
    let outcome = loop {
        event = match machine.step(event) {
            Next::Ask(request) if label(&request) == "apply 3" => Event::Failed(DatabaseError {
                sqlstate: Some("25006".to_owned()),
                ..DatabaseError::new(
                    DatabaseErrorKind::ReadOnlyReplica,
                    "The server takes no changes. Nothing was changed. Connect to the primary.",
                )
            }),
            Next::Ask(request) => {
                Event::Observed(Box::new(database.answer(&request).expect("an answer")))
            }
            Next::Done(outcome) => break outcome,
            _ => Event::Continue,
        };
    };
    assert_eq!(
        outcome.message(),
        "The server takes no changes. Nothing else was changed. Connect to the primary. Before that, 2 t was applied \
         in this run, and that stays."
    );
}
