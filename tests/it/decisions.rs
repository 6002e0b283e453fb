//! What a person decides from the command line, on a real PostgreSQL: what changes, what is recorded, and
//! what is refused.

use crate::cli::Project;

/// The audit's rows of one action, as `version|actor|detail`.
fn audit(project: &Project, action: &str) -> String {
    let sql = format!(
        "SELECT version, actor, detail FROM schemaward.audit WHERE action = '{action}' ORDER BY id"
    );
    project.database.query_text(&sql)
}

/// Two applied versions with their ways back.
fn applied(name: &str) -> Project {
    let project = Project::new(name);
    project.table("001", "widgets").table("002", "gadgets");
    project.succeed("up");
    project
}

fn sha256(text: &str) -> String {
    schemaward::migration::checksum::Checksum::of(text.as_bytes()).to_string()
}

#[test]
fn a_changed_file_is_accepted_and_the_audit_has_both_checksums() {
    let project = applied("accept_file");
    let (before, after) = (
        "CREATE TABLE gadgets (id int);\n",
        "-- Gadgets.\nCREATE TABLE gadgets (id int);\n",
    );
    project.write("002_gadgets_UP.sql", after);
    let blocked = project.fail(1, "up");
    let command = format!("schemaward accept 002:{}", &sha256(after)[..8]);
    assert!(blocked.contains(&command), "{blocked}");

    let mut accept = project.command(command.strip_prefix("schemaward ").unwrap());
    let output = accept.env("USER", "ana").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(
        said,
        format!(
            "{}: The files of 002 are what was applied: UP {} (was {}), DOWN {}. No script was run.\n",
            project.database.name,
            &sha256(after)[..8],
            &sha256(before)[..8],
            &sha256("DROP TABLE gadgets;\n")[..8],
        )
    );
    assert_eq!(
        project
            .database
            .query_text("SELECT checksum FROM schema_migrations WHERE version = '002'"),
        sha256(after)
    );
    let recorded = audit(&project, "accept");
    let [before, after] = [before, after].map(sha256);
    assert!(
        recorded.starts_with(&format!(
            "002|command line, decided by ana|UP was {before}, is {after}; the history table had {before}; DOWN was "
        )),
        "{recorded}"
    );
    project.succeed("up");
    // Once more, there is nothing to accept, and nothing is recorded.
    assert!(project.run("accept 002").stderr.contains("so already"));
    assert_eq!(audit(&project, "accept"), recorded);
}

#[test]
fn a_mended_down_is_the_one_that_runs() {
    let project = applied("accept_down");
    project
        .database
        .exec("CREATE VIEW shown AS SELECT * FROM gadgets");
    assert!(project.fail(1, "down 002").contains("2BP01"));
    project.write(
        "002_gadgets_DOWN.sql",
        "DROP VIEW shown;\nDROP TABLE gadgets;\n",
    );
    project.succeed("accept 002");
    // The stored text: the file is not needed any more.
    project
        .remove("002_gadgets_UP.sql")
        .remove("002_gadgets_DOWN.sql");
    project.succeed("down 002");
    assert!(!project.has("gadgets") && !project.has("shown"));
}

#[test]
fn an_edited_history_is_accepted_as_the_files_say_or_put_back() {
    let project = applied("accept_edited");
    let edit = "UPDATE schema_migrations SET checksum = repeat('0', 64)";
    project.database.exec(edit);
    let blocked = project.fail(1, "up");
    assert!(blocked.contains("`schemaward accept 001 002`"), "{blocked}");
    project.succeed("accept 001");
    // 002 has no file any more: what was kept is put back.
    project
        .remove("002_gadgets_UP.sql")
        .remove("002_gadgets_DOWN.sql");
    let said = project.run("accept 002");
    assert!(said.stderr.contains("kept text of 002 again"), "{said:?}");
    assert_eq!(
        project
            .database
            .query_text("SELECT checksum FROM schema_migrations ORDER BY version"),
        format!(
            "{}\n{}",
            sha256("CREATE TABLE widgets (id int);\n"),
            sha256("CREATE TABLE gadgets (id int);\n")
        )
    );
    assert!(audit(&project, "accept").contains(&"0".repeat(64)));
    project.table("002", "gadgets").succeed("up");
}

#[test]
fn a_lost_row_stops_everything_and_accepting_it_makes_the_version_pending() {
    let project = applied("accept_lost");
    project
        .database
        .exec("DELETE FROM schema_migrations WHERE version = '002'; DROP TABLE gadgets");
    let blocked = project.fail(1, "up");
    assert!(blocked.contains("`schemaward accept 002`"), "{blocked}");
    let said = project.run("accept 002");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stderr.contains("002 counts as not applied"),
        "{said:?}"
    );
    project.succeed("up");
    assert!(project.has("gadgets"));
    assert_eq!(project.applied(), "001 002");
}

#[test]
fn a_history_that_was_emptied_or_dropped_by_hand_stops_everything() {
    for (name, sql) in [
        ("emptied", "TRUNCATE schema_migrations"),
        ("dropped", "DROP TABLE schema_migrations"),
    ] {
        let project = applied(name);
        project.database.exec(sql);
        for command in ["up", "down --to 001"] {
            let blocked = project.fail(1, command);
            assert!(blocked.contains("001 and 002"), "{name}: {blocked}");
        }
        assert!(project.has("widgets") && project.has("gadgets"), "{name}");
        // Who means it starts anew.
        project.database.exec("DROP TABLE widgets, gadgets");
        project.succeed("accept 001 002");
        project.succeed("up");
        assert_eq!(project.applied(), "001 002");
    }
}

#[test]
fn another_programs_row_of_another_text_is_accepted_before_anything_of_ours_is_there() {
    let project = Project::new("accept_foreign");
    project.table("001", "widgets");
    project.database.exec(
        "CREATE TABLE widgets (id int);
         CREATE TABLE schema_migrations (version varchar(50) PRIMARY KEY, name varchar(255) NOT NULL,
             applied_at timestamp DEFAULT now(), execution_time_ms int, checksum varchar(64));
         INSERT INTO schema_migrations VALUES ('001', 'widgets', now(), 5, '0cc175b9c0f1b6a831c399e269772661');",
    );
    let blocked = project.fail(1, "up");
    assert!(blocked.contains("schemaward accept 001"), "{blocked}");
    project.succeed("accept 001");
    project.table("002", "gadgets").succeed("up");
    assert_eq!(project.applied(), "001 002");
    assert_eq!(
        project
            .database
            .query_text("SELECT string_agg(action, ' ' ORDER BY id) FROM schemaward.audit"),
        "install accept apply"
    );
}

#[test]
fn what_cannot_be_accepted_is_refused_and_nothing_is_written() {
    let project = applied("accept_refused");
    for (command, code, expected) in [
        ("accept 003", 1, "003 is neither applied nor recorded"),
        ("accept 002:00000000", 1, "begins with 00000000"),
        ("accept two", 2, "is no version"),
        ("accept", 2, "required"),
        ("takeover billing", 1, "belongs to nobody"),
        ("takeover a/b/c", 2, "neither namespace/name nor the uid"),
    ] {
        let said = if command.starts_with("takeover") {
            let mut takeover = project.database.schemaward();
            let output = takeover.args(command.split(' ')).output().unwrap();
            crate::cli::Ended::of(&output)
        } else {
            project.run(command)
        };
        assert_eq!(said.code, Some(code), "{command}: {said:?}");
        assert!(said.stderr.contains(expected), "{command}: {said:?}");
    }
    assert_eq!(audit(&project, "accept"), "");
}

#[test]
fn a_claim_that_is_let_go_is_recorded() {
    let project = applied("release");
    project.database.exec(
        "INSERT INTO schemaward.claim (ledger_schema, ledger_table, cluster, namespace, name, uid)
         VALUES ('public', 'schema_migrations', 'c1', 'billing', 'shop', 'u1')",
    );
    let mut takeover = project.database.schemaward();
    let output = takeover
        .args(["takeover", "billing/shop"])
        .env("USER", "ana")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("The history belongs to nobody"), "{said}");
    assert_eq!(
        project
            .database
            .query_text("SELECT count(*) FROM schemaward.claim"),
        "0"
    );
    assert_eq!(
        audit(&project, "release"),
        "|command line, decided by ana|billing/shop uid u1 of cluster c1"
    );
}

/// A database with the tables of 001 and 002 and no history.
fn older_than_its_history(name: &str) -> Project {
    let project = Project::new(name);
    project
        .table("001", "widgets")
        .table("002", "gadgets")
        .table("003", "gizmos");
    project
        .database
        .exec("CREATE TABLE widgets (id int, old text); CREATE TABLE gadgets (id int)");
    project
}

#[test]
fn a_database_older_than_its_history_is_told_the_way_and_a_baseline_takes_it() {
    let project = older_than_its_history("baseline");
    let failed = project.fail(1, "up");
    assert!(
        failed.contains(
            "Nothing of 001 was applied; the database has no version yet. Correct 001 and commit. If all of 001 was in \
             the database before, record it instead of running it, by spec.baseline or `schemaward up --baseline 001`."
        ),
        "{failed}"
    );
    let plan = project.succeed("plan --baseline 002");
    assert!(
        plan.contains("002 gadgets  baseline: recorded, not run"),
        "{plan}"
    );
    assert!(
        plan.contains("2 versions to record, 1 version to apply"),
        "{plan}"
    );
    let done = project.succeed("up --baseline 002");
    let lines: Vec<_> = done.lines().collect();
    assert_eq!(
        lines[..2],
        ["001  baseline  widgets", "002  baseline  gadgets"]
    );
    assert!(lines[2].starts_with("003  applied  gizmos"), "{done}");
    // Nothing of them ran, and so there is no time that it took.
    assert_eq!(
        project.database.query_text(
            "SELECT version, execution_time_ms IS NULL, length(checksum) FROM schema_migrations ORDER BY 1"
        ),
        "001|t|64\n002|t|64\n003|f|64"
    );
    assert_eq!(
        audit(&project, "baseline"),
        "001|command line|widgets\n002|command line|gadgets"
    );
    assert_eq!(
        project
            .database
            .query_text("SELECT count(old) FROM widgets"),
        "0"
    );
    // It stays in a manifest or a script, and does nothing more.
    project.succeed("up --baseline 002");
    assert!(!audit(&project, "baseline").contains("003"));
}

#[test]
fn below_the_baseline_nothing_is_undone_unless_a_person_vouches_for_the_down() {
    let project = older_than_its_history("baseline_down");
    project.succeed("up --baseline 002");
    project.succeed("down 003");
    let refused = project.fail(1, "down 002");
    assert!(
        refused.contains("002 was in the database before its history") && project.has("gadgets"),
        "{refused}"
    );
    // A change of its DOWN file says nothing: none was kept.
    project.write("002_gadgets_DOWN.sql", "DROP TABLE gadgets CASCADE;\n");
    project.succeed("up --to 002");
    project.succeed("accept 002");
    project.succeed("down 002");
    assert!(!project.has("gadgets"));
    assert!(project.fail(1, "down 001").contains("accept it"));
}

#[test]
fn a_baseline_is_refused_where_there_is_a_history_without_it() {
    let project = older_than_its_history("baseline_late");
    project.succeed("up --baseline 001 --to 001");
    let refused = project.fail(1, "up --baseline 003");
    assert!(
        refused.contains("The history is at 001 and does not have the baseline 003"),
        "{refused}"
    );
    let refused = project.fail(1, "up --baseline 9");
    assert!(
        refused.contains("does not have the baseline 9"),
        "{refused}"
    );
    // A history whose versions were undone is not a fresh one: what they made is gone.
    project.succeed("accept 001");
    project.succeed("down 001");
    let refused = project.fail(1, "up --baseline 001");
    assert!(
        refused.contains("The history is empty because its versions were undone"),
        "{refused}"
    );
    assert!(!project.has("widgets"));
}

#[test]
fn an_audit_that_was_changed_stops_everything_until_a_person_accepts_it() {
    for (name, sql, expected) in [
        (
            "edited",
            "UPDATE schemaward.audit SET actor = 'nobody' WHERE id = 2",
            "row 2 of schemaward.audit is not as it was written",
        ),
        (
            "rehashed",
            "UPDATE schemaward.audit SET hash = sha256('x') WHERE id = 2",
            "row 2 of schemaward.audit is not as it was written",
        ),
        (
            "deleted",
            "DELETE FROM schemaward.audit WHERE id = 2",
            "rows of schemaward.audit before row 3 are gone",
        ),
        (
            "first_deleted",
            "DELETE FROM schemaward.audit WHERE id = 1",
            "rows of schemaward.audit before row 2 are gone",
        ),
        (
            "last_deleted",
            "DELETE FROM schemaward.audit WHERE id = 3",
            "schemaward.audit has no row about 002 as it is recorded",
        ),
        (
            "emptied",
            "TRUNCATE schemaward.audit",
            "schemaward.audit is empty",
        ),
        (
            "record_deleted",
            "DELETE FROM schemaward.script WHERE version = '002'",
            "row 3 of schemaward.audit says that 002 was applied, and its record in schemaward.script is gone",
        ),
    ] {
        let project = applied(&format!("audit_{name}"));
        project.database.exec(sql);
        project.table("003", "gizmos");
        let blocked = project.fail(1, "up");
        assert!(blocked.contains(expected), "{name}: {blocked}");
        assert!(!project.has("gizmos"), "{name}");
        let listed = project.run("list");
        assert!(
            listed.code == Some(0) && listed.stderr.contains(expected),
            "{name}: {listed:?}"
        );
        let json = project.succeed("list -o json");
        assert!(
            json.contains("\"reason\": \"HistoryTampered\""),
            "{name}: {json}"
        );
        let verified = audit_command(&project);
        assert!(
            verified.code == Some(1) && verified.stderr.contains(expected),
            "{name}: {verified:?}"
        );

        project.succeed("accept --audit");
        let recorded = audit(&project, "accept-audit");
        assert!(recorded.contains(expected), "{name}: {recorded}");
        project.succeed("up");
        let verified = audit_command(&project);
        assert_eq!(verified.code, Some(0), "{name}: {verified:?}");
        // What comes after it is verified again.
        project.database.exec(
            "UPDATE schemaward.audit SET detail = 'x' WHERE action = 'apply' AND version = '003'",
        );
        let blocked = project.fail(1, "up");
        assert!(
            blocked.contains("is not as it was written"),
            "{name}: {blocked}"
        );
    }
}

fn audit_command(project: &Project) -> crate::cli::Ended {
    let mut command = project.database.schemaward();
    crate::cli::Ended::of(&command.arg("audit").output().unwrap())
}

#[test]
fn an_old_row_that_was_changed_is_found_when_all_of_the_audit_is_verified() {
    let project = Project::new("audit_old");
    for number in 1..=40 {
        project.table(&format!("{number:03}"), &format!("t{number}"));
    }
    project.succeed("up");
    let verified = audit_command(&project);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(
        verified
            .stderr
            .contains(": 41 rows, all of them as they were written"),
        "{verified:?}"
    );
    assert!(verified.stdout.contains("040"), "{verified:?}");
    project
        .database
        .exec("UPDATE schemaward.audit SET actor = 'nobody' WHERE id = 5");
    project.succeed("up");
    let verified = audit_command(&project);
    assert_eq!(verified.code, Some(1));
    assert!(
        verified.stderr.contains("row 5 of schemaward.audit"),
        "{verified:?}"
    );
    project.succeed("accept --audit");
    assert_eq!(audit_command(&project).code, Some(0));
}

#[test]
fn a_script_that_edits_our_tables_is_noticed_at_the_next_look() {
    for (name, sql, expected) in [
        (
            "record",
            "UPDATE schemaward.script SET up_checksum = repeat('0', 64) WHERE version = '001';",
            "history of 001 was changed",
        ),
        (
            "ledger",
            "UPDATE schema_migrations SET checksum = repeat('0', 64) WHERE version = '001';",
            "history of 001 was changed",
        ),
        (
            "row",
            "DELETE FROM schema_migrations WHERE version = '001';",
            "history of 001 was changed",
        ),
        (
            "audit",
            "UPDATE schemaward.audit SET actor = 'nobody';",
            "row 1 of schemaward.audit",
        ),
        (
            "emptied",
            "TRUNCATE schemaward.audit;",
            "before row 1 are gone",
        ),
    ] {
        let project = applied(&format!("script_edits_{name}"));
        project.write("003_bad_UP.sql", sql);
        project.run("up");
        let blocked = project.fail(1, "up");
        assert!(blocked.contains(expected), "{name}: {blocked}");
    }
}

#[test]
fn a_script_that_takes_our_tables_away_is_rolled_back_and_told() {
    for (name, sql) in [
        ("schema", "DROP SCHEMA schemaward CASCADE;"),
        ("audit", "DROP TABLE schemaward.audit;"),
        ("column", "ALTER TABLE schemaward.script DROP COLUMN up;"),
        ("ledger", "DROP TABLE schema_migrations;"),
    ] {
        let project = applied(&format!("script_drops_{name}"));
        project.write(
            "003_bad_UP.sql",
            &format!("CREATE TABLE left_over (id int);\n{sql}\n"),
        );
        let failed = project.fail(1, "up");
        assert!(
            failed.contains("it took away what its record needs")
                && failed.contains("Nothing of 003 was applied"),
            "{name}: {failed}"
        );
        assert!(!project.has("left_over"), "{name}");
        project.remove("003_bad_UP.sql");
        project.succeed("up");
    }
}

#[test]
fn a_baseline_fits_a_history_that_takes_no_null() {
    let project = Project::new("nonull");
    project.database.exec(
        "CREATE TABLE schema_migrations (version varchar(20) PRIMARY KEY, name varchar(255) NOT NULL,
         applied_at timestamptz NOT NULL, execution_time_ms integer NOT NULL, checksum varchar(64) NOT NULL)",
    );
    project.table("001", "a").table("002", "b");
    project.database.exec("CREATE TABLE a (id int)");
    project.succeed("up --baseline 001");
    assert_eq!(
        project.database.query_text(
            "SELECT version, execution_time_ms FROM schema_migrations WHERE version = '001'"
        ),
        "001|0"
    );
    assert_eq!(project.applied(), "001 002");
}
