//! The step function of a version in parts, against answers that are written down: what it asks for next, and
//! what is left where it stops.

use super::*;
use crate::engine::database::{Record, Texts};
use crate::engine::error::{Doubt, ScriptFailure};
use crate::engine::recovery::Recovered;
use crate::engine::step::Finished;
use crate::migration::checksum::Checksum;
use crate::migration::evidence::IndexSeen;
use crate::migration::file_name::Direction;
use crate::migration::script::Script;
use crate::migration::version::Version;

mod pausing;
mod repairing;

fn execution(sql: &str) -> Execution {
    Execution {
        version: Version::parse("002").expect("digits"),
        name: "t".to_owned(),
        script: Script::parse(sql.as_bytes(), "schema_migrations").expect("a script"),
        record: Record::Apply(Texts {
            up: sql.as_bytes().into(),
            up_checksum: Checksum::of(sql.as_bytes()),
            down: None,
            down_checksum: None,
        }),
        followed_by: None,
        may_flush_later: false,
        actor: "test".to_owned(),
    }
}

fn index(oid: u32, valid: bool) -> IndexSeen {
    IndexSeen {
        oid,
        schema: "public".to_owned(),
        name: "i".to_owned(),
        valid,
        unique: false,
        table: 100,
    }
}

fn seen(indexes: &[IndexSeen]) -> Observation {
    Observation::Step(StepObservation::Evidence(Evidence::IndexesOn {
        table: Some(100),
        indexes: indexes.to_vec(),
    }))
}

fn journaled() -> Observation {
    Observation::Step(StepObservation::Journaled)
}

fn executed() -> Observation {
    Observation::Step(StepObservation::Executed {
        began: "now".to_owned(),
    })
}

fn repaired_by(repair: Option<Repair>) -> Observation {
    Observation::Step(StepObservation::Repaired(repair))
}

fn repaired() -> Observation {
    repaired_by(Some(Repair::DropIndex(index(7, false))))
}

fn lock() -> Observation {
    Observation::LockNotAvailable(Vec::new())
}

fn failed(kind: ScriptFailureKind) -> Observation {
    Observation::Failed(ScriptFailure {
        kind,
        version: Version::parse("002").expect("digits"),
        name: "t".to_owned(),
        direction: Direction::Up,
        statement: Some(2),
        position: None,
        sqlstate: None,
        message: "no".to_owned(),
        outside_transaction: true,
        by_hand: None,
    })
}

fn recorded() -> Observation {
    Observation::Done(Recorded {
        at: jiff::Timestamp::UNIX_EPOCH,
        execution_time_ms: 1,
        is_flushed: true,
        next_is_answered: false,
    })
}

fn word(turn: &Turn) -> String {
    match turn {
        Turn::Ask(action) => match &**action {
            StepAction::Run(part) => format!("run {}-{}", part.first, part.last),
            StepAction::Start(part) => format!("start {}", part.first),
            StepAction::Execute(part) => format!("execute {}", part.first),
            StepAction::Look(part) => format!("look {}", part.first),
            StepAction::Repair(part, _) => format!("repair {}", part.first),
            StepAction::Finish(part, Finished::Executed { .. }) => format!("finish {}", part.first),
            StepAction::Finish(part, Finished::Proved) => format!("prove {}", part.first),
            StepAction::Withdraw(part) => format!("withdraw {}", part.first),
            StepAction::NoteEscape(part) => format!("escape {}-{}", part.first, part.last),
            StepAction::Record(_) => "record".to_owned(),
        },
        Turn::Pause { attempt, .. } => format!("pause {attempt}"),
        Turn::Recorded(_) => "recorded".to_owned(),
        Turn::Stop(reason) => match &**reason {
            Stop::Script(failure) => format!("stop {:?}", failure.kind),
            Stop::InDoubt(doubt) => format!("stop in doubt at {}", doubt.statement),
            Stop::LockTimeout(timeout) => format!("stop after {} attempts", timeout.attempts),
            other => format!("stop {other:?}"),
        },
        Turn::Impossible(what) => format!("impossible: {what}"),
    }
}

/// Runs `sql` with these answers; what was asked in turn, and what is said to be left.
fn play(
    sql: &str,
    begun: Option<&Begun>,
    answers: Vec<Observation>,
) -> (Vec<String>, Option<String>, Option<Begun>) {
    let mut stepwise = Stepwise::new(execution(sql), begun, 2);
    let mut turn = stepwise.advance();
    let mut words = vec![word(&turn)];
    for answer in answers {
        if matches!(turn, Turn::Pause { .. }) {
            turn = stepwise.resume();
            words.push(word(&turn));
        }
        turn = stepwise.observe(answer);
        words.push(word(&turn));
    }
    (words, stepwise.remains(Heard::Yes), stepwise.begun())
}

const MIXED: &str =
    "create table t (a int); create index concurrently i on t (a); insert into t values (1)";

/// What an interrupted run left in the journal: statement 1 done, statement 2 started.
fn interrupted() -> Begun {
    let (_, _, begun) = play(MIXED, None, vec![journaled(), seen(&[])]);
    begun.expect("it was begun")
}

#[test]
fn each_part_is_in_the_journal_before_the_next_one() {
    let (words, remains, _) = play(
        MIXED,
        None,
        vec![
            journaled(),
            seen(&[]),
            executed(),
            seen(&[index(7, true)]),
            journaled(),
            recorded(),
        ],
    );
    assert_eq!(
        words,
        [
            "run 1-1",
            "start 2",
            "execute 2",
            "look 2",
            "finish 2",
            "record",
            "recorded"
        ]
    );
    assert_eq!(
        remains.as_deref(),
        Some("Statements 1 to 2 are done and kept; 002 is not recorded")
    );
}

#[test]
fn what_nobody_heard_of_is_looked_up_and_gone_on_with() {
    let begun = interrupted();
    for (answers, expected) in [
        (vec![seen(&[index(7, true)])], vec!["look 2", "prove 2"]),
        (vec![seen(&[])], vec!["look 2", "execute 2"]),
        (
            vec![seen(&[index(7, false)]), repaired(), seen(&[]), executed()],
            vec!["look 2", "repair 2", "look 2", "execute 2", "look 2"],
        ),
    ] {
        assert_eq!(play(MIXED, Some(&begun), answers).0, expected);
    }
}

#[test]
fn what_was_proved_or_put_right_is_told_once_it_is_so() {
    use crate::migration::evidence::Ended;
    let told = |begun: Option<&Begun>, answers: Vec<Observation>| {
        let mut stepwise = Stepwise::new(execution(MIXED), begun, 2);
        stepwise.advance();
        let taken = answers.into_iter().map(|answer| {
            stepwise.observe(answer);
            let taken = stepwise.take_recovered().into_iter();
            taken
                .map(|told| (told.statement, told.ended, told.what))
                .collect::<Vec<_>>()
        });
        taken.collect::<Vec<_>>()
    };
    let begun = interrupted();
    let left = || Recovered::Dropped(index(7, false));
    assert_eq!(
        told(Some(&begun), vec![seen(&[index(7, true)]), journaled()]),
        [vec![], vec![(2, Ended::Unheard, Recovered::Proved)]]
    );
    assert_eq!(
        told(
            Some(&begun),
            vec![seen(&[index(7, false)]), repaired(), seen(&[])]
        ),
        [vec![], vec![(2, Ended::Unheard, left())], vec![]]
    );
    // Somebody else dropped it meanwhile.
    assert_eq!(
        told(
            Some(&begun),
            vec![seen(&[index(7, false)]), repaired_by(None), seen(&[])]
        ),
        [vec![], vec![], vec![]]
    );
    assert_eq!(
        told(
            None,
            vec![
                journaled(),
                seen(&[]),
                failed(ScriptFailureKind::Failed),
                seen(&[index(7, false)]),
                repaired(),
            ]
        )[3..],
        [vec![], vec![(2, Ended::Failed, left())]]
    );
    // What goes its way is no news.
    let plain = vec![
        journaled(),
        seen(&[]),
        executed(),
        seen(&[index(7, true)]),
        journaled(),
    ];
    assert!(told(None, plain).iter().all(Vec::is_empty));
}

#[test]
fn a_failure_is_cleared_up_before_it_is_told() {
    let (words, remains, begun) = play(
        MIXED,
        None,
        vec![
            journaled(),
            seen(&[]),
            failed(ScriptFailureKind::Failed),
            seen(&[index(7, false)]),
            repaired(),
            seen(&[]),
            journaled(),
        ],
    );
    assert_eq!(
        words[3..],
        ["look 2", "repair 2", "look 2", "withdraw 2", "stop Failed"]
    );
    assert_eq!(
        remains.as_deref(),
        Some("Statement 1 is done and kept; 002 is not recorded")
    );
    assert_eq!(begun.expect("statement 1").entries.len(), 1);
}

#[test]
fn without_its_locks_a_statement_is_tried_again_so_often() {
    let (words, remains, _) = play(
        MIXED,
        None,
        vec![
            lock(),
            journaled(),
            seen(&[]),
            lock(),
            seen(&[]),
            lock(),
            seen(&[]),
            journaled(),
        ],
    );
    assert_eq!(
        words,
        [
            "run 1-1",
            "pause 2",
            "run 1-1",
            "start 2",
            "execute 2",
            "look 2",
            "pause 2",
            "execute 2",
            "look 2",
            "withdraw 2",
            "stop after 2 attempts"
        ]
    );
    assert_eq!(
        remains.as_deref(),
        Some("Statement 1 is done and kept; 002 is not recorded")
    );
    // What it left cannot be dropped either: the journal keeps it for the next run.
    let (words, remains, begun) = play(
        MIXED,
        None,
        vec![
            journaled(),
            seen(&[]),
            lock(),
            seen(&[index(7, false)]),
            lock(),
            lock(),
        ],
    );
    assert_eq!(
        words[3..],
        [
            "look 2",
            "repair 2",
            "pause 2",
            "repair 2",
            "stop after 2 attempts"
        ]
    );
    assert_eq!(
        remains.as_deref(),
        Some(
            "Statement 1 is done and kept, and what statement 2 left (an INVALID index, for one) is put right \
             by the next run; 002 is not recorded"
        )
    );
    assert!(begun.expect("two entries").started().is_some());
}

#[test]
fn an_index_that_only_seems_to_be_there_is_no_success() {
    let sql = "create index concurrently if not exists i on t (a)";
    for (before, now) in [
        (vec![index(7, false)], vec![index(7, false)]),
        (vec![], vec![]),
    ] {
        let (words, remains, _) = play(
            sql,
            None,
            vec![seen(&before), executed(), seen(&now), journaled()],
        );
        assert_eq!(words[2..], ["look 1", "withdraw 1", "stop InvalidIndex"]);
        assert_eq!(remains, None);
    }
}

#[test]
fn what_cannot_be_proved_is_for_a_person() {
    let sql = "alter subscription s add publication p";
    let nothing = || Observation::Step(StepObservation::Evidence(Evidence::Nothing));
    let (_, remains, begun) = play(sql, None, vec![nothing()]);
    assert_eq!(
        remains.as_deref(),
        Some(
            "What became of statement 1 is looked up in the catalog by the next run; 002 is not recorded"
        )
    );
    let (words, remains, begun) = play(sql, begun.as_ref(), vec![nothing()]);
    assert_eq!(words, ["look 1", "stop in doubt at 1"]);
    assert_eq!(remains, None);
    assert!(begun.expect("it stays").started().is_some());
    // A repair that does not last.
    let mut answers = vec![seen(&[index(7, false)])];
    for _ in 0..3 {
        answers.extend([repaired(), seen(&[index(7, false)])]);
    }
    let (words, _, _) = play(MIXED, Some(&interrupted()), answers);
    assert_eq!(words.last().map(String::as_str), Some("stop in doubt at 2"));
}

#[test]
fn an_escape_is_kept_in_the_journal() {
    let (words, _, begun) = play(
        MIXED,
        None,
        vec![failed(ScriptFailureKind::TransactionEscaped), journaled()],
    );
    assert_eq!(words, ["run 1-1", "escape 1-1", "stop TransactionEscaped"]);
    assert!(begun.expect("an entry").escaped().is_some());
}

#[test]
fn an_answer_to_another_question_ends_it() {
    for answer in [executed(), repaired(), recorded()] {
        let (words, _, _) = play(MIXED, None, vec![answer]);
        assert!(words[1].starts_with("impossible"), "{words:?}");
    }
    let mut stepwise = Stepwise::new(execution(MIXED), None, 2);
    assert!(word(&stepwise.resume()).starts_with("impossible"));
}

#[test]
fn what_nobody_heard_is_not_said_to_be_undone() {
    let mut stepwise = Stepwise::new(execution(MIXED), None, 2);
    stepwise.advance();
    let unheard = stepwise.remains(Heard::No);
    assert_eq!(
        unheard.as_deref(),
        Some("Statement 1 is either done and kept or rolled back; 002 is not recorded")
    );
    assert_eq!(stepwise.remains(Heard::Yes), None);
    for answer in [
        journaled(),
        seen(&[]),
        executed(),
        seen(&[index(7, true)]),
        journaled(),
    ] {
        stepwise.observe(answer);
    }
    assert_eq!(
        stepwise.remains(Heard::No).as_deref(),
        Some(
            "Statements 1 to 2 are done and kept; the next look at the database tells whether 002 is recorded"
        )
    );
}

#[test]
fn doubt_says_where_it_comes_from() {
    let nothing = || Observation::Step(StepObservation::Evidence(Evidence::Nothing));
    let unprovable = "alter subscription s add publication p";
    let (_, _, begun) = play(unprovable, None, vec![nothing()]);
    let reason = |sql, begun: Option<&Begun>, answers: Vec<Observation>| {
        let mut stepwise = Stepwise::new(execution(sql), begun, 2);
        let mut turn = stepwise.advance();
        for answer in answers {
            turn = stepwise.observe(answer);
        }
        match turn {
            Turn::Stop(reason) => match *reason {
                Stop::InDoubt(doubt) => doubt.why,
                other => panic!("{other:?}"),
            },
            other => panic!("{}", word(&other)),
        }
    };
    let unheard = reason(unprovable, begun.as_ref(), vec![nothing()]);
    assert_eq!(unheard, Doubt::Unheard);
    let mut answers = vec![seen(&[index(7, false)])];
    for _ in 0..3 {
        answers.extend([repaired(), seen(&[index(7, false)])]);
    }
    let again = reason(MIXED, Some(&interrupted()), answers);
    assert_eq!(again, Doubt::RepairDoesNotLast);
    let contradicted = reason(
        "drop index concurrently i",
        None,
        vec![
            Observation::Step(StepObservation::Evidence(Evidence::Indexes(vec![index(
                7, true,
            )]))),
            executed(),
            Observation::Step(StepObservation::Evidence(Evidence::Indexes(vec![index(
                7, true,
            )]))),
        ],
    );
    assert_eq!(contradicted, Doubt::Succeeded);
}
