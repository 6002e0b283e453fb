//! Moto, which stands for AWS: Secrets Manager, STS and IAM.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{eventually, free_port, part};

/// A running server of Moto with nothing in it; it ends when the value is dropped, and with the test's thread.
#[derive(Debug)]
pub struct Moto {
    /// Where all of its services are.
    pub url: String,
    port: u16,
    folder: TempDir,
    child: Child,
}

impl Moto {
    /// Starts one that lets everybody do everything.
    pub fn start() -> Self {
        Self::start_with("http", &[], &[])
    }

    /// Starts one that lets everybody do everything `requests` times, and then what its users may.
    pub fn start_strict(requests: u32) -> Self {
        let variable = ("INITIAL_NO_AUTH_ACTION_COUNT", requests.to_string());
        Self::start_with("http", &[variable], &[])
    }

    /// Starts one that speaks TLS alone, with this certificate and its key.
    pub fn start_tls(certificate: &Path, key: &Path) -> Self {
        let [certificate, key] =
            [certificate, key].map(|path| path.to_str().expect("a path in UTF-8"));
        Self::start_with("https", &[], &["-s", "-c", certificate, "-k", key])
    }

    fn start_with(scheme: &str, environment: &[(&str, String)], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("the folder is writable");
        let port = free_port();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(part("MOTO_SERVER"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .args(flags)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("MOTO_ACCOUNT_ID", "111122223333") // the one of the roles in our examples
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv starts");
        let moto = Self {
            url: format!("{scheme}://localhost:{port}"),
            port,
            folder,
            child,
        };
        eventually(Duration::from_mins(1), || {
            TcpStream::connect(("127.0.0.1", port)).map_err(|error| (error.to_string(), moto.log()))
        });
        moto
    }

    /// Makes a secret in `us-east-1` whose text is this document; gives its ARN.
    pub fn create_secret(&self, id: &str, document: &Value) -> String {
        let secret = json!({"Name": id, "SecretString": document.to_string()});
        let made = self.call("CreateSecret", &secret).expect("it is made");
        made["ARN"].as_str().expect("an ARN").to_owned()
    }

    /// Makes a secret that holds bytes and no text.
    pub fn create_binary_secret(&self, id: &str) {
        let secret = json!({"Name": id, "SecretBinary": "Y2FuYXJ5"});
        self.call("CreateSecret", &secret).expect("it is made");
    }

    /// Gives a secret another document, as a rotation does.
    pub fn put_secret(&self, id: &str, document: &Value) {
        let secret = json!({"SecretId": id, "SecretString": document.to_string()});
        self.call("PutSecretValue", &secret).expect("it is there");
    }

    /// The document of a secret; `None` while there is none.
    pub fn secret(&self, id: &str) -> Option<Value> {
        let answer = self.call("GetSecretValue", &json!({"SecretId": id})).ok()?;
        let text = answer["SecretString"].as_str()?;
        Some(serde_json::from_str(text).expect("a document"))
    }

    /// Makes a user who may do nothing; gives an access key of theirs and its secret.
    pub fn create_user(&self, name: &str) -> (String, String) {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let ask = |action: &str| {
            let request = format!("Action={action}&Version=2010-05-08&UserName={name}");
            self.post("iam", kind, &request).expect("it is made")
        };
        ask("CreateUser");
        let key = ask("CreateAccessKey");
        let field = |name: &str| {
            let (_, rest) = key.split_once(&format!("<{name}>")).expect("a field");
            rest.split('<').next().expect("its text").to_owned()
        };
        (field("AccessKeyId"), field("SecretAccessKey"))
    }

    /// What it logged: a line for each request, without its body.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("its log")
    }

    /// One request to Secrets Manager.
    fn call(&self, operation: &str, request: &Value) -> Result<Value, String> {
        let headers = format!(
            "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: secretsmanager.{operation}\r\n"
        );
        let answer = self.post("secretsmanager", &headers, &request.to_string())?;
        Ok(serde_json::from_str(&answer).expect("JSON"))
    }

    /// One request. Moto reads service and region off the signature and does not check it.
    fn post(&self, service: &str, headers: &str, body: &str) -> Result<String, String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        write!(
            stream,
            "POST / HTTP/1.0\r\nHost: moto\r\n{headers}Content-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=x\r\n\r\n{body}",
            body.len()
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
        if head.contains(" 200 ") {
            Ok(body.to_owned())
        } else {
            Err(answer)
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
