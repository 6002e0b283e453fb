//! What is taken over of another program's history is told, whatever comes after it.

use crate::cli::Project;

/// The session that is to install itself cannot look at the database any more once that is committed: for the rows of
/// another ledger its time is too short.
const NO_LOOK_BEHIND_THE_COMMIT: &str = "
    CREATE TABLE installing ();
    CREATE FUNCTION no_time() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN
            IF NOT EXISTS (SELECT FROM schemaward.audit WHERE id < 0) THEN
                INSERT INTO schemaward.audit (id, at, ledger_schema, ledger_table, action, detail, actor,
                    database_role, tool, hash)
                    SELECT -n, now(), '', '', '', '', '', '', '', '' FROM generate_series(1, 100000) n;
            END IF;
            PERFORM set_config('statement_timeout', '1', false);
            RETURN NULL;
        END $$;
    CREATE CONSTRAINT TRIGGER no_time AFTER INSERT ON installing DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION no_time();
    CREATE FUNCTION installs() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN INSERT INTO public.installing DEFAULT VALUES; END $$;
    CREATE EVENT TRIGGER installs ON ddl_command_end EXECUTE FUNCTION installs()";

#[test]
fn what_was_adopted_is_told_although_nothing_can_be_seen_after_it() {
    let project = Project::new("adopted_unseen");
    project.table("001", "a").table("002", "b");
    project.database.exec(
        "CREATE TABLE a (); CREATE TABLE schema_migrations (version VARCHAR(255) PRIMARY KEY,
           name VARCHAR(255) NOT NULL, applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
           execution_time_ms INTEGER, checksum VARCHAR(64));
         INSERT INTO schema_migrations (version, name) VALUES ('001', 'a')",
    );
    project.database.admin_exec(NO_LOOK_BEHIND_THE_COMMIT);
    let ended = project.run("up");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let told = "note: 1 row of the history that another program wrote was adopted: 001. ";
    assert!(ended.stderr.contains(told), "{ended:?}");
    let said = " ended the work: canceling statement due to statement timeout (57014). What was written before that \
                is committed and recorded; the next run goes on from there. Try again.\n";
    assert!(ended.stderr.ends_with(said), "{ended:?}");
    assert_eq!(
        project.database.query_text(
            "SELECT string_agg(action, ' ' ORDER BY id) FROM schemaward.audit WHERE id > 0"
        ),
        "install adopt"
    );
    project
        .database
        .admin_exec("DROP EVENT TRIGGER installs; DELETE FROM schemaward.audit WHERE id < 0");
    let next = project.run("up");
    assert_eq!(next.code, Some(0), "{next:?}");
    assert!(!next.stderr.contains("was adopted"), "{next:?}");
    assert!(project.has("b"));
}
