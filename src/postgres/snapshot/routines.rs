//! Functions, procedures, aggregates, operators, casts, languages and event triggers.

/// Functions, procedures and aggregates.
pub(super) const ROUTINES: &str = "
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
  p.oid::regprocedure::text, NULL, NULL, jsonb_build_object(
  'definition', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE concat_ws(' ', p.proparallel,
     pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), a.aggkind, a.aggtransfn, a.aggfinalfn,
     a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn,
     a.aggfinalextra, a.aggfinalmodify, a.aggsortop, format_type(a.aggtranstype, NULL), a.agginitval,
     a.aggminitval) END,
  'owner', pg_get_userbyid(p.proowner),
  'privileges', (SELECT string_agg(acl::text, ' ' ORDER BY acl::text)
     FROM unnest(COALESCE(p.proacl, acldefault('f', p.proowner))) AS acl),
  'comment', obj_description(p.oid, 'pg_proc'))
FROM pg_proc p JOIN ns ON ns.oid = p.pronamespace LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_proc'::regclass AND ext.objid = p.oid)";

/// Operators, operator families and operator classes.
pub(super) const OPERATORS: &str = "
SELECT 'operator', o.oid::regoperator::text, NULL, NULL, jsonb_build_object(
  'definition', concat_ws(' ', o.oprcode, format_type(o.oprresult, NULL), NULLIF(o.oprcom, 0)::regoperator,
     NULLIF(o.oprnegate, 0)::regoperator, o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash),
  'owner', pg_get_userbyid(o.oprowner), 'comment', obj_description(o.oid, 'pg_operator'))
FROM pg_operator o JOIN ns ON ns.oid = o.oprnamespace
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_operator'::regclass AND ext.objid = o.oid)
UNION ALL
SELECT 'operator family', format('%I.%I using %s', ns.nspname, f.opfname, am.amname), NULL, NULL, jsonb_build_object(
  'members', (SELECT string_agg(m, '; ' ORDER BY m) FROM (
     SELECT pg_describe_object('pg_amop'::regclass, o.oid, 0) FROM pg_amop o WHERE o.amopfamily = f.oid UNION ALL
     SELECT pg_describe_object('pg_amproc'::regclass, r.oid, 0) FROM pg_amproc r WHERE r.amprocfamily = f.oid) AS members (m)),
  'owner', pg_get_userbyid(f.opfowner), 'comment', obj_description(f.oid, 'pg_opfamily'))
FROM pg_opfamily f JOIN ns ON ns.oid = f.opfnamespace JOIN pg_am am ON am.oid = f.opfmethod
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_opfamily'::regclass AND ext.objid = f.oid)
UNION ALL
SELECT 'operator class', format('%I.%I using %s', ns.nspname, c.opcname, am.amname), NULL, NULL, jsonb_build_object(
  'definition', concat_ws(' ', format_type(c.opcintype, NULL), format_type(c.opckeytype, NULL), c.opcdefault),
  'owner', pg_get_userbyid(c.opcowner), 'comment', obj_description(c.oid, 'pg_opclass'))
FROM pg_opclass c JOIN ns ON ns.oid = c.opcnamespace JOIN pg_am am ON am.oid = c.opcmethod
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_opclass'::regclass AND ext.objid = c.oid)";

/// Casts, languages, transforms and access methods.
pub(super) const CASTS: &str = "
SELECT 'cast', format('%s as %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), NULL, NULL,
  jsonb_build_object('definition', concat_ws(' ', NULLIF(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod),
  'comment', obj_description(c.oid, 'pg_cast'))
FROM pg_cast c WHERE c.oid >= 16384
  AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_cast'::regclass AND ext.objid = c.oid)
UNION ALL
SELECT 'language', format('%I', l.lanname), NULL, NULL, jsonb_build_object(
  'definition', concat_ws(' ', l.lanpltrusted, NULLIF(l.lanplcallfoid, 0)::regprocedure,
     NULLIF(l.laninline, 0)::regprocedure, NULLIF(l.lanvalidator, 0)::regprocedure),
  'owner', pg_get_userbyid(l.lanowner),
  'privileges', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
     FROM unnest(COALESCE(l.lanacl, acldefault('l', l.lanowner))) AS a),
  'comment', obj_description(l.oid, 'pg_language'))
FROM pg_language l
UNION ALL
SELECT 'transform', format('for %s language %s', format_type(t.trftype, NULL), l.lanname), NULL, NULL,
  jsonb_build_object('definition', concat_ws(' ', t.trffromsql, t.trftosql))
FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang
UNION ALL
SELECT 'access method', format('%I', a.amname), NULL, NULL,
  jsonb_build_object('definition', concat_ws(' ', a.amtype, a.amhandler), 'comment', obj_description(a.oid, 'pg_am'))
FROM pg_am a WHERE a.oid >= 16384
  AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_am'::regclass AND ext.objid = a.oid)";

/// Event triggers.
pub(super) const EVENT_TRIGGERS: &str = "
SELECT 'event trigger', format('%I', e.evtname), NULL, NULL, jsonb_build_object(
  'event', e.evtevent, 'function', e.evtfoid::regprocedure::text, 'enabled', e.evtenabled, 'tags', e.evttags::text,
  'owner', pg_get_userbyid(e.evtowner), 'comment', obj_description(e.oid, 'pg_event_trigger'))
FROM pg_event_trigger e
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_event_trigger'::regclass AND ext.objid = e.oid)";
