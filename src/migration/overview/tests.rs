use super::super::tests::{catalog, checksum, history, version};
use super::*;
use crate::migration::begun::Begun;
use crate::migration::file_name::Direction;

/// `1 Applied n, …` of each row.
fn rows(set: &str, applied: &str, target: &Target) -> Vec<String> {
    let rows = overview(&catalog(set), &history(applied), target);
    rows.iter()
        .map(|row| format!("{} {:?} {}", row.version, row.state, row.name))
        .collect()
}

#[test]
fn one_row_per_version_in_numeric_order() {
    let found = rows("1 2! 4 10", "1? 2 3 12", &Target::Latest);
    assert_eq!(
        found,
        [
            "1 Applied name1",
            "2 Changed name2",
            "3 Missing name3",
            "4 Pending n",
            "10 Pending n",
            "12 Ahead name12",
        ]
    );
}

#[test]
fn is_seen_from_the_target() {
    let at = |target: &Target| rows("1 2 3 4", "1 2 3x", target);
    assert_eq!(
        at(&Target::Version(version("1"))),
        ["1 Applied name1", "2 Ahead name2", "3 Changed name3"]
    );
    assert_eq!(
        at(&Target::DownTo(None)),
        ["1 Ahead name1", "2 Ahead name2", "3 Changed name3"]
    );
    assert_eq!(at(&Target::DownTo(Some(version("2")))).len(), 3);
    assert_eq!(rows("", "1", &Target::Latest), ["1 Ahead name1"]);
    assert_eq!(rows("", "", &Target::Latest), [""; 0]);
}

#[test]
fn a_wrong_pin_is_a_change_and_an_unreadable_checksum_is_not_shown() {
    assert_eq!(rows("1p", "1", &Target::Latest), ["1 Changed name1"]);
    let found = overview(&catalog("1 2 3"), &history("1t 2="), &Target::Latest);
    let checksums: Vec<_> = found.into_iter().map(|row| row.checksum).collect();
    assert_eq!(
        checksums,
        [
            None,
            Some(checksum("2").to_string()),
            Some(checksum("3").to_string())
        ]
    );
}

#[test]
fn a_begun_version_is_shown_wherever_the_target_is() {
    let begun = |number: &str, direction| Begun {
        version: version(number),
        direction,
        entries: Vec::new(),
    };
    let rows = |set, applied, begun, to: &Target| -> Vec<String> {
        let history = history(applied).with_begun(Some(begun));
        let rows = overview(&catalog(set), &history, to).into_iter();
        rows.map(|row| format!("{} {:?} {}", row.version, row.state, row.name))
            .collect()
    };
    let to = Target::Version(version("1"));
    assert_eq!(
        rows("1 2 3", "1", begun("2", Direction::Up), &Target::Latest),
        ["1 Applied name1", "2 Begun n", "3 Pending n"]
    );
    assert_eq!(
        rows("1 2 3", "1", begun("2", Direction::Up), &to),
        ["1 Applied name1", "2 Begun n"]
    );
    assert_eq!(
        rows("1 3", "1", begun("2", Direction::Up), &to),
        ["1 Applied name1", "2 Begun "]
    );
    assert_eq!(
        rows("1 2", "1 2", begun("2", Direction::Down), &to),
        ["1 Applied name1", "2 Begun name2"]
    );
}
