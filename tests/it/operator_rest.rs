//! At rest: nothing is written, neither to the API server nor to the database.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Database, eventually, postgres};
use crate::operator_rig::{LIMIT, Tenant, cluster, resource};

/// Sessions that the database has seen, this one included.
fn sessions(database: &Database<'_>) -> i64 {
    let sql = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
    database.query_text(sql).parse().expect("a number")
}

/// Rows that anybody wrote into tables of the user and of ours. (The catalog's are left out: autovacuum writes there.)
fn writes(database: &Database<'_>) -> String {
    database.query_text("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables")
}

#[test]
fn a_resource_at_rest_writes_nothing_anywhere() {
    let database = postgres().database("rest");
    let namespace = cluster().tenant("rest");
    namespace.secret(&database);
    namespace.config_map(
        "files",
        &[("001_widgets_UP.sql", "CREATE TABLE widgets (id int);")],
    );
    let source = json!({"configMaps": [{"name": "files"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &source));
    schema.reaches("UpToDate");
    let version = || schema.get()["metadata"]["resourceVersion"].clone();
    let (resource_version, events) = (version(), schema.events());

    // With an interval of ten minutes nobody connects; the looks at ConfigMap and Secret, here every
    // second, are reads, and so is a renewal of the lease in between. (A session is counted when it ends, so first the last ones must have.)
    let seen = eventually(LIMIT, || {
        let (first, second) = (sessions(&database), sessions(&database));
        if second - first == 1 {
            Ok(second)
        } else {
            Err(second - first)
        }
    });
    let written = writes(&database);
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(sessions(&database) - seen, 2, "our own two sessions");
    assert_eq!(writes(&database), written);
    assert_eq!(version(), resource_version);

    // With an interval of a second it looks at the database, and writes as little.
    schema.patch(&json!({"spec": {"interval": "1s"}}));
    schema.reaches("UpToDate");
    let resource_version = version();
    let (seen, written) = (sessions(&database), writes(&database));
    let mut ours = 1;
    eventually(LIMIT, || {
        ours += 1;
        if sessions(&database) - seen - ours >= 4 {
            Ok(())
        } else {
            Err(())
        }
    });
    assert_eq!(writes(&database), written);
    assert_eq!(version(), resource_version);
    assert_eq!(schema.events(), events);
}
