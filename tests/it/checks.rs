//! Checks of the live database at the command line: `verify`, and what `up` and `down` do with them.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::Project;
use crate::harness::{postgres, postgres_major};

const CHECKS: &str = "checks.yaml";

/// What is said of a check that does not only read.
const WRITES: &str = "it would write, and a check only reads (25006)";

/// A file of checks.
fn checks(list: &Value) -> String {
    // JSON is YAML.
    json!({ "checks": list }).to_string()
}

/// Lines with one blank between words.
fn lines(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).collect()
}

/// What `verify` says of one check alone, in a database at 001 with table `widgets`.
fn verdict(project: &Project, check: &Value) -> (Option<i32>, String) {
    project.write(CHECKS, &checks(&json!([check])));
    let ended = project.run("verify");
    let line = ended.stdout.lines().nth(1).unwrap_or(&ended.stderr);
    (ended.code, lines(line).concat())
}

#[test]
fn verify_tells_the_history_and_each_check() {
    let project = Project::new("verify");
    project.table("001", "widgets").table("002", "gadgets");
    project.succeed("up --to 001");
    project.write(
        CHECKS,
        &checks(&json!([
            {"name": "right", "sql": "SELECT count(*) FROM widgets;", "equals": "0"},
            {"name": "hidden", "sql": "SELECT 'sesame'"},
            {"name": "shown", "sql": "SELECT 1 + 1 -- two", "equals": "3", "showValue": true},
            {"name": "later", "sql": "SELECT count(*) FROM gadgets", "fromVersion": "002"},
            {"name": "before", "sql": "SELECT true", "when": "Before"},
        ])),
    );
    let ended = project.run("verify");
    assert_eq!(
        lines(&ended.stdout),
        [
            "failed history 002 is not applied",
            "passed right",
            "failed hidden the answer is not the expected one (showValue: true would show it)",
            "failed shown the answer is \"2\", and \"3\" is expected",
            "skipped later it holds from 002 on",
            "passed before",
        ],
        "{ended:?}"
    );
    assert_eq!(ended.code, Some(1));
    let ended = project.run("verify --to 001");
    let lines = lines(&ended.stdout);
    assert_eq!(lines[0], "passed history at 001, as the files say");
    assert_eq!(
        lines[5],
        "skipped before it is asked before versions are applied, and none is pending"
    );

    let ended = project.run("verify -o json");
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["format"], "schemaward.verify/v1");
    assert_eq!(
        (&found["passed"], &found["current"]),
        (&json!(false), &json!("001"))
    );
    assert_eq!(found["history"]["status"], "failed");
    assert_eq!(
        found["checks"][0],
        json!({"name": "right", "status": "passed", "message": null})
    );
    assert_eq!(found["checks"][3]["status"], "skipped");
    assert!(!ended.stdout.contains("sesame"));
}

#[test]
fn verify_passes_when_all_is_as_it_should_be_and_tells_a_changed_file() {
    let project = Project::new("verify_passes");
    project.table("001", "widgets");
    project.succeed("up");
    assert_eq!(
        lines(&project.succeed("verify")),
        ["passed history at 001, as the files say"]
    );
    project.write("001_widgets_UP.sql", "CREATE TABLE widgets (id bigint);");
    let ended = project.run("verify");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("failed  history"), "{ended:?}");
    assert!(
        ended.stdout.contains("is not what was applied") || ended.stdout.contains("changed"),
        "{ended:?}"
    );
}

#[test]
fn a_check_only_reads_answers_one_value_and_ends_in_time() {
    for server in [postgres_major(14), postgres(), postgres_major(18)] {
        let project = Project::on(server, "check_reads");
        project.table("001", "widgets");
        project.succeed("up");
        project.database.exec(
            "CREATE SEQUENCE numbers;
             CREATE FUNCTION writes() RETURNS boolean LANGUAGE plpgsql AS
               $$ BEGIN INSERT INTO widgets VALUES (1); RETURN true; END $$;
             CREATE FUNCTION raises() RETURNS boolean LANGUAGE plpgsql AS
               $$ BEGIN RAISE 'the password is %', 'sesame'; END $$;
             CREATE FUNCTION casts() RETURNS boolean LANGUAGE sql AS $$ SELECT 'sesame'::text::int = 1 $$;",
        );
        for (sql, said) in [
            ("SELECT writes()", WRITES),
            ("SELECT nextval('numbers') = 1", WRITES),
            (
                "SELECT set_config('transaction_read_only', 'off', true) = 'off' AND writes()",
                "transaction read-write mode must be set before any query (25001)",
            ),
            ("SELECT id FROM widgets FOR UPDATE", WRITES),
            ("SELECT lo_create(0) > 0", WRITES),
            (
                "WITH gone AS (DELETE FROM widgets RETURNING id) SELECT count(*) FROM gone",
                "WITH clause containing a data-modifying statement must be at the top level (0A000)",
            ),
            (
                "SELECT 1, 2",
                "subquery must return only one column (42601)",
            ),
            (
                "SELECT * FROM (VALUES (1), (2)) AS v",
                "more than one row returned by a subquery used as an expression (21000)",
            ),
            (
                "SELECT count(*) FROM nowhere",
                "relation \"nowhere\" does not exist (42P01)",
            ),
            ("SELECT raises()", "a function raises an error (P0001)"),
            (
                "SELECT casts()",
                "invalid input syntax for type integer: \"…\" (22P02)",
            ),
        ] {
            let (code, line) = verdict(
                &project,
                &json!({"name": "a", "sql": sql, "showValue": true}),
            );
            // Only servers from 15 on do lo_create in the transaction's own check.
            if sql.contains("lo_create") && line == "passed a" {
                continue;
            }
            assert_eq!(
                (code, line.as_str()),
                (
                    Some(1),
                    format!("failed a the server cannot answer: {said}").as_str()
                ),
                "{sql}"
            );
        }
        assert_eq!(
            project.database.query_text("SELECT count(*) FROM widgets"),
            "0"
        );
        assert_eq!(
            project.database.query_text("SELECT is_called FROM numbers"),
            "f"
        );

        let began = Instant::now();
        let slow = json!({"name": "a", "sql": "SELECT pg_sleep(60) IS NULL", "timeout": "300ms"});
        assert_eq!(
            verdict(&project, &slow),
            (Some(1), "failed a no answer within 300 ms".to_owned())
        );
        assert!(began.elapsed() < Duration::from_secs(30));
        project.database.no_session_is_left();
    }
}

#[test]
fn what_a_function_puts_in_an_error_is_shown_nowhere() {
    let project = Project::new("check_hides");
    project.table("001", "widgets");
    project.succeed("up");
    let hidden = [
        (
            "23514",
            "failed a the server cannot answer: a constraint is violated (23514)",
        ),
        (
            "42P01",
            "failed a the server cannot answer: a table or view is not there (42P01)",
        ),
        (
            "P0004",
            "failed a the server cannot answer: a function raises an error (P0004)",
        ),
        (
            "P0001",
            "failed a the server cannot answer: a function raises an error (P0001)",
        ),
        (
            "25006",
            "failed a the server cannot answer: it would write, and a check only reads (25006)",
        ),
        (
            "AB123",
            "failed a the server cannot answer: an error of a function or extension (AB123)",
        ),
        (
            "53100",
            "the server is short of memory, disk or connections (53100)",
        ),
        ("55P03", "it did not get a lock in time (55P03)"),
        (
            "57014",
            "somebody cancelled it before its time was over (57014)",
        ),
    ];
    for (code, said) in hidden {
        project.database.exec(&format!(
            "CREATE OR REPLACE FUNCTION raises() RETURNS boolean LANGUAGE plpgsql AS \
             $$ BEGIN RAISE 'sesame' USING ERRCODE = '{code}'; END $$"
        ));
        let (_, line) = verdict(&project, &json!({"name": "a", "sql": "SELECT raises()"}));
        assert!(
            line.contains(said) && !line.contains("sesame"),
            "{code}: {line}"
        );
    }
    let (_, line) = verdict(
        &project,
        &json!({"name": "a", "sql": "SELECT 'sesame'::text::int = 1"}),
    );
    assert!(
        line.ends_with("a value is not of the type or range that is needed (22P02)"),
        "{line}"
    );
    let (_, line) = verdict(&project, &json!({"name": "a", "sql": "SELECT nowhere"}));
    assert!(
        line.ends_with("column \"nowhere\" does not exist (42703)"),
        "{line}"
    );
}

#[test]
fn a_check_runs_as_scripts_do() {
    let project = Project::new("check_role");
    project
        .database
        .exec("CREATE SCHEMA app; CREATE TABLE app.things (id int)");
    project.table("001", "widgets");
    project.succeed("up");
    let check = json!([{"name": "a", "sql": "SELECT count(*) FROM things", "equals": "0"}]);
    project.write(CHECKS, &checks(&check));
    assert_eq!(project.run("verify").code, Some(1));
    project.succeed("verify --search-path app");
}

#[test]
fn what_is_wrong_with_a_check_is_told_before_any_connection() {
    let project = Project::new("check_bad");
    project.table("001", "widgets").write(
        CHECKS,
        &checks(&json!([{"name": "a", "sql": "DROP TABLE widgets"}, {"name": "b", "sql": "SELECT 1; SELECT 2"}])),
    );
    for command in ["verify", "up", "down 001"] {
        assert_eq!(
            project.fail(1, &format!("{command} --port 1")),
            "error: The checks in checks.yaml cannot be used: a: sql: it must be one SELECT that answers one \
             value; b: sql: it holds 2 statements, and must be one SELECT that answers one value. Nothing was \
             connected to.\n"
        );
    }
}

#[test]
fn up_asks_before_and_after() {
    let project = Project::new("check_up");
    project
        .database
        .exec("CREATE TABLE people (email text); INSERT INTO people VALUES ('a'), ('a')");
    project.table("001", "widgets").write(
        CHECKS,
        &checks(&json!([
            {"name": "no-duplicates", "when": "Before",
             "sql": "SELECT NOT EXISTS (SELECT FROM people GROUP BY email HAVING count(*) > 1)"},
            {"name": "widgets-are-filled", "sql": "SELECT count(*) > 0 FROM widgets", "fromVersion": "001"},
        ])),
    );
    assert_eq!(
        project.fail(1, "up"),
        "error: The check failed. no-duplicates: the answer is not the expected one (showValue: true would show \
         it). Asked before the first version, so nothing was changed; the database has no version yet. Mend \
         what is checked, or correct the check, and let it run again.\n"
    );
    assert!(!project.has("schema_migrations") && !project.has("widgets"));
    assert_eq!(
        project
            .database
            .query_text("SELECT count(*) FROM pg_namespace WHERE nspname = 'schemaward'"),
        "0"
    );

    project.database.exec("TRUNCATE people");
    let ended = project.run("up");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.starts_with("001  applied  widgets"),
        "{ended:?}"
    );
    assert_eq!(
        ended.stderr,
        "error: The check failed. widgets-are-filled: the answer is not the expected one (showValue: true would \
         show it). 001 widgets was applied and is recorded; the database is at 001. Mend what is checked, or \
         correct the check. Nothing is undone by itself.\n"
    );
    assert_eq!(project.applied(), "001");

    // It holds for as long as it is asked; and it keeps nobody from the way back.
    assert_eq!(project.run("up").code, Some(1));
    project.database.exec("INSERT INTO widgets VALUES (1)");
    assert!(
        project
            .run("up")
            .stderr
            .ends_with("at version 001, 1 check passed\n")
    );
    project
        .database
        .exec("TRUNCATE widgets; INSERT INTO people VALUES ('a'), ('a')");
    project.succeed("down 001");
    assert!(!project.has("widgets"));
}

#[test]
fn a_check_that_lets_the_lock_go_is_noticed() {
    let project = Project::new("check_unlocks");
    let check = json!([{"name": "a", "sql": "SELECT pg_advisory_unlock_all() IS NOT NULL", "when": "Before"}]);
    project
        .table("001", "widgets")
        .write(CHECKS, &checks(&check));
    let ended = project.run("up");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let said = "error: The migration lock is not this session's any more: a check released it \
                (pg_advisory_unlock_all), or something between here and the server hands its sessions round. \
                Nothing was changed. Try again.\n";
    assert_eq!(ended.stderr, said);
    assert!(!project.has("widgets"));
}

#[test]
fn the_shipped_checks_see_what_is_amiss() {
    let project = Project::of_first_user("check_shipped");
    project.succeed("up --to 000");
    let skipped = lines(&project.run("verify --to 000").stdout);
    assert!(
        skipped[1..].iter().all(|line| line.starts_with("skipped")),
        "{skipped:?}"
    );
    project.succeed("up");
    let all = lines(&project.succeed("verify"));
    assert_eq!(
        all,
        [
            "passed history at 001, as the files say",
            "passed inventory-table-is-there",
            "passed inventory-view-answers",
            "passed inventory-indexes-are-valid",
        ]
    );
    let failed = |sql: &str| {
        project.database.admin_exec(sql);
        let ended = project.run("verify");
        assert_eq!(ended.code, Some(1), "{sql}");
        let failed: Vec<_> = lines(&ended.stdout);
        failed
            .into_iter()
            .filter(|line| line.starts_with("failed"))
            .collect::<Vec<_>>()
    };
    let three = ["failed inventory-indexes-are-valid the answer is \"3\", and \"4\" is expected"];
    let invalid =
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_hist_fecha'::regclass";
    assert_eq!(failed(invalid), three);
    assert_eq!(failed("DROP INDEX idx_hist_fecha"), three);
    assert_eq!(
        failed("DROP VIEW v_inventario_historico_reciente")[0],
        "failed inventory-view-answers the server cannot answer: relation \
         \"v_inventario_historico_reciente\" does not exist (42P01)"
    );
    assert_eq!(
        failed("DROP TABLE inventario_historico")[0],
        "failed inventory-table-is-there the answer is not the expected one (showValue: true would show it)"
    );
}

#[test]
fn the_example_has_the_shipped_checks() {
    let read = |path: &str| -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    assert_eq!(
        read("examples/fluxion/databaseschema.yaml")["spec"]["checks"],
        read("migrations/checks.yaml")["checks"]
    );
}
