//! What a script may do, and what of it stays with it.

use std::fmt::Write;

use super::*;

#[tokio::test]
async fn what_a_script_sets_does_not_reach_the_next_or_the_bookkeeping() {
    let database = postgres().database("leak");
    database.admin_exec(&format!(
        "CREATE ROLE {0}_low; GRANT {0}_low TO {0}; CREATE SCHEMA evil AUTHORIZATION {0}",
        database.user
    ));
    database.exec(
        "CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'",
    );
    let first = format!(
        "SET search_path TO evil, pg_catalog; SET statement_timeout TO 40; SET ROLE {}_low; \
         CREATE TEMP TABLE two (id int); SELECT 'é;', $q$;$q$ -- no end",
        database.user
    );
    let files = [
        ("001_sets_UP.sql", first.as_str()),
        (
            "002_two_UP.sql",
            "SELECT pg_sleep(0.05); CREATE TABLE two (id int) ",
        ),
    ];
    reached(&Run::new(&database, &files).go().await);
    assert_eq!(ledger(&database), "001|sets|t|t\n002|two|t|t");
    assert_eq!(
        database.query_text(
            "SELECT nspname, rolname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
             JOIN pg_roles r ON r.oid = relowner WHERE relname = 'two'"
        ),
        format!("public|{}", database.user)
    );
}

#[tokio::test]
async fn a_scripts_own_timeout_does_not_cancel_its_record() {
    let database = postgres().database("hurry");
    // Text that does not compress, so that keeping it takes longer than the script allows a statement.
    let noise: String = (0..20_000)
        .map(|_| uuid::Uuid::new_v4().to_string())
        .collect();
    let script = format!("CREATE TABLE one (id int); SET statement_timeout TO 1; -- {noise}");
    reached(
        &Run::new(&database, &[("001_one_UP.sql", script.as_str())])
            .go()
            .await,
    );
    assert_eq!(ledger(&database), "001|one|t|t");
}

#[tokio::test]
async fn an_error_that_a_script_raises_is_the_scripts_whatever_its_code() {
    let codes = [
        "08006", "57P03", "25006", "53300", "3D000", "28P01", "40001",
    ];
    for code in codes {
        let database = postgres().database("raises");
        let text =
            format!("SELECT 1;\nDO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$;");
        let outcome = Run::new(&database, &[("001_raises_UP.sql", &text)])
            .go()
            .await;
        let Some(Stop::Script(failure)) = outcome.stop() else {
            panic!("{code}: {}", outcome.message());
        };
        assert_eq!(
            failure.position.map(|position| position.line),
            Some(2),
            "{code}"
        );
        assert_eq!(failure.statement, Some(2), "{code}");
    }
    let database = postgres().database("breaks_off");
    let outcome = Run::new(
        &database,
        &[("001_breaks_off_UP.sql", "SELECT 1;\nSELECT 1 FROM\n")],
    )
    .go()
    .await;
    let Some(Stop::Script(failure)) = outcome.stop() else {
        panic!("{}", outcome.message());
    };
    assert_eq!(failure.sqlstate.as_deref(), Some("42601"));
    assert_eq!(failure.statement, Some(2));
}

#[tokio::test]
async fn a_concurrent_index_records_itself_where_the_scripts_settings_say() {
    let database = postgres().database("elsewhere");
    database.exec("CREATE SCHEMA app; CREATE TABLE app.one (id int)");
    let mut wanted = Run::new(
        &database,
        &[(
            "001_index_UP.sql",
            "CREATE INDEX CONCURRENTLY one_id ON one (id);\nINSERT INTO schema_migrations \
             (version, name) VALUES ('001', 'index') ON CONFLICT (version) DO NOTHING;",
        )],
    );
    wanted.settings.search_path = vec!["app".to_owned()];
    wanted.settings.ledger.schema = "app".to_owned();
    wanted.task.ledger.schema = "app".to_owned();
    reached(&wanted.go().await);
    assert_eq!(
        database
            .query_text("SELECT version, name, checksum IS NOT NULL FROM app.schema_migrations"),
        "001|index|t"
    );
}

#[tokio::test]
async fn settings_of_the_database_do_not_reach_a_run() {
    for major in [14, 17] {
        let database = postgres_major(major).database("poison");
        let name = &database.name;
        let mut poison = format!(
            "ALTER DATABASE {name} SET bytea_output = escape; ALTER DATABASE {name} SET \
             idle_session_timeout = 100; ALTER DATABASE {name} SET statement_timeout = 1; \
             ALTER DATABASE {name} SET default_transaction_read_only = on;"
        );
        if major >= 17 {
            write!(
                poison,
                "ALTER DATABASE {name} SET transaction_timeout = 200;"
            )
            .expect("a String takes all");
        }
        database.admin_exec(&poison);
        let files = [
            (
                "001_slow_UP.sql",
                "SELECT pg_sleep(0.4); CREATE TABLE slow (id int);",
            ),
            ("001_slow_DOWN.sql", "DROP TABLE slow;"),
        ];
        reached(&Run::new(&database, &files).go().await);
        reached(&Run::new(&database, &[]).back_to(None).go().await);
    }
}

#[tokio::test]
async fn what_a_transaction_block_allows_a_script_may_do() {
    let scripts = [
        "CREATE TYPE mood AS ENUM ('a')",
        "ALTER TYPE mood ADD VALUE 'b'",
        "LISTEN x; NOTIFY x",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1; FETCH c",
        "PREPARE one AS SELECT 1; EXECUTE one; DEALLOCATE one",
        "CREATE TABLE once (id int); INSERT INTO once VALUES (1); DEALLOCATE ALL",
        "ALTER TABLE public.schema_migrations ADD COLUMN note text; CREATE SCHEMA more",
        "SAVEPOINT a; SELECT 1; ROLLBACK TO a; RELEASE a; DISCARD PLANS; RESET ALL",
        "DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN EXECUTE 'CREATE TABLE made ()'; END $$",
        "CREATE TABLE parent (id int) PARTITION BY RANGE (id); \
         CREATE TABLE part PARTITION OF parent FOR VALUES FROM (0) TO (10); LOCK TABLE parent; \
         SET CONSTRAINTS ALL DEFERRED; SET LOCAL work_mem = '8MB'",
        "ALTER TABLE parent DETACH PARTITION part CONCURRENTLY",
        "SET search_path = pg_temp; CREATE TEMP TABLE schema_migrations (version text, name text)",
    ];
    for major in [14, 18] {
        let database = postgres_major(major).database("allowed");
        let names: Vec<_> = (1..=scripts.len())
            .map(|number| format!("{number:03}_allowed_UP.sql"))
            .collect();
        let files: Vec<_> = names.iter().map(String::as_str).zip(scripts).collect();
        reached(&Run::new(&database, &files).go().await);
        assert_eq!(
            database.query_text("SELECT count(*) FROM public.schema_migrations"),
            scripts.len().to_string()
        );
        assert_eq!(database.query_text("SELECT count(*) FROM once"), "1");
    }
}

#[tokio::test]
async fn what_a_script_defers_runs_as_the_script_does_and_fails_as_its_own() {
    let database = postgres().database("deferred");
    let files = [
        (
            "001_triggers_UP.sql",
            "CREATE TABLE seen (id int); CREATE TABLE orders (id int);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               IF NEW.id < 0 THEN RAISE EXCEPTION 'no such order' USING ERRCODE = '22P02'; END IF;
               INSERT INTO seen VALUES (NEW.id); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER notes AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
               FOR EACH ROW EXECUTE FUNCTION note();",
        ),
        ("002_order_UP.sql", "INSERT INTO orders VALUES (1);"),
        ("003_wrong_UP.sql", "INSERT INTO orders VALUES (-1);"),
    ];
    let outcome = Run::new(&database, &files).go().await;
    let message = outcome.message();
    assert!(
        message.starts_with("003 wrong failed") && message.contains("22P02"),
        "{message}"
    );
    assert!(!message.contains("history"), "{message}");
    assert_eq!(database.query_text("TABLE seen"), "1");
}

#[tokio::test]
async fn an_index_can_be_built_concurrently() {
    let database = postgres().database("concurrently");
    let files = [
        TWO[0],
        (
            "002_index_UP.sql",
            "-- alone in its file\nCREATE INDEX CONCURRENTLY one_id ON one (id);\n\
             INSERT INTO schema_migrations (version, name) VALUES ('002', 'index') \
             ON CONFLICT (version) DO NOTHING;\n",
        ),
        ("002_index_DOWN.sql", "DROP INDEX CONCURRENTLY one_id;"),
    ];
    reached(&Run::new(&database, &files).go().await);
    assert_eq!(ledger(&database), "001|one|t|t\n002|index|t|t");
    assert_eq!(
        database
            .query_text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'one_id'::regclass"),
        "t"
    );
    reached(&Run::new(&database, &files).back_to(Some("001")).go().await);
    assert_eq!(ledger(&database), "001|one|t|t");
}

#[tokio::test]
async fn a_large_script_goes_in_parts_and_stays_one_transaction() {
    let database = postgres().database("large");
    let mut text = String::from("CREATE TABLE big (id int PRIMARY KEY, fill text);\n");
    for id in 0..30_000 {
        writeln!(
            text,
            "INSERT INTO big VALUES ({id}, 'ñañañañañañañañañañañañañañañañañañañañañañañañañaña');"
        )
        .expect("a String takes all");
    }
    assert!(text.len() > 3_000_000);
    let broken = format!("{text}INSERT INTO big VALUES (5, 'twice');\n");
    let outcome = Run::new(&database, &[("001_big_UP.sql", &broken)])
        .go()
        .await;
    let Some(Stop::Script(failure)) = outcome.stop() else {
        panic!("{}", outcome.message());
    };
    assert_eq!(failure.position.map(|position| position.line), Some(30_002));
    assert_eq!(failure.statement, Some(30_002));
    assert_eq!(
        database.query_text("SELECT to_regclass('big') IS NULL"),
        "t"
    );
    reached(&Run::new(&database, &[("001_big_UP.sql", &text)]).go().await);
    assert_eq!(database.query_text("SELECT count(*) FROM big"), "30000");
}

/// What is ours is ASCII, so it is the script's.
#[tokio::test]
async fn a_character_that_the_database_lacks_is_the_scripts_error() {
    let database = postgres_major(16).database("latin").in_encoding("LATIN1");
    for sql in ["SELECT '日本'", "CREATE TABLE one (a text DEFAULT '日本')"] {
        let outcome = Run::new(
            &database,
            &[
                ("001_one_UP.sql", sql),
                ("002_two_UP.sql", "CREATE TABLE two ()"),
            ],
        );
        let outcome = outcome.go().await;
        let Some(Stop::Script(failure)) = outcome.stop() else {
            panic!("{sql}: {}", outcome.message());
        };
        assert_eq!(failure.version.as_str(), "001");
        assert_eq!(failure.sqlstate.as_deref(), Some("22P05"));
    }
}
