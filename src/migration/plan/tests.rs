use super::super::tests::{catalog, history, version};
use super::*;
use crate::migration::begun::{Begun, Entry, EntryState};
use crate::migration::file_name::Direction;

mod table;

/// `latest`, `3`, `down 3` or `down`.
fn target(notation: &str) -> Target {
    match notation.split_once(' ') {
        Some((_, to)) => Target::DownTo(Some(version(to))),
        None if notation == "latest" => Target::Latest,
        None if notation == "down" => Target::DownTo(None),
        None => Target::Version(version(notation)),
    }
}

fn describe(plan: &Plan) -> String {
    let adopt = plan.adopt.iter().map(|adoption| {
        let verb = if adoption.stamp { "stamp" } else { "adopt" };
        format!("{verb} {}", adoption.version)
    });
    let recorded = plan.baseline.iter();
    let recorded = recorded.map(|recorded| format!("record {}", recorded.version));
    let steps = plan.steps.iter().map(|step| match step {
        Step::Undo {
            version,
            down: DownSource::Stored(_),
            ..
        } => format!("undo {version} (stored)"),
        Step::Undo {
            version,
            down: DownSource::File(_),
            ..
        } => format!("undo {version} (file)"),
        Step::Apply { version, .. } => format!("apply {version}"),
    });
    let all: Vec<String> = adopt.chain(recorded).chain(steps).collect();
    assert_eq!(all.is_empty(), plan.is_empty());
    all.join(", ")
}

fn words(versions: &[Version]) -> String {
    versions
        .iter()
        .map(Version::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

fn describe_blocked(blocked: &Blocked) -> String {
    match blocked {
        Blocked::ChecksumMismatch(mismatches) => {
            let all = mismatches
                .iter()
                .map(|m| format!(" {} {} {:?}", m.version, m.direction, m.against));
            format!("ChecksumMismatch{}", all.collect::<String>())
        }
        Blocked::VersionMissing(versions) => format!("VersionMissing {}", words(versions)),
        Blocked::OutOfOrder { pending, current } => {
            format!("OutOfOrder {} < {current}", words(pending))
        }
        Blocked::DatabaseAhead { applied, target } => {
            let target = target.as_ref().map_or("nothing", Version::as_str);
            format!("DatabaseAhead {} > {target}", words(applied))
        }
        Blocked::DownMissing(versions) => format!("DownMissing {}", words(versions)),
        Blocked::HistoryTampered(versions) => format!("HistoryTampered {}", words(versions)),
        Blocked::AuditTampered(defect) => format!("AuditTampered {defect}"),
        Blocked::UnknownTarget(version) => format!("UnknownTarget {version}"),
        Blocked::NotEmpty { baseline, current } => {
            let current = current.as_ref().map_or("none", Version::as_str);
            format!("NotEmpty {baseline} at {current}")
        }
        Blocked::BaselineOutOfReach { baseline, target } => {
            let target = target.as_ref().map_or("unknown", Version::as_str);
            format!("BaselineOutOfReach {baseline} > {target}")
        }
        Blocked::BelowBaseline(versions) => format!("BelowBaseline {}", words(versions)),
        Blocked::Begun { begun, problem } => format!("Begun {} {problem:?}", begun.version),
    }
}

type Change = fn(History) -> History;

#[test]
fn a_baseline_is_for_a_history_that_was_never_used() {
    let used = |history: History| history.with_use(true);
    let fresh = |history: History| history;
    let as_baseline =
        |history: History| history.with_baselined([version("1"), version("2")].into());
    let cases: [(&str, &str, Change, &str, &str); 13] = [
        ("1 2 3", "", fresh, "latest", "record 1, record 2, apply 3"),
        ("1 2 3", "", fresh, "2", "record 1, record 2"),
        ("1 3 2", "", fresh, "3", "record 1, record 2, apply 3"),
        ("1 2 3", "", fresh, "1", "BaselineOutOfReach 2 > 1"),
        ("1 3", "", fresh, "latest", "BaselineOutOfReach 2 > unknown"),
        ("", "", fresh, "latest", "BaselineOutOfReach 2 > unknown"),
        // It has done its work.
        ("1 2 3", "1 2", as_baseline, "latest", "apply 3"),
        ("1 2 3", "1- 2-", fresh, "latest", "apply 3"),
        // It came too late.
        ("1 2 3", "1-", fresh, "latest", "NotEmpty 2 at 1"),
        ("1 2 3", "", used, "latest", "NotEmpty 2 at none"),
        // What was never run here is not undone from here.
        ("1 2 3", "1 2 3-", as_baseline, "2", "undo 3 (stored)"),
        ("1 2 3", "1 2 3-", as_baseline, "1", "BelowBaseline 2"),
        ("1 2 3", "", fresh, "down", ""),
    ];
    for (set, applied, change, to, expected) in cases {
        let policy = Policy {
            rollback: Rollback::Allow,
            baseline: Some(version("2")),
        };
        let (catalog, history) = (catalog(set), change(history(applied)));
        let found = match plan(&catalog, &history, &target(to), &policy) {
            Ok(plan) => describe(&plan),
            Err(blocked) => describe_blocked(&blocked),
        };
        assert_eq!(
            found, expected,
            "set [{set}], history [{applied}], target {to}"
        );
    }
}

#[test]
fn an_audit_that_was_changed_is_no_ground_to_plan_on() {
    use super::super::history::{AuditDefect, AuditDefectKind};
    let find = |history: History| {
        let policy = Policy::default();
        match plan(&catalog("1 2"), &history, &Target::Latest, &policy) {
            Ok(plan) => describe(&plan),
            Err(blocked) => describe_blocked(&blocked),
        }
    };
    for (row, kind, expected) in [
        (
            3,
            AuditDefectKind::Changed,
            "row 3 of schemaward.audit is not as it was written",
        ),
        (
            3,
            AuditDefectKind::Missing,
            "rows of schemaward.audit before row 3 are gone",
        ),
        (0, AuditDefectKind::Missing, "schemaward.audit is empty"),
        (
            3,
            AuditDefectKind::Unwritten(version("1")),
            "schemaward.audit has no row about 1 as it is recorded, so rows of it are gone",
        ),
        (
            3,
            AuditDefectKind::Unrecorded(version("1")),
            "row 3 of schemaward.audit says that 1 was applied, and its record in schemaward.script is gone",
        ),
    ] {
        let others = Vec::new();
        let defect = Some(AuditDefect { row, kind, others });
        let found = find(history("1").with_audit_defect(defect));
        assert_eq!(found, format!("AuditTampered {expected}"));
    }
    assert_eq!(find(history("1").with_audit_defect(None)), "apply 2");
}

#[test]
fn says_where_the_database_will_be() {
    let find = |set, applied, to| {
        let policy = Policy {
            rollback: Rollback::Allow,
            ..Policy::default()
        };
        plan(&catalog(set), &history(applied), &target(to), &policy)
            .unwrap()
            .target
    };
    assert_eq!(find("1 2", "", "latest"), Some(version("2")));
    assert_eq!(find("", "", "latest"), None);
    assert_eq!(find("1 2", "1 2-", "1"), Some(version("1")));
    assert_eq!(find("1", "1-", "down"), None);
    // In the set's own spelling.
    let spelled = find("001", "", "1").expect("a target");
    assert_eq!(spelled.as_str(), "001");
}

#[test]
fn steps_carry_what_their_execution_needs() {
    let policy = Policy {
        rollback: Rollback::Allow,
        ..Policy::default()
    };
    let plan = plan(
        &catalog("1 2 3"),
        &history("1 2 9-"),
        &Target::Latest,
        &policy,
    )
    .unwrap();
    let checksum = super::super::tests::checksum;
    assert_eq!(
        plan.steps,
        [
            Step::Undo {
                version: version("9"),
                name: "name9".to_owned(),
                down: DownSource::Stored(checksum("9-"))
            },
            Step::Apply {
                version: version("3"),
                name: "n".to_owned(),
                checksum: checksum("3")
            },
        ]
    );
}

#[test]
fn a_begun_version_comes_first_or_nothing_does() {
    use EntryState::{Done, Escaped, Started};
    let up = Direction::Up;
    let down = Direction::Down;
    for (set, applied, begun, state, to, expected) in [
        (
            "1 2 3",
            "1",
            (up, "2"),
            Started,
            "latest",
            "apply 2, apply 3",
        ),
        ("1 2 3", "1", (up, "2"), Done, "2", "apply 2"),
        (
            "1 002 3",
            "1",
            (up, "2"),
            Done,
            "latest",
            "apply 002, apply 3",
        ),
        // A row of the script's own does not make it applied.
        (
            "1 2 3",
            "1 2?",
            (up, "2"),
            Done,
            "latest",
            "apply 2, apply 3",
        ),
        ("1 3", "1", (up, "2"), Done, "latest", "Begun 2 Gone"),
        (
            "1 2 3",
            "1",
            (up, "3"),
            Done,
            "latest",
            "Begun 3 Behind(Version(\"2\"))",
        ),
        ("1 2 3", "1", (up, "2"), Done, "1", "Begun 2 NotWanted"),
        ("1 2 3", "1-", (up, "2"), Done, "down", "Begun 2 NotWanted"),
        (
            "1 2 3",
            "1",
            (up, "2"),
            Escaped,
            "latest",
            "Begun 2 Escaped",
        ),
        ("1 3", "1", (up, "2"), Escaped, "latest", "Begun 2 Escaped"),
        (
            "1 2 3",
            "1- 2- 3-",
            (down, "3"),
            Started,
            "1",
            "undo 3 (stored), undo 2 (stored)",
        ),
        // The files of a way back may be gone.
        ("1", "1- 2-", (down, "2"), Done, "1", "undo 2 (stored)"),
        (
            "1 2",
            "1- 2-",
            (down, "2"),
            Done,
            "latest",
            "Begun 2 NotWanted",
        ),
    ] {
        let (direction, number) = begun;
        let begun = Begun {
            version: version(number),
            direction,
            entries: vec![Entry {
                first: 1,
                last: 1,
                checksum: Checksum::of(b""),
                state,
                before: None,
            }],
        };
        let history = history(applied).with_begun(Some(begun));
        let policy = Policy {
            rollback: Rollback::Allow,
            baseline: None,
        };
        let found = match plan(&catalog(set), &history, &target(to), &policy) {
            Ok(plan) => describe(&plan),
            Err(blocked) => describe_blocked(&blocked),
        };
        assert_eq!(
            found, expected,
            "{set} | {applied} | {direction} {number} | {to}"
        );
    }
}

/// Whatever set, history, target and policy: a plan leads to the target and nowhere else.
mod properties {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn notation(numbers: &BTreeSet<u8>, mark: &str) -> String {
        let words: Vec<String> = numbers
            .iter()
            .map(|number| format!("{number}{mark}"))
            .collect();
        words.join(" ")
    }

    proptest! {
        #[test]
        fn a_plan_makes_history_a_prefix_of_the_set(
            set in prop::collection::btree_set(0_u8..8, 0..8),
            applied in prop::collection::btree_set(0_u8..8, 0..8),
            allow in any::<bool>(),
            to in prop::option::of(0_u8..8),
        ) {
            let target = to.map_or(Target::Latest, |to| Target::Version(version(&to.to_string())));
            let rollback = if allow { Rollback::Allow } else { Rollback::Deny };
            let (catalog, history) = (catalog(&notation(&set, "-")), history(&notation(&applied, "-")));
            let Ok(plan) = plan(&catalog, &history, &target, &Policy { rollback, ..Policy::default() }) else { return Ok(()) };
            let mut live: BTreeSet<Version> = history.iter().map(|row| row.version.clone()).collect();
            for step in &plan.steps {
                match step {
                    Step::Undo { version, .. } => {
                        prop_assert!(allow);
                        prop_assert_eq!(live.pop_last(), Some(version.clone()), "newest first");
                    }
                    Step::Apply { version, .. } => {
                        prop_assert!(live.last().is_none_or(|last| last < version), "numeric order");
                        live.insert(version.clone());
                    }
                }
            }
            let wanted: BTreeSet<Version> = catalog
                .iter()
                .map(|migration| migration.version.clone())
                .filter(|version| plan.target.as_ref().is_some_and(|top| version <= top))
                .collect();
            prop_assert_eq!(live, wanted);
        }
    }
}
