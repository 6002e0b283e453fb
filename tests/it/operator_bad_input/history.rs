//! The history: files that do not go with it, and who may write it.

use super::*;

#[test]
fn a_changed_file_of_an_applied_version_stops_everything() {
    let database = postgres().database("changed");
    let namespace = cluster().tenant("changed");
    let schema = at(&namespace, &database, &[WIDGETS, GADGETS]);
    let changed = (WIDGETS.0, "CREATE TABLE widgets (id bigint);");
    change(&schema, &[changed, GADGETS, THINGS]);
    let status = schema.reaches("ChecksumMismatch");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "ChecksumMismatch", &message);
    assert!(message.contains("001"), "{message}");
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(database.applied(), "001 002");
    change(&schema, &[WIDGETS, GADGETS, THINGS]);
    schema.reaches("UpToDate");
}

#[test]
fn a_version_taken_out_of_the_middle_is_missed() {
    let database = postgres().database("middle");
    let namespace = cluster().tenant("middle");
    let schema = at(&namespace, &database, &[WIDGETS, GADGETS, THINGS]);
    change(&schema, &[WIDGETS, THINGS]);
    let status = schema.reaches("VersionMissing");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "VersionMissing", &message);
    assert!(message.contains("002"), "{message}");
    assert_eq!(database.applied(), "001 002 003");
}

#[test]
fn a_version_that_comes_too_late_is_not_slipped_in() {
    let database = postgres().database("late");
    let namespace = cluster().tenant("late");
    let schema = at(&namespace, &database, &[WIDGETS, THINGS]);
    change(&schema, &[WIDGETS, GADGETS, THINGS]);
    let status = schema.reaches("OutOfOrder");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "OutOfOrder", &message);
    assert!(message.contains("002"), "{message}");
    assert_eq!(database.applied(), "001 003");
    assert_eq!(
        database.query_text("SELECT to_regclass('gadgets') IS NULL"),
        "t"
    );
}

#[test]
fn a_way_back_needs_leave_and_a_down() {
    let database = postgres().database("back");
    let namespace = cluster().tenant("back");
    let schema = at(&namespace, &database, &[WIDGETS, GADGETS]);
    change(&schema, &[WIDGETS]);
    let status = schema.reaches("DatabaseAhead");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "DatabaseAhead", &message);
    assert!(message.contains("002"), "{message}");
    schema.patch(&json!({"spec": {"rollback": {"policy": "Allow"}}}));
    let status = schema.reaches("DownMissing");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "DownMissing", &message);
    assert_eq!(database.applied(), "001 002");
    assert_eq!(database.query_text("SELECT count(*) FROM gadgets"), "0");
}

#[test]
fn a_second_resource_for_a_database_is_turned_away() {
    let database = postgres().database("claim");
    let namespace = cluster().tenant("claim");
    let first = at(&namespace, &database, &[WIDGETS]);
    let second = namespace.schema(
        "late",
        &resource("late", &database, &inline(&[WIDGETS, GADGETS])),
    );
    is_stalled(
        &second.reaches("DatabaseClaimed"),
        "DatabaseClaimed",
        &format!(
            "This history belongs to DatabaseSchema {0}/shop. Nothing was changed. If that one is gone or lets go, take \
             it over: `kubectl -n {0} annotate --overwrite databaseschema late schemaward.dev/takeover={0}/shop`. \
             Otherwise delete this one, or give it a history table of its own.",
            namespace.name
        ),
    );
    assert_eq!(database.applied(), "001");
    assert_eq!(condition(&first.status(), "Ready")["status"], "True");
}

#[test]
fn a_role_without_rights_is_told_the_grant_to_run() {
    let database = postgres().database("rights");
    let server = database.server;
    let poor = format!("{}_poor", database.name);
    let password = "password-of-poor";
    server.admin_exec(&format!("CREATE ROLE {poor} LOGIN PASSWORD '{password}'"));
    let namespace = cluster().tenant("rights");
    let as_poor = Database {
        server,
        name: database.name.clone(),
        user: poor,
        password: password.to_owned(),
    };
    namespace.secret(&as_poor);
    let manifest = resource("shop", &as_poor, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("PermissionDenied");
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    is_stalled(&status, "PermissionDenied", &message);
    assert_eq!(tables(&database), "");
    // The message has the statements to run, and they are enough.
    let grants: Vec<&str> = message
        .split_inclusive(';')
        .filter_map(|part| part.find("GRANT ").map(|start| &part[start..]))
        .collect();
    assert!(!grants.is_empty(), "{message}");
    database.admin_exec(&grants.join("\n"));
    schema.ask("granted");
    schema.reaches("UpToDate");
}

#[test]
fn nine_hundred_versions_fit_into_a_config_map() {
    let database = postgres().database("many");
    let namespace = cluster().tenant("many");
    namespace.secret(&database);
    let files: Vec<(String, String)> = (1..=900)
        .map(|n| {
            (
                format!("{n:04}_step_UP.sql"),
                format!("CREATE TABLE t{n} (id int);"),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    namespace.config_map("many", &files);
    let source = json!({"configMaps": [{"name": "many"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &source));
    let status = schema.reaches("UpToDate");
    assert_eq!(status["appliedCount"], 900);
    assert_eq!(status["history"].as_array().map(Vec::len), Some(10));
    assert_eq!(
        database.query_text(
            "SELECT count(*), count(DISTINCT version), max(version) FROM schema_migrations"
        ),
        "900|900|0900"
    );
}
