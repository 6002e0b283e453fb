//! Signing in by a token of RDS IAM. There is no RDS here: the tokens are compared with those of Amazon's own library,
//! and a PostgreSQL takes the one that this library makes for a given second as the password of a role.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use schemaward::engine::error::{DatabaseError, DatabaseErrorKind};
use schemaward::engine::outcome::Stop;
use schemaward::engine::{Progress, run};
use schemaward::postgres::{
    Password, PasswordIssuer, Postgres as Connection, Settings, Tls, TlsMode,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::aws_secrets::answering;
use crate::engine::{Run, reached, swallowing_way};
use crate::harness::{Database, Postgres, eventually, free_port, part, schemaward, stdout_of};
use crate::operator_rig::{Apart, LIMIT, Operator, Tenant, apart, condition, inline, resource};
use crate::waiting_run::{ALTER, WaitingRun};

const ONE: (&str, &str) = ("001_one_UP.sql", "CREATE TABLE one (id int);");
const TWO: (&str, &str) = ("002_two_UP.sql", "CREATE TABLE two (id int);");
const REGION: &str = "eu-central-1";

const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "ASIATESTS"),
    ("AWS_SECRET_ACCESS_KEY", "key-canary"),
    ("AWS_SESSION_TOKEN", "session-canary/+="),
];

/// What botocore gives: host, port, user, region, time.
const BOTOCORE: &str = r"
import datetime, sys, botocore.auth, botocore.session
host, port, user, region, seconds, key, secret, session = sys.argv[1:]
now = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
botocore.auth.get_current_datetime = lambda remove_tzinfo=True: now.replace(tzinfo=None) if remove_tzinfo else now
client = botocore.session.Session().create_client(
    'rds', region, aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=session)
print(client.generate_db_auth_token(host, int(port), user))
";

/// A server that takes members of `rds_iam` by a password in clear text over TLS and not otherwise, as RDS does.
fn server() -> Postgres {
    let server = Postgres::start(16, &[]);
    server.admin_exec("CREATE ROLE rds_iam");
    let file = server.data().join("pg_hba.conf");
    let usual = std::fs::read_to_string(&file).expect("the harness wrote it");
    let by_token = "hostssl all +rds_iam all password\nhost all +rds_iam all reject\n";
    std::fs::write(&file, format!("{by_token}{usual}")).expect("the harness's own server");
    let before = server.admin_exec("SELECT extract(epoch FROM pg_conf_load_time())");
    server.admin_exec("SELECT pg_reload_conf()");
    eventually(LIMIT, || {
        let now = server.admin_exec("SELECT extract(epoch FROM pg_conf_load_time())");
        if now == before { Err(now) } else { Ok(()) }
    });
    server
}

fn database<'a>(server: &'a Postgres, name: &str) -> Database<'a> {
    let database = server.database(name);
    server.admin_exec(&format!("GRANT rds_iam TO {}", database.user));
    database
}

/// A clock that stands still, for programs that are started with it.
struct Clock(TempDir);

impl Clock {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("clock")
    }

    /// Sets it, and makes the token of that second the password of the owner of `database`.
    fn set(&self, seconds: u64, database: &Database<'_>) {
        let server = database.server;
        let site = part("MOTO_SERVER").with_file_name("site");
        let mut botocore = Command::new("python3");
        botocore.env("PYTHONPATH", site).args(["-c", BOTOCORE]);
        botocore.args([&server.tls_host, &server.port.to_string(), &database.user]);
        botocore.args([REGION, &seconds.to_string()]);
        botocore.args(KEYS.map(|(_, value)| value));
        let token = stdout_of(&botocore.output().expect("python3 starts"), "botocore");
        assert!(token.contains("X-Amz-Security-Token=session-canary%2F%2B%3D&"));
        server.admin_exec(&format!("ALTER ROLE {} PASSWORD '{token}'", database.user));
        let time = server.admin_exec(&format!(
            "SELECT to_char(to_timestamp({seconds}) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        ));
        std::fs::write(self.file(), time).expect("the folder is writable");
    }

    fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let keys = KEYS.map(|(name, value)| (name, PathBuf::from(value)));
        let clock = [
            ("LD_PRELOAD", part("SCHEMAWARD_FAKETIME")),
            ("FAKETIME_TIMESTAMP_FILE", self.file()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ];
        keys.into_iter().chain(clock).collect()
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

// ---- the command line ----------------------------------------------------------------------------

/// `schemaward COMMAND` by a token, over verified TLS.
fn by_token(command: &str, database: &Database<'_>, folder: &Path) -> Command {
    let mut program = schemaward();
    program
        .args([
            command,
            "--auth=rds-iam",
            "--host",
            &database.server.tls_host,
        ])
        .args(["--user", &database.user, "--db", &database.name, "--dir"])
        .arg(folder)
        .env("POSTGRES_PORT", database.server.port.to_string())
        .env("POSTGRES_CA_FILE", &database.server.ca)
        .env("AWS_REGION", REGION);
    program
}

#[track_caller]
fn says(command: &mut Command, code: i32, texts: &[&str]) -> String {
    let output = command.output().expect("the program starts");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{said}");
    for text in texts {
        assert!(said.contains(text), "{text}: {said}");
    }
    for secret in ["X-Amz-", "canary"] {
        assert!(!said.contains(secret), "{said}");
    }
    said
}

#[test]
fn the_command_line_signs_in_by_the_token_of_amazons_own_library() {
    let server = server();
    let database = database(&server, "iam_cli");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(ONE.0), ONE.1).expect("it is writable");
    let clock = Clock::new();
    let second = now();
    clock.set(second, &database);
    let up = || {
        let mut up = by_token("up", &database, folder.path());
        up.envs(clock.environment());
        up
    };
    says(&mut up(), 0, &[]);
    assert_eq!(database.applied(), "001");
    // A second later it is another one, and this server takes the first alone.
    std::fs::write(folder.path().join("002_two_UP.sql"), TWO.1).expect("it is writable");
    clock.set(second + 1, &database);
    says(&mut up(), 0, &[]);
    let file = clock.file();
    let at_second = std::fs::read_to_string(&file).expect("it was set");
    clock.set(second, &database);
    std::fs::write(&file, at_second).expect("it is writable");
    says(
        &mut up(),
        1,
        &[
            "and its token of RDS IAM (28P01). Nothing was changed. See whether the instance has IAM database \
             authentication, the role is a member of rds_iam",
        ],
    );
}

#[test]
fn without_an_identity_or_verified_tls_no_server_is_asked() {
    let server = server();
    let database = database(&server, "iam_refused");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(ONE.0), ONE.1).expect("it is writable");
    let command = |name: &str| by_token(name, &database, folder.path());
    let needs = "--auth rds-iam needs --sslmode verify-full or verify-ca: whoever gets a token can use it. Nothing was \
                 connected to.";
    for mode in ["require", "disable"] {
        says(
            command("list").envs(KEYS).env("POSTGRES_SSLMODE", mode),
            2,
            &[needs],
        );
    }
    says(
        command("list")
            .envs(KEYS)
            .env("POSTGRES_PASSWORD", "canary"),
        2,
        &["--auth rds-iam takes no password: leave out --password-file and POSTGRES_PASSWORD."],
    );
    says(
        command("list").envs(KEYS).env_remove("AWS_REGION"),
        2,
        &["Missing: --aws-region"],
    );
    let nobody = "There is no AWS identity to act with: ";
    says(&mut command("list"), 1, &[nobody]);
    // The doctor claims nothing of a server that it did not come to.
    let examined = says(
        &mut command("doctor"),
        1,
        &["TCP         ok", "login       failed", nobody],
    );
    assert!(!examined.contains("TLS "), "{examined}");
    let token = folder.path().join("token");
    std::fs::write(&token, "canary-token").expect("it is writable");
    let mut unreachable = command("list");
    unreachable
        .env(
            "AWS_ENDPOINT_URL",
            format!("http://127.0.0.1:{}", free_port()),
        )
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/schemaward")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token);
    let missing = "The service that gives the AWS identity was not reached: ";
    says(&mut unreachable, 3, &[missing]);
    let log = std::fs::read_to_string(&server.log).expect("the server logs");
    assert!(!log.contains(&database.user), "the server was asked");
}

// ---- the operator --------------------------------------------------------------------------------

fn operator(
    apart: &Apart,
    configuration: &str,
    environment: &[(&str, PathBuf)],
) -> (Operator, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, configuration).expect("it is writable");
    let flags = [
        format!("--watch-namespaces={}", apart.namespace.name),
        format!("--lease-name={}", apart.release),
        format!("--config={}", file.display()),
        "--log-format=text".to_owned(),
        "--log-level=trace,h2=off,tower=off,kube=off".to_owned(),
        "--allow-loopback".to_owned(),
    ];
    let environment: Vec<(&str, &Path)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_path()))
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let operator = Operator::start_plain(&environment, &apart.kubeconfig, &flags);
    operator.is_ready();
    (operator, folder)
}

#[test]
fn the_operator_signs_in_where_its_configuration_allows_it_and_by_another_token_each_time() {
    let server = server();
    let database = database(&server, "iam_operator");
    let apart = apart("iam-operator");
    let namespace = &apart.namespace;
    let ca = std::fs::read_to_string(&server.ca).expect("a file");
    namespace.config_map("ca", &[("ca.pem", &ca)]);
    let mut manifest = resource("shop", &database, &inline(&[ONE]));
    let connection = &mut manifest["spec"]["connection"];
    connection["host"] = json!({"value": server.tls_host});
    connection["auth"] = json!({"type": "RDSIAM", "region": REGION});
    connection["tls"] = json!({"ca": {"configMapKeyRef": {"name": "ca", "key": "ca.pem"}}});
    let fields = connection.as_object_mut().expect("an object");
    fields.remove("password");
    let clock = Clock::new();
    let second = now();
    clock.set(second, &database);
    let schema = namespace.schema("shop", &manifest);
    let other = "aws:\n  rdsIAM:\n  - {namespaces: ['*'], hosts: ['*'], users: [postgres]}\n";
    let (agent, seen) = answering("200 OK", "{}");
    let identity = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.into())];
    let (refusing, _folder) = operator(&apart, other, &identity);
    let status = schema.reaches("AccessDenied");
    let (name, user, port) = (&namespace.name, &database.user, server.port);
    assert_eq!(
        condition(&status, "Ready")["message"],
        format!(
            "Namespace {name} may not use RDS IAM to sign in to localhost:{port} as role \"{user}\": no rule of the \
             operator's configuration allows it. Nothing was connected to, and AWS was not asked. Whoever runs the \
             operator allows it by aws.rdsIAM: [{{namespaces: [{name}], hosts: [localhost], users: [{user}]}}]"
        )
    );
    assert_eq!(seen.try_recv().ok(), None, "AWS was asked");
    drop(refusing);
    let allows = format!(
        "aws:\n  rdsIAM:\n  - {{namespaces: [{name}], hosts: [localhost], users: [{user}]}}\n"
    );
    let (operator, _folder) = operator(&apart, &allows, &clock.environment());
    let status = schema.reaches("UpToDate");
    assert_eq!(status["weakTlsMode"], Value::Null);
    clock.set(second + 60, &database);
    schema.patch(&json!({"spec": {"source": {"inline": {TWO.0: TWO.1}}}}));
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    assert_eq!(database.applied(), "001 002");
    let said = format!("{}{:?}{}", operator.log(), schema.events(), schema.get());
    for secret in ["X-Amz-", "canary"] {
        assert!(!said.contains(secret), "{secret} is told");
    }
}

// ---- each connection asks ------------------------------------------------------------------------

/// Gives what it holds, and counts how often it was asked.
#[derive(Debug)]
struct Issuer {
    asked: AtomicUsize,
    password: Mutex<Result<String, DatabaseError>>,
}

impl PasswordIssuer for Issuer {
    fn issue<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<SecretString, DatabaseError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let password = self.password.lock().expect("no panic").clone();
        Box::pin(async move { password.map(SecretString::from) })
    }

    fn name(&self) -> &'static str {
        "its password of a test"
    }

    fn when_refused(&self) -> &'static str {
        "Look at the test."
    }
}

/// A run that signs in by what `issuer` gives.
fn issued(database: &Database<'_>, files: &[(&str, &str)], issuer: &Arc<Issuer>) -> Run {
    let mut wanted = Run::new(database, files);
    wanted.settings.liveness_period = Duration::from_millis(100);
    wanted.settings.host.clone_from(&database.server.tls_host);
    wanted.settings.tls = Tls {
        mode: TlsMode::VerifyFull,
        ca: Some(std::fs::read(&database.server.ca).expect("a file")),
        client_certificate: None,
    };
    wanted.settings.password = Password::Issued(Arc::clone(issuer) as Arc<dyn PasswordIssuer>);
    wanted
}

fn away() -> DatabaseError {
    DatabaseError::new(DatabaseErrorKind::IdentityUnavailable, "away")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_on_a_host_that_is_gone_ends_while_the_identity_is_away() {
    let server = server();
    let database = database(&server, "iam_gone");
    let issuer = Arc::new(Issuer {
        asked: AtomicUsize::new(0),
        password: Mutex::new(Ok(database.password.clone())),
    });
    let slow = ("001_slow_UP.sql", "SELECT pg_sleep(600);");
    let mut wanted = issued(&database, &[slow], &issuer);
    let (port, swallow) = swallowing_way(&database, false).await;
    wanted.settings.port = port;
    wanted.settings.connect_timeout = Duration::from_millis(500);
    let mut connection = Connection::connect(&wanted.settings)
        .await
        .expect("the database can be reached");
    let until_gone = run(
        &mut connection,
        wanted.task,
        || true,
        |progress| {
            if let Progress::Started { .. } = progress {
                *issuer.password.lock().expect("no panic") = Err(away());
                swallow.send(true).expect("the way is there");
            }
        },
    );
    let outcome = tokio::time::timeout(LIMIT, until_gone).await;
    let outcome = outcome.expect("it is not waited for without end");
    assert!(
        matches!(
            outcome.stop(),
            Some(Stop::Database(error)) if error.kind == DatabaseErrorKind::ConnectionLost
        ),
        "{}",
        outcome.message()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_asks_anew_and_an_identity_that_is_away_is_no_silence_of_the_server() {
    let server = server();
    let database = database(&server, "iam_asks");
    let issuer = Arc::new(Issuer {
        asked: AtomicUsize::new(0),
        password: Mutex::new(Ok(database.password.clone())),
    });
    let wanted = issued(&database, &[ALTER, TWO], &issuer);
    let waiting = WaitingRun::start(&database, wanted);
    let asked = || issuer.asked.load(Ordering::Relaxed);
    eventually(LIMIT, || WaitingRun::has_both_sessions(&database));
    // Another password, which the next connection has.
    let sql = format!("ALTER ROLE {} PASSWORD 'another'", database.user);
    server.admin_exec(&sql);
    *issuer.password.lock().expect("no panic") = Ok("another".to_owned());
    let before = asked();
    waiting.cut_off_the_second(&database);
    eventually(LIMIT, || match asked() {
        asked if asked > before => WaitingRun::has_both_sessions(&database),
        asked => Err(asked.to_string()),
    });
    let log = std::fs::read_to_string(&server.log).expect("the server logs");
    assert!(!log.contains("password authentication failed"), "{log}");
    // None at all, for longer than a server may be silent.
    *issuer.password.lock().expect("no panic") = Err(away());
    let before = asked();
    eventually(LIMIT, || {
        waiting.cut_off_the_second(&database);
        if asked() > before + 8 {
            Ok(())
        } else {
            Err(asked())
        }
    });
    let outcome = waiting.end().await;
    reached(&outcome);
    assert_eq!(database.applied(), "001 002");
}
