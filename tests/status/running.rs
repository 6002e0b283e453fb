//! What a run in the middle shows.

use super::*;

#[test]
fn a_run_in_the_middle_says_where_it_is() {
    let mut running = begun(&Scene::default());
    let mut resource = Resource::new();
    resource.running(&running, at(0));
    assert_eq!(resource.ready().message, "Applying 3 versions: 042 to 044.");
    assert_eq!(resource.ready().reason, "Applying");
    assert_eq!(
        resource.condition("Reconciling").map(|c| c.reason.as_str()),
        Some("Applying")
    );

    running.finished = 1;
    running.current = Some((version("043"), "v043".to_owned(), Direction::Up));
    resource.running(&running, at(1));
    assert_eq!(
        resource.ready().message,
        "Applying 3 versions: 042 to 044; 1 done, 043 v043 runs."
    );
    assert_eq!(resource.status.current_version.as_deref(), Some("042"));
    assert_eq!(resource.status.pending_count, Some(2));

    // The next attempt is no other news than the wait for it.
    for (seconds, end) in [(Some(40), "in 40 s"), (None, "runs")] {
        running.waiting = Some(Waiting {
            held: "a lock on public.orders held for 12 min by pid 4711".to_owned(),
            remains: None,
            attempt: 4,
            attempts: 11,
            seconds,
        });
        resource.running(&running, at(2));
        let words = format!(
            "043 v043 waits for a lock on public.orders held for 12 min by pid 4711. Nothing of 043 was \
             applied. Attempt 4 of 11 {end}."
        );
        assert_eq!(resource.ready().message, words);
        assert_eq!(resource.ready().reason, "LockTimeout");
    }

    // Of a version in parts, those before stay.
    let waiting = running.waiting.as_mut().expect("it waits");
    waiting.remains = Some("Statement 1 is done and kept; 043 is not recorded".to_owned());
    resource.running(&running, at(3));
    assert_eq!(
        resource.ready().message,
        "043 v043 waits for a lock on public.orders held for 12 min by pid 4711. Statement 1 is done and kept; 043 is \
         not recorded. Attempt 4 of 11 runs."
    );
}

#[test]
fn a_version_that_runs_for_long_says_how_far_it_is() {
    let plan = Scene::default().outcome().plan().cloned().expect("a plan");
    let activity = Activity {
        since: at(-100),
        waits_for: Vec::new(),
        index_build: Some(IndexBuild {
            phase: "building index: scanning table".to_owned(),
            percent: Some(43),
            lockers: None,
            current_locker: None,
        }),
    };
    let mut running = Running {
        plan,
        finished: 0,
        current: Some((version("042"), "v042".to_owned(), Direction::Up)),
        waiting: None,
        activity: Some(activity.clone()),
    };
    let mut resource = Resource::new();
    resource.running(&running, at(0));
    let expected = json!({
        "version": "042",
        "startTime": at(-100),
        "phase": "building index: scanning table",
        "percent": 43,
    });
    assert_eq!(json!(resource.status.progress), expected);

    // However long it has been held: the same lock is no news.
    let blocker = Blocker {
        owner: LockOwner::Session {
            pid: 4711,
            application_name: "report".to_owned(),
            state: Some("idle in transaction".to_owned()),
        },
        user: "ledger".to_owned(),
        held_seconds: Some(50),
        relation: Some("public.orders".to_owned()),
    };
    for held_seconds in [50, 60] {
        running.activity = Some(Activity {
            waits_for: vec![Blocker {
                held_seconds: Some(held_seconds),
                ..blocker.clone()
            }],
            index_build: None,
            ..activity.clone()
        });
        resource.running(&running, at(held_seconds));
        assert_eq!(
            json!(resource.status.progress)["waitsFor"],
            "a lock on public.orders held by pid 4711 (app \"report\", role \"ledger\", idle in \
             transaction)"
        );
    }
    running.activity = None;
    resource.running(&running, at(70));
    assert_eq!(resource.status.progress, None);
}

#[test]
fn a_way_back_says_so() {
    let scene = Scene {
        applied: vec!["041", "042", "043"],
        target: Some("041"),
        rollback: Rollback::Allow,
        mode: Mode::Plan,
        ..Scene::default()
    };
    let running = begun(&scene);
    let mut resource = Resource::new();
    resource.running(&running, at(0));
    assert_eq!(resource.ready().message, "Undoing 2 versions: 043 to 042.");
    assert_eq!(resource.ready().reason, "RollingBack");
}
