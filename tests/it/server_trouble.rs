//! Scripts that a server cannot carry out, and what it is called.

use std::time::Duration;

use schemaward::engine::error::{DatabaseErrorKind, ScriptFailureKind};
use schemaward::engine::outcome::Stop;

use crate::engine::Run;
use crate::harness::{Postgres, postgres_major};

#[tokio::test]
async fn a_lock_table_that_is_full_names_the_setting() {
    let server = Postgres::start(
        16,
        &[
            "--set=max_locks_per_transaction=10",
            "--set=max_connections=20",
        ],
    );
    let database = server.database("locks");
    let script = "DO $$ BEGIN FOR i IN 1..5000 LOOP EXECUTE format('CREATE TABLE t%s ()', i); END LOOP; END $$;";
    let outcome = Run::new(&database, &[("001_many_UP.sql", script)])
        .go()
        .await;
    let Some(Stop::Script(failure)) = outcome.stop() else {
        panic!("{}", outcome.message());
    };
    assert_eq!(failure.kind, ScriptFailureKind::LockTableFull);
    assert_eq!(
        outcome.message(),
        "001 many failed at line 1, column 1: out of shared memory (53200). Nothing of 001 was applied; the \
         database has no version yet. The server's lock table is full: raise max_locks_per_transaction there, or \
         split 001 into versions that touch fewer objects each, and commit."
    );
    let tables =
        "SELECT count(*) FROM pg_tables WHERE tablename LIKE 't%' AND schemaname = 'public'";
    assert_eq!(database.query_text(tables), "0");
}

#[tokio::test]
async fn a_session_that_the_server_ended_is_a_lost_connection_and_no_bad_history() {
    let too_long = "SET LOCAL transaction_timeout = '300ms'; SELECT pg_sleep(60);";
    let database = postgres_major(17).database("ended");
    let mut wanted = Run::new(&database, &[("001_long_UP.sql", too_long)]);
    wanted.settings.lock_timeout = Duration::from_secs(5);
    let outcome = wanted.go().await;
    assert!(
        matches!(outcome.stop(), Some(Stop::Database(error))
            if error.kind == DatabaseErrorKind::ConnectionLost && error.sqlstate.as_deref() == Some("25P04")),
        "{}",
        outcome.message()
    );
    assert_eq!(
        outcome.message(),
        format!(
            "The server at {}:{} ended the work: terminating connection due to transaction timeout (25P04). A \
             version that was under way is either recorded whole or rolled back; the next look at the database tells. The \
             version under way was 001 long; before it, the database had no version yet.",
            database.server.host, database.server.port
        )
    );
    database.nothing_is_left();
}

#[tokio::test]
async fn a_script_that_releases_the_migration_lock_ends_the_run_before_the_next_one() {
    let database = postgres_major(16).database("unlocked");
    let files = [
        ("001_unlock_UP.sql", "SELECT pg_advisory_unlock_all();"),
        ("002_b_UP.sql", "CREATE TABLE b ();"),
    ];
    let outcome = Run::new(&database, &files).go().await;
    assert!(
        matches!(outcome.stop(), Some(Stop::Database(error)) if error.kind == DatabaseErrorKind::LockLost),
        "{}",
        outcome.message()
    );
    assert_eq!(
        outcome.message(),
        "The migration lock is not this session's any more: a script released it (pg_advisory_unlock_all), or \
         something between here and the server hands its sessions round. 002 was not begun; those before it stay."
    );
    let state = "SELECT max(version), to_regclass('b') IS NULL FROM schema_migrations";
    assert_eq!(database.query_text(state), "001|t");
}
