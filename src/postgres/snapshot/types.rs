//! Types of all kinds, collations, conversions and text search.

/// Enums, domains, ranges and base types; those of tables, and arrays of others, belong to these.
pub(super) const TYPES: &str = "
SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, format('%I.%I', ns.nspname, t.typname), NULL, NULL,
  jsonb_build_object(
  'labels', (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
  'base type', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
  'not null', t.typnotnull,
  'default', t.typdefault,
  'collation', NULLIF(t.typcollation, 0)::regcollation::text,
  'constraints', (SELECT string_agg(format('%I %s', k.conname, pg_get_constraintdef(k.oid)), '; ' ORDER BY k.conname)
     FROM pg_constraint k WHERE k.contypid = t.oid),
  'range', (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), r.rngcollation, r.rngcanonical, r.rngsubdiff,
     (SELECT c.opcname FROM pg_opclass c WHERE c.oid = r.rngsubopc)) FROM pg_range r WHERE r.rngtypid = t.oid),
  'functions', CASE WHEN t.typtype = 'b' THEN concat_ws(' ', t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin,
     t.typmodout, t.typanalyze, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typdelim) END,
  'owner', pg_get_userbyid(t.typowner),
  'privileges', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
     FROM unnest(COALESCE(t.typacl, acldefault('T', t.typowner))) AS a),
  'comment', obj_description(t.oid, 'pg_type'))
FROM pg_type t JOIN ns ON ns.oid = t.typnamespace
WHERE t.typrelid = 0 AND t.typtype <> 'm' AND NOT (t.typcategory = 'A' AND t.typelem <> 0)
  AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_type'::regclass AND ext.objid = t.oid)";

/// Collations and conversions.
pub(super) const COLLATIONS: &str = "
SELECT 'collation', format('%I.%I', ns.nspname, c.collname), NULL, NULL, jsonb_build_object(
  'definition', (to_jsonb(c) - 'oid' - 'collname' - 'collnamespace' - 'collowner' - 'collversion')::text,
  'owner', pg_get_userbyid(c.collowner), 'comment', obj_description(c.oid, 'pg_collation'))
FROM pg_collation c JOIN ns ON ns.oid = c.collnamespace
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_collation'::regclass AND ext.objid = c.oid)
UNION ALL
SELECT 'conversion', format('%I.%I', ns.nspname, c.conname), NULL, NULL, jsonb_build_object(
  'definition', concat_ws(' ', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc, c.condefault),
  'owner', pg_get_userbyid(c.conowner), 'comment', obj_description(c.oid, 'pg_conversion'))
FROM pg_conversion c JOIN ns ON ns.oid = c.connamespace
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_conversion'::regclass AND ext.objid = c.oid)";

/// Text search configurations, dictionaries, parsers and templates.
pub(super) const TEXT_SEARCH: &str = "
SELECT 'text search configuration', format('%I.%I', ns.nspname, c.cfgname), NULL, NULL, jsonb_build_object(
  'parser', (SELECT p.prsname FROM pg_ts_parser p WHERE p.oid = c.cfgparser),
  'mappings', (SELECT string_agg(concat_ws(' ', m.maptokentype, m.mapseqno, m.mapdict::regdictionary), '; '
     ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = c.oid),
  'owner', pg_get_userbyid(c.cfgowner), 'comment', obj_description(c.oid, 'pg_ts_config'))
FROM pg_ts_config c JOIN ns ON ns.oid = c.cfgnamespace
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_ts_config'::regclass AND ext.objid = c.oid)
UNION ALL
SELECT 'text search dictionary', format('%I.%I', ns.nspname, d.dictname), NULL, NULL, jsonb_build_object(
  'template', (SELECT t.tmplname FROM pg_ts_template t WHERE t.oid = d.dicttemplate), 'options', d.dictinitoption,
  'owner', pg_get_userbyid(d.dictowner), 'comment', obj_description(d.oid, 'pg_ts_dict'))
FROM pg_ts_dict d JOIN ns ON ns.oid = d.dictnamespace
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_ts_dict'::regclass AND ext.objid = d.oid)
UNION ALL
SELECT 'text search parser', format('%I.%I', ns.nspname, p.prsname), NULL, NULL, jsonb_build_object(
  'definition', concat_ws(' ', p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype))
FROM pg_ts_parser p JOIN ns ON ns.oid = p.prsnamespace
UNION ALL
SELECT 'text search template', format('%I.%I', ns.nspname, t.tmplname), NULL, NULL,
  jsonb_build_object('definition', concat_ws(' ', t.tmplinit, t.tmpllexize))
FROM pg_ts_template t JOIN ns ON ns.oid = t.tmplnamespace";
