//! What is told is on the server's disk (decision 0018). That no crash takes it back is shown in `tests/faults`.

use schemaward::engine::Progress;
use schemaward::engine::database::{Database as _, Observation, Request};
use schemaward::engine::run;
use schemaward::postgres::Postgres;

use crate::engine::Run;
use crate::harness::{Database, postgres_major};

const FILES: [(&str, &str); 4] = [
    ("1_a_UP.sql", "CREATE TABLE a (id int);"),
    ("2_b_UP.sql", "CREATE INDEX ON a (id);"),
    ("3_c_UP.sql", "INSERT INTO a SELECT 1;"),
    ("4_d_UP.sql", "COMMENT ON TABLE a IS 'a';"),
];

/// A database whose commits wait for the disk, unlike those of the other tests.
fn durable(major: u8, name: &str) -> Database<'static> {
    let database = postgres_major(major).database(name);
    let own = &database.name;
    database.admin_exec(&format!(
        "ALTER DATABASE {own} SET synchronous_commit TO on"
    ));
    database
}

/// Somebody commits and does not wait; where the server's log ends then.
fn unflushed(database: &Database<'_>) -> String {
    database.admin_exec(
        "SET synchronous_commit TO off; CREATE TABLE unflushed (id int); SELECT pg_current_wal_insert_lsn()",
    )
}

fn is_flushed(database: &Database<'_>, lsn: &str) -> bool {
    let question = format!("SELECT pg_current_wal_flush_lsn() >= '{}'", lsn.trim());
    database.admin_exec(&question).trim() == "t"
}

#[tokio::test]
async fn a_version_is_told_with_those_before_it_once_one_was_flushed() {
    for major in [14, 18] {
        let database = durable(major, "flush_told");
        let run_to_be = Run::new(&database, &FILES);
        let mut connection = Postgres::connect(&run_to_be.settings)
            .await
            .expect("the database can be reached");
        let mut told = Vec::new();
        let note = |progress: Progress<'_>| match progress {
            Progress::Started { version, .. } => told.push(format!("start {version}")),
            Progress::Finished(done) => told.push(format!("end {}", done.version)),
            _ => {}
        };
        run(&mut connection, run_to_be.task, || true, note).await;
        connection.close().await;
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
        let database = durable(major, "flush_all");
        Run::new(&database, &FILES).go().await;
        let settings = Run::new(&database, &FILES).settings;
        let mut connection = Postgres::connect(&settings).await.expect("a connection");
        for request in [Request::Inspect, Request::TryLock] {
            connection.perform(&request).await.expect("an answer");
        }
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
        let database = durable(major, "flush_look");
        Run::new(&database, &FILES).go().await;
        let settings = Run::new(&database, &FILES).settings;
        let mut connection = Postgres::connect(&settings).await.expect("a connection");
        let lsn = unflushed(&database);
        connection.perform(&Request::Inspect).await.expect("a look");
        assert!(is_flushed(&database, &lsn), "PostgreSQL {major}");
        connection.close().await;
    }
}
