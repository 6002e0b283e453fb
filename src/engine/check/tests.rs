use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::CheckSpec;

fn spec(fields: &Value) -> CheckSpec {
    let mut spec = json!({"name": "a", "sql": "SELECT true"});
    for (field, value) in fields.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    serde_json::from_value(spec).expect("reading is lenient")
}

#[test]
fn what_is_left_out_has_a_default() {
    let checks = read(&[spec(&json!({"sql": "SELECT true -- yes\n;"}))]).expect("a check");
    let check = &checks[0];
    assert_eq!(check.query.text(), "SELECT true");
    assert_eq!(check.equals, "true");
    assert_eq!(check.when, CheckMoment::After);
    assert_eq!(check.timeout, Duration::from_secs(30));
    assert!(!check.show_value && check.from_version.is_none());
}

#[test]
fn everything_that_cannot_be_is_told() {
    for (fields, why) in [
        (
            json!({"name": "A b"}),
            "A b: name: must be 1 to 63 lower-case letters, digits and dashes",
        ),
        (
            json!({"name": "-a"}),
            "-a: name: must be 1 to 63 lower-case letters, digits and dashes",
        ),
        (
            json!({"name": ""}),
            "a check without a name: name: must be 1 to 63",
        ),
        (
            json!({"sql": "DROP TABLE a"}),
            "a: sql: it must be one SELECT that answers one value",
        ),
        (
            json!({"sql": "SELECT 1; SELECT 2"}),
            "a: sql: it holds 2 statements",
        ),
        (
            json!({"sql": "SELECT 'x"}),
            "a: sql: line 1, column 8: a string starts here",
        ),
        (
            json!({"sql": format!("SELECT {}", "1".repeat(10_000))}),
            "a: sql: must be at most 10000",
        ),
        (
            json!({"equals": "x".repeat(1001)}),
            "a: equals: must be at most 1000 characters",
        ),
        (
            json!({"fromVersion": "v1"}),
            "a: fromVersion: \"v1\" is not a version",
        ),
        (
            json!({"timeout": "soon"}),
            "a: timeout: \"soon\" is not a duration",
        ),
        (
            json!({"timeout": "0s"}),
            "a: timeout: must be from 1ms to 10m",
        ),
        (
            json!({"timeout": "11m"}),
            "a: timeout: must be from 1ms to 10m",
        ),
    ] {
        let defects = read(&[spec(&fields)]).expect_err("a defect");
        assert!(
            defects.len() == 1 && defects[0].starts_with(why),
            "{fields}: {defects:?}"
        );
    }
    let twice = vec![spec(&json!({})); 2];
    assert_eq!(read(&twice).expect_err("a defect"), ["a: is there twice"]);
    assert_eq!(
        read(&[]).expect_err("a defect"),
        ["must be 1 to 100 checks"]
    );
}

#[test]
fn values_are_shown_only_where_that_is_allowed() {
    let answer = |shows: bool, found: Option<&str>| {
        let check =
            &read(&[spec(&json!({"equals": "4", "showValue": shows}))]).expect("a check")[0];
        let answer = CheckAnswer::Value(found.map(str::to_owned));
        check.judge(answer).err().map(|failure| failure.to_string())
    };
    let hidden = "a: the answer is not the expected one (showValue: true would show it)";
    assert_eq!(answer(false, Some("4")), None);
    assert_eq!(answer(true, Some("4")), None);
    assert_eq!(answer(false, Some("3")).as_deref(), Some(hidden));
    assert_eq!(answer(false, None).as_deref(), Some(hidden));
    assert_eq!(
        answer(true, Some("3\n")).as_deref(),
        Some("a: the answer is \"3\\n\", and \"4\" is expected")
    );
    assert_eq!(
        answer(true, None).as_deref(),
        Some("a: the answer is NULL or has no row, and \"4\" is expected")
    );
    let long = answer(true, Some(&"x".repeat(1000))).expect("it fails");
    assert!(long.contains("xxx…\"") && long.len() < 200, "{long}");
}
