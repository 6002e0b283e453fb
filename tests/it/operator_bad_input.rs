//! Bad input, nothing lost: what each trouble is called, what a person reads, and what is left in the database.

use serde_json::{Value, json};

use crate::harness::{Database, Namespace, Postgres, eventually, postgres};
use crate::operator_rig::{LIMIT, Schema, Tenant, cluster, condition, inline, resource};

mod history;
mod references;
mod scripts;
mod server;

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");
const GADGETS: (&str, &str) = (
    "002_gadgets_UP.sql",
    "CREATE TABLE gadgets (id int PRIMARY KEY);",
);
const THINGS: (&str, &str) = ("003_things_UP.sql", "CREATE TABLE things (id int);");

/// A person has to act: kstatus fails at once, with this message.
#[track_caller]
fn is_stalled(status: &Value, reason: &str, message: &str) {
    let ready = condition(status, "Ready");
    assert_eq!(ready["status"], "False", "{status:#}");
    assert_eq!(ready["reason"], reason, "{status:#}");
    assert_eq!(ready["message"], message);
    let stalled = condition(status, "Stalled");
    assert_eq!(stalled["status"], "True", "{status:#}");
    assert_eq!(stalled["reason"], reason);
    assert_eq!(stalled["message"], message);
    assert_eq!(condition(status, "Reconciling"), Value::Null);
    assert_eq!(status["failure"]["reason"], reason);
}

/// It heals by itself; gives the message.
#[track_caller]
fn is_retried(status: &Value, reason: &str) -> String {
    let ready = condition(status, "Ready");
    assert_eq!(ready["status"], "False", "{status:#}");
    assert_eq!(ready["reason"], reason, "{status:#}");
    let reconciling = condition(status, "Reconciling");
    assert_eq!(reconciling["status"], "True", "{status:#}");
    assert_eq!(reconciling["reason"], "ProgressingWithRetry");
    assert_eq!(condition(status, "Stalled"), Value::Null);
    ready["message"].as_str().expect("a message").to_owned()
}

/// The tables of the user, and whether we left anything.
fn tables(database: &Database<'_>) -> String {
    database.query_text(
        "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class
         JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname IN ('public', 'schemaward')",
    )
}

/// A resource that was brought to `files`, and then has them changed.
#[track_caller]
fn at<'a>(
    namespace: &'a Namespace<'_>,
    database: &Database<'_>,
    files: &[(&str, &str)],
) -> Schema<'a> {
    namespace.secret(database);
    let schema = namespace.schema("shop", &resource("shop", database, &inline(files)));
    schema.reaches("UpToDate");
    schema
}

fn change(schema: &Schema<'_>, files: &[(&str, &str)]) {
    // A merge patch would keep files that are no longer there.
    let mut source = json!([{"op": "replace", "path": "/spec/source", "value": inline(files)}]);
    let patch = source.take().to_string();
    let arguments = ["patch", "dbs", schema.name, "--type=json", "-p", &patch];
    schema.namespace.kubectl(&arguments);
}
