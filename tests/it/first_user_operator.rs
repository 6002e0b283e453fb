//! The first user's database under the operator: 000 and 001 applied by plain psql, a 002 that failed halfway without
//! us. It is taken over, says what is wrong, is mended, goes on to 003 and back to 001; at each step, what somebody
//! on call reads. `docs/from-the-python-runner.md` shows the same with the programs themselves.
//! `cargo test --test it first_user_operator -- --nocapture` prints it all.

#![allow(
    clippy::print_stdout,
    reason = "what is read is shown, although its helpers do not bear #[test]"
)]

use serde_json::{Value, json};

use crate::harness::{Database, Namespace, eventually, postgres};
use crate::operator_rig::{LIMIT, Schema, Tenant, cluster, condition, resource};

const PRICES: &str = "ALTER TABLE productos ADD COLUMN precio_lista DECIMAL(15, 2);\n\n\
                      UPDATE productos SET precio_lista = 0;\n";
const NO_PRICES: &str = "ALTER TABLE productos DROP COLUMN precio_lista;\n";
const LIMITS: &str = "CREATE TABLE limites (producto_id VARCHAR(50) PRIMARY KEY);\n";
const NO_LIMITS: &str = "DROP TABLE limites;\n";

#[test]
fn a_database_from_before_is_adopted_mended_brought_forward_and_back() {
    let database = postgres().database("fluxion");
    let namespace = cluster().tenant("fluxion");
    namespace.secret(&database);
    let broken = PRICES.replace("productos SET", "producto SET");
    as_they_left_it(&database, &broken);

    let schema = namespace.schema("fluxion", &manifest(&namespace, &database, "a", &broken));
    adopted_and_says_what_is_wrong(&schema, &database);
    mended(&schema, &database);
    back(&schema, &database);
}

/// What plain psql did and did not do.
fn as_they_left_it(database: &Database<'_>, broken: &str) {
    for file in [
        "examples/fluxion/base-tables.sql",
        "migrations/000_init_schema_migrations.sql",
        "migrations/001_add_historical_inventory_UP.sql",
    ] {
        database.exec(&shipped(file));
    }
    let output = database.try_exec(broken);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(ledger(database), "000|f\n001|f");
    assert!(has_prices(database), "its first statement is there");
}

/// The rows are taken over first, so that they are there also when what comes after them fails.
fn adopted_and_says_what_is_wrong(schema: &Schema<'_>, database: &Database<'_>) {
    let status = schema.reaches("MigrationFailed");
    let said = "002 add_prices failed at line 1, column 1: column \"precio_lista\" of relation \"productos\" already \
                exists (42701). Nothing of 002 was applied; the database is at 001. Correct 002 and commit.";
    assert_eq!(condition(&status, "Ready")["message"], said);
    assert_eq!(condition(&status, "Stalled")["message"], said);
    assert_eq!(status["failure"]["sqlState"], "42701");
    shows(schema, ["False", "MigrationFailed", "001", "002", "1"]);
    told(schema, &format!("Warning MigrationFailed {said}"));
    told(
        schema,
        "Normal HistoryAdopted 2 rows of the history that another program wrote were adopted: 000 to 001. No script was \
         run for that. 2 without a checksum got that of the file, and stand in the audit as unverified: nobody knows",
    );
    assert_eq!(ledger(database), "000|t\n001|t");
    assert_eq!(audit(database, "adopt"), "000|unverified\n001|unverified");
}

/// What psql left is taken away by hand, for the last time; the corrected file and the next version are one commit.
fn mended(schema: &Schema<'_>, database: &Database<'_>) {
    database.exec(NO_PRICES);
    schema.namespace.schema(
        schema.name,
        &manifest(schema.namespace, database, "b", PRICES),
    );
    let status = schema.reaches("UpToDate");
    assert_eq!(condition(&status, "Ready")["status"], "True");
    assert_eq!(condition(&status, "Stalled"), Value::Null);
    assert_eq!(status["failure"], Value::Null);
    shows(schema, ["True", "UpToDate", "003", "003", "0"]);
    told(
        schema,
        "Normal UpToDate at version 003, 3 checks passed. Applied: 002 add_prices in",
    );
    assert_eq!(ledger(database), "000|t\n001|t\n002|t\n003|t");
}

/// The way back drops a column and a table. A person approves it, as the resource asks for.
fn back(schema: &Schema<'_>, database: &Database<'_>) {
    schema.patch(&json!({"spec": {"targetVersion": "001"}}));
    let status = schema.reaches("AwaitingApproval");
    shows(schema, ["False", "AwaitingApproval", "003", "001", "2"]);
    assert!(has_prices(database), "nothing happens before that");
    let plan = &status["plan"];
    assert_eq!(plan["direction"], "Down");
    assert_eq!(plan["destructiveCount"], 2);
    let hash = plan["hash"].as_str().expect("a hash");
    let message = condition(&status, "Ready")["message"].to_string();
    assert!(
        message.contains(&format!("schemaward.dev/approve={hash}")),
        "{message}"
    );
    told(schema, "Normal AwaitingApproval ");

    let approval = format!("schemaward.dev/approve={hash}");
    schema
        .namespace
        .kubectl(&["annotate", "dbs", schema.name, &approval]);
    schema.reaches("UpToDate");
    shows(schema, ["True", "UpToDate", "001", "001", "0"]);
    told(
        schema,
        "Normal UpToDate at version 001, 3 checks passed. Undone: 003 add_limits in",
    );
    assert!(!has_prices(database));
    assert_eq!(ledger(database), "000|t\n001|t");
    assert_eq!(
        database.query_text(
            "SELECT action, version FROM schemaward.audit WHERE action IN ('apply', 'undo') ORDER BY id"
        ),
        "apply|002\napply|003\nundo|003\nundo|002"
    );
}

/// What Git has: a `ConfigMap` whose name ends in the `commit`, and the resource that names it. The first commit has
/// no 003.
fn manifest(
    namespace: &Namespace<'_>,
    database: &Database<'_>,
    commit: &str,
    prices: &str,
) -> Value {
    let [init, up, down] = [
        "000_init_schema_migrations.sql",
        "001_add_historical_inventory_UP.sql",
        "001_add_historical_inventory_DOWN.sql",
    ];
    let shipped = |name: &str| shipped(&format!("migrations/{name}"));
    let texts = [init, up, down].map(shipped);
    let mut files = vec![
        (init, texts[0].as_str()),
        (up, &texts[1]),
        (down, &texts[2]),
        ("002_add_prices_UP.sql", prices),
        ("002_add_prices_DOWN.sql", NO_PRICES),
    ];
    if commit != "a" {
        files.push(("003_add_limits_UP.sql", LIMITS));
        files.push(("003_add_limits_DOWN.sql", NO_LIMITS));
    }
    let config_map = format!("fluxion-migrations-{commit}");
    namespace.config_map(&config_map, &files);
    let source = json!({"configMaps": [{"name": config_map}]});
    let mut manifest = resource("fluxion", database, &source);
    manifest["spec"]["rollback"] = json!({"policy": "Allow"});
    manifest["spec"]["approval"] = json!({"required": "Down"});
    manifest["spec"]["checks"] = example_checks(namespace);
    manifest
}

/// The checks of the example.
fn example_checks(namespace: &Namespace<'_>) -> Value {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/fluxion/databaseschema.yaml"
    );
    let read = ["create", "--dry-run=client", "-o", "json", "-f", file];
    let example: Value = serde_json::from_str(&namespace.api.kubectl(&read)).expect("JSON");
    example["spec"]["checks"].clone()
}

fn shipped(file: &str) -> String {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Versions, and whether each has a checksum.
fn ledger(database: &Database<'_>) -> String {
    database
        .query_text("SELECT version, checksum IS NOT NULL FROM schema_migrations ORDER BY version")
}

fn audit(database: &Database<'_>, action: &str) -> String {
    database.query_text(&format!(
        "SELECT version, detail FROM schemaward.audit WHERE action = '{action}' ORDER BY id"
    ))
}

fn has_prices(database: &Database<'_>) -> bool {
    database.query_text(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'productos'::regclass AND attname = 'precio_lista'",
    ) == "1"
}

/// The row of `kubectl get dbs`, without name and age.
#[track_caller]
fn shows(schema: &Schema<'_>, row: [&str; 5]) {
    let table = schema.namespace.kubectl(&["get", "dbs", schema.name]);
    println!("$ kubectl get dbs\n{table}");
    let line = table.lines().nth(1).expect("a row");
    let columns: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(columns[1..6], row, "{table}");
}

/// Waits for the event, which comes after the status.
#[track_caller]
fn told(schema: &Schema<'_>, event: &str) {
    eventually(LIMIT, || {
        let described = schema.namespace.kubectl(&["describe", "dbs", schema.name]);
        let (_, events) = described.split_once("\nEvents:").expect("events");
        // Type, reason, age, from, message.
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let wanted = words(event);
        let is_it = |line: &str| {
            let words = words(line);
            words.len() > 4 && words[..2] == wanted[..2] && words[4..].starts_with(&wanted[2..])
        };
        if events.lines().any(is_it) {
            println!("$ kubectl describe dbs\n…\nEvents:{events}\n");
            return Ok(());
        }
        Err(events.to_owned())
    });
}
