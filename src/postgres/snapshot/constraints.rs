//! Constraints, indexes, statistics objects, triggers, rules and policies: what hangs on a table.

/// Constraints of tables.
pub(super) const CONSTRAINTS: &str = "
SELECT 'constraint', format('%I on %s', k.conname, rel.name), rel.kind, rel.name, jsonb_build_object(
  'definition', pg_get_constraintdef(k.oid),
  'is valid', k.convalidated,
  'is local', k.conislocal,
  'inherited', k.coninhcount,
  'comment', obj_description(k.oid, 'pg_constraint'))
FROM pg_constraint k JOIN rel ON rel.oid = k.conrelid";

/// Indexes.
pub(super) const INDEXES: &str = "
SELECT 'index', format('%I.%I', ns.nspname, c.relname), rel.kind, rel.name, jsonb_build_object(
  'definition', pg_get_indexdef(i.indexrelid),
  'is valid', i.indisvalid,
  'is ready', i.indisready,
  'is clustered on', i.indisclustered,
  'is replica identity', i.indisreplident,
  'tablespace', (SELECT t.spcname FROM pg_tablespace t WHERE t.oid = c.reltablespace),
  'attached to', (SELECT string_agg(h.inhparent::regclass::text, ', ') FROM pg_inherits h WHERE h.inhrelid = c.oid),
  'statistics targets', (SELECT string_agg(COALESCE(a.attstattarget, -1)::text, ' ' ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = c.oid),
  'comment', obj_description(c.oid, 'pg_class'))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN ns ON ns.oid = c.relnamespace
JOIN rel ON rel.oid = i.indrelid";

/// Statistics objects.
pub(super) const STATISTICS: &str = "
SELECT 'statistics object', format('%I.%I', ns.nspname, s.stxname), rel.kind, rel.name, jsonb_build_object(
  'definition', pg_get_statisticsobjdef(s.oid),
  'owner', pg_get_userbyid(s.stxowner),
  'statistics target', COALESCE(s.stxstattarget, -1),
  'comment', obj_description(s.oid, 'pg_statistic_ext'))
FROM pg_statistic_ext s JOIN ns ON ns.oid = s.stxnamespace JOIN rel ON rel.oid = s.stxrelid";

/// Triggers.
pub(super) const TRIGGERS: &str = "
SELECT 'trigger', format('%I on %s', t.tgname, rel.name), rel.kind, rel.name, jsonb_build_object(
  'definition', pg_get_triggerdef(t.oid),
  'enabled', t.tgenabled,
  'comment', obj_description(t.oid, 'pg_trigger'))
FROM pg_trigger t JOIN rel ON rel.oid = t.tgrelid WHERE NOT t.tgisinternal";

/// Rules other than those that make a view.
pub(super) const RULES: &str = "
SELECT 'rule', format('%I on %s', r.rulename, rel.name), rel.kind, rel.name, jsonb_build_object(
  'definition', pg_get_ruledef(r.oid),
  'enabled', r.ev_enabled,
  'comment', obj_description(r.oid, 'pg_rewrite'))
FROM pg_rewrite r JOIN rel ON rel.oid = r.ev_class WHERE r.rulename <> '_RETURN'";

/// Policies of row level security.
pub(super) const POLICIES: &str = "
SELECT 'policy', format('%I on %s', p.polname, rel.name), rel.kind, rel.name, jsonb_build_object(
  'command', p.polcmd,
  'permissive', p.polpermissive,
  'roles', (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r)::text END, ', ' ORDER BY r)
     FROM unnest(p.polroles) AS r),
  'using', pg_get_expr(p.polqual, p.polrelid),
  'with check', pg_get_expr(p.polwithcheck, p.polrelid),
  'comment', obj_description(p.oid, 'pg_policy'))
FROM pg_policy p JOIN rel ON rel.oid = p.polrelid";
