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
