//! What the operator makes of a version that an earlier run left half done.

use crate::harness::{Database, Namespace, postgres};
use crate::operator_rig::{Schema, Tenant, cluster, condition, inline, resource};

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");

const INDEX: &str = "CREATE INDEX CONCURRENTLY widgets_id ON widgets (id)";

/// What the catalog showed when a statement was sent whose name led to another table: what it shows of this one proves
/// nothing.
const OF_ANOTHER_TABLE: &str = r#"{"indexes_on": {"table": 1, "indexes": []}}"#;

/// A namespace and a database that is at 001.
fn with_widgets(name: &str) -> (Namespace<'static>, Database<'static>) {
    let database = postgres().database(name);
    let namespace = cluster().tenant(name);
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    namespace.schema("shop", &manifest).reaches("UpToDate");
    (namespace, database)
}

/// Its resource, once it has this file, too.
fn then<'a>(
    namespace: &'a Namespace<'_>,
    database: &Database<'_>,
    file: (&str, &str),
) -> Schema<'a> {
    namespace.schema(
        "shop",
        &resource("shop", database, &inline(&[WIDGETS, file])),
    )
}

/// The journal row of a statement that an earlier run sent and heard nothing of.
fn started(database: &Database<'_>, version: &str, statement: &str, before: &str) {
    database.exec(&format!(
        "INSERT INTO schemaward.journal (ledger_schema, ledger_table, version, direction, first_statement,
         last_statement, checksum, state, before, actor) VALUES ('public', 'schema_migrations', '{version}', 'up',
         1, 1, encode(sha256(convert_to($${statement}$$, 'UTF8')), 'hex'), 'started', '{before}', 'a test')"
    ));
}

fn indexes(database: &Database<'_>) -> String {
    database.query_text(
        "SELECT string_agg(c.relname || CASE WHEN x.indisvalid THEN '' ELSE '!' END, ' ' ORDER BY c.relname)
         FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = 'widgets'::regclass",
    )
}

#[test]
fn what_an_interrupted_run_left_is_settled_by_itself() {
    let (namespace, database) = with_widgets("settled");
    // An INVALID index, as an index build leaves it that was killed.
    let statement = "CREATE UNIQUE INDEX CONCURRENTLY widgets_id ON widgets (id)";
    database.exec("INSERT INTO widgets VALUES (1), (1)");
    assert!(!database.try_exec(statement).status.success());
    assert_eq!(indexes(&database), "widgets_id!");
    database.exec("DELETE FROM widgets");
    let table = database.query_text("SELECT 'widgets'::regclass::oid");
    let before = format!(r#"{{"indexes_on": {{"table": {table}, "indexes": []}}}}"#);
    started(&database, "002", statement, &before);
    let file = format!("{statement};\nINSERT INTO widgets VALUES (2);\n");
    let schema = then(&namespace, &database, ("002_index_UP.sql", &file));
    let status = schema.reaches("UpToDate");
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(indexes(&database), "widgets_id");
    assert_eq!(
        database.query_text("SELECT string_agg(action, ' ' ORDER BY id) FROM schemaward.audit"),
        "install claim apply repair apply"
    );
    let events = schema.events();
    let told = "Normal StatementRepaired 002 index, statement 1 (CREATE UNIQUE INDEX CONCURRENTLY WIDGETS_ID ON): \
                an earlier run left it without saying how it ended. INVALID index public.widgets_id, which it had \
                left, was dropped.";
    assert!(events.iter().any(|event| event == told), "{events:#?}");
    is_proved(&namespace, &database, &file);
}

/// What the catalog shows to be done is not sent again, and somebody is told.
fn is_proved(namespace: &Namespace<'_>, database: &Database<'_>, before: &str) {
    let statement = "DROP INDEX CONCURRENTLY widgets_id";
    let seen = database.query_text(
        "SELECT json_build_object('indexes', json_agg(json_build_object('oid', x.indexrelid::bigint, 'schema', 'public',
            'name', 'widgets_id', 'valid', true, 'unique', true, 'table', x.indrelid::bigint)))
         FROM pg_index x WHERE x.indexrelid = 'widgets_id'::regclass",
    );
    started(database, "003", statement, &seen);
    database.exec(statement);
    let drop = format!("{statement};\n");
    let files = [
        WIDGETS,
        ("002_index_UP.sql", before),
        ("003_drop_UP.sql", &drop),
    ];
    let schema = namespace.schema("shop", &resource("shop", database, &inline(&files)));
    schema.becomes("at 003", |status| status["currentVersion"] == "003");
    let told = "Normal StatementProved 003 drop, statement 1 (DROP INDEX CONCURRENTLY WIDGETS_ID): an earlier run left \
                it without saying how it ended, and the catalog shows that it is done: it was not sent again.";
    let events = schema.events();
    assert!(events.iter().any(|event| event == told), "{events:#?}");
}

#[test]
fn what_is_in_doubt_stops_until_a_person_resolves_it() {
    let (namespace, database) = with_widgets("doubtful");
    started(&database, "002", INDEX, OF_ANOTHER_TABLE);
    let file = format!("{INDEX};\nINSERT INTO widgets VALUES (2);\n");
    let schema = then(&namespace, &database, ("002_index_UP.sql", &file));
    let status = schema.reaches("InDoubt");
    let stalled = condition(&status, "Stalled");
    assert_eq!(stalled["status"], "True");
    let message = stalled["message"].as_str().expect("a text");
    for part in [
        "002 index, statement 1 at line 1, column 1 (CREATE INDEX CONCURRENTLY WIDGETS_ID ON WIDGETS, ",
        "whether it was done cannot be told",
        "002 is not recorded; the database is at 001",
        "`schemaward resolve 002 applied`",
        "Until then nothing is run.",
    ] {
        assert!(message.contains(part), "no {part:?}: {message}");
    }
    for (field, expected) in [
        ("version", "002"),
        ("direction", "Up"),
        ("reason", "InDoubt"),
    ] {
        assert_eq!(status["failure"][field], expected);
    }
    assert_eq!(status["failure"]["statement"], 1);
    // Asking to look again sends nothing.
    schema.ask("again");
    schema.becomes("looked at again", |status| {
        status["lastHandledReconcile"] == "again"
            && condition(status, "Ready")["reason"] == "InDoubt"
    });
    assert_eq!(indexes(&database), "");

    let (_, asked) = message
        .split_once("schemaward.dev/resolve=")
        .expect("the command");
    let value = asked.split_once("=applied").expect("its end").0;
    // Of another statement it is refused, in sentences that hold for as long as the refusal stands.
    let other = "schemaward.dev/resolve=002:00000000=retry";
    namespace.kubectl(&["annotate", "dbs", "shop", other]);
    let status = schema.becomes("refused", |status| {
        status["conditions"].to_string().contains("ResolveRefused")
    });
    let refused = condition(&status, "ResolveRefused")["message"].to_string();
    assert!(refused.contains("and 00000000 was named"), "{refused}");
    assert!(!refused.contains("begun"), "{refused}");
    namespace.kubectl(&[
        "annotate",
        "--overwrite",
        "dbs",
        "shop",
        &format!("schemaward.dev/resolve={value}=retry"),
    ]);
    let status = schema.reaches("UpToDate");
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(status["failure"], serde_json::Value::Null);
    assert_eq!(indexes(&database), "widgets_id");
    assert_eq!(
        database.query_text("SELECT string_agg(action, ' ' ORDER BY id) FROM schemaward.audit"),
        "install claim apply resolve apply"
    );
    let detail =
        database.query_text("SELECT actor, detail FROM schemaward.audit WHERE action = 'resolve'");
    assert!(
        detail.contains("decided by annotation schemaward.dev/resolve, set by field manager kubectl-annotate|UP, statement 1: taken as not done"),
        "{detail}"
    );
}

#[test]
fn a_resolution_from_the_command_line_says_how_the_operator_learns_of_it() {
    let (namespace, database) = with_widgets("resolved");
    started(&database, "002", INDEX, OF_ANOTHER_TABLE);
    let file = format!("{INDEX};\n");
    let schema = then(&namespace, &database, ("002_index_UP.sql", &file));
    schema.reaches("InDoubt");
    let mut resolve = database.schemaward();
    let resolved = resolve.args(["resolve", "002", "retry"]).output().unwrap();
    let said = String::from_utf8_lossy(&resolved.stderr);
    let command = said.split('`').nth(1).expect("a command");
    let ours = format!(
        "kubectl -n {} annotate --overwrite databaseschema shop schemaward.dev/reconcile=\"$(date +%s)\"",
        namespace.name
    );
    assert_eq!(command, ours);
    schema.ask("resolved");
    schema.reaches("UpToDate");
    assert_eq!(indexes(&database), "widgets_id");
}
