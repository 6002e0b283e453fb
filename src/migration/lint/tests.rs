use super::impact::of_words;
use super::words::words;
use super::*;

const LEDGER: &str = "schema_migrations";

fn script(text: &str) -> Script {
    Script::parse(text.as_bytes(), LEDGER).unwrap()
}

fn up(text: &str) -> Assessment {
    judge(&script(text), Role::Up { lacks_down: false })
}

fn down(text: &str) -> Assessment {
    judge(&script(text), Role::Down)
}

/// `rule line:column`, of those that are reported by default.
fn names(assessment: &Assessment) -> Vec<String> {
    let reported = assessment.at_least(Level::Note);
    reported
        .map(|finding| match finding.position {
            Some(at) => format!("{} {}:{}", finding.rule.name, at.line, at.column),
            None => finding.rule.name.to_owned(),
        })
        .collect()
}

fn of(assessment: &Assessment, level: Level) -> Vec<&'static str> {
    let reported = assessment.at_least(level);
    reported.map(|finding| finding.rule.name).collect()
}

/// The impact and lock of one statement.
fn effect(sql: &str) -> String {
    let (words, _) = words(sql);
    let effect = of_words(&words, &mut Created::default());
    format!("{}, {}", effect.impact, effect.lock)
}

/// The last statement's, behind others.
fn last(text: &str) -> String {
    let assessment = up(text);
    let judged = assessment.statements.last().unwrap();
    format!("{}, {}", judged.impact, judged.lock)
}

/// Statements, and what is said of them.
const STATEMENTS: &[(&str, &str)] = &[
    ("CREATE TABLE t (a int)", "additive, none"),
    (
        "CREATE TABLE t (a int REFERENCES u)",
        "additive, SHARE ROW EXCLUSIVE",
    ),
    (
        "CREATE TABLE t (a int, FOREIGN KEY (a) REFERENCES t (a))",
        "additive, none",
    ),
    (
        "CREATE TABLE t PARTITION OF p FOR VALUES IN (1)",
        "additive, ACCESS EXCLUSIVE",
    ),
    (
        "CREATE TABLE t AS SELECT * FROM u",
        "additive, ACCESS SHARE",
    ),
    ("CREATE INDEX i ON t (a)", "blocking, SHARE"),
    (
        "CREATE UNIQUE INDEX CONCURRENTLY ON s.t (a)",
        "additive, SHARE UPDATE EXCLUSIVE",
    ),
    ("CREATE VIEW v AS SELECT 1", "additive, ACCESS SHARE"),
    (
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "definition, ACCESS EXCLUSIVE",
    ),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "additive, none",
    ),
    (
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "definition, none",
    ),
    (
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "additive, SHARE ROW EXCLUSIVE",
    ),
    (
        "CREATE RULE r AS ON INSERT TO t DO NOTHING",
        "definition, ACCESS EXCLUSIVE",
    ),
    ("CREATE EXTENSION x", "additive, unknown"),
    ("CREATE SCHEMA s CREATE TABLE t ()", "unknown, unknown"),
    (
        "ALTER TABLE t ADD COLUMN a int",
        "additive, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ADD a numeric(5, 2) DEFAULT 5",
        "additive, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ADD a timestamptz DEFAULT now()",
        "additive, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid()",
        "rewrite, ACCESS EXCLUSIVE",
    ),
    ("ALTER TABLE t ADD a serial", "rewrite, ACCESS EXCLUSIVE"),
    (
        "ALTER TABLE t ADD a int GENERATED ALWAYS AS (b) STORED",
        "rewrite, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ADD a int UNIQUE",
        "blocking, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
        "blocking, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
        "additive, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u",
        "blocking, SHARE ROW EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ADD PRIMARY KEY USING INDEX i",
        "additive, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t VALIDATE CONSTRAINT c",
        "definition, SHARE UPDATE EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ALTER a TYPE bigint",
        "rewrite, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
        "blocking, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t ALTER a SET STATISTICS 10",
        "definition, SHARE UPDATE EXCLUSIVE",
    ),
    (
        "ALTER TABLE t DROP COLUMN a",
        "destructive, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t VALIDATE CONSTRAINT c, DROP b",
        "destructive, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t DROP CONSTRAINT c",
        "incompatible, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE IF EXISTS ONLY s.t RENAME a TO b",
        "incompatible, ACCESS EXCLUSIVE",
    ),
    (
        "ALTER TABLE t SET (fillfactor = 70)",
        "definition, SHARE UPDATE EXCLUSIVE",
    ),
    ("ALTER TABLE t SET LOGGED", "rewrite, ACCESS EXCLUSIVE"),
    (
        "ALTER TABLE t DISABLE TRIGGER ALL",
        "incompatible, SHARE ROW EXCLUSIVE",
    ),
    ("ALTER TABLE t FROBNICATE", "unknown, unknown"),
    ("ALTER TYPE e ADD VALUE 'x'", "additive, none"),
    ("DROP TABLE t", "destructive, ACCESS EXCLUSIVE"),
    ("DROP VIEW v", "incompatible, ACCESS EXCLUSIVE"),
    ("DROP VIEW v CASCADE", "destructive, ACCESS EXCLUSIVE"),
    (
        "DROP INDEX CONCURRENTLY i",
        "incompatible, SHARE UPDATE EXCLUSIVE",
    ),
    ("DROP FUNCTION f(int)", "incompatible, none"),
    ("DROP SCHEMA s CASCADE", "destructive, ACCESS EXCLUSIVE"),
    ("TRUNCATE t", "destructive, ACCESS EXCLUSIVE"),
    ("DELETE FROM t WHERE a = 1", "data change, ROW EXCLUSIVE"),
    ("DELETE FROM t", "destructive, ROW EXCLUSIVE"),
    (
        "DELETE FROM t USING (SELECT 1 WHERE true) x",
        "destructive, ROW EXCLUSIVE",
    ),
    (
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x WHERE a",
        "destructive, ROW EXCLUSIVE",
    ),
    (
        "WITH x AS (SELECT 1) UPDATE t SET a = 1",
        "data change, ROW EXCLUSIVE",
    ),
    ("INSERT INTO t VALUES (1)", "data change, ROW EXCLUSIVE"),
    ("SELECT a FROM t", "none, ACCESS SHARE"),
    ("SELECT a FROM t FOR UPDATE", "none, ROW SHARE"),
    ("SELECT f()", "unknown, unknown"),
    ("SELECT f() INTO n", "unknown, unknown"),
    ("SELECT x.lower('A')", "unknown, unknown"),
    ("SELECT count(*), lower(a) FROM t", "none, ACCESS SHARE"),
    ("INSERT INTO t (a) SELECT f()", "unknown, unknown"),
    (
        "INSERT INTO t AS x (a) VALUES (1) ON CONFLICT (a) DO NOTHING",
        "data change, ROW EXCLUSIVE",
    ),
    ("UPDATE t SET a = f()", "unknown, unknown"),
    (
        "UPDATE t SET a = now(), (b, c) = (1, coalesce(c, 2)) WHERE d IN (1)",
        "data change, ROW EXCLUSIVE",
    ),
    (
        "WITH x AS (SELECT 1) UPDATE t SET a = f()",
        "unknown, unknown",
    ),
    ("DELETE FROM t WHERE f(a)", "unknown, unknown"),
    (
        "COPY t (a) TO '/tmp/x' WITH (FORMAT csv)",
        "none, ACCESS SHARE",
    ),
    ("COPY t FROM '/tmp/x'", "data change, ROW EXCLUSIVE"),
    ("COPY t TO PROGRAM 'x'", "unknown, unknown"),
    ("COPY t FROM PROGRAM 'x'", "unknown, unknown"),
    ("COPY (SELECT f()) TO '/tmp/x'", "unknown, unknown"),
    (
        "COPY (DELETE FROM t RETURNING *) TO '/tmp/x'",
        "destructive, ROW EXCLUSIVE",
    ),
    ("CREATE TABLE t (a) AS SELECT f()", "unknown, unknown"),
    (
        "CREATE MATERIALIZED VIEW m AS SELECT f()",
        "unknown, unknown",
    ),
    (
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t",
        "additive, ACCESS SHARE",
    ),
    ("LOAD 'x'", "unknown, unknown"),
    ("DECLARE c CURSOR FOR SELECT f()", "unknown, unknown"),
    ("DECLARE c CURSOR FOR SELECT 1", "none, none"),
    ("SELECT a INTO n FROM t", "additive, ACCESS SHARE"),
    (
        "SELECT pg_catalog.set_config('search_path', '', false)",
        "none, none",
    ),
    ("DO $$ BEGIN PERFORM f(); END $$", "unknown, unknown"),
    ("DO $x$ BEGIN DROP TABLE t; END $x$", "destructive, unknown"),
    ("DO 'BEGIN TRUNCATE t; END'", "destructive, unknown"),
    ("CALL p()", "unknown, unknown"),
    ("SET search_path = s", "none, none"),
    (
        "COMMENT ON COLUMN s.t.a IS 'x'",
        "definition, SHARE UPDATE EXCLUSIVE",
    ),
    ("COMMENT ON FUNCTION f() IS 'x'", "definition, none"),
    ("GRANT SELECT ON t TO r", "definition, ACCESS SHARE"),
    ("REVOKE SELECT ON t FROM r", "incompatible, ACCESS SHARE"),
    ("LOCK TABLE t IN SHARE MODE", "blocking, SHARE"),
    ("LOCK t", "blocking, ACCESS EXCLUSIVE"),
    ("VACUUM FULL t", "rewrite, ACCESS EXCLUSIVE"),
    (
        "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
        "data change, EXCLUSIVE",
    ),
    ("FROBNICATE t", "unknown, unknown"),
];

#[test]
fn statements_are_judged_by_their_words() {
    let wrong: Vec<_> = STATEMENTS
        .iter()
        .filter(|(sql, expected)| effect(sql) != *expected)
        .map(|(sql, expected)| format!("{sql}\n  is {}, expected {expected}", effect(sql)))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_a_script_made_itself_keeps_nobody_waiting() {
    let made = "CREATE TABLE s.t (a int); ";
    for (then, expected) in [
        ("CREATE INDEX ON t (a)", "additive, none"),
        ("CREATE INDEX ON S.T (a)", "additive, none"),
        ("CREATE INDEX ON \"T\" (a)", "blocking, SHARE"),
        ("CREATE INDEX ON x.t (a)", "blocking, SHARE"),
        ("ALTER TABLE s.t ALTER a SET NOT NULL", "additive, none"),
        (
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u",
            "additive, SHARE ROW EXCLUSIVE",
        ),
        ("DROP TABLE s.t", "additive, none"),
        ("DROP TABLE t, u", "destructive, ACCESS EXCLUSIVE"),
        ("DROP TABLE t CASCADE", "destructive, ACCESS EXCLUSIVE"),
        ("TRUNCATE s.t", "additive, none"),
        ("DELETE FROM s.t", "data change, none"),
        ("ALTER TABLE s.t DROP a", "additive, none"),
        ("COMMENT ON COLUMN s.t.a IS ''", "definition, none"),
        (
            "CREATE TRIGGER g AFTER INSERT ON s.t EXECUTE FUNCTION f()",
            "additive, none",
        ),
    ] {
        assert_eq!(last(&format!("{made}{then}")), expected, "{then}");
    }
}

#[test]
fn what_is_lost_must_surely_be_the_scripts_own() {
    for (before, lost) in [
        ("CREATE TABLE t ()", "DROP TABLE t"),
        ("SAVEPOINT s; CREATE TABLE t ()", "DROP TABLE IF EXISTS t"),
        (
            "CREATE TEMP TABLE t (); INSERT INTO t VALUES (1)",
            "DROP TABLE t",
        ),
        ("SELECT a INTO t FROM u", "TRUNCATE t"),
    ] {
        assert!(
            !up(&format!("{before}; {lost}")).is_destructive(),
            "{before}; {lost}"
        );
    }
    for before in [
        "CREATE TABLE IF NOT EXISTS t ()",
        "CREATE FOREIGN TABLE t () SERVER s",
        "CREATE VIEW t AS SELECT * FROM u",
        "CREATE TABLE s.t ()",
        "CREATE TEMP TABLE t (); DROP TABLE t",
        "CREATE TABLE t (); ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t",
        "CREATE TABLE t (); ALTER TABLE t SET SCHEMA s",
        "CREATE TABLE t (); SET search_path = s",
        "SET search_path = s, pg_temp; CREATE TEMP TABLE t ()",
        "CREATE TABLE t (); SELECT set_config('search_path', 's', true)",
        "SAVEPOINT s; CREATE TABLE t (); ROLLBACK TO s",
        "CREATE TABLE t (a int) PARTITION BY LIST (a); ALTER TABLE t ATTACH PARTITION u DEFAULT",
        "CREATE TABLE t (); ALTER TABLE u INHERIT t",
        "CREATE TABLE t (); DO $$ BEGIN PERFORM f(); END $$",
    ] {
        for lost in [
            "DROP TABLE t",
            "TRUNCATE t",
            "DELETE FROM t",
            "ALTER TABLE t DROP a",
        ] {
            let text = format!("{before}; {lost}");
            assert!(
                last(&text).starts_with("destructive, "),
                "{text}: {}",
                last(&text)
            );
        }
    }
    let moved = "CREATE TABLE t (); INSERT INTO t WITH x AS (DELETE FROM u RETURNING *) TABLE x";
    assert_eq!(last(moved), "destructive, ROW EXCLUSIVE");
}

#[test]
fn only_a_plain_record_is_taken_for_harmless() {
    for (sql, expected) in [
        (
            "DELETE FROM schema_migrations WHERE version = '1'",
            "none, ROW EXCLUSIVE",
        ),
        (
            "DELETE FROM schema_migrations",
            "destructive, ROW EXCLUSIVE",
        ),
        (
            "DELETE FROM other.schema_migrations",
            "destructive, ROW EXCLUSIVE",
        ),
        (
            "INSERT INTO schema_migrations SELECT f()",
            "unknown, unknown",
        ),
    ] {
        assert_eq!(last(sql), expected, "{sql}");
    }
}

#[test]
fn a_script_of_unknown_statements_is_not_taken_for_harmless() {
    let long = format!("SELECT {}1 FROM t", "1, ".repeat(20_000));
    assert_eq!(effect("EXPLAIN ANALYZE DELETE FROM t"), "unknown, unknown");
    assert_eq!(last(&long), "unknown, unknown");
    let rows = format!("INSERT INTO t VALUES {}(1)", "(1), ".repeat(20_000));
    assert_eq!(last(&rows), "data change, ROW EXCLUSIVE");
    assert!(!up("SELECT f()").is_destructive());
    assert!(up("SELECT 1; DROP TABLE t").is_destructive());
}

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
    let init = include_str!("../../../migrations/000_init_schema_migrations.sql");
    let apply = include_str!("../../../migrations/001_add_historical_inventory_UP.sql");
    let undo = include_str!("../../../migrations/001_add_historical_inventory_DOWN.sql");
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
fn a_comment_waives_with_a_reason() {
    let waived = |text: &str| {
        let assessment = up(text);
        let reasons: Vec<_> = assessment
            .waived
            .iter()
            .map(|waived| format!("{}: {}", waived.finding.rule.name, waived.reason))
            .collect();
        (reasons, names(&assessment))
    };
    let reason = |rule: &str| vec![format!("{rule}: it is empty")];
    for text in [
        "-- schemaward: allow ban-drop-table because it is empty\nDROP TABLE t;",
        "DROP TABLE t; -- schemaward: allow ban-drop-table because it is empty\n",
        "DROP /* schemaward: allow ban-drop-table because it is empty */ TABLE t;",
        "SELECT 1;\n-- schemaward: allow-in-file ban-drop-table because it is empty\nSELECT 2; DROP TABLE t;",
        "-- squawk-ignore ban-drop-table -- it is empty\nDROP TABLE t;",
        "-- squawk-ignore-file ban-drop-table -- it is empty\nSELECT 1; DROP TABLE t;",
    ] {
        assert_eq!(waived(text), (reason("ban-drop-table"), vec![]), "{text}");
    }
    let both =
        "-- schemaward: allow ban-drop-table, drop-cascade because both\nDROP TABLE t CASCADE";
    assert_eq!(waived(both).0.len(), 2);
}

#[test]
fn a_waiver_that_is_wrong_is_a_finding_itself() {
    for (text, expected) in [
        (
            "-- schemaward: allow ban-drop-table\nDROP TABLE t;",
            vec!["waiver-without-reason 1:1", "ban-drop-table 2:1"],
        ),
        (
            "-- squawk-ignore ban-drop-table\nDROP TABLE t;",
            vec!["waiver-without-reason 1:1", "ban-drop-table 2:1"],
        ),
        (
            "-- schemaward: allow ban-dorp-table because x\nDROP TABLE t;",
            vec!["waiver-unknown-rule 1:1", "ban-drop-table 2:1"],
        ),
        (
            "-- squawk-ignore\nDROP TABLE t;",
            vec!["waiver-unknown-rule 1:1", "ban-drop-table 2:1"],
        ),
        (
            "-- schemaward: allow ban-drop-table because x\nSELECT 1;",
            vec!["waiver-unused 1:1"],
        ),
        (
            "-- schemaward: allow ban-drop-table because x\nSELECT 1;\nDROP TABLE t;",
            vec!["waiver-unused 1:1", "ban-drop-table 3:1"],
        ),
        // squawk's names of rules that are not asked are no mistake.
        (
            "-- squawk-ignore transaction-nesting -- x\nSELECT 1;",
            vec![],
        ),
        (
            "-- squawk-ignore-file prefer-timestamptz -- x\nCREATE TABLE t (a timestamp);",
            vec![],
        ),
        // What is no waiver is no waiver.
        (
            "-- schemaward is allowed\nSELECT '-- schemaward: allow x';",
            vec![],
        ),
    ] {
        assert_eq!(names(&up(text)), expected, "{text}");
    }
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
        format!("DO $$ {} $$", "BEGIN ".repeat(library::MOST_DEPTH)),
        format!("SELECT {}1;", "NOT ".repeat(library::MOST_DEPTH - 10)).repeat(10),
    ];
    for text in texts {
        assert_eq!(names(&up(&text)), ["not-linted"], "{}", &text[..60]);
    }
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
