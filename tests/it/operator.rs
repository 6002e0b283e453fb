//! The main path on real parts: a `DatabaseSchema` becomes Ready and stays so.

use serde_json::json;

use crate::harness::postgres;
use crate::operator_rig::{Tenant, cluster, condition, inline, resource};

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");
const GADGETS: (&str, &str) = ("002_gadgets_UP.sql", "CREATE TABLE gadgets (id int);");

#[test]
fn an_inline_source_becomes_ready() {
    let database = postgres().database("inline");
    let namespace = cluster().tenant("inline");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS, GADGETS]));
    let status = namespace.schema("shop", &manifest).reaches("UpToDate");
    assert_eq!(condition(&status, "Ready")["status"], "True");
    assert_eq!(condition(&status, "Ready")["message"], "at version 002");
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(status["targetVersion"], "002");
    assert_eq!(status["appliedCount"], 2);
    assert_eq!(status["pendingCount"], 0);
    assert_eq!(status["failure"], json!(null));
    assert_eq!(
        database.query_text("SELECT version, name FROM schema_migrations ORDER BY 1"),
        "001|widgets\n002|gadgets"
    );
    assert_eq!(database.query_text("SELECT count(*) FROM gadgets"), "0");
}
