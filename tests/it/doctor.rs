//! `schemaward doctor`: each thing that can be wrong on the way to a migration is found on real parts, is the first
//! one that is named, and is the last line of the result.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli::{Ended, Project};
use crate::harness::{PgBouncer, Postgres, free_port, postgres, schemaward};
use crate::operator_rig::{Tenant, cluster, inline, resource};

const NAMES: [&str; 10] = [
    "DNS",
    "TCP",
    "TLS",
    "login",
    "privileges",
    "pooler",
    "standby",
    "version",
    "locks",
    "history",
];

fn doctor(project: &Project, variables: &[(&str, &str)], arguments: &str) -> Ended {
    let mut command = project.command(&format!("doctor {arguments}"));
    command.envs(variables.iter().copied());
    Ended::of(&command.output().expect("the program starts"))
}

/// The check `name` failed after all before it passed, with this exit code and these words.
#[track_caller]
fn fails(ended: &Ended, name: &str, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    let rows: Vec<Vec<&str>> = ended
        .stdout
        .lines()
        .map(|line| line.split_whitespace().take(2).collect())
        .collect();
    let (last, before) = rows.split_last().expect("a row");
    assert_eq!(last[..], [name, "failed"], "{ended:#?}");
    assert!(before.iter().all(|row| row[1] == "ok"), "{ended:#?}");
    let expected: Vec<_> = NAMES.iter().take_while(|known| **known != name).collect();
    // A pooler that refuses our settings does so before anybody is signed in.
    let shown: Vec<_> = before.iter().map(|row| row[0]).collect();
    assert!(
        shown
            .iter()
            .zip(&expected)
            .all(|(shown, expected)| shown == *expected),
        "{ended:#?}"
    );
    for word in words {
        assert!(ended.stderr.contains(word), "no {word:?} in {ended:#?}");
    }
}

#[test]
fn all_is_well() {
    let project = Project::new("doctor");
    project.table("001", "a");
    let empty = doctor(&project, &[], "");
    assert_eq!(empty.code, Some(0), "{empty:#?}");
    assert!(
        empty
            .stdout
            .ends_with("history     ok      there is none yet; the first run makes it\n")
    );
    project.succeed("up");
    let well = doctor(&project, &[], "");
    assert_eq!(well.code, Some(0), "{well:#?}");
    assert_eq!(well.stderr, "");
    let shown: Vec<_> = well
        .stdout
        .lines()
        .map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(shown, NAMES.map(Some), "{well:#?}");
    assert!(
        well.stdout
            .contains("at 001; 2 rows of the audit are as they were written"),
        "{well:#?}"
    );
}

/// A way to `server` that ends when something is asked with `word` in it: nothing comes back from then on.
fn stalling_at(server: u16, word: &'static [u8]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut server =
                TcpStream::connect(("127.0.0.1", server)).expect("the server is there");
            let mut back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut back.0, &mut back.1));
            thread::spawn(move || {
                let (mut client, mut bytes) = (client, vec![0; 65536]);
                while let Ok(count @ 1..) = client.read(&mut bytes) {
                    let asked = &bytes[..count];
                    if asked.windows(word.len()).any(|window| window == word) {
                        continue;
                    }
                    server.write_all(asked).expect("the server reads");
                }
            });
        }
    });
    port
}

#[test]
fn a_server_that_stops_answering_is_not_waited_for_without_end() {
    let project = Project::new("doctorhung");
    project.table("001", "a");
    project.succeed("up");
    let server = project.database.server.port;
    for (check, word, said) in [
        (
            "locks",
            "pg_locks",
            "did not give who holds the migration lock within 11 s",
        ),
        (
            "history",
            "ORDER BY s.id ASC",
            "did not give the audit within 11 s",
        ),
    ] {
        let port = stalling_at(server, word.as_bytes()).to_string();
        let ended = doctor(
            &project,
            &[("POSTGRES_PORT", &port), ("POSTGRES_SSLMODE", "disable")],
            "",
        );
        fails(&ended, check, 3, &[said]);
    }
}

#[test]
fn what_is_wrong_with_the_network_is_named() {
    let project = Project::new("doctornet");
    let unknown = doctor(
        &project,
        &[
            ("POSTGRES_HOST", "nowhere.invalid"),
            ("POSTGRES_SSLMODE", "disable"),
        ],
        "",
    );
    fails(
        &unknown,
        "DNS",
        3,
        &["leads to no address", "getent hosts nowhere.invalid"],
    );

    let closed = free_port().to_string();
    let closed = doctor(&project, &[("POSTGRES_PORT", &closed)], "");
    fails(
        &closed,
        "TCP",
        3,
        &["connection refused", "listen_addresses"],
    );

    // Somebody takes the connection and never says a word.
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = silent.local_addr().expect("an address").port().to_string();
    let silent_tls = doctor(
        &project,
        &[("POSTGRES_PORT", &port), ("POSTGRES_SSLMODE", "require")],
        "",
    );
    fails(&silent_tls, "TLS", 3, &["no answer within 10 s"]);

    let dropped = Dropping::start();
    let began = Instant::now();
    let port = dropped.port.to_string();
    let ended = doctor(&project, &[("POSTGRES_PORT", &port)], "");
    fails(
        &ended,
        "TCP",
        3,
        &[
            "no answer within 10 s",
            "security group",
            "aws ec2 authorize-security-group-ingress",
        ],
    );
    assert!(began.elapsed() < Duration::from_secs(30));

    // What any other command says then.
    project.table("001", "a");
    let mut up = project.command("up");
    up.env("POSTGRES_PORT", &port);
    let up = Ended::of(&up.output().expect("the program starts"));
    assert_eq!(up.code, Some(3), "{up:#?}");
    assert!(
        up.stderr.contains(
            "no answer within 10 s (a firewall or security group that drops packets looks like this"
        ),
        "{up:#?}"
    );
}

/// A port whose kernel drops every further SYN: its queue of connections is full and nobody accepts them.
struct Dropping {
    port: u16,
    child: std::process::Child,
}

impl Dropping {
    fn start() -> Self {
        let script = "import socket, sys\n\
            s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0)\n\
            kept = []\n\
            while True:\n    c = socket.socket(); c.settimeout(0.5)\n    try: c.connect(s.getsockname())\n    \
            except OSError: break\n    kept.append(c)\n\
            print(s.getsockname()[1], flush=True); sys.stdin.read()\n";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a port");
        let port = line.trim().parse().expect("a port");
        Self { port, child }
    }
}

impl Drop for Dropping {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn what_is_wrong_with_server_role_or_history_is_named() {
    let project = Project::new("doctordb");
    let database = &project.database;
    let bouncer = PgBouncer::start(database, "transaction", &[]);
    let port = bouncer.port.to_string();
    let plain = doctor(
        &project,
        &[("POSTGRES_PORT", &port), ("POSTGRES_SSLMODE", "require")],
        "",
    );
    fails(&plain, "TLS", 1, &["offers no TLS"]);
    let pooler = doctor(&project, &[("POSTGRES_PORT", &port)], "");
    fails(&pooler, "pooler", 1, &["is a pooler"]);

    let tls_host = database.server.tls_host.as_str();
    let wrong_ca = doctor(
        &project,
        &[
            ("POSTGRES_HOST", tls_host),
            ("POSTGRES_SSLMODE", "verify-full"),
        ],
        "",
    );
    fails(
        &wrong_ca,
        "TLS",
        1,
        &["did not pass", "openssl s_client -starttls postgres"],
    );
    let password = doctor(&project, &[("POSTGRES_PASSWORD", "wrong")], "");
    fails(&password, "login", 1, &["did not accept", "ALTER ROLE"]);
    let nowhere = doctor(&project, &[("POSTGRES_DB", "nowhere")], "");
    fails(
        &nowhere,
        "login",
        1,
        &[
            "has no database \"nowhere\"",
            "CREATE DATABASE \"nowhere\" OWNER",
        ],
    );

    database.admin_exec("CREATE SCHEMA closed");
    let grant = format!(
        "GRANT CREATE ON SCHEMA \"closed\" TO \"{}\";",
        database.user
    );
    let privileges = doctor(&project, &[], "--history-schema closed");
    fails(&privileges, "privileges", 1, &["lacks rights", &grant]);
    database.admin_exec(&grant);
    let granted = doctor(&project, &[], "--history-schema closed");
    assert_eq!(granted.code, Some(0), "what it says mends it: {granted:#?}");

    project.table("001", "a");
    project.succeed("up");
    let mut holder = database.hold("nightly", "SELECT pg_advisory_lock(1935894647, 1);");
    let held = doctor(&project, &[], "");
    fails(
        &held,
        "locks",
        3,
        &["app \"nightly\"", "SELECT pg_terminate_backend("],
    );
    holder.kill().expect("our own child");
    holder.wait().expect("our own child");
    database.no_session_is_left();

    project.write("001_a_UP.sql", "CREATE TABLE a (id bigint);\n");
    let changed = doctor(&project, &[], "");
    fails(&changed, "history", 1, &["accept 001"]);
    database.exec("UPDATE schema_migrations SET checksum = repeat('0', 64)");
    let tampered = doctor(&project, &[], "");
    fails(&tampered, "history", 1, &["001"]);
}

#[test]
fn a_standby_is_named() {
    let server = Postgres::start(16, &["--fsync"]);
    let database = server.database("standby");
    server.stop("fast");
    std::fs::write(server.data().join("standby.signal"), "").expect("the harness's own server");
    server.start_again();
    let mut command = database.schemaward();
    let output = command.arg("doctor").output().expect("the program starts");
    fails(
        &Ended::of(&output),
        "standby",
        3,
        &["is a standby", "Connect to the primary"],
    );
}

#[test]
fn a_resource_is_examined_with_the_rights_of_who_asks() {
    let database = postgres().database("doctorres");
    let namespace = cluster().tenant("doctor");
    namespace.secret(&database);
    let widgets = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[widgets])));
    schema.reaches("UpToDate");
    let ask = |kubeconfig: &std::path::Path| {
        let mut command = schemaward();
        command.env("KUBECONFIG", kubeconfig);
        command.args(["doctor", "databaseschema/shop", "-n", &namespace.name]);
        Ended::of(&command.output().expect("the program starts"))
    };
    let well = ask(&cluster().api.kubeconfig);
    assert_eq!(well.code, Some(0), "{well:#?}");
    assert!(
        well.stdout
            .starts_with("status      ok      UpToDate: at version 001\nreferences  ok "),
        "{well:#?}"
    );
    assert!(
        well.stdout.contains("history     ok      at 001;"),
        "{well:#?}"
    );

    // Without the right to the Secret it says so, and what it could not look at.
    namespace.kubectl(&["create", "serviceaccount", "oncall"]);
    namespace.kubectl(&[
        "create",
        "role",
        "oncall",
        "--verb=get",
        "--resource=databaseschemas",
    ]);
    let account = format!("--serviceaccount={}:oncall", namespace.name);
    namespace.kubectl(&["create", "rolebinding", "oncall", "--role=oncall", &account]);
    let oncall = cluster().api.kubeconfig_of(&namespace.name, "oncall");
    let refused = ask(&oncall);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        refused.stdout.ends_with("references  failed\n"),
        "{refused:#?}"
    );
    assert!(
        refused
            .stderr
            .contains("You may not read the Secrets or ConfigMaps")
            && refused.stderr.contains("Not looked at: DNS, TCP,"),
        "{refused:#?}"
    );

    // All is well on the way, and a script fails: what is wrong is what the resource says.
    let wrong = ("002_wrong_UP.sql", "INSERT INTO nowhere VALUES (1);");
    schema.patch(&json!({"spec": {"source": inline(&[widgets, wrong])}}));
    schema.reaches("MigrationFailed");
    let failed = ask(&cluster().api.kubeconfig);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(
        failed.stdout.starts_with("status      failed"),
        "{failed:#?}"
    );
    assert!(
        failed.stderr.contains("Nothing is wrong on the way to the database. What the resource says: MigrationFailed: 002 wrong"),
        "{failed:#?}"
    );
}
