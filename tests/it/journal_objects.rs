//! Statements outside of a transaction that are about more than a table: subscriptions, tablespaces, settings of the
//! server. Each is the only one to use its server.

use std::process::Command;

use crate::cli::{Ended, Project, first_columns};
use crate::harness::{Postgres, eventually, postgres};
use crate::journal::{LIMIT, audit, end, is_held_up, journal, sessions_end, start};

/// A server of a test's own that others can subscribe to.
fn publisher() -> &'static Postgres {
    let flags = ["--set=wal_level=logical"];
    Box::leak(Box::new(Postgres::start(16, &flags)))
}

fn superuser(project: &Project) {
    let user = &project.database.user;
    project
        .database
        .admin_exec(&format!("ALTER ROLE {user} SUPERUSER"));
}

/// Two databases with the same table, one of which publishes it; and how to get there.
fn subscribable(server: &'static Postgres, name: &str) -> (Project, Project, String) {
    let source = Project::on(server, name);
    let target = Project::on(postgres(), name);
    for project in [&source, &target] {
        superuser(project);
        project.database.exec("CREATE TABLE t (id int PRIMARY KEY)");
    }
    source
        .database
        .exec("CREATE PUBLICATION p FOR TABLE t; INSERT INTO t VALUES (1)");
    let to = &source.database;
    let connection = format!(
        "host={} port={} dbname={} user={} password={} application_name={name}",
        server.host, server.port, to.name, to.user, to.password
    );
    (source, target, connection)
}

fn slots(server: &Postgres, name: &str) -> String {
    server.admin_exec(&format!(
        "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{name}'"
    ))
}

#[test]
fn a_subscription_is_made_altered_and_dropped() {
    let server = publisher();
    let (source, target, connection) = subscribable(server, "subscribed");
    target
        .write(
            "001_s_UP.sql",
            &format!("CREATE SUBSCRIPTION s CONNECTION '{connection}' PUBLICATION p;\n"),
        )
        .write(
            "002_u_UP.sql",
            "CREATE TABLE u (id int PRIMARY KEY);\nALTER SUBSCRIPTION s REFRESH PUBLICATION;\n\
             ALTER SUBSCRIPTION s ADD PUBLICATION q;\n",
        )
        .write("001_s_DOWN.sql", "DROP SUBSCRIPTION s;\n")
        .write("002_u_DOWN.sql", "DROP TABLE u;\n");
    source
        .database
        .exec("CREATE TABLE u (id int PRIMARY KEY); CREATE PUBLICATION q FOR TABLE u");
    let ended = target.run("up");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let password = &source.database.password;
    assert!(!format!("{ended:?}").contains(password), "{ended:#?}");
    assert_eq!(slots(server, "s"), "1");
    eventually(LIMIT, || {
        match target.database.query_text("SELECT id FROM t").as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    // A table that is still being synchronized cannot be dropped.
    let states =
        "SELECT string_agg(srsubstate::text, '' ORDER BY srrelid) FROM pg_subscription_rel";
    eventually(LIMIT, || {
        match target.database.admin_exec(states).as_str() {
            "rr" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    assert_eq!(journal(&target), "");
    target.succeed("down 002");
    target.succeed("down 001");
    assert_eq!(slots(server, "s"), "0");
    assert_eq!(target.applied(), "");
}

#[test]
fn a_subscription_whose_making_was_killed_is_for_a_person() {
    let server = publisher();
    let (source, target, connection) = subscribable(server, "killedsub");
    target.write(
        "001_s_UP.sql",
        &format!("CREATE SUBSCRIPTION k CONNECTION '{connection}' PUBLICATION p;\n"),
    );
    // A slot waits for the transactions that write there.
    let writer = "BEGIN; INSERT INTO t VALUES (2);";
    let mut writer = source.database.hold("writer", writer);
    let run = start(&target, "up");
    eventually(LIMIT, || match slots(server, "k").as_str() {
        "1" => Ok(()),
        seen => Err(seen.to_owned()),
    });
    let killed = Command::new("kill")
        .args(["-9", &run.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    end(run);
    sessions_end(&target);
    writer.kill().unwrap();
    writer.wait().unwrap();
    let refused = target.fail(1, "up");
    for words in [
        "001 s, statement 1 at line 1, column 1 (CREATE SUBSCRIPTION K CONNECTION, ",
        "its end was not heard, and the catalog does not show it",
    ] {
        assert!(refused.contains(words), "no {words:?}: {refused}");
    }
    assert!(!refused.contains(&source.database.password), "{refused}");
    // As a person would: see that there is neither a subscription nor a slot of it, and say so.
    eventually(LIMIT, || match slots(server, "k").as_str() {
        "0" => Ok(()),
        seen => Err(seen.to_owned()),
    });
    let mut resolve = target.database.schemaward();
    let resolved = resolve.args(["resolve", "001", "retry"]).output().unwrap();
    assert_eq!(Ended::of(&resolved).code, Some(0), "{resolved:?}");
    target.succeed("up");
    assert_eq!(slots(server, "k"), "1");
    assert_eq!(audit(&target), "install resolve apply");
    target.database.exec("DROP SUBSCRIPTION k");
}

#[test]
fn tablespaces_and_settings_of_the_server_are_changed_outside_of_a_transaction() {
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(18, &[])));
    let project = Project::on(server, "cluster");
    superuser(&project);
    // Made by the server, and so its own.
    let place = server.data().join("space");
    server.admin_exec(&format!(
        "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir {}'",
        place.display()
    ));
    project
        .write(
            "001_space_UP.sql",
            &format!(
                "CREATE TABLESPACE space LOCATION '{}';\nCREATE TABLE spaced (id int) TABLESPACE space;\n",
                place.display()
            ),
        )
        .write(
            "001_space_DOWN.sql",
            "DROP TABLE spaced;\nDROP TABLESPACE space;\n",
        )
        .write(
            "002_system_UP.sql",
            "ALTER SYSTEM SET log_min_duration_statement = '1h';\nALTER SYSTEM RESET log_min_duration_statement;\n\
             ALTER SYSTEM SET deadlock_timeout = '3s';\nSELECT pg_reload_conf();\n",
        )
        .write(
            "003_wrong_UP.sql",
            "ALTER SYSTEM SET no_such_setting = 1;\n",
        );
    let ended = project.run("up");
    assert!(ended.stderr.contains("(42704)"), "{ended:#?}");
    assert_eq!(project.applied(), "001 002");
    assert_eq!(journal(&project), "");
    eventually(LIMIT, || {
        match server.admin_exec("SHOW deadlock_timeout").as_str() {
            "3s" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    project
        .remove("003_wrong_UP.sql")
        .write("002_system_DOWN.sql", "ALTER SYSTEM RESET ALL;\n");
    let accepted = project.run("accept 002");
    assert_eq!(accepted.code, Some(0), "{accepted:#?}");
    project.succeed("down 002");
    project.succeed("down 001");
    let left = "SELECT count(*) FROM pg_tablespace WHERE spcname = 'space'";
    assert_eq!(server.admin_exec(left), "0");
}

#[test]
fn a_tablespace_that_was_made_before_the_run_died_is_proved() {
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(14, &[])));
    let project = Project::on(server, "provedspace");
    superuser(&project);
    let place = server.data().join("space");
    server.admin_exec(&format!(
        "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir {}'",
        place.display()
    ));
    project.database.exec("CREATE TABLE orders (id int)");
    project.write(
        "001_space_UP.sql",
        &format!(
            "CREATE TABLESPACE proved LOCATION '{}';\nSET lock_timeout = 0;\nLOCK TABLE orders;\n",
            place.display()
        ),
    );
    // The journal says that it is done: the run dies in the transaction behind it.
    let mut holder = project.database.hold("holder", "BEGIN; LOCK TABLE orders;");
    let run = start(&project, "up");
    is_held_up(&project, "LOCK TABLE");
    let killed = Command::new("kill")
        .args(["-9", &run.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    end(run);
    sessions_end(&project);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(journal(&project), "001|up|1|1|done");
    // And had it died before it heard, the catalog would have told.
    project
        .database
        .exec("UPDATE schemaward.journal SET state = 'started', before = '{\"object\": false}'");
    assert_eq!(first_columns(&project.succeed("up")), ["001 applied space"]);
    assert_eq!(audit(&project), "install prove apply");
}
