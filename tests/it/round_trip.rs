//! `schemaward test`: the round trip on a scratch database.

use std::process::Command;

use serde_json::Value;

use crate::cli::{Ended, Project, first_columns};
use crate::cli_output::json;

mod planted;
mod scratch;

/// `schemaward test` as somebody who may do everything.
fn test(project: &Project, arguments: &str) -> Command {
    let mut command = project.command(&format!("test {arguments}"));
    let server = project.database.server;
    command
        .env("POSTGRES_USER", &server.superuser)
        .env("POSTGRES_PASSWORD", &server.password);
    command
}

fn run(project: &Project, arguments: &str) -> Ended {
    let mut command = test(project, arguments);
    Ended::of(&command.output().expect("the program starts"))
}

/// A version with these scripts.
fn version(project: &Project, number: usize, up: &str, down: &str) {
    project
        .write(&format!("{number:03}_v_UP.sql"), up)
        .write(&format!("{number:03}_v_DOWN.sql"), down);
}

#[test]
fn the_first_users_versions_come_back_to_what_they_were() {
    let project = Project::of_first_user("test_first");
    let setup = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/fluxion/base-tables.sql"
    );
    let ended = run(&project, &format!("--setup {setup}"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        first_columns(&ended.stdout),
        [
            "000 applied init_schema_migrations",
            "000 again init_schema_migrations",
            "001 applied add_historical_inventory",
            "001 again add_historical_inventory",
            "001 undone add_historical_inventory",
            "001 again add_historical_inventory",
            "001 applied add_historical_inventory",
        ]
    );
    assert!(
        ended
            .stderr
            .contains("Without a DOWN, and so not undone: 000."),
        "{ended:?}"
    );
    assert!(
        !project.has("schema_migrations"),
        "the database that is named is not touched"
    );

    let without = run(&project, "");
    assert_eq!(without.code, Some(1));
    assert!(
        without
            .stderr
            .contains("relation \"ubicaciones\" does not exist"),
        "{without:?}"
    );
}

#[test]
fn a_script_that_says_it_is_idempotent_is_run_twice() {
    let project = Project::new("test_idempotent");
    project.table("001", "widgets");
    assert_eq!(run(&project, "").code, Some(0));
    project.write(
        "001_widgets_UP.sql",
        "-- Idempotent.\nCREATE TABLE widgets (id int);",
    );
    let ended = run(&project, "");
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        "error: 001 widgets (UP), run a second time as it says it may, failed in the statement at line 2, column 1: \
         relation \"widgets\" already exists (42P07). The rest was not tried.\n"
    );
    // One that does not fail and does more.
    project.write(
        "001_widgets_UP.sql",
        "-- Idempotent.\nCREATE TABLE IF NOT EXISTS widgets (id int); CREATE INDEX ON widgets (id);",
    );
    let ended = run(&project, "");
    assert_eq!(ended.code, Some(1));
    let differs = "index public.widgets_id_idx1: was not there, and is";
    assert!(ended.stdout.contains(differs), "{ended:?}");
}

#[test]
fn a_version_below_one_without_a_way_back_is_tried_all_the_same() {
    let project = Project::new("test_below");
    project
        .table("001", "widgets")
        .table("002", "gadgets")
        .table("003", "things");
    project
        .write("001_widgets_DOWN.sql", "SELECT 1")
        .remove("002_gadgets_DOWN.sql");
    let ended = run(&project, "");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stdout
            .contains("table public.widgets: was not there, and is"),
        "{ended:?}"
    );
}

#[test]
fn what_reaches_beyond_the_database_is_refused_by_name() {
    let project = Project::new("test_beyond");
    version(
        &project,
        1,
        "CREATE ROLE test_beyond_role",
        "DROP ROLE test_beyond_role",
    );
    let ended = run(&project, "");
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        "error: These statements reach beyond a database, so what they do would stay on the server after the test: \
         001_v_UP.sql, line 1, column 1: CREATE ROLE test_beyond_role; 001_v_DOWN.sql, line 1, column 1: DROP ROLE test_beyond_role. Nothing was run. \
         Test on a server of your own with --allow-global, or keep them out of migrations.\n"
    );
    let allowed = run(&project, "--allow-global");
    assert_eq!(allowed.code, Some(0), "{allowed:?}");
    assert!(
        allowed
            .stderr
            .starts_with("warning: These statements reach beyond")
    );
    project
        .database
        .server
        .admin_exec("DROP ROLE test_beyond_role");
}

#[test]
fn the_right_to_create_databases_is_asked_for() {
    let project = Project::new("test_right");
    project.table("001", "widgets");
    let said = project.fail(1, "test");
    assert!(
        said.contains("may not create databases") && said.contains("CREATEDB"),
        "{said}"
    );
}

#[test]
fn json_says_each_step_and_what_it_left() {
    let project = Project::new("test_json");
    version(&project, 1, "CREATE TABLE a (id int)", "DROP TABLE a");
    let table = "-- Idempotent.\nCREATE TABLE IF NOT EXISTS b (id int)";
    version(&project, 2, table, "SELECT 1");
    project.write("000_first_UP.sql", "SELECT 1");
    let ended = run(&project, "-o json");
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let result = json(&ended.stdout, "test.json");
    assert_eq!(result["format"], "schemaward.test/v1");
    assert_eq!(result["passed"], false);
    assert_eq!(result["withoutDown"], serde_json::json!(["000"]));
    assert_eq!(result["failure"], Value::Null);
    let version = result["serverVersion"].as_str().expect("a version");
    assert!(version.starts_with("16."), "{version}");
    let steps = result["steps"].as_array().expect("steps");
    let step = |step: &Value| {
        let text = |name: &str| step[name].as_str().expect("a text").to_owned();
        let again = if step["again"] == true { " again" } else { "" };
        let left = step["differences"].as_array().expect("a list").len();
        format!("{} {}{again} {left}", text("version"), text("direction"))
    };
    let told: Vec<_> = steps.iter().map(step).collect();
    let expected = [
        "000 up 0",
        "001 up 0",
        "002 up 0",
        "002 up again 0",
        "002 down 1",
        "001 down 1",
        "001 up 1",
        "002 up 0",
    ];
    assert_eq!(told, expected, "{result:#}");
    assert_eq!(
        steps[4]["differences"][0],
        serde_json::json!({
            "kind": "table", "object": "public.b", "change": "leftBehind",
            "message": "table public.b: was not there, and is",
        })
    );

    project.write("002_v_UP.sql", "SELECT nothing");
    let ended = run(&project, "-o json");
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let result = json(&ended.stdout, "test.json");
    let told = result["failure"]["message"].as_str().expect("a message");
    assert!(told.contains("column \"nothing\" does not exist"), "{told}");
    assert_eq!(result["steps"].as_array().expect("steps").len(), 3);
    assert_eq!(result["passed"], false);

    let wrong = run(&project, "--cleanup -o json");
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
}
