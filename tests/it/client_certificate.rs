//! Signing in with a client certificate, on a server that takes nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Database, Namespace, Postgres, eventually};
use crate::operator_rig::{LIMIT, Tenant, cluster, condition, inline, resource};

const ONE: (&str, &str) = ("001_one_UP.sql", "CREATE TABLE one (id int);");
const TWO: (&str, &str) = ("002_two_UP.sql", "CREATE TABLE two (id int);");

/// An authority that signs certificates of clients.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        openssl(
            folder.path(),
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=clients -days 30 \
             -keyout ca.key -out ca.pem",
        );
        std::fs::write(folder.path().join("v3.cnf"), "basicConstraints=CA:FALSE\n")
            .expect("the folder is writable");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("openssl wrote it")
    }

    /// Makes client.pem and client.key for a user.
    fn sign(&self, user: &str) {
        let folder = self.0.path();
        openssl(
            folder,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={user} -keyout client.key \
                 -out client.csr"
            ),
        );
        openssl(
            folder,
            "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile v3.cnf \
             -out client.pem",
        );
    }

    /// From now on the server trusts this authority.
    fn is_trusted_by(&self, server: &Postgres) {
        let path = server.data().join("clients.pem");
        std::fs::copy(self.path("ca.pem"), path).expect("the harness's own server");
        let before = server.admin_exec("SELECT extract(epoch FROM pg_conf_load_time())");
        server.admin_exec("ALTER SYSTEM SET ssl_ca_file = 'clients.pem'");
        server.admin_exec("SELECT pg_reload_conf()");
        eventually(LIMIT, || {
            let now = server.admin_exec("SELECT extract(epoch FROM pg_conf_load_time())");
            if now == before { Err(now) } else { Ok(()) }
        });
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace());
    let output = command
        .current_dir(folder)
        .output()
        .expect("openssl is there");
    assert!(output.status.success(), "openssl {arguments}: {output:?}");
}

/// A server that takes members of `certified` by their certificate alone, which this authority signed.
fn server(authority: &Authority) -> Postgres {
    let server = Postgres::start(16, &[]);
    server.admin_exec("CREATE ROLE certified");
    let file = server.data().join("pg_hba.conf");
    let usual = std::fs::read_to_string(&file).expect("the harness wrote it");
    let certified = "hostssl all +certified all cert\nhost all +certified all reject\n";
    std::fs::write(&file, format!("{certified}{usual}")).expect("the harness's own server");
    authority.is_trusted_by(&server);
    server
}

/// A database whose owner signs in by certificate.
fn database<'a>(server: &'a Postgres, name: &str) -> Database<'a> {
    let database = server.database(name);
    server.admin_exec(&format!("GRANT certified TO {}", database.user));
    database
}

fn secret(namespace: &Namespace<'_>, chain: &str, key: &str) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "client"},
        "stringData": {"tls.crt": chain, "tls.key": key},
    });
    namespace.apply(&secret.to_string());
}

fn message(status: &Value) -> String {
    let message = condition(status, "Ready")["message"].clone();
    message.as_str().expect("a message").to_owned()
}

#[test]
fn the_operator_signs_in_by_a_certificate_and_takes_a_new_one_without_a_restart() {
    let authority = Authority::new();
    let server = server(&authority);
    let database = database(&server, "certified");
    let user = &database.user;
    authority.sign(user);
    let namespace = cluster().tenant("certified");
    namespace.config_map(
        "ca",
        &[(
            "ca.pem",
            &std::fs::read_to_string(&server.ca).expect("a file"),
        )],
    );
    let mut manifest = resource("shop", &database, &inline(&[ONE]));
    let connection = &mut manifest["spec"]["connection"];
    connection["host"] = json!({"value": server.tls_host});
    connection["tls"] = json!({"ca": {"configMapKeyRef": {"name": "ca", "key": "ca.pem"}}});
    connection
        .as_object_mut()
        .expect("an object")
        .remove("password");
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("AuthenticationFailed");
    let said = format!(
        "localhost:{} did not accept role \"{user}\" without a password (28000). Nothing was changed. Give one \
         (connection.password; POSTGRES_PASSWORD or --password-file on the command line), or correct the \
         server's pg_hba.conf. If it wants a client certificate, give one in \
         tls.clientCertificate (--ssl-cert).",
        server.port
    );
    assert!(message(&status).starts_with(&said), "{status:#}");

    // The key of another certificate.
    let key = authority.text("client.key");
    authority.sign(user);
    secret(&namespace, &authority.text("client.pem"), &key);
    schema.patch(&json!({"spec": {"connection": {"tls": {
        "clientCertificate": {"secretRef": {"name": "client"}},
    }}}}));
    let status = schema.reaches("InvalidCredentials");
    assert_eq!(
        message(&status),
        "The client certificate cannot be used: its key (tls.key, --ssl-key) is not the one of its certificate \
         (tls.crt, --ssl-cert). Nothing was sent. Mend it."
    );
    assert!(
        !cluster()
            .log()
            .contains(key.lines().nth(1).expect("a key has lines"))
    );
    secret(
        &namespace,
        &authority.text("client.pem"),
        &authority.text("client.key"),
    );
    let status = schema.reaches("UpToDate");
    assert_eq!(status["weakTlsMode"], Value::Null);
    assert_eq!(database.applied(), "001");

    // Another authority, and a certificate of it: nobody restarts anything.
    let next = Authority::new();
    next.sign(user);
    next.is_trusted_by(&server);
    schema.patch(&json!({"spec": {"source": {"inline": {TWO.0: TWO.1}}}}));
    let status = schema.reaches("TLSVerificationFailed");
    let said = format!(
        "localhost:{} ended the TLS handshake (UnknownCA). No password was sent. Where it checks client \
         certificates, ours must come from an authority that it knows (tls.clientCertificate, --ssl-cert);",
        server.port
    );
    assert!(message(&status).starts_with(&said), "{status:#}");
    assert_eq!(database.applied(), "001");
    secret(
        &namespace,
        &next.text("client.pem"),
        &next.text("client.key"),
    );
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001 002");

    // Weaker than it could be, and status says so.
    schema.patch(&json!({"spec": {"connection": {"tls": {"mode": "VerifyCA"}}}}));
    let status = schema.becomes("at a weak mode", |status| {
        status["weakTlsMode"] == "VerifyCA"
    });
    assert_eq!(condition(&status, "Ready")["reason"], "UpToDate");
}

#[test]
fn the_command_line_signs_in_by_a_certificate() {
    let authority = Authority::new();
    let server = server(&authority);
    let database = database(&server, "cli_certified");
    authority.sign(&database.user);
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(ONE.0), ONE.1).expect("it is writable");
    let up = |more: &[&str]| {
        let mut command = database.schemaward();
        command
            .env_remove("POSTGRES_PASSWORD")
            .env("POSTGRES_HOST", &server.tls_host)
            .env("POSTGRES_CA_FILE", &server.ca)
            .arg("up")
            .arg("--dir")
            .arg(folder.path())
            .args(more);
        command
    };
    let refused = up(&[]).output().expect("the program starts");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let certificate = authority.path("client.pem");
    let key = authority.path("client.key");
    let flags = [
        format!("--ssl-cert={}", certificate.display()),
        format!("--ssl-key={}", key.display()),
    ];
    let half = up(&[&flags[0]]).output().expect("the program starts");
    assert_eq!(half.status.code(), Some(2), "{half:?}");
    let done = up(&[&flags[0], &flags[1]])
        .output()
        .expect("the program starts");
    assert!(done.status.success(), "{done:?}");
    let again = up(&[])
        .env("POSTGRES_SSLCERT", &certificate)
        .env("POSTGRES_SSLKEY", &key)
        .output()
        .expect("the program starts");
    assert!(again.status.success(), "{again:?}");
    assert_eq!(database.applied(), "001");
}
