//! Bad input, nothing lost: what each trouble is called, what a person reads, and what is left in the database.

use serde_json::{Value, json};

use crate::harness::{Database, Namespace, Postgres, eventually, postgres};
use crate::operator_rig::{LIMIT, Schema, Tenant, cluster, condition, inline, resource};

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");
const GADGETS: (&str, &str) = (
    "002_gadgets_UP.sql",
    "CREATE TABLE gadgets (id int PRIMARY KEY);",
);
const THINGS: (&str, &str) = ("003_things_UP.sql", "CREATE TABLE things (id int);");

/// A person has to act: kstatus fails at once, with this message.
#[track_caller]
fn is_stalled(status: &Value, reason: &str, message: &str) {
    let ready = condition(status, "Ready");
    assert_eq!(ready["status"], "False", "{status:#}");
    assert_eq!(ready["reason"], reason, "{status:#}");
    assert_eq!(ready["message"], message);
    let stalled = condition(status, "Stalled");
    assert_eq!(stalled["status"], "True", "{status:#}");
    assert_eq!(stalled["reason"], reason);
    assert_eq!(stalled["message"], message);
    assert_eq!(condition(status, "Reconciling"), Value::Null);
    assert_eq!(status["failure"]["reason"], reason);
}

/// It heals by itself; gives the message.
#[track_caller]
fn is_retried(status: &Value, reason: &str) -> String {
    let ready = condition(status, "Ready");
    assert_eq!(ready["status"], "False", "{status:#}");
    assert_eq!(ready["reason"], reason, "{status:#}");
    let reconciling = condition(status, "Reconciling");
    assert_eq!(reconciling["status"], "True", "{status:#}");
    assert_eq!(reconciling["reason"], "ProgressingWithRetry");
    assert_eq!(condition(status, "Stalled"), Value::Null);
    ready["message"].as_str().expect("a message").to_owned()
}

fn versions(database: &Database<'_>) -> String {
    database.query_text("SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations")
}

/// The tables of the user, and whether we left anything.
fn tables(database: &Database<'_>) -> String {
    database.query_text(
        "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class
         JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname IN ('public', 'schemaward')",
    )
}

/// A resource that was brought to `files`, and then has them changed.
#[track_caller]
fn at<'a>(
    namespace: &'a Namespace<'_>,
    database: &Database<'_>,
    files: &[(&str, &str)],
) -> Schema<'a> {
    namespace.secret(database);
    let schema = namespace.schema("shop", &resource("shop", database, &inline(files)));
    schema.reaches("UpToDate");
    schema
}

fn change(schema: &Schema<'_>, files: &[(&str, &str)]) {
    // A merge patch would keep files that are no longer there.
    let mut source = json!([{"op": "replace", "path": "/spec/source", "value": inline(files)}]);
    let patch = source.take().to_string();
    let arguments = ["patch", "dbs", schema.name, "--type=json", "-p", &patch];
    schema.namespace.kubectl(&arguments);
}

// ---- the server ----------------------------------------------------------------------------------------------

#[test]
fn a_database_that_is_down_is_awaited() {
    let server = Postgres::start(16, &[]);
    let database = server.database("down");
    server.stop("fast");
    let namespace = cluster().tenant("down");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(
        &schema.reaches("DatabaseUnreachable"),
        "DatabaseUnreachable",
    );
    assert!(message.contains(&server.port.to_string()), "{message}");
    // Once or twice is everyday life; a third time is news.
    schema.becomes("tried three times", |status| {
        status["failure"]["attempts"].as_i64() >= Some(3)
    });
    let warnings = |reason: &str| {
        let events = schema.events();
        let start = format!("Warning {reason}");
        events
            .iter()
            .filter(|event| event.starts_with(&start))
            .count()
    };
    crate::harness::eventually(crate::operator_rig::LIMIT, || {
        match warnings("DatabaseUnreachable") {
            1 => Ok(()),
            count => Err(count),
        }
    });
    server.start_again();
    let status = schema.reaches("UpToDate");
    assert_eq!(status["failure"], Value::Null);
    assert_eq!(versions(&database), "001");
}

#[test]
fn a_wrong_password_is_tried_carefully_and_a_mended_secret_at_once() {
    let database = postgres().database("password");
    let namespace = cluster().tenant("password");
    let right = database.password.clone();
    let wrong = Database {
        password: "no-such-password-canary".to_owned(),
        ..database
    };
    namespace.secret(&wrong);
    let manifest = resource("shop", &wrong, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("AuthenticationFailed");
    let message = is_retried(&status, "AuthenticationFailed");
    assert!(message.contains(&wrong.user), "{message}");
    assert!(!status.to_string().contains("canary"), "{status:#}");
    let database = Database {
        password: right,
        ..wrong
    };
    assert_eq!(tables(&database), "");
    let began = std::time::Instant::now();
    namespace.secret(&database);
    schema.reaches("UpToDate");
    // Sooner than the 15 s that a locked-out user is spared.
    assert!(began.elapsed().as_secs() < 12, "{:?}", began.elapsed());
    assert!(!cluster().log().contains("canary"));
}

#[test]
fn a_missing_database_is_not_created_but_awaited() {
    let database = postgres().database("missing");
    let namespace = cluster().tenant("missing");
    namespace.secret(&database);
    let name = format!("{}_later", database.name);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["database"] = json!({"value": name});
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(&schema.reaches("DatabaseNotFound"), "DatabaseNotFound");
    assert!(message.contains(&name), "{message}");
    let exists = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(database.query_text(&exists), "0");
    let owner = &database.user;
    database
        .server
        .admin_exec(&format!("CREATE DATABASE {name} OWNER {owner}"));
    schema.reaches("UpToDate");
}

#[test]
fn a_server_without_tls_gets_no_plaintext() {
    let server = Postgres::start(16, &["--set=ssl=off"]);
    let database = server.database("plain");
    let namespace = cluster().tenant("plain");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["tls"] = json!({"mode": "Require"});
    let schema = namespace.schema("shop", &manifest);
    is_retried(&schema.reaches("TLSRequired"), "TLSRequired");
    assert_eq!(tables(&database), "");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_until_the_ca_is_named() {
    let database = postgres().database("ca");
    database.require_tls();
    let namespace = cluster().tenant("ca");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["host"] = json!({"value": database.server.tls_host});
    manifest["spec"]["connection"]["tls"] = json!({"mode": "VerifyFull"});
    let schema = namespace.schema("shop", &manifest);
    is_retried(
        &schema.reaches("TLSVerificationFailed"),
        "TLSVerificationFailed",
    );
    let ca = std::fs::read_to_string(&database.server.ca).expect("the CA is a file");
    namespace.config_map("ca", &[("ca.pem", &ca)]);
    let reference = json!({"configMapKeyRef": {"name": "ca", "key": "ca.pem"}});
    schema.patch(&json!({"spec": {"connection": {"tls": {"ca": reference}}}}));
    schema.reaches("UpToDate");
}

// ---- what the resource refers to -----------------------------------------------------------------------------

#[test]
fn a_missing_secret_is_awaited() {
    let database = postgres().database("secret");
    let namespace = cluster().tenant("secret");
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(&schema.reaches("SecretNotFound"), "SecretNotFound");
    assert_eq!(
        message,
        format!(
            "Secret db with connection data does not exist in namespace {}. Nothing was connected to. Create it, \
             or correct the reference; it is looked for again by itself.",
            namespace.name
        )
    );
    namespace.secret(&database);
    schema.reaches("UpToDate");
}

#[test]
fn a_missing_config_map_is_awaited() {
    let database = postgres().database("source");
    let namespace = cluster().tenant("source");
    namespace.secret(&database);
    let source = json!({"configMaps": [{"name": "first"}, {"name": "second"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &source));
    let message = is_retried(&schema.reaches("SourceNotFound"), "SourceNotFound");
    assert!(
        message.starts_with("ConfigMap first with the migrations does not exist"),
        "{message}"
    );
    namespace.config_map("first", &[WIDGETS]);
    schema.becomes("waiting for the second", |status| {
        let message = condition(status, "Ready")["message"].to_string();
        message.contains("ConfigMap second")
    });
    assert_eq!(tables(&database), "");
    namespace.config_map("second", &[GADGETS]);
    schema.reaches("UpToDate");
    assert_eq!(versions(&database), "001 002");
}

#[test]
fn a_missing_key_is_named() {
    let database = postgres().database("key");
    let namespace = cluster().tenant("key");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["username"] =
        json!({"secretKeyRef": {"name": "db", "key": "username"}});
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(&schema.reaches("KeyMissing"), "KeyMissing");
    assert!(
        message.starts_with("Secret db in namespace") && message.contains("has no key username."),
        "{message}"
    );
    let username = json!({"stringData": {"username": database.user}}).to_string();
    namespace.kubectl(&["patch", "secret", "db", "--type=merge", "-p", &username]);
    schema.reaches("UpToDate");
}

#[test]
fn malformed_connection_data_is_named_and_not_quoted() {
    let database = postgres().database("malformed");
    let namespace = cluster().tenant("malformed");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["port"] =
        json!({"secretKeyRef": {"name": "db", "key": "password"}});
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("InvalidCredentials");
    assert_eq!(
        is_retried(&status, "InvalidCredentials"),
        "Connection data is malformed: key password of Secret db: not a port number from 1 to 65535. Nothing was \
         connected to. Mend it; it is read again by itself."
    );
    assert!(!status.to_string().contains(&database.password));
}

#[test]
fn without_a_grant_the_message_has_the_command_that_grants() {
    let database = postgres().database("grant");
    // No RoleBinding in this one.
    let namespace = cluster().api.namespace("grant");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(&schema.reaches("AccessDenied"), "AccessDenied");
    let (said, command) = message.split_once("Grant it: kubectl ").expect("a command");
    assert_eq!(
        said,
        format!(
            "The operator may not read Secret db in namespace {}. Nothing was connected to. ",
            namespace.name
        )
    );
    let command: Vec<&str> = command.split(' ').collect();
    cluster().api.kubectl(&command);
    schema.reaches("UpToDate");
}

// ---- the scripts ---------------------------------------------------------------------------------------------

#[test]
fn a_script_that_ends_its_session_is_run_thrice_and_no_more() {
    let database = postgres().database("poison");
    // What a sequence gave is not taken back with the transaction.
    database.exec("CREATE SEQUENCE tries");
    let namespace = cluster().tenant("poison");
    namespace.secret(&database);
    let script = "CREATE TABLE b (id int); SELECT nextval('tries'); SELECT pg_terminate_backend(pg_backend_pid());";
    let files = [
        ("001_a_UP.sql", "CREATE TABLE a (id int);"),
        ("002_b_UP.sql", script),
    ];
    let mut manifest = resource("shop", &database, &inline(&files));
    manifest["spec"]["interval"] = json!("1s");
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("ConnectionLost");
    let message = condition(&status, "Ready")["message"].clone();
    assert_eq!(
        message,
        format!(
            "The server at {}:{} ended the work: terminating connection due to administrator command (57P01). What \
             was not recorded was rolled back. It was at 002 b. Tries again by itself.",
            database.server.host, database.server.port
        )
    );
    let status = schema.reaches("PoisonMigration");
    assert_eq!(condition(&status, "Stalled")["reason"], "PoisonMigration");
    assert_eq!(status["failure"]["version"], "002");
    assert_eq!(status["failure"]["connectionsLost"], 3);
    assert_eq!(status["failure"]["sqlState"], "57P01");
    assert_eq!(status["currentVersion"], "001");
    // It is looked at again and again, and not run. (Each question here is a session, too.)
    let sessions = || -> i64 {
        let sql = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
        database.query_text(sql).parse().unwrap()
    };
    let before = sessions();
    let mut ours = 0;
    eventually(LIMIT, || {
        ours += 1;
        match sessions() - before - ours {
            looks if looks >= 3 => Ok(()),
            looks => Err(looks),
        }
    });
    let tries = database.query_text("SELECT last_value, to_regclass('b') IS NULL FROM tries");
    assert_eq!(tries, "3|t");
    // A mended one is.
    let mended = [files[0], ("002_b_UP.sql", "CREATE TABLE b (id int);")];
    schema.patch(&json!({"spec": {"source": inline(&mended)}}));
    schema.reaches("UpToDate");
}

#[test]
fn malformed_sql_is_found_at_its_line_and_not_run_again() {
    let database = postgres().database("syntax");
    let namespace = cluster().tenant("syntax");
    let mut bad = "CREATE TABLE bad (id int);\n".to_owned();
    bad.push_str(&"-- a line\n".repeat(38));
    bad.push_str("  CREATE TABEL worse (id int);\n");
    let schema = at(&namespace, &database, &[WIDGETS]);
    change(&schema, &[WIDGETS, ("002_bad_UP.sql", &bad)]);
    let status = schema.reaches("MigrationFailed");
    let message = "002 bad failed at line 40, column 10: syntax error at or near \"TABEL\" (42601). Nothing of 002 \
                   was applied; the database is at 001. Correct 002 and commit.";
    is_stalled(&status, "MigrationFailed", message);
    let failure = &status["failure"];
    for (field, expected) in [
        ("version", json!("002")),
        ("name", json!("bad")),
        ("direction", json!("Up")),
        ("statement", json!(2)),
        ("line", json!(40)),
        ("column", json!(10)),
        ("sqlState", json!("42601")),
        ("attempts", json!(1)),
    ] {
        assert_eq!(failure[field], expected, "{field} of {failure:#}");
    }
    assert_eq!(status["currentVersion"], "001");
    assert_eq!(status["targetVersion"], "002");
    assert_eq!(status["pendingCount"], 1);
    assert_eq!(versions(&database), "001");
    assert_eq!(
        database.query_text("SELECT to_regclass('bad') IS NULL"),
        "t"
    );

    // Asked to, it runs it again; mended, it goes on.
    schema.ask("again");
    schema.becomes("tried again", |status| status["failure"]["attempts"] == 2);
    change(
        &schema,
        &[WIDGETS, ("002_bad_UP.sql", "CREATE TABLE good (id int);")],
    );
    let status = schema.reaches("UpToDate");
    assert_eq!(status["failure"], Value::Null);
    assert_eq!(versions(&database), "001 002");
}

#[test]
fn a_constraint_violation_takes_the_whole_version_back_and_shows_no_row() {
    let database = postgres().database("constraint");
    let namespace = cluster().tenant("constraint");
    let schema = at(&namespace, &database, &[WIDGETS, GADGETS]);
    let script = "CREATE TABLE kept (id int);\nINSERT INTO gadgets VALUES (4711);\nINSERT INTO gadgets VALUES (4711);\n";
    change(&schema, &[WIDGETS, GADGETS, ("003_rows_UP.sql", script)]);
    let status = schema.reaches("MigrationFailed");
    let message = condition(&status, "Ready")["message"].to_string();
    assert!(
        message.contains("003 rows failed at line 3") && message.contains("(23505)"),
        "{message}"
    );
    assert_eq!(status["failure"]["statement"], 3);
    assert!(!status.to_string().contains("4711"), "{status:#}");
    assert_eq!(database.query_text("SELECT count(*) FROM gadgets"), "0");
    assert_eq!(versions(&database), "001 002");
}

#[test]
fn what_cannot_be_a_migration_is_refused_before_connecting() {
    // Nobody listens there: a connection would be another reason.
    let database = postgres().database("refused");
    for (name, files, reason, message) in [
        (
            "control",
            vec![(
                "001_a_UP.sql",
                "CREATE TABLE a ();\nCOMMIT;\nCREATE TABLE b ();",
            )],
            "TransactionControl",
            "001_a_UP.sql, line 2, column 1",
        ),
        (
            "copy",
            vec![("001_a_UP.sql", "COPY a FROM STDIN;")],
            "UnsupportedStatement",
            "001_a_UP.sql, line 1, column 1",
        ),
        (
            "twice",
            vec![("1_a_UP.sql", "SELECT 1"), ("001_b_UP.sql", "SELECT 1")],
            "DuplicateVersion",
            "1_a_UP.sql",
        ),
        (
            "empty",
            vec![("001_a_UP.sql", "-- nothing")],
            "InvalidSource",
            "001_a_UP.sql",
        ),
    ] {
        let namespace = cluster().tenant(name);
        namespace.secret(&database);
        let mut manifest = resource("shop", &database, &inline(&files));
        manifest["spec"]["connection"]["port"] = json!({"value": 1});
        let status = namespace.schema("shop", &manifest).reaches(reason);
        let said = condition(&status, "Stalled")["message"].to_string();
        assert!(said.contains(message), "{said}");
        assert!(said.contains("Nothing was connected to."), "{said}");
    }
}

#[test]
fn one_file_in_two_config_maps_is_a_defect() {
    let database = postgres().database("union");
    let namespace = cluster().tenant("union");
    namespace.secret(&database);
    namespace.config_map("first", &[WIDGETS, GADGETS]);
    namespace.config_map("second", &[GADGETS, THINGS]);
    let source = json!({"configMaps": [{"name": "first"}, {"name": "second"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &source));
    is_stalled(
        &schema.reaches("DuplicateVersion"),
        "DuplicateVersion",
        "The migrations cannot be used: 002_gadgets_UP.sql is in ConfigMap first and in ConfigMap second. Nothing was \
         connected to. Correct the files and commit.",
    );
    namespace.config_map("second", &[THINGS]);
    // Server-side apply takes away what is no longer said.
    schema.reaches("UpToDate");
    assert_eq!(versions(&database), "001 002 003");
}

// ---- the history ---------------------------------------------------------------------------------------------

#[test]
fn a_changed_file_of_an_applied_version_stops_everything() {
    let database = postgres().database("changed");
    let namespace = cluster().tenant("changed");
    let schema = at(&namespace, &database, &[WIDGETS, GADGETS]);
    let changed = (WIDGETS.0, "CREATE TABLE widgets (id bigint);");
    change(&schema, &[changed, GADGETS, THINGS]);
    let status = schema.reaches("ChecksumMismatch");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "ChecksumMismatch", &message);
    assert!(message.contains("001"), "{message}");
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(versions(&database), "001 002");
    change(&schema, &[WIDGETS, GADGETS, THINGS]);
    schema.reaches("UpToDate");
}

#[test]
fn a_version_taken_out_of_the_middle_is_missed() {
    let database = postgres().database("middle");
    let namespace = cluster().tenant("middle");
    let schema = at(&namespace, &database, &[WIDGETS, GADGETS, THINGS]);
    change(&schema, &[WIDGETS, THINGS]);
    let status = schema.reaches("VersionMissing");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "VersionMissing", &message);
    assert!(message.contains("002"), "{message}");
    assert_eq!(versions(&database), "001 002 003");
}

#[test]
fn a_version_that_comes_too_late_is_not_slipped_in() {
    let database = postgres().database("late");
    let namespace = cluster().tenant("late");
    let schema = at(&namespace, &database, &[WIDGETS, THINGS]);
    change(&schema, &[WIDGETS, GADGETS, THINGS]);
    let status = schema.reaches("OutOfOrder");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "OutOfOrder", &message);
    assert!(message.contains("002"), "{message}");
    assert_eq!(versions(&database), "001 003");
    assert_eq!(
        database.query_text("SELECT to_regclass('gadgets') IS NULL"),
        "t"
    );
}

#[test]
fn a_way_back_needs_leave_and_a_down() {
    let database = postgres().database("back");
    let namespace = cluster().tenant("back");
    let schema = at(&namespace, &database, &[WIDGETS, GADGETS]);
    change(&schema, &[WIDGETS]);
    let status = schema.reaches("DatabaseAhead");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "DatabaseAhead", &message);
    assert!(message.contains("002"), "{message}");
    schema.patch(&json!({"spec": {"rollback": {"policy": "Allow"}}}));
    let status = schema.reaches("DownMissing");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "DownMissing", &message);
    assert_eq!(versions(&database), "001 002");
    assert_eq!(database.query_text("SELECT count(*) FROM gadgets"), "0");
}

#[test]
fn a_second_resource_for_a_database_is_turned_away() {
    let database = postgres().database("claim");
    let namespace = cluster().tenant("claim");
    let first = at(&namespace, &database, &[WIDGETS]);
    let second = namespace.schema(
        "late",
        &resource("late", &database, &inline(&[WIDGETS, GADGETS])),
    );
    is_stalled(
        &second.reaches("DatabaseClaimed"),
        "DatabaseClaimed",
        &format!(
            "This history belongs to DatabaseSchema {0}/shop. Nothing was changed. If that one is gone or lets go, take \
             it over: `kubectl -n {0} annotate --overwrite databaseschema late schemaward.dev/takeover={0}/shop`. \
             Otherwise delete this one, or give it a history table of its own.",
            namespace.name
        ),
    );
    assert_eq!(versions(&database), "001");
    assert_eq!(condition(&first.status(), "Ready")["status"], "True");
}

#[test]
fn a_role_without_rights_is_told_the_grant_to_run() {
    let database = postgres().database("rights");
    let server = database.server;
    let poor = format!("{}_poor", database.name);
    let password = "password-of-poor";
    server.admin_exec(&format!("CREATE ROLE {poor} LOGIN PASSWORD '{password}'"));
    let namespace = cluster().tenant("rights");
    let as_poor = Database {
        server,
        name: database.name.clone(),
        user: poor,
        password: password.to_owned(),
    };
    namespace.secret(&as_poor);
    let manifest = resource("shop", &as_poor, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("PermissionDenied");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "PermissionDenied", &message);
    assert_eq!(tables(&database), "");
    // The message has the statements to run, and they are enough.
    let grants: Vec<&str> = message
        .split_inclusive(';')
        .filter_map(|part| part.find("GRANT ").map(|start| &part[start..]))
        .collect();
    assert!(!grants.is_empty(), "{message}");
    database.admin_exec(&grants.join("\n"));
    schema.ask("granted");
    schema.reaches("UpToDate");
}

#[test]
fn nine_hundred_versions_fit_into_a_config_map() {
    let database = postgres().database("many");
    let namespace = cluster().tenant("many");
    namespace.secret(&database);
    let files: Vec<(String, String)> = (1..=900)
        .map(|n| {
            (
                format!("{n:04}_step_UP.sql"),
                format!("CREATE TABLE t{n} (id int);"),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    namespace.config_map("many", &files);
    let source = json!({"configMaps": [{"name": "many"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &source));
    let status = schema.reaches("UpToDate");
    assert_eq!(status["appliedCount"], 900);
    assert_eq!(status["history"].as_array().map(Vec::len), Some(10));
    assert_eq!(
        database.query_text(
            "SELECT count(*), count(DISTINCT version), max(version) FROM schema_migrations"
        ),
        "900|900|0900"
    );
}
