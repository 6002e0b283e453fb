//! A statement that waits for its locks: what its attempts leave, and what is said of it meanwhile.

use super::*;
use crate::migration::evidence::Ended;

const ALONE: &str = "create index concurrently i on t (a)";

/// The answers to one attempt that does not get its locks, and leaves an INVALID index that is dropped.
fn left_and_cleared() -> [Observation; 4] {
    [lock(), seen(&[index(7, false)]), repaired(), seen(&[])]
}

/// Runs it: what was said in each pause, what was told of repairs, and the last turn.
fn wait(
    mut stepwise: Stepwise,
    answers: Vec<Observation>,
) -> (Vec<Option<String>>, Vec<Recovery>, Turn) {
    let (mut pauses, mut told) = (Vec::new(), Vec::new());
    let mut turn = stepwise.advance();
    for answer in answers {
        if matches!(turn, Turn::Pause { .. }) {
            turn = stepwise.resume();
            assert!(matches!(turn, Turn::Ask(_)), "{}", word(&turn));
        }
        turn = stepwise.observe(answer);
        told.extend(stepwise.take_recovered());
        if matches!(turn, Turn::Pause { .. }) {
            pauses.push(stepwise.remains_in_pause());
        }
    }
    (pauses, told, turn)
}

#[test]
fn what_each_attempt_leaves_is_put_right_for_all_of_them() {
    let mut answers = vec![seen(&[])];
    for _ in 0..5 {
        answers.extend(left_and_cleared());
    }
    answers.extend([executed(), seen(&[index(8, true)]), journaled(), recorded()]);
    let stepwise = Stepwise::new(execution(ALONE), None, 6);
    let (pauses, told, turn) = wait(stepwise, answers);
    assert_eq!(word(&turn), "recorded");
    assert_eq!(pauses, vec![None; 5], "nothing of it is left in a pause");
    assert_eq!(told.len(), 1, "told once: {told:?}");
}

#[test]
fn what_comes_again_within_one_attempt_is_for_a_person() {
    let mut answers = vec![seen(&[])];
    answers.extend(left_and_cleared());
    answers.push(lock());
    for _ in 0..3 {
        answers.extend([seen(&[index(7, false)]), repaired()]);
    }
    answers.push(seen(&[index(7, false)]));
    let stepwise = Stepwise::new(execution(ALONE), None, 6);
    let (_, _, turn) = wait(stepwise, answers);
    assert_eq!(word(&turn), "stop in doubt at 1");
}

#[test]
fn what_an_earlier_run_left_is_told_whatever_its_own_attempts_leave() {
    let (_, _, begun) = play(ALONE, None, vec![seen(&[])]);
    let mut answers = vec![seen(&[index(7, false)]), repaired(), seen(&[])];
    for _ in 0..3 {
        answers.extend(left_and_cleared());
    }
    let stepwise = Stepwise::new(execution(ALONE), begun.as_ref(), 6);
    let (_, told, _) = wait(stepwise, answers);
    let told: Vec<_> = told
        .into_iter()
        .map(|told| (told.ended, told.what))
        .collect();
    let dropped = |oid| Recovered::Dropped(index(oid, false));
    assert_eq!(
        told,
        [(Ended::Unheard, dropped(7)), (Ended::Failed, dropped(7))]
    );
}

#[test]
fn a_pause_says_what_this_run_does_next() {
    let nothing = || Observation::Step(StepObservation::Evidence(Evidence::Nothing));
    for (sql, answers, expected) in [
        (ALONE, vec![seen(&[]), lock(), seen(&[])], None),
        (
            ALONE,
            [seen(&[])].into_iter().chain(left_and_cleared()).collect(),
            None,
        ),
        (
            ALONE,
            vec![seen(&[]), lock(), seen(&[index(7, false)]), lock()],
            Some(
                "What statement 1 left (an INVALID index, for one) is put right by the next attempt; 002 is not \
                 recorded",
            ),
        ),
        (
            MIXED,
            vec![journaled(), seen(&[]), lock(), seen(&[])],
            Some("Statement 1 is done and kept; 002 is not recorded"),
        ),
        (MIXED, vec![lock()], None),
        (
            "vacuum t",
            vec![nothing(), lock(), nothing()],
            Some(
                "Statement 1 may be done in part, which the next attempt repeats; 002 is not recorded",
            ),
        ),
    ] {
        let stepwise = Stepwise::new(execution(sql), None, 6);
        let (pauses, _, turn) = wait(stepwise, answers);
        assert_eq!(word(&turn), "pause 2", "{sql}");
        assert_eq!(pauses, [expected.map(str::to_owned)], "{sql}");
    }
}

#[test]
fn a_run_that_ends_in_a_pause_leaves_the_rest_to_the_next_run() {
    for (answers, expected) in [
        (
            [seen(&[])].into_iter().chain(left_and_cleared()).collect(),
            "What became of statement 1 is looked up in the catalog by the next run; 002 is not recorded",
        ),
        (
            vec![seen(&[]), lock(), seen(&[index(7, false)]), lock()],
            "What statement 1 left (an INVALID index, for one) is put right by the next run; 002 is not recorded",
        ),
    ] {
        let (_, remains, _) = play(ALONE, None, answers);
        assert_eq!(remains.as_deref(), Some(expected));
    }
}
