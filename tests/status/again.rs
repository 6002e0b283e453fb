//! What is counted from attempt to attempt, and what is news.

use super::*;

#[test]
fn a_resource_at_rest_is_not_written_again() {
    for scene in [
        Scene::default(),
        failing(),
        Scene {
            claimed: true,
            ..Scene::default()
        },
        Scene {
            texts: vec![("041", "SELECT 0")],
            ..Scene::default()
        },
        Scene {
            missing_grants: vec!["GRANT CREATE ON SCHEMA public TO ledger;".to_owned()],
            ..Scene::default()
        },
    ] {
        let mut resource = Resource::new();
        resource.attempt(&scene, at(0));
        let applied = Scene {
            applied: resource
                .status
                .history
                .iter()
                .rev()
                .map(|row| match row.version.as_str() {
                    "041" => "041",
                    "042" => "042",
                    "043" => "043",
                    _ => "044",
                })
                .collect(),
            ..scene
        };
        resource.attempt(&applied, at(600));
        let before = resource.status.clone();
        for hour in 1..5 {
            resource.attempt(&applied, at(hour * 3600));
            assert_eq!(resource.status, before);
        }
    }
    for kind in [
        DereferenceErrorKind::SecretNotFound,
        DereferenceErrorKind::AccessDenied,
    ] {
        let waiting = Attempt::Waiting(DereferenceError {
            kind,
            message: "Secret ledger-db does not exist. Create it.".to_owned(),
        });
        let mut resource = Resource::new();
        resource.report(&Mode::Migrate, &waiting, at(0));
        resource.report(&Mode::Migrate, &waiting, at(130));
        let before = resource.status.clone();
        resource.report(&Mode::Migrate, &waiting, at(4000));
        assert_eq!(resource.status, before);
    }
}

#[test]
fn another_cause_is_news_and_another_count_is_none() {
    let mut resource = Resource::new();
    resource.attempt(&failing(), at(0));
    let before = resource.status.clone();
    resource.attempt(&failing(), at(600));
    assert!(!is_news(Some(&before), &resource.status));
    let mended = Scene {
        texts: vec![("042", "SELECT 'mended'")],
        ..failing()
    };
    resource.attempt(&mended, at(700));
    assert_eq!(resource.ready().reason, "MigrationFailed");
    assert!(
        is_news(Some(&before), &resource.status),
        "it failed once more"
    );

    let blocked = Scene {
        answer: Answer::NoLocks,
        ..Scene::default()
    };
    let mut resource = Resource::new();
    resource.attempt(&blocked, at(0));
    let before = resource.status.clone();
    assert!(is_news(None, &before));
    resource.attempt(&blocked, at(30));
    assert_ne!(resource.status, before);
    assert!(!is_news(Some(&before), &resource.status));
}

#[test]
fn troubles_that_take_turns_are_counted_on() {
    let mut resource = Resource::new();
    let answers = [
        Answer::Error(DatabaseErrorKind::Unreachable),
        Answer::Error(DatabaseErrorKind::ConnectionLost),
        Answer::Error(DatabaseErrorKind::TooManyConnections),
    ];
    for (answer, attempt) in answers.into_iter().zip(1..) {
        let scene = Scene {
            answer,
            ..Scene::default()
        };
        resource.attempt(&scene, at(i64::from(attempt) * 60));
        assert_eq!(resource.memory.attempts(), attempt);
        let since = resource.memory.since();
        assert_eq!(since, Some(at(i64::from(attempt) * 60)));
    }
    resource.attempt(&Scene::default(), at(400));
    assert_eq!(resource.memory.attempts(), 1);
}

#[test]
fn what_can_heal_is_counted_and_says_when_it_is_tried_again() {
    let mut resource = Resource::new();
    let blocked = Scene {
        answer: Answer::NoLocks,
        ..Scene::default()
    };
    for (attempt, seconds) in [(1, 0), (2, 30), (3, 90)] {
        resource.attempt(&blocked, at(seconds));
        let failure = resource.status.failure.clone().expect("a failure");
        assert_eq!(
            (failure.attempts, failure.version.as_deref()),
            (Some(attempt), Some("042"))
        );
        assert_eq!(failure.first_time.get(), at(0));
        assert!(
            failure
                .next_retry_time
                .is_some_and(|next| next.get() > at(seconds))
        );
        let reconciling = resource
            .condition("Reconciling")
            .expect("it goes on by itself");
        assert_eq!(reconciling.reason, "ProgressingWithRetry");
        assert_eq!(reconciling.last_transition_time.get(), at(0));
        resource.restart_operator();
    }
    resource.attempt(&Scene::default(), at(100));
    assert_eq!(resource.memory.attempts(), 1);
    assert_eq!(resource.ready().last_transition_time.get(), at(100));
}

#[test]
fn times_of_conditions_change_only_with_their_status() {
    let mut resource = Resource::new();
    resource.attempt(&failing(), at(0));
    resource.generation = 4;
    resource.attempt(
        &Scene {
            claimed: true,
            ..Scene::default()
        },
        at(50),
    );
    assert_eq!(resource.ready().reason, "DatabaseClaimed");
    for condition in &resource.status.conditions {
        assert_eq!(
            condition.last_transition_time.get(),
            at(0),
            "{}",
            condition.type_
        );
        assert_eq!(condition.observed_generation, Some(4));
    }
}
