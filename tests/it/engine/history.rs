//! The history: another program's, one of another shape, and whose it is.

use schemaward::engine::error::DatabaseErrorKind;

use super::*;

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
