//! Where the operator may connect to: what it never dials, and what its configuration file says.

use serde_json::{Value, json};

use crate::harness::{Database, postgres, schemaward};
use crate::operator_rig::{
    Apart, Operator, Schema, Tenant, apart, cluster, condition, inline, resource,
};

const ONE: (&str, &str) = ("001_one_UP.sql", "CREATE TABLE one (id int);");

/// Ready's message, of a resource that is stalled because of its host.
#[track_caller]
fn refused(schema: &Schema<'_>) -> String {
    let status = schema.reaches("HostNotAllowed");
    assert_eq!(
        condition(&status, "Stalled")["status"],
        "True",
        "{status:#}"
    );
    let message = condition(&status, "Ready")["message"].clone();
    message.as_str().expect("a message").to_owned()
}

fn at(database: &Database<'_>, host: &Value, port: u16) -> Value {
    let mut manifest = resource("shop", database, &inline(&[ONE]));
    let connection = &mut manifest["spec"]["connection"];
    connection["host"] = host.clone();
    connection["port"] = json!({"value": port});
    manifest
}

#[test]
fn metadata_services_and_the_api_server_are_never_dialled() {
    let database = postgres().database("never");
    let namespace = cluster().tenant("never");
    namespace.secret(&database);
    // As numbers that a resolver takes for an address, too.
    for host in ["169.254.169.254", "fd00:ec2::254", "2852039166", "0.0.0.0"] {
        let schema = namespace.schema("shop", &at(&database, &json!({"value": host}), 80));
        let message = refused(&schema);
        assert_eq!(
            message,
            format!(
                "{host}:80 may not be connected to: it leads to an address that is no database server's \
                 (link-local, multicast, a service of the cloud, or a notation of IPv4 addresses that is out of use). \
                 Nothing was sent to it. Give the server's own address."
            )
        );
    }
    let kubeconfig = namespace.kubectl(&[
        "config",
        "view",
        "-o",
        "jsonpath={.clusters[0].cluster.server}",
    ]);
    let (_, port) = kubeconfig.rsplit_once(':').expect("a port");
    let port = port.parse().expect("a number");
    let schema = namespace.schema("shop", &at(&database, &json!({"value": "localhost"}), port));
    let message = refused(&schema);
    let why =
        "may not be connected to: it leads to the Kubernetes API server. Nothing was sent to it.";
    assert!(message.contains(why), "{message}");
}

/// Starts an operator whose configuration file says this.
fn configured(apart: &Apart, configuration: &str) -> (Operator, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, configuration).expect("it is writable");
    let operator = apart.operator(&[&format!("--config={}", file.display())]);
    (operator, folder)
}

#[test]
fn a_configuration_says_which_namespace_may_name_which_host() {
    let database = postgres().database("allowed");
    let apart = apart("allowed");
    let namespace = &apart.namespace;
    namespace.secret(&database);
    let port = database.server.port;
    let manifest = at(&database, &json!({"value": "localhost"}), port);
    let schema = namespace.schema("shop", &manifest);
    let (operator, _folder) = configured(
        &apart,
        "hosts:\n  allow:\n  - {namespaces: [another], hosts: ['*']}\n  - {hosts: ['*.rds.amazonaws.com']}\n",
    );
    assert_eq!(
        refused(&schema),
        format!(
            "localhost:{port} may not be connected to: hosts.allow of the operator's configuration does not \
             name it for this namespace. Nothing was sent to it. Give another one, or ask whoever runs the \
             operator to add it."
        )
    );
    drop(operator);
    let allows = format!(
        "hosts:\n  allow:\n  - {{namespaces: [{}], hosts: [localhost]}}\n",
        namespace.name
    );
    let (_operator, _folder) = configured(&apart, &allows);
    schema.reaches("UpToDate");
    // By its address it is another host to the rule; the value of a Secret is not shown.
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "place"},
        "stringData": {"host": database.server.host},
    });
    namespace.apply(&secret.to_string());
    let reference = json!({"secretKeyRef": {"name": "place", "key": "host"}});
    let schema = namespace.schema("shop", &at(&database, &reference, port));
    let message = refused(&schema);
    let place =
        format!("the server of key host of Secret place, port {port} may not be connected to");
    assert!(message.starts_with(&place), "{message}");
}

#[test]
fn loopback_is_dialled_only_if_the_operator_was_started_so() {
    let database = postgres().database("loopback");
    let apart = apart("loopback");
    let namespace = &apart.namespace;
    namespace.secret(&database);
    let port = database.server.port;
    let schema = namespace.schema("shop", &at(&database, &json!({"value": "localhost"}), port));
    let operator = apart.operator_alone(&[]);
    assert_eq!(
        refused(&schema),
        format!(
            "localhost:{port} may not be connected to: it leads back to the operator itself (a loopback \
             address). Nothing was sent to it. Give the server's own address; or let the operator be started \
             with --allow-loopback."
        )
    );
    drop(operator);
    let _operator = apart.operator(&[]);
    schema.reaches("UpToDate");
}

#[test]
fn a_configuration_that_cannot_be_read_begins_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    let run = || {
        let mut command = schemaward();
        command
            .arg("run")
            .arg(format!("--config={}", file.display()));
        let output = command.output().expect("the program starts");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let missing = run();
    assert!(
        missing.contains("cannot be read: No such file"),
        "{missing}"
    );
    std::fs::write(&file, "hosts:\n  alow: []\n").expect("it is writable");
    let wrong = run();
    assert!(wrong.contains("line 2"), "{wrong}");
    assert!(wrong.contains("alow"), "{wrong}");
}
