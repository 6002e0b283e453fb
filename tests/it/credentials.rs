//! Credentials: one JSON document in a Secret, in a file or in a variable, and passwords that are rotated.

use serde_json::{Value, json};

use crate::engine::{Run, reached};
use crate::harness::{Database, Namespace, Postgres, eventually, postgres};
use crate::operator_rig::{LIMIT, Tenant, cluster, condition, inline, resource};
use crate::waiting_run::{ALTER, WaitingRun};

const ONE: (&str, &str) = ("001_one_UP.sql", "CREATE TABLE one (id int);");
const TWO: (&str, &str) = ("002_two_UP.sql", "CREATE TABLE two (id int);");

/// What Secrets Manager keeps for `database`, with its port as a text.
fn document(database: &Database<'_>) -> Value {
    json!({
        "username": database.user, "password": database.password, "engine": "postgres",
        "host": database.server.host, "port": database.server.port.to_string(), "dbname": database.name,
        "dbInstanceIdentifier": "fluxion-postgres-v2",
    })
}

fn secret(namespace: &Namespace<'_>, document: &str) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
        "stringData": {"credentials": document},
    });
    namespace.apply(&secret.to_string());
}

/// A resource whose connection is the document in Secret `db`, and these fields.
fn with_document(database: &Database<'_>, files: &[(&str, &str)], fields: &Value) -> Value {
    let mut manifest = resource("shop", database, &inline(files));
    let mut connection = json!({
        "credentialsFrom": {"secretRef": {"name": "db", "key": "credentials"}},
        "tls": {"mode": "Disable"},
    });
    for (name, value) in fields.as_object().expect("fields") {
        connection[name] = value.clone();
    }
    manifest["spec"]["connection"] = connection;
    manifest
}

#[test]
fn a_secret_with_the_document_of_secrets_manager_is_a_connection() {
    let database = postgres().database("document");
    let namespace = cluster().tenant("document");
    secret(&namespace, &document(&database).to_string());
    let manifest = with_document(&database, &[ONE], &json!({}));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("UpToDate");
    assert_eq!(
        status["databaseAddress"],
        "{host in key credentials of Secret db}:{port in key credentials of Secret db}/{dbname in key \
         credentials of Secret db}"
    );
    assert_eq!(database.applied(), "001");
}

#[test]
fn a_document_of_a_user_and_a_password_is_completed_by_fields() {
    let database = postgres().database("completed");
    let namespace = cluster().tenant("completed");
    let least = json!({"username": database.user, "password": database.password});
    secret(&namespace, &least.to_string());
    let manifest = with_document(&database, &[ONE], &json!({}));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("InvalidCredentials");
    assert_eq!(
        condition(&status, "Ready")["message"],
        "Connection data is malformed: key credentials of Secret db: it has no key \"host\", and \
         spec.connection.host is not given. Nothing was connected to. Mend it; it is read again by itself."
    );
    let place = json!({"data": {"endpoint": database.server.host, "name": database.name}});
    let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "place"}});
    map["data"] = place["data"].clone();
    namespace.apply(&map.to_string());
    let from_place = |key: &str| json!({"configMapKeyRef": {"name": "place", "key": key}});
    schema.patch(&json!({"spec": {"connection": {
        "host": from_place("endpoint"), "database": from_place("name"), "port": {"value": database.server.port},
    }}}));
    schema.reaches("UpToDate");
}

#[test]
fn a_malformed_document_is_named_by_its_key_and_mended_by_itself() {
    let database = postgres().database("malformed");
    let namespace = cluster().tenant("malformed");
    let mut wrong = document(&database);
    wrong["engine"] = json!("mysql-canary");
    secret(&namespace, &wrong.to_string());
    let manifest = with_document(&database, &[ONE], &json!({}));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("InvalidCredentials");
    let message = &condition(&status, "Ready")["message"];
    assert_eq!(
        message,
        "Connection data is malformed: key credentials of Secret db: its key \"engine\" is neither \
         \"postgres\" nor \"aurora-postgresql\". Nothing was connected to. Mend it; it is read again by itself."
    );
    assert!(!cluster().log().contains("mysql-canary"));
    secret(&namespace, &document(&database).to_string());
    schema.reaches("UpToDate");
}

#[test]
fn a_rotated_password_is_used_at_the_next_connection() {
    let database = postgres().database("rotated");
    let namespace = cluster().tenant("rotated");
    secret(&namespace, &document(&database).to_string());
    let manifest = with_document(&database, &[ONE], &json!({}));
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    let database = rotate(&database, "rotated-password");
    secret(&namespace, &document(&database).to_string());
    schema.patch(&json!({"spec": {"source": {"inline": {TWO.0: TWO.1}}}}));
    let status = schema.becomes("at 002", |status| status["currentVersion"] == "002");
    assert_eq!(condition(&status, "Ready")["reason"], "UpToDate");
    // Nobody was turned away in between.
    let failed: Vec<String> = schema
        .events()
        .into_iter()
        .filter(|event| event.starts_with("Warning"))
        .collect();
    assert_eq!(failed, Vec::<String>::new());
}

/// The database with another password.
fn rotate<'a>(database: &Database<'a>, password: &str) -> Database<'a> {
    let sql = format!("ALTER ROLE {} PASSWORD '{password}'", database.user);
    database.server.admin_exec(&sql);
    Database {
        server: database.server,
        name: database.name.clone(),
        user: database.user.clone(),
        password: password.to_owned(),
    }
}

/// The session that looks at the run's own one is cut off, and may not come back: the run goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_rotated_under_a_run_does_not_break_it() {
    let server = Postgres::start(16, &[]);
    let database = server.database("under_way");
    let wanted = Run::new(&database, &[ALTER, TWO]);
    let waiting = WaitingRun::start(&database, wanted);
    let database = rotate(&database, "another-password");
    let refused = format!(
        "password authentication failed for user \"{}\"",
        database.user
    );
    eventually(LIMIT, || {
        waiting.cut_off_the_second(&database);
        let log = std::fs::read_to_string(&server.log).expect("the server logs");
        if log.matches(&refused).count() >= 3 {
            Ok(())
        } else {
            Err("the second connection was not turned away yet")
        }
    });
    let outcome = waiting.end().await;
    reached(&outcome);
    assert_eq!(database.applied(), "001 002");
}

#[test]
fn the_command_line_reads_the_document_from_a_file_or_a_variable() {
    let database = postgres().database("cli_document");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(ONE.0), ONE.1).expect("it is writable");
    let document = document(&database).to_string();
    let up = |name: &str, value: &str, more: &[&str]| {
        let mut command = crate::harness::schemaward();
        command.env(name, value).arg("up").arg("--dir");
        command.arg(folder.path()).args(more);
        command.output().expect("the program starts")
    };
    let output = up("POSTGRES_CREDENTIALS", &document, &[]);
    assert!(output.status.success(), "{output:?}");
    let file = folder.path().join("credentials.json");
    std::fs::write(&file, &document).expect("it is writable");
    let path = file.to_str().expect("UTF-8");
    let output = up("POSTGRES_CREDENTIALS_FILE", path, &[]);
    assert!(output.status.success(), "{output:?}");
    // A single option goes before the document.
    let output = up("POSTGRES_CREDENTIALS", &document, &["--user=nobody-here"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("role \"nobody-here\""), "{message}");
    let output = up("POSTGRES_CREDENTIALS", "{\"username\": \"canary\"", &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        message,
        "error: POSTGRES_CREDENTIALS cannot be used: it is no JSON document (line 1, column 21). Nothing was \
         connected to.\n"
    );
}
