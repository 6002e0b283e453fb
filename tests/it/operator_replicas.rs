//! More than one operator, and the end of one: nothing runs twice, nothing is left half.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Database, eventually, postgres};
use crate::operator_rig::{LIMIT, Operator, Tenant, apart, inline, resource};

const SLOW: (&str, &str) = (
    "001_slow_UP.sql",
    "CREATE TABLE slow (id int); SELECT pg_sleep(3);",
);
const AFTER: (&str, &str) = ("002_after_UP.sql", "CREATE TABLE after (id int);");

fn sleeps(database: &Database<'_>) {
    eventually(LIMIT, || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
        match database.query_text(sql).as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
}

#[test]
fn a_standby_takes_over_from_a_leader_that_was_killed() {
    let database = postgres().database("killed");
    let apart = apart("killed");
    let namespace = &apart.namespace;
    namespace.secret(&database);
    let first = apart.operator(&[]);
    first.leads();
    let second = apart.operator(&[]);
    assert!(
        second
            .http("/readyz")
            .is_some_and(|text| text.contains("standing by"))
    );
    let schema = namespace.schema(
        "shop",
        &resource("shop", &database, &inline(&[SLOW, AFTER])),
    );
    sleeps(&database);
    first.signal("KILL");
    let took = second.leads();
    assert!(took < Duration::from_secs(20), "{took:?}");
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001 002");
    assert_eq!(
        second
            .http("/metrics")
            .map(|text| text.contains("schemaward_leader 1")),
        Some(true)
    );
}

#[test]
fn a_leader_that_ends_finishes_its_version_and_hands_over_at_once() {
    let database = postgres().database("handover");
    let apart = apart("handover");
    let namespace = &apart.namespace;
    namespace.secret(&database);
    let mut first = apart.operator(&[]);
    first.leads();
    // SLOW, and then what must not be begun by the one that ends.
    let schema = namespace.schema(
        "shop",
        &resource("shop", &database, &inline(&[SLOW, AFTER])),
    );
    sleeps(&database);
    first.signal("TERM");
    let ended = first.wait();
    assert_eq!(ended.code(), Some(0), "{}", first.log());
    assert_eq!(database.applied(), "001");
    assert_eq!(apart.holder(), "");
    let status = schema.status();
    assert_eq!(status["currentVersion"], "001", "{status:#}");
    assert_eq!(status["conditions"][1]["type"], "Reconciling", "{status:#}");

    let second = apart.operator(&[]);
    second.leads();
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001 002");

    // At rest, with a standby beside it, the change takes a moment.
    let third = apart.operator(&[]);
    second.signal("TERM");
    let took = third.leads();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_version_longer_than_the_grace_is_cancelled_and_rolled_back() {
    let database = postgres().database("grace");
    let apart = apart("grace");
    let namespace = &apart.namespace;
    namespace.secret(&database);
    let mut operator = apart.operator(&["--shutdown-grace=12s"]);
    let endless = (
        "001_endless_UP.sql",
        "CREATE TABLE endless (id int); SELECT pg_sleep(600);",
    );
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[endless])));
    sleeps(&database);
    let began = Instant::now();
    operator.signal("TERM");
    let ended = operator.wait();
    let took = began.elapsed();
    assert_eq!(ended.code(), Some(0), "{}", operator.log());
    // Two seconds are left of the grace; the rest is for cancelling and telling.
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(10)).contains(&took),
        "{took:?}"
    );
    assert_eq!(database.applied(), "");
    assert_eq!(
        database.query_text("SELECT to_regclass('endless') IS NULL"),
        "t"
    );
    database.nothing_is_left();
    // It is not the script's fault: whoever comes next runs it again.
    let status = schema.status();
    assert_eq!(status["conditions"][0]["reason"], "Applying", "{status:#}");
    let next = apart.operator(&[]);
    sleeps(&database);
    drop(next);
}

#[test]
fn two_operators_at_once_run_every_version_once() {
    let database = postgres().database("both");
    let apart = apart("both");
    let namespace = &apart.namespace;
    namespace.secret(&database);
    // Without the election both believe to lead: only the lock in the database keeps them apart.
    let alone = ["--leader-election=false"];
    let operators = [apart.operator(&alone), apart.operator(&alone)];
    let files: Vec<(String, String)> = (1..=20)
        .map(|n| {
            let script = format!("CREATE TABLE t{n} (id int); SELECT pg_sleep(0.05);");
            (format!("{n:03}_step_UP.sql"), script)
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&files)));
    let status = schema.reaches("UpToDate");
    assert_eq!(status["appliedCount"], 20);
    assert_eq!(
        database.query_text("SELECT count(*), count(DISTINCT version) FROM schema_migrations"),
        "20|20"
    );
    for mut operator in operators {
        assert!(operator.runs());
        operator.signal("TERM");
        assert_eq!(operator.wait().code(), Some(0));
    }
    let events = schema.events();
    assert!(
        !events.iter().any(|event| event.starts_with("Warning")),
        "{events:?}"
    );
}

#[test]
fn in_named_namespaces_changes_of_referenced_objects_are_watched() {
    let database = postgres().database("watched");
    let apart = apart("watched");
    let namespace = &apart.namespace;
    // No poll would come by in this test's time.
    let operator = apart.operator(&["--source-poll-interval=1h"]);
    namespace.config_map("files", &[("001_a_UP.sql", "CREATE TABLE a ();")]);
    let source = json!({"configMaps": [{"name": "files"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &source));
    schema.reaches("SecretNotFound");
    namespace.secret(&database);
    schema.reaches("UpToDate");
    let files = [
        ("001_a_UP.sql", "CREATE TABLE a ();"),
        ("002_b_UP.sql", "CREATE TABLE b ();"),
    ];
    namespace.config_map("files", &files);
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    assert_eq!(database.applied(), "001 002");
    drop(operator);
}

#[test]
fn a_restarted_operator_does_not_run_a_failed_script_again_unless_it_changed() {
    let database = postgres().database("restart");
    let apart = apart("restart");
    let namespace = &apart.namespace;
    namespace.secret(&database);
    database.exec("CREATE SEQUENCE tries");
    let tries = || database.query_text("SELECT last_value FROM tries");
    let bad = "SELECT nextval('tries'); SELECT 1/0;";
    namespace.config_map("files", &[("001_bad_UP.sql", bad)]);
    let source = json!({"configMaps": [{"name": "files"}]});
    let manifest = resource("shop", &database, &source);

    let first = apart.operator(&[]);
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("MigrationFailed");
    schema.ask("once");
    schema.becomes("tried again", |status| status["failure"]["attempts"] == 2);
    assert_eq!(tries(), "2");
    let end = |mut operator: Operator| {
        operator.signal("TERM");
        assert_eq!(operator.wait().code(), Some(0));
    };
    end(first);

    // The failure and the annotation that was acted on are both in status.
    let before = schema.status();
    let second = apart.operator(&[]);
    second.leads();
    eventually(LIMIT, || {
        let metrics = second.http("/metrics").unwrap_or_default();
        let looked = "schemaward_reconciles_total{reason=\"MigrationFailed\"} 1";
        if metrics.contains(looked) {
            Ok(())
        } else {
            Err(metrics)
        }
    });
    assert_eq!(tries(), "2");
    assert_eq!(schema.status(), before);
    end(second);

    // Mended while nobody looked.
    namespace.config_map(
        "files",
        &[("001_bad_UP.sql", "CREATE TABLE good (id int);")],
    );
    let third = apart.operator(&[]);
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001");
    drop(third);
}
