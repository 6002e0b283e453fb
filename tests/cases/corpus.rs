//! Whole scripts that are hard to cut into statements, and valid on every supported server, where each can be run in
//! a transaction of its own on an empty database. The unit tests hold our splitter to squawk's parser on them, the
//! integration tests to the commands that the servers complete.

/// Each row: what is tricky, and the script.
pub const SCRIPTS: &[(&str, &str)] = &[
    (
        "dollar quotes within dollar quotes",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $body$ SELECT $$a;b$$ || $x$;$x$ $body$;\n\
         SELECT $q$ $body$; $ $$ $q$, $_1é$;$_1é$; SELECT f();",
    ),
    (
        "a tag that is the beginning of another",
        "SELECT $a$ $ab$; $a$; SELECT $ab$ $a$; $ab$; SELECT $a$$ab$;$a$",
    ),
    (
        "PL/pgSQL with SQL in its strings",
        "CREATE TABLE t (note text);\n\
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $fn$\n\
         DECLARE statement text := 'SELECT 1; SELECT 2';\n\
         BEGIN\n\
           EXECUTE format($dyn$ UPDATE t SET note = %L; $dyn$, 'x;y');\n\
           RETURN NEW; -- done; really\n\
         EXCEPTION WHEN others THEN\n\
           RAISE NOTICE 'failed; %', SQLERRM;\n\
           RETURN NULL;\n\
         END;\n\
         $fn$;\n\
         CREATE TRIGGER touch AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch();\n\
         INSERT INTO t VALUES (';');",
    ),
    (
        "DO blocks",
        "DO $$ BEGIN PERFORM 1; PERFORM 2; END $$; DO LANGUAGE plpgsql 'BEGIN PERFORM '';''; END';\n\
         DO $do$ DECLARE r record; BEGIN FOR r IN SELECT 1 AS a LOOP NULL; END LOOP; END; $do$",
    ),
    (
        "bodies in SQL",
        "CREATE FUNCTION a(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT x; SELECT CASE WHEN x > 1 THEN 1 ELSE\n\
         (SELECT CASE WHEN true THEN 2 END) END; END;\n\
         CREATE OR REPLACE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC ; SELECT 1; ; SELECT ';'; END;\n\
         CREATE FUNCTION e() RETURNS void LANGUAGE sql BEGIN ATOMIC END;\n\
         CREATE FUNCTION r() RETURNS int LANGUAGE sql RETURN CASE WHEN true THEN 1 END;\n\
         CALL p(); SELECT a(2)",
    ),
    (
        "columns named like the words that end a body",
        "CREATE TABLE t (\"end\" int, \"case\" int, atomic int);\n\
         CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC\n\
           SELECT t.\"end\" AS \"case\" FROM t; SELECT count(t.\"end\") AS \"end\" FROM t AS \"case\", t; END;\n\
         SELECT atomic FROM t",
    ),
    (
        "rules of several statements",
        "CREATE TABLE t (a int); CREATE TABLE log (a int);\n\
         CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO log VALUES (new.a); DELETE FROM log WHERE a < 0; );\n\
         CREATE RULE n AS ON DELETE TO t DO INSTEAD NOTHING;\n\
         CREATE RULE u AS ON UPDATE TO t WHERE new.a > 1 DO INSTEAD (SELECT ';'; DELETE FROM log);\n\
         CREATE RULE i AS ON UPDATE TO log DO ALSO (NOTIFY log; NOTIFY \"t;\");\n\
         INSERT INTO t VALUES (1), (2); DELETE FROM t;",
    ),
    (
        "escapes, and strings that go on",
        "SELECT E'a\\';b', E'\\\\'; SELECT E'a'\n'\\';b'; SELECT 'a'\n'b;'; SELECT e'\\u0041;' ;SELECT E'a' -- ;'\n'\\';'",
    ),
    (
        "U& strings and names",
        "SELECT U&'\\0061;\\\\'; SELECT u&'d!0061;''' UESCAPE '!', U&\"a\\0062;\" FROM (SELECT 1 AS \"ab;\") x",
    ),
    (
        "bits, hexadecimal and national strings",
        "SELECT B'101', X'1F', N'a;b'; SELECT b'';SELECT x''",
    ),
    (
        "a backslash before a quote is a backslash",
        "SELECT 'C:\\'; SELECT 'D:\\'';'; SELECT '\\;\\'",
    ),
    (
        "CR LF",
        "-- a\r\nSELECT 1;\r\n\r\n/* ;\r\n */ SELECT 2 -- ;\r\n, 3;\r\nSELECT E'a'\r\n'\\';';\r\n",
    ),
    (
        "a lone CR ends a line comment",
        "-- a;\rSELECT 1;-- b\rSELECT 2;",
    ),
    ("a byte order mark", "\u{feff}SELECT 1; SELECT 2"),
    (
        "empty statements",
        ";;; SELECT 1;; ; -- nothing\n; /* ; */ ; SELECT 2;;",
    ),
    (
        "a comment at the end, without a line end",
        "SELECT 1; SELECT 2 -- ; SELECT 3",
    ),
    (
        "an open line comment after the last semicolon",
        "SELECT 1; --",
    ),
    (
        "comments in comments",
        "/* a /* ; /* ; */ */ ; */ SELECT /* /*/ ; */ */ 1 /**/; SELECT 2 /*/ ; */ ;SELECT 3 --/* ;\n; SELECT 4",
    ),
    (
        "names with everything in them",
        "CREATE TABLE \"a;\"\"b\" (\"$$\" int, \"--\" int, \"/*\" int, a$b int, \"'\" int);\n\
         SELECT a$b, \"$$\", \"--\", \"/*\", \"'\" FROM \"a;\"\"b\"",
    ),
    (
        "dollars in names are no quotes",
        "CREATE TABLE a$$ (b$c$ int); SELECT a$$.b$c$ FROM a$$; SELECT 1",
    ),
    (
        "letters of many languages",
        "CREATE TABLE größe (日本 text, ñ$ int); SELECT 日本, ñ$ FROM größe; SELECT '🦀;', 'e\u{301};', $é$;$é$; SELECT 1",
    ),
    (
        "white space of all kinds",
        "SELECT\u{c}1\u{c};\tSELECT\t2;\u{c}\r\n SELECT 3",
    ),
    (
        "operators that look like comments",
        "SELECT 2 */* ; */ 3; SELECT 4 - -1; SELECT 1 +-- ;\n 2; SELECT '{\"a\":1}'::jsonb ? ';', '{}'::jsonb #>> '{;}', \
         2 ^ -1, @ -5; SELECT 5 % 2 <> - 1",
    ),
    (
        "numbers of all kinds",
        "SELECT 1., .5, 1.e3, 1e-3, 1.5E+3; SELECT (ARRAY[1,2,3])[1:2]; SELECT 1 ::int; SELECT 1.::text",
    ),
    (
        "parameters of prepared statements",
        "PREPARE p (int, text) AS SELECT $1, $2, 'a;'; EXECUTE p (1, ';'); DEALLOCATE p; SELECT 1",
    ),
    (
        "cursors",
        "DECLARE c CURSOR FOR SELECT ';'; FETCH 1 FROM c; MOVE c; CLOSE c",
    ),
    (
        "one statement that does several things",
        "CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT a FROM t GRANT SELECT ON v TO PUBLIC;\n\
         WITH x AS (INSERT INTO s.t VALUES (1) RETURNING a), y AS (SELECT ';' FROM x) SELECT * FROM y;\n\
         EXPLAIN SELECT 1; TABLE s.t; VALUES (1, ';'), (2, ''); (SELECT 1); ((SELECT 2) UNION (SELECT 3))",
    ),
    (
        "types, domains, checks, comments",
        "CREATE TYPE mood AS ENUM ('a;', 'b'); CREATE DOMAIN d AS text DEFAULT ';' CHECK (VALUE ~ '^[;]');\n\
         CREATE TABLE t (m mood DEFAULT 'a;', d d, CHECK (d <> ';;'));\n\
         COMMENT ON TABLE t IS 'one; two -- three /* four'; COMMENT ON COLUMN t.m IS NULL; COMMENT ON TYPE mood IS $$;$$",
    ),
    (
        "routines as strings",
        "CREATE FUNCTION f() RETURNS text AS 'SELECT '';''::text; ' LANGUAGE sql; CREATE FUNCTION g() RETURNS void AS '' \
         LANGUAGE sql; SELECT f(); SELECT g()",
    ),
    (
        "operators and aggregates of one's own",
        "CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2';\n\
         CREATE OPERATOR <+> (FUNCTION = plus, LEFTARG = int, RIGHTARG = int);\n\
         CREATE AGGREGATE total (int) (SFUNC = plus, STYPE = int, INITCOND = '0');\n\
         SELECT 1 <+> 2, 1 OPERATOR(public.<+>) 1; SELECT total(x) FROM generate_series(1, 3) x",
    ),
    (
        "savepoints",
        "SAVEPOINT a; SELECT 1; ROLLBACK TO a; SAVEPOINT \"b;\"; RELEASE SAVEPOINT \"b;\"; ROLLBACK WORK TO SAVEPOINT a",
    ),
    (
        "settings",
        "SET LOCAL work_mem = '8MB'; SHOW work_mem; RESET work_mem; SET search_path = public, pg_temp; SET TIME ZONE 'UTC'",
    ),
    (
        "notifications",
        "LISTEN \"a;b\"; NOTIFY \"a;b\", 'c;d'; UNLISTEN *; SELECT 1",
    ),
    (
        "the file's own transaction",
        "-- up\nBEGIN;\nCREATE TABLE t (a int);\nSELECT 'COMMIT;';\nCOMMIT;\n-- end;",
    ),
    (
        "START and END",
        "START /* ; */ TRANSACTION; SELECT 1; SELECT CASE WHEN true THEN 1 END; END WORK;",
    ),
    (
        "what pg_dump writes",
        "--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\nSET standard_conforming_strings = on;\n\
         SELECT pg_catalog.set_config('search_path', '', false);\nSET check_function_bodies = false;\n\n\
         --\n-- Name: t; Type: TABLE; Schema: public; Owner: -\n--\n\n\
         CREATE TABLE public.t (\n    id integer NOT NULL,\n    note text DEFAULT ';'::text\n);\n\n\
         CREATE SEQUENCE public.t_id_seq\n    AS integer\n    START WITH 1\n    INCREMENT BY 1\n    CACHE 1;\n\
         ALTER SEQUENCE public.t_id_seq OWNED BY public.t.id;\n\
         ALTER TABLE ONLY public.t ALTER COLUMN id SET DEFAULT nextval('public.t_id_seq'::regclass);\n\
         ALTER TABLE ONLY public.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);\n\n--\n-- PostgreSQL database dump complete\n--\n",
    ),
    (
        "a string over many lines",
        "SELECT '\n;\n--\n/*\n$$\n'; SELECT \"\n;\n\" FROM (SELECT 1 AS \"\n;\n\") x",
    ),
];

/// Texts that only psql understands: we refuse them, and so does every server.
pub const FOR_PSQL_ALONE: &[&str] = &[
    "\\i other.sql\n",
    "\\set name value\nSELECT 1;",
    "SELECT 'SELECT 1' \\gexec\n",
    "SELECT 1 \\g\n",
    "\\if true\nSELECT 1;\n\\endif\n",
    "SELECT 1; \\echo done;\n",
    "\\copy t FROM 'x.csv'\n",
    "SELECT 1 \\; SELECT 2;",
    "\\restrict x\nSELECT 1;\n\\unrestrict x\n",
];

/// Read in one way while `standard_conforming_strings` is on, and in another while it is off.
pub const DEPENDS_ON_THE_READER: &str = "SELECT '\\'', '; SELECT 1; --'";
