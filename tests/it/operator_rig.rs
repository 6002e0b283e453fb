//! The operator under test: the built program with the token of the chart's `ServiceAccount`, so that it may do
//! what the chart grants and nothing more.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, Database, Namespace, eventually, free_port, schemaward};

/// How long anything may take that should be a matter of a second or two.
pub const LIMIT: Duration = Duration::from_mins(1);

/// A cluster with the chart's default install and one operator, as in production: it watches all namespaces.
pub struct Cluster {
    pub api: Api,
    operator: Operator,
}

/// The cluster that most tests share.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let api = Api::start();
        let kubeconfig = install(&api, "schemaward", &[]);
        let operator = Operator::start(&kubeconfig, &["--source-poll-interval=1s"]);
        operator.is_ready();
        Cluster { api, operator }
    })
}

/// Installs the chart as `release` in a namespace of the same name; gives a kubeconfig of its account, whose
/// namespace is the release's as in a pod.
pub fn install(api: &Api, release: &str, settings: &[&str]) -> PathBuf {
    // One CRD for all releases: the first one brings it.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/schemaward");
    let namespace = format!("--namespace={release}");
    let name = format!("fullnameOverride={release}");
    let mut arguments = vec!["install", release, chart, &namespace, "--create-namespace"];
    let settings = settings.iter().copied().chain([name.as_str()]);
    arguments.extend(settings.flat_map(|setting| ["--set", setting]));
    api.helm(&arguments);
    api.established(&["crd/databaseschemas.schemaward.dev"]);
    drop(guard);
    eventually(LIMIT, || {
        let account = ["-n", release, "get", "serviceaccount", release];
        let output = api.try_kubectl(&account, "");
        if output.status.success() {
            Ok(())
        } else {
            Err(output)
        }
    });
    api.kubeconfig_of(release, release)
}

/// A namespace, and a release of the chart that watches it alone. Its operators are the test's own to start and
/// to end; they are on another API server than the one of [`cluster`], which serves all namespaces of its own.
pub struct Apart {
    pub namespace: Namespace<'static>,
    pub release: String,
    pub kubeconfig: PathBuf,
}

/// An [`Apart`] for one test.
pub fn apart(name: &str) -> Apart {
    static API: OnceLock<Api> = OnceLock::new();
    let api = API.get_or_init(Api::start);
    let namespace = api.namespace(name);
    let release = format!("{name}-operator");
    let watched = format!("watchNamespaces={{{}}}", namespace.name);
    let kubeconfig = install(api, &release, &[&watched]);
    Apart {
        namespace,
        release,
        kubeconfig,
    }
}

impl Apart {
    /// Starts an operator as the release's pods are started.
    pub fn operator(&self, flags: &[&str]) -> Operator {
        self.operator_alone(&[&["--allow-loopback"], flags].concat())
    }

    /// The same, which may not connect to loopback.
    pub fn operator_alone(&self, flags: &[&str]) -> Operator {
        let watched = format!("--watch-namespaces={}", self.namespace.name);
        let lease = format!("--lease-name={}", self.release);
        let own = [
            watched.as_str(),
            &lease,
            "--log-format=text",
            "--log-level=debug",
        ];
        let operator = Operator::start_plain(&[], &self.kubeconfig, &[&own, flags].concat());
        operator.is_ready();
        operator
    }

    /// Who holds the lease; empty: nobody.
    pub fn holder(&self) -> String {
        self.namespace.api.kubectl(&[
            "-n",
            &self.release,
            "get",
            "lease",
            &self.release,
            "-o",
            "jsonpath={.spec.holderIdentity}",
        ])
    }
}

/// A namespace whose objects the operator may read, by the `RoleBinding` that a tenant makes.
pub fn tenant<'a>(api: &'a Api, name: &str) -> Namespace<'a> {
    let namespace = api.namespace(name);
    namespace.kubectl(&[
        "create",
        "rolebinding",
        "schemaward-tenant",
        "--clusterrole=schemaward-tenant",
        "--serviceaccount=schemaward:schemaward",
    ]);
    namespace
}

impl Cluster {
    /// As [`tenant`].
    pub fn tenant(&self, name: &str) -> Namespace<'_> {
        tenant(&self.api, name)
    }

    /// What the operator serves at a path of its HTTP endpoint.
    pub fn http(&self, path: &str) -> String {
        self.operator.http(path).unwrap_or_default()
    }

    /// What the operator wrote into its log.
    pub fn log(&self) -> String {
        self.operator.log()
    }
}

/// A running operator; it ends with this value, or with the test process.
pub struct Operator {
    child: Child,
    /// Its end kills the operator: a static is not dropped when a test process ends.
    keeper: Child,
    keeper_input: Option<ChildStdin>,
    log: PathBuf,
    port: u16,
}

impl Operator {
    /// Starts `schemaward run`.
    pub fn start(kubeconfig: &Path, flags: &[&str]) -> Self {
        let readable = ["--log-format=text", "--log-level=debug"];
        Self::start_logging(kubeconfig, &[&readable[..], flags].concat())
    }

    /// As [`Self::start`], with the flags alone to say what is logged.
    pub fn start_logging(kubeconfig: &Path, flags: &[&str]) -> Self {
        Self::start_in(&[], kubeconfig, flags)
    }

    /// As [`Self::start_logging`], with more in its environment.
    pub fn start_in(environment: &[(&str, &Path)], kubeconfig: &Path, flags: &[&str]) -> Self {
        // The servers of the tests listen on loopback.
        let flags = [&["--allow-loopback"][..], flags].concat();
        Self::start_plain(environment, kubeconfig, &flags)
    }

    /// As it is started in production: it may not connect to loopback.
    pub fn start_plain(environment: &[(&str, &Path)], kubeconfig: &Path, flags: &[&str]) -> Self {
        let port = free_port();
        let log = std::env::temp_dir().join(format!(
            "schemaward-operator-{}-{port}.log",
            std::process::id()
        ));
        let file = std::fs::File::create(&log).expect("the temporary folder is writable");
        let child = schemaward()
            .env("KUBECONFIG", kubeconfig)
            .envs(environment.iter().copied())
            .arg("run")
            .arg(format!("--http-address=127.0.0.1:{port}"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the program starts");
        let mut keeper = Command::new("sh")
            .args(["-c", "read -r _ || kill -9 \"$1\"; rm -f \"$2\"", "keeper"])
            .arg(child.id().to_string())
            .arg(&log)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let keeper_input = keeper.stdin.take();
        Self {
            child,
            keeper,
            keeper_input,
            log,
            port,
        }
    }

    /// Waits until `/readyz` says so.
    #[track_caller]
    pub fn is_ready(&self) {
        eventually(LIMIT, || match self.http("/readyz") {
            Some(text) if !text.contains("[-]") => Ok(()),
            seen => Err((seen, self.log())),
        });
    }

    /// Waits until it leads.
    #[track_caller]
    pub fn leads(&self) -> Duration {
        let began = Instant::now();
        eventually(LIMIT, || match self.http("/readyz") {
            Some(text) if text.contains("leading") => Ok(()),
            seen => Err((seen, self.log())),
        });
        began.elapsed()
    }

    /// The body of a GET; `None` when nobody answers.
    pub fn http(&self, path: &str) -> Option<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: operator\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (_, body) = text.split_once("\r\n\r\n")?;
        Some(body.to_owned())
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()
            .expect("kill is there");
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("our own child")
    }

    /// Ends it as the kernel would.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.wait();
    }

    /// True while it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        use std::io::Write;
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(mut input) = self.keeper_input.take() {
            writeln!(input).ok();
        }
        self.keeper.wait().ok();
    }
}

/// A `DatabaseSchema` for `database`, with its password in Secret `db`. Change what a test is about.
pub fn resource(name: &str, database: &Database<'_>, source: &Value) -> Value {
    json!({
        "apiVersion": "schemaward.dev/v1alpha1",
        "kind": "DatabaseSchema",
        "metadata": {"name": name},
        "spec": {
            "source": source,
            "connection": {
                "host": {"value": database.server.host},
                "port": {"value": database.server.port},
                "database": {"value": database.name},
                "username": {"value": database.user},
                "password": {"secretKeyRef": {"name": "db", "key": "password"}},
                "tls": {"mode": "Disable"},
            },
        },
    })
}

/// Files as an inline source.
pub fn inline(files: &[(&str, &str)]) -> Value {
    json!({"inline": map(files)})
}

fn map(files: &[(&str, &str)]) -> Value {
    files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), json!(text)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A resource in a namespace, as a test looks at it.
pub struct Schema<'a> {
    pub namespace: &'a Namespace<'a>,
    pub name: &'a str,
}

/// What a tenant does in a namespace.
pub trait Tenant {
    /// Puts the password of `database` into Secret `db`.
    fn secret(&self, database: &Database<'_>);
    /// Makes or changes a `ConfigMap` of files.
    fn config_map(&self, name: &str, files: &[(&str, &str)]);
    /// Applies a resource.
    fn schema<'a>(&'a self, name: &'a str, manifest: &Value) -> Schema<'a>;
}

impl Tenant for Namespace<'_> {
    fn secret(&self, database: &Database<'_>) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
            "stringData": {"password": database.password},
        });
        self.apply(&secret.to_string());
    }

    fn config_map(&self, name: &str, files: &[(&str, &str)]) {
        let config_map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": map(files),
        });
        self.apply(&config_map.to_string());
    }

    fn schema<'a>(&'a self, name: &'a str, manifest: &Value) -> Schema<'a> {
        self.apply(&manifest.to_string());
        Schema {
            namespace: self,
            name,
        }
    }
}

impl Schema<'_> {
    /// The whole object.
    pub fn get(&self) -> Value {
        let text = self
            .namespace
            .kubectl(&["get", "dbs", self.name, "-o", "json"]);
        serde_json::from_str(&text).expect("kubectl gives JSON")
    }

    /// Its status.
    pub fn status(&self) -> Value {
        self.get()["status"].clone()
    }

    /// Waits until Ready has this reason for the present generation; gives the status.
    #[track_caller]
    pub fn reaches(&self, reason: &str) -> Value {
        self.becomes(&format!("Ready with reason {reason}"), |status| {
            condition(status, "Ready")["reason"] == reason
        })
    }

    /// Waits until the status of the present generation is as `holds` says; gives it.
    #[track_caller]
    pub fn becomes(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + LIMIT;
        loop {
            let object = self.get();
            let status = &object["status"];
            if status["observedGeneration"] == object["metadata"]["generation"] && holds(status) {
                return status.clone();
            }
            assert!(
                Instant::now() < end,
                "{} is not {what}; its status: {status:#}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Changes the spec by a merge patch.
    #[track_caller]
    pub fn patch(&self, patch: &Value) {
        let patch = patch.to_string();
        self.namespace
            .kubectl(&["patch", "dbs", self.name, "--type=merge", "-p", &patch]);
    }

    /// Asks for an attempt by the annotation.
    #[track_caller]
    pub fn ask(&self, value: &str) {
        let annotation = format!("schemaward.dev/reconcile={value}");
        self.namespace
            .kubectl(&["annotate", "--overwrite", "dbs", self.name, &annotation]);
    }

    /// The events about it, oldest first, as `Type Reason note`.
    pub fn events(&self) -> Vec<String> {
        let text = self.namespace.kubectl(&[
            "get",
            "events.events.k8s.io",
            "--sort-by={.eventTime}",
            "-o",
            "json",
        ]);
        let list: Value = serde_json::from_str(&text).expect("kubectl gives JSON");
        let events = list["items"].as_array().expect("items");
        events
            .iter()
            .filter(|event| event["regarding"]["name"] == self.name)
            .map(|event| {
                let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
                format!("{} {} {}", text("type"), text("reason"), text("note"))
            })
            .collect()
    }
}

/// A condition of a status; null when it is not there.
pub fn condition(status: &Value, type_: &str) -> Value {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions
        .into_iter()
        .find(|condition| condition["type"] == type_)
        .unwrap_or(Value::Null)
}
