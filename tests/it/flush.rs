//! What is told is on the server's disk (decision 0018). That no crash takes it back is shown in `tests/faults`.

use std::process::Command;
use std::sync::OnceLock;

use schemaward::engine::database::{Database as _, Observation, Request};
use schemaward::engine::error::DatabaseErrorKind;
use schemaward::engine::outcome::{Outcome, Stop};
use schemaward::engine::{Progress, run};
use schemaward::postgres::Postgres;
use tokio::sync::{Mutex, MutexGuard};

use crate::engine::Run;
use crate::harness::{self, Database, eventually, postgres_major};
use crate::operator_rig::LIMIT;

const FILES: [(&str, &str); 4] = [
    ("1_a_UP.sql", "CREATE TABLE a (id int);"),
    ("2_b_UP.sql", "CREATE INDEX ON a (id);"),
    ("3_c_UP.sql", "INSERT INTO a SELECT 1;"),
    ("4_d_UP.sql", "COMMENT ON TABLE a IS 'a';"),
];

/// A database whose commits wait for the disk, unlike those of the other tests.
fn durable(major: u8, name: &str) -> Database<'static> {
    waits_for_disk(postgres_major(major).database(name), "on")
}

fn waits_for_disk<'a>(database: Database<'a>, synchronous_commit: &str) -> Database<'a> {
    let own = &database.name;
    database.admin_exec(&format!(
        "ALTER DATABASE {own} SET synchronous_commit TO {synchronous_commit}"
    ));
    database
}

/// A server on which nobody but the WAL writer, every two seconds, flushes what somebody else committed: on one that
/// other tests share, their commits do. The tests here take turns.
async fn quiet(major: u8) -> MutexGuard<'static, harness::Postgres> {
    static SERVERS: [OnceLock<Mutex<harness::Postgres>>; 5] = [const { OnceLock::new() }; 5];
    let flags = [
        "--set=wal_writer_delay=2000",
        NO_WRITER,
        "--set=autovacuum=off",
    ];
    let start = || Mutex::new(harness::Postgres::start(major, &flags));
    let server = SERVERS[usize::from(major) - 14].get_or_init(start);
    server.lock().await
}

/// The background writer flushes the log before it writes a page.
const NO_WRITER: &str = "--set=bgwriter_lru_maxpages=0";

/// Somebody commits and does not wait; where the server's log ends then, which is not on its disk.
fn unflushed(database: &Database<'_>) -> String {
    eventually(LIMIT, || {
        let lsn = database.admin_exec(
            "SET synchronous_commit TO off; CREATE TABLE IF NOT EXISTS unflushed (id int); \
             INSERT INTO unflushed VALUES (1); SELECT pg_current_wal_insert_lsn()",
        );
        if is_flushed(database, &lsn) {
            Err(lsn)
        } else {
            Ok(lsn)
        }
    })
}

fn is_flushed(database: &Database<'_>, lsn: &str) -> bool {
    let question = format!("SELECT pg_current_wal_flush_lsn() >= '{}'", lsn.trim());
    database.admin_exec(&question).trim() == "t"
}

/// Runs `files`; what was told, in order, and how it ended.
async fn told(database: &Database<'_>, files: &[(&str, &str)]) -> (Vec<String>, Outcome) {
    let run_to_be = Run::new(database, files);
    let mut connection = Postgres::connect(&run_to_be.settings)
        .await
        .expect("the database can be reached");
    let mut told = Vec::new();
    let note = |progress: Progress<'_>| match progress {
        Progress::Started { version, .. } => told.push(format!("start {version}")),
        Progress::Finished(done) => told.push(format!("end {}", done.version)),
        _ => {}
    };
    let outcome = run(&mut connection, run_to_be.task, || true, note).await;
    connection.close().await;
    (told, outcome)
}

#[tokio::test]
async fn a_version_is_told_with_those_before_it_once_one_was_flushed() {
    for major in [14, 18] {
        let database = durable(major, "flush_told");
        let (told, _) = told(&database, &FILES).await;
        // The third takes its time, as far as its text tells, and the fourth does not follow it before it is told.
        let expected = [
            "start 1", "start 2", "end 1", "end 2", "start 3", "start 4", "end 3", "end 4",
        ];
        assert_eq!(told, expected, "PostgreSQL {major}");
    }
}

#[tokio::test]
async fn a_flush_is_for_all_that_was_committed_on_every_supported_server() {
    for major in 14..=18 {
        let server = quiet(major).await;
        let database = waits_for_disk(server.database("flush_all"), "on");
        Run::new(&database, &FILES).go().await;
        let settings = Run::new(&database, &FILES).settings;
        let mut connection = Postgres::connect(&settings).await.expect("a connection");
        for request in [Request::Inspect, Request::TryLock] {
            connection.perform(&request).await.expect("an answer");
        }
        let _suspended = Suspended::walwriter(&server);
        let lsn = unflushed(&database);
        let answer = connection.perform(&Request::Flush).await;
        assert!(
            matches!(answer, Ok(Observation::Flushed)),
            "PostgreSQL {major}: {answer:?}"
        );
        assert!(is_flushed(&database, &lsn), "PostgreSQL {major}");
        connection.close().await;
    }
}

#[tokio::test]
async fn a_look_waits_until_what_it_saw_is_there_to_stay() {
    for major in 14..=18 {
        let server = quiet(major).await;
        let database = waits_for_disk(server.database("flush_look"), "on");
        Run::new(&database, &FILES).go().await;
        let settings = Run::new(&database, &FILES).settings;
        let mut connection = Postgres::connect(&settings).await.expect("a connection");
        let lsn = unflushed(&database);
        connection.perform(&Request::Inspect).await.expect("a look");
        assert!(is_flushed(&database, &lsn), "PostgreSQL {major}");
        connection.close().await;
    }
}

/// Nobody can ask what a standby has, so no version is to be seen before it is there.
#[tokio::test]
async fn with_a_synchronous_standby_every_version_is_flushed() {
    let server = harness::Postgres::start(16, &["--set=synchronous_standby_names=nobody"]);
    // The standby is not there, so the test does not wait for it.
    let database = waits_for_disk(server.database("flush_standby"), "local");
    let (told, _) = told(&database, &FILES[..2]).await;
    assert_eq!(told, ["start 1", "end 1", "start 2", "end 2"]);
}

#[tokio::test]
async fn a_version_that_released_the_migration_lock_is_told() {
    let database = durable(16, "flush_unlocked");
    let files = [
        ("1_a_UP.sql", "SELECT pg_advisory_unlock_all();"),
        ("2_b_UP.sql", "CREATE TABLE b ();"),
    ];
    let (told, outcome) = told(&database, &files).await;
    assert_eq!(told, ["start 1", "start 2", "end 1"]);
    assert!(
        matches!(outcome.stop(), Some(Stop::Database(error)) if error.kind == DatabaseErrorKind::LockLost),
        "{}",
        outcome.message()
    );
}

/// A process that does nothing until this is dropped.
struct Suspended(String);

impl Suspended {
    fn walwriter(server: &harness::Postgres) -> Self {
        let pid =
            server.admin_exec("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
        let pid = pid.trim().to_owned();
        send("-STOP", &pid);
        Self(pid)
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        send("-CONT", &self.0);
    }
}

fn send(signal: &str, pid: &str) {
    let sent = Command::new("kill").args([signal, pid]).status();
    assert!(sent.expect("kill").success());
}

#[tokio::test]
async fn a_look_at_what_does_not_come_to_the_disk_says_so() {
    // Nobody but the WAL writer flushes.
    let server = harness::Postgres::start(
        16,
        &[
            "--set=wal_writer_delay=500",
            NO_WRITER,
            "--set=autovacuum=off",
        ],
    );
    let database = waits_for_disk(server.database("flush_never"), "on");
    Run::new(&database, &FILES).go().await;
    let settings = Run::new(&database, &FILES).settings;
    let mut connection = Postgres::connect(&settings).await.expect("a connection");
    {
        let _suspended = Suspended::walwriter(&server);
        unflushed(&database);
        let error = connection.perform(&Request::Inspect).await.unwrap_err();
        assert_eq!(error.kind, DatabaseErrorKind::ConnectionLost);
        assert_eq!(
            error.message,
            format!(
                "The server at {}:{} keeps what was seen in memory: it is not on its disk yet, and a crash would \
                 take it back. Nothing was changed. Look at the server's disk if that stays so; the next run looks \
                 again.",
                server.host, server.port
            )
        );
    }
    // What somebody writes and does not commit is no reason to say so.
    let fifth = [("5_e_UP.sql", "CREATE TABLE e ();")];
    Run::new(&database, &[&FILES[..], &fifth].concat())
        .go()
        .await;
    let mut writer = database.hold("writer", "BEGIN; INSERT INTO a VALUES (2);");
    connection.perform(&Request::Inspect).await.expect("a look");
    connection.close().await;
    writer.kill().expect("the writer ends");
    writer.wait().expect("the writer ended");
}
