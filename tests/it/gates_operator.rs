//! Other objects that have to say something before scripts run, on a real API server and a real PostgreSQL. The
//! objects are those of `examples/backups`, with the CRDs of their projects; their status is written as their
//! controllers write it.

use serde_json::{Value, json};

use crate::ack::install_crds;
use crate::harness::{Api, Database, Namespace, eventually, postgres};
use crate::operator_rig::{LIMIT, Operator, Tenant, condition, inline, install, resource};

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/schemaward");

/// The gates of the example, and what the controllers write once the backup is there.
fn gates() -> Value {
    json!([
        {
            "apiVersion": "rds.services.k8s.aws/v1alpha1",
            "kind": "DBSnapshot",
            "name": "fluxion-before-002",
            "jsonPath": ".status.status",
            "equals": "available",
            "timePath": ".status.snapshotCreateTime",
            "maxAge": "24h",
        },
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Backup",
            "name": "fluxion-before-002",
            "jsonPath": ".status.phase",
            "equals": "completed",
        },
        {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshot",
            "name": "fluxion-before-002",
            "jsonPath": ".status.readyToUse",
        },
    ])
}

fn write_status(namespace: &Namespace<'_>, kind: &str, status: &Value) {
    namespace.write_status(kind, "fluxion-before-002", status);
}

/// What the message says: the chart's value.
fn let_it_read(api: &Api) {
    let rules = [
        "rds.services.k8s.aws",
        "postgresql.cnpg.io",
        "snapshot.storage.k8s.io",
    ];
    let resources = ["dbsnapshots", "backups", "volumesnapshots"];
    let mut arguments = vec![
        "upgrade",
        "schemaward",
        CHART,
        "--namespace=schemaward",
        "--reuse-values",
    ];
    let rules: Vec<String> = (0..3)
        .map(|at| {
            let (group, resource) = (rules[at], resources[at]);
            let rule = format!("rbac.gateRules[{at}]");
            format!("{rule}.apiGroups={{{group}}},{rule}.resources={{{resource}}}")
        })
        .collect();
    arguments.extend(rules.iter().flat_map(|rule| ["--set", rule.as_str()]));
    api.helm(&arguments);
}

/// The point to go back to, should the backup be needed.
fn the_point_to_restore_to_is_in_the_audit(database: &Database<'_>) {
    let recorded = database.query_text(
        "SELECT actor ~ ', WAL before the run at [0-9A-F]+/[0-9A-F]+ [(]20[0-9T:-]+Z[)]$' \
         FROM schemaward.audit WHERE action = 'apply'",
    );
    assert_eq!(recorded, "t");
}

#[test]
fn a_plan_waits_for_backups_and_runs_once_they_are_there() {
    let database = postgres().database("gates");
    let api = Api::start();
    let kubeconfig = install(&api, "schemaward", &[]);
    let namespace = api.namespace("gates");
    api.kubectl(&[
        "-n",
        &namespace.name,
        "create",
        "rolebinding",
        "schemaward-tenant",
        "--clusterrole=schemaward-tenant",
        "--serviceaccount=schemaward:schemaward",
    ]);
    let operator = Operator::start(&kubeconfig, &[]);
    operator.is_ready();
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["gates"] = gates();
    let schema = namespace.schema("shop", &manifest);
    let says = |reason: &str, text: &str| {
        schema.ask(text);
        schema.becomes(text, |status| {
            let ready = condition(status, "Ready");
            let said = ready["message"].as_str().unwrap_or_default();
            ready["reason"] == reason && said.contains(text)
        })
    };
    let status = says(
        "GateNotMet",
        "the cluster has no kind DBSnapshot in rds.services.k8s.aws/v1alpha1: install its CRD",
    );
    assert_eq!(condition(&status, "Ready")["status"], "False");
    assert_eq!(condition(&status, "Stalled"), Value::Null);
    assert_eq!(status["plan"]["scriptCount"], 1);
    install_crds(&api);
    says(
        "AccessDenied",
        "the operator may not read DBSnapshot fluxion-before-002 in namespace ",
    );
    let_it_read(&api);
    says("GateNotMet", "DBSnapshot fluxion-before-002 is not there");
    for file in [
        "rds-snapshot.yaml",
        "cloudnative-pg.yaml",
        "volume-snapshot.yaml",
    ] {
        namespace.apply_example(&format!("backups/{file}"));
    }
    says(
        "GateNotMet",
        "DBSnapshot fluxion-before-002 has no .status.status",
    );
    write_status(
        &namespace,
        "dbsnapshot.rds.services.k8s.aws",
        &json!({"status": "creating"}),
    );
    says(
        "GateNotMet",
        ".status.status of DBSnapshot fluxion-before-002 is \"creating\" and has to be \"available\"",
    );
    let old = json!({"status": "available", "snapshotCreateTime": "2020-01-01T00:00:00Z"});
    write_status(&namespace, "dbsnapshot.rds.services.k8s.aws", &old);
    says(
        "GateNotMet",
        "is of 2020-01-01T00:00:00Z, older than 24h: take a new one",
    );
    assert_eq!(
        database.query_text("SELECT to_regclass('schemaward.audit') IS NULL"),
        "t",
        "nothing was written"
    );
    let now = jiff::Timestamp::now().to_string();
    let snapshot = json!({"status": "available", "snapshotCreateTime": now});
    write_status(&namespace, "dbsnapshot.rds.services.k8s.aws", &snapshot);
    write_status(
        &namespace,
        "backups.postgresql.cnpg.io",
        &json!({"phase": "completed"}),
    );
    write_status(
        &namespace,
        "volumesnapshots.snapshot.storage.k8s.io",
        &json!({"readyToUse": true}),
    );
    // Nobody asks: it looks again by itself.
    assert_eq!(schema.reaches("UpToDate")["currentVersion"], "001");
    the_point_to_restore_to_is_in_the_audit(&database);
    eventually(LIMIT, || {
        let events = schema.events();
        let told = events
            .iter()
            .filter(|event| event.starts_with("Normal GateNotMet"));
        match told.count() {
            0 => Err(events),
            _ => Ok(()),
        }
    });
}
