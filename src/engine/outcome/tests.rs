//! What a message says of a version that an earlier run began.

use jiff::Timestamp;

use super::*;
use crate::engine::check::{CheckFailure, CheckProblem, Moment};
use crate::engine::error::{DatabaseErrorKind, Doubt, ScriptFailureKind};
use crate::engine::hold::{GateNotMet, OutsideWindow};
use crate::migration::begun::{Begun, Entry, EntryState};
use crate::migration::blocked::BegunProblem;
use crate::migration::checksum::Checksum;

fn version(text: &str) -> Version {
    Version::parse(text).expect("digits")
}

/// What the journal has of 002: its first statement.
fn begun(direction: Direction, state: EntryState) -> Begun {
    Begun {
        version: version("002"),
        direction,
        entries: vec![Entry {
            first: 1,
            last: 1,
            checksum: Checksum::of(b"one"),
            state,
            before: None,
        }],
    }
}

/// A run that did nothing, on a database where 002 was begun.
fn outcome(end: End, begun: Begun) -> Outcome {
    let mut history = History::new(Vec::new(), Vec::new()).expect("an empty one");
    history.set_begun(Some(begun));
    Outcome {
        is_locked: true,
        history: Some(history),
        end,
        ..Outcome::unseen(false)
    }
}

fn failure(kind: ScriptFailureKind) -> ScriptFailure {
    ScriptFailure {
        kind,
        version: version("002"),
        name: "index".to_owned(),
        direction: Direction::Up,
        statement: Some(2),
        position: None,
        sqlstate: None,
        message: "no".to_owned(),
        outside_transaction: true,
        by_hand: None,
    }
}

/// The number of a stop in the table below; a new one wants a row there.
fn number(stop: &Stop) -> usize {
    match stop {
        Stop::Blocked(_) => 0,
        Stop::Held(_) => 1,
        Stop::Script(_) => 2,
        Stop::InDoubt(_) => 3,
        Stop::Database(_) => 4,
        Stop::Claimed(_) => 5,
        Stop::Refused(_) => 6,
        Stop::DoesNotFit(_) => 7,
        Stop::LockHeld(_) => 8,
        Stop::PreviousRunStillActive(_) => 9,
        Stop::LockTimeout(_) => 10,
        Stop::ChecksFailed(_) => 11,
        Stop::Unusable { .. } => 12,
    }
}

fn stops() -> Vec<Stop> {
    let owner = |name: &str| Owner {
        cluster: "c".to_owned(),
        namespace: "web".to_owned(),
        name: name.to_owned(),
        uid: String::new(),
    };
    let held = || LockHeld {
        holder: None,
        waited_seconds: 3,
    };
    let checks = |moment| {
        Stop::ChecksFailed(Box::new(ChecksFailed {
            moment,
            failures: vec![CheckFailure {
                name: "rows".to_owned(),
                problem: CheckProblem::Hidden,
            }],
            asked: 1,
        }))
    };
    let window = Hold::Window(OutsideWindow::new(&[], None));
    let gate = Hold::Gate(GateNotMet::new(&[], vec!["no backup".to_owned()], false));
    vec![
        Stop::Blocked(Blocked::UnknownTarget(version("009"))),
        Stop::Blocked(Blocked::VersionMissing(vec![version("001")])),
        Stop::Blocked(Blocked::Begun {
            begun: begun(Direction::Up, EntryState::Done),
            problem: BegunProblem::Gone,
        }),
        Stop::Held(Box::new(window)),
        Stop::Held(Box::new(gate)),
        Stop::Script(Box::new(failure(ScriptFailureKind::Failed))),
        Stop::InDoubt(Box::new(InDoubt {
            version: version("002"),
            name: "index".to_owned(),
            direction: Direction::Up,
            statement: 2,
            position: None,
            words: "VACUUM".to_owned(),
            checksum: Checksum::of(b"two"),
            why: Doubt::Unheard,
        })),
        Stop::Database(DatabaseError::new(
            DatabaseErrorKind::PermissionDenied,
            "Role \"u\" lacks rights. Nothing was changed.",
        )),
        Stop::Database(DatabaseError::new(
            DatabaseErrorKind::LockLost,
            "The lock is gone.",
        )),
        Stop::Claimed(Box::new(Claimed {
            owner: owner("shop"),
            wanted: owner("store"),
        })),
        Stop::Refused(Box::new(Refusal::NotInDoubt(version("001")))),
        Stop::DoesNotFit(DoesNotFit {
            version: version("002"),
            column: "name",
            needed: 9,
            available: 3,
        }),
        Stop::LockHeld(held()),
        Stop::PreviousRunStillActive(held()),
        Stop::LockTimeout(LockTimeout {
            version: version("002"),
            name: "index".to_owned(),
            attempts: 3,
            blockers: Vec::new(),
        }),
        checks(Moment::Before),
        checks(Moment::After),
        Stop::Unusable {
            version: version("002"),
            direction: Direction::Up,
            defects: Vec::new(),
        },
    ]
}

/// What a version says that this run went on with, as [`Outcome::remains`] has it.
const REMAINS: &str = "Statement 1 is done and kept; 002 is not recorded";

#[test]
fn no_message_is_silent_about_a_version_that_is_half_done() {
    let mut met = [false; 13];
    for stop in stops() {
        met[number(&stop)] = true;
        let goes_on = matches!(
            stop,
            Stop::Script(_) | Stop::InDoubt(_) | Stop::LockTimeout(_)
        );
        let mut outcome = outcome(End::Stopped(stop), begun(Direction::Up, EntryState::Done));
        outcome.remains = goes_on.then(|| REMAINS.to_owned());
        let message = outcome.message();
        assert_eq!(
            message
                .to_lowercase()
                .matches("statement 1 is done")
                .count(),
            1,
            "{message}"
        );
        for untrue in ["Nothing of 002 was applied", "Nothing of it was run;"] {
            assert!(!message.contains(untrue), "{message}");
        }
    }
    assert_eq!(met, [true; 13], "a stop without a row");
    for end in [End::Interrupted, End::Planned] {
        let message = outcome(end, begun(Direction::Up, EntryState::Done)).message();
        assert!(
            message.ends_with(
                " 002 was begun by an earlier run and is not finished: statement 1 is done."
            ),
            "{message}"
        );
    }
}

#[test]
fn what_is_half_done_is_said_as_far_as_it_is_known() {
    let said = |direction, state| {
        let held = LockHeld {
            holder: None,
            waited_seconds: 0,
        };
        outcome(End::Stopped(Stop::LockHeld(held)), begun(direction, state)).message()
    };
    let stop = "Another run migrates this database: the migration lock is held by another session. Nothing was \
                changed.";
    for (direction, state, expected) in [
        (
            Direction::Up,
            EntryState::Started,
            "002 was begun by an earlier run and is not finished: statement 1 was started.",
        ),
        (
            Direction::Down,
            EntryState::Done,
            "The DOWN of 002 was begun by an earlier run and is not finished: statement 1 is done.",
        ),
        (
            Direction::Up,
            EntryState::Escaped,
            "002 was begun by an earlier run and is not finished: it ended the transaction that it ran in, so a part \
             of it may be in the database.",
        ),
    ] {
        assert_eq!(said(direction, state), format!("{stop} {expected}"));
    }
}

#[test]
fn what_is_seen_without_the_lock_may_be_a_live_runs() {
    let held = LockHeld {
        holder: None,
        waited_seconds: 0,
    };
    for end in [End::Stopped(Stop::LockHeld(held)), End::Planned] {
        let mut beside = outcome(end, begun(Direction::Down, EntryState::Done));
        beside.is_locked = false;
        let message = beside.message();
        let said = " The DOWN of 002 is begun and not recorded: statement 1 is done.";
        assert!(message.ends_with(said), "{message}");
        assert!(!message.contains("earlier run"), "{message}");
    }
}

#[test]
fn what_this_run_did_is_not_said_to_be_an_earlier_ones() {
    let mut over = outcome(End::Interrupted, begun(Direction::Up, EntryState::Done));
    over.remains = Some(REMAINS.to_owned());
    over.done.push(Done {
        version: version("001"),
        name: "one".to_owned(),
        direction: Direction::Up,
        at: Timestamp::UNIX_EPOCH,
        execution_time_ms: 1,
    });
    assert!(
        !over.message().contains("earlier run"),
        "{}",
        over.message()
    );
}

#[test]
fn no_message_denies_what_the_run_committed() {
    let done = Done {
        version: version("001"),
        name: "one".to_owned(),
        direction: Direction::Up,
        at: Timestamp::UNIX_EPOCH,
        execution_time_ms: 1,
    };
    for stop in stops() {
        let mut outcome = outcome(End::Stopped(stop), begun(Direction::Up, EntryState::Done));
        outcome.history = History::new(Vec::new(), Vec::new()).ok();
        outcome.is_locked = false;
        let of_nothing = outcome.message();
        assert!(!of_nothing.contains("Before that"), "{of_nothing}");
        let denies = |message: &str| {
            [
                "Nothing was changed",
                "nothing was changed",
                "was not changed",
            ]
            .iter()
            .any(|said| message.contains(said))
        };
        for (prepared, done, said) in [
            (Some("x was y"), None, "x was y"),
            (None, Some(&done), "001 one was applied"),
            (
                Some("x was y"),
                Some(&done),
                "x was y and 001 one was applied",
            ),
        ] {
            outcome.prepared = prepared.map(str::to_owned);
            outcome.done = done.into_iter().cloned().collect();
            let message = outcome.message();
            assert!(!denies(&message), "{message}");
            let sentence = format!(" Before that, {said} in this run, and that stays.");
            // Where a run was held, its message says by itself which versions ran.
            let by_itself = message.contains("is recorded;");
            assert!(
                by_itself || message.ends_with(&sentence) == denies(&of_nothing),
                "{message}"
            );
        }
    }
}

#[test]
fn what_others_said_stays_as_they_said_it() {
    let raised =
        "Nothing was changed. orders since Friday; Nothing was changed in it; nothing was changed.";
    let mut failed = failure(ScriptFailureKind::Failed);
    failed.message = raised.to_owned();
    let by_server = |text: String| {
        Stop::Database(DatabaseError {
            sqlstate: Some("P0001".to_owned()),
            ..DatabaseError::new(DatabaseErrorKind::Internal, text)
        })
    };
    for (stop, is_ours) in [
        (Stop::Script(Box::new(failed)), false),
        (
            by_server(format!("Bookkeeping failed: {raised} (P0001).")),
            false,
        ),
        (
            by_server(format!(
                "Bookkeeping failed: {raised} (P0001). Nothing was changed. Check it."
            )),
            true,
        ),
    ] {
        let mut outcome = outcome(End::Stopped(stop), begun(Direction::Up, EntryState::Done));
        outcome.prepared = Some("x was y".to_owned());
        let message = outcome.message();
        assert!(message.contains(raised), "{message}");
        let mended = message.contains("Nothing else was changed. Check it.");
        assert_eq!(mended, is_ours, "{message}");
        assert_eq!(
            message.contains("Before that, x was y"),
            is_ours,
            "{message}"
        );
    }
}

#[test]
fn an_earlier_run_that_waits_is_not_the_one_to_end() {
    use crate::engine::sessions::{Blocker, Holder, LockOwner};
    let idle = Blocker {
        owner: LockOwner::Session {
            pid: 4712,
            application_name: "psql".to_owned(),
            state: Some("idle in transaction".to_owned()),
        },
        user: "ann".to_owned(),
        held_seconds: None,
        relation: None,
    };
    for (waits_for, end) in [
        (vec![], " To end it: SELECT pg_terminate_backend(77)."),
        (vec![vec![idle]], ": SELECT pg_terminate_backend(4712)."),
    ] {
        let held = LockHeld {
            holder: Some(Box::new(Holder {
                pid: 77,
                application_name: "schemaward/operator".to_owned(),
                user: "app".to_owned(),
                connected_seconds: None,
                state: None,
                is_same_identity: true,
                waits_for,
            })),
            waited_seconds: 0,
        };
        let message = Stop::PreviousRunStillActive(held);
        let message = outcome(
            End::Stopped(message),
            begun(Direction::Up, EntryState::Done),
        )
        .message();
        assert!(message.contains(end), "{message}");
        assert_eq!(message.matches("pg_terminate_backend").count(), 1);
    }
}

#[test]
fn what_was_not_read_is_no_empty_history() {
    let lost = DatabaseError::new(DatabaseErrorKind::ConnectionLost, "The connection is gone.");
    let mut outcome = Outcome {
        under_way: Some(UnderWay {
            version: version("002"),
            name: "index".to_owned(),
            direction: Direction::Up,
            up_to: None,
        }),
        end: End::Stopped(Stop::Database(lost)),
        ..Outcome::unseen(false)
    };
    let said = "The connection is gone. The version under way was 002 index; ";
    assert_eq!(
        outcome.message(),
        format!("{said}the history was not read.")
    );
    outcome.history = Some(History::empty());
    assert_eq!(
        outcome.message(),
        format!("{said}before it, the database had no version yet.")
    );
}
