//! The chart of an RDS instance on a real API server, with the CRDs of AWS Controllers for Kubernetes, and the
//! `DatabaseSchema` that connects to what the instance's objects tell. `charts/check` looks at what needs no server.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::ack;
use crate::harness::{Namespace, postgres};
use crate::operator_rig::{Tenant, cluster, condition, inline};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/rds-postgres");
const INSTANCE: &str = "fluxion-postgres-v2";
const CONFIG_MAP: &str = "fluxion-postgres-v2-connection";
const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");

/// A namespace that the operator may read, on a server that knows the kinds.
fn tenant(name: &str) -> Namespace<'static> {
    ack::install_crds(&cluster().api);
    cluster().tenant(name)
}

/// `values` is a file of the chart's `ci/`.
fn release(
    verb: &str,
    namespace: &Namespace<'_>,
    values: &str,
    flags: &[&str],
) -> Result<String, String> {
    let values = format!("{CHART}/ci/{values}-values.yaml");
    let arguments = [
        verb,
        "database",
        CHART,
        "--namespace",
        &namespace.name,
        "--values",
        &values,
    ];
    let output = namespace.api.try_helm(&[&arguments, flags].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("helm writes UTF-8");
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

fn ready_message(status: &Value) -> String {
    let condition = condition(status, "Ready");
    condition["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_schema_waits_for_its_instance_and_goes_ready_by_itself() {
    let database = postgres().database("rds");
    database.require_tls();
    let server = database.server;
    let namespace = tenant("rds");
    namespace.secret(&database);
    let ca = std::fs::read_to_string(&server.ca).expect("the CA is a file");
    namespace.config_map("rds-ca", &[("global-bundle.pem", &ca)]);
    let set = format!("database={}", database.name);
    let notes = release("install", &namespace, "default", &["--set", &set]).expect("it installs");
    assert!(
        notes.contains(&format!(
            "configMapKeyRef: {{name: {CONFIG_MAP}, key: host}}"
        )),
        "{notes}"
    );

    let exported = |key: &str| json!({"configMapKeyRef": {"name": CONFIG_MAP, "key": key}});
    let manifest = json!({
        "apiVersion": "schemaward.dev/v1alpha1",
        "kind": "DatabaseSchema",
        "metadata": {"name": "fluxion"},
        "spec": {
            "source": inline(&[WIDGETS]),
            "connection": {
                "host": exported("host"),
                "port": exported("port"),
                "database": exported("dbname"),
                "username": {"value": database.user},
                "password": {"secretKeyRef": {"name": "db", "key": "password"}},
                "tls": {"mode": "VerifyFull", "ca": {"configMapKeyRef": {"name": "rds-ca", "key": "global-bundle.pem"}}},
            },
        },
    });
    let schema = namespace.schema("fluxion", &manifest);
    ack::instance_is_being_made(&namespace, INSTANCE);
    ack::export_fields(&namespace);
    let status = schema.reaches("KeyMissing");
    assert_eq!(
        condition(&status, "Reconciling")["status"],
        "True",
        "it heals by itself: {status:#}"
    );
    let message = ready_message(&status);
    assert!(
        message.contains(CONFIG_MAP) && message.contains("has no key host."),
        "{message}"
    );

    ack::instance_is_there(&namespace, INSTANCE, &server.tls_host, server.port);
    ack::export_fields(&namespace);
    assert_eq!(schema.reaches("UpToDate")["currentVersion"], "001");
    assert_eq!(
        database.query_text("SELECT to_regclass('widgets') IS NOT NULL"),
        "t"
    );

    what_was_exported_outlives_an_upgrade(&namespace, &set);
    schema.ask("after the upgrade");
    schema.reaches("UpToDate");
}

/// The exported keys are not the release's, so nothing that applies the chart again takes them away; and it does
/// not touch what the controller chose for the instance.
fn what_was_exported_outlives_an_upgrade(namespace: &Namespace<'_>, set: &str) {
    let exported =
        || namespace.kubectl(&["get", "configmap", CONFIG_MAP, "-o", "jsonpath={.data}"]);
    let before = exported();
    let keys: serde_json::Map<String, Value> = serde_json::from_str(&before).expect("a map");
    let keys: Vec<_> = keys.keys().map(String::as_str).collect();
    assert_eq!(keys, ["dbname", "host", "port", "secretArn"]);
    release(
        "upgrade",
        namespace,
        "default",
        &["--set", set, "--set", "backup.retentionDays=14"],
    )
    .expect("it upgrades");
    assert_eq!(exported(), before);
    let path = "jsonpath={.spec.backupRetentionPeriod} {.spec.iops} {.spec.availabilityZone}";
    let seen = namespace.kubectl(&["get", "dbinstance", INSTANCE, "-o", path]);
    assert_eq!(seen, "14 3000 eu-central-1a");
}

/// The API server's own view of the objects, rules in CEL among it, for each set of values that `charts/check` renders.
#[test]
fn every_set_of_values_is_taken_by_the_api_server() {
    let folder = std::fs::read_dir(format!("{CHART}/ci")).expect("the folder is there");
    let files: Vec<PathBuf> = folder.map(|entry| entry.expect("a file").path()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name of ours");
        let values = name.strip_suffix("-values.yaml").expect("a set of values");
        let namespace = tenant(values);
        release("install", &namespace, values, &[])
            .unwrap_or_else(|said| panic!("{values}: {said}"));
        let seen = namespace.kubectl(&[
            "get",
            "dbinstance,securitygroup,dbsubnetgroup,dbparametergroup",
            "-o",
            "name",
        ]);
        assert_eq!(seen.lines().count(), 4, "{values}: {seen}");
    }
}

#[test]
fn a_password_that_rds_would_refuse_is_refused_before() {
    let namespace = tenant("password");
    let secret = |password: &str| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "fluxion-master"},
            "stringData": {"password": password, "credentials": "{}"},
        });
        namespace.apply(&secret.to_string());
    };
    for password in [
        "p@ssword",
        "pass/word",
        "pass word",
        "pass\"word",
        "contraseña",
        "short-1",
    ] {
        secret(password);
        let said =
            release("install", &namespace, "named-ack", &[]).expect_err("RDS would refuse it");
        assert!(
            said.contains("Secret fluxion-master, key password: RDS would refuse this password."),
            "{said}"
        );
        assert!(!said.contains(password), "{said}");
    }
    secret("correct-horse.battery");
    release("install", &namespace, "named-ack", &[]).expect("RDS would take it");
}
