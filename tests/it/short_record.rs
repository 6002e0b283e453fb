//! The short record of a version holds, or gives way to the whole one.
//!
//! What a version's script sets off (here a trigger of a table of the users') counts how often it ran with a sequence,
//! which no rollback takes back: once where the short record held, twice where it did not.

use schemaward::engine::outcome::{Outcome, Stop};

use crate::engine::{Run, reached};
use crate::harness::{Database, eventually, postgres_major};
use crate::operator_rig::LIMIT;

/// Versions of which the last one sets off `action`, once the short record was used. `before` is said in the first one,
/// `between` in the others.
fn files(before: &str, action: &str, between: &str) -> [(&'static str, String); 4] {
    let first = format!(
        "CREATE SEQUENCE ran; CREATE TABLE one (id int); \
         CREATE FUNCTION sets_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM nextval('ran'); {action}; RETURN NULL; END $$; \
         CREATE TRIGGER sets_off AFTER INSERT ON one FOR EACH ROW EXECUTE FUNCTION sets_off(); {before}"
    );
    [
        ("001_one_UP.sql", first),
        ("002_two_UP.sql", format!("CREATE TABLE two (); {between}")),
        (
            "003_three_UP.sql",
            format!("CREATE TABLE three (); {between}"),
        ),
        ("004_four_UP.sql", "INSERT INTO one VALUES (1);".to_owned()),
    ]
}

async fn up(database: &Database<'_>, files: &[(&str, String)]) -> Outcome {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    Run::new(database, &files).go().await
}

/// How often the last script ran.
fn ran(database: &Database<'_>) -> String {
    database.query_text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ran")
}

/// The rows of the ledger that are of the last version, and whether each is complete.
fn recorded(database: &Database<'_>) -> String {
    database.query_text(
        "SELECT version, name, checksum IS NOT NULL AND execution_time_ms IS NOT NULL FROM schema_migrations \
         WHERE ltrim(version, '0') = '4' ORDER BY 1",
    )
}

const RECORDED: &str = "004|four|t";

#[tokio::test]
async fn what_a_script_sets_off_in_the_history_is_judged_by_the_whole_record() {
    let held = "PERFORM 1";
    let itself = "INSERT INTO schema_migrations (version, name) VALUES ('004', 'its own')";
    for (before, action, expected) in [
        ("", held, "1"),
        ("", itself, "2"),
        // A ledger of somebody else may have no key, and then no error says it.
        (
            "ALTER TABLE schema_migrations DROP CONSTRAINT schema_migrations_pkey",
            itself,
            "2",
        ),
        (
            "",
            "UPDATE schema_migrations SET name = 'other' WHERE version = '001'",
            "2",
        ),
        (
            "",
            "ALTER TABLE schema_migrations ADD COLUMN extra int",
            "2",
        ),
        (
            "",
            "INSERT INTO schemaward.audit SELECT a.id + 1, a.at, a.ledger_schema, a.ledger_table, 'apply', a.version, \
             a.detail, a.checksum, a.actor, a.database_role, a.tool, 1, a.hash FROM schemaward.audit a \
             ORDER BY id DESC LIMIT 1",
            "2",
        ),
    ] {
        for major in [14, 16, 18] {
            let database = postgres_major(major).database("short_judged");
            reached(&up(&database, &files(before, action, "")).await);
            assert_eq!(
                recorded(&database),
                RECORDED,
                "PostgreSQL {major}: {action}"
            );
            assert_eq!(ran(&database), expected, "PostgreSQL {major}: {action}");
        }
    }
}

#[tokio::test]
async fn what_would_not_stand_is_rolled_back() {
    let spelled =
        "INSERT INTO schema_migrations (version, name) VALUES ('4', 'in another spelling')";
    let hides = "CREATE FUNCTION hides() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN \
         DELETE FROM schemaward.script WHERE version = '004'; DELETE FROM public.schema_migrations WHERE version = '004'; \
         RETURN NULL; END $f$";
    for (before, action, between) in [
        ("", spelled, ""),
        // The server has passed on what it counted after each version: it counts two rows now, as it would for two
        // versions with none in between.
        ("SELECT pg_sleep(1.1)", spelled, "SELECT pg_sleep(1.1)"),
        (
            hides,
            "CREATE TRIGGER hides AFTER INSERT ON schema_migrations FOR EACH ROW EXECUTE FUNCTION hides()",
            "",
        ),
        (
            hides,
            "CREATE TRIGGER hides AFTER INSERT ON schemaward.script FOR EACH ROW EXECUTE FUNCTION hides()",
            "",
        ),
    ] {
        for major in [14, 16, 18] {
            let database = postgres_major(major).database("short_stands");
            let outcome = up(&database, &files(before, action, between)).await;
            let Some(Stop::Script(failure)) = outcome.stop() else {
                panic!("PostgreSQL {major}: {action}: {}", outcome.message());
            };
            assert_eq!(failure.version.as_str(), "004");
            assert!(
                outcome.message().contains("its record would not stand"),
                "{}",
                outcome.message()
            );
            assert_eq!(recorded(&database), "", "PostgreSQL {major}: {action}");
            assert_eq!(ran(&database), "2", "PostgreSQL {major}: {action}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_count_gets_the_whole_record() {
    for major in [14, 18] {
        let database = postgres_major(major).database("short_uncounted");
        database.admin_exec(&format!(
            "ALTER DATABASE {} SET track_counts TO off",
            database.name
        ));
        reached(&up(&database, &files("", "PERFORM 1", "")).await);
        assert_eq!(recorded(&database), RECORDED);
        assert_eq!(ran(&database), "1", "PostgreSQL {major}");
    }
}

/// Whoever puts a trigger on the history while a version runs is waited for, and seen.
#[tokio::test]
async fn a_trigger_that_somebody_else_is_about_to_put_there_is_seen() {
    for major in [14, 18] {
        let database = postgres_major(major).database("short_meanwhile");
        let prepared = files(
            "CREATE FUNCTION hides() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN \
             DELETE FROM public.schema_migrations WHERE version = '004'; RETURN NULL; END $f$",
            "PERFORM pg_advisory_lock(7)",
            "",
        );
        // It holds the last version up until the trigger is there, and commits when that version waits for the table.
        // Its transaction is the older one.
        let script = "BEGIN; SELECT pg_current_xact_id(), pg_advisory_lock(7);
            DO $$ BEGIN
              WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted) LOOP
                PERFORM pg_sleep(0.01);
              END LOOP;
            END $$;
            CREATE TRIGGER hides AFTER INSERT ON schema_migrations FOR EACH ROW EXECUTE FUNCTION hides();
            SELECT pg_advisory_unlock(7);
            DO $$ BEGIN
              WHILE NOT EXISTS (SELECT FROM pg_locks WHERE relation = 'schema_migrations'::regclass AND NOT granted) LOOP
                PERFORM pg_sleep(0.01);
              END LOOP;
            END $$;
            COMMIT;";
        reached(&up(&database, &prepared[..1]).await);
        let mut holder = database.session("holder", script);
        eventually(LIMIT, || {
            let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND granted";
            match database.query_text(held).as_str() {
                "1" => Ok(()),
                other => Err(other.to_owned()),
            }
        });
        let mut run = Run::new(
            &database,
            &prepared
                .each_ref()
                .map(|(name, text)| (*name, text.as_str())),
        );
        run.settings.lock_timeout = std::time::Duration::from_mins(1);
        let outcome = run.go().await;
        holder.kill().expect("it runs");
        holder.wait().expect("it can be waited for");
        assert!(
            matches!(outcome.stop(), Some(Stop::Script(_))) && recorded(&database).is_empty(),
            "PostgreSQL {major}: {} {}",
            outcome.message(),
            recorded(&database)
        );
    }
}
