use serde_json::{Value, json};

use super::*;
use crate::api::crd;
use crate::controller::window;

/// Texts of the rules that the operator says again. The CRD also has a rule on changes, which
/// cannot be seen in one resource alone.
const SAID_AGAIN: [&str; 23] = [
    TARGET_AMONG_VERSIONS,
    BASELINE_AMONG_VERSIONS,
    BASELINE_WITHIN_TARGET,
    ONE_SOURCE,
    INLINE_SIZE,
    COMPLETE_CONNECTION,
    ONE_FIELD_SOURCE,
    ONE_DOCUMENT_SOURCE,
    ONE_CERTIFICATE_SOURCE,
    HOST_FORM,
    DATABASE_LENGTH,
    USERNAME_LENGTH,
    TOKEN_MODE,
    TOKEN_PASSWORD,
    TOKEN_REGION,
    CA_MODE,
    CLIENT_CERTIFICATE_MODE,
    INTERVAL,
    LOCK_TIMEOUT,
    STATEMENT_TIMEOUT,
    window::DURATION_RANGE,
    gate::LEAST_AGE,
    gate::BOTH_OR_NONE,
];

fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            let rules = fields.get("x-kubernetes-validations");
            for rule in rules.and_then(Value::as_array).into_iter().flatten() {
                let transition = rule["rule"]
                    .as_str()
                    .is_some_and(|rule| rule.contains("oldSelf"));
                if let Some(message) = rule["message"].as_str().filter(|_| !transition) {
                    found.insert(message.to_owned());
                }
            }
            fields.values().for_each(|field| messages(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| messages(item, found)),
        _ => {}
    }
}

#[test]
fn texts_are_those_of_the_crd() {
    let crd: Value = serde_saphyr::from_str(&crd::yaml()).expect("the CRD is YAML");
    let mut found = BTreeSet::new();
    messages(&crd, &mut found);
    let said_again: BTreeSet<String> = SAID_AGAIN.iter().map(ToString::to_string).collect();
    assert_eq!(said_again, found);
}

fn spec(change: &Value) -> DatabaseSchemaSpec {
    let mut spec = json!({
        "source": {"inline": {"001_a_UP.sql": "SELECT 1"}},
        "connection": {
            "host": {"value": "db.example"},
            "database": {"value": "shop"},
            "username": {"value": "shop"},
        },
    });
    for (pointer, value) in change.as_object().expect("pointers and values") {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = spec.pointer_mut(parent).expect("a parent");
        parent[key] = value.clone();
    }
    serde_json::from_value(spec).expect("reading is lenient")
}

#[test]
fn what_the_schema_of_the_crd_refuses_is_refused_here() {
    let config_maps = |names: &[&str]| {
        let maps: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"/source": {"configMaps": maps}})
    };
    let aws = |id: &str, region: &str| {
        let secret = json!({"awsSecretsManager": {"secretId": id, "region": region}});
        json!({"/connection/credentialsFrom": secret})
    };
    let numbered = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let many_maps = numbered(21);
    let many_maps: Vec<&str> = many_maps.iter().map(String::as_str).collect();
    let versions: Vec<Value> = numbered(1001)
        .iter()
        .map(|version| json!({"version": version}))
        .collect();
    let files: serde_json::Map<String, Value> = numbered(201)
        .into_iter()
        .map(|name| (name, json!("x")))
        .collect();
    for (change, field) in [
        (config_maps(&[]), "source.configMaps"),
        (config_maps(&["a", "a"]), "source.configMaps"),
        (config_maps(&many_maps), "source.configMaps"),
        (json!({"/source": {"inline": {}}}), "source.inline"),
        (
            aws("a/b", "eu-central-1/canary"),
            "connection.credentialsFrom",
        ),
        (
            json!({"/connection/auth": {"type": "RDSIAM", "region": "a.b-c"}}),
            "connection.auth.region",
        ),
        (aws("a/b", "example"), "connection.credentialsFrom"),
        (aws("a b", "eu-central-1"), "connection.credentialsFrom"),
        (aws("", "eu-central-1"), "connection.credentialsFrom"),
        (json!({"/source": {"inline": files}}), "source.inline"),
        (json!({"/versions": []}), "versions"),
        (json!({"/versions": versions}), "versions"),
        (
            json!({"/versions": [{"version": "1a"}]}),
            "versions.version",
        ),
        (
            json!({"/versions": [{"version": "1", "name": "a b"}]}),
            "versions.name",
        ),
        (json!({"/targetVersion": "1.2"}), "targetVersion"),
        (json!({"/baseline": "v1"}), "baseline"),
        (json!({"/targetVersion": "1".repeat(33)}), "targetVersion"),
        (json!({"/execution": {"role": ""}}), "execution.role"),
        (
            json!({"/execution": {"role": "x".repeat(64)}}),
            "execution.role",
        ),
        (
            json!({"/execution": {"searchPath": []}}),
            "execution.searchPath",
        ),
        (
            json!({"/execution": {"searchPath": [""]}}),
            "execution.searchPath",
        ),
        (
            json!({"/execution": {"searchPath": vec!["a"; 17]}}),
            "execution.searchPath",
        ),
    ] {
        let found = defects(&spec(&change));
        let start = format!("spec.{field}: ");
        assert!(
            found.len() == 1 && found[0].starts_with(&start),
            "{field}: {found:?}"
        );
    }
}

#[test]
fn a_region_is_the_one_of_the_arn() {
    let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:a-AbCdEf";
    for (id, region, refused) in [
        (arn, "eu-central-1", false),
        (arn, "us-east-1", true),
        ("arn:a:b", "eu-central-1", true),
        ("arn-of/a", "us-east-1", false),
    ] {
        let secret = json!({"awsSecretsManager": {"secretId": id, "region": region}});
        let found = defects(&spec(&json!({"/connection/credentialsFrom": secret})));
        let said = found.iter().any(|defect| defect.contains(ARN_REGION));
        assert_eq!(said, refused, "{id} {region} {found:?}");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_the_crd_refuses_is_refused_here() {
    let twice = json!({"value": "a", "secretKeyRef": {"name": "a", "key": "b"}});
    let ca = json!({"secretKeyRef": {"name": "a", "key": "b"}});
    let token = json!({"type": "RDSIAM", "region": "eu-central-1"});
    for (change, field, why) in [
        (
            json!({"/targetVersion": "2", "/versions": [{"version": "1"}]}),
            "targetVersion",
            TARGET_AMONG_VERSIONS,
        ),
        (
            json!({"/baseline": "2", "/versions": [{"version": "1"}]}),
            "baseline",
            BASELINE_AMONG_VERSIONS,
        ),
        (
            json!({
                "/baseline": "10",
                "/targetVersion": "2",
                "/versions": [{"version": "2"}, {"version": "10"}],
            }),
            "baseline",
            BASELINE_WITHIN_TARGET,
        ),
        (json!({"/source": {}}), "source", ONE_SOURCE),
        (
            json!({"/source/configMaps": [{"name": "a"}]}),
            "source",
            ONE_SOURCE,
        ),
        (
            json!({"/source/inline/002_b_UP.sql": "x".repeat(262_145)}),
            "source.inline",
            INLINE_SIZE,
        ),
        (
            json!({"/connection": {"host": {"value": "h"}, "database": {"value": "d"}}}),
            "connection",
            COMPLETE_CONNECTION,
        ),
        (
            json!({"/connection/auth": {"type": "RDSIAM"}}),
            "connection.auth",
            TOKEN_REGION,
        ),
        (
            json!({"/connection/auth": {"region": "eu-central-1"}}),
            "connection.auth",
            TOKEN_REGION,
        ),
        (
            json!({"/connection/auth": token, "/connection/tls": {"mode": "Require"}}),
            "connection",
            TOKEN_MODE,
        ),
        (
            json!({"/connection/auth": token, "/connection/password": {"secretKeyRef": {"name": "a", "key": "b"}}}),
            "connection",
            TOKEN_PASSWORD,
        ),
        (
            json!({"/connection/credentialsFrom": {}}),
            "connection.credentialsFrom",
            ONE_DOCUMENT_SOURCE,
        ),
        (
            json!({"/connection/host": {}}),
            "connection.host",
            ONE_FIELD_SOURCE,
        ),
        (
            json!({"/connection/username": twice}),
            "connection.username",
            ONE_FIELD_SOURCE,
        ),
        (
            json!({"/connection/host/value": "/var/run/postgresql"}),
            "connection.host.value",
            HOST_FORM,
        ),
        (
            json!({"/connection/host/value": "a,b"}),
            "connection.host.value",
            HOST_FORM,
        ),
        (
            json!({"/connection/database/value": "x".repeat(64)}),
            "connection.database",
            DATABASE_LENGTH,
        ),
        (
            json!({"/connection/username/value": "x".repeat(64)}),
            "connection.username",
            USERNAME_LENGTH,
        ),
        (
            json!({"/connection/tls": {"mode": "Require", "ca": ca}}),
            "connection.tls",
            CA_MODE,
        ),
        (
            json!({"/connection/tls": {
                "mode": "Disable", "clientCertificate": {"secretRef": {"name": "a"}},
            }}),
            "connection.tls",
            CLIENT_CERTIFICATE_MODE,
        ),
        (
            json!({"/connection/tls": {"ca": {}}}),
            "connection.tls.ca",
            ONE_CERTIFICATE_SOURCE,
        ),
        (json!({"/interval": "999ms"}), "interval", INTERVAL),
        (
            json!({"/execution": {"lockTimeout": "0s"}}),
            "execution.lockTimeout",
            LOCK_TIMEOUT,
        ),
        (
            json!({"/execution": {"statementTimeout": "169h"}}),
            "execution.statementTimeout",
            STATEMENT_TIMEOUT,
        ),
        (
            json!({"/execution": {"lockRetries": 101}}),
            "execution.lockRetries",
            "must be from 0 to 100",
        ),
    ] {
        assert_eq!(
            defects(&spec(&change)),
            [format!("spec.{field}: {why}")],
            "{change}"
        );
    }
    assert_eq!(defects(&spec(&json!({}))), Vec::<String>::new());
    let history = defects(&spec(&json!({"/history": {"table": "a b"}})));
    assert!(
        history[0].starts_with("spec.history.table: must be a name"),
        "{history:?}"
    );
    let unit = defects(&spec(&json!({"/interval": "soon"})));
    assert!(
        unit[0].starts_with("spec.interval: \"soon\" is not a duration"),
        "{unit:?}"
    );
}
