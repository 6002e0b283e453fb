//! What a version's script sets off (here an event trigger) in the history: its record holds, or all of it is rolled back.
//!
//! How often it ran is counted with a sequence, which no rollback takes back: once.

use schemaward::engine::outcome::{End, Outcome, Stop};

use crate::engine::{Run, reached};
use crate::harness::{Database, eventually, postgres_major};
use crate::operator_rig::LIMIT;

/// A database in which a comment on this table sets off `action`, and its sequence `ran` counts how often.
pub fn sets_off(major: u8, table: &str, action: &str) -> Database<'static> {
    let database = postgres_major(major).database("sets_off");
    database.admin_exec(&format!(
        "CREATE SEQUENCE ran; GRANT ALL ON SEQUENCE ran TO PUBLIC; \
         CREATE FUNCTION sets_off() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.{table}') THEN \
         PERFORM nextval('public.ran'); {action}; END IF; END $$; \
         CREATE EVENT TRIGGER sets_off ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION sets_off()"
    ));
    database
}

/// Versions of which the last one sets that off. `before` is said in the first one.
fn files(before: &str) -> [(&'static str, String); 4] {
    [
        (
            "001_one_UP.sql",
            format!("CREATE TABLE one (id int); {before}"),
        ),
        ("002_two_UP.sql", "CREATE TABLE two ()".to_owned()),
        ("003_three_UP.sql", "CREATE TABLE three ()".to_owned()),
        (
            "004_four_UP.sql",
            "COMMENT ON TABLE one IS 'one'".to_owned(),
        ),
    ]
}

async fn up(database: &Database<'_>, files: &[(&str, String)]) -> Outcome {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    Run::new(database, &files).go().await
}

/// How often that was set off.
pub fn ran(database: &Database<'_>) -> String {
    database.admin_exec("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ran")
}

/// The rows of the ledger that are of the last version, and whether each is complete.
fn recorded(database: &Database<'_>) -> String {
    database.query_text(
        "SELECT version, name, checksum IS NOT NULL AND execution_time_ms IS NOT NULL FROM schema_migrations \
         WHERE ltrim(version, '0') = '4' ORDER BY 1",
    )
}

const RECORDED: &str = "004|four|t";
const NOTHING: &str = "PERFORM 1";
const ITSELF: &str = "INSERT INTO schema_migrations (version, name) VALUES ('004', 'its own')";
const SPELLED: &str =
    "INSERT INTO schema_migrations (version, name) VALUES ('4', 'in another spelling')";
const NO_KEY: &str = "ALTER TABLE schema_migrations DROP CONSTRAINT schema_migrations_pkey";
const HIDES: &str = "CREATE FUNCTION hides() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN \
     DELETE FROM schemaward.script WHERE version = '004'; \
     DELETE FROM public.schema_migrations WHERE version = '004'; RETURN NULL; END $f$";

fn hides(table: &str) -> String {
    format!("CREATE TRIGGER hides AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION hides()")
}

#[tokio::test]
async fn a_record_holds_whatever_a_script_sets_off_in_the_history() {
    let note = "INSERT INTO schemaward.audit SELECT a.id + 1, a.at, a.ledger_schema, a.ledger_table, 'apply', \
         a.version, a.detail, a.checksum, a.actor, a.database_role, a.tool, 1, a.hash FROM schemaward.audit a \
         ORDER BY id DESC LIMIT 1";
    for (before, action) in [
        ("", NOTHING),
        ("", ITSELF),
        (
            "",
            "UPDATE schema_migrations SET name = 'other' WHERE version = '001'",
        ),
        ("", "ALTER TABLE schema_migrations ADD COLUMN extra int"),
        (
            "",
            "UPDATE schemaward.script SET version = version WHERE version = '001'",
        ),
        ("", note),
        ("", "TRUNCATE schema_migrations"),
        // What is on the history for good.
        (NO_KEY, ITSELF),
        (
            "CREATE TABLE deployed (version text REFERENCES schema_migrations)",
            NOTHING,
        ),
        ("CREATE TABLE kid () INHERITS (schema_migrations)", NOTHING),
        // A row that an earlier version wrote for this one.
        (
            "INSERT INTO schema_migrations (version, name) VALUES ('004', 'future')",
            NOTHING,
        ),
    ] {
        for major in [14, 16, 18] {
            let database = sets_off(major, "one", action);
            let case = format!("PostgreSQL {major}: {before} {action}");
            let outcome = up(&database, &files(before)).await;
            assert!(
                matches!(outcome.end(), End::Reached),
                "{case}: {}",
                outcome.message()
            );
            assert_eq!(recorded(&database), RECORDED, "{case}");
            assert_eq!(ran(&database), "1", "{case}");
        }
    }
}

#[tokio::test]
async fn what_would_not_stand_is_rolled_back() {
    let future = "INSERT INTO schema_migrations (version, name) VALUES ('4', 'future')";
    let deferred_anew = "CREATE TABLE d (n int); CREATE FUNCTION d() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN \
         IF NEW.n < 2 THEN SET CONSTRAINTS ALL DEFERRED; INSERT INTO public.d VALUES (NEW.n + 1); \
         ELSE DELETE FROM public.schema_migrations WHERE version = '004'; END IF; RETURN NULL; END $f$; \
         CREATE CONSTRAINT TRIGGER d AFTER INSERT ON d DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION d()";
    for (before, action) in [
        ("", SPELLED),
        (HIDES, &hides("schema_migrations")),
        (HIDES, &hides("schemaward.script")),
        (HIDES, &hides("schemaward.audit")),
        (
            "CREATE TABLE kid () INHERITS (schema_migrations)",
            "INSERT INTO kid (version, name) VALUES ('4', 'kid')",
        ),
        // It comes behind the record, which is why that is checked behind what is deferred.
        (deferred_anew, "INSERT INTO d VALUES (1)"),
        (future, NOTHING),
        (
            &format!("CREATE INDEX CONCURRENTLY ON one (id); {future}"),
            NOTHING,
        ),
    ] {
        for major in [14, 16, 18] {
            let case = format!("PostgreSQL {major}: {before} {action}");
            let database = sets_off(major, "one", action);
            let outcome = up(&database, &files(before)).await;
            let Some(Stop::Script(failure)) = outcome.stop() else {
                panic!("{case}: {}", outcome.message());
            };
            assert_eq!(failure.version.as_str(), "004");
            assert!(
                outcome.message().contains("its record would not stand"),
                "{case}: {}",
                outcome.message()
            );
            assert!(!recorded(&database).contains("004"), "{case}");
            assert_eq!(ran(&database), "1", "{case}");
        }
    }
}

/// Whoever puts a trigger on the history while a version runs is waited for, and seen.
#[tokio::test]
async fn a_trigger_that_somebody_else_is_about_to_put_there_is_seen() {
    for major in [14, 18] {
        let database = sets_off(major, "one", "PERFORM pg_advisory_lock(7)");
        let files = files(HIDES);
        // It holds the last version up until the trigger is there, and commits when that version waits for the table.
        // Its transaction is the older one.
        let script = format!(
            "BEGIN; SELECT pg_current_xact_id(), pg_advisory_lock(7);
            DO $$ BEGIN
              WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted) LOOP
                PERFORM pg_sleep(0.01);
              END LOOP;
            END $$;
            {};
            SELECT pg_advisory_unlock(7);
            DO $$ BEGIN
              WHILE NOT EXISTS (SELECT FROM pg_locks WHERE relation = 'schema_migrations'::regclass AND NOT granted) LOOP
                PERFORM pg_sleep(0.01);
              END LOOP;
            END $$;
            COMMIT;",
            hides("schema_migrations")
        );
        reached(&up(&database, &files[..1]).await);
        let mut holder = database.session("holder", &script);
        eventually(LIMIT, || {
            let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND granted";
            match database.query_text(held).as_str() {
                "1" => Ok(()),
                other => Err(other.to_owned()),
            }
        });
        let texts = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let mut run = Run::new(&database, &texts);
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

/// A setting for transactions to come reaches none of ours.
#[tokio::test]
async fn what_a_script_says_of_transactions_to_come_is_not_for_its_record() {
    for major in [14, 18] {
        let database = postgres_major(major).database("read_only");
        let files = [
            ("001_one_UP.sql", "CREATE TABLE one (id int);"),
            (
                "002_only_UP.sql",
                "SET default_transaction_read_only = on;\nVACUUM one;\n",
            ),
        ];
        reached(&Run::new(&database, &files).go().await);
    }
}
