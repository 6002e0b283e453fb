//! Events that the API server does not take for long.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::harness::{Database, eventually, postgres};
use crate::kfault::{Fault, Kfault};
use crate::matrix::scene::event_writes;
use crate::operator_rig::{LIMIT, Operator, Tenant, apart, inline, resource};

/// Annotations that are no decision: each is refused, and told by an Event, before anything is run.
const REFUSED: [&str; 3] = ["accept", "resolve", "takeover"];

/// How long the operator waits for the API server to take one.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5);

/// When the version that makes this table was applied, which is waited for.
fn applied_at(database: &Database<'_>, table: &str) -> SystemTime {
    eventually(LIMIT, || {
        match database
            .query_text(&format!("SELECT to_regclass('{table}')"))
            .as_str()
        {
            "" => Err(format!("there is no {table}")),
            _ => Ok(()),
        }
    });
    let at = format!("SELECT EXTRACT(epoch FROM applied_at) FROM history_of_{table}");
    let epoch = database.query_text(&at).parse().expect("a number");
    UNIX_EPOCH + Duration::from_secs_f64(epoch)
}

#[test]
fn no_run_of_a_database_waits_until_an_event_is_written() {
    let database = postgres().database("events");
    let apart = apart("events");
    let namespace = &apart.namespace;
    namespace.secret(&database);
    let kfault = Kfault::before(&apart.kubeconfig);
    let watched = format!("--watch-namespaces={}", namespace.name);
    let operator = Operator::start(
        &kfault.kubeconfig,
        &[
            &watched,
            "--leader-election=false",
            "--source-poll-interval=1s",
        ],
    );
    operator.is_ready();
    let held = kfault.fault(event_writes(namespace), Fault::Hold);
    let of_table = |name: &str, table: &str| {
        let script = format!("CREATE TABLE {table} (id int);");
        let file = ("001_one_UP.sql", script.as_str());
        let mut manifest = resource(name, &database, &inline(&[file]));
        let history = format!("history_of_{table}");
        manifest["spec"]["history"] = json!({"schema": "public", "table": history});
        manifest
    };
    let mut refused = of_table("refused", "one");
    let annotations = REFUSED.map(|kind| (format!("schemaward.dev/{kind}"), json!("?")));
    let annotations: serde_json::Map<_, _> = annotations.into_iter().collect();
    refused["metadata"]["annotations"] = annotations.into();
    namespace.schema("refused", &refused);
    eventually(LIMIT, || match held.hits() {
        0 => Err(operator.log()),
        _ => Ok(()),
    });
    namespace.schema("beside", &of_table("beside", "two"));
    let applied = ["one", "two"].map(|table| applied_at(&database, table));
    // The Events of the first resource come one after the other, and each is given up after a while: who waited for
    // them would run after the last of them at the earliest.
    let events = kfault.seen(&event_writes(namespace));
    if let Some(last) = events.get(REFUSED.len() - 1) {
        let given_up = SystemTime::now() - last.at.elapsed() + GIVEN_UP_AFTER;
        assert!(
            applied.iter().all(|at| *at < given_up),
            "{applied:?}, {given_up:?}"
        );
    }
}
