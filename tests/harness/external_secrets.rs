//! External Secrets, which brings secrets from AWS into a namespace.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{Api, Namespace, free_port, part};

/// The running operator of External Secrets; it ends when the value is dropped, and with the test's thread.
#[derive(Debug)]
pub struct ExternalSecrets {
    child: Child,
    folder: TempDir,
}

impl ExternalSecrets {
    /// Puts its kinds in place and starts it for one namespace, as an administrator. `aws` is the URL of what
    /// stands for AWS.
    pub fn start(namespace: &Namespace<'_>, aws: &str) -> Self {
        let program = part("EXTERNAL_SECRETS");
        let crds = program.with_file_name("crds");
        install_crds(namespace.api, crds.to_str().expect("a path in UTF-8"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("the folder is writable");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .arg(format!("--namespace={}", namespace.name))
            .arg(format!("--metrics-addr=127.0.0.1:{}", free_port()))
            .arg(format!("--live-addr=127.0.0.1:{}", free_port()))
            .env_clear()
            .env("KUBECONFIG", &namespace.api.kubeconfig)
            .env("AWS_SECRETSMANAGER_ENDPOINT", aws)
            .env("AWS_STS_ENDPOINT", aws)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("an open file"))
            .stderr(log)
            .spawn()
            .expect("setpriv starts");
        Self { child, folder }
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("its log")
    }
}

impl Drop for ExternalSecrets {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Once more does no harm.
fn install_crds(api: &Api, folder: &str) {
    api.kubectl(&["apply", "--server-side", "-f", folder]);
    api.established(&["-f", folder]);
}
