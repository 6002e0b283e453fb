//! Moto, which stands for AWS: Secrets Manager and STS.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
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
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("the folder is writable");
        let port = free_port();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(part("MOTO_SERVER"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_ACCOUNT_ID", "111122223333") // the one of the roles in our examples
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv starts");
        let moto = Self {
            url: format!("http://127.0.0.1:{port}"),
            port,
            folder,
            child,
        };
        eventually(Duration::from_mins(1), || {
            TcpStream::connect(("127.0.0.1", port)).map_err(|error| (error.to_string(), moto.log()))
        });
        moto
    }

    /// Makes a secret in `us-east-1` whose text is this document.
    pub fn create_secret(&self, id: &str, document: &Value) {
        let secret = json!({"Name": id, "SecretString": document.to_string()});
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

    /// What it logged: a line for each request, without its body.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("its log")
    }

    /// One request to Secrets Manager. Moto reads the region off the signature and does not check it.
    fn call(&self, operation: &str, request: &Value) -> Result<Value, String> {
        let body = request.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        write!(
            stream,
            "POST / HTTP/1.0\r\nHost: moto\r\nContent-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Target: secretsmanager.{operation}\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request, \
             SignedHeaders=host, Signature=x\r\n\r\n{body}",
            body.len()
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
        if head.contains(" 200 ") {
            Ok(serde_json::from_str(body).expect("JSON"))
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
