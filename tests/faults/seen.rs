//! What somebody on call reads after five faults: `kubectl describe` and the command line, word for word.
//! `cargo test --test faults seen -- --nocapture` prints it all.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Database, Namespace, PgBouncer, Postgres, eventually, postgres};
use crate::matrix::scene::{Cluster, ONE, TWO, database, has, waits_for_a_lock};
use crate::operator_rig::{LIMIT, Schema, Tenant, condition, inline, resource};
use crate::pgfault::{Phase, Proxy, Rule, Then, When};

const INDEX: (&str, &str) = (
    "002_index_UP.sql",
    "CREATE UNIQUE INDEX CONCURRENTLY one_id ON one (id);\nINSERT INTO one VALUES (7);",
);

type Files<'a> = &'a [(&'a str, &'a str)];

/// Prints what `kubectl describe` says of the status, and gives it.
fn describe(schema: &Schema<'_>) -> String {
    let row = schema.namespace.kubectl(&["get", "dbs", schema.name]);
    let described = schema.namespace.kubectl(&["describe", "dbs", schema.name]);
    let (_, status) = described.split_once("Status:").expect("a status");
    println!(
        "$ kubectl get dbs\n{row}\n$ kubectl describe dbs {}\n…\nStatus:{status}\n",
        schema.name
    );
    status.to_owned()
}

fn folder(files: Files<'_>) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("our own folder");
    }
    folder
}

/// Prints what `schemaward up` says at this port, and gives it.
fn up(database: &Database<'_>, port: u16, files: Files<'_>) -> String {
    let folder = folder(files);
    said(database, port, folder.path(), &["up"])
}

fn said(database: &Database<'_>, port: u16, folder: &Path, arguments: &[&str]) -> String {
    let mut command = database.schemaward();
    command.env("POSTGRES_PORT", port.to_string());
    command.args(arguments);
    if arguments[0] != "audit" {
        command.arg("--dir").arg(folder);
    }
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    println!(
        "$ schemaward {}\n{text}({})\n",
        arguments.join(" "),
        output.status
    );
    text
}

fn at(port: u16) -> Value {
    json!({"spec": {"connection": {"port": {"value": port}}}})
}

#[track_caller]
fn tells(text: &str, parts: &[&str]) {
    // describe folds nothing, but the columns of `get` and long lines are padded.
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

fn tenant(name: &str, database: &Database<'_>) -> Namespace<'static> {
    let namespace = Cluster::shared().tenant(name);
    namespace.secret(database);
    namespace
}

/// Kills `schemaward up` and its session while their index build waits for a transaction of somebody else.
fn killed_in_an_index_build(database: &Database<'_>, files: Files<'_>) {
    let mut other = database.hold("report", "BEGIN; INSERT INTO one VALUES (1);");
    let folder = folder(files);
    let mut command = database.schemaward();
    let mut child = command
        .arg("up")
        .arg("--dir")
        .arg(folder.path())
        .spawn()
        .expect("the program starts");
    waits_for_a_lock(database);
    child.kill().expect("our own child");
    child.wait().expect("our own child");
    database.admin_exec(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'schemaward/%'",
    );
    other.kill().expect("our own child");
    other.wait().expect("our own child");
}

#[test]
fn killed_in_create_index_concurrently() {
    let database = database("seen_killed");
    let namespace = tenant("seen-killed", &database);
    let manifest = |files: Files<'_>| resource("shop", &database, &inline(files));
    namespace
        .schema("shop", &manifest(&[ONE]))
        .reaches("UpToDate");
    killed_in_an_index_build(&database, &[ONE, INDEX]);
    let folder = folder(&[ONE, INDEX]);
    let port = database.server.port;
    tells(
        &said(&database, port, folder.path(), &["list"]),
        &["002      begun"],
    );
    let schema = namespace.schema("shop", &manifest(&[ONE, INDEX]));
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    let told = [
        "002 index, statement 1 (CREATE UNIQUE INDEX CONCURRENTLY ONE_ID ON): an earlier run left it without saying \
         how it ended. INVALID index public.one_id, which it had left, was dropped.",
    ];
    tells(
        &describe(&schema),
        &["UpToDate", "StatementRepaired", told[0]],
    );
    tells(
        &said(&database, port, folder.path(), &["audit"]),
        &["repair   002", "apply    002"],
    );
    let database = self::database("seen_killed_cli");
    up(&database, port, &[ONE]);
    killed_in_an_index_build(&database, &[ONE, INDEX]);
    tells(&up(&database, port, &[ONE, INDEX]), &told);
}

#[test]
fn an_index_build_of_which_nothing_can_be_proved() {
    let database = database("seen_doubt");
    let namespace = tenant("seen-doubt", &database);
    let manifest = |files: Files<'_>| resource("shop", &database, &inline(files));
    namespace
        .schema("shop", &manifest(&[ONE]))
        .reaches("UpToDate");
    killed_in_an_index_build(&database, &[ONE, INDEX]);
    // Somebody put another table in the place of the one that the statement was sent for.
    eventually(LIMIT, || {
        let moved = database.try_exec("ALTER TABLE one RENAME TO other; CREATE TABLE one (id int)");
        if moved.status.success() {
            Ok(())
        } else {
            Err(moved)
        }
    });
    let schema = namespace.schema("shop", &manifest(&[ONE, INDEX]));
    schema.reaches("InDoubt");
    let parts = [
        "whether it was done cannot be told",
        "the database is at 001",
        "schemaward.dev/resolve=002:",
    ];
    tells(&describe(&schema), &parts);
    tells(&up(&database, database.server.port, &[ONE, INDEX]), &parts);
}

#[test]
fn the_answer_to_a_commit_is_lost() {
    for runner in ["operator", "command line"] {
        let database = database("seen_commit");
        let rule = Rule {
            when: When::query("CREATE TABLE two"),
            phase: Phase::AfterReply,
            then: Then::Reset,
        };
        let proxy = Proxy::start(postgres(), Some(rule));
        if runner == "operator" {
            let namespace = tenant("seen-commit", &database);
            let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[ONE])));
            schema.reaches("UpToDate");
            schema.patch(&at(proxy.port));
            schema.patch(&json!({"spec": {"source": inline(&[ONE, TWO])}}));
            schema.becomes("at 002", |status| status["currentVersion"] == "002");
            assert!(proxy.has_struck());
            describe(&schema);
            println!("{}\n", schema.events().join("\n"));
        } else {
            let text = up(&database, proxy.port, &[ONE, TWO]);
            tells(&text, &["was lost", "either recorded whole or rolled back"]);
            let again = up(&database, proxy.port, &[ONE, TWO]);
            tells(&again, &["at version 002"]);
        }
        assert!(has(&database, "two"));
    }
}

#[test]
fn the_server_became_a_standby() {
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(16, &[])));
    let database = server.database("seen_standby");
    let namespace = tenant("seen-standby", &database);
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[ONE])));
    schema.reaches("UpToDate");
    server.stop("fast");
    std::fs::write(server.data().join("standby.signal"), "").expect("the harness's own server");
    server.start_again();
    schema.patch(&json!({"spec": {"source": inline(&[ONE, TWO])}}));
    schema.reaches("ReadOnlyReplica");
    let parts = ["is a standby", "Nothing was changed"];
    tells(&describe(&schema), &parts);
    tells(&up(&database, server.port, &[ONE, TWO]), &parts);
    server.stop("immediate");
}

#[test]
fn a_pooler_in_transaction_mode_is_in_between() {
    let database = database("seen_pooler");
    let namespace = tenant("seen-pooler", &database);
    let pooler = PgBouncer::start(&database, "transaction", &[]);
    let mut manifest = resource("shop", &database, &inline(&[ONE]));
    manifest["spec"]["connection"]["port"] = json!({"value": pooler.port});
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("PoolerDetected");
    let parts = ["is a pooler", "Nothing was changed"];
    tells(&describe(&schema), &parts);
    tells(&up(&database, pooler.port, &[ONE]), &parts);
}

#[test]
fn an_idle_transaction_is_in_the_way() {
    let database = database("seen_idle");
    let namespace = tenant("seen-idle", &database);
    let manifest = |files: Files<'_>| {
        let mut manifest = resource("shop", &database, &inline(files));
        manifest["spec"]["execution"] = json!({"lockTimeout": "3s", "lockRetries": 1});
        manifest
    };
    namespace
        .schema("shop", &manifest(&[ONE]))
        .reaches("UpToDate");
    let mut other = database.hold("report", "BEGIN; SELECT * FROM one;");
    let alter = ("002_alter_UP.sql", "ALTER TABLE one ADD note text;");
    let schema = namespace.schema("shop", &manifest(&[ONE, alter]));
    schema.becomes("blocked", |status| {
        condition(status, "Ready")["reason"] == "LockTimeout"
    });
    let parts = [
        "app \"report\"",
        "idle in transaction",
        "Nothing of 002 was applied",
    ];
    tells(&describe(&schema), &parts);
    let folder = folder(&[ONE, alter]);
    let mut command = database.schemaward();
    command
        .args(["up", "--lock-timeout=3s", "--dir"])
        .arg(folder.path())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut told = BufReader::new(child.stderr.take().expect("stderr is piped"))
        .lines()
        .map_while(Result::ok);
    println!("$ schemaward up --lock-timeout 3s");
    let line = told
        .by_ref()
        .inspect(|line| println!("{line}"))
        // The operator's run may be in the way first, and waits for the same one.
        .find(|line| line.contains("Nothing of it is kept"));
    tells(
        &line.expect("who is in the way"),
        &["app \"report\"", "idle in transaction"],
    );
    other.kill().expect("our own child");
    other.wait().expect("our own child");
    told.for_each(|line| println!("{line}"));
    assert!(child.wait().expect("our own child").success());
    schema.reaches("UpToDate");
}
