//! Plans that the caller holds, for a reason that no database knows.

use std::future::ready;
use std::sync::Mutex;

use super::super::*;
use crate::engine::event::Pause;
use crate::engine::hold::{Opening, OutsideWindow};
use crate::engine::review::ReviewedScript;
use crate::engine::{Conditions, run_under};

/// Answers in order; afterwards nothing is held.
#[derive(Default)]
struct Held {
    may_run: Mutex<VecDeque<bool>>,
    closed: Mutex<VecDeque<bool>>,
    /// How many scripts each question was about.
    asked: Mutex<Vec<usize>>,
}

impl Held {
    fn held(answers: &Mutex<VecDeque<bool>>, scripts: &[ReviewedScript]) -> Option<Box<Hold>> {
        let held = answers.lock().unwrap().pop_front().unwrap_or_default();
        held.then(|| outside(scripts))
    }
}

impl Conditions for Held {
    fn hold(&self, scripts: &[ReviewedScript]) -> impl Future<Output = Option<Box<Hold>>> + Send {
        self.asked.lock().unwrap().push(scripts.len());
        ready(Self::held(&self.may_run, scripts))
    }

    fn closed(&self, scripts: &[ReviewedScript]) -> Option<Box<Hold>> {
        Self::held(&self.closed, scripts)
    }
}

fn outside(scripts: &[ReviewedScript]) -> Box<Hold> {
    Box::new(Hold::Window(OutsideWindow::new(
        scripts,
        Some(Opening {
            at: "2026-03-07T01:00:00Z".parse().unwrap(),
            local: "Sat 2026-03-07 02:00 Europe/Berlin".to_owned(),
        }),
    )))
}

impl crate::engine::database::Database for Simulated {
    async fn perform(&mut self, request: &Request) -> Result<Observation, DatabaseError> {
        self.answer(request)
    }
}

fn reviewed(names: &[&str]) -> Task {
    reviewed_task(names, RequiredApproval::Never, None)
}

async fn run_held(held: &Held, task: Task, database: &mut Simulated) -> Outcome {
    run_under(held, database, task, || true, |_| ()).await
}

#[tokio::test]
async fn a_plan_that_is_held_takes_no_lock() {
    let held = Held {
        may_run: Mutex::new([true].into()),
        ..Held::default()
    };
    let mut database = Simulated::default();
    let outcome = run_held(&held, reviewed(&["1", "2"]), &mut database).await;
    assert_eq!(database.asked, ["inspect"]);
    assert_eq!(
        outcome.message(),
        "The plan to apply 1 to 2, 2 versions, 2 statements, waits for the window that opens 2026-03-07T01:00:00Z \
         (Sat 2026-03-07 02:00 Europe/Berlin), by spec.windows. Nothing was changed; the database has no version \
         yet. It runs then by itself; to run it sooner, change spec.windows."
    );
    assert!(outcome.reviewed().is_some(), "status shows what would run");
}

#[tokio::test]
async fn a_plan_is_asked_for_again_under_the_lock() {
    let held = Held {
        may_run: Mutex::new([false, true].into()),
        ..Held::default()
    };
    let mut database = Simulated::default();
    let outcome = run_held(&held, reviewed(&["1"]), &mut database).await;
    assert_eq!(database.asked, ["inspect", "lock", "inspect"]);
    assert!(matches!(outcome.stop(), Some(Stop::Held(_))));
}

#[tokio::test]
async fn a_run_that_is_held_in_the_middle_begins_no_other_version() {
    let held = Held {
        closed: Mutex::new([false, true].into()),
        ..Held::default()
    };
    let mut database = Simulated::default();
    let outcome = run_held(&held, reviewed(&["1", "2", "3"]), &mut database).await;
    assert_eq!(database.applied(), ["1"]);
    assert_eq!(
        outcome.message(),
        "The plan to apply 2 to 3, 2 versions, 2 statements, waits for the window that opens 2026-03-07T01:00:00Z \
         (Sat 2026-03-07 02:00 Europe/Berlin), by spec.windows. 1 t was applied and is recorded; the database is \
         at 1. It runs then by itself; to run it sooner, change spec.windows."
    );
}

/// The next look does not take what is left of it for what was approved.
#[tokio::test]
async fn what_is_left_of_an_approved_way_back_says_that_it_waits_for_another_approval() {
    use RequiredApproval::{Down, Never};
    let back = |required, approved| reviewed_task(&["1"], required, approved);
    for (required, then) in [
        (
            Down,
            "What is left of a way back is another plan than the one that was approved: it waits for a new approval, \
             and runs in a window",
        ),
        (Never, "It runs then by itself"),
    ] {
        let free = Held::default();
        let mut database = Simulated::default();
        run_held(&free, reviewed(&["1", "2", "3"]), &mut database).await;
        let planned = run_held(&free, back(Down, None), &mut database).await;
        let approved = Some(awaited(&planned));
        let held = Held {
            closed: Mutex::new([false, true].into()),
            ..Held::default()
        };
        let outcome = run_held(&held, back(required, approved), &mut database).await;
        assert_eq!(
            outcome.message(),
            format!(
                "The plan to undo 2 t, 1 statement, 1 destructive, waits for the window that opens 2026-03-07T01:00:00Z (Sat \
                 2026-03-07 02:00 Europe/Berlin), by spec.windows. 3 t was undone and is recorded; the database is \
                 at 2. {then}; to run it sooner, change spec.windows."
            )
        );
        let stop = outcome.stop();
        let Some(Stop::Held(left)) = stop else {
            panic!("{stop:?}");
        };
        assert_eq!(left.leaves_another_plan(), required == Down);
        if required == Down {
            awaited(&run_held(&free, back(Down, approved), &mut database).await);
        }
    }
}

#[tokio::test]
async fn a_plan_that_is_held_says_what_is_begun() {
    let mut database = Simulated {
        fail_at: Some(6),
        ..Simulated::default()
    };
    run(mixed("SELECT 1"), &mut database);
    database.fail_at = None;
    for (may_run, begun) in [
        // Without the lock, whoever began it may be at it now.
        (vec![true], "1 is begun and not recorded"),
        (
            vec![false, true],
            "1 was begun by an earlier one and is not finished",
        ),
    ] {
        let held = Held {
            may_run: Mutex::new(may_run.into()),
            ..Held::default()
        };
        let task = Task {
            review: reviewed(&[]).review,
            ..mixed("SELECT 1")
        };
        let message = run_held(&held, task, &mut database).await.message();
        let said = format!(
            ". Nothing was changed in this run; {begun} (statement 1 is done, 2 was started); the database has no \
             version yet. It runs then"
        );
        assert!(message.contains(&said), "{message}");
    }
}

/// Says nothing for ever.
struct Silent;

impl Conditions for Silent {
    fn hold(&self, _: &[ReviewedScript]) -> impl Future<Output = Option<Box<Hold>>> + Send {
        std::future::pending()
    }

    fn closed(&self, _: &[ReviewedScript]) -> Option<Box<Hold>> {
        None
    }
}

#[tokio::test]
async fn a_run_ends_although_what_it_waits_for_does_not_answer() {
    let mut database = Simulated::default();
    let outcome = run_under(&Silent, &mut database, reviewed(&["1"]), || false, |_| ()).await;
    assert!(matches!(outcome.end(), End::Interrupted));
    assert_eq!(database.asked, ["inspect"]);
}

#[tokio::test]
async fn nobody_is_asked_where_nothing_runs_or_nobody_reviews() {
    let held = Held::default();
    let mut database = Simulated::default();
    run_held(&held, task(&["1"]), &mut database).await;
    assert_eq!(*held.asked.lock().unwrap(), [0; 0], "the command line");
    // Who owns it is written down, and nothing runs.
    run_held(&held, reviewed(&["1"]), &mut database).await;
    run_held(&held, reviewed(&["1"]), &mut database).await;
    assert_eq!(*held.asked.lock().unwrap(), [0; 0], "at the target");
    run_held(&held, reviewed(&["1", "2"]), &mut database).await;
    assert_eq!(*held.asked.lock().unwrap(), [1, 1]);
    let undone = run_held(&held, reviewed(&["1"]), &mut database).await;
    assert!(matches!(undone.end(), End::Reached));
    assert_eq!(*held.asked.lock().unwrap(), [1, 1, 1, 1], "a way back, too");
}

/// A version that was rolled back for its locks is begun anew; that is held, too.
#[test]
fn a_pause_may_end_with_the_window_closed() {
    let mut database = Simulated {
        script_answers: [Observation::LockNotAvailable(Vec::new())].into(),
        ..Simulated::default()
    };
    let mut machine = Machine::new(reviewed(&["1"]));
    let mut event = Event::Begin;
    let outcome = loop {
        event = match machine.step(event) {
            Next::Ask(request) => {
                Event::Observed(Box::new(database.answer(&request).expect("no faults")))
            }
            Next::Pause(Pause::BeforeRetry { is_under_way, .. }) => {
                assert!(!is_under_way);
                Event::Held(outside(machine.left()))
            }
            Next::Pause(Pause::ForLock { .. }) => panic!("the lock is free"),
            Next::MayRun | Next::Checkpoint(_) => Event::Continue,
            Next::Judge(scripts) => super::super::judged(scripts),
            Next::Done(outcome) => break outcome,
        };
    };
    assert!(matches!(outcome.stop(), Some(Stop::Held(_))));
    assert!(outcome.under_way().is_none());
    assert_eq!(database.applied(), [""; 0]);
}
