//! What the rules say of locks, asked of real servers.

use schemaward::migration::lint::{self, Role};
use schemaward::migration::script::Script;

use crate::harness::postgres_major;

/// What is there before the statements.
const BEFORE: &str = "
CREATE TABLE u (id int PRIMARY KEY);
CREATE TABLE t (id int PRIMARY KEY, a int, b int CHECK (b > 0), c text DEFAULT 'x');
CREATE INDEX t_a ON t (a);
CREATE TABLE p (id int) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (id int);
CREATE VIEW v AS SELECT id FROM t;
CREATE MATERIALIZED VIEW m AS SELECT id FROM u;
CREATE UNIQUE INDEX m_id ON m (id);
CREATE SEQUENCE s;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE POLICY y ON t;
ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID;
CREATE TABLE loaded (relation oid);
INSERT INTO loaded SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace;
";

/// Each is run alone, in a transaction that is rolled back.
const STATEMENTS: &[&str] = &[
    "CREATE TABLE n (a int)",
    "CREATE TABLE n (a int REFERENCES u)",
    "CREATE TABLE n AS SELECT * FROM t",
    "CREATE TABLE n (LIKE t)",
    "CREATE TABLE n () INHERITS (t)",
    "CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3)",
    "CREATE INDEX ON t (b)",
    "CREATE VIEW n AS SELECT * FROM t",
    "CREATE OR REPLACE VIEW v AS SELECT id FROM t",
    "CREATE MATERIALIZED VIEW n AS SELECT * FROM t",
    "CREATE TRIGGER h AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE POLICY z ON t",
    "CREATE RULE r AS ON INSERT TO t DO NOTHING",
    "CREATE STATISTICS x ON a, b FROM t",
    "CREATE SEQUENCE n",
    "CREATE TYPE e AS ENUM ('a')",
    "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "ALTER TABLE t ADD COLUMN n int",
    "ALTER TABLE t ADD CONSTRAINT q CHECK (a > 1)",
    "ALTER TABLE t ADD CONSTRAINT q FOREIGN KEY (a) REFERENCES u",
    "ALTER TABLE t VALIDATE CONSTRAINT k",
    "ALTER TABLE t DROP COLUMN c",
    "ALTER TABLE t DROP CONSTRAINT k",
    "ALTER TABLE t ALTER a TYPE bigint",
    "ALTER TABLE t ALTER a SET NOT NULL",
    "ALTER TABLE t ALTER a SET DEFAULT 5",
    "ALTER TABLE t ALTER a SET STATISTICS 10",
    "ALTER TABLE t ALTER a SET (n_distinct = 5)",
    "ALTER TABLE t ALTER c SET STORAGE EXTERNAL",
    "ALTER TABLE t SET (fillfactor = 70)",
    "ALTER TABLE t SET (autovacuum_enabled = false)",
    "ALTER TABLE t CLUSTER ON t_a",
    "ALTER TABLE t SET WITHOUT CLUSTER",
    "ALTER TABLE t DISABLE TRIGGER g",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE t REPLICA IDENTITY FULL",
    "ALTER TABLE t SET UNLOGGED",
    "ALTER TABLE t RENAME TO tt",
    "ALTER TABLE t RENAME COLUMN a TO aa",
    "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)",
    "ALTER TABLE p DETACH PARTITION p1",
    "ALTER INDEX t_a RENAME TO t_b",
    "ALTER INDEX t_a SET (fillfactor = 70)",
    "ALTER SEQUENCE s INCREMENT 2",
    "ALTER VIEW v RENAME TO w",
    "ALTER TRIGGER g ON t RENAME TO h",
    "DROP TABLE p2",
    "DROP VIEW v",
    "DROP MATERIALIZED VIEW m",
    "DROP INDEX t_a",
    "DROP TRIGGER g ON t",
    "DROP POLICY y ON t",
    "DROP SEQUENCE s",
    "TRUNCATE t",
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET a = 1",
    "DELETE FROM t WHERE a = 1",
    "SELECT a FROM t",
    "SELECT a FROM t FOR UPDATE",
    "COMMENT ON TABLE t IS 'x'",
    "COMMENT ON COLUMN t.a IS 'x'",
    "COMMENT ON INDEX t_a IS 'x'",
    "GRANT SELECT ON t TO PUBLIC",
    "LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE",
    "ANALYZE t",
    "CLUSTER t USING t_a",
    "REINDEX INDEX t_a",
    "REINDEX TABLE t",
    "REFRESH MATERIALIZED VIEW m",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
];

/// The strongest lock of our session on what was there, by the names of `pg_locks`, weakest first.
const HELD: &str = "
SELECT coalesce((ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock',
  'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'])[max(array_position(ARRAY['AccessShareLock', 'RowShareLock',
  'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'], mode))], 'none')
FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
  AND relation IN (SELECT relation FROM loaded WHERE relation <> 'loaded'::regclass)";

/// `ShareUpdateExclusiveLock` of a name as the manual writes it.
fn mode(name: &str) -> String {
    let words = name.split(' ').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{first}{}", rest.to_lowercase())
    });
    match name {
        "none" => name.to_owned(),
        _ => words.collect::<String>() + "Lock",
    }
}

#[test]
fn locks_are_those_that_servers_take() {
    let mut wrong = Vec::new();
    for major in [14, 16, 18] {
        let database = postgres_major(major).database("lint_locks");
        database.exec(BEFORE);
        for statement in STATEMENTS {
            let script =
                Script::parse(statement.as_bytes(), "schema_migrations").expect("a script");
            let judged = lint::judge(&script, Role::Down).statements[0];
            let held = database.query_text(&format!("BEGIN; {statement}; {HELD}; ROLLBACK"));
            let held = held.lines().last().unwrap_or_default();
            // Only 18 locks a table whose rights change, as weakly as a reader.
            let is_early_grant = statement.starts_with("GRANT") && major < 18;
            if !is_early_grant && mode(&judged.lock.to_string()) != held {
                wrong.push(format!(
                    "{major}: {statement}: said {}, held {held}",
                    judged.lock
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
