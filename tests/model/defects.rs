//! A model that cannot fail shows nothing: with each of these defects an invariant does not hold.

use schemaward::engine::decision::Verdict;

use super::exhaustive::{alike, two};
use super::invariants::Invariant;
use super::scenario::{Defect, Faults, Part, Scenario};
use super::{decided, search, texts};

/// The shortest way to what does not hold, with a crash and a loss.
fn fails(scenario: Scenario, defect: Defect) -> Invariant {
    let faults = Faults {
        crashes: 1,
        losses: 1,
        ..Faults::default()
    };
    fails_as_it_is(Scenario { faults, ..scenario }, defect)
}

/// The shortest way to what does not hold, with the faults of the scenario.
fn fails_as_it_is(scenario: Scenario, defect: Defect) -> Invariant {
    let scenario = Scenario {
        defect: Some(defect),
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

#[test]
fn what_building_an_index_anew_leaves_and_nobody_sees() {
    let part = Part::up_to(1).with(1, texts::REINDEX);
    let found = fails(alike("two go up", &part), Defect::OldEvidence);
    assert_eq!(found, Invariant::EffectsAndRecord);
}

#[test]
fn a_detach_that_was_begun_and_nobody_sees() {
    let part = Part::up_to(1).with(1, texts::DETACH);
    let scenario = Scenario {
        must_reach: false,
        ..alike("two go up", &part)
    };
    let found = fails(scenario, Defect::OldEvidence);
    assert_eq!(found, Invariant::Ends);
}

#[test]
fn an_escape_that_is_not_written_down() {
    let found = fails_as_it_is(decided::escaping(Verdict::Applied), Defect::NoEscapeNote);
    assert_eq!(found, Invariant::AtMostOnce);
}

#[test]
fn a_journal_that_is_not_read() {
    let found = fails_as_it_is(decided::escaping(Verdict::Applied), Defect::JournalUnread);
    assert_eq!(found, Invariant::InDoubt);
}

#[test]
fn a_decision_about_what_was_so_before() {
    let scenario = decided::in_doubt("a person decides", texts::INDEX, Verdict::Applied);
    let scenario = Scenario {
        runners: vec![0, 1],
        helps: Vec::new(),
        ..scenario
    };
    assert_eq!(fails(scenario, Defect::OldDecision), Invariant::Decision);
}

#[test]
fn a_driver_that_approves_what_it_sees() {
    let found = fails_as_it_is(decided::approved(), Defect::ApprovesWhatItSees);
    assert_eq!(found, Invariant::Approval);
}

#[test]
fn an_approval_that_is_good_for_a_second_time() {
    let found = fails_as_it_is(decided::approved(), Defect::UndoneForgotten);
    assert_eq!(found, Invariant::Approval);
}

#[test]
fn a_version_that_runs_behind_one_that_failed() {
    let found = fails_as_it_is(decided::sent_along(), Defect::RunsOn);
    assert_eq!(found, Invariant::Prefix);
}

#[test]
fn a_check_that_is_answered_from_memory() {
    assert_eq!(
        fails_as_it_is(decided::checked(), Defect::OldAnswer),
        Invariant::Checks
    );
}

#[test]
fn a_flush_that_is_said_and_not_done() {
    let found = fails_as_it_is(decided::flushed_later(), Defect::EarlyWord);
    assert_eq!(found, Invariant::Announced);
}

#[test]
fn a_window_that_a_driver_does_not_look_at() {
    let found = fails_as_it_is(decided::windowed(), Defect::WindowUnread);
    assert_eq!(found, Invariant::Window);
}
