//! The API server goes and comes back: the operator stays, and finishes what it began.

use crate::harness::{Api, eventually, postgres};
use crate::operator_rig::{LIMIT, Operator, Tenant, inline, install, resource, tenant};

const SLOW: (&str, &str) = (
    "001_slow_UP.sql",
    "CREATE TABLE slow (id int); SELECT pg_sleep(4);",
);

/// One test, because an API server is not for free.
#[test]
fn the_api_server_may_be_away() {
    let api = Api::start();
    let kubeconfig = install(&api, "schemaward", &[]);

    // Away at the start: not ready, and not gone either.
    api.stop();
    let mut operator = Operator::start(&kubeconfig, &["--source-poll-interval=1s"]);
    eventually(LIMIT, || match operator.http("/readyz") {
        Some(text) if text.contains("[-] API server reachable") => Ok(()),
        seen => Err(seen),
    });
    eventually(LIMIT, || {
        if operator.log().contains("waiting for the API server") {
            Ok(())
        } else {
            Err(operator.log())
        }
    });
    assert_eq!(operator.http("/healthz").as_deref(), Some("ok\n"));
    assert!(operator.runs());
    api.start_again();
    operator.is_ready();

    // Away in the middle of a version: it is finished, and told later.
    let database = postgres().database("away");
    let namespace = tenant(&api, "away");
    namespace.secret(&database);
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[SLOW])));
    eventually(LIMIT, || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
        match database.query_text(sql).as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    api.stop();
    eventually(LIMIT, || {
        match database
            .query_text("SELECT count(*) FROM schema_migrations")
            .as_str()
        {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    assert!(operator.runs());
    api.start_again();
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001");

    // The watches are there again.
    let more = ("002_more_UP.sql", "CREATE TABLE more (id int);");
    schema.patch(&serde_json::json!({"spec": {"source": inline(&[SLOW, more])}}));
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
}
