//! Versions about new tables alone go in one Query: each is recorded, told and judged as if it was sent alone.
//!
//! What happens in the middle of a Query is set off by an event trigger.

use schemaward::engine::outcome::{Outcome, Stop};

use crate::engine::{Run, reached};
use crate::guarded_record::{self, ran};
use crate::harness::{Database, Postgres, postgres_major};

/// What a comment on table `three` sets off.
fn sets_off(major: u8, action: &str) -> Database<'static> {
    guarded_record::sets_off(major, "three", action)
}

/// Five versions in one Query; the fourth is `fourth`.
async fn up(database: &Database<'_>, fourth: &str) -> Outcome {
    let files = [
        (
            "001_one_UP.sql",
            "CREATE TABLE one (\"ü\" int, at timestamptz DEFAULT now()); -- ünö\nINSERT INTO one DEFAULT VALUES",
        ),
        (
            "002_two_UP.sql",
            "CREATE TABLE two (at timestamptz DEFAULT now()); INSERT INTO two DEFAULT VALUES",
        ),
        (
            "003_three_UP.sql",
            "CREATE TABLE three (at timestamptz DEFAULT now()); INSERT INTO three DEFAULT VALUES;;",
        ),
        ("004_four_UP.sql", fourth),
        (
            "005_five_UP.sql",
            "CREATE TABLE five (at timestamptz DEFAULT now()); INSERT INTO five DEFAULT VALUES",
        ),
    ];
    Run::new(database, &files).go().await
}

const COMMENT: &str = "COMMENT ON TABLE three IS 'three'";

fn recorded(database: &Database<'_>) -> String {
    database.query_text("SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations")
}

/// How many Queries the tables came in: in one, the clock of transactions stands still.
fn queries(database: &Database<'_>, tables: &str) -> String {
    let all = tables
        .split(' ')
        .map(|table| format!("SELECT at FROM {table}"));
    let all: Vec<_> = all.collect();
    database.query_text(&format!(
        "SELECT count(DISTINCT at) FROM ({}) t",
        all.join(" UNION ALL ")
    ))
}

/// The tables that the scripts made, in the order in which they did.
fn tables(database: &Database<'_>) -> String {
    database.query_text(
        "SELECT string_agg(relname, ' ' ORDER BY oid) FROM pg_class \
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations'",
    )
}

#[tokio::test]
async fn each_has_its_own_time_in_history_and_audit() {
    for major in [14, 16, 18] {
        let database = sets_off(major, "PERFORM pg_sleep(0.1)");
        let outcome = up(&database, COMMENT).await;
        reached(&outcome);
        assert_eq!(outcome.done().len(), 5);
        let told = outcome.done().iter().map(|done| done.execution_time_ms);
        let took = "SELECT string_agg(execution_time_ms::text, ' ' ORDER BY version) FROM schema_migrations";
        let took = database.query_text(took);
        let told: Vec<_> = told.map(|time| time.to_string()).collect();
        assert_eq!(took, told.join(" "), "PostgreSQL {major}");
        let of_four: i64 = told[3].parse().expect("milliseconds");
        let of_five: i64 = told[4].parse().expect("milliseconds");
        assert!(
            of_four >= 100 && of_five < of_four,
            "PostgreSQL {major}: {took}"
        );
        assert_eq!(
            queries(&database, "one two three five"),
            "1",
            "PostgreSQL {major}"
        );
        let apart = database.query_text(
            "SELECT five.applied_at - four.applied_at >= '0.1 s' AND four.applied_at < five.applied_at \
             FROM schema_migrations four, schema_migrations five WHERE four.version = '004' AND five.version = '005'",
        );
        assert_eq!(apart, "t", "PostgreSQL {major}");
        let same = database.query_text(
            "SELECT count(*) FROM schema_migrations l JOIN schemaward.audit a ON a.version = l.version \
             AND a.at = l.applied_at AND a.execution_time_ms = l.execution_time_ms WHERE a.action = 'apply'",
        );
        assert_eq!(same, "5", "PostgreSQL {major}");
        // The newest row of the audit is missed by these two.
        let apart = database.query_text(
            "SELECT count(*) FROM schemaward.audit a JOIN schemaward.script s ON s.version = a.version AND s.stored_at = a.at \
             WHERE a.at > ALL (SELECT b.at FROM schemaward.audit b WHERE b.id < a.id)",
        );
        assert_eq!(apart, "5", "PostgreSQL {major}");
        let at: Vec<_> = outcome
            .done()
            .iter()
            .map(|done| done.at.as_microsecond())
            .collect();
        let micro = "SELECT string_agg((extract(epoch FROM applied_at) * 1000000)::bigint::text, ' ' ORDER BY version) \
                     FROM schema_migrations";
        let at: Vec<_> = at.iter().map(ToString::to_string).collect();
        assert_eq!(
            database.query_text(micro),
            at.join(" "),
            "PostgreSQL {major}"
        );
    }
}

#[tokio::test]
async fn where_one_fails_those_before_it_stay_and_none_runs_behind_it() {
    for (fourth, at, sqlstate) in [
        ("\n  CREATE TABLE two (id int)", "line 2, column 3", "42P07"),
        (
            "-- ä\nCREATE TABLE four (id int, nothing nowhere)",
            "line 2, column 36",
            "42704",
        ),
        // It is found before any of the Query runs.
        ("CREATE TABLE four (id int,);", "line 1, column 27", "42601"),
    ] {
        for major in [14, 18] {
            let case = format!("PostgreSQL {major}: {fourth}");
            let database = sets_off(major, "PERFORM 1");
            let outcome = up(&database, fourth).await;
            let Some(Stop::Script(failure)) = outcome.stop() else {
                panic!("{case}: {}", outcome.message());
            };
            assert_eq!(failure.version.as_str(), "004", "{case}");
            assert_eq!(failure.sqlstate.as_deref(), Some(sqlstate), "{case}");
            let message = outcome.message();
            assert!(message.contains(at), "{case}: {message}");
            assert!(
                message.contains("Nothing of 004 was applied; the database is at 003"),
                "{case}: {message}"
            );
            assert_eq!(recorded(&database), "001 002 003", "{case}");
            assert_eq!(tables(&database), "one two three", "{case}");
            assert_eq!(outcome.done().len(), 3, "{case}");
            // Where it is found before any of the Query runs, each is sent alone.
            let expected = if sqlstate == "42601" { "3" } else { "1" };
            assert_eq!(queries(&database, "one two three"), expected, "{case}");
        }
    }
}

/// The server counts bytes there.
#[tokio::test]
async fn each_goes_alone_where_characters_are_not_counted() {
    let database = postgres_major(16)
        .database("sent_along_bytes")
        .in_encoding("SQL_ASCII");
    let outcome = up(&database, "\nCREATE TABLE four (id int, nothing nowhere)").await;
    let message = outcome.message();
    assert!(
        message.contains("004 four failed at line 2, column 36"),
        "{message}"
    );
    assert_eq!(queries(&database, "one two three"), "3");
}

/// To cancel the wait for a standby commits, and the server would go on with the next version.
#[tokio::test]
async fn each_goes_alone_where_a_commit_waits_for_a_standby() {
    let server = Postgres::start(16, &["--set=synchronous_standby_names=nobody"]);
    let database = server.database("sent_along_standby");
    // The standby is not there, so the test does not wait for it.
    database.admin_exec(&format!(
        "ALTER DATABASE {} SET synchronous_commit TO local",
        database.name
    ));
    reached(&up(&database, "CREATE TABLE four (id int)").await);
    assert_eq!(queries(&database, "one two three five"), "4");
}

#[tokio::test]
async fn what_deallocates_the_record_is_recorded_all_the_same() {
    for major in [14, 18] {
        let database = sets_off(major, "EXECUTE 'DEALLOCATE ALL'");
        let outcome = up(&database, COMMENT).await;
        reached(&outcome);
        assert_eq!(
            recorded(&database),
            "001 002 003 004 005",
            "PostgreSQL {major}"
        );
        assert_eq!(
            tables(&database),
            "one two three five",
            "PostgreSQL {major}"
        );
        assert_eq!(
            queries(&database, "one two three"),
            "1",
            "PostgreSQL {major}"
        );
        assert_eq!(
            queries(&database, "one two three five"),
            "2",
            "PostgreSQL {major}"
        );
    }
}

#[tokio::test]
async fn one_that_does_not_get_its_locks_is_tried_again_and_the_rest_behind_it() {
    for major in [14, 18] {
        let database = sets_off(major, "LOCK TABLE public.held");
        database.admin_exec("CREATE TABLE held (); GRANT ALL ON held TO PUBLIC");
        let mut holder =
            database.session("holder", "BEGIN; LOCK TABLE held; SELECT pg_sleep(100);");
        let held = || {
            database.query_text("SELECT count(*) FROM pg_locks WHERE relation = 'held'::regclass")
        };
        crate::harness::eventually(crate::operator_rig::LIMIT, || match held().as_str() {
            "1" => Ok(()),
            other => Err(other.to_owned()),
        });
        let outcome = up(&database, COMMENT).await;
        let Some(Stop::LockTimeout(timeout)) = outcome.stop() else {
            panic!("PostgreSQL {major}: {}", outcome.message());
        };
        assert_eq!((timeout.version.as_str(), timeout.attempts), ("004", 2));
        let message = outcome.message();
        assert!(
            message.contains("(app \"holder\""),
            "PostgreSQL {major}: {message}"
        );
        assert_eq!(recorded(&database), "001 002 003", "PostgreSQL {major}");
        holder.kill().expect("it runs");
        holder.wait().expect("it can be waited for");
        database.admin_exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'");
        reached(&up(&database, COMMENT).await);
        assert_eq!(
            recorded(&database),
            "001 002 003 004 005",
            "PostgreSQL {major}"
        );
    }
}

#[tokio::test]
async fn a_session_that_ends_in_between_leaves_each_whole_or_not_at_all() {
    for major in [14, 18] {
        let database = sets_off(major, "PERFORM pg_terminate_backend(pg_backend_pid())");
        database.admin_exec("ALTER FUNCTION sets_off SECURITY DEFINER");
        let outcome = up(&database, COMMENT).await;
        assert!(
            matches!(outcome.stop(), Some(Stop::Database(_))),
            "PostgreSQL {major}: {}",
            outcome.message()
        );
        assert_eq!(recorded(&database), "001 002 003", "PostgreSQL {major}");
        assert_eq!(tables(&database), "one two three", "PostgreSQL {major}");
        assert_eq!(
            queries(&database, "one two three"),
            "1",
            "PostgreSQL {major}"
        );
        database.admin_exec("DROP EVENT TRIGGER sets_off");
        let outcome = up(&database, COMMENT).await;
        reached(&outcome);
        assert_eq!(outcome.done().len(), 2, "PostgreSQL {major}");
        assert_eq!(ran(&database), "1", "PostgreSQL {major}");
    }
}
