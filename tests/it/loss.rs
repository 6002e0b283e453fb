//! What a way back would lose, named before it runs: on real tables, with the numbers that the server has of them.

use serde_json::Value;

use crate::cli::Project;

/// Tables in every state that the estimate tells apart.
const UP: &str = "CREATE TABLE full_of (id int, note text);
INSERT INTO full_of SELECT n, CASE WHEN n <= 25 THEN 'x' END FROM generate_series(1, 100) n;
CREATE TABLE fresh (id int);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (100) TO (200);
INSERT INTO parted SELECT n FROM generate_series(0, 149) n;
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES parent);
INSERT INTO parent SELECT generate_series(1, 3);
INSERT INTO child SELECT 1 FROM generate_series(1, 4);
CREATE SCHEMA app;
CREATE TABLE app.inner_one (id int);
INSERT INTO app.inner_one SELECT generate_series(1, 2);
CREATE VIEW looks AS SELECT 1 AS one;
";

const DOWN: &str = "DROP VIEW looks;
ALTER TABLE full_of DROP COLUMN note, DROP COLUMN IF EXISTS nothing;
DROP TABLE IF EXISTS missing;
DROP TABLE parted;
DROP TABLE fresh;
TRUNCATE parent CASCADE;
DROP SCHEMA app CASCADE;
DELETE FROM full_of;
DO $$ BEGIN PERFORM 1; END $$;
";

const ANALYZED: &str =
    "ANALYZE full_of; ANALYZE parted_low; ANALYZE parent; ANALYZE child; ANALYZE app.inner_one";

/// What is lost, that with the most rows first.
const LOST: [(&str, &str); 10] = [
    (
        "table public.parted",
        "about 100 rows, and partitions never analyzed",
    ),
    ("all rows of public.full_of", "about 100 rows"),
    ("column public.full_of.note", "in about 25 rows"),
    ("all rows of public.child", "about 4 rows"),
    ("all rows of public.parent", "about 3 rows"),
    ("table app.inner_one and what depends on it", "about 2 rows"),
    (
        "table public.fresh",
        "number of rows unknown: never analyzed",
    ),
    ("whatever it takes (DO)", "number of rows unknown"),
    ("column full_of.nothing", "not there now"),
    ("table missing", "not there now"),
];

fn project(name: &str) -> Project {
    let project = Project::new(name);
    project.table("001", "widgets");
    project.write("002_much_UP.sql", UP);
    project.write("002_much_DOWN.sql", DOWN);
    project.succeed("up");
    // No autovacuum comes between.
    project.database.exec(
        "ALTER TABLE fresh SET (autovacuum_enabled = off); ALTER TABLE parted_high SET (autovacuum_enabled = off);",
    );
    project.database.exec(ANALYZED);
    project
}

#[test]
fn plan_names_what_a_way_back_loses_with_estimates() {
    let project = project("loss_plan");
    // What would run is the stored text; the file may be gone, or be another.
    project.write("002_much_DOWN.sql", "SELECT 1;");
    let ended = project.run("plan --to 001 -o json");
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    assert_eq!(plan["problem"]["reason"], "ChecksumMismatch", "{ended:?}");
    project.write("002_much_DOWN.sql", DOWN);
    let text = project.succeed("plan --to 001");
    let (_, losses) = text.split_once("Going back loses:\n").expect(&text);
    let lines: Vec<Vec<&str>> = losses
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    let found: Vec<(&str, &str)> = lines.iter().map(|cells| (cells[1], cells[2])).collect();
    assert_eq!(found, LOST, "{text}");

    let plan: Value = serde_json::from_str(&project.succeed("plan --to 001 -o json")).unwrap();
    let losses = plan["losses"].as_array().expect("losses");
    let column = losses
        .iter()
        .find(|loss| loss["kind"] == "column")
        .expect("a column");
    assert_eq!(column["object"], "public.full_of.note");
    assert_eq!(
        (&column["estimatedRows"], &column["line"]),
        (&25.into(), &2.into())
    );
    let unknown: Vec<_> = losses
        .iter()
        .filter(|loss| loss["estimatedRows"].is_null())
        .collect();
    assert_eq!(unknown.len(), 2, "{unknown:?}");
    // Nothing ran.
    assert_eq!(project.applied(), "001 002");
}

/// The numbers are for a person to read, and nothing depends on them.
#[test]
fn a_plan_is_shown_also_where_the_server_gives_no_estimate() {
    let project = project("loss_untold");
    let name = &project.database.name;
    project
        .database
        .admin_exec("REVOKE SELECT ON pg_catalog.pg_stats FROM PUBLIC");
    let ended = project.run("plan --to 001");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told = "warning: How many rows it would lose is not known: ";
    assert!(ended.stderr.contains(told), "{name} {ended:#?}");
    assert!(ended.stderr.contains("pg_stats"), "{ended:#?}");
    let (_, losses) = ended
        .stdout
        .split_once("Going back loses:\n")
        .unwrap_or_else(|| panic!("{ended:#?}"));
    assert!(losses.contains("table parted "), "{losses}");
    assert_eq!(
        losses.matches("number of rows unknown").count(),
        9,
        "{losses}"
    );
}

#[test]
fn down_names_it_before_it_runs_and_a_way_forth_asks_for_nothing() {
    let project = project("loss_down");
    let ended = project.run("down 002");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = ended.stderr;
    assert!(told.contains("Going back loses:\n"), "{told}");
    assert!(
        told.contains("  table public.fresh (number of rows unknown: never analyzed)\n"),
        "{told}"
    );
    assert!(
        told.contains("  column public.full_of.note (in about 25 rows)\n"),
        "{told}"
    );
    assert!(
        told.contains("  whatever line 9 of 002 takes (DO)\n"),
        "{told}"
    );
    assert_eq!(project.applied(), "001");
    assert!(!project.run("up").stderr.contains("loses"));
}

#[test]
fn names_are_looked_up_as_the_script_does() {
    let project = Project::new("loss_path");
    project.write(
        "001_two_UP.sql",
        "CREATE SCHEMA app; CREATE TABLE app.t (id int); CREATE TABLE public.t (id int);
         INSERT INTO app.t SELECT generate_series(1, 5);",
    );
    project.write(
        "001_two_DOWN.sql",
        "SET search_path TO app, public; DROP TABLE t;",
    );
    project.succeed("up");
    project.database.exec("ANALYZE app.t; ANALYZE public.t");
    let told = project.run("down 001").stderr;
    assert!(told.contains("  table app.t (about 5 rows)\n"), "{told}");
}
