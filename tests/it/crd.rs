//! The CRD on a real API server: what it takes, what it refuses with which words, what it adds, and
//! what `kubectl explain` and `kubectl get` print.

use std::process::Output;
use std::sync::OnceLock;

use schemaward::api;
use serde_json::{Value, json};

use crate::harness::{Namespace, api};

/// Installs the CRD on the shared API server, once.
pub fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let output = api().try_kubectl(
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &api::crd::yaml(),
        );
        assert!(output.status.success(), "{}", stderr(&output));
        // Unknown formats and the like are warned about on each apply.
        assert_eq!(stderr(&output), "");
        api().established(&["crd/databaseschemas.schemaward.dev"]);
        // Established comes a moment before the new kind is served everywhere.
        crate::harness::eventually(std::time::Duration::from_secs(30), || {
            let output = api().try_kubectl(&["explain", "databaseschema"], "");
            if output.status.success() {
                Ok(())
            } else {
                Err(stderr(&output))
            }
        });
    });
}

/// A new namespace of a server that knows the kind.
pub fn namespace(name: &str) -> Namespace<'static> {
    install();
    api().namespace(name)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A resource with nothing in it but what is required.
pub fn resource(name: &str) -> Value {
    json!({
        "apiVersion": "schemaward.dev/v1alpha1",
        "kind": "DatabaseSchema",
        "metadata": {"name": name},
        "spec": {
            "source": {"configMaps": [{"name": "migrations"}]},
            "connection": {
                "host": {"value": "postgres.example.com"},
                "database": {"value": "shop"},
                "username": {"value": "shop"},
            },
        },
    })
}

/// `resource` with `value` at the JSON pointer below spec; a null takes the field away.
fn with(mut resource: Value, path: &str, value: Value) -> Value {
    let (parent, key) = path.rsplit_once('/').expect("a path with a slash");
    let mut place = &mut resource["spec"];
    for step in parent.split('/').filter(|step| !step.is_empty()) {
        place = &mut place[step];
    }
    if value.is_null() {
        place.as_object_mut().expect("an object").remove(key);
    } else {
        place[key] = value;
    }
    resource
}

/// What `kubectl create` says to a resource that the server must refuse.
/// A list of one gate, in which `field` is `value`.
fn gate(field: &str, value: &str) -> Value {
    let mut gate = json!({
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Backup",
        "name": "before",
        "jsonPath": ".status.phase",
    });
    gate[field] = json!(value);
    json!([gate])
}

fn refused(namespace: &Namespace, resource: &Value) -> String {
    let arguments = ["-n", &namespace.name, "create", "-f", "-"];
    let output = api().try_kubectl(&arguments, &resource.to_string());
    assert!(!output.status.success(), "accepted: {resource}");
    stderr(&output)
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn bad_resources_are_refused_with_words_that_help() {
    let namespace = namespace("refused");
    let secret = json!({"name": "db", "key": "host"});
    let long = "x".repeat(254);
    let mut wrong = Vec::new();
    for (path, value, words) in [
        ("/source", Value::Null, "spec.source: Required value"),
        (
            "/source",
            json!({}),
            "exactly one of configMaps and inline must be given",
        ),
        (
            "/source/inline",
            json!({"001_a_UP.sql": "SELECT 1"}),
            "exactly one of configMaps and inline must be given",
        ),
        (
            "/source",
            json!({"inline": {}}),
            "should have at least 1 properties",
        ),
        (
            "/source",
            json!({"inline": {"001_a_UP.sql": "x".repeat(200_000), "002_a_UP.sql": "x".repeat(62_145)}}),
            "the files may have 262144 characters in all; put larger ones into ConfigMaps",
        ),
        (
            "/source/configMaps",
            json!([{"name": "same"}, {"name": "same"}]),
            "Duplicate value",
        ),
        (
            "/connection",
            Value::Null,
            "spec.connection: Required value",
        ),
        (
            "/connection/host",
            Value::Null,
            "host, database and username must be given, or credentialsFrom a JSON document that has them",
        ),
        (
            "/connection/host/value",
            json!("/var/run/postgresql"),
            "must be one DNS name or IP address: no slash, no URL, no list",
        ),
        (
            "/connection/host/value",
            json!("postgres://db/shop"),
            "must be one DNS name or IP address",
        ),
        (
            "/connection/host/value",
            json!("a,b"),
            "must be one DNS name or IP address",
        ),
        (
            "/connection/host",
            json!({}),
            "exactly one of value, secretKeyRef and configMapKeyRef must be given",
        ),
        (
            "/connection/host/secretKeyRef",
            secret.clone(),
            "exactly one of value, secretKeyRef and configMapKeyRef must be given",
        ),
        (
            "/connection/port",
            json!({"value": 5432, "configMapKeyRef": secret}),
            "exactly one of value, secretKeyRef and configMapKeyRef must be given",
        ),
        (
            "/connection/port",
            json!({"value": 0}),
            "should be greater than or equal to 1",
        ),
        (
            "/connection/port",
            json!({"value": 65536}),
            "should be less than or equal to 65535",
        ),
        (
            "/connection/port",
            json!({"value": "5432"}),
            "must be of type integer",
        ),
        (
            "/connection/database/value",
            json!("x".repeat(64)),
            "at most 63 characters",
        ),
        ("/connection/username/value", json!(long), "Too long"),
        // A password cannot stand in the resource.
        (
            "/connection/password",
            json!({"value": "hunter2"}),
            "unknown field \"spec.connection.password.value\"",
        ),
        (
            "/connection/password",
            json!({"secretKeyRef": {"name": "db", "key": "a/b"}}),
            "spec.connection.password.secretKeyRef.key",
        ),
        (
            "/connection/tls",
            json!({"mode": "Prefer"}),
            "supported values: \"Disable\", \"Require\", \"VerifyCA\", \"VerifyFull\"",
        ),
        (
            "/connection/tls",
            json!({"ca": {}}),
            "exactly one of secretKeyRef and configMapKeyRef must be given",
        ),
        (
            "/connection/tls",
            json!({"mode": "Require", "ca": {"secretKeyRef": {"name": "db", "key": "ca"}}}),
            "ca is only used with mode VerifyCA or VerifyFull",
        ),
        ("/targetVersion", json!("v1"), "spec.targetVersion"),
        ("/targetVersion", json!(1), "must be of type string"),
        ("/versions", json!([]), "should have at least 1 items"),
        (
            "/versions",
            json!([{"version": "1a"}]),
            "should match '^[0-9]+$'",
        ),
        (
            "/versions",
            json!([{"version": "001"}, {"version": "001"}]),
            "Duplicate value",
        ),
        (
            "/versions",
            json!([{"version": "001", "checksum": {"up": "sha256:12"}}]),
            "spec.versions[0].checksum.up",
        ),
        (
            "/versions",
            json!([{"version": "001", "checksum": {"down": "a".repeat(64)}}]),
            "spec.versions[0].checksum.up: Required value",
        ),
        ("/history", json!({"table": "a.b"}), "spec.history.table"),
        (
            "/rollback",
            json!({"policy": "Maybe"}),
            "supported values: \"Deny\", \"Allow\"",
        ),
        (
            "/execution",
            json!({"lockTimeout": "0s"}),
            "must be from 1ms to 10m",
        ),
        (
            "/execution",
            json!({"lockTimeout": "5"}),
            "spec.execution.lockTimeout",
        ),
        (
            "/execution",
            json!({"lockTimeout": "11m"}),
            "must be from 1ms to 10m",
        ),
        (
            "/execution",
            json!({"lockRetries": -1}),
            "greater than or equal to 0",
        ),
        (
            "/execution",
            json!({"statementTimeout": "169h"}),
            "must be at most 168h",
        ),
        (
            "/execution",
            json!({"searchPath": [""]}),
            "spec.execution.searchPath[0]",
        ),
        ("/interval", json!("999ms"), "must be at least 1s"),
        ("/interval", json!("1 hour"), "spec.interval"),
        ("/suspend", json!("yes"), "must be of type boolean"),
        ("/gates", gate("name", ""), "spec.gates[0].name"),
        ("/gates", gate("name", "../x"), "spec.gates[0].name"),
        ("/gates", gate("name", "b/status"), "spec.gates[0].name"),
        ("/gates", gate("name", "b?watch=true"), "spec.gates[0].name"),
        ("/gates", gate("kind", "Backup/x"), "spec.gates[0].kind"),
        (
            "/gates",
            gate("apiVersion", "../v1"),
            "spec.gates[0].apiVersion",
        ),
        (
            "/gates",
            gate("apiVersion", "a.b/v1/x"),
            "spec.gates[0].apiVersion",
        ),
    ] {
        let bad = with(resource("bad"), path, value);
        let said = refused(&namespace, &bad);
        if !said.contains(words) {
            wrong.push(format!("{path}: expected \"{words}\" in: {said}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
    let mut target = with(resource("bad"), "/targetVersion", json!("002"));
    target["spec"]["versions"] = json!([{"version": "001"}]);
    let said = refused(&namespace, &target);
    assert!(
        said.contains("spec.targetVersion: Invalid value: targetVersion must be one of versions, written as it stands there"),
        "{said}"
    );
    let mut baseline = with(resource("bad"), "/baseline", json!("002"));
    baseline["spec"]["versions"] = json!([{"version": "001"}]);
    let said = refused(&namespace, &baseline);
    assert!(
        said.contains("spec.baseline: Invalid value: baseline must be one of versions"),
        "{said}"
    );
    baseline["spec"]["versions"] = json!([{"version": "001"}, {"version": "002"}]);
    baseline["spec"]["targetVersion"] = json!("001");
    let said = refused(&namespace, &baseline);
    assert!(
        said.contains("spec.baseline: Invalid value: baseline must not be above targetVersion"),
        "{said}"
    );
}

#[test]
fn good_resources_are_taken() {
    let namespace = namespace("taken");
    let key = json!({"name": "db", "key": "host"});
    let versions = |count: usize| -> Value {
        (1..=count)
            .map(|n| {
                json!({
                    "version": format!("{n:032}"), "name": "x".repeat(200),
                    "checksum": {"up": "a".repeat(64), "down": format!("sha256:{}", "b".repeat(64))},
                })
            })
            .collect()
    };
    let mut most = with(resource("versions"), "/versions", versions(1000));
    most["spec"]["targetVersion"] = json!(format!("{:032}", 1000));
    most["spec"]["baseline"] = json!(format!("{:032}", 999));
    let files: Value = (1..=200)
        .map(|n| (format!("{n:03}_a_UP.sql"), json!("-".repeat(1310))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let everything = json!({
        "targetVersion": "001",
        "baseline": "001",
        "versions": [{"version": "000", "name": "init_schema_migrations"}, {"version": "001"}],
        "history": {"schema": "app", "table": "schema_migrations"},
        "source": {"configMaps": [{"name": "a"}, {"name": "b"}]},
        "connection": {
            "host": {"configMapKeyRef": key}, "port": {"secretKeyRef": key},
            "database": {"secretKeyRef": key}, "username": {"configMapKeyRef": key},
            "password": {"secretKeyRef": key}, "credentialsFrom": {"secretRef": key},
            "tls": {
                "mode": "VerifyCA", "ca": {"configMapKeyRef": key},
                "clientCertificate": {"secretRef": {"name": "client"}},
            },
        },
        "rollback": {"policy": "Allow"},
        "execution": {
            "lockTimeout": "500ms", "lockRetries": 0, "statementTimeout": "1h30m", "role": "owner-1",
            "searchPath": ["app", "$user"],
        },
        "suspend": true,
        "interval": "1s",
    });
    let mut full = resource("full");
    full["spec"] = everything;
    for good in [
        resource("least"),
        full,
        most,
        with(resource("inline"), "/source", json!({"inline": files})),
        with(
            resource("ipv6"),
            "/connection/host/value",
            json!("2001:db8::1"),
        ),
        with(
            resource("underscore"),
            "/connection/host/value",
            json!("my_db.svc"),
        ),
    ] {
        namespace.apply(&good.to_string());
    }
}

#[test]
fn the_first_users_example_is_taken() {
    let namespace = namespace("example");
    let example = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/fluxion/databaseschema.yaml"
    ));
    let example = example.expect("the example is there");
    namespace.apply(&example.replace("  namespace: fluxion\n", ""));
}

#[test]
fn a_new_resource_is_not_ready_and_has_all_defaults() {
    let namespace = namespace("defaults");
    let mut new = resource("new");
    // A template that renders to nothing asks for the default.
    new["spec"]["rollback"] = Value::Null;
    namespace.apply(&new.to_string());
    let stored = get(&namespace, "new");
    assert_eq!(stored["status"], json!({"observedGeneration": -1}));
    let spec = &stored["spec"];
    assert_eq!(spec["connection"]["tls"], json!({"mode": "VerifyFull"}));
    assert_eq!(
        spec["history"],
        json!({"schema": "public", "table": "schema_migrations"})
    );
    assert_eq!(spec["rollback"], json!({"policy": "Deny"}));
    assert_eq!(
        spec["execution"],
        json!({"lockTimeout": "5s", "lockRetries": 10, "statementTimeout": "0s"})
    );
    assert_eq!(
        (&spec["suspend"], &spec["interval"]),
        (&json!(false), &json!("10m"))
    );
    // What the code takes for default is what the server wrote.
    let read: api::v1alpha1::DatabaseSchema =
        serde_json::from_value(stored.clone()).expect("the resource is read");
    let mut sparse = resource("new");
    sparse["spec"]["rollback"] = json!({});
    sparse["spec"]["execution"] = json!({});
    sparse["spec"]["history"] = json!({});
    let sparse: api::v1alpha1::DatabaseSchema =
        serde_json::from_value(sparse).expect("the resource is read");
    assert_eq!(read.spec, sparse.spec);
    // Written back, nothing is added that GitOps tools would report.
    let spec = serde_json::to_value(&read.spec).expect("JSON");
    assert_eq!(spec, stored["spec"]);
}

#[test]
fn applying_the_same_again_changes_nothing() {
    let namespace = namespace("again");
    let apply = || namespace.apply(&resource("same").to_string());
    apply();
    // The server stores the default of status only with the first write after the creation.
    apply();
    let before = get(&namespace, "same");
    apply();
    assert_eq!(get(&namespace, "same"), before);
    // Client-side as well, as kubectl and Argo CD do by default.
    let client_side = |yaml: &Value| {
        let arguments = ["-n", &namespace.name, "apply", "-f", "-"];
        let output = api().try_kubectl(&arguments, &yaml.to_string());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    client_side(&resource("client"));
    assert!(client_side(&resource("client")).ends_with(" unchanged\n"));
}

#[test]
fn the_history_table_cannot_be_changed() {
    let namespace = namespace("history");
    namespace.apply(&resource("kept").to_string());
    let changed = with(resource("kept"), "/history", json!({"table": "other"}));
    let said = stderr(&namespace.try_apply(&changed.to_string()));
    assert!(
        said.contains(
            "history cannot be changed: with another table everything would be run again"
        ),
        "{said}"
    );
}

#[test]
fn kubectl_explains_every_field() {
    install();
    let whole = api().kubectl(&["explain", "databaseschema.spec", "--recursive"]);
    let definition: Value = serde_saphyr::from_str(&api::crd::yaml()).expect("YAML");
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut looked = 0;
    let mut places = vec![
        (
            "databaseschema.spec".to_owned(),
            &schema["properties"]["spec"],
        ),
        (
            "databaseschema.status".to_owned(),
            &schema["properties"]["status"],
        ),
    ];
    while let Some((path, schema)) = places.pop() {
        let said = api().kubectl(&["explain", &path]);
        assert!(
            !said.contains("<no description>") && !said.contains("<empty>"),
            "{said}"
        );
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            assert!(said.contains(&format!("\n  {name}\t<")), "{name} in {said}");
            let in_spec = path.starts_with("databaseschema.spec");
            assert!(
                !in_spec || whole.contains(&format!(" {name}\t<")),
                "{name} in {whole}"
            );
            looked += 1;
            for inner in [field, &field["items"]] {
                if inner["properties"].is_object() {
                    places.push((format!("{path}.{name}"), inner));
                }
            }
        }
    }
    assert!(looked > 60, "{looked}");
}

#[test]
fn kubectl_get_shows_the_columns_that_people_read() {
    let namespace = namespace("columns");
    namespace.apply(&resource("ledger").to_string());
    let header = |arguments: &[&str]| {
        let table = namespace.kubectl(arguments);
        let header = table.lines().next().unwrap_or_default().to_owned();
        header
            .split("  ")
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" | ")
    };
    assert_eq!(
        header(&["get", "dbs"]),
        "NAME | READY | STATUS | CURRENT | TARGET | PENDING | AGE"
    );
    assert_eq!(
        header(&["get", "schemaward", "-o", "wide"]),
        "NAME | READY | STATUS | CURRENT | TARGET | PENDING | SOURCE | LAST APPLIED | MESSAGE | AGE"
    );
}

/// The stored resource without what changes by itself.
pub fn get(namespace: &Namespace, name: &str) -> Value {
    let json = namespace.kubectl(&["get", "databaseschema", name, "-o", "json"]);
    serde_json::from_str(&json).expect("JSON")
}
