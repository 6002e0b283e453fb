//! Checks of the live database, asked by the operator.

use serde_json::{Value, json};

use crate::harness::{eventually, postgres};
use crate::operator_rig::{LIMIT, Tenant, cluster, condition, inline, resource};

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");

#[test]
fn ready_means_that_the_checks_passed_at_the_last_look() {
    let database = postgres().database("checks_op");
    let namespace = cluster().tenant("checks-op");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["checks"] = json!([
        {"name": "no-widget-is-negative", "sql": "SELECT NOT EXISTS (SELECT FROM widgets WHERE id < 0)", "fromVersion": "001"},
        {"name": "few-widgets", "sql": "SELECT count(*) FROM widgets", "equals": "0", "showValue": true},
    ]);
    manifest["spec"]["interval"] = json!("2s");
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("UpToDate");
    assert_eq!(
        condition(&status, "Ready")["message"],
        "at version 001, 2 checks passed"
    );

    database.exec("INSERT INTO widgets VALUES (-7)");
    let status = schema.reaches("CheckFailed");
    let ready = condition(&status, "Ready");
    assert_eq!(ready["status"], "False");
    assert_eq!(
        ready["message"],
        "2 of 2 checks failed. no-widget-is-negative: the answer is not the expected one (showValue: true would \
         show it); few-widgets: the answer is \"1\", and \"0\" is expected. Nothing was run; the database is at \
         001. Mend what is checked, or correct the check. Nothing is undone by itself."
    );
    assert_eq!(condition(&status, "Stalled")["status"], "True");
    assert_eq!(status["failure"]["reason"], "CheckFailed");
    assert_eq!(
        (&status["currentVersion"], &status["pendingCount"]),
        (&json!("001"), &json!(0))
    );
    eventually(LIMIT, || {
        let events = schema.events();
        let told = events
            .iter()
            .any(|event| event.starts_with("Warning CheckFailed 2 of 2 checks failed"));
        if told { Ok(()) } else { Err(events) }
    });
    // At rest it only looks: nothing is written, to the resource neither.
    let version = schema.get()["metadata"]["resourceVersion"].clone();
    let looks = || {
        let sql = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
        database.query_text(sql).parse::<i64>().expect("a number")
    };
    let (seen, mut ours) = (looks(), 1);
    eventually(LIMIT, || {
        ours += 1;
        if looks() - seen - ours >= 2 {
            Ok(())
        } else {
            Err(ours)
        }
    });
    assert_eq!(schema.get()["metadata"]["resourceVersion"], version);

    database.exec("TRUNCATE widgets");
    schema.reaches("UpToDate");
}

#[test]
fn a_check_that_fails_before_keeps_a_version_from_being_applied() {
    let database = postgres().database("checks_before");
    let namespace = cluster().tenant("checks-before");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["checks"] = json!([{"name": "gate-is-open", "sql": "SELECT to_regclass('gate') IS NOT NULL", "when": "Before"}]);
    manifest["spec"]["interval"] = json!("2s");
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("CheckFailed");
    assert_eq!(status["pendingCount"], 1);
    assert_eq!(
        database.query_text("SELECT to_regclass('schema_migrations') IS NULL"),
        "t"
    );
    // What is mended is noticed at the next look.
    database.exec("CREATE TABLE gate ()");
    schema.reaches("UpToDate");
}

#[test]
fn a_check_that_cannot_be_is_refused_before_any_connection() {
    let database = postgres().database("checks_bad");
    let namespace = cluster().tenant("checks-bad");
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["checks"] = json!([{"name": "a", "sql": "DELETE FROM widgets"}]);
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("InvalidSpec");
    assert_eq!(
        condition(&status, "Ready")["message"],
        "The resource cannot be: spec.checks, a: sql: it must be one SELECT that answers one value. Nothing was \
         connected to. Correct it."
    );
    // The rest the API server refuses.
    for (field, value) in [
        ("name", json!("A b")),
        ("when", json!("Sometimes")),
        ("timeout", json!("11m")),
        ("fromVersion", json!("v1")),
    ] {
        let mut bad: Value = manifest.clone();
        bad["spec"]["checks"][0]["sql"] = json!("SELECT true");
        bad["spec"]["checks"][0][field] = value;
        let refused = namespace.try_apply(&bad.to_string());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && said.contains("spec.checks"),
            "{field}: {said}"
        );
    }
}
