//! Bad input at the command line: nothing is lost, and the message says what, where and what to do.

use std::process::Command;

use crate::cli::{Ended, Project};
use crate::harness::{Postgres, postgres_major};

/// Lines that do nothing, to have an error further down.
fn filler(lines: usize) -> String {
    "-- filler\n".repeat(lines)
}

#[track_caller]
fn has_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert!(
        !text.contains("ries again"),
        "a command does not come back:\n{text}"
    );
}

#[test]
fn malformed_sql_at_line_40_is_shown_with_a_caret() {
    let project = Project::new("line_40");
    project.table("001", "a").write(
        "002_broken_UP.sql",
        &format!(
            "CREATE TABLE b (id int);\n{}INSERT INTO nowhere VALUES (1);\n",
            filler(38)
        ),
    );
    let ended = project.run("up");
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stdout.starts_with("001  applied  a  "), "{ended:#?}");
    has_all(
        &ended.stderr,
        &[
            "error: relation \"nowhere\" does not exist (42P01)\n",
            "002_broken_UP.sql:40:13\n",
            "\n40 | INSERT INTO nowhere VALUES (1);\n   |             ^^^^^^^\n",
            "002 broken failed at line 40, column 13",
            "Nothing of 002 was applied; the database is at 001. Correct 002 and commit.\n",
        ],
    );
    assert!(!project.has("b"));
    assert_eq!(project.applied(), "001");
}

#[test]
fn a_syntax_error_is_shown_in_the_same_way() {
    let project = Project::new("syntax");
    project.write(
        "001_a_UP.sql",
        "CREATE TABLE a (id int);\n\nCREATE TALBE b (id int);\n",
    );
    let message = project.fail(1, "up");
    has_all(
        &message,
        &[
            "001_a_UP.sql:3:8\n",
            "\n3 | CREATE TALBE b (id int);\n  |        ^^^^^\n",
            "(42601)",
        ],
    );
    assert!(!project.has("a"));
}

#[test]
fn a_constraint_violation_keeps_its_values_to_itself() {
    let project = Project::new("constraint");
    project.database.exec(
        "CREATE TABLE users (email text UNIQUE); INSERT INTO users VALUES ('alice@example.com')",
    );
    project.write(
        "001_users_UP.sql",
        "CREATE TABLE a ();\nCREATE TABLE b ();\n\
         INSERT INTO users\n  SELECT email FROM users;\n",
    );
    let message = project.fail(1, "up");
    has_all(
        &message,
        &[
            "users_email_key",
            "(23505)",
            "001_users_UP.sql:3:1\n",
            "\n3 | INSERT INTO users\n  | ^^^^^^\n",
            "Nothing of 001 was applied",
        ],
    );
    assert!(!message.contains("alice"), "{message}");
    assert!(!project.has("a"));
}

#[test]
fn a_failing_way_back_shows_the_stored_text() {
    let project = Project::new("stored");
    project
        .write("001_a_UP.sql", "CREATE TABLE a ();")
        .write("001_a_DOWN.sql", "-- the way back\nDROP TABLE nowhere;\n");
    project.succeed("up");
    let text = "\n2 | DROP TABLE nowhere;\n";
    has_all(
        &project.fail(1, "down 001"),
        &["001_a_DOWN.sql:2:1\n", text],
    );
    project.remove("001_a_UP.sql").remove("001_a_DOWN.sql");
    has_all(
        &project.fail(1, "down 001"),
        &[
            "stored DOWN of 001 a:2:1\n",
            text,
            "Nothing of 001 was undone; the database is at 001.",
        ],
    );
    assert!(project.has("a"));
}

#[test]
fn a_changed_file_of_an_applied_version_stops_all() {
    let project = Project::new("changed");
    project.table("001", "a");
    project.succeed("up");
    project
        .write("001_a_UP.sql", "CREATE TABLE a (id bigint);")
        .table("002", "b");
    has_all(&project.fail(1, "up"), &["001"]);
    has_all(&project.fail(1, "plan"), &["001"]);
    let list = project.run("list");
    assert_eq!(list.code, Some(0), "{list:#?}");
    has_all(&list.stdout, &["001      changed  a "]);
    has_all(&list.stderr, &["warning: ", "001"]);
    assert!(!project.has("b"));
}

#[test]
fn a_version_gone_from_the_middle_stops_all() {
    let project = Project::new("middle");
    project
        .table("001", "a")
        .table("002", "b")
        .table("003", "c");
    project.succeed("up");
    project
        .remove("002_b_UP.sql")
        .remove("002_b_DOWN.sql")
        .table("004", "d");
    has_all(&project.fail(1, "up"), &["002"]);
    has_all(&project.run("list").stdout, &["002      missing  b "]);
    assert_eq!(project.applied(), "001 002 003");
}

#[test]
fn a_version_inserted_below_the_current_one_stops_all() {
    let project = Project::new("inserted");
    project.table("001", "a").table("003", "c");
    project.succeed("up");
    project.table("002", "b");
    has_all(&project.fail(1, "up"), &["002", "003"]);
    assert_eq!(project.applied(), "001 003");
}

#[test]
fn a_way_back_without_down_undoes_nothing() {
    let project = Project::new("no_down");
    project
        .table("001", "a")
        .write("002_b_UP.sql", "CREATE TABLE b ();")
        .table("003", "c");
    project.succeed("up");
    has_all(&project.fail(1, "down --to 001"), &["002", "DOWN"]);
    assert_eq!(project.applied(), "001 002 003");
}

#[test]
fn all_defects_of_the_files_are_told_at_once_and_before_connecting() {
    let project = Project::new("defects");
    project
        .write("001_a_UP.sql", "CREATE TABLE a ();\nCOMMIT;\n")
        .write("1_b_UP.sql", "SELECT 1;")
        .write("002_empty_UP.sql", "-- nothing\n")
        .write("003_c_DOWN.sql", "SELECT 1;")
        .write("004_d.sql", "SELECT 1;")
        .write("005_e_UP.sql", "\\i other.sql\n");
    let ended = project
        .command("up")
        .env("POSTGRES_PORT", "1")
        .output()
        .unwrap();
    let ended = Ended::of(&ended);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    has_all(
        &ended.stderr,
        &[
            "001_a_UP.sql",
            "line 2, column 1",
            "1_b_UP.sql",
            "002_empty_UP.sql",
            "003_c_DOWN.sql",
            "004_d.sql",
            "005_e_UP.sql",
        ],
    );
    assert!(
        ended.stderr.lines().all(|line| line.starts_with("error: ")),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let project = Project::new("folder");
    let run = |folder: &str| {
        let output = project
            .database
            .schemaward()
            .args(["up", "--dir", folder])
            .output();
        Ended::of(&output.unwrap())
    };
    let missing = run("/nowhere/migrations");
    assert_eq!(missing.code, Some(1));
    assert_eq!(
        missing.stderr,
        "error: There is no folder /nowhere/migrations. Name the one that holds the migrations with --dir.\n"
    );
    project.write("file", "");
    assert!(
        run(&project.path("file").display().to_string())
            .stderr
            .contains("is not a folder")
    );
    // The history can be listed without files; going by the files of a wrong folder is a mistake.
    let empty = Project::new("empty");
    let ended = empty.run("list");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    has_all(&ended.stderr, &["holds no migrations"]);
    for command in ["up", "plan"] {
        let ended = empty.run(command);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        has_all(
            &ended.stderr,
            &["holds no migrations", "Nothing was changed"],
        );
    }
}

#[test]
fn what_is_wrong_with_the_connection_is_said_and_the_password_is_not() {
    let project = Project::new("connection");
    project.table("001", "a");
    let run = |set: &dyn Fn(&mut Command)| {
        let mut command = project.command("up");
        set(&mut command);
        let ended = Ended::of(&command.output().unwrap());
        assert!(!ended.stderr.contains("password-of"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("a-secret"), "{}", ended.stderr);
        (ended.code, ended.stderr)
    };

    let (code, message) = run(&|command| {
        command.env("POSTGRES_PASSWORD", "a-secret");
    });
    assert_eq!(code, Some(1), "{message}");
    has_all(&message, &["did not accept", "28P01"]);

    let (code, message) = run(&|command| {
        command.env("POSTGRES_DB", "nowhere");
    });
    assert_eq!(code, Some(1), "{message}");
    has_all(&message, &["nowhere", "3D000"]);

    let (code, message) = run(&|command| {
        command.env("POSTGRES_PORT", "1");
    });
    assert_eq!(code, Some(3), "{message}");
    has_all(&message, &["127.0.0.1:1", "Try again."]);

    let (code, message) = run(&|command| {
        command.args(["--sslmode", "verify-full"]);
    });
    assert_eq!(code, Some(1), "{message}");
    has_all(&message, &["certificate"]);

    let ca = project.database.server.ca.clone();
    let (code, message) = run(&|command| {
        command
            .arg("--sslmode=verify-full")
            .arg("--ca-file")
            .arg(&ca);
    });
    assert_eq!(code, Some(0), "{message}");
}

#[test]
fn tls_that_is_demanded_is_said() {
    let project = Project::new("demanded");
    project.database.require_tls();
    let message = project.fail(1, "list");
    has_all(&message, &["TLS", "--sslmode"]);
    project.succeed(&format!(
        "list --ca-file {}",
        project.database.server.ca.display()
    ));
}

#[test]
fn a_database_that_is_down_may_come_back() {
    let server = Postgres::start(16, &[]);
    let database = server.database("restart");
    let list = || {
        Ended::of(
            &database
                .schemaward()
                .args(["init", "--lock-wait=0"])
                .output()
                .unwrap(),
        )
    };
    server.stop("fast");
    assert_eq!(list().code, Some(3));
    server.start_again();
    assert_eq!(list().code, Some(0));
}

#[test]
fn a_role_without_create_is_told_what_to_grant() {
    let project = Project::new("grants");
    project.table("001", "a");
    let user = &project.database.user;
    project.database.admin_exec(&format!(
        "ALTER DATABASE {user} OWNER TO postgres; REVOKE ALL ON SCHEMA public FROM PUBLIC, {user};
         GRANT USAGE ON SCHEMA public TO {user};"
    ));
    let message = project.fail(1, "up");
    has_all(&message, &["GRANT", "CREATE", "Nothing was changed"]);
    assert!(!project.has("schema_migrations"));
}

#[test]
fn the_history_of_another_tool_is_left_alone() {
    let project = Project::new("rails");
    project.table("001", "a");
    project
        .database
        .exec("CREATE TABLE schema_migrations (version varchar PRIMARY KEY)");
    has_all(&project.fail(1, "up"), &["Rails"]);
    has_all(&project.fail(1, "list"), &["Rails"]);
    assert!(!project.has("a"));
}

#[test]
fn every_supported_server_works() {
    for major in 14..=18 {
        let database = postgres_major(major).database("versions");
        let project = Project::new("versions");
        project.table("001", "a");
        let folder = project.path("").display().to_string();
        for arguments in ["up", "list", "plan", "down 001"] {
            let output = database
                .schemaward()
                .args(arguments.split_whitespace())
                .args(["--dir", &folder])
                .output();
            let ended = Ended::of(&output.unwrap());
            assert_eq!(ended.code, Some(0), "{major} {arguments}: {ended:#?}");
        }
    }
}
