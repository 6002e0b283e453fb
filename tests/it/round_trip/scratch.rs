//! The scratch database: nothing is left of it, and a clean-up drops no other.

use std::process::Stdio;

use super::*;
use crate::harness::{Postgres, eventually};
use crate::operator_rig::LIMIT;

/// Scratch databases on the server, those of other tests included.
fn scratch_databases(server: &Postgres) -> Vec<String> {
    let sql = "SELECT datname FROM pg_database WHERE datname LIKE 'schemaward\\_test\\_%'";
    server.admin_exec(sql).lines().map(str::to_owned).collect()
}

#[test]
fn nothing_is_left_of_the_database_whatever_happens() {
    // A server of its own: its scratch databases are nobody else's.
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(16, &[])));
    let project = Project::on(server, "test_left");
    project.table("001", "widgets");
    assert_eq!(run(&project, "").code, Some(0));
    assert_eq!(scratch_databases(server), [""; 0]);

    version(&project, 2, "SELECT nowhere", "SELECT 1");
    assert_eq!(run(&project, "").code, Some(1));
    assert_eq!(scratch_databases(server), [""; 0]);

    version(&project, 2, "SELECT pg_sleep(600)", "SELECT 1");
    for signal in ["INT", "TERM", "KILL"] {
        let mut command = test(&project, "");
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        eventually(LIMIT, || match server.admin_exec(sleeps).as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        });
        let in_use = run(&project, "--cleanup");
        assert_eq!(
            (in_use.code, in_use.stdout.as_str()),
            (Some(0), ""),
            "it is in use"
        );
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &pid])
                .status()
                .unwrap()
                .success()
        );
        child.wait().unwrap();
        let left = usize::from(signal == "KILL");
        assert_eq!(scratch_databases(server).len(), left, "{signal}");
    }
    let dropped = eventually(LIMIT, || {
        let ended = run(&project, "--cleanup");
        if ended.stdout.is_empty() {
            Err(ended)
        } else {
            Ok(ended)
        }
    });
    assert!(
        dropped.stdout.starts_with("dropped  schemaward_test_"),
        "{dropped:?}"
    );
    assert_eq!(scratch_databases(server), [""; 0]);

    version(&project, 2, "SELECT 1", "SELECT 1");
    let kept = run(&project, "--keep");
    assert!(kept.stderr.contains("is kept"), "{kept:?}");
    assert_eq!(scratch_databases(server).len(), 1);
    assert_eq!(run(&project, "--cleanup").stdout, "", "it is kept");
    assert_eq!(scratch_databases(server).len(), 1);
}

#[test]
fn a_clean_up_drops_nothing_that_is_not_ours() {
    // A server of its own: others' scratch databases are not at stake.
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(16, &[])));
    let project = Project::on(server, "test_planted_operator");
    server.admin_exec("CREATE DATABASE precious");
    server.admin_exec("CREATE DATABASE schemaward_test_0123456789abcdef0123456789abcdef");
    project.database.admin_exec(
        "CREATE FUNCTION yes(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR ~ (FUNCTION = yes, LEFTARG = name, RIGHTARG = text);
         ALTER ROLE ALL SET search_path TO public, pg_catalog",
    );
    let ended = run(&project, "--cleanup");
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    let left = "SELECT count(*) FROM pg_database WHERE datname IN ('precious', 'schemaward_test_0123456789abcdef0123456789abcdef')";
    assert_eq!(server.admin_exec(left), "2");
}

/// Killed between the creation of its database and the comment by which a clean-up knows it.
#[test]
fn a_clean_up_knows_what_a_kill_left_before_it_was_marked() {
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(16, &[])));
    let project = Project::on(server, "test_unmarked");
    version(&project, 1, "SELECT 1", "SELECT 1");
    let mut holder = server
        .admin_spawn("BEGIN; LOCK TABLE pg_catalog.pg_shdescription IN SHARE MODE; SELECT 1;");
    let sessions = |which: &str| {
        server.admin_exec(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE {which}"
        ))
    };
    let is_one = |which: &str| {
        eventually(LIMIT, || match sessions(which).as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        });
    };
    is_one("state = 'idle in transaction'");
    let mut child = test(&project, "")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    is_one("wait_event_type = 'Lock' AND query LIKE 'COMMENT ON DATABASE%'");
    let name = scratch_databases(server).concat();
    server.admin_exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COMMENT ON DATABASE%'",
    );
    child.kill().expect("our own child");
    child.wait().expect("it ends");
    holder.kill().expect("psql runs");
    holder.wait().expect("it ends");
    eventually(LIMIT, || {
        let ended = run(&project, "--cleanup");
        if ended.stdout == format!("dropped  {name}\n") {
            Ok(())
        } else {
            Err(ended)
        }
    });
    assert_eq!(scratch_databases(server), Vec::<String>::new());
}

/// One that is being made, and has nobody connected to it yet, belongs to its maker.
#[test]
fn a_clean_up_leaves_alone_what_is_being_made() {
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(16, &[])));
    let project = Project::on(server, "test_made");
    let name = "schemaward_test_f123456789abcdef0123456789abcdef";
    server.admin_exec(&format!("CREATE DATABASE {name} CONNECTION LIMIT 1000003"));
    let key = "x'f123456789abcdef'::bigint";
    let sql = format!("SELECT pg_advisory_lock({key}), 'a maker';");
    let mut maker = server.admin_spawn(&sql);
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    eventually(LIMIT, || match server.admin_exec(held).as_str() {
        "1" => Ok(()),
        seen => Err(seen.to_owned()),
    });
    let ended = run(&project, "--cleanup");
    assert_eq!(ended.stdout, "", "{ended:?}");
    maker.kill().expect("psql runs");
    maker.wait().expect("it ends");
    eventually(LIMIT, || match run(&project, "--cleanup").stdout {
        dropped if dropped == format!("dropped  {name}\n") => Ok(()),
        other => Err(other),
    });
}

#[test]
fn a_second_signal_does_not_wait_for_the_database_to_be_dropped() {
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(16, &[])));
    let project = Project::on(server, "test_second_signal");
    version(&project, 1, "SELECT pg_sleep(600)", "SELECT 1");
    let child = test(&project, "--lock-timeout 50s")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let is_one = |sql: &str| {
        eventually(LIMIT, || match server.admin_exec(sql).as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        });
    };
    is_one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    let name = scratch_databases(server).concat();
    let mut holder = server.admin_spawn(&format!(
        "BEGIN; COMMENT ON DATABASE {name} IS 'held'; SELECT 1;"
    ));
    is_one("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'");
    let interrupt = || {
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    };
    interrupt();
    is_one(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DROP DATABASE%'",
    );
    interrupt();
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains(&format!(
            "Stopped without waiting for scratch database {name} to be dropped"
        )) && ended.stderr.contains("`schemaward test --cleanup`"),
        "{ended:?}"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
}
