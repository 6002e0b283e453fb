//! Two runs at once, and runs that are asked to stop.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli::{Ended, Project, first_columns};
use crate::harness::eventually;
use crate::waiting::without_numbers;

const LIMIT: Duration = Duration::from_secs(30);

fn start(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn end(child: Child) -> Ended {
    Ended::of(&child.wait_with_output().unwrap())
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Waits until a session of ours in the project's database runs something that is like `pattern`.
fn wait_for_statement(project: &Project, pattern: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND state = 'active'
         AND application_name = 'schemaward/cli' AND query LIKE '%{pattern}%'",
        project.database.name
    );
    eventually(LIMIT, || match project.database.admin_exec(&sql).as_str() {
        "1" => Ok(()),
        seen => Err(seen.to_owned()),
    });
}

#[test]
fn two_runs_at_once_apply_every_version_once() {
    let project = Project::new("two");
    project.database.exec("CREATE TABLE log (version text)");
    for version in ["001", "002", "003", "004"] {
        project.write(
            &format!("{version}_x_UP.sql"),
            &format!("INSERT INTO log VALUES ('{version}'); SELECT pg_sleep(0.1);"),
        );
    }
    let runs: Vec<_> = (0..3).map(|_| start(&mut project.command("up"))).collect();
    let runs: Vec<_> = runs.into_iter().map(end).collect();
    for run in &runs {
        assert_eq!(run.code, Some(0), "{runs:#?}");
    }
    let mut applied: Vec<_> = runs
        .iter()
        .flat_map(|run| first_columns(&run.stdout))
        .collect();
    applied.sort();
    assert_eq!(
        applied,
        [
            "001 applied x",
            "002 applied x",
            "003 applied x",
            "004 applied x"
        ]
    );
    assert_eq!(
        project
            .database
            .query_text("SELECT string_agg(version, ' ' ORDER BY version) FROM log"),
        "001 002 003 004"
    );
    let waited = runs
        .iter()
        .filter(|run| run.stderr.contains("schemaward/cli"));
    assert!(waited.count() >= 1, "who waits is told for whom: {runs:#?}");
}

#[test]
fn a_run_that_may_not_wait_gives_up_and_names_the_holder() {
    let project = Project::new("held");
    project.write("001_slow_UP.sql", "SELECT pg_sleep(600);");
    let holder = start(&mut project.command("up"));
    wait_for_statement(&project, "pg_sleep(600)");
    let refused = project.fail(3, "up --lock-wait 0");
    assert!(refused.contains("app \"schemaward/cli\""), "{refused}");
    assert!(refused.contains("Nothing was changed"), "{refused}");
    assert!(!refused.contains("Waited"), "{refused}");
    send("-INT", &holder);
    assert_eq!(end(holder).code, Some(1));
}

#[test]
fn a_signal_in_the_middle_of_a_version_leaves_nothing_of_it() {
    for signal in ["-INT", "-TERM"] {
        let project = Project::new("signal");
        project
            .table("001", "a")
            .write(
                "002_slow_UP.sql",
                "CREATE TABLE b ();\nSELECT pg_sleep(600);\n",
            )
            .table("003", "c");
        let run = start(&mut project.command("up"));
        wait_for_statement(&project, "pg_sleep(600)");
        let began = Instant::now();
        send(signal, &run);
        let ended = end(run);
        assert!(began.elapsed() < LIMIT, "it took {:?}", began.elapsed());
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert_eq!(first_columns(&ended.stdout), ["001 applied a"]);
        for part in ["002 slow", "rolled back"] {
            assert!(ended.stderr.contains(part), "{ended:#?}");
        }
        project.database.nothing_is_left();
        assert!(!project.has("b") && !project.has("c"));
        assert_eq!(project.applied(), "001");
    }
}

/// Versions that share a Query: which of them runs is not known here, and nothing behind it does.
#[test]
fn a_signal_in_the_middle_of_a_shared_query_ends_it_there() {
    let project = Project::new("signal_along");
    project.database.admin_exec(
        "CREATE FUNCTION waits() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.c') THEN \
         PERFORM pg_sleep(600); END IF; END $$; \
         CREATE EVENT TRIGGER waits ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION waits()",
    );
    for (version, table) in [("001", "a"), ("002", "b"), ("003", "c"), ("004", "d")] {
        project.table(version, table);
    }
    let run = start(&mut project.command("up"));
    let asleep = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event = 'PgSleep'",
        project.database.name
    );
    eventually(LIMIT, || {
        match project.database.admin_exec(&asleep).as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    assert_eq!(project.applied(), "001 002");
    send("-INT", &run);
    let ended = end(run);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(
        first_columns(&ended.stdout),
        ["001 applied a", "002 applied b"]
    );
    for part in [
        "the running statement of 001 a and those up to 004 is being cancelled",
        "Nothing of 003 was applied; the database is at 002.",
    ] {
        assert!(ended.stderr.contains(part), "{ended:#?}");
    }
    project.database.nothing_is_left();
    assert!(!project.has("c") && !project.has("d"));
    assert_eq!(project.applied(), "001 002");
}

#[test]
fn a_run_that_is_killed_leaves_nothing_to_the_next_one_either() {
    let project = Project::new("killed");
    project.write(
        "001_slow_UP.sql",
        "CREATE TABLE b ();\nSELECT pg_sleep(600);\n",
    );
    let run = start(&mut project.command("up"));
    wait_for_statement(&project, "pg_sleep(600)");
    send("-KILL", &run);
    end(run);
    // The server looks each second whether the client is still there (client_connection_check_interval).
    let killed = Instant::now();
    project.database.nothing_is_left();
    let took = killed.elapsed();
    assert!(
        took < Duration::from_secs(4),
        "the session ended after {took:?}"
    );
    assert!(!project.has("b"));
    project.write("001_slow_UP.sql", "CREATE TABLE b ();");
    project.succeed("up --lock-wait 0");
}

#[test]
fn a_signal_while_waiting_for_the_lock_ends_the_wait() {
    let project = Project::new("waiting");
    project.write("001_slow_UP.sql", "SELECT pg_sleep(600);");
    let holder = start(&mut project.command("up"));
    wait_for_statement(&project, "pg_sleep(600)");
    let mut waiting = start(&mut project.command("up --lock-wait 10m"));
    let mut said = String::new();
    let mut stderr = BufReader::new(waiting.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    assert!(
        said.starts_with("note: Another run migrates this database; waiting for it.")
            && said.contains("app \"schemaward/cli\""),
        "{said}"
    );
    send("-INT", &waiting);
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(end(waiting).code, Some(1), "{said}");
    assert!(said.contains("on request"), "{said}");
    send("-TERM", &holder);
    assert_eq!(end(holder).code, Some(1));
    project.database.nothing_is_left();
}

#[test]
fn a_lock_that_the_application_holds_is_waited_for_and_its_holder_named() {
    let project = Project::new("blocked");
    project.database.exec("CREATE TABLE orders (id int)");
    project.write("001_add_UP.sql", "ALTER TABLE orders ADD COLUMN note text;");
    let mut application = project
        .database
        .hold("report", "BEGIN; SELECT * FROM orders;");
    let run = start(&mut project.command("up --lock-timeout 3s"));
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'
         AND application_name = 'schemaward/cli' AND wait_event_type = 'Lock'",
        project.database.name
    );
    eventually(LIMIT, || match project.database.admin_exec(&sql).as_str() {
        "1" => Ok(()),
        seen => Err(seen.to_owned()),
    });
    // One attempt fails; then the way is free.
    eventually(LIMIT, || match project.database.admin_exec(&sql).as_str() {
        "0" => Ok(()),
        seen => Err(seen.to_owned()),
    });
    application.kill().unwrap();
    application.wait().unwrap();
    let ended = end(run);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let said = without_numbers(&ended.stderr);
    let expected = format!(
        "note: 001 waits for a lock on public.orders held for N s by pid N (app \"report\", role \"{}\", idle \
         in transaction). Nothing of it is kept. Attempt 2 of 11 in ",
        project.database.user
    );
    assert!(said.starts_with(&expected), "{said}");
    assert_eq!(project.applied(), "001");
}

#[test]
fn a_signal_outside_of_a_transaction_leaves_what_the_next_run_settles() {
    let project = Project::new("concurrently");
    project.database.exec("CREATE TABLE orders (id int)");
    project.write(
        "001_index_UP.sql",
        "CREATE INDEX CONCURRENTLY orders_id ON orders (id);",
    );
    // An index is built without locking, and waits for every transaction that wrote.
    let mut application = project
        .database
        .hold("writer", "BEGIN; INSERT INTO orders VALUES (1);");
    let run = start(&mut project.command("up --lock-timeout 0"));
    wait_for_statement(&project, "CONCURRENTLY");
    send("-INT", &run);
    let ended = end(run);
    application.kill().unwrap();
    application.wait().unwrap();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(ended.stdout, "");
    project.database.no_session_is_left();
    for part in [
        "Cancelled on request.",
        "What became of statement 1 is looked up in the catalog by the next run; 001 is not recorded",
    ] {
        assert!(ended.stderr.contains(part), "no {part:?}: {ended:#?}");
    }
    assert_eq!(project.applied(), "");
    project.succeed("up");
    assert_eq!(
        project.database.query_text(
            "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid
             WHERE indrelid = 'orders'::regclass"
        ),
        "orders_id|t"
    );
}

#[test]
fn the_server_notices_within_seconds_that_we_are_gone() {
    // A role and a database whose own settings would have it wait for ever.
    let project = Project::new("keepalives");
    let (user, name) = (&project.database.user, &project.database.name);
    project.database.admin_exec(&format!(
        "ALTER ROLE {user} SET client_connection_check_interval = 0; \
         ALTER DATABASE {name} SET tcp_keepalives_idle = 7200; \
         ALTER ROLE {user} SET tcp_user_timeout = 0"
    ));
    project.write(
        "001_shown_UP.sql",
        "CREATE TABLE shown AS SELECT name, setting, source FROM pg_settings WHERE source = 'client';",
    );
    project.succeed("up");
    let shown = project.database.query_text(
        "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM shown WHERE name LIKE 'tcp_%' \
         OR name = 'client_connection_check_interval'",
    );
    assert_eq!(
        shown,
        "client_connection_check_interval=1000 tcp_keepalives_count=2 tcp_keepalives_idle=3 \
         tcp_keepalives_interval=2 tcp_user_timeout=5000"
    );
}
