//! External Secrets, its real operator, between Secrets Manager and ours: what `examples/external-secrets` and the chart
//! of an RDS instance leave to it.

use serde_json::{Value, json};

use crate::ack;
use crate::harness::{ExternalSecrets, Moto, eventually, postgres};
use crate::operator_rig::{LIMIT, Tenant, cluster, inline};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const ONE: (&str, &str) = ("001_one_UP.sql", "CREATE TABLE one (id int);");
const TWO: (&str, &str) = ("002_two_UP.sql", "CREATE TABLE two (id int);");

/// The example as it stands, from the role of a `ServiceAccount` to a password that is rotated.
#[test]
fn the_example_brings_the_document_and_each_rotation_of_it() {
    let database = postgres().database("external");
    let namespace = cluster().tenant("external");
    let aws = Moto::start();
    let document = |password: &str| {
        json!({
            "username": database.user, "password": password, "engine": "postgres",
            "host": database.server.host, "port": database.server.port, "dbname": database.name,
        })
    };
    aws.create_secret("fluxion/migrator", &document(&database.password));
    let external = ExternalSecrets::start(&namespace, &aws.url);
    namespace.apply_example("external-secrets/store.yaml");
    namespace.apply_example("external-secrets/credentials.yaml");
    let manifest = json!({
        "apiVersion": "schemaward.dev/v1alpha1", "kind": "DatabaseSchema", "metadata": {"name": "shop"},
        "spec": {"source": inline(&[ONE]), "connection": {
            "credentialsFrom": {"secretRef": {"name": "fluxion-db", "key": "credentials"}},
            "tls": {"mode": "Disable"},
        }},
    });
    let schema = namespace.schema("shop", &manifest);
    schema.becomes(&format!("up to date: {}", external.log()), |status| {
        status["currentVersion"] == "001"
    });

    let rotated = "rotated-by-the-lambda";
    database.admin_exec(&format!(
        "ALTER ROLE \"{}\" PASSWORD '{rotated}'",
        database.user
    ));
    aws.put_secret("fluxion/migrator", &document(rotated));
    let often = json!({"spec": {"refreshInterval": "1s"}}).to_string();
    let kind = "externalsecret.external-secrets.io";
    namespace.kubectl(&["patch", kind, "fluxion-db", "--type=merge", "-p", &often]);
    schema.patch(&json!({"spec": {"source": inline(&[ONE, TWO])}}));
    schema.becomes(&format!("at 002: {}", external.log()), |status| {
        status["currentVersion"] == "002"
    });
}

/// What the chart makes for those who read the first user's name of the secret: whole once the instance has told where
/// it is, and not before.
#[test]
fn the_chart_of_an_instance_writes_the_secret_that_others_read() {
    let namespace = cluster().tenant("pushed");
    ack::install_crds(&cluster().api);
    let aws = Moto::start();
    let external = ExternalSecrets::start(&namespace, &aws.url);
    namespace.apply_example("external-secrets/store.yaml");
    let chart = format!("{ROOT}/charts/rds-postgres");
    let values = format!("{chart}/ci/named-external-secrets-values.yaml");
    let release = [
        "install",
        "database",
        &chart,
        "--namespace",
        &namespace.name,
        "--values",
        &values,
    ];
    namespace.api.helm(&release);
    let master = "-o=go-template={{.data.password | base64decode}}";
    // The generator may be asked again before External Secrets has noted its first answer.
    let made = || {
        let output =
            namespace.try_kubectl(&["get", "secret", "fluxion-postgres-v2-master", master]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    };
    eventually(LIMIT, || made().ok_or_else(|| external.log()));
    assert_eq!(
        aws.secret("fluxion/postgres-credentials"),
        None,
        "the instance has told nothing yet"
    );

    ack::instance_is_there(&namespace, "fluxion-postgres-v2", "db.example", 5432);
    ack::export_fields(&namespace);
    let written: Value = eventually(LIMIT, || {
        let written = aws
            .secret("fluxion/postgres-credentials")
            .unwrap_or_default();
        let is_whole = written["dbInstanceIdentifier"].is_string();
        if is_whole && written["password"].as_str() == made().as_deref() {
            Ok(written)
        } else {
            Err((written, external.log()))
        }
    });
    assert_eq!(written["host"], "db.example");
    assert_eq!(written["port"], "5432");
    assert_eq!(written["dbname"], "fluxion_production");
    assert_eq!(written["username"], "postgres");
}
