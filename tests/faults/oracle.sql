-- What the oracles know of a database, kept by the server itself and out of the product's reach: every DDL command
-- that was committed, and a mark for every change of data. Created by the superuser before the product comes.
CREATE SCHEMA oracle;

-- A row commits with the command that it is about, or not at all.
CREATE TABLE oracle.ddl (tag text NOT NULL, identity text NOT NULL);

-- No key: a change that is made twice leaves two marks.
CREATE TABLE oracle.mark (version text NOT NULL, direction text NOT NULL, canary text NOT NULL);

CREATE FUNCTION oracle.note_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO oracle.ddl SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands()
    WHERE object_identity IS NOT NULL; -- GRANT has none
END $$;

CREATE FUNCTION oracle.note_drop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO oracle.ddl SELECT tg_tag, object_identity FROM pg_event_trigger_dropped_objects() WHERE original;
END $$;

CREATE EVENT TRIGGER oracle_ddl ON ddl_command_end EXECUTE FUNCTION oracle.note_ddl();
CREATE EVENT TRIGGER oracle_drop ON sql_drop EXECUTE FUNCTION oracle.note_drop();

-- Every row of every table but the oracle's, with the transaction that wrote it: two equal answers mean that nothing
-- was written in between.
CREATE FUNCTION oracle.contents() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  relation regclass;
  rows jsonb;
  found jsonb := '{}';
BEGIN
  FOR relation IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('oracle', 'pg_catalog', 'information_schema')
    AND n.nspname NOT LIKE 'pg_t%'
  LOOP
    EXECUTE format('SELECT COALESCE(jsonb_agg(to_jsonb(r) ORDER BY r.*), ''[]'') FROM (SELECT xmin::text, * FROM %s) r', relation) INTO rows;
    found := found || jsonb_build_object(relation, rows);
  END LOOP;
  RETURN found;
END $$;

-- All of it at one moment; to be called in a transaction that is REPEATABLE READ.
CREATE FUNCTION oracle.report() RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object(
    'ddl', (SELECT COALESCE(jsonb_object_agg(d.what, d.number), '{}') FROM
      (SELECT tag || ' ' || identity AS what, count(*) AS number FROM oracle.ddl GROUP BY 1) d),
    'marks', (SELECT COALESCE(jsonb_object_agg(m.what, m.number), '{}') FROM
      (SELECT direction || ' ' || version AS what, count(*) AS number FROM oracle.mark GROUP BY 1) m),
    'relations', (SELECT COALESCE(jsonb_agg(c.relname), '[]') FROM pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'i')
      AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indexrelid = c.oid AND NOT i.indisvalid)),
    'contents', oracle.contents())
$$;

-- What a run must not leave behind, a line each.
CREATE FUNCTION oracle.leftovers() RETURNS SETOF text LANGUAGE sql AS $$
  SELECT 'session ' || pid || ' ' || application_name || ' ' || COALESCE(state, '') FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'schemaward/%'
  UNION ALL SELECT 'advisory lock of ' || pid FROM pg_locks
    WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()
  UNION ALL SELECT 'replication slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
  UNION ALL SELECT 'invalid index ' || indexrelid::regclass FROM pg_index WHERE NOT indisvalid
$$;
