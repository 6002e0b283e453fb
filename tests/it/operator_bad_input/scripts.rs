//! The scripts: those that fail, and those that are none.

use super::*;

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
            "The server at {}:{} ended the work: terminating connection due to administrator command (57P01). A \
             version that was under way is either recorded whole or rolled back; the next look at the database tells. The \
             version under way was 002 b; before it, the database was at 001. Tries again by itself.",
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
    assert_eq!(database.applied(), "001");
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
    assert_eq!(database.applied(), "001 002");
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
    assert_eq!(database.applied(), "001 002");
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
    assert_eq!(database.applied(), "001 002 003");
}
