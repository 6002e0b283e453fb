//! `schemaward test`: the round trip on a scratch database.

use std::fmt::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cli::{Ended, Project, first_columns};
use crate::cli_output::json;
use crate::harness::{Postgres, eventually, postgres, postgres_major};
use crate::operator_rig::LIMIT;

/// `schemaward test` as somebody who may do everything.
fn test(project: &Project, arguments: &str) -> Command {
    let mut command = project.command(&format!("test {arguments}"));
    let server = project.database.server;
    command
        .env("POSTGRES_USER", &server.superuser)
        .env("POSTGRES_PASSWORD", &server.password);
    command
}

fn run(project: &Project, arguments: &str) -> Ended {
    let mut command = test(project, arguments);
    Ended::of(&command.output().expect("the program starts"))
}

/// Scratch databases on the server, those of other tests included.
fn scratch_databases(server: &Postgres) -> Vec<String> {
    let sql = "SELECT datname FROM pg_database WHERE datname LIKE 'schemaward\\_test\\_%'";
    server.admin_exec(sql).lines().map(str::to_owned).collect()
}

/// A version with these scripts.
fn version(project: &Project, number: usize, up: &str, down: &str) {
    project
        .write(&format!("{number:03}_v_UP.sql"), up)
        .write(&format!("{number:03}_v_DOWN.sql"), down);
}

#[test]
fn the_first_users_versions_come_back_to_what_they_were() {
    let project = Project::of_first_user("test_first");
    let setup = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/fluxion/base-tables.sql"
    );
    let ended = run(&project, &format!("--setup {setup}"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        first_columns(&ended.stdout),
        [
            "000 applied init_schema_migrations",
            "000 again init_schema_migrations",
            "001 applied add_historical_inventory",
            "001 again add_historical_inventory",
            "001 undone add_historical_inventory",
            "001 again add_historical_inventory",
            "001 applied add_historical_inventory",
        ]
    );
    assert!(
        ended
            .stderr
            .contains("Without a DOWN, and so not undone: 000."),
        "{ended:?}"
    );
    assert!(
        !project.has("schema_migrations"),
        "the database that is named is not touched"
    );

    let without = run(&project, "");
    assert_eq!(without.code, Some(1));
    assert!(
        without
            .stderr
            .contains("relation \"ubicaciones\" does not exist"),
        "{without:?}"
    );
}

/// What is planted: what an UP makes and its DOWN leaves, and how that is told.
const PLANTED: &[(&str, &str)] = &[
    (
        "CREATE SCHEMA planted",
        "schema planted: was not there, and is",
    ),
    (
        "CREATE TABLE p_table (id int)",
        "table public.p_table: was not there, and is",
    ),
    (
        "CREATE VIEW p_view AS SELECT 1 AS a",
        "view public.p_view: was not there, and is",
    ),
    (
        "CREATE MATERIALIZED VIEW p_mat AS SELECT 1 AS a",
        "materialized view public.p_mat: was not there, and is",
    ),
    (
        "CREATE SEQUENCE p_sequence",
        "sequence public.p_sequence: was not there, and is",
    ),
    (
        "CREATE TYPE p_composite AS (a int)",
        "composite type public.p_composite: was not there, and is",
    ),
    (
        "CREATE TYPE p_enum AS ENUM ('a')",
        "type public.p_enum: was not there, and is",
    ),
    (
        "CREATE TYPE p_range AS RANGE (subtype = float8)",
        "type public.p_range: was not there, and is",
    ),
    (
        "CREATE DOMAIN p_domain AS int",
        "domain public.p_domain: was not there, and is",
    ),
    (
        "CREATE FUNCTION p_function(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "function public.p_function(integer): was not there, and is",
    ),
    (
        "CREATE PROCEDURE p_procedure() LANGUAGE sql AS 'SELECT 1'",
        "procedure public.p_procedure(): was not there, and is",
    ),
    (
        "CREATE AGGREGATE p_sum(int) (SFUNC = int4pl, STYPE = int)",
        "aggregate public.p_sum(integer): was not there, and is",
    ),
    (
        "CREATE OPERATOR <<<< (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int)",
        "operator public.<<<<(integer,integer): was not there, and is",
    ),
    (
        "CREATE OPERATOR FAMILY p_family USING btree",
        "operator family public.p_family using btree: was not there, and is",
    ),
    (
        "CREATE OPERATOR CLASS p_class FOR TYPE int USING hash AS FUNCTION 1 hashint4(int)",
        "operator class public.p_class using hash: was not there, and is",
    ),
    (
        "CREATE CAST (base AS text) WITH INOUT",
        "cast public.base as text: was not there, and is",
    ),
    (
        "CREATE COLLATION p_collation (LOCALE = 'C')",
        "collation public.p_collation: was not there, and is",
    ),
    (
        "CREATE CONVERSION p_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        "conversion public.p_conversion: was not there, and is",
    ),
    (
        "CREATE TEXT SEARCH CONFIGURATION p_config (COPY = simple)",
        "text search configuration public.p_config: was not there, and is",
    ),
    (
        "CREATE TEXT SEARCH DICTIONARY p_dict (TEMPLATE = simple)",
        "text search dictionary public.p_dict: was not there, and is",
    ),
    (
        "CREATE EXTENSION IF NOT EXISTS plpgsql; CREATE LANGUAGE p_language HANDLER plpgsql_call_handler",
        "language p_language: was not there, and is",
    ),
    (
        "CREATE ACCESS METHOD p_heap TYPE TABLE HANDLER heap_tableam_handler",
        "access method p_heap: was not there, and is",
    ),
    (
        "CREATE EVENT TRIGGER p_event ON ddl_command_end EXECUTE FUNCTION base_event()",
        "event trigger p_event: was not there, and is",
    ),
    (
        "CREATE FOREIGN DATA WRAPPER p_wrapper",
        "foreign-data wrapper p_wrapper: was not there, and is",
    ),
    (
        "CREATE SERVER p_server FOREIGN DATA WRAPPER base_wrapper OPTIONS (password 'sesame')",
        "foreign server p_server: was not there, and is",
    ),
    (
        "CREATE USER MAPPING FOR CURRENT_USER SERVER base_server OPTIONS (password 'sesame')",
        "server base_server: was not there, and is",
    ),
    (
        "CREATE FOREIGN TABLE p_foreign (a int) SERVER base_server",
        "foreign table public.p_foreign: was not there, and is",
    ),
    (
        "CREATE PUBLICATION p_publication FOR TABLE base",
        "publication p_publication: was not there, and is",
    ),
    (
        "CREATE STATISTICS p_statistics ON id, name FROM base",
        "statistics object public.p_statistics: was not there, and is",
    ),
    (
        "CREATE INDEX p_index ON base (name)",
        "index public.p_index: was not there, and is",
    ),
    (
        "ALTER TABLE base ADD CONSTRAINT p_check CHECK (id > 0)",
        "constraint p_check on public.base: was not there, and is",
    ),
    (
        "CREATE TRIGGER p_trigger AFTER INSERT ON base EXECUTE FUNCTION base_trigger()",
        "trigger p_trigger on public.base: was not there, and is",
    ),
    (
        "CREATE RULE p_rule AS ON DELETE TO base DO INSTEAD NOTHING",
        "rule p_rule on public.base: was not there, and is",
    ),
    (
        "CREATE POLICY p_policy ON base USING (id > 0)",
        "policy p_policy on public.base: was not there, and is",
    ),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
        "in public: was not there, and is",
    ),
    (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem TO ''5MB''', current_database()); END $$",
        "setting work_mem: was not there, and is",
    ),
    (
        "ALTER TABLE base ADD p_column int",
        "column public.base.p_column: was not there, and is",
    ),
    (
        "ALTER TABLE base DROP gone",
        "column public.base.gone: was there, and is gone",
    ),
    (
        "DROP TABLE other",
        "table public.other: was there, and is gone",
    ),
    (
        "CREATE TABLE p_part PARTITION OF parted FOR VALUES IN (1)",
        "table public.p_part: was not there, and is",
    ),
    (
        "ALTER TABLE t1 ALTER a TYPE bigint",
        "column public.t1.a: type integer → bigint",
    ),
    (
        "ALTER TABLE t2 ALTER a SET DEFAULT 5",
        "column public.t2.a: default none → 5",
    ),
    (
        "ALTER TABLE t3 ALTER a SET NOT NULL",
        "column public.t3.a: not null false → true",
    ),
    (
        "ALTER TABLE t4 ALTER a SET NOT NULL, ALTER a ADD GENERATED ALWAYS AS IDENTITY",
        "column public.t4.a: identity none → a; not null false → true",
    ),
    (
        "ALTER TABLE t5 ALTER b SET STORAGE EXTERNAL",
        "column public.t5.b: storage x → e",
    ),
    (
        "ALTER TABLE t6 ALTER b TYPE text COLLATE \"C\"",
        "column public.t6.b: collation none → \"C\"",
    ),
    (
        "ALTER TABLE t7 DROP a, ADD a int",
        "column public.t7.a: place 1 → 2; column public.t7.b: place 2 → 1",
    ),
    (
        "ALTER TABLE t8 INHERIT parent",
        "table public.t8: inherits none → public.parent",
    ),
    (
        "ALTER TABLE t9 ENABLE ROW LEVEL SECURITY",
        "table public.t9: row level security false → true",
    ),
    (
        "ALTER TABLE t10 REPLICA IDENTITY FULL",
        "table public.t10: replica identity d → f",
    ),
    (
        "ALTER TABLE t11 SET (fillfactor = 50)",
        "table public.t11: options was not there, and is",
    ),
    (
        "GRANT SELECT ON t12 TO PUBLIC",
        "table public.t12: privileges",
    ),
    (
        "GRANT SELECT (a) ON t13 TO PUBLIC",
        "column public.t13.a: privileges",
    ),
    (
        "ALTER TABLE t14 OWNER TO pg_read_all_data",
        "table public.t14: owner",
    ),
    (
        "COMMENT ON TABLE t15 IS 'sesame'",
        "table public.t15: comment was not there, and is",
    ),
    (
        "COMMENT ON COLUMN t16.a IS 'sesame'",
        "column public.t16.a: comment was not there, and is",
    ),
    (
        "ALTER TABLE t17 SET UNLOGGED",
        "table public.t17: persistence p → u",
    ),
    (
        "ALTER SEQUENCE base_sequence INCREMENT 3",
        "sequence public.base_sequence: increment 1 → 3",
    ),
    (
        "ALTER SEQUENCE owned_sequence OWNED BY t1.b",
        "sequence public.owned_sequence: owned by none → public.t1.b",
    ),
    (
        "CREATE OR REPLACE VIEW base_view AS SELECT 2 AS a",
        "view public.base_view: definition SELECT 1 AS a; → SELECT 2 AS a;",
    ),
    (
        "CREATE OR REPLACE FUNCTION base_function() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "function public.base_function(): definition differs in a literal or a body",
    ),
    (
        "ALTER TYPE base_enum ADD VALUE 'c' BEFORE 'b'",
        "type public.base_enum: labels a, b → a, c, b",
    ),
    (
        "ALTER DOMAIN base_domain ADD CONSTRAINT positive CHECK (VALUE > 0)",
        "domain public.base_domain: constraints none → positive CHECK ((VALUE > 0))",
    ),
    (
        "ALTER TABLE base DISABLE TRIGGER base_trigger",
        "trigger base_trigger on public.base: enabled O → D",
    ),
    (
        "ALTER POLICY base_policy ON base USING (id > 1)",
        "policy base_policy on public.base: using (id > 0) → (id > 1)",
    ),
    (
        "ALTER TABLE t18 CLUSTER ON t18_pkey",
        "index public.t18_pkey: is clustered on false → true",
    ),
    (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't19_pkey'::regclass",
        "index public.t19_pkey: is valid true → false",
    ),
    (
        "ALTER PUBLICATION base_publication ADD TABLE t20",
        "publication base_publication: tables",
    ),
    (
        "ALTER TEXT SEARCH CONFIGURATION base_config DROP MAPPING FOR email",
        "text search configuration public.base_config: mappings",
    ),
    (
        "ALTER SERVER base_server OPTIONS (ADD password 'sesame')",
        "foreign server base_server: options was not there, and is",
    ),
    (
        "ALTER TABLE t21 DROP CONSTRAINT t21_pkey",
        "constraint t21_pkey on public.t21: was there, and is gone",
    ),
];

/// What the planted statements need.
fn ground() -> String {
    let mut sql = "CREATE TABLE base (id int, name text, gone int); CREATE TABLE other (id int); CREATE TABLE parent (a int);
        CREATE TABLE parted (id int) PARTITION BY LIST (id);
        CREATE FUNCTION base_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE FUNCTION base_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE TRIGGER base_trigger AFTER UPDATE ON base EXECUTE FUNCTION base_trigger();
        CREATE POLICY base_policy ON base FOR SELECT USING (id > 0);
        CREATE FOREIGN DATA WRAPPER base_wrapper; CREATE SERVER base_server FOREIGN DATA WRAPPER base_wrapper;
        CREATE SEQUENCE base_sequence; CREATE SEQUENCE owned_sequence; CREATE VIEW base_view AS SELECT 1 AS a;
        CREATE FUNCTION base_function() RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE TYPE base_enum AS ENUM ('a', 'b'); CREATE DOMAIN base_domain AS int;
        CREATE PUBLICATION base_publication FOR TABLE other;
        CREATE TEXT SEARCH CONFIGURATION base_config (COPY = simple);"
        .to_owned();
    for number in 1..=21 {
        let key = if number >= 18 { " PRIMARY KEY" } else { "" };
        write!(sql, "CREATE TABLE t{number} (a int{key}, b text);").expect("a String takes it");
    }
    sql
}

#[test]
fn every_kind_of_object_is_told_when_a_way_back_leaves_it_otherwise() {
    for server in [postgres_major(14), postgres(), postgres_major(18)] {
        let project = Project::on(server, "test_planted");
        project.write("ground.sql", &ground());
        // UP does nothing, DOWN plants: what it leaves is what it takes away as well.
        for (number, (sql, _)) in PLANTED.iter().enumerate() {
            version(&project, number + 1, "SELECT 1", sql);
        }
        let setup = project.path("ground.sql");
        let ended = run(&project, &format!("--setup {}", setup.display()));
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        for (sql, said) in PLANTED {
            for said in said.split("; column ") {
                assert!(
                    ended
                        .stdout
                        .lines()
                        .any(|line| line.contains("differs") && line.contains(said)),
                    "{sql}: {said}\n{}\n{}",
                    ended.stdout,
                    ended.stderr
                );
            }
        }
        assert!(!ended.stdout.contains("sesame"));
    }
}

#[test]
fn what_comes_back_as_it_was_is_the_same() {
    for server in [postgres_major(14), postgres(), postgres_major(18)] {
        let project = Project::on(server, "test_same");
        project.write("ground.sql", &ground());
        // Made and dropped, with gaps in attribute numbers, privileges given and taken, and other oids.
        for (number, (up, down)) in [
            ("ALTER TABLE base ADD x int; ALTER TABLE base ADD y text DEFAULT 'a'", "ALTER TABLE base DROP y; ALTER TABLE base DROP x"),
            ("GRANT SELECT ON base TO PUBLIC", "REVOKE SELECT ON base FROM PUBLIC"),
            ("CREATE TABLE child (id serial PRIMARY KEY, p int REFERENCES t18 (a)); CREATE VIEW v AS SELECT * FROM child", "DROP VIEW v; DROP TABLE child"),
            ("CREATE INDEX CONCURRENTLY i ON base (name)", "DROP INDEX CONCURRENTLY i"),
            ("DROP VIEW base_view", "CREATE VIEW base_view AS SELECT 1 AS a"),
            ("ALTER TABLE t7 DROP b", "ALTER TABLE t7 ADD b text"),
            ("CREATE EXTENSION IF NOT EXISTS plpgsql; COMMENT ON TABLE base IS 'x'", "COMMENT ON TABLE base IS NULL"),
        ]
        .iter()
        .enumerate()
        {
            version(&project, number + 1, up, down);
        }
        let setup = project.path("ground.sql");
        let ended = run(&project, &format!("--setup {}", setup.display()));
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(
            ended.stderr,
            "note: 7 versions, 21 steps; the catalog was after each what it had been before.\n"
        );
    }
}

#[test]
fn a_script_that_says_it_is_idempotent_is_run_twice() {
    let project = Project::new("test_idempotent");
    project.table("001", "widgets");
    assert_eq!(run(&project, "").code, Some(0));
    project.write(
        "001_widgets_UP.sql",
        "-- Idempotent.\nCREATE TABLE widgets (id int);",
    );
    let ended = run(&project, "");
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        "error: 001 widgets (UP), run a second time as it says it may, failed in the statement at line 2, column 1: \
         relation \"widgets\" already exists (42P07). The rest was not tried.\n"
    );
    // One that does not fail and does more.
    project.write(
        "001_widgets_UP.sql",
        "-- Idempotent.\nCREATE TABLE IF NOT EXISTS widgets (id int); CREATE INDEX ON widgets (id);",
    );
    let ended = run(&project, "");
    assert_eq!(ended.code, Some(1));
    let differs = "index public.widgets_id_idx1: was not there, and is";
    assert!(ended.stdout.contains(differs), "{ended:?}");
}

#[test]
fn a_version_below_one_without_a_way_back_is_tried_all_the_same() {
    let project = Project::new("test_below");
    project
        .table("001", "widgets")
        .table("002", "gadgets")
        .table("003", "things");
    project
        .write("001_widgets_DOWN.sql", "SELECT 1")
        .remove("002_gadgets_DOWN.sql");
    let ended = run(&project, "");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stdout
            .contains("table public.widgets: was not there, and is"),
        "{ended:?}"
    );
}

#[test]
fn what_reaches_beyond_the_database_is_refused_by_name() {
    let project = Project::new("test_beyond");
    version(
        &project,
        1,
        "CREATE ROLE test_beyond_role",
        "DROP ROLE test_beyond_role",
    );
    let ended = run(&project, "");
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        "error: These statements reach beyond a database, so what they do would stay on the server after the test: \
         001_v_UP.sql, line 1, column 1: CREATE ROLE test_beyond_role; 001_v_DOWN.sql, line 1, column 1: DROP ROLE test_beyond_role. Nothing was run. \
         Test on a server of your own with --allow-global, or keep them out of migrations.\n"
    );
    let allowed = run(&project, "--allow-global");
    assert_eq!(allowed.code, Some(0), "{allowed:?}");
    assert!(
        allowed
            .stderr
            .starts_with("warning: These statements reach beyond")
    );
    project
        .database
        .server
        .admin_exec("DROP ROLE test_beyond_role");
}

#[test]
fn the_right_to_create_databases_is_asked_for() {
    let project = Project::new("test_right");
    project.table("001", "widgets");
    let said = project.fail(1, "test");
    assert!(
        said.contains("may not create databases") && said.contains("CREATEDB"),
        "{said}"
    );
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

#[test]
fn json_says_each_step_and_what_it_left() {
    let project = Project::new("test_json");
    version(&project, 1, "CREATE TABLE a (id int)", "DROP TABLE a");
    let table = "CREATE TABLE IF NOT EXISTS b (id int)";
    version(&project, 2, table, "SELECT 1");
    project.write("000_first_UP.sql", "SELECT 1");
    let ended = run(&project, "-o json");
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let result = json(&ended.stdout, "test.json");
    assert_eq!(result["format"], "schemaward.test/v1");
    assert_eq!(result["passed"], false);
    assert_eq!(result["withoutDown"], serde_json::json!(["000"]));
    assert_eq!(result["failure"], Value::Null);
    let version = result["serverVersion"].as_str().expect("a version");
    assert!(version.starts_with("16."), "{version}");
    let steps = result["steps"].as_array().expect("steps");
    let step = |step: &Value| {
        let text = |name: &str| step[name].as_str().expect("a text").to_owned();
        let left = step["differences"].as_array().expect("a list").len();
        format!("{} {} {left}", text("version"), text("direction"))
    };
    let told: Vec<_> = steps.iter().map(step).collect();
    let expected = [
        "000 up 0",
        "001 up 0",
        "002 up 0",
        "002 down 1",
        "001 down 1",
        "001 up 1",
        "002 up 0",
    ];
    assert_eq!(told, expected, "{result:#}");
    assert_eq!(
        steps[3]["differences"][0],
        serde_json::json!({
            "kind": "table", "object": "public.b", "change": "leftBehind",
            "message": "table public.b: was not there, and is",
        })
    );

    project.write("002_v_UP.sql", "SELECT nothing");
    let ended = run(&project, "-o json");
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let result = json(&ended.stdout, "test.json");
    let told = result["failure"]["message"].as_str().expect("a message");
    assert!(told.contains("column \"nothing\" does not exist"), "{told}");
    assert_eq!(result["steps"].as_array().expect("steps").len(), 3);
    assert_eq!(result["passed"], false);

    let wrong = run(&project, "--cleanup -o json");
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
}
