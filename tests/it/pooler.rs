//! PgBouncer between us and the server, in each of its modes.

use std::time::Duration;

use serde_json::json;

use crate::cli::{Ended, Project, first_columns};
use crate::harness::{PgBouncer, eventually, postgres};
use crate::operator_rig::{Tenant, cluster, inline, resource};

const LIMIT: Duration = Duration::from_secs(30);

const MODES: [&str; 3] = ["transaction", "statement", "session"];

/// What lets our start-up packet through, and swallows it.
const SWALLOWS: &str = "ignore_startup_parameters = extra_float_digits, options";

/// Runs a command through the pooler.
fn through(project: &Project, bouncer: &PgBouncer, arguments: &str) -> Ended {
    let mut command = project.command(arguments);
    command.env("POSTGRES_PORT", bouncer.port.to_string());
    Ended::of(&command.output().expect("the program starts"))
}

/// The command refuses the pooler with these words, and wrote nothing.
#[track_caller]
fn refused(project: &Project, ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(ended.stdout, "", "{ended:#?}");
    for word in words {
        assert!(ended.stderr.contains(word), "no {word:?} in {ended:#?}");
    }
    assert!(
        !project.has("public.schema_migrations") && !project.has("schemaward.audit"),
        "{ended:#?}"
    );
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = \
                 (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(project.database.admin_exec(locks), "0", "a lock is left");
}

#[test]
fn a_pooler_that_refuses_our_settings_is_named_and_nothing_is_written() {
    let project = Project::new("bounced");
    project.table("001", "a");
    for mode in MODES {
        let bouncer = PgBouncer::start(&project.database, mode, &[]);
        for command in ["up", "list"] {
            let ended = through(&project, &bouncer, command);
            refused(
                &project,
                &ended,
                &[
                    "is a pooler: it refuses the settings",
                    "Nothing was changed",
                    "connection.pooler: Session (--pooler session)",
                ],
            );
        }
    }
}

#[test]
fn a_pooler_that_swallows_our_settings_is_noticed_at_the_first_look() {
    let project = Project::new("swallowed");
    project.table("001", "a");
    for mode in MODES {
        let bouncer = PgBouncer::start(&project.database, mode, &[SWALLOWS]);
        // Cold, so that the server session is made for us, and then warm.
        for _ in 0..2 {
            let ended = through(&project, &bouncer, "up");
            refused(
                &project,
                &ended,
                &["is a pooler: the server session that answers did not start with"],
            );
        }
    }
}

#[test]
fn a_pooler_in_session_mode_works_when_it_is_declared() {
    let project = Project::new("session_mode");
    let user = &project.database.user;
    project.database.admin_exec(&format!(
        "ALTER ROLE {user} SET statement_timeout = '20ms'; ALTER ROLE {user} SET lock_timeout = '20ms'; \
         ALTER ROLE {user} SET default_transaction_read_only = on"
    ));
    let pinned = "INSERT INTO seen SELECT current_setting('lock_timeout'), \
         current_setting('statement_timeout'), current_setting('client_connection_check_interval');";
    project
        .write(
            "001_seen_UP.sql",
            &format!(
                "CREATE TABLE seen (a text, b text, c text); {pinned} SET statement_timeout = '2ms';"
            ),
        )
        .write("001_seen_DOWN.sql", "DROP TABLE seen;")
        .write("002_more_UP.sql", &format!("{pinned} SELECT pg_sleep(0.1);"))
        .write("002_more_DOWN.sql", "SELECT 1;");
    let bouncer = PgBouncer::start(&project.database, "session", &[]);
    let up = through(&project, &bouncer, "up --pooler session");
    assert_eq!(up.code, Some(0), "{up:#?}");
    assert_eq!(
        first_columns(&up.stdout),
        ["001 applied seen", "002 applied more"]
    );
    let seen = project.database.admin_exec("SELECT * FROM seen");
    assert_eq!(seen, "5s|0|1s\n5s|0|1s");
    let down = through(&project, &bouncer, "down --to 001 --pooler session");
    assert_eq!(down.code, Some(0), "{down:#?}");
    let mut list = project.command("list");
    list.env("POSTGRES_PORT", bouncer.port.to_string())
        .env("POSTGRES_POOLER", "session");
    let list = Ended::of(&list.output().expect("the program starts"));
    assert_eq!(
        first_columns(&list.stdout)[1..],
        ["001 applied seen", "002 pending more"],
        "{list:#?}"
    );
}

#[test]
fn a_pooler_declared_as_session_that_is_not_is_caught_before_anything_is_written() {
    for mode in ["transaction", "statement"] {
        let project = Project::new("declared");
        project.table("001", "a");
        let bouncer = PgBouncer::start(&project.database, mode, &[]);
        for _ in 0..2 {
            let ended = through(&project, &bouncer, "up --pooler session");
            refused(
                &project,
                &ended,
                &["is not in session mode", "Set pool_mode = session"],
            );
        }
    }
}

#[test]
fn a_pool_that_has_no_second_session_is_no_obstacle() {
    let project = Project::new("small_pool");
    project.table("001", "a");
    let bouncer = PgBouncer::start(&project.database, "session", &["default_pool_size = 1"]);
    let up = through(&project, &bouncer, "up --pooler session");
    assert_eq!(up.code, Some(0), "{up:#?}");
}

#[test]
fn a_pooler_that_changes_its_mode_in_the_middle_ends_the_run() {
    let project = Project::new("switched");
    let database = &project.database;
    // An application's lock of its own, which tells us when 001 runs and when it may end.
    let mut gate = database.hold("gate", "SELECT pg_advisory_lock(7);");
    project
        .write("001_a_UP.sql", "SELECT pg_advisory_xact_lock(7);")
        .table("002", "b");
    let user = format!("admin_users = {}", database.user);
    let settings = ["default_pool_size = 2", user.as_str()];
    let bouncer = PgBouncer::start(database, "session", &settings);
    let mut run = project.command("up --pooler session --lock-timeout 0");
    run.env("POSTGRES_PORT", bouncer.port.to_string());
    std::thread::scope(|scope| {
        let run = scope.spawn(move || Ended::of(&run.output().expect("the program starts")));
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND wait_event = 'advisory'";
        eventually(LIMIT, || match database.admin_exec(waits).as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        });
        // The application has the second server session, and one more client queues for ours.
        let mut second = database.hold_at(bouncer.port, "second", "BEGIN; SELECT 1;");
        let third = scope.spawn(|| database.hold_at(bouncer.port, "third", "BEGIN; SELECT 1;"));
        eventually(LIMIT, || match bouncer.waiting(database) {
            1 => Ok(()),
            seen => Err(seen),
        });
        bouncer.switch_to("transaction");
        gate.kill().and_then(|()| gate.wait()).expect("psql ends");
        let mut third = third.join().expect("the third client is served");
        second
            .kill()
            .and_then(|()| second.wait())
            .expect("psql ends");
        let run = run.join().expect("the run ends");
        assert_eq!(run.code, Some(1), "{run:#?}");
        assert_eq!(first_columns(&run.stdout), ["001 applied a"]);
        for words in ["is not in session mode", "another server session answers"] {
            assert!(run.stderr.contains(words), "no {words:?} in {run:#?}");
        }
        third.kill().and_then(|()| third.wait()).expect("psql ends");
    });
    assert_eq!(project.applied(), "001");
    assert!(!project.has("b"));
}

#[test]
fn the_operator_says_so_and_goes_on_when_the_pooler_is_declared() {
    let database = postgres().database("bounced_resource");
    let bouncer = PgBouncer::start(&database, "session", &[]);
    let namespace = cluster().tenant("pooler");
    namespace.secret(&database);
    let files = inline(&[("001_a_UP.sql", "CREATE TABLE a ();")]);
    let mut manifest = resource("shop", &database, &files);
    manifest["spec"]["connection"]["port"] = json!({"value": bouncer.port});
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("PoolerDetected");
    let message = status["failure"]["message"].as_str().expect("a message");
    assert!(message.contains("connection.pooler: Session"), "{message}");
    assert_eq!(
        database.query_text("SELECT to_regnamespace('schemaward') IS NULL"),
        "t"
    );
    schema.patch(&json!({"spec": {"connection": {"pooler": "Session"}}}));
    schema.reaches("UpToDate");
}
