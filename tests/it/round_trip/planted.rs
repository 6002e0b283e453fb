//! Every kind of object: told when a way back leaves it otherwise, and not told when it comes back.

use std::fmt::Write;

use super::*;
use crate::harness::{postgres, postgres_major};

/// What is planted: what an UP makes and its DOWN leaves, and how that is told.
const PLANTED: &[(&str, &str)] = &[
    (
        "CREATE SCHEMA planted",
        "schema planted: was not there, and is",
    ),
    (
        "CREATE TABLE p_table (id int)",
        "table public.p_table: was not there, and is",
    ),
    (
        "CREATE VIEW p_view AS SELECT 1 AS a",
        "view public.p_view: was not there, and is",
    ),
    (
        "CREATE MATERIALIZED VIEW p_mat AS SELECT 1 AS a",
        "materialized view public.p_mat: was not there, and is",
    ),
    (
        "CREATE SEQUENCE p_sequence",
        "sequence public.p_sequence: was not there, and is",
    ),
    (
        "CREATE TYPE p_composite AS (a int)",
        "composite type public.p_composite: was not there, and is",
    ),
    (
        "CREATE TYPE p_enum AS ENUM ('a')",
        "type public.p_enum: was not there, and is",
    ),
    (
        "CREATE TYPE p_range AS RANGE (subtype = float8)",
        "type public.p_range: was not there, and is",
    ),
    (
        "CREATE DOMAIN p_domain AS int",
        "domain public.p_domain: was not there, and is",
    ),
    (
        "CREATE FUNCTION p_function(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "function public.p_function(integer): was not there, and is",
    ),
    (
        "CREATE PROCEDURE p_procedure() LANGUAGE sql AS 'SELECT 1'",
        "procedure public.p_procedure(): was not there, and is",
    ),
    (
        "CREATE AGGREGATE p_sum(int) (SFUNC = int4pl, STYPE = int)",
        "aggregate public.p_sum(integer): was not there, and is",
    ),
    (
        "CREATE OPERATOR <<<< (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int)",
        "operator public.<<<<(integer,integer): was not there, and is",
    ),
    (
        "CREATE OPERATOR FAMILY p_family USING btree",
        "operator family public.p_family using btree: was not there, and is",
    ),
    (
        "CREATE OPERATOR CLASS p_class FOR TYPE int USING hash AS FUNCTION 1 hashint4(int)",
        "operator class public.p_class using hash: was not there, and is",
    ),
    (
        "CREATE CAST (base AS text) WITH INOUT",
        "cast public.base as text: was not there, and is",
    ),
    (
        "CREATE COLLATION p_collation (LOCALE = 'C')",
        "collation public.p_collation: was not there, and is",
    ),
    (
        "CREATE CONVERSION p_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        "conversion public.p_conversion: was not there, and is",
    ),
    (
        "CREATE TEXT SEARCH CONFIGURATION p_config (COPY = simple)",
        "text search configuration public.p_config: was not there, and is",
    ),
    (
        "CREATE TEXT SEARCH DICTIONARY p_dict (TEMPLATE = simple)",
        "text search dictionary public.p_dict: was not there, and is",
    ),
    (
        "CREATE EXTENSION IF NOT EXISTS plpgsql; CREATE LANGUAGE p_language HANDLER plpgsql_call_handler",
        "language p_language: was not there, and is",
    ),
    (
        "CREATE ACCESS METHOD p_heap TYPE TABLE HANDLER heap_tableam_handler",
        "access method p_heap: was not there, and is",
    ),
    (
        "CREATE EVENT TRIGGER p_event ON ddl_command_end EXECUTE FUNCTION base_event()",
        "event trigger p_event: was not there, and is",
    ),
    (
        "CREATE FOREIGN DATA WRAPPER p_wrapper",
        "foreign-data wrapper p_wrapper: was not there, and is",
    ),
    (
        "CREATE SERVER p_server FOREIGN DATA WRAPPER base_wrapper OPTIONS (password 'sesame')",
        "foreign server p_server: was not there, and is",
    ),
    (
        "CREATE USER MAPPING FOR CURRENT_USER SERVER base_server OPTIONS (password 'sesame')",
        "server base_server: was not there, and is",
    ),
    (
        "CREATE FOREIGN TABLE p_foreign (a int) SERVER base_server",
        "foreign table public.p_foreign: was not there, and is",
    ),
    (
        "CREATE PUBLICATION p_publication FOR TABLE base",
        "publication p_publication: was not there, and is",
    ),
    (
        "CREATE STATISTICS p_statistics ON id, name FROM base",
        "statistics object public.p_statistics: was not there, and is",
    ),
    (
        "CREATE INDEX p_index ON base (name)",
        "index public.p_index: was not there, and is",
    ),
    (
        "ALTER TABLE base ADD CONSTRAINT p_check CHECK (id > 0)",
        "constraint p_check on public.base: was not there, and is",
    ),
    (
        "CREATE TRIGGER p_trigger AFTER INSERT ON base EXECUTE FUNCTION base_trigger()",
        "trigger p_trigger on public.base: was not there, and is",
    ),
    (
        "CREATE RULE p_rule AS ON DELETE TO base DO INSTEAD NOTHING",
        "rule p_rule on public.base: was not there, and is",
    ),
    (
        "CREATE POLICY p_policy ON base USING (id > 0)",
        "policy p_policy on public.base: was not there, and is",
    ),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
        "in public: was not there, and is",
    ),
    (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem TO ''5MB''', current_database()); END $$",
        "setting work_mem: was not there, and is",
    ),
    (
        "ALTER TABLE base ADD p_column int",
        "column public.base.p_column: was not there, and is",
    ),
    (
        "ALTER TABLE base DROP gone",
        "column public.base.gone: was there, and is gone",
    ),
    (
        "DROP TABLE other",
        "table public.other: was there, and is gone",
    ),
    (
        "CREATE TABLE p_part PARTITION OF parted FOR VALUES IN (1)",
        "table public.p_part: was not there, and is",
    ),
    (
        "ALTER TABLE t1 ALTER a TYPE bigint",
        "column public.t1.a: type integer → bigint",
    ),
    (
        "ALTER TABLE t2 ALTER a SET DEFAULT 5",
        "column public.t2.a: default none → 5",
    ),
    (
        "ALTER TABLE t3 ALTER a SET NOT NULL",
        "column public.t3.a: not null false → true",
    ),
    (
        "ALTER TABLE t4 ALTER a SET NOT NULL, ALTER a ADD GENERATED ALWAYS AS IDENTITY",
        "column public.t4.a: identity none → a; not null false → true",
    ),
    (
        "ALTER TABLE t5 ALTER b SET STORAGE EXTERNAL",
        "column public.t5.b: storage x → e",
    ),
    (
        "ALTER TABLE t6 ALTER b TYPE text COLLATE \"C\"",
        "column public.t6.b: collation none → \"C\"",
    ),
    (
        "ALTER TABLE t7 DROP a, ADD a int",
        "column public.t7.a: place 1 → 2; column public.t7.b: place 2 → 1",
    ),
    (
        "ALTER TABLE t8 INHERIT parent",
        "table public.t8: inherits none → public.parent",
    ),
    (
        "ALTER TABLE t9 ENABLE ROW LEVEL SECURITY",
        "table public.t9: row level security false → true",
    ),
    (
        "ALTER TABLE t10 REPLICA IDENTITY FULL",
        "table public.t10: replica identity d → f",
    ),
    (
        "ALTER TABLE t11 SET (fillfactor = 50)",
        "table public.t11: options was not there, and is",
    ),
    (
        "GRANT SELECT ON t12 TO PUBLIC",
        "table public.t12: privileges",
    ),
    (
        "GRANT SELECT (a) ON t13 TO PUBLIC",
        "column public.t13.a: privileges",
    ),
    (
        "ALTER TABLE t14 OWNER TO pg_read_all_data",
        "table public.t14: owner",
    ),
    (
        "COMMENT ON TABLE t15 IS 'sesame'",
        "table public.t15: comment was not there, and is",
    ),
    (
        "COMMENT ON COLUMN t16.a IS 'sesame'",
        "column public.t16.a: comment was not there, and is",
    ),
    (
        "ALTER TABLE t17 SET UNLOGGED",
        "table public.t17: persistence p → u",
    ),
    (
        "ALTER SEQUENCE base_sequence INCREMENT 3",
        "sequence public.base_sequence: increment 1 → 3",
    ),
    (
        "ALTER SEQUENCE owned_sequence OWNED BY t1.b",
        "sequence public.owned_sequence: owned by none → public.t1.b",
    ),
    (
        "CREATE OR REPLACE VIEW base_view AS SELECT 2 AS a",
        "view public.base_view: definition SELECT 1 AS a; → SELECT 2 AS a;",
    ),
    (
        "CREATE OR REPLACE FUNCTION base_function() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "function public.base_function(): definition differs in a literal or a body",
    ),
    (
        "ALTER TYPE base_enum ADD VALUE 'c' BEFORE 'b'",
        "type public.base_enum: labels a, b → a, c, b",
    ),
    (
        "ALTER DOMAIN base_domain ADD CONSTRAINT positive CHECK (VALUE > 0)",
        "domain public.base_domain: constraints none → positive CHECK ((VALUE > 0))",
    ),
    (
        "ALTER TABLE base DISABLE TRIGGER base_trigger",
        "trigger base_trigger on public.base: enabled O → D",
    ),
    (
        "ALTER POLICY base_policy ON base USING (id > 1)",
        "policy base_policy on public.base: using (id > 0) → (id > 1)",
    ),
    (
        "ALTER TABLE t18 CLUSTER ON t18_pkey",
        "index public.t18_pkey: is clustered on false → true",
    ),
    (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't19_pkey'::regclass",
        "index public.t19_pkey: is valid true → false",
    ),
    (
        "ALTER PUBLICATION base_publication ADD TABLE t20",
        "publication base_publication: tables",
    ),
    (
        "ALTER TEXT SEARCH CONFIGURATION base_config DROP MAPPING FOR email",
        "text search configuration public.base_config: mappings",
    ),
    (
        "ALTER SERVER base_server OPTIONS (ADD password 'sesame')",
        "foreign server base_server: options was not there, and is",
    ),
    (
        "ALTER TABLE t21 DROP CONSTRAINT t21_pkey",
        "constraint t21_pkey on public.t21: was there, and is gone",
    ),
];

/// What the planted statements need.
fn ground() -> String {
    let mut sql = "CREATE TABLE base (id int, name text, gone int); CREATE TABLE other (id int); CREATE TABLE parent (a int);
        CREATE TABLE parted (id int) PARTITION BY LIST (id);
        CREATE FUNCTION base_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE FUNCTION base_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE TRIGGER base_trigger AFTER UPDATE ON base EXECUTE FUNCTION base_trigger();
        CREATE POLICY base_policy ON base FOR SELECT USING (id > 0);
        CREATE FOREIGN DATA WRAPPER base_wrapper; CREATE SERVER base_server FOREIGN DATA WRAPPER base_wrapper;
        CREATE SEQUENCE base_sequence; CREATE SEQUENCE owned_sequence; CREATE VIEW base_view AS SELECT 1 AS a;
        CREATE FUNCTION base_function() RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE TYPE base_enum AS ENUM ('a', 'b'); CREATE DOMAIN base_domain AS int;
        CREATE PUBLICATION base_publication FOR TABLE other;
        CREATE TEXT SEARCH CONFIGURATION base_config (COPY = simple);"
        .to_owned();
    for number in 1..=21 {
        let key = if number >= 18 { " PRIMARY KEY" } else { "" };
        write!(sql, "CREATE TABLE t{number} (a int{key}, b text);").expect("a String takes it");
    }
    sql
}

#[test]
fn every_kind_of_object_is_told_when_a_way_back_leaves_it_otherwise() {
    for server in [postgres_major(14), postgres(), postgres_major(18)] {
        let project = Project::on(server, "test_planted");
        project.write("ground.sql", &ground());
        // UP does nothing, DOWN plants: what it leaves is what it takes away as well.
        for (number, (sql, _)) in PLANTED.iter().enumerate() {
            version(&project, number + 1, "SELECT 1", sql);
        }
        let setup = project.path("ground.sql");
        let ended = run(&project, &format!("--setup {}", setup.display()));
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        for (sql, said) in PLANTED {
            for said in said.split("; column ") {
                assert!(
                    ended
                        .stdout
                        .lines()
                        .any(|line| line.contains("differs") && line.contains(said)),
                    "{sql}: {said}\n{}\n{}",
                    ended.stdout,
                    ended.stderr
                );
            }
        }
        assert!(!ended.stdout.contains("sesame"));
    }
}

#[test]
fn what_comes_back_as_it_was_is_the_same() {
    for server in [postgres_major(14), postgres(), postgres_major(18)] {
        let project = Project::on(server, "test_same");
        project.write("ground.sql", &ground());
        // Made and dropped, with gaps in attribute numbers, privileges given and taken, and other oids.
        for (number, (up, down)) in [
            ("ALTER TABLE base ADD x int; ALTER TABLE base ADD y text DEFAULT 'a'", "ALTER TABLE base DROP y; ALTER TABLE base DROP x"),
            ("GRANT SELECT ON base TO PUBLIC", "REVOKE SELECT ON base FROM PUBLIC"),
            ("CREATE TABLE child (id serial PRIMARY KEY, p int REFERENCES t18 (a)); CREATE VIEW v AS SELECT * FROM child", "DROP VIEW v; DROP TABLE child"),
            ("CREATE INDEX CONCURRENTLY i ON base (name)", "DROP INDEX CONCURRENTLY i"),
            ("DROP VIEW base_view", "CREATE VIEW base_view AS SELECT 1 AS a"),
            ("ALTER TABLE t7 DROP b", "ALTER TABLE t7 ADD b text"),
            ("CREATE EXTENSION IF NOT EXISTS plpgsql; COMMENT ON TABLE base IS 'x'", "COMMENT ON TABLE base IS NULL"),
        ]
        .iter()
        .enumerate()
        {
            version(&project, number + 1, up, down);
        }
        let setup = project.path("ground.sql");
        let ended = run(&project, &format!("--setup {}", setup.display()));
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(
            ended.stderr,
            "note: 7 versions, 21 steps; the catalog was after each what it had been before.\n"
        );
    }
}
