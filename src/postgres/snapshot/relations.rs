//! Schemas, tables, views, sequences and their like.

/// Schemas.
pub(super) const SCHEMAS: &str = "
SELECT 'schema', format('%I', n.nspname), NULL, NULL, jsonb_build_object(
  'owner', pg_get_userbyid(n.nspowner),
  'privileges', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
     FROM unnest(COALESCE(n.nspacl, acldefault('n', n.nspowner))) AS a),
  'comment', obj_description(n.oid, 'pg_namespace'))
FROM pg_namespace n JOIN ns ON ns.oid = n.oid
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_namespace'::regclass AND ext.objid = n.oid)";

/// Tables, views, materialized views, foreign tables and composite types; with inheritance and partitions.
pub(super) const RELATIONS: &str = "
SELECT rel.kind, rel.name, NULL, NULL, jsonb_build_object(
  'owner', pg_get_userbyid(c.relowner),
  'privileges', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
     FROM unnest(COALESCE(c.relacl, acldefault('r', c.relowner))) AS a),
  'persistence', c.relpersistence,
  'access method', (SELECT am.amname FROM pg_am am WHERE am.oid = c.relam),
  'tablespace', (SELECT t.spcname FROM pg_tablespace t WHERE t.oid = c.reltablespace),
  'options', c.reloptions::text,
  'toast options', (SELECT t.reloptions::text FROM pg_class t WHERE t.oid = c.reltoastrelid),
  'replica identity', c.relreplident,
  'row level security', c.relrowsecurity,
  'row level security is forced', c.relforcerowsecurity,
  'inherits', (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
     FROM pg_inherits i WHERE i.inhrelid = c.oid),
  'partition key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
  'partition bound', pg_get_expr(c.relpartbound, c.oid),
  'of type', NULLIF(c.reloftype, 0)::regtype::text,
  'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
  'is populated', CASE WHEN c.relkind = 'm' THEN c.relispopulated END,
  'server', (SELECT s.srvname FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
     WHERE f.ftrelid = c.oid),
  'foreign options', (SELECT f.ftoptions::text FROM pg_foreign_table f WHERE f.ftrelid = c.oid),
  'comment', obj_description(c.oid, 'pg_class'))
FROM pg_class c JOIN rel ON rel.oid = c.oid WHERE c.relkind <> 'S'";

/// Columns, in their logical order: gaps that dropped ones left do not count.
pub(super) const COLUMNS: &str = "
SELECT 'column', format('%s.%I', rel.name, a.attname), rel.kind, rel.name, jsonb_build_object(
  'place', a.place,
  'type', format_type(a.atttypid, a.atttypmod),
  'not null', a.attnotnull,
  'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  'generated', CASE WHEN a.attgenerated <> '' THEN concat(a.attgenerated, ' ', pg_get_expr(d.adbin, d.adrelid)) END,
  'identity', a.attidentity,
  'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
  'storage', a.attstorage,
  'compression', a.attcompression,
  'statistics target', COALESCE(a.attstattarget, -1),
  'options', a.attoptions::text,
  'foreign options', a.attfdwoptions::text,
  'is local', a.attislocal,
  'inherited', a.attinhcount,
  'privileges', (SELECT string_agg(acl::text, ' ' ORDER BY acl::text) FROM unnest(a.attacl) AS acl),
  'comment', col_description(a.attrelid, a.attnum))
FROM (SELECT *, row_number() OVER (PARTITION BY attrelid ORDER BY attnum) AS place
      FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped) AS a
JOIN rel ON rel.oid = a.attrelid AND rel.relkind <> 'S'
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum";

/// Sequences: parameters, and the column that owns one.
pub(super) const SEQUENCES: &str = "
SELECT 'sequence', rel.name, NULL, NULL, jsonb_build_object(
  'owner', pg_get_userbyid(c.relowner),
  'privileges', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
     FROM unnest(COALESCE(c.relacl, acldefault('s', c.relowner))) AS a),
  'persistence', c.relpersistence,
  'type', s.seqtypid::regtype::text, 'start', s.seqstart, 'increment', s.seqincrement,
  'minimum', s.seqmin, 'maximum', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle,
  'owned by', (SELECT string_agg(format('%s.%I', d.refobjid::regclass, a.attname), ', ')
     FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
       AND d.deptype IN ('a', 'i')),
  'comment', obj_description(c.oid, 'pg_class'))
FROM pg_class c JOIN rel ON rel.oid = c.oid JOIN pg_sequence s ON s.seqrelid = c.oid";
