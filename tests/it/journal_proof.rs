//! Versions in parts where something else gets in the way: a name that leads elsewhere, a right that is missing, a
//! lock that is lost, a session that is not as it was.

use crate::cli::{Project, first_columns};
use crate::journal::{
    Holder, audit, indexes, journal, killed_beside, killed_in, killed_in_detach, projects,
};

#[test]
fn an_index_of_another_table_with_the_same_name_is_no_success() {
    for project in projects("sametable") {
        project
            .database
            .exec("CREATE TABLE other (id int); CREATE INDEX orders_id ON other (id)");
        project.write(
            "001_x_UP.sql",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_id ON orders (id);\n",
        );
        let refused = project.fail(1, "up");
        for part in [
            "something that is no index of its table has its name already",
            "Nothing of 001 was applied",
        ] {
            assert!(refused.contains(part), "no {part:?}: {refused}");
        }
        assert_eq!(indexes(&project, "other"), "orders_id");
        assert_eq!(indexes(&project, "orders"), "");
        assert_eq!(journal(&project), "");
        project
            .database
            .exec("ALTER INDEX orders_id RENAME TO other_id");
        project.succeed("up");
        assert_eq!(indexes(&project, "orders"), "orders_id");
    }
}

#[test]
fn an_invalid_index_of_another_table_is_not_dropped() {
    for project in projects("invalidother") {
        project.write(
            "001_x_UP.sql",
            "SET lock_timeout = 0;\nCREATE INDEX CONCURRENTLY orders_id ON orders (id);\n",
        );
        killed_in(&project, "CREATE INDEX CONCURRENTLY");
        project.database.exec(
            "DROP INDEX orders_id; CREATE TABLE other (code int); INSERT INTO other VALUES (1), (1)",
        );
        // Somebody fails to build one of that name on a table of theirs.
        let failing = "CREATE UNIQUE INDEX CONCURRENTLY orders_id ON other (code)";
        assert!(!project.database.try_exec(failing).status.success());
        assert_eq!(indexes(&project, "other"), "orders_id!");
        let refused = project.fail(1, "up");
        assert!(refused.contains("(42P07)"), "{refused}");
        assert_eq!(indexes(&project, "other"), "orders_id!", "not ours to drop");
        assert_eq!(audit(&project), "install");
    }
}

#[test]
fn a_partition_that_was_renamed_proves_nothing() {
    for project in projects("renamedpart") {
        killed_in_detach(&project);
        project
            .database
            .exec("ALTER TABLE part RENAME TO part_of_then");
        let refused = project.fail(1, "up");
        assert!(
            refused.contains("whether it was done cannot be told"),
            "{refused}"
        );
        assert_eq!(project.applied(), "");
    }
}

#[test]
fn what_is_not_there_is_detached_only_if_it_exists() {
    for project in projects("detachgone") {
        project.write(
            "001_x_UP.sql",
            "ALTER TABLE IF EXISTS gone DETACH PARTITION part CONCURRENTLY;\n",
        );
        assert_eq!(first_columns(&project.succeed("up")), ["001 applied x"]);
        project.write(
            "002_x_UP.sql",
            "ALTER TABLE gone DETACH PARTITION part CONCURRENTLY;\n",
        );
        let refused = project.fail(1, "up");
        assert!(refused.contains("(42P01)"), "{refused}");
        assert_eq!(journal(&project), "");
    }
}

#[test]
fn what_nobody_here_may_drop_is_told_with_the_statement_to_run() {
    for project in projects("toast") {
        project
            .database
            .exec("CREATE TABLE texts (id int, text text); CREATE INDEX texts_id ON texts (id)");
        project.write(
            "001_x_UP.sql",
            "SET lock_timeout = 0; REINDEX TABLE CONCURRENTLY texts",
        );
        let sql = "BEGIN; INSERT INTO texts VALUES (3, 'x');";
        let writer = Holder(project.database.hold("writer", sql));
        killed_beside(writer, &project, "REINDEX TABLE");
        let toast = "SELECT c.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
             WHERE NOT x.indisvalid AND c.relnamespace = 'pg_toast'::regnamespace";
        let left = project.database.admin_exec(toast);
        assert!(left.ends_with("_ccnew"), "{left}");
        for _ in 0..2 {
            let refused = project.fail(1, "up");
            for part in [
                "what it left could not be put right: ",
                "(42501)",
                "Run it by hand, as a role that may (a superuser, where the index is in schema pg_toast): ",
            ] {
                assert!(refused.contains(part), "no {part:?}: {refused}");
            }
        }
        // What the message says is what helps.
        let refused = project.fail(1, "up");
        let command = refused.split('`').nth(1).expect("a command");
        assert_eq!(
            command,
            format!("DROP INDEX CONCURRENTLY IF EXISTS pg_toast.{left};")
        );
        project.database.admin_exec(command);
        assert_eq!(first_columns(&project.succeed("up")), ["001 applied x"]);
        assert_eq!(indexes(&project, "texts"), "texts_id");
        project.database.nothing_is_left();
    }
}

#[test]
fn a_lock_that_is_lost_between_two_parts_is_told_as_that() {
    let parts = [
        "CREATE INDEX CONCURRENTLY orders_id ON orders (id);",
        "VACUUM orders;",
        "VACUUM orders;\nCREATE TABLE b ();",
    ];
    for project in projects("unlocked") {
        for part in parts {
            let project = Project::on(project.database.server, "unlockedpart");
            project.database.exec("CREATE TABLE orders (id int)");
            project.write(
                "001_x_UP.sql",
                &format!("SELECT pg_advisory_unlock_all();\n{part}\n"),
            );
            let refused = project.fail(3, "up");
            for words in [
                "The migration lock is not this session's any more: a script released it",
                "Statement 1 is done and kept; 001 is not recorded",
            ] {
                assert!(refused.contains(words), "{part}: no {words:?}: {refused}");
            }
            assert_eq!(journal(&project), "001|up|1|1|done");
            assert_eq!(first_columns(&project.succeed("up")), ["001 applied x"]);
        }
    }
}

#[test]
fn what_a_part_prepares_is_gone_in_the_next_one_whether_interrupted_or_not() {
    for project in projects("preparedpart") {
        project.write(
            "001_x_UP.sql",
            "PREPARE p AS SELECT 1;\nVACUUM orders;\nEXECUTE p;\n",
        );
        let refused = project.fail(1, "up");
        for words in ["001_x_UP.sql:3:1", "(26000)", "Statements 1 to 2 are done"] {
            assert!(refused.contains(words), "no {words:?}: {refused}");
        }
        project
            .write(
                "001_x_UP.sql",
                "PREPARE p AS SELECT 1;\nVACUUM orders;\nPREPARE p AS SELECT 1; EXECUTE p;\n",
            )
            .table("002", "b")
            .table("003", "c");
        // The versions behind it prepare their records anew.
        project.succeed("up");
        assert_eq!(project.applied(), "001 002 003");
    }
}

#[test]
fn a_name_that_could_not_be_looked_up_is_refused_before_anything_runs() {
    for project in projects("unicode") {
        project.write(
            "001_x_UP.sql",
            "CREATE TABLE kept (id int);\nCREATE INDEX CONCURRENTLY U&\"orders\\005fid\" ON orders (id);\n",
        );
        let refused = project.fail(1, "up");
        for words in ["line 2, column 1", "write the name in plain quotes"] {
            assert!(refused.contains(words), "no {words:?}: {refused}");
        }
        assert!(!project.has("kept"));
    }
}
