//! A server that hangs, and what an operator leaves behind on one.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Database, Namespace, Postgres, eventually, postgres};
use crate::operator_rig::{
    LIMIT, Operator, Schema, Tenant, apart, cluster, condition, inline, resource,
};
use crate::waiting::without_numbers;

const SLOW: (&str, &str) = (
    "001_slow_UP.sql",
    "CREATE TABLE slow (id int); SELECT pg_sleep(2);",
);

const WRONG: (&str, &str) = ("001_wrong_UP.sql", "SELECT * FROM nowhere;");

/// The server process that runs a script of ours; it is stopped until this value is dropped.
struct Stopped(String);

impl Stopped {
    fn of_script(database: &Database<'_>) -> Self {
        let sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'schemaward/%' \
                   AND wait_event = 'PgSleep' AND datname = current_database()";
        let pid = eventually(LIMIT, || match database.query_text(sql) {
            seen if seen.parse::<u32>().is_ok() => Ok(seen),
            seen => Err(seen),
        });
        signal("-STOP", &pid);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill").args([name, pid]).status();
    assert!(sent.expect("kill is there").success());
}

#[test]
fn a_shutdown_leaves_a_hung_server_in_time_and_the_next_run_says_so() {
    an_earlier_run_is_told("term", |operator| {
        let began = Instant::now();
        operator.signal("TERM");
        assert_eq!(operator.wait().code(), Some(0), "{}", operator.log());
        let took = began.elapsed();
        assert!(took < Duration::from_secs(25), "{took:?}");
    });
}

#[test]
fn after_a_kill_the_session_that_is_left_is_told_by_the_next_run() {
    an_earlier_run_is_told("kill", Operator::kill);
}

/// A server process hangs in a version, `end` ends the operator, and another one comes.
fn an_earlier_run_is_told(name: &str, end: impl Fn(&mut Operator)) {
    // A server of its own: others wait for a process that does not answer, such as CREATE DATABASE.
    let server = Postgres::start(16, &[]);
    let database = server.database("hung");
    let apart = apart(&format!("hung-{name}"));
    let namespace = &apart.namespace;
    namespace.secret(&database);
    let mut first = apart.operator(&["--shutdown-grace=12s"]);
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[SLOW])));
    let stopped = Stopped::of_script(&database);
    end(&mut first);

    let _second = apart.operator(&[]);
    let status = schema.reaches("PreviousRunStillActive");
    let message = condition(&status, "Ready")["message"].clone();
    assert_eq!(
        without_numbers(message.as_str().expect("a text")),
        format!(
            "An earlier run for this resource is still active on the server and holds the migration lock: \
             pid N (app \"schemaward/operator {}/shop\", role \"{}\"), connected for N s, active for N s. \
             Waited N s; nothing was changed. What it has under way is recorded whole or rolled back when \
             that session ends, and nothing runs beside it. To end it: SELECT pg_terminate_backend({}). \
             Tries again by itself.",
            namespace.name, database.user, stopped.0
        )
    );
    assert_eq!(
        condition(&status, "Reconciling")["reason"],
        "ProgressingWithRetry"
    );
    drop(stopped);
    schema.reaches("UpToDate");
    let rows = "SELECT count(*) FROM schema_migrations";
    assert_eq!(database.query_text(rows), "1");
}

/// A look at what failed is a look, too: it ends with its resource, however long the server takes.
#[test]
fn suspending_ends_the_look_at_a_failed_script() {
    a_look_ends("suspended", |schema| {
        schema.patch(&json!({"spec": {"suspend": true}}));
        schema.reaches("Suspended");
    });
}

#[test]
fn deleting_ends_the_look_at_a_failed_script() {
    a_look_ends("deleted", |schema| {
        let delete = ["delete", "dbs", schema.name, "--timeout=2s"];
        schema.namespace.kubectl(&delete);
    });
}

/// The look at a failed script waits for a lock, as it would for ten minutes; `end` is what ends it.
fn a_look_ends(name: &str, end: impl Fn(&Schema<'_>)) {
    let database = postgres().database(&format!("look_{name}"));
    let namespace = cluster().tenant(&format!("look-{name}"));
    namespace.config_map("files", &[WRONG]);
    let schema = patient(&namespace, &database);
    schema.reaches("MigrationFailed");
    ends_in_its_look(
        &database,
        || namespace.config_map("files", &[WRONG, ("001_wrong_DOWN.sql", "SELECT 1;")]),
        || end(&schema),
    );
}

/// What a person decided is carried out before anything else, and looks at the database for that.
#[test]
fn suspending_ends_the_look_for_a_decision() {
    let database = postgres().database("look_decided");
    let namespace = cluster().tenant("look-decided");
    namespace.config_map("files", &[("001_one_UP.sql", "SELECT 1;")]);
    let schema = patient(&namespace, &database);
    schema.reaches("UpToDate");
    let decide = ["annotate", "dbs", "shop", "schemaward.dev/accept=001"];
    ends_in_its_look(
        &database,
        || {
            namespace.kubectl(&decide);
        },
        || schema.patch(&json!({"spec": {"suspend": true}})),
    );
}

/// Files `files`, and ten minutes of patience with locks.
fn patient<'a>(namespace: &'a Namespace<'_>, database: &Database<'_>) -> Schema<'a> {
    namespace.secret(database);
    let source = json!({"configMaps": [{"name": "files"}]});
    let mut manifest = resource("shop", database, &source);
    manifest["spec"]["execution"] = json!({"lockTimeout": "10m"});
    namespace.schema("shop", &manifest)
}

/// While somebody else has the history, a look that `begin` makes necessary ends by `end`.
fn ends_in_its_look(database: &Database<'_>, begin: impl Fn(), end: impl Fn()) {
    let history = "BEGIN; LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE;";
    let mut holder = database.hold("holder", history);
    begin();
    looks_that_wait(database, "1");
    end();
    looks_that_wait(database, "0");
    holder.kill().expect("it runs");
    holder.wait().expect("it ended");
}

/// Waits until as many sessions of ours wait for a lock.
#[track_caller]
fn looks_that_wait(database: &Database<'_>, count: &str) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'schemaward/%' \
                   AND wait_event_type = 'Lock' AND datname = current_database()";
    eventually(LIMIT, || match database.query_text(waiting) {
        seen if seen == count => Ok(()),
        seen => Err(seen),
    });
}
