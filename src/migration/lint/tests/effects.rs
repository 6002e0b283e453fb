//! What statements do: their class, their lock, and what is harmless.

use super::*;

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
