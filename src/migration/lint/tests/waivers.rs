//! Comments that waive a finding.

use super::*;

#[test]
fn a_comment_waives_with_a_reason() {
    let waived = |text: &str| {
        let assessment = up(text);
        let reasons: Vec<_> = assessment
            .waived
            .iter()
            .map(|waived| format!("{}: {}", waived.finding.rule.name, waived.reason))
            .collect();
        (reasons, names(&assessment))
    };
    let reason = |rule: &str| vec![format!("{rule}: it is empty")];
    for text in [
        "-- schemaward: allow ban-drop-table because it is empty\nDROP TABLE t;",
        "DROP TABLE t; -- schemaward: allow ban-drop-table because it is empty\n",
        "DROP /* schemaward: allow ban-drop-table because it is empty */ TABLE t;",
        "SELECT 1;\n-- schemaward: allow-in-file ban-drop-table because it is empty\nSELECT 2; DROP TABLE t;",
        "-- squawk-ignore ban-drop-table -- it is empty\nDROP TABLE t;",
        "-- squawk-ignore-file ban-drop-table -- it is empty\nSELECT 1; DROP TABLE t;",
    ] {
        assert_eq!(waived(text), (reason("ban-drop-table"), vec![]), "{text}");
    }
    let both =
        "-- schemaward: allow ban-drop-table, drop-cascade because both\nDROP TABLE t CASCADE";
    assert_eq!(waived(both).0.len(), 2);
}

#[test]
fn a_waiver_that_is_wrong_is_a_finding_itself() {
    for (text, expected) in [
        (
            "-- schemaward: allow ban-drop-table\nDROP TABLE t;",
            vec!["waiver-without-reason 1:1", "ban-drop-table 2:1"],
        ),
        (
            "-- squawk-ignore ban-drop-table\nDROP TABLE t;",
            vec!["waiver-without-reason 1:1", "ban-drop-table 2:1"],
        ),
        (
            "-- schemaward: allow ban-dorp-table because x\nDROP TABLE t;",
            vec!["waiver-unknown-rule 1:1", "ban-drop-table 2:1"],
        ),
        (
            "-- squawk-ignore\nDROP TABLE t;",
            vec!["waiver-unknown-rule 1:1", "ban-drop-table 2:1"],
        ),
        (
            "-- schemaward: allow ban-drop-table because x\nSELECT 1;",
            vec!["waiver-unused 1:1"],
        ),
        (
            "-- schemaward: allow ban-drop-table because x\nSELECT 1;\nDROP TABLE t;",
            vec!["waiver-unused 1:1", "ban-drop-table 3:1"],
        ),
        // squawk's names of rules that are not asked are no mistake.
        (
            "-- squawk-ignore transaction-nesting -- x\nSELECT 1;",
            vec![],
        ),
        (
            "-- squawk-ignore-file prefer-timestamptz -- x\nCREATE TABLE t (a timestamp);",
            vec![],
        ),
        // What is no waiver is no waiver.
        (
            "-- schemaward is allowed\nSELECT '-- schemaward: allow x';",
            vec![],
        ),
    ] {
        assert_eq!(names(&up(text)), expected, "{text}");
    }
}
