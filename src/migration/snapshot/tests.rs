use serde_json::json;

use super::*;

fn snapshot(rows: Value) -> Snapshot {
    Snapshot::new(serde_json::from_value(rows).expect("rows"))
}

fn told(before: Value, after: Value) -> Vec<String> {
    let differences = snapshot(before).differences(&snapshot(after));
    differences.iter().map(ToString::to_string).collect()
}

#[test]
fn the_same_is_the_same_in_any_order() {
    let (a, b) = (
        json!(["table", "public.a", null, null, {"owner": "x", "comment": null}]),
        json!(["table", "public.b", null, null, {}]),
    );
    assert_eq!(told(json!([a, b]), json!([b, a])), [""; 0]);
    let without = json!(["table", "public.a", null, null, {"owner": "x"}]);
    assert_eq!(told(json!([a]), json!([without])), [""; 0]);
}

#[test]
fn what_came_and_went_is_told_once() {
    let table = json!(["table", "public.a", null, null, {}]);
    let column = json!(["column", "public.a.id", "table", "public.a", {}]);
    let other = json!(["column", "public.a.x", "table", "public.a", {}]);
    assert_eq!(
        told(json!([]), json!([table, column])),
        ["table public.a: was not there, and is"]
    );
    assert_eq!(
        told(json!([table, column]), json!([])),
        ["table public.a: was there, and is gone"]
    );
    assert_eq!(
        told(json!([table, column]), json!([table, other])),
        [
            "column public.a.id: was there, and is gone",
            "column public.a.x: was not there, and is"
        ]
    );
}

#[test]
fn attributes_are_told_without_literals() {
    let object = |attributes: Value| json!([["column", "public.a.x", null, null, attributes]]);
    for (before, after, said) in [
        (
            json!({"type": "integer"}),
            json!({"type": "bigint"}),
            "type integer → bigint",
        ),
        (json!({"default": "1"}), json!({}), "default 1 → none"),
        (
            json!({"identity": ""}),
            json!({"identity": "a"}),
            "identity none → a",
        ),
        (
            json!({"not null": true}),
            json!({"not null": false}),
            "not null true → false",
        ),
        (
            json!({"default": "'sesame'::text"}),
            json!({"default": "'open'::text"}),
            "default differs in a literal or a body",
        ),
        (
            json!({"default": "'sesame'::text"}),
            json!({"default": "lower('open')"}),
            "default '…'::text → lower('…')",
        ),
        (
            json!({"comment": "sesame"}),
            json!({"comment": "open"}),
            "comment differs",
        ),
        (
            json!({"comment": "sesame"}),
            json!({}),
            "comment was there, and is gone",
        ),
        (
            json!({}),
            json!({"value": "sesame"}),
            "value was not there, and is",
        ),
        (
            json!({"a": "1", "b": "2"}),
            json!({"a": "2", "b": "3"}),
            "a 1 → 2; b 2 → 3",
        ),
    ] {
        let said = format!("column public.a.x: {said}");
        assert_eq!(told(object(before), object(after)), [said]);
    }
}

#[test]
fn of_long_values_the_part_that_differs_is_shown() {
    let text = |middle: &str| {
        format!(
            "SELECT {}{middle}{} FROM t",
            "a, ".repeat(50),
            ", b".repeat(50)
        )
    };
    let (before, after) = excerpts(&text("one"), &text("two"));
    for (shown, middle) in [(before, "one"), (after, "two")] {
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        assert!(shown.contains(&format!("a, {middle}, b")), "{shown}");
        assert!(shown.chars().count() < 60, "{shown}");
    }
    let (before, after) = excerpts(&"x".repeat(1000), "y");
    assert!(
        before.chars().count() < 200 && after == "y",
        "{before} {after}"
    );
}
