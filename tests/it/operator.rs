//! The main path on real parts: a `DatabaseSchema` becomes Ready, follows what Git says, and stays so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Database, eventually, postgres};
use crate::operator_rig::{LIMIT, Schema, Tenant, cluster, condition, inline, resource};
use crate::waiting::without_numbers;

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");
const GADGETS: (&str, &str) = ("002_gadgets_UP.sql", "CREATE TABLE gadgets (id int);");
const GADGETS_DOWN: (&str, &str) = ("002_gadgets_DOWN.sql", "DROP TABLE gadgets;");
/// Long enough to look at it from outside, and seen to run by a lock that a test waits for.
const SLOW: (&str, &str) = (
    "001_slow_UP.sql",
    "CREATE TABLE slow (id int); SELECT pg_sleep(4);",
);

/// Waits until a script of SLOW is in its sleep.
fn sleeps(database: &Database<'_>) {
    eventually(LIMIT, || {
        let sql = "SELECT count(*) FROM pg_stat_activity
            WHERE application_name LIKE 'schemaward/%' AND wait_event = 'PgSleep' AND datname = current_database()";
        match database.query_text(sql).as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
}

/// Whether an event tells which versions ran, and how long each took.
fn told_what_ran(event: &str) -> bool {
    let words = event.split(' ').map(|word| match word.parse::<u32>() {
        Ok(_) if word.len() < 3 => "N",
        _ => word,
    });
    let words: Vec<&str> = words.collect();
    words.join(" ")
        == "Normal UpToDate at version 002. Applied: 001 widgets in N ms, 002 gadgets in N ms."
}

#[test]
fn an_inline_source_becomes_ready() {
    let database = postgres().database("inline");
    let namespace = cluster().tenant("inline");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS, GADGETS]));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("UpToDate");
    let ready = condition(&status, "Ready");
    assert_eq!(ready["status"], "True");
    assert_eq!(ready["message"], "at version 002");
    assert_eq!(ready["observedGeneration"], 1);
    assert_eq!(status["conditions"].as_array().map(Vec::len), Some(1));
    for (field, expected) in [
        ("observedGeneration", json!(1)),
        ("currentVersion", json!("002")),
        ("targetVersion", json!("002")),
        ("appliedCount", json!(2)),
        ("pendingCount", json!(0)),
        ("failure", Value::Null),
        ("source", json!("inline (2 files)")),
    ] {
        assert_eq!(status[field], expected, "{field} of {status:#}");
    }
    assert_eq!(
        database.query_text("SELECT version, name FROM schema_migrations ORDER BY 1"),
        "001|widgets\n002|gadgets"
    );
    let shown = namespace.kubectl(&["get", "dbs", "shop", "--no-headers"]);
    let columns: Vec<&str> = shown.split_whitespace().collect();
    assert_eq!(
        columns[..6],
        ["shop", "True", "UpToDate", "002", "002", "0"]
    );
    eventually(LIMIT, || match schema.events().as_slice() {
        events if events.last().is_some_and(|last| told_what_ran(last)) => Ok(()),
        events => Err(events.to_vec()),
    });
    let gauge = format!(
        "schemaward_resource_reason{{namespace=\"{}\",name=\"shop\",reason=\"UpToDate\"}} 1",
        namespace.name
    );
    assert!(cluster().http("/metrics").contains(&gauge));
    namespace.kubectl(&["delete", "dbs", "shop"]);
    eventually(LIMIT, || {
        let metrics = cluster().http("/metrics");
        if metrics.contains(&format!("_reason{{namespace=\"{}\"", namespace.name)) {
            Err(metrics)
        } else {
            Ok(())
        }
    });
}

#[test]
fn everything_can_come_from_config_maps_and_secrets() {
    let database = postgres().database("references");
    database.require_tls();
    let namespace = cluster().tenant("references");
    namespace.secret(&database);
    let server = database.server;
    let ca = std::fs::read_to_string(&server.ca).expect("the CA is a file");
    let port = format!("{}\n", server.port);
    namespace.config_map(
        "endpoint",
        &[("host", &server.tls_host), ("port", &port), ("ca.pem", &ca)],
    );
    namespace.config_map("first", &[WIDGETS, ("README.md", "not a migration")]);
    // kubectl puts a file that is no UTF-8 text into binaryData; text may stand there, too.
    namespace.apply(
        &json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "second"},
            "binaryData": {"002_gadgets_UP.sql": "Q1JFQVRFIFRBQkxFIGdhZGdldHMgKGlkIGludCk7"},
        })
        .to_string(),
    );
    let names = json!({"stringData": {"user": database.user, "database": database.name}});
    let names = names.to_string();
    namespace.kubectl(&["patch", "secret", "db", "--type=merge", "-p", &names]);
    let from_map = |key: &str| json!({"configMapKeyRef": {"name": "endpoint", "key": key}});
    let from_secret = |key: &str| json!({"secretKeyRef": {"name": "db", "key": key}});
    let manifest = json!({
        "apiVersion": "schemaward.dev/v1alpha1",
        "kind": "DatabaseSchema",
        "metadata": {"name": "shop"},
        "spec": {
            "source": {"configMaps": [{"name": "first"}, {"name": "second"}]},
            "versions": [{"version": "001", "name": "widgets"}, {"version": "002"}],
            "connection": {
                "host": from_map("host"),
                "port": from_map("port"),
                "database": from_secret("database"),
                "username": from_secret("user"),
                "password": from_secret("password"),
                "tls": {"mode": "VerifyFull", "ca": from_map("ca.pem")},
            },
        },
    });
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("UpToDate");
    assert_eq!(status["source"], "ConfigMap/first, ConfigMap/second");
    assert_eq!(database.applied(), "001 002");
}

#[test]
fn a_reverted_commit_is_undone_by_the_stored_down() {
    let database = postgres().database("revert");
    let namespace = cluster().tenant("revert");
    namespace.secret(&database);
    namespace.config_map("files", &[WIDGETS, GADGETS, GADGETS_DOWN]);
    let mut manifest = resource(
        "shop",
        &database,
        &json!({"configMaps": [{"name": "files"}]}),
    );
    manifest["spec"]["rollback"] = json!({"policy": "Allow"});
    let schema = namespace.schema("shop", &manifest);
    assert_eq!(schema.reaches("UpToDate")["currentVersion"], "002");
    // The revert takes the DOWN away, too. Nothing of the resource itself changes.
    namespace.config_map("files", &[WIDGETS]);
    let status = schema.becomes("back at 001", |status| status["currentVersion"] == "001");
    assert_eq!(status["targetVersion"], "001");
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001");
    assert_eq!(
        database.query_text("SELECT to_regclass('gadgets') IS NULL"),
        "t"
    );
}

#[test]
fn a_run_is_seen_while_it_goes_on() {
    let database = postgres().database("progress");
    let namespace = cluster().tenant("progress");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[SLOW, GADGETS]));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("Applying");
    assert_eq!(condition(&status, "Ready")["status"], "False");
    let reconciling = condition(&status, "Reconciling");
    assert_eq!(reconciling["status"], "True");
    assert_eq!(reconciling["reason"], "Applying");
    let message = reconciling["message"].as_str().expect("a message");
    assert!(
        message.starts_with("Applying 2 versions: 001 to 002"),
        "{message}"
    );
    assert_eq!(status["pendingCount"], 2);
    assert_eq!(status["pending"][0]["version"], "001");
    let status = schema.reaches("UpToDate");
    assert_eq!(status["appliedCount"], 2);
    assert_eq!(condition(&status, "Reconciling"), Value::Null);
}

#[test]
fn a_version_that_waits_for_a_lock_says_for_whose() {
    let database = postgres().database("blocked");
    let namespace = cluster().tenant("blocked");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["execution"] = json!({"lockTimeout": "3s"});
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    let mut report = database.hold("report", "BEGIN; SELECT * FROM widgets;");
    let alter = ("002_alter_UP.sql", "ALTER TABLE widgets ADD name text;");
    schema.patch(&json!({"spec": {"source": inline(&[WIDGETS, alter])}}));
    let status = schema.reaches("LockTimeout");
    let message = condition(&status, "Ready")["message"].clone();
    let expected = format!(
        "002 alter waits for a lock on public.widgets held for N s by pid N (app \"report\", role \"{}\", idle \
         in transaction). Nothing of 002 was applied. Attempt 2 of 11 ",
        database.user
    );
    let said = without_numbers(message.as_str().unwrap());
    assert!(said.starts_with(&expected), "{said}");
    assert_eq!(
        condition(&status, "Reconciling")["reason"],
        "ProgressingWithRetry"
    );
    // From attempt to attempt it goes on saying so.
    schema.becomes("at its fourth attempt", |status| {
        let ready = condition(status, "Ready");
        assert_eq!(ready["reason"], "LockTimeout", "{status:#}");
        let message = ready["message"].as_str().unwrap();
        message.contains("Attempt 4 of 11 ")
    });
    report.kill().unwrap();
    report.wait().unwrap();
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001 002");
}

#[test]
fn who_stood_in_the_way_of_a_version_that_was_given_up_is_in_an_event() {
    let database = postgres().database("given_up");
    let namespace = cluster().tenant("given-up");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["execution"] = json!({"lockTimeout": "3s", "lockRetries": 0});
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    let mut report = database.hold("report", "BEGIN; SELECT * FROM widgets;");
    let alter = ("002_alter_UP.sql", "ALTER TABLE widgets ADD name text;");
    schema.patch(&json!({"spec": {"source": inline(&[WIDGETS, alter])}}));
    let status = schema.reaches("LockTimeout");
    let said = format!(
        "002 alter waits for a lock on public.widgets held for N s by pid N (app \"report\", role \"{}\", idle \
         in transaction). Nothing of 002 was applied; the database is at 001. Gave up after 1 attempt. End that \
         transaction, or let it end. Tries again by itself.",
        database.user
    );
    for message in [
        &condition(&status, "Ready")["message"],
        &status["failure"]["message"],
    ] {
        assert_eq!(without_numbers(message.as_str().unwrap()), said);
    }
    eventually(LIMIT, || {
        let events = schema.events();
        let told = |event: &String| without_numbers(event) == format!("Warning LockTimeout {said}");
        if events.iter().any(told) {
            Ok(())
        } else {
            Err(events)
        }
    });
    report.kill().unwrap();
    report.wait().unwrap();
    schema.reaches("UpToDate");
}

#[test]
fn a_version_that_runs_for_long_says_in_status_how_far_it_is() {
    let database = postgres().database("long");
    database.exec("CREATE TABLE orders (id int)");
    let mut writer = database.hold("shop", "BEGIN; INSERT INTO orders VALUES (1);");
    let namespace = cluster().tenant("long");
    namespace.secret(&database);
    let index = (
        "001_index_UP.sql",
        "CREATE INDEX CONCURRENTLY orders_id ON orders (id);",
    );
    let mut manifest = resource("shop", &database, &inline(&[index]));
    manifest["spec"]["execution"] = json!({"lockTimeout": "5m"});
    let schema = namespace.schema("shop", &manifest);
    let status = schema.becomes("shown while it runs", |status| {
        !status["progress"].is_null()
    });
    let progress = &status["progress"];
    assert_eq!(progress["version"], "001");
    assert_eq!(
        progress["phase"],
        "waiting for writers before build, 0 of 1 over"
    );
    assert_eq!(
        without_numbers(progress["waitsFor"].as_str().unwrap()),
        format!(
            "a lock on public.orders held by pid N (app \"shop\", role \"{}\", idle in transaction)",
            database.user
        )
    );
    writer.kill().unwrap();
    writer.wait().unwrap();
    let status = schema.reaches("UpToDate");
    assert_eq!(status["progress"], Value::Null);
}

#[test]
fn a_suspended_resource_is_left_alone() {
    let database = postgres().database("suspend");
    let namespace = cluster().tenant("suspend");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["suspend"] = json!(true);
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("Suspended");
    assert_eq!(condition(&status, "Ready")["status"], "False");
    assert_eq!(status["conditions"].as_array().map(Vec::len), Some(1));
    schema.ask("please");
    schema.becomes("asked", |status| status["lastHandledReconcile"] == "please");
    assert_eq!(
        database.query_text("SELECT to_regclass('schema_migrations') IS NULL"),
        "t"
    );
    schema.patch(&json!({"spec": {"suspend": false}}));
    schema.reaches("UpToDate");
}

#[test]
fn suspending_stops_between_versions() {
    let database = postgres().database("boundary");
    let namespace = cluster().tenant("boundary");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[SLOW, GADGETS]));
    let schema = namespace.schema("shop", &manifest);
    sleeps(&database);
    schema.patch(&json!({"spec": {"suspend": true}}));
    schema.reaches("Suspended");
    assert_eq!(database.applied(), "001");
    schema.patch(&json!({"spec": {"suspend": false}}));
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001 002");
}

#[test]
fn the_annotation_and_the_interval_look_again() {
    let database = postgres().database("again");
    let namespace = cluster().tenant("again");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS, GADGETS]));
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    // Behind our back; nobody tells the operator.
    database.exec("DELETE FROM schema_migrations WHERE version = '002'");
    schema.ask("1");
    let status = schema.reaches("HistoryTampered");
    assert_eq!(status["lastHandledReconcile"], "1");
    database.exec(
        "INSERT INTO schema_migrations (version, name, checksum)
        SELECT '002', 'gadgets', encode(sha256('CREATE TABLE gadgets (id int);'), 'hex')",
    );
    schema.ask("2");
    schema.reaches("UpToDate");

    schema.patch(&json!({"spec": {"interval": "1s"}}));
    schema.reaches("UpToDate");
    database.exec("DELETE FROM schema_migrations WHERE version = '002'");
    schema.reaches("HistoryTampered");
}

#[test]
fn a_failed_script_is_not_run_again_by_itself() {
    let database = postgres().database("once");
    let namespace = cluster().tenant("once");
    namespace.secret(&database);
    database.exec("CREATE SEQUENCE tries");
    let bad = ("001_bad_UP.sql", "SELECT nextval('tries'); SELECT 1/0;");
    let mut manifest = resource("shop", &database, &inline(&[bad]));
    manifest["spec"]["interval"] = json!("1s");
    let schema = namespace.schema("shop", &manifest);
    let failed = schema.reaches("MigrationFailed");
    // A sequence does not go back with its transaction.
    let tries = || database.query_text("SELECT last_value FROM tries");
    assert_eq!(tries(), "1");
    let sessions = || {
        let sql = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
        database.query_text(sql).parse::<i64>().expect("a number")
    };
    // It looked at least three times since: more sessions than our own looks at them.
    let (before, mut ours) = (sessions(), 0);
    eventually(LIMIT, || {
        ours += 1;
        if sessions() - before - ours >= 3 {
            Ok(())
        } else {
            Err(())
        }
    });
    assert_eq!(tries(), "1");
    assert_eq!(
        schema.status(),
        failed,
        "a look that finds the same writes nothing"
    );
    schema.ask("now");
    schema.becomes("tried again", |status| {
        status["lastHandledReconcile"] == "now" && status["failure"]["attempts"] == 2
    });
    assert_eq!(tries(), "2");
}

#[test]
fn deleting_changes_no_database() {
    let database = postgres().database("inert");
    let namespace = cluster().tenant("inert");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[SLOW, GADGETS]));
    namespace.schema("shop", &manifest);
    sleeps(&database);
    // At once: there is no finalizer that it would wait for.
    namespace.kubectl(&["delete", "dbs", "shop", "--timeout=2s"]);
    eventually(LIMIT, || {
        let sql = "SELECT count(*) FROM pg_stat_activity
            WHERE application_name LIKE 'schemaward/%' AND datname = current_database()";
        match database.query_text(sql).as_str() {
            "0" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    // What was begun is whole, what was not begun is not there.
    assert_eq!(database.applied(), "001");
    assert_eq!(
        database.query_text("SELECT to_regclass('gadgets') IS NULL"),
        "t"
    );

    // Made anew under the same name it goes on; the namespace's end leaves all as it is, too.
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    namespace.kubectl(&["delete", "namespace", &namespace.name, "--wait=false"]);
    eventually(LIMIT, || {
        let gone = namespace.try_kubectl(&["get", "dbs", "shop"]);
        if gone.status.success() {
            Err(())
        } else {
            Ok(())
        }
    });
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(database.applied(), "001 002");
}

#[test]
fn a_status_that_somebody_wrote_into_is_put_right() {
    let database = postgres().database("forged");
    let namespace = cluster().tenant("forged");
    namespace.secret(&database);
    let bad = ("001_bad_UP.sql", "SELECT 1/0;");
    let schema: Schema<'_> =
        namespace.schema("shop", &resource("shop", &database, &inline(&[bad])));
    schema.reaches("MigrationFailed");
    let forged = json!({"status": {"currentVersion": "999", "conditions": [{
        "type": "Ready", "status": "True", "reason": "UpToDate", "message": "forged",
        "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    namespace.kubectl(&[
        "patch",
        "dbs",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        &forged.to_string(),
    ]);
    schema.becomes("put right", |status| {
        condition(status, "Stalled")["reason"] == "MigrationFailed"
            && condition(status, "Ready")["status"] == "False"
            && status["currentVersion"] == Value::Null
    });
}
