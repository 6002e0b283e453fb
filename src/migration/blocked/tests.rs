use super::super::history::AuditDefectKind;
use super::*;
use crate::migration::begun::{Entry, EntryState};
use crate::migration::checksum::Checksum;
use crate::migration::mismatch::Against;

fn versions(texts: &[&str]) -> Vec<Version> {
    texts
        .iter()
        .map(|text| Version::parse(text).unwrap())
        .collect()
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn mismatch(version: &str, direction: Direction, against: Against) -> Mismatch {
    Mismatch {
        version: Version::parse(version).unwrap(),
        direction,
        expected: Some(Checksum::of(b"old")),
        found: Checksum::of(b"new"),
        against,
        wanted_line_ends: None,
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn reads_well() {
    use Against::{Ledger, Pin, Recorded};
    use Direction::{Down, Up};
    let many: Vec<String> = (10..30).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let unreadable = Mismatch {
        expected: None,
        ..mismatch("001", Up, Ledger)
    };
    let [v003, v004] = ["003", "004"].map(|text| Version::parse(text).unwrap());
    for (blocked, expected) in [
        (
            Blocked::ChecksumMismatch(vec![mismatch("002", Up, Recorded)]),
            "UP of 002 was cba06b57 when it was applied, the file is 11507a0e. The database was not changed. \
             Restore the text that was applied, and make the change in a new version; or accept the file as it is, by \
             annotation schemaward.dev/accept=002:11507a0e or by `schemaward accept 002:11507a0e`.",
        ),
        (
            Blocked::ChecksumMismatch(vec![mismatch("002", Down, Pin)]),
            "DOWN of 002 is pinned to cba06b57, the file is 11507a0e. The database was not changed. \
             Correct the file or the pin.",
        ),
        (
            Blocked::ChecksumMismatch(vec![
                unreadable,
                mismatch("002", Up, Ledger),
                mismatch("003", Up, Pin),
            ]),
            "UP of 001 has a checksum in the history table that is not SHA-256, the file is 11507a0e; \
             UP of 002 is cba06b57 in the history table, the file is 11507a0e; \
             UP of 003 is pinned to cba06b57, the file is 11507a0e. The database was not changed. \
             Restore the text that was applied or pinned, and make the change in a new version.",
        ),
        (
            Blocked::VersionMissing(versions(&["002"])),
            "002 is applied, but its files are no longer in the set, which goes on above. The database was not changed. \
             Bring the files back.",
        ),
        (
            Blocked::VersionMissing(versions(&many)),
            "10, 11, 12, 13, 14 and 15 more are applied, but their files are no longer in the set, which goes on above. \
             The database was not changed. Bring the files back.",
        ),
        (
            Blocked::OutOfOrder {
                pending: versions(&["002"]),
                current: v003.clone(),
            },
            "002 is not applied, but 003, which comes later, is. The database was not changed. Renumber it above 003.",
        ),
        (
            Blocked::DatabaseAhead {
                applied: versions(&["004", "005"]),
                target: Some(v003.clone()),
            },
            "The database is at 005, above the target 003, and going back is not allowed. The database was not changed. \
             To stay, keep 005 in the set and as the target; to undo 004 and 005, allow it (spec.rollback.policy: Allow, or \
             `schemaward down --to 003`).",
        ),
        (
            Blocked::DatabaseAhead {
                applied: versions(&["000", "001"]),
                target: None,
            },
            "000 and 001 are applied, but the set holds no migrations. The database was not changed: an empty set is \
             never taken as the wish to undo everything. Bring the files back.",
        ),
        (
            Blocked::DownMissing(vec![v004.clone()]),
            "004 cannot be undone: no DOWN was kept when it was applied, and the set has none. The database was not \
             changed. Add a DOWN file for it, or keep the target where the database is.",
        ),
        (
            Blocked::DownMissing(vec![v003, v004]),
            "003 and 004 cannot be undone: no DOWN was kept when they were applied, and the set has none. The database \
             was not changed. Add DOWN files for them, or keep the target where the database is.",
        ),
        (
            Blocked::HistoryTampered(versions(&["002"])),
            "The history of 002 was changed by another program: the row in the history table is gone, or its checksum is \
             not the one that was recorded. The database was not changed. Find out who did it, and put the row back as \
             it was; or accept the history as it stands, by annotation schemaward.dev/accept=002 or by \
             `schemaward accept 002`: a version without a row counts as not applied then.",
        ),
        (
            Blocked::AuditTampered(AuditDefect {
                row: 3,
                kind: AuditDefectKind::Changed,
                others: Vec::new(),
            }),
            "The audit was changed by another program: row 3 of schemaward.audit is not as it was written. The database was \
             not changed. Find out who did it, and restore schema schemaward from a backup; or, once you have seen by \
             `schemaward audit` what is wrong in it, accept the audit as it stands, by annotation \
             schemaward.dev/accept=audit or by `schemaward accept --audit`: then that counts as true.",
        ),
        (
            Blocked::UnknownTarget(Version::parse("9").unwrap()),
            "The target 9 is not a version of the set. The database was not changed. Choose one that is, or add its file.",
        ),
        (
            Blocked::NotEmpty {
                baseline: version("005"),
                current: Some(version("003")),
            },
            "The history is at 003 and does not have the baseline 005. The database was not changed: a baseline is only for \
             a database whose history was never used. Take it away (spec.baseline, --baseline), and what is missing is \
             applied.",
        ),
        (
            Blocked::NotEmpty {
                baseline: version("005"),
                current: None,
            },
            "The history is empty because its versions were undone, the baseline 005 too. The database was not changed: a \
             baseline is only for a database whose history was never used. Take it away (spec.baseline, --baseline), and \
             what is missing is applied.",
        ),
        (
            Blocked::BaselineOutOfReach {
                baseline: version("005"),
                target: Some(version("003")),
            },
            "The baseline 005 is above the target 003. The database was not changed. Choose a version of the set up to the \
             target.",
        ),
        (
            Blocked::BaselineOutOfReach {
                baseline: version("005"),
                target: None,
            },
            "The baseline 005 is not a version of the set. The database was not changed. Choose a version of the set up to \
             the target.",
        ),
        (
            Blocked::BelowBaseline(versions(&["001"])),
            "001 was in the database before its history, so it was never run here and cannot be undone from here. The \
             database was not changed. Keep the target at the baseline or above it; or, if its DOWN file is right for what \
             is there, accept it, by annotation schemaward.dev/accept=001 or by `schemaward accept 001`.",
        ),
    ] {
        assert_eq!(blocked.to_string(), expected);
    }
}

/// A condition's message and an event's note take 1024 characters.
#[test]
fn is_short_however_much_is_wrong() {
    let all: Vec<Version> = (1_000_000..1_001_000)
        .map(|number| Version::parse(&number.to_string()).unwrap())
        .collect();
    let mismatches = all
        .iter()
        .map(|version| mismatch(version.as_str(), Direction::Down, Against::Recorded));
    for blocked in [
        Blocked::ChecksumMismatch(mismatches.collect()),
        Blocked::VersionMissing(all.clone()),
        Blocked::OutOfOrder {
            pending: all.clone(),
            current: all[0].clone(),
        },
        Blocked::DatabaseAhead {
            applied: all.clone(),
            target: all.first().cloned(),
        },
        Blocked::DownMissing(all.clone()),
        Blocked::BelowBaseline(all.clone()),
        Blocked::HistoryTampered(all),
    ] {
        let length = blocked.to_string().chars().count();
        assert!(length < 700, "{length}: {blocked}");
    }
}

#[test]
fn a_begun_version_is_explained() {
    let begun = |direction| Begun {
        version: Version::parse("002").unwrap(),
        direction,
        entries: vec![Entry {
            first: 1,
            last: 2,
            checksum: Checksum::of(b""),
            state: EntryState::Done,
            before: None,
        }],
    };
    for (direction, problem, expected) in [
        (
            Direction::Up,
            BegunProblem::Gone,
            "002 was begun and is not finished (statements 1 to 2 are done), and its file is no longer in the set. \
             The database was not changed. Bring the file back; what is not done of it may be corrected or taken out.",
        ),
        (
            Direction::Up,
            BegunProblem::Behind(Version::parse("001").unwrap()),
            "002 was begun and is not finished (statements 1 to 2 are done), but 001, which comes before it, is not \
             applied. The database was not changed. Renumber 001 above 002.",
        ),
        (
            Direction::Up,
            BegunProblem::NotWanted,
            "002 was begun and is not finished (statements 1 to 2 are done), and the target is below it. The database \
             was not changed: there is no way back from a version that is not recorded. Let 002 finish first (correct \
             what fails, or take it out of the file), and then undo it.",
        ),
        (
            Direction::Down,
            BegunProblem::NotWanted,
            "the DOWN of 002 was begun and is not finished (statements 1 to 2 are done), and the target asks for 002. \
             The database was not changed. Let the way back finish first (a target below 002), and then apply 002 again.",
        ),
        (
            Direction::Up,
            BegunProblem::Changed { statement: 1 },
            "002 was begun and is not finished (statements 1 to 2 are done), but the file is no longer what was begun, \
             from statement 1 on. The database was not changed. Restore the statements that were begun; those behind \
             them may be corrected.",
        ),
        (
            Direction::Up,
            BegunProblem::Escaped,
            "002 ended the transaction that it ran in, so a part of it may be in the database, and it is not recorded. \
             Nothing is run until a person looked at the objects that it names. Then say what is true: `schemaward \
             resolve 002 applied`, or, when nothing of it is left, `schemaward resolve 002 retry`.",
        ),
    ] {
        let blocked = Blocked::Begun {
            begun: begun(direction),
            problem,
        };
        assert_eq!(blocked.to_string(), expected);
    }
}
