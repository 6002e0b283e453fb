//! Resources with anything in any place, and connection data with any bytes.

use proptest::prelude::*;
use schemaward::api::v1alpha1::{DatabaseSchema, DatabaseSchemaSpec};
use schemaward::controller::dereference::{ConnectionData, Dereferenced, FetchedFile, Given};
use schemaward::controller::validate::{validate, validate_spec};
use schemaward::engine::task::Owner;
use secrecy::SecretSlice;
use serde_json::{Value, json};

/// A resource that says everything.
fn whole() -> Value {
    let reference = |key: &str| json!({"secretKeyRef": {"name": "db", "key": key}});
    json!({
        "apiVersion": "schemaward.dev/v1alpha1",
        "kind": "DatabaseSchema",
        "metadata": {"name": "ledger", "namespace": "billing", "uid": "u", "generation": 1},
        "spec": {
            "source": {"inline": {"001_a_UP.sql": "SELECT 1", "001_a_DOWN.sql": "SELECT 2"}},
            "connection": {
                "host": reference("host"),
                "port": {"value": 5432},
                "database": {"value": "ledger"},
                "username": {"configMapKeyRef": {"name": "db", "key": "user"}},
                "password": reference("password"),
                "tls": {"mode": "VerifyFull", "ca": {"configMapKeyRef": {"name": "ca", "key": "ca.crt"}}},
                "pooler": "None",
                "credentialsFrom": {"secretRef": {"name": "db", "key": "json"}},
            },
            "targetVersion": "001",
            "versions": [{"version": "001", "name": "a", "checksum": {"up": "a".repeat(64), "down": "b".repeat(64)}}],
            "history": {"schema": "public", "table": "schema_migrations"},
            "rollback": {"policy": "Allow"},
            "execution": {"lockTimeout": "5s", "lockRetries": 3, "statementTimeout": "1h", "role": "r", "searchPath": ["a"]},
            "suspend": false,
            "interval": "10m",
        },
        "status": {"observedGeneration": 1, "conditions": []},
    })
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "0",
            "-1",
            "1h1h",
            "999999999h",
            "1ns",
            "\0",
            "/",
            "001",
            "Allow",
            "sha256:"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-zA-Z]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Pointers to all that a document holds.
fn places(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                places(inner, &format!("{pointer}/{key}"), found);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                places(inner, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// The whole resource with something else in a few places.
fn resource() -> impl Strategy<Value = Value> {
    let change = (any::<prop::sample::Index>(), anything(), any::<bool>());
    prop::collection::vec(change, 0..4).prop_map(|changes| {
        let mut resource = whole();
        for (place, value, removes) in changes {
            let mut all = Vec::new();
            places(&resource, "", &mut all);
            let pointer = place.get(&all).clone();
            let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
            let key = pointer.rsplit('/').next().unwrap_or_default().to_owned();
            match resource.pointer_mut(parent).and_then(Value::as_object_mut) {
                Some(map) if removes => drop(map.remove(&key)),
                _ => {
                    if let Some(found) = resource.pointer_mut(&pointer) {
                        *found = value;
                    }
                }
            }
        }
        resource
    })
}

/// What must never be in a message.
const CANARY: &str = "c4n4ry";

fn given() -> impl Strategy<Value = Option<Given>> {
    let fetched = |bytes: Vec<u8>| Given::Fetched {
        origin: "key k of Secret s".to_owned(),
        bytes: SecretSlice::from(bytes),
    };
    let padded = (any::<Vec<u8>>(), any::<Vec<u8>>())
        .prop_map(|(before, after)| [&before, CANARY.as_bytes(), &after].concat());
    let text = any::<String>().prop_map(|text| format!(" {CANARY}{text}\n").into_bytes());
    let plain = prop::sample::select(vec![
        "db.example",
        "5432",
        "0",
        "65536",
        "-1",
        " 5432\n",
        "a b",
        "::1",
        "é",
        "",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![
        1 => Just(()).prop_map(|()| None),
        2 => padded.prop_map(move |bytes| Some(fetched(bytes))),
        2 => text.prop_map(move |bytes| Some(fetched(bytes))),
        6 => plain.prop_map(move |bytes| Some(fetched(bytes))),
    ]
}

/// A document of Secrets Manager with anything in any place, cut short now and then, or any bytes.
fn document() -> impl Strategy<Value = Option<Given>> {
    let fetched = |bytes: Vec<u8>| Given::Fetched {
        origin: "key k of Secret s".to_owned(),
        bytes: SecretSlice::from(bytes),
    };
    let keys = prop::sample::select(vec![
        "username", "password", "engine", "host", "port", "dbname", "more",
    ]);
    let value = prop_oneof![
        1 => anything(),
        2 => any::<String>().prop_map(|text| Value::from(format!("{CANARY}{text}"))),
        2 => prop::sample::select(vec!["db.example", "postgres", "5432"]).prop_map(Value::from),
        1 => any::<u16>().prop_map(Value::from),
    ];
    let json = prop::collection::vec((keys, value), 0..8).prop_map(|changes| {
        let mut document =
            json!({"username": CANARY, "password": CANARY, "host": "db", "dbname": "shop"});
        for (key, value) in changes {
            document[key] = value;
        }
        document.to_string().into_bytes()
    });
    let cut = (json.clone(), any::<prop::sample::Index>())
        .prop_map(|(bytes, end)| bytes[..end.index(bytes.len())].to_vec());
    prop_oneof![
        2 => Just(()).prop_map(|()| None),
        4 => json.prop_map(move |bytes| Some(fetched(bytes))),
        1 => cut.prop_map(move |bytes| Some(fetched(bytes))),
        1 => any::<Vec<u8>>().prop_map(move |bytes| Some(fetched(bytes))),
    ]
}

fn connection() -> impl Strategy<Value = ConnectionData> {
    let single = (given(), given(), given(), given(), given(), given());
    (document(), single, given(), given()).prop_map(
        |(credentials, (host, port, database, username, password, ca), chain, key)| {
            ConnectionData {
                credentials,
                client_certificate: chain.zip(key),
                host,
                port,
                database,
                username,
                password,
                ca,
            }
        },
    )
}

fn owner() -> Owner {
    Owner {
        cluster: "c".to_owned(),
        namespace: "billing".to_owned(),
        name: "ledger".to_owned(),
        uid: "u".to_owned(),
    }
}

fn files() -> Vec<FetchedFile> {
    ["UP", "DOWN"]
        .map(|way| FetchedFile {
            origin: "source.inline".to_owned(),
            name: format!("001_a_{way}.sql"),
            bytes: b"SELECT 1".to_vec(),
        })
        .into()
}

fn spec(resource: Value) -> Option<DatabaseSchemaSpec> {
    let resource: DatabaseSchema = serde_json::from_value(resource).ok()?;
    Some(resource.spec)
}

#[test]
fn the_whole_resource_is_read() {
    let spec = spec(whole()).expect("a resource");
    assert!(validate_spec(&spec).is_ok());
}

proptest! {
    #[test]
    fn a_resource_that_is_read_is_judged_and_written_as_it_was(resource in resource()) {
        let Some(spec) = spec(resource) else { return Ok(()) };
        if let Err(invalid) = validate_spec(&spec) {
            prop_assert!(invalid.message.ends_with("Correct it."), "{}", invalid.message);
        }
        let written = serde_json::to_value(&spec).expect("JSON");
        let again: DatabaseSchemaSpec = serde_json::from_value(written).expect("what was written is read");
        prop_assert_eq!(again, spec);
    }

    #[test]
    fn a_resource_out_of_anything_gets_an_answer(anything in anything()) {
        if let Some(spec) = spec(anything.clone()) {
            let _ = validate_spec(&spec);
        }
        if let Ok(spec) = serde_json::from_value::<DatabaseSchemaSpec>(anything) {
            let _ = validate_spec(&spec);
        }
    }

    #[test]
    fn connection_data_is_used_or_refused_and_never_shown(resource in resource(), connection in connection()) {
        let Some(spec) = spec(resource) else { return Ok(()) };
        let dereferenced = Dereferenced { files: files(), connection };
        match validate(owner(), &spec, dereferenced, &|_| false) {
            Ok(run) => {
                prop_assert!(run.settings.port > 0);
                prop_assert!(!run.settings.host.is_empty());
                prop_assert!(!run.settings.username.contains(char::is_control));
            }
            Err(invalid) => prop_assert!(!invalid.message.contains(CANARY), "{}", invalid.message),
        }
    }
}
