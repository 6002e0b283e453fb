//! Events that the API server does not take for long.

use serde_json::json;

use crate::harness::{Database, eventually, postgres};
use crate::kfault::{Fault, Kfault};
use crate::matrix::scene::event_writes;
use crate::operator_rig::{LIMIT, Operator, Tenant, apart, inline, resource};

/// Annotations that are no decision: each is refused, and told by an Event, before anything is run.
const REFUSED: [&str; 3] = ["accept", "resolve", "takeover"];

fn made(database: &Database<'_>, table: &str) {
    eventually(LIMIT, || {
        match database
            .query_text(&format!("SELECT to_regclass('{table}')"))
            .as_str()
        {
            "" => Err(format!("there is no {table}")),
            _ => Ok(()),
        }
    });
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
    made(&database, "one");
    made(&database, "two");
    // The Events of the first resource come one after the other, and each is given up after a while. Another may be
    // of the second one's end.
    let hits = held.hits();
    assert!(hits < REFUSED.len(), "{hits} Events were waited for");
}
