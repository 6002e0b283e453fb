//! Another database, or the same one with less history, behind the address of a resource; and roles that may do
//! too much.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Ended, Project};
use crate::harness::{Database, eventually, postgres, postgres_major};
use crate::operator_rig::{Schema, Tenant, cluster, condition, inline, resource};

const LIMIT: Duration = Duration::from_secs(30);

const A: (&str, &str) = ("001_a_UP.sql", "CREATE TABLE a ();");
const B: (&str, &str) = ("002_b_UP.sql", "CREATE TABLE b ();");

/// Makes another database answer under the name of `database`; the old one is `NAME_old` then.
fn swap(database: &Database<'_>, other: &str) {
    let server = database.server;
    let name = &database.name;
    for renamed in [name, other] {
        let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{renamed}'");
        eventually(LIMIT, || match server.admin_exec(&sessions).as_str() {
            "0" => Ok(()),
            seen => Err(seen.to_owned()),
        });
    }
    server.admin_exec(&format!("ALTER DATABASE {name} RENAME TO {name}_old"));
    server.admin_exec(&format!("ALTER DATABASE {other} RENAME TO {name}"));
}

fn copy(database: &Database<'_>, options: &str) -> String {
    let copy = format!("{}_copy", database.name);
    let server = database.server;
    server.admin_exec(&format!(
        "CREATE DATABASE {copy} OWNER {} {options}",
        database.user
    ));
    copy
}

fn entries(database: &Database<'_>) -> String {
    database.query_text("SELECT string_agg(action, ' ' ORDER BY id) FROM schemaward.audit")
}

fn message(status: &Value) -> String {
    let ready = condition(status, "Ready");
    ready["message"].as_str().expect("a message").to_owned()
}

/// Does what the message says, which ends with a command in backticks.
fn obey(schema: &Schema<'_>, message: &str) {
    let annotation = message
        .split(['`', ' '])
        .find(|word| word.starts_with("schemaward.dev/accept="))
        .unwrap_or_else(|| panic!("no command in {message}"));
    schema
        .namespace
        .kubectl(&["annotate", "--overwrite", "dbs", schema.name, annotation]);
}

#[test]
fn another_database_under_the_same_address_is_left_alone_until_it_is_accepted() {
    let database = postgres().database("replaced");
    let namespace = cluster().tenant("replaced");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[A, B]));
    let schema = namespace.schema("shop", &manifest);
    let before = schema.reaches("UpToDate");
    let other = Project::new("replacement");
    other.write(A.0, A.1).succeed("up");
    let name = &other.database.name;
    let user = &database.user;
    other.database.admin_exec(&format!(
        "ALTER DATABASE {name} OWNER TO {user}; GRANT {} TO {user}",
        other.database.user
    ));
    swap(&database, name);
    schema.ask("now");
    let status = schema.reaches("DatabaseIdentityChanged");
    assert_eq!(condition(&status, "Stalled")["status"], "True");
    for field in ["databaseId", "currentVersion", "auditEntries"] {
        assert_eq!(status[field], before[field], "{field}");
    }
    assert_eq!(entries(&database), "install apply", "nothing was written");
    obey(&schema, &message(&status));
    let status = schema.reaches("UpToDate");
    assert_ne!(status["databaseId"], before["databaseId"]);
    assert_eq!(entries(&database), "install apply accept claim apply");
    let detail =
        database.query_text("SELECT detail, actor FROM schemaward.audit WHERE action = 'accept'");
    let known = before["databaseId"].as_str().expect("an identity");
    assert!(detail.contains(&format!("before {known}")), "{detail}");
    assert!(
        detail.contains("annotation schemaward.dev/accept, set by"),
        "{detail}"
    );
}

#[test]
fn a_database_that_lost_history_is_left_alone_until_it_is_accepted() {
    let database = postgres().database("restored");
    let namespace = cluster().tenant("restored");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[A]));
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    let backup = copy(&database, &format!("TEMPLATE {}", database.name));
    schema.patch(&json!({"spec": {"source": inline(&[A, B])}}));
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    swap(&database, &backup);
    schema.ask("restored");
    let status = schema.reaches("HistoryRegressed");
    let said = message(&status);
    for words in [
        "its audit has 3 entries, and it had 4; not applied any more: 002",
        "Nothing was changed.",
    ] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    assert_eq!(entries(&database), "install claim apply");
    obey(&schema, &said);
    schema.becomes("at 002 again", |status| {
        condition(status, "Ready")["reason"] == "UpToDate" && status["auditEntries"] == 5
    });
    assert_eq!(entries(&database), "install claim apply accept apply");
}

#[test]
fn an_empty_database_under_the_same_address_is_not_filled_silently() {
    let database = postgres().database("emptied");
    let namespace = cluster().tenant("emptied");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[A]));
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    swap(&database, &copy(&database, ""));
    schema.ask("empty");
    let said = message(&schema.reaches("HistoryRegressed"));
    assert!(said.contains("has no schema \"schemaward\""), "{said}");
    assert!(said.contains("accept=database:new`"), "{said}");
    let nothing = "SELECT to_regnamespace('schemaward') IS NULL";
    assert_eq!(database.query_text(nothing), "t");
    obey(&schema, &said);
    schema.reaches("UpToDate");
    assert_eq!(entries(&database), "install accept claim apply");
}

#[test]
fn what_somebody_wanted_is_no_loss() {
    let project = Project::new("wanted");
    project.table("001", "a").table("002", "b");
    let database = &project.database;
    let namespace = cluster().tenant("wanted");
    namespace.secret(database);
    let files = [
        ("001_a_UP.sql", "CREATE TABLE a (id int);\n"),
        ("002_b_UP.sql", "CREATE TABLE b (id int);\n"),
        ("001_a_DOWN.sql", "DROP TABLE a;\n"),
        ("002_b_DOWN.sql", "DROP TABLE b;\n"),
    ];
    let manifest = resource("shop", database, &inline(&files));
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("UpToDate");
    // From the command line: it is in the audit, and the operator brings the database back.
    project.succeed("down 002");
    schema.ask("undone");
    schema.becomes("at 002 again", |status| {
        condition(status, "Ready")["reason"] == "UpToDate" && status["auditEntries"] == 6
    });
    // To another database, in the resource itself.
    let elsewhere = copy(database, "");
    schema.patch(&json!({"spec": {"connection": {"database": {"value": elsewhere}}}}));
    let status = schema.becomes("on the other database", |status| {
        condition(status, "Ready")["reason"] == "UpToDate"
    });
    let address = status["databaseAddress"].as_str().expect("an address");
    assert!(address.ends_with(&format!("/{elsewhere}")), "{address}");
}

#[test]
fn a_privileged_role_is_refused_by_the_operator_unless_the_resource_allows_it() {
    let database = postgres().database("privileged");
    let user = &database.user;
    // Two steps away, and not inherited: a script can still become it.
    database.admin_exec(&format!(
        "CREATE ROLE {user}_files; GRANT pg_read_server_files TO {user}_files; \
         ALTER ROLE {user} NOINHERIT; GRANT {user}_files TO {user}"
    ));
    let namespace = cluster().tenant("privileged");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[A]));
    let schema = namespace.schema("shop", &manifest);
    let said = message(&schema.reaches("PrivilegedRole"));
    assert!(
        said.contains("it is a member of pg_read_server_files. Whoever"),
        "{said}"
    );
    let nothing = "SELECT to_regnamespace('schemaward') IS NULL";
    assert_eq!(database.query_text(nothing), "t");
    schema.patch(&json!({"spec": {"connection": {"allowPrivilegedRole": true}}}));
    schema.reaches("UpToDate");
}

#[test]
fn a_privileged_role_is_warned_of_once_at_the_command_line() {
    let project = Project::new("warned");
    project.table("001", "a").table("002", "b");
    let user = &project.database.user;
    let up = |more: &str| -> Ended {
        project.database.admin_exec(more);
        project.run("up")
    };
    let ended = up(&format!("GRANT pg_monitor, pg_signal_backend TO {user}"));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(!ended.stderr.contains("warning"), "{ended:#?}");
    let superuser = format!("REVOKE pg_monitor FROM {user}; ALTER ROLE {user} SUPERUSER");
    for (more, words) in [
        (superuser, "it is a superuser."),
        (
            format!("ALTER ROLE {user} NOSUPERUSER; GRANT pg_execute_server_program TO {user}"),
            "it is a member of pg_execute_server_program.",
        ),
        (
            format!("REVOKE pg_execute_server_program FROM {user}; GRANT postgres TO {user}"),
            "it is a member of \"postgres\", a superuser.",
        ),
    ] {
        let ended = up(&more);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(ended.stderr.matches("warning").count(), 1, "{ended:#?}");
        assert!(ended.stderr.contains(words), "no {words:?} in {ended:#?}");
    }
}

/// Up to PostgreSQL 15 it can give itself what it has not.
#[test]
fn a_role_that_makes_roles_counts_as_privileged_where_it_can_grant_itself_more() {
    for (server, counts) in [(postgres_major(15), true), (postgres(), false)] {
        let database = server.database("makes_roles");
        let user = &database.user;
        database.admin_exec(&format!("ALTER ROLE {user} CREATEROLE"));
        // What the check is about is so.
        let grant = format!("GRANT pg_execute_server_program TO {user}");
        let granted = database
            .try_exec(&format!("BEGIN; {grant}; ROLLBACK"))
            .status;
        assert_eq!(granted.success(), counts);
        let init = |more: &str| {
            database.admin_exec(more);
            let output = database.schemaward().arg("init").output();
            Ended::of(&output.expect("the program starts"))
        };
        let ended = init("SELECT 1");
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let own = "it has CREATEROLE, by which it can grant itself pg_execute_server_program.";
        assert_eq!(ended.stderr.contains(own), counts, "{ended:#?}");
        // A member of such a role can become it.
        let ended = init(&format!(
            "ALTER ROLE {user} NOCREATEROLE; CREATE ROLE {user}_maker CREATEROLE; GRANT {user}_maker TO {user}"
        ));
        let other = format!(
            "it is a member of \"{user}_maker\", whose CREATEROLE can grant pg_execute_server_program."
        );
        assert_eq!(ended.stderr.contains(&other), counts, "{ended:#?}");
    }
}

#[test]
fn what_somebody_else_owns_or_put_on_our_tables_is_not_used() {
    let server = postgres();
    server.admin_exec("CREATE ROLE mallory");
    let columns = "version text PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL, \
                   execution_time_ms bigint, checksum text";
    let prepared = [
        (
            "CREATE SCHEMA schemaward AUTHORIZATION mallory; GRANT ALL ON SCHEMA schemaward TO {user}",
            "SCHEMA schemaward belongs to role \"mallory\"",
        ),
        (
            &format!(
                "CREATE TABLE schema_migrations ({columns}); GRANT ALL ON schema_migrations TO {{user}}; \
                 ALTER TABLE schema_migrations OWNER TO mallory"
            ),
            "TABLE public.schema_migrations belongs to role \"mallory\"",
        ),
    ];
    for (sql, words) in prepared {
        let project = Project::new("mallory");
        project.table("001", "a");
        let user = &project.database.user;
        project.database.admin_exec(&sql.replace("{user}", user));
        let said = project.fail(1, "up");
        for words in [words, "Nothing was changed", "GRANT \"mallory\" TO"] {
            assert!(said.contains(words), "no {words:?} in {said}");
        }
        assert!(!project.has("a"));
        // As the message says.
        server.admin_exec(&format!("GRANT mallory TO {user}"));
        project.succeed("up");
    }
    let put_on = [
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER t BEFORE INSERT ON schemaward.audit FOR EACH ROW EXECUTE FUNCTION f()",
            "TABLE schemaward.audit: it has triggers",
        ),
        (
            "CREATE RULE r AS ON UPDATE TO schemaward.claim DO INSTEAD NOTHING",
            "TABLE schemaward.claim: it has rules",
        ),
        (
            "ALTER TABLE schemaward.script ENABLE ROW LEVEL SECURITY",
            "TABLE schemaward.script: it has row level security",
        ),
        (
            "ALTER TABLE schemaward.installation RENAME TO i; \
             CREATE VIEW schemaward.installation AS SELECT * FROM schemaward.i",
            "TABLE schemaward.installation: it is not a table",
        ),
        (
            "ALTER TABLE schema_migrations ALTER name TYPE varchar(9); CREATE DOMAIN text AS varchar; \
             ALTER TABLE schema_migrations ALTER name TYPE public.text",
            "its column name is of type public.text",
        ),
    ];
    for (sql, words) in put_on {
        let project = Project::new("put_on");
        project.table("001", "a").succeed("up");
        project.table("002", "b").database.exec(sql);
        let said = project.fail(1, "up");
        assert!(said.contains(words), "no {words:?} in {said}");
        assert!(!project.has("b"));
    }
}
