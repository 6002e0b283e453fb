//! Credentials out of AWS Secrets Manager, by operator and command line, from a server that answers as AWS does.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Database, Moto, Postgres, free_port, postgres, schemaward};

mod command_line;
mod identity;
mod operator;

/// The region of the server that stands for AWS.
const REGION: &str = "us-east-1";

const ONE: (&str, &str) = ("001_one_UP.sql", "CREATE TABLE one (id int);");

/// What Secrets Manager keeps for `database`.
fn document(database: &Database<'_>, password: &str) -> Value {
    json!({
        "username": database.user, "password": password, "engine": "postgres",
        "host": database.server.host, "port": database.server.port, "dbname": database.name,
    })
}

// ---- the command line ----------------------------------------------------------------------------

/// A folder with version 001, and a database.
struct Shop {
    database: Database<'static>,
    folder: TempDir,
}

/// How a command ended, and what it said to standard error.
#[derive(Debug, PartialEq)]
struct Ended(Option<i32>, String);

impl Ended {
    fn of(output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Self(output.status.code(), said)
    }

    #[track_caller]
    fn refuses(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.0, Some(code), "{self:?}");
        for text in texts {
            assert!(self.1.contains(text), "{text}: {self:?}");
        }
        assert!(!self.1.contains("canary"), "{self:?}");
    }
}

impl Shop {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("migrations")).expect("it is writable");
        std::fs::write(folder.path().join("migrations").join(ONE.0), ONE.1)
            .expect("it is writable");
        Self {
            database: postgres().database(name),
            folder,
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("it is writable");
        path
    }

    /// `schemaward up` on what secret `id` says.
    fn up(&self, url: &str, id: &str) -> Command {
        let mut command = schemaward();
        command
            .current_dir(self.folder.path())
            .args(["up", "--aws-secret-id", id])
            .env("AWS_ENDPOINT_URL", url)
            .env("AWS_REGION", REGION);
        command
    }

    fn up_as(&self, url: &str, id: &str, identity: &[(&str, &str)]) -> Ended {
        let mut command = self.up(url, id);
        command.envs(identity.iter().copied());
        Ended::of(&command.output().expect("the program starts"))
    }
}

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIATESTS"),
    ("AWS_SECRET_ACCESS_KEY", "key-canary"),
];

// ---- whose identity, and whom it trusts ----------------------------------------------------------

/// A listener that answers every request with `body`, and tells of each.
pub fn answering(status: &'static str, body: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (told, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).ok();
            told.send(String::from_utf8_lossy(&request[..length]).into_owned())
                .ok();
        }
    });
    (format!("http://{address}"), seen)
}
