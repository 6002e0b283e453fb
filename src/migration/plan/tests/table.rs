//! What is planned, case by case: the files, what is applied, and where it should go.

use super::*;

/// A plan as `stamp 1, adopt 2, undo 5 (stored), apply 3`; why there is none as `DatabaseAhead 4 5 > 3`.
fn outcome(set: &str, applied: &str, to: &str, rollback: Rollback) -> String {
    let (catalog, history) = (catalog(set), history(applied));
    match plan(
        &catalog,
        &history,
        &target(to),
        &Policy {
            rollback,
            ..Policy::default()
        },
    ) {
        Ok(plan) => {
            assert_eq!(plan.current.as_ref(), history.current());
            describe(&plan)
        }
        Err(blocked) => describe_blocked(&blocked),
    }
}

/// Each row: the set, the history, the target, and what follows under Deny and under Allow. Notation: migration/tests.rs.
const CASES: &[(&str, &str, &str, &str, &str)] = &[
    // Nothing and everything.
    ("", "", "latest", "", ""),
    (
        "1 2 10",
        "",
        "latest",
        "apply 1, apply 2, apply 10",
        "apply 1, apply 2, apply 10",
    ),
    ("1 2", "1 2", "latest", "", ""),
    (
        "1 2 3",
        "1",
        "latest",
        "apply 2, apply 3",
        "apply 2, apply 3",
    ),
    ("1 2 3", "1", "2", "apply 2", "apply 2"),
    ("001 002", "001", "2", "apply 002", "apply 002"),
    // The target.
    ("1 2", "1", "7", "UnknownTarget 7", "UnknownTarget 7"),
    ("1 2", "1 2 3-", "3", "UnknownTarget 3", "UnknownTarget 3"),
    ("1 2", "1", "down 7", "UnknownTarget 7", "UnknownTarget 7"),
    // The way back.
    (
        "1 2 3",
        "1 2- 3-",
        "1",
        "DatabaseAhead 2 3 > 1",
        "undo 3 (stored), undo 2 (stored)",
    ),
    (
        "1 2",
        "1 2 3-",
        "latest",
        "DatabaseAhead 3 > 2",
        "undo 3 (stored)",
    ),
    (
        "1 2",
        "1 2 3- 4-",
        "1",
        "DatabaseAhead 2 3 4 > 1",
        "DownMissing 2",
    ),
    (
        "1",
        "1 2 3- 4",
        "latest",
        "DatabaseAhead 2 3 4 > 1",
        "DownMissing 2 4",
    ),
    ("1 2-", "1 2", "1", "DatabaseAhead 2 > 1", "undo 2 (file)"),
    (
        "1 2-!",
        "1 2-",
        "1",
        "ChecksumMismatch 2 DOWN Recorded",
        "ChecksumMismatch 2 DOWN Recorded",
    ),
    ("1 2", "1 2-", "latest", "", ""),
    ("1 2-", "1 2", "latest", "", ""),
    // An emptied set is not the wish to undo everything.
    (
        "",
        "1- 2-",
        "latest",
        "DatabaseAhead 1 2 > nothing",
        "DatabaseAhead 1 2 > nothing",
    ),
    (
        "",
        "1- 2-",
        "down",
        "DatabaseAhead 1 2 > nothing",
        "undo 2 (stored), undo 1 (stored)",
    ),
    // A branch was switched: back, and then forth.
    (
        "1 2 4",
        "1 2 5-",
        "latest",
        "DatabaseAhead 5 > 4",
        "undo 5 (stored), apply 4",
    ),
    (
        "1 2 6",
        "1 2 5-",
        "latest",
        "VersionMissing 5",
        "VersionMissing 5",
    ),
    // Down never applies and does not mind what is pending.
    (
        "1 2 3 4",
        "1 2-",
        "down 1",
        "DatabaseAhead 2 > 1",
        "undo 2 (stored)",
    ),
    (
        "1 2 3",
        "1 3-",
        "down 2",
        "DatabaseAhead 3 > 2",
        "undo 3 (stored)",
    ),
    ("1 2 3", "1 3-", "down 3", "", ""),
    ("1 2 3", "1", "down 2", "", ""),
    (
        "1 2",
        "1 2 3- 4-",
        "down 3",
        "DatabaseAhead 4 > 3",
        "undo 4 (stored)",
    ),
    (
        "1 2",
        "1 2 3- 4- 5-",
        "down 4",
        "DatabaseAhead 5 > 4",
        "undo 5 (stored)",
    ),
    (
        "1- 2",
        "1? 2-",
        "down",
        "DatabaseAhead 1 2 > nothing",
        "stamp 1, undo 2 (stored), undo 1 (file)",
    ),
    // The order.
    (
        "1 2 3",
        "1 3",
        "latest",
        "OutOfOrder 2 < 3",
        "OutOfOrder 2 < 3",
    ),
    (
        "1 2 3 4 5",
        "1 4",
        "latest",
        "OutOfOrder 2 3 < 4",
        "OutOfOrder 2 3 < 4",
    ),
    (
        "1 2 3 4",
        "1 4-",
        "3",
        "DatabaseAhead 4 > 3",
        "undo 4 (stored), apply 2, apply 3",
    ),
    (
        "1 3",
        "1 2 3",
        "latest",
        "VersionMissing 2",
        "VersionMissing 2",
    ),
    (
        "2 3",
        "1 2 3",
        "latest",
        "VersionMissing 1",
        "VersionMissing 1",
    ),
    (
        "1 3 4",
        "1 2",
        "latest",
        "VersionMissing 2",
        "VersionMissing 2",
    ),
    (
        "1 4",
        "1 2- 3-",
        "1",
        "DatabaseAhead 2 3 > 1",
        "undo 3 (stored), undo 2 (stored)",
    ),
    // Texts.
    (
        "1! 2",
        "1",
        "latest",
        "ChecksumMismatch 1 UP Recorded",
        "ChecksumMismatch 1 UP Recorded",
    ),
    (
        "1! 2-! 3",
        "1 2-",
        "latest",
        "ChecksumMismatch 1 UP Recorded 2 DOWN Recorded",
        "ChecksumMismatch 1 UP Recorded 2 DOWN Recorded",
    ),
    (
        "1 2p",
        "1",
        "latest",
        "ChecksumMismatch 2 UP Pin",
        "ChecksumMismatch 2 UP Pin",
    ),
    (
        "1p",
        "1",
        "latest",
        "ChecksumMismatch 1 UP Pin",
        "ChecksumMismatch 1 UP Pin",
    ),
    // Rows of another program.
    (
        "1 2 3",
        "1? 2=",
        "latest",
        "stamp 1, adopt 2, apply 3",
        "stamp 1, adopt 2, apply 3",
    ),
    (
        "1",
        "1x",
        "latest",
        "ChecksumMismatch 1 UP Ledger",
        "ChecksumMismatch 1 UP Ledger",
    ),
    (
        "1",
        "1t",
        "latest",
        "ChecksumMismatch 1 UP Ledger",
        "ChecksumMismatch 1 UP Ledger",
    ),
    (
        "1 2-",
        "1? 2?",
        "1",
        "DatabaseAhead 2 > 1",
        "stamp 1, stamp 2, undo 2 (file)",
    ),
    (
        "1",
        "1? 2?",
        "latest",
        "DatabaseAhead 2 > 1",
        "DownMissing 2",
    ),
    ("1 2", "01? 2", "latest", "stamp 01", "stamp 01"),
    // Tampering.
    (
        "1 2",
        "1# 2",
        "latest",
        "HistoryTampered 1",
        "HistoryTampered 1",
    ),
    (
        "1 2",
        "1 2o",
        "latest",
        "HistoryTampered 2",
        "HistoryTampered 2",
    ),
    // Several reasons: the first of the settled order.
    (
        "1! 3 4",
        "1 2 5 4# 6o",
        "9",
        "HistoryTampered 4 6",
        "HistoryTampered 4 6",
    ),
    (
        "1! 3 4",
        "1 2 5",
        "9",
        "ChecksumMismatch 1 UP Recorded",
        "ChecksumMismatch 1 UP Recorded",
    ),
    ("1 3 4", "1 2 5", "9", "UnknownTarget 9", "UnknownTarget 9"),
    (
        "1 3 4 6",
        "1 2 4 7",
        "latest",
        "VersionMissing 2",
        "VersionMissing 2",
    ),
    (
        "1 3 4 6",
        "1 4 7",
        "latest",
        "OutOfOrder 3 < 4",
        "OutOfOrder 3 < 4",
    ),
];

#[test]
fn every_case_of_the_table() {
    for (set, applied, to, under_deny, under_allow) in CASES {
        let found =
            [Rollback::Deny, Rollback::Allow].map(|rollback| outcome(set, applied, to, rollback));
        assert_eq!(
            found,
            [*under_deny, *under_allow],
            "set [{set}], history [{applied}], target {to}"
        );
    }
}
