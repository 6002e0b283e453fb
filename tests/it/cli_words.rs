//! What the command line says where a person could read it wrongly or overlook it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cli::{Ended, Project, first_columns};
use crate::harness::eventually;

const LIMIT: Duration = Duration::from_secs(30);

/// Standard error without the folder, which is another one in each run.
fn said(project: &Project, ended: &Ended) -> String {
    let folder = format!("{}/", project.path("").display());
    ended.stderr.replace(folder.trim_end_matches('/'), "")
}

#[test]
fn list_tells_which_files_cannot_be_used_and_lists_the_others() {
    let project = Project::new("words_list");
    project.table("001", "a").succeed("up");
    project
        .write("002_b_UP.sql", "CREATE TABLE b (id int);\nCOMMIT;\n")
        .write("3-c_UP.sql", "SELECT 1;")
        .write("004_d_DOWN.sql", "SELECT 1;")
        .table("005", "e");
    let refused = project.fail(1, "up");
    let ended = project.run("list");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(
        first_columns(&ended.stdout)[1..],
        ["001 applied a", "002 pending b", "005 pending e"]
    );
    let told: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(told.len(), 4, "{ended:#?}");
    // In the words of `up`.
    for line in &told[..3] {
        let (label, defect) = line.split_once(": ").unwrap();
        assert_eq!(label, "warning");
        assert!(refused.contains(defect), "{line}\n{refused}");
    }
    for file in ["002_b_UP.sql, line 2", "3-c_UP.sql: ", "004_d_DOWN.sql: "] {
        assert!(ended.stderr.contains(file), "{file}: {ended:#?}");
    }
    assert_eq!(
        told[3],
        "note: `up` runs nothing as long as a file cannot be used."
    );
    assert!(project.run("list -o json").stderr.contains("3-c_UP.sql"));
}

#[test]
fn list_tells_of_a_file_that_another_program_applied() {
    let project = Project::new("words_list_applied");
    project.table("001", "a").succeed("up");
    assert_eq!(project.run("list").stderr, "");
    project.write("002_b_UP.sql", "SELECT 1; COMMIT; SELECT 2;");
    project
        .database
        .exec("INSERT INTO schema_migrations (version, name) VALUES ('002', 'b')");
    let ended = project.run("list");
    assert_eq!(first_columns(&ended.stdout)[2], "002 applied b");
    assert!(ended.stderr.contains("002_b_UP.sql, line 1"), "{ended:#?}");
}

#[test]
fn check_shows_a_syntax_error_and_does_not_fail_for_it() {
    let project = Project::new("words_check");
    project.table("001", "a").write(
        "001_a_UP.sql",
        "CREATE TABLE a (\n  id bigint\n  b bigint\n);\n",
    );
    let ended = project.run("check --offline");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for part in [
        "warning[not-understood]: This looks like a syntax error: ",
        "001_a_UP.sql:3:3\n",
        "\n3 |   b bigint\n  |   ^\n",
        "2 files: 1 warning",
    ] {
        assert!(ended.stdout.contains(part), "no {part:?}: {}", ended.stdout);
    }
    assert_eq!(
        project.run("check --offline --fail-on warning").code,
        Some(1)
    );
    project.write(
        "001_a_UP.sql",
        "-- schemaward: allow not-understood because PostgreSQL takes it\nSET ROLE TO DEFAULT;\n",
    );
    assert_eq!(
        project.run("check --offline --fail-on warning").code,
        Some(0)
    );
}

#[test]
fn a_test_speaks_of_its_scratch_database() {
    let project = Project::new("words_test");
    project
        .table("001", "a")
        .write("002_b_UP.sql", "INSERT INTO nowhere VALUES (1);\n");
    let server = project.database.server;
    let mut command = project.command("test");
    command
        .env("POSTGRES_USER", &server.superuser)
        .env("POSTGRES_PASSWORD", &server.password);
    let ended = Ended::of(&command.output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let expected =
        "Nothing of 002 was applied; the scratch database is at 001. Correct 002 and commit.\n";
    assert!(ended.stderr.ends_with(expected), "{ended:#?}");
    assert!(!ended.stderr.contains("the database is"), "{ended:#?}");
    // The person's own is called so as before.
    assert!(
        project
            .run("up")
            .stderr
            .contains("; the database is at 001.")
    );
}

#[test]
fn accepting_a_lost_row_says_what_comes_next() {
    let project = Project::new("words_accept");
    project.table("001", "a").table("002", "b").succeed("up");
    project
        .database
        .exec("DELETE FROM schema_migrations WHERE version = '001'");
    assert!(project.fail(1, "up").contains("`schemaward accept 001`"));
    let ended = project.run("accept 001");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let next = "001 counts as not applied. No run applies it (out of order): 002, which comes later, is applied. If \
                what 001 did is still in the database, put its row back into the history table, and the next run takes \
                it over; otherwise renumber 001 above 002. No script was run.\n";
    assert!(ended.stderr.ends_with(next), "{ended:#?}");
    // It is so, both ways.
    let stopped = project.fail(1, "up");
    assert!(
        stopped.contains("001 is not applied, but 002, which comes later, is."),
        "{stopped}"
    );
    project
        .database
        .exec("INSERT INTO schema_migrations (version, name) VALUES ('001', 'a')");
    project.succeed("up");
    assert_eq!(project.applied(), "001 002");
    project.succeed("down --to 001");
    project
        .database
        .exec("DELETE FROM schema_migrations; DROP TABLE a");
    let ended = project.run("accept 001");
    let next = "001 counts as not applied, and the next run applies it. No script was run.\n";
    assert!(ended.stderr.ends_with(next), "{ended:#?}");
    project.succeed("up");
    assert_eq!(project.applied(), "001 002");
}

#[test]
fn converted_line_ends_are_no_riddle() {
    let project = Project::new("words_crlf");
    project.table("001", "a").table("002", "b").succeed("up");
    for file in [
        "001_a_UP.sql",
        "001_a_DOWN.sql",
        "002_b_UP.sql",
        "002_b_DOWN.sql",
    ] {
        let text = std::fs::read_to_string(project.path(file)).unwrap();
        project.write(file, &text.replace('\n', "\r\n"));
    }
    for command in ["up", "plan"] {
        let stopped = project.fail(1, command);
        for part in [
            "UP of 001 was ",
            " and differs only in its line ends (CR LF instead of LF); DOWN of 001 was ",
            "The database was not changed. Git or an editor converted the line ends. Convert these files back to LF \
             where they come from (a checkout, a commit, a ConfigMap), and put `*.sql -text` into .gitattributes, so \
             that Git leaves them as they are.\n",
        ] {
            assert!(stopped.contains(part), "no {part:?}: {stopped}");
        }
        assert!(!stopped.contains("accept"), "{stopped}");
    }
    // Anything else that differs is a change.
    project.write("001_a_UP.sql", "CREATE TABLE a (id bigint);\r\n");
    let stopped = project.fail(1, "up");
    assert!(stopped.contains("schemaward accept 001:"), "{stopped}");
}

/// A run that is at work on 002, which sleeps.
fn at_work(project: &Project) -> Child {
    project.table("001", "a").write(
        "002_slow_UP.sql",
        "CREATE TABLE b ();\nSELECT pg_sleep(600);\n",
    );
    let mut command: Command = project.command("up");
    let run = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let run = run.expect("the program starts");
    eventually(LIMIT, || {
        match project
            .database
            .admin_exec(&at_sleep(project, "count(*)"))
            .as_str()
        {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    run
}

/// What the server has of the session that sleeps.
fn at_sleep(project: &Project, what: &str) -> String {
    format!(
        "SELECT {what} FROM pg_stat_activity WHERE datname = '{}' AND state = 'active'
         AND application_name = 'schemaward/cli' AND query LIKE '%pg_sleep(600)%'",
        project.database.name
    )
}

fn end(project: &Project, run: Child) -> String {
    let ended = Ended::of(&run.wait_with_output().unwrap());
    said(project, &ended)
}

#[test]
fn a_signal_says_what_is_left_of_the_version_and_where_the_database_is() {
    let project = Project::new("words_signal");
    let run = at_work(&project);
    let kill = Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(
        end(&project, run),
        "note: Stopping: the running statement of 002 slow is being cancelled. A second signal stops without waiting \
         for that.\n\
         error: Cancelled on request. What was under way in a transaction was rolled back. Nothing of 002 was applied; \
         the database is at 001. The rest runs next time.\n"
    );
}

#[test]
fn a_session_that_the_server_ends_leaves_no_doubt_which_version_it_was() {
    let project = Project::new("words_shutdown");
    let run = at_work(&project);
    let ended = project
        .database
        .admin_exec(&at_sleep(&project, "pg_terminate_backend(pid)"));
    assert_eq!(ended, "t");
    let server = project.database.server;
    assert_eq!(
        end(&project, run),
        format!(
            "error: The server at {}:{} ended the work: terminating connection due to administrator command (57P01). A \
             version that was under way is either recorded whole or rolled back; the next look at the database tells. \
             The version under way was 002 slow; before it, the database was at 001. Try again.\n",
            server.host, server.port
        )
    );
    assert_eq!(project.applied(), "001");
}
