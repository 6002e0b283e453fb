//! What somebody on call sees in ten seconds: `kubectl get dbs -o wide` and `kubectl describe`, in four states.
//! `cargo test --test it operator_seen -- --nocapture` prints it all.

use serde_json::json;

use crate::harness::{Postgres, postgres};
use crate::operator_rig::{Tenant, cluster, inline, resource};

#[test]
fn four_states_say_what_happened_and_what_to_do() {
    let database = |name: &str| postgres().database(name);
    let namespace = cluster().tenant("seen");
    let widgets = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");
    let gadgets = ("002_gadgets_UP.sql", "CREATE TABLE gadgets (id int);");
    let limits = (
        "003_add_limits_UP.sql",
        "ALTER TABLE widgets ADD least int;\nALTER TABLE nowhere ADD most int;",
    );

    // One Secret each, as the password is each database's own.
    let schema = |name: &'static str, of: &crate::harness::Database<'_>, files: &[(&str, &str)]| {
        let password = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"password": of.password},
        });
        namespace.apply(&password.to_string());
        let mut manifest = resource(name, of, &inline(files));
        manifest["spec"]["connection"]["password"] =
            json!({"secretKeyRef": {"name": name, "key": "password"}});
        namespace.schema(name, &manifest)
    };
    let away = Postgres::start(16, &[]);
    let away_database = away.database("away");
    away.stop("fast");

    schema("shop", &database("shop"), &[widgets, gadgets]).reaches("UpToDate");
    let ledger_database = database("ledger");
    schema("ledger", &ledger_database, &[widgets, gadgets]).reaches("UpToDate");
    schema("ledger", &ledger_database, &[widgets, gadgets, limits]).reaches("MigrationFailed");
    let crm_database = database("crm");
    schema("crm", &crm_database, &[widgets]).reaches("UpToDate");
    let changed = (widgets.0, "CREATE TABLE widgets (id bigint);");
    schema("crm", &crm_database, &[changed, gadgets]).reaches("ChecksumMismatch");
    schema("billing", &away_database, &[widgets]).reaches("DatabaseUnreachable");

    let wide = namespace.kubectl(&["get", "dbs", "-o", "wide"]);
    println!("$ kubectl get dbs -o wide\n{wide}\n");
    for name in ["shop", "billing", "ledger", "crm"] {
        let described = namespace.kubectl(&["describe", "dbs", name]);
        let (_, status) = described.split_once("Status:").expect("a status");
        println!("$ kubectl describe dbs {name}\n…\nStatus:{status}\n");
    }
    let row = |name: &str| {
        let line = wide
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a row");
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(row("shop")[1..6], ["True", "UpToDate", "002", "002", "0"]);
    assert_eq!(
        row("ledger")[1..6],
        ["False", "MigrationFailed", "002", "003", "1"]
    );
    assert_eq!(
        row("crm")[1..5],
        ["False", "ChecksumMismatch", "001", "002"]
    );
    // Its database was never looked at: what is current and pending is not known, and not claimed.
    assert_eq!(
        row("billing")[1..4],
        ["False", "DatabaseUnreachable", "001"]
    );
    assert!(wide.contains(
        "003 add_limits failed at line 2, column 1: relation \"nowhere\" does not exist (42P01)."
    ));
}
