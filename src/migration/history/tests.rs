use super::super::tests::{history, version};
use super::*;

#[test]
fn is_in_numeric_order_whatever_the_rows_are() {
    let history = history("10 2- 007? 3o 1o");
    let versions: Vec<_> = history
        .iter()
        .map(|applied| applied.version.as_str())
        .collect();
    assert_eq!(versions, ["2", "007", "10"]);
    assert_eq!(history.current(), Some(&version("10")));
    assert_eq!(
        history
            .get(&version("7"))
            .map(|applied| applied.name.as_str()),
        Some("name007")
    );
    assert_eq!(history.orphans(), [version("1"), version("3")]);
    assert_eq!(
        (
            history.len(),
            history.is_empty(),
            History::empty().is_empty()
        ),
        (3, false, true)
    );
}

#[test]
fn two_spellings_of_one_version_are_no_history() {
    let row = |text: &str| Applied {
        version: version(text),
        ..history("1").iter().next().unwrap().clone()
    };
    let defect = History::new(vec![row("1"), row("2"), row("001")], Vec::new()).unwrap_err();
    assert_eq!(
        defect.to_string(),
        "version 1 is there twice, as 1 and as 001"
    );
}

#[test]
fn all_that_is_wrong_in_an_audit_is_told() {
    use AuditDefectKind::{Changed, Missing, Unrecorded};
    let gone = || Unrecorded(Version::parse("2").unwrap());
    let one = |(row, kind)| AuditDefect {
        row,
        kind,
        others: Vec::new(),
    };
    let told = |defects: Vec<(i64, AuditDefectKind)>| {
        let defect = AuditDefect::of(defects.into_iter().map(one).collect()).unwrap();
        (defect.to_string(), defect.rows().collect::<Vec<_>>())
    };
    assert_eq!(AuditDefect::of(Vec::new()), None);
    assert_eq!(
        told(vec![(7, Changed), (9, Changed), (12, Changed)]),
        (
            "row 7 of schemaward.audit is not as it was written, nor do rows 9 and 12 fit what stands before them"
                .to_owned(),
            vec![7, 9, 12]
        )
    );
    assert_eq!(
        told(vec![(3, Missing), (4, gone()), (8, Changed)]),
        (
            "rows of schemaward.audit before row 3 are gone; row 4 of schemaward.audit says that 2 was applied, and its \
             record in schemaward.script is gone; row 8 of schemaward.audit is not as it was written"
                .to_owned(),
            vec![3, 8]
        )
    );
}
