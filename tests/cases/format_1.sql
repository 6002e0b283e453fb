-- What a Schemaward of format 1 left: version 001 applied, with its record and two rows of the audit.
CREATE TABLE public.schema_migrations (version text PRIMARY KEY, name text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(), execution_time_ms int8, checksum text);
CREATE SCHEMA schemaward;
CREATE TABLE schemaward.installation (singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  format integer NOT NULL, database_id uuid NOT NULL, installed_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE schemaward.claim (ledger_schema text, ledger_table text, cluster text NOT NULL,
  namespace text NOT NULL, name text NOT NULL, uid text NOT NULL, claimed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (ledger_schema, ledger_table));
CREATE TABLE schemaward.script (ledger_schema text, ledger_table text, version text,
  up_checksum text NOT NULL, up bytea NOT NULL, down_checksum text, down bytea,
  stored_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (ledger_schema, ledger_table, version),
  CHECK ((down IS NULL) = (down_checksum IS NULL)));
CREATE TABLE schemaward.audit (id bigint PRIMARY KEY, at timestamptz NOT NULL, ledger_schema text NOT NULL,
  ledger_table text NOT NULL, action text NOT NULL, version text, detail text NOT NULL, checksum text,
  actor text NOT NULL, database_role text NOT NULL, tool text NOT NULL, execution_time_ms bigint,
  hash bytea NOT NULL);
INSERT INTO schemaward.installation (format, database_id)
  VALUES (1, '3f2a1b0c-0000-4000-8000-000000000001');
-- SHA-256 of the text CREATE TABLE one (id int); and a line end, as tests/it/journal.rs writes the file.
INSERT INTO public.schema_migrations (version, name, execution_time_ms, checksum)
  VALUES ('001', 'one', 3, encode(sha256(convert_to(E'CREATE TABLE one (id int);\n', 'UTF8')), 'hex'));
INSERT INTO schemaward.script (ledger_schema, ledger_table, version, up_checksum, up)
  VALUES ('public', 'schema_migrations', '001',
    encode(sha256(convert_to(E'CREATE TABLE one (id int);\n', 'UTF8')), 'hex'), '\x');
CREATE TABLE one (id int);
INSERT INTO schemaward.audit
  SELECT 1, now(), 'public', 'schema_migrations', 'install', NULL, '', NULL, 'command line', SESSION_USER, 'old', NULL,
    sha256(convert_to((SELECT string_agg(length(field) || ':' || field, '' ORDER BY place) FROM unnest(ARRAY['1',
      extract(epoch FROM now())::text, 'public', 'schema_migrations', 'install', '', '', '', 'command line',
      SESSION_USER::text, 'old', '']) WITH ORDINALITY f (field, place)), 'UTF8'));
INSERT INTO schemaward.audit
  SELECT 2, now(), 'public', 'schema_migrations', 'apply', '001', 'one', m.checksum, 'command line', SESSION_USER, 'old', 3,
    sha256(a.hash || convert_to((SELECT string_agg(length(field) || ':' || field, '' ORDER BY place) FROM unnest(ARRAY['2',
      extract(epoch FROM now())::text, 'public', 'schema_migrations', 'apply', '001', 'one', m.checksum, 'command line',
      SESSION_USER::text, 'old', '3']) WITH ORDINALITY f (field, place)), 'UTF8'))
  FROM schemaward.audit a, public.schema_migrations m;
