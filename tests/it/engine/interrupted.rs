//! What comes between: a lock that is not free, another run, a cancellation, a host that vanishes.

use schemaward::engine::Progress;
use schemaward::engine::error::DatabaseErrorKind;

use super::*;

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
