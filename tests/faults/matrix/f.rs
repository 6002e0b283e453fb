//! F: Secrets and ConfigMaps.

use schemaward::api::condition::Reason;
use serde_json::json;

use super::scene::{Cluster, ONE, SLOW, TWO, applied, at_rest, database, sleeps, source};
use super::{Case, Content, Expected, Why, content, covered, excluded, run};
use crate::harness::{Database, Namespace};
use crate::operator_rig::{Tenant, condition, inline, resource};

pub const CASES: &[Case] = &[
    covered(
        "F1",
        "the Secret is missing, and is made later",
        &[
            "tests/it/operator_bad_input/references.rs::a_missing_secret_is_awaited",
            "tests/it/operator_replicas.rs::in_named_namespaces_changes_of_referenced_objects_are_watched",
        ],
    ),
    run(
        "F2",
        "the key is missing, then empty",
        &[Reason::KeyMissing, Reason::KeyMissing, Reason::UpToDate],
        missing_key,
    ),
    excluded(
        "F3",
        "JSON in a Secret is malformed",
        Why::NotInTheProduct,
        NO_JSON,
    ),
    excluded(
        "F4",
        "the JSON of AWS Secrets Manager",
        Why::NotInTheProduct,
        NO_JSON,
    ),
    run(
        "F6",
        "the password is rotated between two runs",
        &[Reason::UpToDate],
        rotated,
    ),
    run(
        "F7",
        "the password is rotated in the middle of a run",
        &[Reason::UpToDate],
        rotated_in_the_middle,
    ),
    covered(
        "F9",
        "the server does not accept the credentials",
        &[
            "tests/it/operator_bad_input/server.rs::a_wrong_password_is_tried_carefully_and_a_mended_secret_at_once",
        ],
    ),
    excluded(
        "F10",
        "the Secret does not bear a label that allows its use",
        Why::NotInTheProduct,
        "no issue asks for labels on Secrets; a RoleBinding of the tenant says which namespace may be read",
    ),
    run(
        "F11",
        "a password of 100 KiB",
        &[Reason::InvalidCredentials],
        large_secret,
    ),
    covered(
        "F12",
        "the ConfigMap is missing, and is made later",
        &["tests/it/operator_bad_input/references.rs::a_missing_config_map_is_awaited"],
    ),
    covered(
        "F14",
        "a file of an applied version is changed in the ConfigMap",
        &[
            "tests/it/operator_bad_input/history.rs::a_changed_file_of_an_applied_version_stops_everything",
        ],
    ),
    run(
        "F15",
        "the ConfigMap is deleted in the middle of a run, and comes back",
        &[Reason::SourceNotFound, Reason::UpToDate],
        deleted_source,
    ),
    covered(
        "F16",
        "more than a ConfigMap holds: several make one set, and a file may be in one only",
        &["tests/it/operator_bad_input/scripts.rs::one_file_in_two_config_maps_is_a_defect"],
    ),
    run(
        "F17",
        "an immutable ConfigMap",
        &[Reason::UpToDate],
        immutable_source,
    ),
    content(
        "F19",
        "names that begin as a migration's and go on as none",
        &[Reason::InvalidSource],
        &[
            named(
                &[("001 case_UP.sql", b"CREATE TABLE effect ();")],
                &[
                    "001 case_UP.sql: the version must be followed by _ and a name",
                    NOT_CONNECTED,
                ],
            ),
            named(
                &[("001_../../case_UP.sql", b"CREATE TABLE effect ();")],
                &[
                    "001_../../case_UP.sql: the name may only hold letters",
                    NOT_CONNECTED,
                ],
            ),
            named(
                &[("\u{0661}_case_UP.sql", b"CREATE TABLE effect ();")],
                &[
                    "_case_UP.sql: the version is written with other digits than 0 to 9",
                    NOT_CONNECTED,
                ],
            ),
            named(
                &[("001_UP.sql", b"CREATE TABLE effect ();")],
                &[
                    "001_UP.sql: the name between the version and the suffix is empty",
                    NOT_CONNECTED,
                ],
            ),
            named(
                &[("001_case.sql", b"CREATE TABLE effect ();")],
                &[
                    "001_case.sql: a file that starts with a digit is a migration",
                    NOT_CONNECTED,
                ],
            ),
        ],
    ),
];

const NO_JSON: &str = "no field reads JSON out of a Secret; each value has a key of its own";

const NOT_CONNECTED: &str = "Nothing was connected to.";

const fn named(
    files: &'static [(&'static str, &'static [u8])],
    says: &'static [&'static str],
) -> Content {
    Content {
        files,
        says,
        ..Content::PLAIN
    }
}

/// A namespace of the shared cluster, with a database.
fn scene(name: &str) -> (Namespace<'static>, Database<'static>) {
    let namespace = Cluster::shared().tenant(name);
    let database = database(name);
    namespace.secret(&database);
    (namespace, database)
}

fn missing_key(expected: &mut Expected) {
    let (namespace, database) = scene("f2");
    let mut manifest = resource("shop", &database, &inline(&[ONE]));
    manifest["spec"]["connection"]["username"] =
        json!({"secretKeyRef": {"name": "db", "key": "user"}});
    let schema = namespace.schema("shop", &manifest);
    let says = |what: &str| {
        schema.becomes(what, |status| {
            let message = condition(status, "Ready")["message"].to_string();
            message.contains(what)
        })
    };
    expected.of_resource(&schema);
    says("has no key user.");
    let user = |name: &str| {
        let patch = json!({"stringData": {"user": name}}).to_string();
        namespace.kubectl(&["patch", "secret", "db", "--type=merge", "-p", &patch]);
    };
    user("");
    says("has nothing in key user.");
    expected.of_resource(&schema);
    user(&database.user);
    expected.of_resource(&schema);
}

/// Gives the role another password, and puts it into the Secret.
fn rotate(namespace: &Namespace<'_>, database: &Database<'_>) {
    let password = format!("{} rotated", database.password);
    database.server.admin_exec(&format!(
        "ALTER ROLE {} PASSWORD '{password}'",
        database.user
    ));
    let patch = json!({"stringData": {"password": password}}).to_string();
    namespace.kubectl(&["patch", "secret", "db", "--type=merge", "-p", &patch]);
}

fn rotated(expected: &mut Expected) {
    let (namespace, database) = scene("f6");
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[ONE])));
    expected.of_resource(&schema);
    rotate(&namespace, &database);
    schema.patch(&source(&[ONE, TWO]));
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    assert_eq!(applied(&database), "001 002");
}

fn rotated_in_the_middle(expected: &mut Expected) {
    let (namespace, database) = scene("f7");
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[SLOW, TWO])));
    sleeps(&database);
    rotate(&namespace, &database);
    expected.of_resource(&schema);
    let three = ("003_three_UP.sql", "CREATE TABLE three (id int);");
    schema.patch(&source(&[SLOW, TWO, three]));
    schema.becomes("at 003", |status| status["currentVersion"] == "003");
    at_rest(&database);
}

fn large_secret(expected: &mut Expected) {
    let (namespace, database) = scene("f11");
    let large = Database {
        password: "canary".repeat(17_000),
        ..database
    };
    namespace.secret(&large);
    let schema = namespace.schema("shop", &resource("shop", &large, &inline(&[ONE])));
    let status = expected.of_resource(&schema);
    let message = condition(&status, "Ready")["message"].to_string();
    assert!(message.contains("key password of Secret db"), "{message}");
    assert!(!status.to_string().contains("canary"), "{status:#}");
}

fn deleted_source(expected: &mut Expected) {
    let (namespace, database) = scene("f15");
    namespace.config_map("files", &[SLOW, TWO]);
    let files = json!({"configMaps": [{"name": "files"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &files));
    sleeps(&database);
    namespace.kubectl(&["delete", "configmap", "files"]);
    expected.of_resource(&schema);
    // The run had the files before it began, and its checksums are those that it recorded.
    assert_eq!(applied(&database), "001 002");
    namespace.config_map("files", &[SLOW, TWO]);
    expected.of_resource(&schema);
}

fn immutable_source(expected: &mut Expected) {
    let (namespace, database) = scene("f17");
    namespace.apply(
        &json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "immutable": true,
            "data": {(ONE.0): ONE.1},
        })
        .to_string(),
    );
    let files = json!({"configMaps": [{"name": "files"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &files));
    expected.of_resource(&schema);
    assert_eq!(applied(&database), "001");
}
