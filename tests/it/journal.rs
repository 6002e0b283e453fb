//! Statements that PostgreSQL refuses in a transaction: killed, cancelled and failing in the middle, and what the
//! next run makes of it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cli::{Ended, Project, first_columns};
use crate::harness::{eventually, postgres_major};

mod indexes;

pub const LIMIT: Duration = Duration::from_mins(1);

/// The oldest and the newest server.
const MAJORS: [u8; 2] = [14, 18];

/// A database with a table to index, on each of those servers.
pub fn projects(name: &str) -> impl Iterator<Item = Project> {
    MAJORS
        .map(move |major| {
            let project = Project::on(postgres_major(major), name);
            project.database.exec(
                "CREATE TABLE orders (id int, code int); INSERT INTO orders VALUES (1, 1), (2, 1)",
            );
            project
        })
        .into_iter()
}

pub fn start(project: &Project, arguments: &str) -> Child {
    project
        .command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

pub fn end(child: Child) -> Ended {
    Ended::of(&child.wait_with_output().unwrap())
}

/// A session whose open transaction holds up whoever works on a table concurrently.
pub struct Holder(pub Child);

impl Holder {
    pub fn on(project: &Project) -> Self {
        let sql = "BEGIN; INSERT INTO orders VALUES (3, 3);";
        Self(project.database.hold("writer", sql))
    }

    pub fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Waits until our session runs a statement like `pattern`, and waits for somebody with it.
pub fn is_held_up(project: &Project, pattern: &str) {
    waits_for(
        project,
        &format!(
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '{}' AND state = 'active'
             AND application_name = 'schemaward/cli' AND wait_event_type = 'Lock' AND query ILIKE '%{pattern}%'",
            project.database.name
        ),
    );
}

pub fn sessions_end(project: &Project) {
    waits_for(
        project,
        &format!(
            "SELECT count(*) = 0 FROM pg_stat_activity
             WHERE datname = '{}' AND application_name LIKE 'schemaward/%'",
            project.database.name
        ),
    );
}

#[track_caller]
pub fn waits_for(project: &Project, condition: &str) {
    eventually(LIMIT, || {
        match project.database.admin_exec(condition).as_str() {
            "t" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
}

/// Runs `up` until a writer on `orders` holds it up, and kills it there.
pub fn killed_in(project: &Project, pattern: &str) {
    killed_beside(Holder::on(project), project, pattern);
}

/// Runs `up` until `holder` holds it up, and kills it there.
pub fn killed_beside(mut holder: Holder, project: &Project, pattern: &str) {
    let run = start(project, "up");
    is_held_up(project, pattern);
    let status = Command::new("kill")
        .args(["-9", &run.id().to_string()])
        .status();
    assert!(status.unwrap().success());
    assert_eq!(end(run).code, None);
    sessions_end(project);
    holder.end();
}

/// The indexes of a table, `!` behind an invalid one.
pub fn indexes(project: &Project, table: &str) -> String {
    project.database.query_text(&format!(
        "SELECT string_agg(c.relname || CASE WHEN x.indisvalid THEN '' ELSE '!' END, ' ' ORDER BY c.relname)
         FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = '{table}'::regclass"
    ))
}

pub fn journal(project: &Project) -> String {
    project.database.query_text(
        "SELECT version, direction, first_statement, last_statement, state FROM schemaward.journal
         ORDER BY first_statement",
    )
}

pub fn audit(project: &Project) -> String {
    project
        .database
        .query_text("SELECT string_agg(action, ' ' ORDER BY id) FROM schemaward.audit")
}

#[test]
fn a_mixed_file_goes_on_where_it_was_interrupted() {
    for project in projects("mixed") {
        let file = |last: &str| {
            format!(
                "SET lock_timeout = 0;\nCREATE TABLE log (what text);\nINSERT INTO log VALUES ('first');\n\
                 CREATE INDEX CONCURRENTLY ON orders (id);\n{last}\n"
            )
        };
        project.table("001", "a").write(
            "002_mixed_UP.sql",
            &file("INSERT INTO log VALUES ('last');"),
        );
        killed_in(&project, "CREATE INDEX CONCURRENTLY");
        assert_eq!(journal(&project), "002|up|2|3|done\n002|up|4|4|started");
        let planned = project.succeed("plan");
        for (line, state) in [
            (2, "done already"),
            (3, "done already"),
            (4, "outside of a transaction"),
        ] {
            let of_line = planned
                .lines()
                .find(|text| text.contains(&format!("line {line} ")));
            assert!(
                of_line.is_some_and(|text| text.contains(&format!("  {state}  "))),
                "{planned}"
            );
        }
        // What is done must stay as it is.
        project.write("002_mixed_UP.sql", &file("").replace("first", "other"));
        let refused = project.fail(1, "up");
        assert!(
            refused.contains("no longer what was begun, from statement 2 on"),
            "{refused}"
        );
        // What is not done yet may be corrected.
        project.write(
            "002_mixed_UP.sql",
            &file("INSERT INTO log VALUES ('corrected');"),
        );
        let applied = first_columns(&project.succeed("up"));
        assert_eq!(applied, ["002 applied mixed"]);
        assert_eq!(
            project
                .database
                .query_text("SELECT string_agg(what, ' ' ORDER BY what) FROM log"),
            "corrected first"
        );
        assert_eq!(indexes(&project, "orders"), "orders_id_idx");
        assert_eq!(journal(&project), "");
    }
}

/// Kills a run between the two halves of a DETACH PARTITION CONCURRENTLY.
pub fn killed_in_detach(project: &Project) {
    project.database.exec(
        "CREATE TABLE parts (id int) PARTITION BY RANGE (id);
         CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10)",
    );
    project.write(
        "001_x_UP.sql",
        "SET lock_timeout = 0; ALTER TABLE parts DETACH PARTITION part CONCURRENTLY",
    );
    // Whoever reads the parent holds up the second half of it.
    let sql = "BEGIN; SELECT * FROM parts;";
    let reader = Holder(project.database.hold("reader", sql));
    killed_beside(reader, project, "DETACH PARTITION");
}

#[test]
fn settings_are_said_again_after_an_interruption() {
    for project in projects("settings") {
        project
            .database
            .exec("CREATE SCHEMA app; CREATE TABLE app.orders (id int); INSERT INTO app.orders VALUES (1)");
        project.write(
            "001_x_UP.sql",
            "SET search_path TO app; -- the application's own\nSET lock_timeout = 0 -- for as long as it takes\n;\n\
             CREATE TABLE made (id int);\nCREATE INDEX CONCURRENTLY orders_id ON orders (id);\n\
             INSERT INTO made VALUES (1);\nRESET search_path;",
        );
        let sql = "BEGIN; INSERT INTO app.orders VALUES (2);";
        let writer = Holder(project.database.hold("writer", sql));
        killed_beside(writer, &project, "CREATE INDEX CONCURRENTLY");
        project.succeed("up");
        assert_eq!(indexes(&project, "app.orders"), "orders_id");
        assert_eq!(indexes(&project, "public.orders"), "");
        assert_eq!(
            project.database.query_text("SELECT count(*) FROM app.made"),
            "1"
        );
    }
}

#[test]
fn what_nobody_can_tell_is_for_a_person() {
    for verdict in ["applied", "retry"] {
        let project = projects("doubt").last().expect("two of them");
        project.write(
            "001_x_UP.sql",
            "CREATE TABLE kept (id int);\nSET lock_timeout = 0;\n\
             CREATE INDEX CONCURRENTLY orders_id ON orders (id);\nINSERT INTO kept VALUES (1);\n",
        );
        killed_in(&project, "CREATE INDEX CONCURRENTLY");
        // From now on the name leads to another table, whose indexes prove nothing about the statement.
        project.database.exec(
            "ALTER TABLE orders RENAME TO orders_of_then; CREATE TABLE orders (id int, code int)",
        );
        for _ in 0..2 {
            let refused = project.fail(1, "up");
            for part in [
                "001 x, statement 3 at line 3, column 1 (CREATE INDEX CONCURRENTLY ORDERS_ID ON ORDERS, ",
                "whether it was done cannot be told",
                "Statement 1 is done and kept; 001 is not recorded",
                "`schemaward resolve 001 applied` or `schemaward resolve 001 retry`",
                "(annotation schemaward.dev/resolve=001:",
            ] {
                assert!(refused.contains(part), "no {part:?}: {refused}");
            }
            assert_eq!(journal(&project), "001|up|1|1|done\n001|up|3|3|started");
        }
        let mut resolve = project.database.schemaward();
        let other = resolve
            .args(["resolve", "001:00000000", verdict])
            .output()
            .unwrap();
        assert_eq!(Ended::of(&other).code, Some(1), "{other:?}");
        let table = if verdict == "applied" {
            project.database.exec("REINDEX INDEX orders_id");
            "orders_of_then"
        } else {
            project.database.exec("DROP INDEX orders_id");
            "orders"
        };
        let mut resolve = project.database.schemaward();
        let resolved = Ended::of(&resolve.args(["resolve", "001", verdict]).output().unwrap());
        assert_eq!(resolved.code, Some(0), "{resolved:#?}");
        assert!(
            resolved.stderr.contains("Statement 3 of 001 ("),
            "{resolved:#?}"
        );
        project.succeed("up");
        assert_eq!(indexes(&project, table), "orders_id");
        assert_eq!(
            project.database.query_text("SELECT count(*) FROM kept"),
            "1"
        );
        assert_eq!(audit(&project), "install resolve apply");
        let nothing = project
            .database
            .schemaward()
            .args(["resolve", "001", verdict])
            .output();
        let nothing = Ended::of(&nothing.unwrap());
        assert!(
            nothing.stderr.contains("Nothing of 001 is in doubt"),
            "{nothing:#?}"
        );
    }
}

#[test]
fn a_way_back_goes_on_where_it_was_interrupted() {
    for project in projects("back") {
        project
            .write(
                "001_x_UP.sql",
                "CREATE INDEX CONCURRENTLY orders_id ON orders (id);\nCREATE TABLE made (id int);\n",
            )
            .write(
                "001_x_DOWN.sql",
                "SET lock_timeout = 0;\nDROP TABLE made;\nDROP INDEX CONCURRENTLY orders_id;\n\
                 DELETE FROM schema_migrations WHERE version = '001';\nDELETE FROM orders WHERE id = 2;\n",
            );
        project.succeed("up");
        let mut writer = Holder::on(&project);
        let run = start(&project, "down 001");
        is_held_up(&project, "DROP INDEX CONCURRENTLY");
        let status = Command::new("kill")
            .args(["-9", &run.id().to_string()])
            .status();
        assert!(status.unwrap().success());
        end(run);
        sessions_end(&project);
        writer.end();
        assert_eq!(journal(&project), "001|down|2|2|done\n001|down|3|3|started");
        assert_eq!(project.applied(), "001");
        let refused = project.fail(1, "up");
        assert!(
            refused.contains("Let the way back finish first"),
            "{refused}"
        );
        assert_eq!(
            first_columns(&project.succeed("down 001")),
            ["001 undone x"]
        );
        assert_eq!(indexes(&project, "orders"), "");
        assert_eq!(
            (project.applied().as_str(), journal(&project).as_str()),
            ("", "")
        );
        assert_eq!(
            project.database.query_text("SELECT count(*) FROM orders"),
            "1"
        );
    }
}

#[test]
fn an_older_schema_gets_its_journal_and_a_newer_one_is_left_alone() {
    let project = Project::new("format");
    project.database.exec(include_str!("../cases/format_1.sql"));
    project
        .write("001_one_UP.sql", "CREATE TABLE one (id int);\n")
        .table("002", "two");
    assert_eq!(
        first_columns(&project.succeed("list")),
        ["VERSION STATUS NAME", "001 applied one", "002 pending two"]
    );
    let format = "SELECT format, database_id FROM schemaward.installation";
    assert!(
        project.database.query_text(format).starts_with("1|"),
        "a look writes nothing"
    );
    project.succeed("up");
    assert_eq!(
        project.database.query_text(format),
        "2|3f2a1b0c-0000-4000-8000-000000000001"
    );
    assert_eq!(audit(&project), "install apply upgrade server apply");
    assert_eq!(journal(&project), "");
    project
        .database
        .exec("UPDATE schemaward.installation SET format = 3");
    let refused = project.fail(1, "up");
    assert!(
        refused.contains("has format 3, this Schemaward knows up to 2"),
        "{refused}"
    );
    project
        .database
        .exec("UPDATE schemaward.installation SET format = 2; DROP TABLE schemaward.journal");
    let refused = project.fail(1, "up");
    assert!(
        refused.contains("table schemaward.journal) is gone"),
        "{refused}"
    );
}

#[test]
fn an_escaped_version_stops_whoever_comes_until_a_person_resolves_it() {
    for (verdict, rows) in [("applied", "0"), ("retry", "1")] {
        let project = Project::new("escaped");
        project.database.exec("CREATE TABLE log (id int)");
        let init = project.database.schemaward().arg("init").output();
        assert_eq!(Ended::of(&init.unwrap()).code, Some(0));
        let text = "INSERT INTO log VALUES (1)";
        project.write("001_x_UP.sql", text).table("002", "b");
        project.database.exec(&format!(
            "INSERT INTO schemaward.journal (ledger_schema, ledger_table, version, direction, first_statement,
             last_statement, checksum, state, actor) VALUES ('public', 'schema_migrations', '001', 'up', 1, 1,
             encode(sha256(convert_to('{text}', 'UTF8')), 'hex'), 'escaped', 'a test')"
        ));
        let refused = project.fail(1, "up");
        assert!(
            refused.contains("001 ended the transaction that it ran in"),
            "{refused}"
        );
        let mut resolve = project.database.schemaward();
        let resolved = Ended::of(&resolve.args(["resolve", "001", verdict]).output().unwrap());
        assert_eq!(resolved.code, Some(0), "{resolved:#?}");
        project.succeed("up");
        assert_eq!(project.applied(), "001 002");
        assert_eq!(
            project.database.query_text("SELECT count(*) FROM log"),
            rows
        );
    }
}
