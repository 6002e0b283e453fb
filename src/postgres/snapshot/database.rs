//! What belongs to the database as a whole: extensions, default privileges, settings, foreign servers,
//! publications.

/// Extensions; what belongs to one is not looked at by itself.
pub(super) const EXTENSIONS: &str = "
SELECT 'extension', format('%I', e.extname), NULL, NULL, jsonb_build_object(
  'version', e.extversion, 'schema', e.extnamespace::regnamespace::text, 'owner', pg_get_userbyid(e.extowner),
  'comment', obj_description(e.oid, 'pg_extension'))
FROM pg_extension e";

/// Default privileges.
pub(super) const DEFAULT_PRIVILEGES: &str = "
SELECT 'default privileges', format('of %s for %s%s', pg_get_userbyid(d.defaclrole), d.defaclobjtype,
    ' in ' || NULLIF(d.defaclnamespace, 0)::regnamespace::text), NULL, NULL,
  jsonb_build_object('privileges', (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(d.defaclacl) AS a))
FROM pg_default_acl d";

/// The database itself, and settings of `ALTER DATABASE … SET` and `ALTER ROLE … IN DATABASE … SET`.
pub(super) const SETTINGS: &str = "
SELECT 'database', 'this one', NULL, NULL, jsonb_build_object(
  'owner', pg_get_userbyid(d.datdba), 'connection limit', d.datconnlimit, 'allows connections', d.datallowconn,
  'is template', d.datistemplate,
  'privileges', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
     FROM unnest(COALESCE(d.datacl, acldefault('d', d.datdba))) AS a),
  'comment', shobj_description(d.oid, 'pg_database'))
FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT 'setting', format('%s%s', split_part(c, '=', 1), ' of role ' || NULLIF(s.setrole, 0)::regrole::text), NULL, NULL,
  jsonb_build_object('value', substr(c, strpos(c, '=') + 1))
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database(),
  unnest(s.setconfig) AS c";

/// Foreign-data wrappers, servers and user mappings. Options may hold passwords: only whether they are the same is kept.
pub(super) const FOREIGN: &str = "
SELECT 'foreign-data wrapper', format('%I', f.fdwname), NULL, NULL, jsonb_build_object(
  'definition', concat_ws(' ', NULLIF(f.fdwhandler, 0)::regprocedure, NULLIF(f.fdwvalidator, 0)::regprocedure),
  'options', md5(f.fdwoptions::text), 'owner', pg_get_userbyid(f.fdwowner),
  'privileges', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
     FROM unnest(COALESCE(f.fdwacl, acldefault('F', f.fdwowner))) AS a),
  'comment', obj_description(f.oid, 'pg_foreign_data_wrapper'))
FROM pg_foreign_data_wrapper f
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_foreign_data_wrapper'::regclass AND ext.objid = f.oid)
UNION ALL
SELECT 'foreign server', format('%I', s.srvname), NULL, NULL, jsonb_build_object(
  'wrapper', (SELECT f.fdwname FROM pg_foreign_data_wrapper f WHERE f.oid = s.srvfdw),
  'type', s.srvtype, 'version', s.srvversion, 'options', md5(s.srvoptions::text), 'owner', pg_get_userbyid(s.srvowner),
  'privileges', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
     FROM unnest(COALESCE(s.srvacl, acldefault('S', s.srvowner))) AS a),
  'comment', obj_description(s.oid, 'pg_foreign_server'))
FROM pg_foreign_server s
UNION ALL
SELECT 'user mapping', format('for %I server %I', u.usename, u.srvname), NULL, NULL,
  jsonb_build_object('options', md5(u.umoptions::text))
FROM pg_user_mappings u";

/// Publications and their tables.
pub(super) const PUBLICATIONS: &str = "
SELECT 'publication', format('%I', p.pubname), NULL, NULL, jsonb_build_object(
  'definition', (to_jsonb(p) - 'oid' - 'pubname' - 'pubowner')::text, 'owner', pg_get_userbyid(p.pubowner),
  'tables', (SELECT string_agg((to_jsonb(t) - 'pubname')::text, '; ' ORDER BY t.schemaname, t.tablename)
     FROM pg_publication_tables t WHERE t.pubname = p.pubname),
  'comment', obj_description(p.oid, 'pg_publication'))
FROM pg_publication p";

/// Schemas of publications, which servers from 15 on have.
pub(super) const PUBLISHED_SCHEMAS: &str = "
SELECT 'published schema', format('%I in %I', n.pnnspid::regnamespace, p.pubname), NULL, NULL, '{}'::jsonb
FROM pg_publication_namespace n JOIN pg_publication p ON p.oid = n.pnpubid";
