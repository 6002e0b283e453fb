//! One attempt as the operator makes it, from a resource's spec to reason and message: the same functions in the
//! same order, without an API server around them. What is fetched from Secrets and ConfigMaps is given here.

use std::thread::JoinHandle;

use schemaward::api::v1alpha1::DatabaseSchemaSpec;
use schemaward::controller::attempt::Attempt as Came;
use schemaward::controller::dereference::{ConnectionData, Dereferenced, FetchedFile, Given};
use schemaward::controller::validate::validate;
use schemaward::controller::verdict::{Verdict, verdict};
use schemaward::engine;
use schemaward::engine::task::Owner;
use schemaward::postgres::Postgres;
use serde_json::{Value, json};

use crate::harness::Database;
use crate::operator_rig::resource;

/// An attempt to be made, as often as it is asked for.
#[derive(Clone)]
pub struct Attempt {
    spec: Value,
    files: Vec<(String, Vec<u8>)>,
    password: String,
    ca: Option<Vec<u8>>,
    /// Name of the resource.
    name: String,
}

impl Attempt {
    /// The usual one: these files for this database.
    pub fn at(database: &Database<'_>, files: &[(&str, &str)]) -> Self {
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (*name, text.as_bytes()))
            .collect();
        Self::with_bytes(database, &files)
    }

    /// As [`Self::at`], for files that need not be text.
    pub fn with_bytes(database: &Database<'_>, files: &[(&str, &[u8])]) -> Self {
        let mut spec = resource("case", database, &files_of_a_config_map())["spec"].take();
        spec["execution"] = json!({"lockTimeout": "200ms", "lockRetries": 1});
        Self {
            spec,
            files: files
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
                .collect(),
            password: database.password.clone(),
            ca: None,
            name: "case".to_owned(),
        }
    }

    /// With this at a JSON pointer of the spec, whose parent is there.
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        self.spec.pointer_mut(parent).expect("its parent")[field] = value;
        self
    }

    /// Through something that listens on this port of loopback.
    pub fn through(self, port: u16) -> Self {
        self.with("/connection/port", json!({"value": port}))
    }

    /// By another name of the host.
    pub fn host(self, host: &str) -> Self {
        self.with("/connection/host", json!({"value": host}))
    }

    /// With TLS of this mode; `ca` is PEM.
    pub fn tls(mut self, mode: &str, ca: Option<Vec<u8>>) -> Self {
        self.ca = ca;
        self.with("/connection/tls", json!({"mode": mode}))
    }

    /// In the name of another resource.
    pub fn resource(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Makes it.
    pub fn go(&self) -> Verdict {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let verdict = verdict(&runtime.block_on(self.make()));
        // Oracles O5 and O8.
        let message = &verdict.message;
        assert!(!message.contains(&self.password), "{message}");
        assert!(message.chars().count() <= 1024, "{message}");
        verdict
    }

    /// Makes it on a thread of its own.
    pub fn start(&self) -> JoinHandle<Verdict> {
        let attempt = self.clone();
        std::thread::spawn(move || attempt.go())
    }

    async fn make(&self) -> Came {
        let spec: DatabaseSchemaSpec =
            serde_json::from_value(self.spec.clone()).expect("a spec that the API server takes");
        let owner = Owner {
            cluster: "cluster".to_owned(),
            namespace: "faults".to_owned(),
            name: self.name.clone(),
            uid: "1".to_owned(),
        };
        let run = match validate(owner, &spec, self.dereferenced(), &|_| false) {
            Ok(run) => run,
            Err(invalid) => return Came::Invalid(invalid),
        };
        let mut database = match Postgres::connect(&run.settings).await {
            Ok(database) => database,
            Err(error) => return Came::NotConnected(error),
        };
        let outcome = engine::run(&mut database, run.task, || true, |_| ()).await;
        database.close().await;
        Came::Ran(Box::new(outcome))
    }

    fn dereferenced(&self) -> Dereferenced {
        let literal = |field: &str| {
            let value = &self.spec["connection"][field]["value"];
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            Some(Given::Literal(text))
        };
        let fetched = |key: &str, bytes: &[u8]| Given::Fetched {
            origin: format!("key {key} of Secret db"),
            bytes: bytes.to_vec().into(),
        };
        Dereferenced {
            files: self
                .files
                .iter()
                .map(|(name, bytes)| FetchedFile {
                    origin: "ConfigMap files".to_owned(),
                    name: name.clone(),
                    bytes: bytes.clone(),
                })
                .collect(),
            connection: ConnectionData {
                credentials: None,
                host: literal("host"),
                port: literal("port"),
                database: literal("database"),
                username: literal("username"),
                password: Some(fetched("password", self.password.as_bytes())),
                client_certificate: None,
                ca: self.ca.as_deref().map(|ca| fetched("ca.pem", ca)),
            },
        }
    }
}

fn files_of_a_config_map() -> Value {
    json!({"configMaps": [{"name": "files"}]})
}
