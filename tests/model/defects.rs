//! A model that cannot fail shows nothing: with each of these defects an invariant does not hold.

use super::exhaustive::{alike, two};
use super::invariants::Invariant;
use super::scenario::{Defect, Faults, Part, Scenario};
use super::{search, texts};

/// The shortest way to what does not hold.
fn fails(scenario: Scenario, defect: Defect) -> Invariant {
    let scenario = Scenario {
        defect: Some(defect),
        faults: Faults {
            crashes: 1,
            losses: 1,
            ..Faults::default()
        },
        ..scenario
    };
    match search::shortest(&scenario) {
        Some(found) => {
            println!("{defect:?}: {found}");
            found.violation.invariant
        }
        None => panic!("{defect:?} in \"{}\": all invariants hold", scenario.name),
    }
}

fn up() -> Scenario {
    alike("two go up", &Part::up_to(2))
}

fn up_and_back() -> Scenario {
    let (up, back) = (Part::up_to(2), Part::up_to(2).back_to(1));
    two("one goes up, one back", &up, &back)
}

#[test]
fn a_lock_that_everybody_gets() {
    assert_eq!(fails(up(), Defect::LockIsShared), Invariant::NeverTwo);
}

#[test]
fn a_lock_on_another_connection() {
    assert_eq!(fails(up(), Defect::LockElsewhere), Invariant::NeverTwo);
}

#[test]
fn a_record_that_is_committed_apart() {
    let found = fails(up(), Defect::RecordApart);
    assert_eq!(found, Invariant::EffectsAndRecord);
}

#[test]
fn a_version_that_is_sent_again_blindly() {
    assert_eq!(fails(up(), Defect::BlindRetry), Invariant::AtMostOnce);
}

#[test]
fn a_look_at_an_old_snapshot() {
    let found = fails(up(), Defect::OldSnapshot);
    assert_eq!(found, Invariant::AtMostOnce);
}

#[test]
fn a_pooler_that_switches_sessions() {
    let found = fails(up_and_back(), Defect::Pooler);
    assert_eq!(found, Invariant::AtMostOnce);
}

#[test]
fn a_statement_that_the_journal_does_not_know() {
    for text in [texts::INDEX, texts::UNPROVABLE] {
        let part = Part::up_to(1).with(1, text);
        let found = fails(alike("two go up", &part), Defect::NoIntent);
        assert_eq!(found, Invariant::EffectsAndRecord);
    }
}

#[test]
fn a_look_that_shows_what_was_there_before() {
    let part = Part::up_to(1).with(1, texts::INDEX);
    let found = fails(alike("two go up", &part), Defect::OldEvidence);
    assert_eq!(found, Invariant::EffectsAndRecord);
}
