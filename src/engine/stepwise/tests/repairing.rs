//! Several things that one statement left: each is put right, and told, by itself.

use super::*;
use crate::migration::evidence::Ended;

const REINDEX: &str = "reindex table concurrently t";

fn indexes(seen: &[IndexSeen]) -> Observation {
    Observation::Step(StepObservation::Evidence(Evidence::Indexes(seen.to_vec())))
}

fn dropped(oid: u32) -> Observation {
    repaired_by(Some(Repair::DropIndex(index(oid, false))))
}

/// What was asked for after the two indexes were seen, and what was told with each answer.
fn after_two_are_left(answers: Vec<Observation>) -> (Vec<String>, Vec<Vec<Recovered>>) {
    let (_, _, begun) = play(REINDEX, None, vec![indexes(&[])]);
    let mut stepwise = Stepwise::new(execution(REINDEX), begun.as_ref(), 2);
    stepwise.advance();
    let two = indexes(&[index(7, false), index(8, false)]);
    let answers = [two].into_iter().chain(answers);
    let turns = answers.map(|answer| {
        let turn = stepwise.observe(answer);
        let told = stepwise.take_recovered().into_iter();
        let told = told.map(|told| {
            assert_eq!(told.ended, Ended::Unheard);
            told.what
        });
        (word(&turn), told.collect())
    });
    turns.unzip()
}

#[test]
fn the_first_repair_is_told_whatever_becomes_of_the_second() {
    let first = || vec![Recovered::Dropped(index(7, false))];
    let (asked, told) = after_two_are_left(vec![
        dropped(7),
        failed(ScriptFailureKind::PermissionDenied),
    ]);
    assert_eq!(asked, ["repair 1", "repair 1", "stop PermissionDenied"]);
    assert_eq!(told, [vec![], first(), vec![]]);
    let (asked, told) = after_two_are_left(vec![dropped(7), lock()]);
    assert_eq!(asked, ["repair 1", "repair 1", "pause 2"]);
    assert_eq!(told, [vec![], first(), vec![]]);
}

#[test]
fn all_are_put_right_before_the_statement_goes_on() {
    let (asked, told) = after_two_are_left(vec![dropped(7), dropped(8), indexes(&[])]);
    assert_eq!(asked, ["repair 1", "repair 1", "look 1", "execute 1"]);
    let [first, second] = [7, 8].map(|oid| vec![Recovered::Dropped(index(oid, false))]);
    assert_eq!(told, [vec![], first, second, vec![]]);
    // Somebody else dropped one of them meanwhile.
    let (asked, told) = after_two_are_left(vec![repaired_by(None), dropped(8)]);
    assert_eq!(asked, ["repair 1", "repair 1", "look 1"]);
    assert_eq!(
        told,
        [vec![], vec![], vec![Recovered::Dropped(index(8, false))]]
    );
}
