//! Indexes that are built, rebuilt and dropped concurrently, and a partition that is detached.

use serde_json::Value;

use super::*;

/// What a command prints as JSON.
fn json_of(mut command: Command, arguments: &[&str]) -> Value {
    let output = command
        .args(arguments)
        .output()
        .expect("the program starts");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_killed_index_build_is_finished_by_the_next_run() {
    for project in projects("killed") {
        project.write(
            "001_index_UP.sql",
            "-- waits as long as it takes\nSET lock_timeout = 0;\nCREATE INDEX CONCURRENTLY orders_id ON orders (id);\n",
        );
        killed_in(&project, "CREATE INDEX CONCURRENTLY");
        assert_eq!(indexes(&project, "orders"), "orders_id!");
        assert_eq!(journal(&project), "001|up|2|2|started");
        assert_eq!(
            first_columns(&project.succeed("list")),
            ["VERSION STATUS NAME", "001 begun index"]
        );
        let finished = project.run("up");
        assert_eq!(first_columns(&finished.stdout), ["001 applied index"]);
        let told = "note: 001 index, statement 2 (CREATE INDEX CONCURRENTLY ORDERS_ID ON ORDERS): an earlier run left \
                    it without saying how it ended. INVALID index public.orders_id, which it had left, was dropped.\n";
        assert!(finished.stderr.contains(told), "{finished:?}");
        assert_eq!(indexes(&project, "orders"), "orders_id");
        assert_eq!(journal(&project), "");
        assert_eq!(audit(&project), "install repair apply");
        // The same for programs.
        let history = project.database.schemaward();
        let history = json_of(history, &["history", "-o", "json"]);
        assert_eq!(history["changes"][0]["action"], "repair");
        assert_eq!(
            history["changes"][0]["detail"],
            "statement 2: dropped INVALID index public.orders_id"
        );
    }
}

#[test]
fn a_violated_unique_index_leaves_no_invalid_one() {
    for project in projects("unique") {
        project.write(
            "001_unique_UP.sql",
            "CREATE TABLE kept (id int);\nCREATE UNIQUE INDEX CONCURRENTLY orders_code ON orders (code);\n",
        );
        let refused = project.fail(1, "up");
        for part in [
            "001_unique_UP.sql:2:1",
            "(23505)",
            "Statement 1 is done and kept; 001 is not recorded",
            "Correct 001 from statement 2 on and commit",
        ] {
            assert!(refused.contains(part), "no {part:?}: {refused}");
        }
        assert!(!refused.contains("(code)=(1)"), "row data: {refused}");
        assert_eq!(indexes(&project, "orders"), "");
        assert_eq!(journal(&project), "001|up|1|1|done");
        // There is no way back from it, nor past it.
        project.table("002", "b");
        let back = project.fail(1, "down --to 001");
        assert!(
            back.contains("001 was begun and is not finished (statement 1 is done)"),
            "{back}"
        );
        project.database.exec("DELETE FROM orders WHERE id = 2");
        assert_eq!(
            first_columns(&project.succeed("up")),
            ["001 applied unique", "002 applied b"]
        );
        assert_eq!(indexes(&project, "orders"), "orders_code");
    }
}

#[test]
fn an_invalid_index_of_somebody_else_is_no_success() {
    for project in projects("foreign") {
        let failing = "CREATE UNIQUE INDEX CONCURRENTLY orders_code ON orders (code)";
        assert!(!project.database.try_exec(failing).status.success());
        assert_eq!(indexes(&project, "orders"), "orders_code!");
        project.write(
            "001_code_UP.sql",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_code ON orders (code);\n",
        );
        let refused = project.fail(1, "up");
        for part in [
            "index public.orders_code is INVALID, and was so before this statement came",
            "Nothing of 001 was applied",
            "Drop or rebuild it",
        ] {
            assert!(refused.contains(part), "no {part:?}: {refused}");
        }
        // It is not ours to drop.
        assert_eq!(indexes(&project, "orders"), "orders_code!");
        assert_eq!(journal(&project), "");
        project.database.exec("DROP INDEX orders_code");
        project.succeed("up");
        assert_eq!(indexes(&project, "orders"), "orders_code");
    }
}

#[test]
fn a_drop_of_what_is_not_there_is_no_success() {
    for project in projects("nowhere") {
        project.write("001_drop_UP.sql", "DROP DATABASE nowhere_at_all;\n");
        let refused = project.fail(1, "up");
        assert!(
            refused.contains("(3D000)") && refused.contains("Nothing of 001 was applied"),
            "{refused}"
        );
        assert_eq!(journal(&project), "");
        project.write(
            "001_drop_UP.sql",
            "DROP DATABASE IF EXISTS nowhere_at_all;\n",
        );
        assert_eq!(first_columns(&project.succeed("up")), ["001 applied drop"]);
    }
}

#[test]
fn a_killed_drop_is_not_proved_by_another_name() {
    for project in projects("renamed") {
        project
            .database
            .exec("CREATE INDEX orders_id ON orders (id)");
        project.write(
            "001_drop_UP.sql",
            "SET lock_timeout = 0;\nDROP INDEX CONCURRENTLY orders_id;\n",
        );
        killed_in(&project, "DROP INDEX CONCURRENTLY");
        assert_eq!(journal(&project), "001|up|2|2|started");
        project
            .database
            .exec("ALTER INDEX orders_id RENAME TO orders_old");
        let refused = project.fail(1, "up");
        assert!(refused.contains("(42704)"), "{refused}");
        // Nothing is recorded as dropped that is there.
        assert!(indexes(&project, "orders").starts_with("orders_old"));
        assert_eq!(
            first_columns(&project.succeed("list")),
            ["VERSION STATUS NAME", "001 pending drop"]
        );
    }
}

#[test]
fn dropping_and_rebuilding_survive_a_lock_timeout() {
    for (statement, pattern, after) in [
        (
            "DROP INDEX CONCURRENTLY orders_id",
            "DROP INDEX CONCURRENTLY",
            "",
        ),
        (
            "REINDEX INDEX CONCURRENTLY orders_id",
            "REINDEX INDEX CONCURRENTLY",
            "orders_id",
        ),
        (
            "REINDEX TABLE CONCURRENTLY orders",
            "REINDEX TABLE CONCURRENTLY",
            "orders_id",
        ),
    ] {
        for project in projects("timeouts") {
            project
                .database
                .exec("CREATE INDEX orders_id ON orders (id)");
            project.write("001_x_UP.sql", statement);
            let mut writer = Holder::on(&project);
            let run = start(&project, "up --lock-timeout 300ms");
            is_held_up(&project, pattern);
            // One attempt ends; then the way is free.
            waits_for(
                &project,
                &format!(
                    "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = '{}' AND query ILIKE '%{pattern}%'
                     AND application_name = 'schemaward/cli' AND state = 'active'",
                    project.database.name
                ),
            );
            writer.end();
            let ended = end(run);
            assert_eq!(ended.code, Some(0), "{statement}: {ended:#?}");
            assert_eq!(indexes(&project, "orders"), after, "{statement}");
            assert_eq!(journal(&project), "", "{statement}");
        }
    }
}

#[test]
fn a_killed_reindex_leaves_no_second_index() {
    for project in projects("reindex") {
        project
            .database
            .exec("CREATE INDEX orders_id ON orders (id)");
        project.write(
            "001_x_UP.sql",
            "SET lock_timeout = 0; REINDEX INDEX CONCURRENTLY orders_id",
        );
        killed_in(&project, "REINDEX INDEX");
        assert_eq!(indexes(&project, "orders"), "orders_id orders_id_ccnew!");
        project.succeed("up");
        assert_eq!(indexes(&project, "orders"), "orders_id");
        assert_eq!(journal(&project), "");
    }
}

#[test]
fn a_killed_detach_is_finished() {
    for project in projects("detach") {
        killed_in_detach(&project);
        let attached = "SELECT count(*) FROM pg_inherits WHERE inhrelid = 'part'::regclass";
        assert_eq!(project.database.query_text(attached), "1");
        project.succeed("up");
        assert_eq!(project.database.query_text(attached), "0");
        assert_eq!(audit(&project), "install repair prove apply");
    }
}
