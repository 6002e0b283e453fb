//! The engine on real servers: what is promised of one run.

use std::time::Duration;

use schemaward::engine::error::ScriptFailureKind;
use schemaward::engine::outcome::{End, Outcome, Stop};
use schemaward::engine::run;
use schemaward::engine::task::{Actor, Ledger, Mode, Owner, Patience, Task};
use schemaward::migration::catalog::{Catalog, SourceFile};
use schemaward::migration::target::{Policy, Rollback, Target};
use schemaward::migration::version::Version;
use schemaward::postgres::{
    LIVENESS_PERIOD, Origins, Password, Pooler, Postgres, Settings, Tls, TlsMode,
};

use crate::harness::{Database, postgres, postgres_major};

mod history;
mod interrupted;
mod scripts;

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
                is_scratch: false,
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
