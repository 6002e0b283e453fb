//! What a person decides by an annotation, on a real API server and a real PostgreSQL.

use serde_json::Value;

use crate::harness::{Database, eventually, postgres};
use crate::operator_rig::{LIMIT, Schema, Tenant, cluster, condition, inline, resource};

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");
const CHANGED: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id bigint);");

fn annotate(schema: &Schema<'_>, annotation: &str) {
    schema
        .namespace
        .kubectl(&["annotate", "--overwrite", "dbs", schema.name, annotation]);
}

fn audit(database: &Database<'_>, action: &str) -> String {
    database.query_text(&format!(
        "SELECT actor, detail FROM schemaward.audit WHERE action = '{action}' ORDER BY id"
    ))
}

/// Waits for an event that contains this.
fn event(schema: &Schema<'_>, text: &str) {
    eventually(LIMIT, || {
        let events = schema.events();
        if events.iter().any(|event| event.contains(text)) {
            Ok(())
        } else {
            Err(events)
        }
    });
}

fn handled(status: &Value, annotation: &str) -> Value {
    status["lastHandledDecisions"][annotation].clone()
}

#[test]
fn a_changed_file_is_accepted_by_an_annotation_once() {
    let database = postgres().database("annotated");
    let namespace = cluster().tenant("annotated");
    namespace.secret(&database);
    let manifest = |file| resource("shop", &database, &inline(&[file]));
    let schema = namespace.schema("shop", &manifest(WIDGETS));
    schema.reaches("UpToDate");
    namespace.schema("shop", &manifest(CHANGED));
    let status = schema.reaches("ChecksumMismatch");
    let message = condition(&status, "Stalled")["message"].to_string();
    let (_, asked) = message
        .split_once("schemaward.dev/accept=")
        .expect("the command");
    let value = asked.split_once(' ').expect("its end").0.to_owned();

    annotate(&schema, &format!("schemaward.dev/accept={value}"));
    let status = schema.becomes("accepted", |status| {
        condition(status, "Ready")["reason"] == "UpToDate"
            && handled(status, "schemaward.dev/accept") == value
    });
    assert_eq!(status["currentVersion"], "001");
    let recorded = audit(&database, "accept");
    let actor = format!(
        "DatabaseSchema {}/shop, decided by annotation schemaward.dev/accept, set by field manager kubectl-annotate|UP was ",
        namespace.name
    );
    assert!(recorded.starts_with(&actor), "{recorded}");
    event(
        &schema,
        "Normal Decided The files of 001 are what was applied",
    );

    // Without a checksum, too, the value accepts what is there once; it stays and accepts nothing more.
    annotate(&schema, "schemaward.dev/accept=001");
    schema.becomes("handled", |status| {
        handled(status, "schemaward.dev/accept") == "001"
    });
    namespace.schema("shop", &manifest(WIDGETS));
    schema.reaches("ChecksumMismatch");
    schema.ask("again");
    schema.becomes("looked at again", |status| {
        status["lastHandledReconcile"] == "again"
            && condition(status, "Ready")["reason"] == "ChecksumMismatch"
    });
    assert_eq!(audit(&database, "accept"), recorded);
    // Taken away and set again, it is asked for again.
    annotate(&schema, "schemaward.dev/accept-");
    schema.becomes("forgotten", |status| {
        handled(status, "schemaward.dev/accept") == Value::Null
    });
    annotate(&schema, "schemaward.dev/accept=001");
    schema.reaches("UpToDate");
    assert_eq!(audit(&database, "accept").lines().count(), 2);
}

#[test]
fn a_history_is_taken_over_by_naming_its_owner() {
    let database = postgres().database("moved");
    let [old, new] = ["old", "new"].map(|name| cluster().tenant(name));
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    for namespace in [&old, &new] {
        namespace.secret(&database);
    }
    old.schema("shop", &manifest).reaches("UpToDate");
    let moved = new.schema("shop", &manifest);
    let status = moved.reaches("DatabaseClaimed");
    let message = condition(&status, "Stalled")["message"].to_string();
    let command = format!(
        "`kubectl -n {} annotate --overwrite databaseschema shop schemaward.dev/takeover={}/shop`",
        new.name, old.name
    );
    assert!(message.contains(&command), "{message}");

    annotate(&moved, "schemaward.dev/takeover=elsewhere/shop");
    moved.becomes("refused", |status| {
        handled(status, "schemaward.dev/takeover") == "elsewhere/shop"
    });
    event(&moved, "Warning DecisionRefused The history belongs to");
    assert_eq!(audit(&database, "takeover"), "");
    assert_eq!(
        condition(&moved.status(), "Ready")["reason"],
        "DatabaseClaimed"
    );

    let words = command
        .trim_matches('`')
        .strip_prefix("kubectl ")
        .expect("kubectl");
    new.api.kubectl(&words.split(' ').collect::<Vec<_>>());
    moved.reaches("UpToDate");
    let recorded = audit(&database, "takeover");
    assert!(
        recorded.contains(&format!("{}/shop uid ", old.name)),
        "{recorded}"
    );
    // The old one is told whose the history is now.
    let left = Schema {
        namespace: &old,
        name: "shop",
    };
    left.ask("now");
    left.reaches("DatabaseClaimed");
}

#[test]
fn a_value_that_is_no_decision_is_told_and_changes_nothing() {
    let database = postgres().database("nonsense");
    let namespace = cluster().tenant("nonsense");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    annotate(&schema, "schemaward.dev/accept=yes");
    event(
        &schema,
        "Warning DecisionRefused Annotation schemaward.dev/accept cannot be acted on",
    );
    let status = schema.becomes("unmoved", |status| {
        condition(status, "Ready")["reason"] == "UpToDate"
            && handled(status, "schemaward.dev/accept") == "yes"
    });
    let said = condition(&status, "AcceptRefused")["message"].to_string();
    let then = ". Nothing was changed. It is not tried again by itself: give the annotation another value, or take it \
                away and set it anew.";
    assert!(said.contains(then), "{said}");
    assert_eq!(audit(&database, "accept"), "");
}

#[test]
fn a_baseline_in_the_resource_is_recorded_once_and_never_run() {
    let database = postgres().database("older");
    database.exec("CREATE TABLE widgets (id int, old text)");
    let namespace = cluster().tenant("older");
    namespace.secret(&database);
    let gadgets = ("002_gadgets_UP.sql", "CREATE TABLE gadgets (id int);");
    let manifest = resource("shop", &database, &inline(&[WIDGETS, gadgets]));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("MigrationFailed");
    let message = condition(&status, "Stalled")["message"].to_string();
    assert!(message.contains("by spec.baseline"), "{message}");

    let mut with_baseline = manifest.clone();
    with_baseline["spec"]["baseline"] = "001".into();
    namespace.schema("shop", &with_baseline);
    let status = schema.reaches("UpToDate");
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(
        database.query_text(
            "SELECT version, action FROM schemaward.audit WHERE version <> '' ORDER BY id"
        ),
        "001|baseline\n002|apply"
    );
    assert_eq!(database.query_text("SELECT count(old) FROM widgets"), "0");

    with_baseline["spec"]["baseline"] = "002".into();
    namespace.schema("shop", &with_baseline);
    schema.reaches("UpToDate");
    // One that the history does not have came too late.
    let gizmos = ("003_gizmos_UP.sql", "CREATE TABLE gizmos (id int);");
    with_baseline["spec"]["source"] = inline(&[WIDGETS, gadgets, gizmos]);
    with_baseline["spec"]["baseline"] = "003".into();
    namespace.schema("shop", &with_baseline);
    let status = schema.reaches("NotEmpty");
    assert_eq!(condition(&status, "Stalled")["status"], "True");
    assert_eq!(status["currentVersion"], "002");
}

#[test]
fn an_audit_that_was_changed_stalls_until_an_annotation_accepts_it() {
    let database = postgres().database("audited");
    let namespace = cluster().tenant("audited");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    database.exec("DELETE FROM schemaward.audit WHERE id = 2");
    schema.ask("look");
    let status = schema.reaches("HistoryTampered");
    let message = condition(&status, "Stalled")["message"].to_string();
    assert!(
        message.contains("before row 3 are gone")
            && message.contains("schemaward.dev/accept=audit"),
        "{message}"
    );
    annotate(&schema, "schemaward.dev/accept=audit");
    schema.reaches("UpToDate");
    assert!(audit(&database, "accept-audit").ends_with("before row 3 are gone"));
}
