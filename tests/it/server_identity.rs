//! Which server has the database: noted in the audit, and a warning when it is another one.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::cli::{Ended, Project};
use crate::harness::{Database, Postgres, eventually, postgres, postgres_major};
use crate::operator_rig::{Tenant, cluster, inline, resource};

const LIMIT: Duration = Duration::from_secs(30);

/// The servers that the audit of a database has, in order, and what noted them.
fn servers(database: &Database<'_>) -> Vec<String> {
    let text = database.query_text(
        "SELECT action, detail FROM schemaward.audit WHERE action IN ('install', 'server') ORDER BY id",
    );
    text.lines().map(str::to_owned).collect()
}

fn now(database: &Database<'_>) -> String {
    database.admin_exec(
        "SELECT 'system identifier ' || s.system_identifier || ', timeline ' || c.timeline_id
         FROM pg_control_system() s, pg_control_checkpoint() c",
    )
}

fn entries(database: &Database<'_>) -> String {
    database.query_text("SELECT count(*) FROM schemaward.audit")
}

/// Runs `up`, which is to succeed; what it warned of.
fn warned(project: &Project) -> String {
    let ended: Ended = project.run("up");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let warnings = ended.stderr.lines().filter(|line| line.contains("warning"));
    warnings.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_audit_has_it_from_the_first_run_on_every_supported_server() {
    for major in 14..=18 {
        let project = Project::on(postgres_major(major), "server");
        project.table("001", "a");
        assert_eq!(warned(&project), "", "{major}");
        let expected = format!("install|{}", now(&project.database));
        assert_eq!(servers(&project.database), [expected], "{major}");
        let before = entries(&project.database);
        assert_eq!(warned(&project), "", "{major}");
        assert_eq!(entries(&project.database), before, "{major}");
    }
}

#[test]
fn a_new_timeline_is_warned_of_once_and_stops_nothing() {
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(16, &[])));
    let project = Project::on(server, "failover");
    project.table("001", "a").succeed("up");
    let before = now(&project.database);
    server.stop("fast");
    std::fs::write(server.data().join("standby.signal"), "").unwrap();
    server.start_again();
    assert_eq!(server.admin_exec("SELECT pg_promote()"), "t");
    server.admin_exec("CHECKPOINT");
    let warning = warned(&project);
    for words in [
        "The database server is on timeline 2, and it was on 1: a standby became the primary",
        "This run goes on",
    ] {
        assert!(warning.contains(words), "no {words:?} in {warning}");
    }
    let after = now(&project.database);
    assert_ne!(before, after);
    let expected = [format!("install|{before}"), format!("server|{after}")];
    assert_eq!(servers(&project.database), expected);
    let noted = entries(&project.database);
    assert_eq!(warned(&project), "", "told once");
    assert_eq!(entries(&project.database), noted);
    let audit = project.database.schemaward().arg("audit").output().unwrap();
    assert_eq!(Ended::of(&audit).code, Some(0), "the chain holds");
}

#[test]
fn a_database_that_moved_to_another_server_is_known_and_warned_of() {
    let old = Project::on(postgres_major(14), "moved");
    old.table("001", "a").succeed("up");
    let new = Project::on(postgres_major(17), "moved");
    let psql = new.database.psql(new.database.server.port);
    let program = std::path::Path::new(psql.get_program());
    let mut dump = Command::new(program.with_file_name("pg_dump"));
    dump.args(["--no-owner", "--no-acl"]);
    let of_old = old.database.psql(old.database.server.port);
    for (name, value) in of_old.get_envs() {
        dump.env(name, value.unwrap_or_default());
    }
    let dumped = dump.output().unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    new.database
        .exec(&String::from_utf8(dumped.stdout).unwrap());
    new.table("001", "a").table("002", "b");
    let warning = warned(&new);
    assert!(
        warning.contains("Another database server answers than before: its system identifier is"),
        "{warning}"
    );
    assert_eq!(new.applied(), "001 002");
    assert_eq!(servers(&new.database).len(), 2);
    assert_eq!(warned(&new), "", "told once");
}

#[test]
fn a_persons_decision_notes_it_as_a_run_does() {
    let project = Project::new("decided_on");
    project.table("001", "a").succeed("up");
    let before = now(&project.database);
    replace(
        &project.database,
        "timeline_id := 9; checkpoint_time := now();",
    );
    let accept = project
        .database
        .schemaward()
        .args(["accept", "--audit"])
        .output();
    let accepted = Ended::of(&accept.expect("the program starts"));
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    let warning = "The database server is on timeline 9, and it was on 1";
    assert!(accepted.stderr.contains(warning), "{accepted:?}");
    let (system, _) = before.split_once(',').expect("two parts");
    let expected = [
        format!("install|{before}"),
        format!("server|{system}, timeline 9"),
    ];
    assert_eq!(servers(&project.database), expected);
    assert_eq!(
        project
            .database
            .query_text("SELECT string_agg(action, ' ' ORDER BY id) FROM schemaward.audit"),
        "install apply server accept-audit"
    );
    assert_eq!(warned(&project), "", "told once");
}

/// Makes the function that tells the timeline do something else, in this one database. (The body of the real one
/// could be replaced, and the server would not look at it.)
fn replace(database: &Database<'_>, body: &str) {
    database.admin_exec(&format!(
        "DO $$BEGIN ALTER FUNCTION pg_catalog.pg_control_checkpoint() RENAME TO pg_control_checkpoint_of_the_server;
         EXCEPTION WHEN duplicate_function THEN DROP FUNCTION pg_catalog.pg_control_checkpoint(); END$$;
         CREATE FUNCTION pg_catalog.pg_control_checkpoint(OUT timeline_id integer, OUT checkpoint_time timestamptz)
         LANGUAGE plpgsql AS $$BEGIN {body} END$$"
    ));
}

#[test]
fn a_server_that_tells_nobody_stops_nothing() {
    let project = Project::new("untold");
    project.table("001", "a");
    let admin = |sql: &str| project.database.admin_exec(sql);
    admin("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    assert_eq!(warned(&project), "");
    assert_eq!(servers(&project.database), ["install|"]);
    // It says that we may, and then refuses.
    admin("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC");
    replace(
        &project.database,
        "RAISE 'not for you' USING ERRCODE = 'insufficient_privilege';",
    );
    project.table("002", "b");
    assert_eq!(warned(&project), "");
    assert_eq!(project.applied(), "001 002");
    assert_eq!(servers(&project.database), ["install|"]);
    // Once it tells, it is noted, and nothing has changed.
    replace(&project.database, "timeline_id := 3;");
    assert_eq!(warned(&project), "");
    let found = servers(&project.database);
    assert!(found[1].ends_with(", timeline 3"), "{found:?}");
}

/// Anything else that goes wrong beside it is an error of the look, and no word about the server: it is neither waited
/// for again nor goes the run on without knowing where it is.
#[test]
fn only_a_server_that_does_not_tell_is_left_unknown() {
    let project = Project::new("wrong");
    project.table("001", "a").succeed("up");
    project.table("002", "b");
    let raises = |sqlstate: &str| {
        let body = format!("RAISE 'no answer' USING ERRCODE = '{sqlstate}';");
        replace(&project.database, &body);
    };
    raises("55P03");
    let ended = project.run("up");
    assert_ne!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stderr.contains("(55P03)"), "{ended:#?}");
    assert_eq!(project.applied(), "001");
    for untold in ["0A000", "XX000"] {
        raises(untold);
        assert_eq!(warned(&project), "", "{untold}");
    }
    assert_eq!(project.applied(), "001 002");
}

#[test]
fn who_may_only_look_at_a_database_at_rest_is_not_asked_to_write() {
    let project = Project::new("reader");
    project.table("001", "a").succeed("up");
    let user = &project.database.user;
    project.database.admin_exec(&format!(
        "REVOKE ALL ON schemaward.audit FROM {user}; ALTER TABLE schemaward.audit OWNER TO postgres;
         GRANT SELECT ON schemaward.audit TO {user}"
    ));
    replace(&project.database, "timeline_id := 9;");
    assert_eq!(warned(&project), "");
    assert_eq!(servers(&project.database).len(), 1);
}

#[test]
fn the_operator_tells_it_by_an_event() {
    let database = postgres().database("told");
    let namespace = cluster().tenant("told");
    namespace.secret(&database);
    let files = [("001_a_UP.sql", "CREATE TABLE a ();")];
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&files)));
    schema.reaches("UpToDate");
    replace(&database, "timeline_id := 2;");
    schema.ask("after the failover");
    let expected = "Warning ServerChanged The database server is on timeline 2, and it was on 1";
    eventually(LIMIT, || {
        let events = schema.events();
        if events.iter().any(|event| event.starts_with(expected)) {
            Ok(())
        } else {
            Err(events)
        }
    });
    let status = schema.reaches("UpToDate");
    assert_eq!(
        status["auditEntries"],
        json!(4),
        "install, claim, apply, server"
    );
    assert_eq!(servers(&database).len(), 2);
}
