//! Several resources on one database, in one operator.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Database, eventually, postgres};
use crate::operator_rig::{LIMIT, Tenant, apart, condition, inline, resource};

const SLOW: (&str, &str) = (
    "001_slow_UP.sql",
    "CREATE TABLE slow (id int); SELECT pg_sleep(20);",
);
const QUICK: (&str, &str) = ("001_quick_UP.sql", "CREATE TABLE quick (id int);");

fn sleeps(database: &Database<'_>) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'schemaward/%'
               AND wait_event = 'PgSleep' AND datname = current_database()";
    eventually(LIMIT, || match database.query_text(sql).as_str() {
        "1" => Ok(()),
        seen => Err(seen.to_owned()),
    });
}

#[test]
fn who_waits_for_a_database_takes_no_place_from_others() {
    let server = postgres();
    let (busy, other) = (server.database("busy"), server.database("free"));
    let apart = apart("turns");
    let namespace = &apart.namespace;
    for (name, database) in [("busy", &busy), ("free", &other)] {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"password": database.password},
        });
        namespace.apply(&secret.to_string());
    }
    let manifest =
        |name: &str, database: &Database<'_>, secret: &str, file: (&str, &str), table: &str| {
            let mut one = resource(name, database, &inline(&[file]));
            one["spec"]["connection"]["password"] =
                json!({"secretKeyRef": {"name": secret, "key": "password"}});
            one["spec"]["history"] = json!({"schema": "public", "table": table});
            one
        };
    let _operator = apart.operator(&["--max-concurrent-runs=2"]);
    namespace.schema(
        "first",
        &manifest("first", &busy, "busy", SLOW, "history_1"),
    );
    sleeps(&busy);
    // One place is left. Whoever waits for that database does not keep it.
    let waiting = manifest("second", &busy, "busy", QUICK, "history_2");
    let second = namespace.schema("second", &waiting);
    let began = Instant::now();
    for number in 0..3 {
        let name = format!("free-{number}");
        let table = format!("history_{number}");
        let script = format!("CREATE TABLE of_{number} (id int);");
        let file = ("001_one_UP.sql", script.as_str());
        let free = manifest(&name, &other, "free", file, &table);
        let schema = namespace.schema(&name, &free);
        schema.reaches("UpToDate");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(12), "{took:?}");
    // It is told whom it waits for, and has its turn.
    let status = second.reaches("LockHeld");
    let ready = condition(&status, "Ready");
    let message = ready["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("the migration lock is held by"),
        "{message}"
    );
    assert!(message.contains("Waited 1"), "some 15 s: {message}");
    second.reaches("UpToDate");
}
