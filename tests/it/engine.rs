//! The engine on real servers: what is promised of one run.

use std::fmt::Write;
use std::time::Duration;

use schemaward::engine::error::{DatabaseErrorKind, ScriptFailureKind};
use schemaward::engine::outcome::{End, Outcome, Stop};
use schemaward::engine::task::{Actor, Ledger, Mode, Owner, Patience, Task};
use schemaward::engine::{Progress, run};
use schemaward::migration::catalog::{Catalog, SourceFile};
use schemaward::migration::target::{Policy, Rollback, Target};
use schemaward::migration::version::Version;
use schemaward::postgres::{
    LIVENESS_PERIOD, Origins, Password, Pooler, Postgres, Settings, Tls, TlsMode,
};

use crate::harness::{Database, postgres, postgres_major};

/// One run to be, with what most tests want; the rest is set field by field.
pub struct Run {
    pub settings: Settings,
    pub task: Task,
}

fn catalog(files: &[(&str, &str)]) -> Catalog {
    let files = files
        .iter()
        .map(|(name, text)| SourceFile {
            name: (*name).to_owned(),
            bytes: text.as_bytes().to_vec(),
        })
        .collect();
    Catalog::from_files(files, "schema_migrations", &|_| false).expect("the set is sound")
}

fn version(text: &str) -> Version {
    Version::parse(text).expect("a version")
}

impl Run {
    pub fn new(database: &Database<'_>, files: &[(&str, &str)]) -> Self {
        Self {
            settings: Settings {
                host: database.server.host.clone(),
                port: database.server.port,
                database: database.name.clone(),
                username: database.user.clone(),
                password: Password::Fixed(database.password.clone().into()),
                pooler: Pooler::None,
                tls: Tls {
                    mode: TlsMode::Disable,
                    ca: None,
                    client_certificate: None,
                },
                ledger: Ledger::default(),
                role: None,
                search_path: Vec::new(),
                lock_timeout: Duration::from_millis(200),
                statement_timeout: Duration::ZERO,
                application: "test".to_owned(),
                connect_timeout: Duration::from_secs(10),
                liveness_period: LIVENESS_PERIOD,
                origins: Origins::default(),
                guard: None,
            },
            task: Task {
                catalog: catalog(files),
                target: Target::Latest,
                policy: Policy {
                    rollback: Rollback::Deny,
                    ..Policy::default()
                },
                mode: Mode::Migrate,
                ledger: Ledger::default(),
                actor: Actor::CommandLine,
                patience: Patience {
                    lock_wait: Duration::from_secs(2),
                    lock_retries: 1,
                    ..Patience::default()
                },
                allow_privileged_role: false,
                known: None,
                review: None,
                checks: Vec::new(),
            },
        }
    }

    fn back_to(mut self, target: Option<&str>) -> Self {
        self.task.target = Target::DownTo(target.map(version));
        self.task.policy.rollback = Rollback::Allow;
        self
    }

    pub fn owned_by(mut self, name: &str, uid: &str) -> Self {
        self.task.actor = Actor::Resource(Owner {
            cluster: "cluster".to_owned(),
            namespace: "space".to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        });
        self
    }

    pub async fn go(self) -> Outcome {
        let mut connection = Postgres::connect(&self.settings)
            .await
            .expect("the database can be reached");
        let outcome = run(&mut connection, self.task, || true, |_| {}).await;
        connection.close().await;
        outcome
    }
}

const TWO: [(&str, &str); 4] = [
    ("001_one_UP.sql", "CREATE TABLE one (id int);"),
    ("001_one_DOWN.sql", "DROP TABLE one;"),
    ("002_two_UP.sql", "CREATE TABLE two (id int);"),
    ("002_two_DOWN.sql", "DROP TABLE two;"),
];

#[track_caller]
pub fn reached(outcome: &Outcome) {
    assert!(
        matches!(outcome.end(), End::Reached),
        "{}",
        outcome.message()
    );
}

fn ledger(database: &Database<'_>) -> String {
    database.query_text(
        "SELECT version, name, checksum IS NOT NULL, execution_time_ms IS NOT NULL \
         FROM schema_migrations ORDER BY version",
    )
}

#[tokio::test]
async fn versions_go_up_and_back_on_every_supported_server() {
    for major in 14..=18 {
        let database = postgres_major(major).database("round");
        let up = Run::new(&database, &TWO).go().await;
        reached(&up);
        assert_eq!(up.done().len(), 2, "{major}");
        assert_eq!(ledger(&database), "001|one|t|t\n002|two|t|t");
        assert_eq!(
            database.query_text(
                "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) \
                 FROM information_schema.columns WHERE table_name = 'schema_migrations'"
            ),
            "version text, name text, applied_at timestamp with time zone, \
             execution_time_ms bigint, checksum text"
        );
        // The files are gone, as after a reverted commit: the stored DOWN runs.
        let down = Run::new(&database, &TWO[..2])
            .back_to(Some("001"))
            .go()
            .await;
        reached(&down);
        assert_eq!(ledger(&database), "001|one|t|t");
        assert_eq!(
            database.query_text("SELECT to_regclass('two') IS NULL"),
            "t"
        );
        reached(&Run::new(&database, &TWO).back_to(None).go().await);
        assert_eq!(ledger(&database), "");
        assert_eq!(
            database.query_text("SELECT string_agg(action, ' ' ORDER BY id) FROM schemaward.audit"),
            "install apply apply undo undo"
        );
        assert_eq!(database.query_text(CHAIN), "5", "{major}");
    }
}

/// Recomputes the audit's hashes: how many are those that the fields of their row and the hash before
/// it give.
const CHAIN: &str = "
    SELECT count(*) FROM (
        SELECT hash, lag(hash, 1, '') OVER (ORDER BY id) AS previous, convert_to(
            (SELECT string_agg(length(field) || ':' || field, '' ORDER BY place)
             FROM unnest(ARRAY[id::text, extract(epoch FROM at)::text, ledger_schema, ledger_table,
                 action, coalesce(version, ''), detail, coalesce(checksum, ''), actor, database_role,
                 tool, coalesce(execution_time_ms::text, '')]) WITH ORDINALITY fields (field, place)),
            'UTF8') AS content
        FROM schemaward.audit) audit
    WHERE hash = sha256(previous || content)";

#[tokio::test]
async fn a_second_run_writes_nothing() {
    let database = postgres().database("rest");
    // A session's counts reach the statistics when it ends, and each of these ends before the next.
    let written = || {
        database.query_text(
            "SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database \
             WHERE datname = current_database()",
        )
    };
    let fresh = written();
    reached(&Run::new(&database, &TWO).owned_by("a", "1").go().await);
    let first = written();
    assert_ne!(fresh, first);
    reached(&Run::new(&database, &TWO).owned_by("a", "1").go().await);
    assert_eq!(first, written());
}

#[tokio::test]
async fn a_failing_script_says_where_and_leaves_nothing() {
    let cases = [
        (
            "CREATE TABLE left_over (id int);\n\nINSERT INTO nowhere VALUES (1);\n",
            "002 bad failed at line 3, column 13: relation \"nowhere\" does not exist (42P01). \
             Nothing of 002 was applied; the database is at 001. Correct 002 and commit.",
            2,
        ),
        (
            "CREATE TABLE left_over (id int PRIMARY KEY);\nINSERT INTO left_over VALUES (1);\n  \
             INSERT INTO left_over VALUES (1);",
            "002 bad failed at line 3, column 3: duplicate key value violates unique constraint \
             \"left_over_pkey\" (23505). Nothing of 002 was applied; the database is at 001. Correct \
             002 and commit.",
            3,
        ),
        (
            "CREATE TABLE left_over (id int);\r\nSELEC 1;\r\n",
            "002 bad failed at line 2, column 1: syntax error at or near \"SELEC\" (42601). Nothing of \
             002 was applied; the database is at 001. Correct 002 and commit.",
            2,
        ),
        (
            "BEGIN;\nCREATE TABLE left_over (é text);\nINSERT INTO left_over VALUES ('é'::int);\nCOMMIT;",
            "002 bad failed at line 3, column 31: invalid input syntax for type integer: \"…\" (22P02). \
             Nothing of 002 was applied; the database is at 001. Correct 002 and commit.",
            3,
        ),
    ];
    for (text, message, statement) in cases {
        let database = postgres().database("failing");
        let outcome = Run::new(&database, &[TWO[0], ("002_bad_UP.sql", text)])
            .go()
            .await;
        assert_eq!(outcome.message(), message);
        let Some(Stop::Script(failure)) = outcome.stop() else {
            panic!("{:?}", outcome.end());
        };
        assert_eq!(failure.kind, ScriptFailureKind::Failed);
        assert_eq!(failure.statement, Some(statement));
        assert_eq!(ledger(&database), "001|one|t|t");
        assert_eq!(
            database.query_text("SELECT to_regclass('left_over') IS NULL"),
            "t"
        );
    }
}

#[tokio::test]
async fn the_first_users_own_table_is_taken_over_whole() {
    let database = postgres().database("adopt");
    database.exec(
        "CREATE TABLE schema_migrations (version varchar(3) PRIMARY KEY, name varchar(255) NOT NULL, \
         applied_at timestamp DEFAULT CURRENT_TIMESTAMP, execution_time_ms integer, \
         checksum varchar(64)); \
         INSERT INTO schema_migrations (version, name) VALUES ('001', 'one'); \
         CREATE TABLE one (id int)",
    );
    let outcome = Run::new(&database, &TWO).go().await;
    reached(&outcome);
    assert_eq!(ledger(&database), "001|one|t|t\n002|two|t|t");
    assert_eq!(
        database.query_text(
            "SELECT action, version, regexp_replace(detail, '[0-9]{10,}', '…') FROM schemaward.audit ORDER BY id"
        ),
        "install||system identifier …, timeline 1\nadopt|001|unverified\napply|002|two"
    );
    reached(&Run::new(&database, &TWO).back_to(None).go().await);
    assert_eq!(
        database.query_text("SELECT to_regclass('one') IS NULL"),
        "t"
    );
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_refused_before_anything_runs() {
    let database = postgres().database("narrow");
    database.exec(
        "CREATE TABLE schema_migrations (version varchar(3) PRIMARY KEY, name varchar(255), \
         applied_at timestamptz, execution_time_ms bigint, checksum varchar(64))",
    );
    let outcome = Run::new(&database, &[TWO[0], ("0002_two_UP.sql", "SELECT 1")])
        .go()
        .await;
    assert_eq!(
        outcome.message(),
        "0002 needs 4 characters in column version of the history table, which takes 3. Nothing was \
         changed. Widen the column, or shorten the value."
    );
    assert_eq!(ledger(&database), "");
}

/// Before schema schemaward exists, nothing there is confused with it.
#[tokio::test]
async fn a_history_may_be_partitioned_and_have_the_name_of_a_table_of_ours() {
    let database = postgres().database("partitioned");
    database.exec(
        "CREATE TABLE audit (version text PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL \
         DEFAULT now(), execution_time_ms bigint, checksum text) PARTITION BY RANGE (version); \
         CREATE TABLE audit_all PARTITION OF audit DEFAULT",
    );
    for _ in ["created", "looked at again"] {
        let mut run = Run::new(&database, &TWO);
        run.settings.ledger.table = "audit".to_owned();
        run.task.ledger.table = "audit".to_owned();
        reached(&run.go().await);
    }
    let recorded = "SELECT string_agg(version, ' ' ORDER BY version) FROM audit";
    assert_eq!(database.query_text(recorded), "001 002");
}

#[tokio::test]
async fn other_tools_tables_are_named_and_left_alone() {
    let cases = [
        (
            "version varchar PRIMARY KEY",
            "Ruby on Rails or dbmate",
            DatabaseErrorKind::ForeignHistory,
        ),
        (
            "version bigint, dirty boolean",
            "golang-migrate",
            DatabaseErrorKind::ForeignHistory,
        ),
        (
            "id int, what text",
            "it has no column version",
            DatabaseErrorKind::HistoryUnreadable,
        ),
    ];
    for (columns, words, kind) in cases {
        let database = postgres().database("foreign");
        database.exec(&format!("CREATE TABLE schema_migrations ({columns})"));
        let outcome = Run::new(&database, &TWO).go().await;
        let Some(Stop::Database(error)) = outcome.stop() else {
            panic!("{:?}", outcome.end());
        };
        assert_eq!(error.kind, kind);
        assert!(error.message.contains(words), "{}", error.message);
        assert_eq!(
            database.query_text(
                "SELECT to_regnamespace('schemaward') IS NULL, to_regclass('one') IS NULL"
            ),
            "t|t"
        );
    }
}

#[tokio::test]
async fn a_script_that_records_itself_ends_up_complete() {
    let database = postgres().database("itself");
    let files = [
        TWO[0],
        (
            "002_two_UP.sql",
            "BEGIN;\nCREATE TABLE two (id int);\nINSERT INTO schema_migrations (version, name) VALUES \
             ('002', 'two') ON CONFLICT (version) DO NOTHING;\nCOMMIT;\n",
        ),
        (
            "002_two_DOWN.sql",
            "BEGIN;\nDROP TABLE two;\nDELETE FROM schema_migrations WHERE version = '002';\nCOMMIT;\n",
        ),
    ];
    reached(&Run::new(&database, &files).go().await);
    assert_eq!(ledger(&database), "001|one|t|t\n002|two|t|t");
    reached(&Run::new(&database, &files).back_to(Some("001")).go().await);
    assert_eq!(ledger(&database), "001|one|t|t");
}

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
async fn a_script_that_meddles_with_the_history_is_rolled_back() {
    let trigger = "CREATE FUNCTION nope() RETURNS trigger LANGUAGE plpgsql AS 'begin return null; end'; \
                   CREATE TRIGGER x BEFORE INSERT ON schema_migrations FOR EACH ROW EXECUTE FUNCTION nope();";
    let scripts = [
        trigger,
        "CREATE RULE r AS ON INSERT TO schema_migrations DO INSTEAD NOTHING;",
        "CREATE RULE r AS ON UPDATE TO schema_migrations DO INSTEAD NOTHING;",
        "ALTER TABLE schema_migrations ENABLE ROW LEVEL SECURITY;",
        "INSERT INTO schema_migrations (version, name) VALUES ('2', 'meddles');",
        "CREATE FUNCTION nope() RETURNS trigger LANGUAGE plpgsql AS \
         'begin delete from schema_migrations; return null; end'; \
         CREATE CONSTRAINT TRIGGER x AFTER INSERT ON schema_migrations DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION nope();",
    ];
    for script in scripts {
        let database = postgres().database("meddles");
        let text = format!("CREATE TABLE effect (id int); {script}");
        let outcome = Run::new(&database, &[TWO[0], ("002_meddles_UP.sql", &text)])
            .go()
            .await;
        assert!(
            matches!(outcome.stop(), Some(Stop::Script(_))),
            "{script}: {}",
            outcome.message()
        );
        assert_eq!(ledger(&database), "001|one|t|t", "{script}");
        assert_eq!(
            database.query_text("SELECT to_regclass('effect') IS NULL"),
            "t",
            "{script}"
        );
    }
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
async fn a_role_that_cannot_read_the_history_gets_the_grant_to_run() {
    let database = postgres().database("reads");
    reached(&Run::new(&database, &TWO).go().await);
    database.admin_exec(&format!(
        "CREATE ROLE {0}_ro LOGIN PASSWORD 'x'",
        database.name
    ));
    let mut wanted = Run::new(&database, &TWO);
    wanted.task.mode = Mode::Plan;
    wanted.settings.username = format!("{}_ro", database.user);
    wanted.settings.password = Password::Fixed("x".to_owned().into());
    let message = wanted.go().await.message();
    let user = format!("\"{}_ro\"", database.user);
    for grant in [
        format!("GRANT SELECT ON \"public\".\"schema_migrations\" TO {user};"),
        format!("GRANT USAGE ON SCHEMA schemaward TO {user};"),
    ] {
        assert!(message.contains(&grant), "{message}");
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
async fn a_lock_that_is_not_free_is_tried_again_and_then_given_up() {
    let database = postgres().database("waits");
    database.exec("CREATE TABLE orders (id int)");
    let holder = Postgres::connect(&Run::new(&database, &TWO).settings)
        .await
        .expect("a connection");
    drop(holder);
    let mut psql = hold(&database, "BEGIN; LOCK TABLE orders;");
    let outcome = Run::new(
        &database,
        &[("001_alter_UP.sql", "ALTER TABLE orders ADD x int;")],
    )
    .go()
    .await;
    let Some(Stop::LockTimeout(timeout)) = outcome.stop() else {
        panic!("{}", outcome.message());
    };
    assert_eq!(timeout.attempts, 2);
    assert!(outcome.message().contains("Nothing of 001 was applied"));
    psql.end();
    reached(
        &Run::new(
            &database,
            &[("001_alter_UP.sql", "ALTER TABLE orders ADD x int;")],
        )
        .go()
        .await,
    );
}

#[tokio::test]
async fn two_runs_never_meet_and_the_holder_is_named() {
    let database = postgres().database("two_runs");
    let mut psql = hold(&database, "SELECT pg_advisory_lock(1935894647, 1);");
    let outcome = Run::new(&database, &TWO).go().await;
    let Some(Stop::LockHeld(held)) = outcome.stop() else {
        panic!("{}", outcome.message());
    };
    let holder = held.holder.as_ref().expect("the server shows the holder");
    assert_eq!(holder.application_name, "holder");
    assert_eq!(
        database.query_text("SELECT to_regclass('schema_migrations') IS NULL"),
        "t"
    );
    psql.end();
    let (first, second) = tokio::join!(
        Run::new(&database, &TWO).go(),
        Run::new(&database, &TWO).go()
    );
    reached(&first);
    reached(&second);
    assert_eq!(first.done().len() + second.done().len(), 2);
}

#[tokio::test]
async fn a_claim_keeps_a_second_resource_out() {
    let database = postgres().database("claim");
    reached(&Run::new(&database, &TWO).owned_by("a", "1").go().await);
    let second = Run::new(&database, &TWO).owned_by("b", "2").go().await;
    assert!(matches!(second.stop(), Some(Stop::Claimed(claim)) if claim.owner.name == "a"));
    assert!(second.message().contains("DatabaseSchema space/a"));
    // The same resource, made anew: goes on silently.
    reached(&Run::new(&database, &TWO).owned_by("a", "3").go().await);
    assert_eq!(database.query_text("SELECT uid FROM schemaward.claim"), "3");
    let passing = Run::new(&database, &TWO).go().await;
    reached(&passing);
    assert_eq!(
        passing.passed_claim().map(|owner| owner.name.as_str()),
        Some("a")
    );
}

#[tokio::test]
async fn a_missing_right_comes_with_the_grant_to_run() {
    let database = postgres().database("rights");
    database.admin_exec(&format!(
        "CREATE ROLE {0}_app LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE {0} TO {0}_app; \
         REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        database.name
    ));
    let mut wanting = Run::new(&database, &TWO);
    wanting.settings.username = format!("{}_app", database.user);
    wanting.settings.password = Password::Fixed("x".to_owned().into());
    let outcome = wanting.go().await;
    let user = format!("\"{}_app\"", database.user);
    let message = outcome.message();
    assert!(
        message.contains(&format!("GRANT CREATE ON SCHEMA \"public\" TO {user};")),
        "{message}"
    );
    assert!(
        message.contains(&format!(
            "GRANT CREATE ON DATABASE \"{}\" TO {user};",
            database.name
        )),
        "{message}"
    );
    database.exec(&format!(
        "GRANT CREATE ON SCHEMA public TO {user}; GRANT CREATE ON DATABASE \"{}\" TO {user};",
        database.name
    ));
    let mut granted = Run::new(&database, &TWO);
    granted.settings.username = format!("{}_app", database.user);
    granted.settings.password = Password::Fixed("x".to_owned().into());
    reached(&granted.go().await);
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

#[tokio::test]
async fn a_run_that_is_cancelled_rolls_back_and_says_so() {
    let database = postgres().database("cancel");
    let files = [
        TWO[0],
        (
            "002_slow_UP.sql",
            "CREATE TABLE slow (id int); SELECT pg_sleep(60);",
        ),
    ];
    let wanted = Run::new(&database, &files);
    let mut connection = Postgres::connect(&wanted.settings)
        .await
        .expect("a connection");
    let canceller = connection.canceller();
    let (started, mut slow) = tokio::sync::mpsc::unbounded_channel();
    let running = run(
        &mut connection,
        wanted.task,
        || true,
        move |progress| {
            if let Progress::Started { version, .. } = progress
                && version.as_str() == "002"
            {
                started.send(()).expect("the test listens");
            }
        },
    );
    let cancelling = async {
        slow.recv().await;
        loop {
            canceller.cancel().await.expect("a second connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let outcome = tokio::select! {
        outcome = running => outcome,
        () = cancelling => unreachable!("it cancels until the run ended"),
    };
    assert!(
        matches!(outcome.stop(), Some(Stop::Database(error)) if error.kind == DatabaseErrorKind::Cancelled),
        "{}",
        outcome.message()
    );
    connection.close().await;
    database.nothing_is_left();
    assert_eq!(ledger(&database), "001|one|t|t");
    assert_eq!(
        database.query_text("SELECT to_regclass('slow') IS NULL"),
        "t"
    );
}

/// A way to the server that swallows what it carries: the client's side stays open and silent while the
/// server's side is closed, as when a host vanishes without a farewell. New connections work, if `takes_over`.
pub async fn swallowing_way(
    database: &Database<'_>,
    takes_over: bool,
) -> (u16, tokio::sync::watch::Sender<bool>) {
    use tokio::io::copy_bidirectional;
    use tokio::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let server = (database.server.host.clone(), database.server.port);
    let (swallow, swallowing) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut swallowing = swallowing.clone();
            let works = takes_over && *swallowing.borrow();
            let server = server.clone();
            tokio::spawn(async move {
                let mut upstream = TcpStream::connect(server)
                    .await
                    .expect("the server is there");
                let swallowed = async {
                    let swallowed = swallowing.wait_for(|swallow| *swallow && !works).await;
                    assert!(swallowed.is_ok(), "the test goes on");
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut upstream) => {}
                    () = swallowed => {
                        drop(upstream);
                        std::future::pending::<()>().await;
                    }
                }
            });
        }
    });
    (port, swallow)
}

#[tokio::test]
async fn a_host_that_vanished_is_not_waited_for_forever() {
    let cases = [
        (
            "CREATE TABLE slow (id int); SELECT pg_sleep(600);",
            "rolled back",
        ),
        (
            "CREATE INDEX CONCURRENTLY one_id ON one (id);",
            "What became of statement 1 is looked up in the catalog by the next run; 002 is not \
             recorded, and the database is at 001.",
        ),
    ];
    for (script, said) in cases {
        let database = postgres().database("vanished");
        // What an index that is built concurrently waits for.
        database.exec("CREATE TABLE one (id int)");
        let mut writer = hold(&database, "BEGIN; INSERT INTO one VALUES (1);");
        let (port, swallow) = swallowing_way(&database, true).await;
        let files = [("001_one_UP.sql", "SELECT 1"), ("002_slow_UP.sql", script)];
        let mut wanted = Run::new(&database, &files);
        wanted.settings.port = port;
        wanted.settings.lock_timeout = Duration::from_mins(1);
        wanted.settings.liveness_period = Duration::from_millis(200);
        let mut connection = Postgres::connect(&wanted.settings)
            .await
            .expect("a connection");
        let outcome = run(
            &mut connection,
            wanted.task,
            || true,
            |progress| {
                if let Progress::Started { version, .. } = progress
                    && version.as_str() == "002"
                {
                    swallow.send(true).expect("the way is there");
                }
            },
        )
        .await;
        let lost = matches!(
            outcome.stop(),
            Some(Stop::Database(error)) if error.kind == DatabaseErrorKind::ConnectionLost
        );
        assert!(
            lost && outcome.message().contains(said),
            "{}",
            outcome.message()
        );
        writer.end();
    }
}

/// A psql session that did something and keeps its session open.
struct Held(std::process::Child);

impl Held {
    fn end(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it can be waited for");
    }
}

fn hold(database: &Database<'_>, sql: &str) -> Held {
    database.hold("holder", sql).into()
}

impl From<std::process::Child> for Held {
    fn from(child: std::process::Child) -> Self {
        Self(child)
    }
}
