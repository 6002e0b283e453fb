//! What is found in scripts, and what is no finding.

use super::*;

#[test]
fn squawk_finds_under_its_names_and_at_the_place() {
    let found = up(
        "ALTER TABLE t ADD COLUMN a int NOT NULL,\n  ADD CONSTRAINT c CHECK (a > 0);\nCREATE INDEX i ON t (a);",
    );
    let expected = [
        "adding-required-field 1:15",
        "prefer-bigint-over-int 1:28",
        "constraint-missing-not-valid 2:3",
        "require-concurrent-index-creation 3:1",
    ];
    assert_eq!(names(&found), expected);
    assert_eq!(
        found
            .findings
            .iter()
            .find(|finding| finding.rule.name == "require-concurrent-index-creation")
            .unwrap()
            .statement,
        Some(2)
    );
}

#[test]
fn a_file_is_one_transaction_with_or_without_its_begin() {
    let text = "CREATE TABLE t (a bigint);\nCREATE INDEX i ON t (a);\nALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);";
    assert_eq!(names(&up(text)), [""; 0]);
    assert_eq!(
        names(&up(&format!("BEGIN /* é */;\n{text}\nCOMMIT;"))),
        [""; 0]
    );
    assert_eq!(
        names(&up("VACUUM t; CREATE INDEX CONCURRENTLY i ON t (a);")),
        [""; 0]
    );
}

#[test]
fn a_way_back_may_take_away_what_it_has_to() {
    let text = "DROP VIEW v;\nDROP INDEX i;\nALTER TABLE t DROP COLUMN a;\nDROP TABLE u;";
    assert_eq!(of(&down(text), Level::Warning), [""; 0]);
    assert!(down(text).is_destructive());
    assert_eq!(of(&up(text), Level::Warning).len(), 4);
    assert_eq!(
        names(&down("DROP TABLE t CASCADE")),
        ["ban-drop-table 1:1", "drop-cascade 1:1"]
    );
    assert_eq!(
        names(&down("ALTER TABLE t DROP CONSTRAINT c CASCADE")),
        ["drop-cascade 1:1", "ban-drop-constraint 1:15"]
    );
    assert_eq!(
        names(&up(
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u ON DELETE CASCADE NOT VALID"
        )),
        [""; 0]
    );
}

#[test]
fn the_migrations_of_the_first_user() {
    let of_file = |text, role| {
        let assessment = judge(&script(text), role);
        (of(&assessment, Level::Warning), assessment.is_destructive())
    };
    let full = Role::Up { lacks_down: false };
    let init = include_str!("../../../../migrations/000_init_schema_migrations.sql");
    let apply = include_str!("../../../../migrations/001_add_historical_inventory_UP.sql");
    let undo = include_str!("../../../../migrations/001_add_historical_inventory_DOWN.sql");
    assert_eq!(of_file(init, full), (vec![], false));
    assert_eq!(of_file(apply, full), (vec![], false));
    assert_eq!(of_file(undo, Role::Down), (vec![], true));
    let locks: Vec<_> = up(apply)
        .statements
        .iter()
        .map(|judged| judged.lock.to_string())
        .collect();
    assert_eq!(
        locks[..6],
        [
            "SHARE ROW EXCLUSIVE",
            "none",
            "none",
            "none",
            "none",
            "ACCESS EXCLUSIVE"
        ]
    );
}

#[test]
fn versions_that_cannot_be_undone() {
    let assessment = judge(&script("SELECT 1"), Role::Up { lacks_down: true });
    assert_eq!(names(&assessment), ["down-missing"]);
    let waived = "-- schemaward: allow down-missing because nothing is lost by it\nSELECT 1";
    let assessment = judge(&script(waived), Role::Up { lacks_down: true });
    assert_eq!(names(&assessment), [""; 0]);
    assert_eq!(
        names(&down("DELETE FROM schema_migrations WHERE version = '001'")),
        ["down-empty"]
    );
    assert_eq!(names(&down("SELECT 1")), ["down-empty"]);
    assert_eq!(names(&down("SELECT f()")), [""; 0]);
}

#[test]
fn secrets_are_found_and_never_shown() {
    for text in [
        "CREATE ROLE r LOGIN PASSWORD 'hunter2'",
        "alter user r with encrypted password $$hunter2$$",
        "CREATE USER MAPPING FOR r SERVER s OPTIONS (user 'r', password 'hunter2')",
        "ALTER SERVER s OPTIONS (ADD password 'hunter2')",
        "CREATE SUBSCRIPTION s CONNECTION 'host=x password=hunter2' PUBLICATION p",
        "ALTER SUBSCRIPTION s CONNECTION 'postgresql://u:hunter2@x/d'",
        "SELECT * FROM dblink('host=x Password = hunter2', 'SELECT 1') AS t (a int)",
        "DO $x$ BEGIN CREATE ROLE r PASSWORD 'hunter2'; END $x$",
    ] {
        let found = up(text);
        assert!(
            of(&found, Level::Error).contains(&"secret-in-sql"),
            "{text}: {:?}",
            names(&found)
        );
        assert!(!format!("{found:?}").contains("hunter2"), "{text}");
    }
    for text in [
        "CREATE ROLE r PASSWORD NULL",
        "CREATE TABLE t (password text DEFAULT 'x')",
        "UPDATE u SET password = 'x'",
        "CREATE SUBSCRIPTION s CONNECTION 'host=x passfile=/p' PUBLICATION p",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1 WHERE password=1'",
    ] {
        assert!(
            !of(&up(text), Level::Off).contains(&"secret-in-sql"),
            "{text}"
        );
    }
}

#[test]
fn a_file_that_claims_to_be_idempotent_is_held_to_it() {
    let claim = "-- Idempotent: safe to run again.\n";
    let found = |text: &str| {
        let assessment = up(&format!("{claim}{text}"));
        of(&assessment, Level::Warning).contains(&"not-idempotent")
    };
    for again in [
        "CREATE TABLE IF NOT EXISTS t (a int)",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "DROP TRIGGER IF EXISTS g ON t; CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
        "ALTER TABLE t DROP CONSTRAINT IF EXISTS c, ADD CONSTRAINT c CHECK (a > 0)",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int",
        "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT INTO schema_migrations VALUES ('001')",
        "UPDATE t SET a = 1",
    ] {
        assert!(!found(again), "{again}");
    }
    for once in [
        "CREATE TABLE t (a int)",
        "DROP TABLE t",
        "ALTER TABLE t ADD a int",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
        "ALTER TABLE t RENAME a TO b",
        "INSERT INTO t VALUES (1)",
    ] {
        assert!(found(once), "{once}");
        assert!(
            !of(&up(once), Level::Off).contains(&"not-idempotent"),
            "{once}"
        );
    }
    assert!(!claims_idempotence(&script(
        "-- not idempotent\nSELECT 1 AS idempotent"
    )));
    assert!(claims_idempotence(&script(
        "/*\n * Idempotente.\n */ SELECT 1"
    )));
}

#[test]
fn what_the_parser_does_not_know_is_said() {
    let found = up("FROBNICATE t;\nDROP TABLE t;");
    assert!(
        names(&found).contains(&"not-understood 1:1".to_owned()),
        "{:?}",
        names(&found)
    );
    assert!(names(&found).contains(&"ban-drop-table 2:1".to_owned()));
}

#[test]
fn hostile_scripts_are_not_linted_and_that_is_said() {
    let large = format!("SELECT 1; -- {}", "x".repeat(library::MOST_BYTES));
    let half = library::MOST_DEPTH / 2 + 1;
    let texts = [
        large,
        format!(
            "SELECT {}1{}",
            "(".repeat(library::MOST_DEPTH),
            ")".repeat(library::MOST_DEPTH)
        ),
        format!("SELECT {}a", "NOT ".repeat(library::MOST_DEPTH)),
        format!("SELECT 1{}", " + 1".repeat(half)),
        format!("SELECT {}1;", "NOT ".repeat(library::MOST_DEPTH - 10)).repeat(10),
        format!("UPDATE t SET a = 1{}", ", a = 1".repeat(6_000)),
    ];
    for text in texts {
        assert_eq!(names(&up(&text)), ["not-linted"], "{}", &text[..60]);
    }
}

/// What is in a string is not parsed, so it may be as deep as it likes.
#[test]
fn a_deep_body_does_not_keep_the_rules_from_looking() {
    let most = library::MOST_DEPTH;
    for body in [
        format!("$$ BEGIN {} END $$", "x := x + 1; IF a THEN ".repeat(most)),
        format!("$$ SELECT {}1{} $$", "(".repeat(most), ")".repeat(most)),
        "$a$ $b$ $c$ $d$ $e$ x $e$ $d$ $c$ $b$ $a$".to_owned(),
    ] {
        let text = format!("DO {body};\nDROP TABLE t;");
        assert_eq!(
            of(&up(&text), Level::Warning),
            ["ban-drop-table"],
            "{}",
            &body[..20]
        );
    }
}

/// An UPDATE has no more columns than a table may have, and such a one is linted.
#[test]
fn a_table_may_be_updated_with_all_its_columns() {
    let columns: Vec<_> = (0..1600).map(|n| format!("c{n} = {n}")).collect();
    let text = format!("UPDATE t SET {}, c1 = 0;", columns.join(", "));
    let found = up(&text);
    assert_eq!(
        of(&found, Level::Error),
        ["ban-duplicate-column-assignments"; 2]
    );
}

/// What is just below the limit fits the thread's stack, also without optimisation.
#[test]
fn the_deepest_scripts_that_are_linted_fit_the_stack() {
    let most = library::MOST_DEPTH - 10;
    let repeated = |open: &str, middle: &str, close: &str, tokens: usize| {
        let times = most / tokens;
        format!(
            "SELECT {}{middle}{}",
            open.repeat(times),
            close.repeat(times)
        )
    };
    let texts = [
        repeated("(", "1", ")", 2),
        repeated("NOT ", "a", "", 1),
        repeated("- ", "1", "", 1),
        repeated("", "1", " + 1", 2),
        repeated("", "1", " UNION SELECT 1", 3),
        repeated("(SELECT ", "1", ")", 3),
        repeated("CASE WHEN a THEN ", "1", " END", 5),
        repeated("f(", "1", ")", 3),
        repeated("ARRAY[", "1", "]", 3),
        repeated("", "a", "::int", 3),
        repeated("", "a", "[1]", 3),
        repeated("", "a FROM t", " JOIN t ON a", 4),
        repeated("EXISTS (SELECT ", "1", ")", 4),
        format!(
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT {}1{} $$",
            "(".repeat(most / 2 - 20),
            ")".repeat(most / 2 - 20)
        ),
        format!(
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ {} {} $$",
            "BEGIN ".repeat(most / 3),
            "END; ".repeat(most / 3)
        ),
        format!("CREATE TABLE t (a int {})", "CHECK (a) ".repeat(most / 5)),
    ];
    for text in texts {
        assert!(
            !names(&up(&text)).contains(&"not-linted".to_owned()),
            "{}",
            &text[..60]
        );
    }
}
