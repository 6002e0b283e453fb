//! The Kubernetes API server and namespaces.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

use super::supervisor::{Supervisor, text};
use super::{eventually, part, run_with_input, stdout_of};

/// The API server that all tests of the run share.
pub fn api() -> &'static Api {
    static SERVER: OnceLock<Api> = OnceLock::new();
    SERVER.get_or_init(Api::start)
}

/// etcd, kube-apiserver and kube-controller-manager: all of a cluster but its nodes. The shared one is never
/// stopped: a test that stops its API server starts its own.
#[derive(Debug)]
pub struct Api {
    pub url: String,
    /// An administrator's.
    pub kubeconfig: PathBuf,
    /// That of a user of the group `fluxion-deploy`, who may do nothing by himself.
    pub deployer: PathBuf,
    /// PEM file of the authority that signed the server's certificate.
    pub ca: PathBuf,
    kubectl: PathBuf,
    /// For files of the tests; it goes with the servers.
    folder: PathBuf,
    made: AtomicUsize,
    supervisor: Mutex<Supervisor>,
}

impl Api {
    /// Starts one for one test alone; it ends when the value is dropped.
    pub fn start() -> Self {
        let (supervisor, report) = Supervisor::start(&["--api"]);
        Self {
            url: text(&report, "/api/url"),
            kubeconfig: text(&report, "/api/kubeconfig").into(),
            deployer: text(&report, "/api/deployer").into(),
            ca: text(&report, "/api/ca").into(),
            kubectl: text(&report, "/api/kubectl").into(),
            folder: text(&report, "/folder").into(),
            made: AtomicUsize::new(0),
            supervisor: Mutex::new(supervisor),
        }
    }

    /// Kills the API server; etcd keeps what it stored. Not for the shared one.
    pub fn stop(&self) {
        self.control("kube-apiserver stop");
    }

    /// Starts the stopped API server on its old port and waits until it is ready.
    pub fn start_again(&self) {
        self.control("kube-apiserver start");
    }

    /// Tells etcd to `stop` or to `start` and, while it is stopped, to `save` what it stores or to `restore` that.
    /// Not for the shared one.
    pub fn etcd(&self, command: &str) {
        self.control(&format!("etcd {command}"));
    }

    fn control(&self, command: &str) {
        self.supervisor
            .lock()
            .expect("no test panics in here")
            .control(command);
    }

    /// A new namespace, called `name` and a number.
    pub fn namespace(&self, name: &str) -> Namespace<'_> {
        let name = format!("{name}-{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.kubectl(&["create", "namespace", &name]);
        Namespace { api: self, name }
    }

    /// The program itself, for a script that calls it.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// The output of a `kubectl` that must succeed.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        stdout_of(
            &self.try_kubectl(arguments, ""),
            &format!("kubectl {}", arguments.join(" ")),
        )
    }

    /// Runs `kubectl` with `input` as its standard input and lets it fail.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let mut kubectl = Command::new(&self.kubectl);
        kubectl
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder); // where it caches what the server offers
        run_with_input(&mut kubectl, input)
    }

    /// Waits until the API server serves these CRDs, as `kubectl` names them. A CRD has no conditions in the first
    /// moment, which `kubectl wait` takes for an error.
    #[track_caller]
    pub fn established(&self, crds: &[&str]) {
        let wait = ["wait", "--for=condition=Established", "--timeout=30s"];
        eventually(Duration::from_mins(1), || {
            let output = self.try_kubectl(&[&wait[..], crds].concat(), "");
            if output.status.success() {
                Ok(())
            } else {
                Err(output)
            }
        });
    }

    /// The output of a `helm` that must succeed.
    #[track_caller]
    pub fn helm(&self, arguments: &[&str]) -> String {
        stdout_of(
            &self.try_helm(arguments),
            &format!("helm {}", arguments.join(" ")),
        )
    }

    /// Runs `helm` and lets it fail.
    pub fn try_helm(&self, arguments: &[&str]) -> Output {
        let mut helm = Command::new(part("HELM"));
        helm.args(arguments)
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder);
        run_with_input(&mut helm, "")
    }

    /// Applies YAML documents as they are, server-side; for what is not in a namespace.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> String {
        let output = self.try_kubectl(&["apply", "--server-side", "-f", "-"], yaml);
        stdout_of(&output, &format!("kubectl apply of\n{yaml}"))
    }

    /// A kubeconfig with a token of a `ServiceAccount`, as a pod of it would have.
    pub fn kubeconfig_of(&self, namespace: &str, service_account: &str) -> PathBuf {
        let token = self.kubectl(&["-n", namespace, "create", "token", service_account]);
        let path = self
            .folder
            .join(format!("{namespace}.{service_account}.kubeconfig"));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": self.ca}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        });
        std::fs::write(&path, config.to_string()).expect("the servers' folder is writable");
        path
    }
}

/// A namespace of one test.
#[derive(Debug)]
pub struct Namespace<'a> {
    pub api: &'a Api,
    pub name: String,
}

impl Namespace<'_> {
    /// The output of a `kubectl -n NAMESPACE` that must succeed.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        stdout_of(
            &self.try_kubectl(arguments),
            &format!("kubectl {}", arguments.join(" ")),
        )
    }

    /// Runs `kubectl -n NAMESPACE` and lets it fail.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Output {
        self.api
            .try_kubectl(&[&["-n", &self.name], arguments].concat(), "")
    }

    /// Changes the status of an object by a merge patch, as its controller does.
    #[track_caller]
    pub fn write_status(&self, kind: &str, name: &str, status: &Value) {
        let patch = json!({"status": status}).to_string();
        self.kubectl(&[
            "patch",
            kind,
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ]);
    }

    /// Applies YAML documents in this namespace, server-side.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> String {
        stdout_of(&self.try_apply(yaml), &format!("kubectl apply of\n{yaml}"))
    }

    /// Applies a file of `examples` in this namespace instead of the one that it names.
    #[track_caller]
    pub fn apply_example(&self, file: &str) {
        let path = format!("{}/examples/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("an example");
        let namespaced = format!("namespace: {}", self.name);
        self.apply(&text.replace("namespace: fluxion", &namespaced));
    }

    /// Applies YAML documents in this namespace and lets the API server refuse them.
    pub fn try_apply(&self, yaml: &str) -> Output {
        self.api.try_kubectl(
            &["-n", &self.name, "apply", "--server-side", "-f", "-"],
            yaml,
        )
    }
}
