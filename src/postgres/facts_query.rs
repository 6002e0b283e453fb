//! The first query of a look: [`super::facts::Facts`].
//!
//! It is asked in a new session each time, whose caches are empty, so what it costs is how many different things
//! it makes the server look up and plan. Each catalog is read in one place, and the rest takes from there.

use super::doubtful::{self, TABLES};
use super::quote::{identifier, literal};
use super::settings::Settings;

/// The query; its one row and column is the JSON of [`Facts`].
///
/// [`Facts`]: super::facts::Facts
pub fn query(settings: &Settings) -> String {
    let role = literal(settings.role.as_deref().unwrap_or(&settings.username));
    let doubtful = doubtful::expression(&settings.ledger);
    format!(
        "WITH {roles}, {place}, {objects} SELECT pg_catalog.json_build_object(\
         'session', {SESSION}, \
         'version_number', p.server, \
         'version', pg_catalog.current_setting('server_version'), \
         'in_recovery', pg_catalog.pg_is_in_recovery(), \
         'database', pg_catalog.current_database(), \
         'user', CURRENT_USER, \
         'history_schema_exists', p.history IS NOT NULL, \
         'may_create_in_history_schema', COALESCE(pg_catalog.has_schema_privilege(p.history, 'CREATE'), false), \
         'ledger_exists', l.oid IS NOT NULL, \
         'ledger_kind', l.relkind, \
         'ledger_has_triggers', l.has_triggers, \
         'ledger_has_rules', l.has_rules, \
         'ledger_has_row_security', l.relrowsecurity, \
         'columns', {LEDGER_COLUMNS}, \
         'may_read_ledger', COALESCE(pg_catalog.has_schema_privilege(p.history, 'USAGE') \
            AND pg_catalog.has_table_privilege(l.oid, 'SELECT'), false), \
         'may_read_our_tables', COALESCE(pg_catalog.has_schema_privilege(p.ours, 'USAGE') AND t.may_read, false), \
         'may_use_ledger', COALESCE(pg_catalog.has_table_privilege(l.oid, 'SELECT') \
            AND pg_catalog.has_table_privilege(l.oid, 'INSERT') \
            AND pg_catalog.has_table_privilege(l.oid, 'UPDATE') \
            AND pg_catalog.has_table_privilege(l.oid, 'DELETE'), false), \
         'our_schema_exists', p.ours IS NOT NULL, \
         'may_create_our_schema', pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
         'may_create_in_our_schema', COALESCE(pg_catalog.has_schema_privilege(p.ours, 'CREATE'), false), \
         'installed', t.installation IS NOT NULL, \
         'journal_exists', t.journal IS NOT NULL, \
         'baselines_are_marked', EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a \
            WHERE a.attrelid = t.script AND a.attname = 'baseline' AND NOT a.attisdropped), \
         'owns_scripts', COALESCE(t.owns_scripts, false), \
         'may_update_installation', COALESCE(pg_catalog.has_table_privilege(t.installation, 'UPDATE'), false), \
         'may_use_our_tables', COALESCE(pg_catalog.has_schema_privilege(p.ours, 'USAGE') AND t.may_use, false), \
         'may_read_server_identity', COALESCE(pg_catalog.has_function_privilege(\
            pg_catalog.to_regprocedure('pg_catalog.pg_control_system()'), 'EXECUTE') \
            AND pg_catalog.has_function_privilege(\
            pg_catalog.to_regprocedure('pg_catalog.pg_control_checkpoint()'), 'EXECUTE'), false), \
         'role_exists', EXISTS (SELECT 1 FROM role r WHERE r.rolname = {role}), \
         'may_take_role', EXISTS (SELECT 1 FROM role r WHERE r.rolname = {role} \
            AND pg_catalog.pg_has_role(r.oid, CASE WHEN p.server >= 160000 THEN 'SET' ELSE 'MEMBER' END)), \
         'privileged', {PRIVILEGED}, \
         'doubtful', {doubtful}\
         )::pg_catalog.text \
         FROM place p LEFT JOIN object l ON l.is_ledger CROSS JOIN {OUR_TABLES} t",
        roles = ROLES,
        place = place(settings),
        objects = objects(settings),
    )
}

/// All roles. A view, and planned once.
const ROLES: &str = "role AS MATERIALIZED (SELECT r.oid, r.rolname, r.rolsuper, r.rolcreaterole \
     FROM pg_catalog.pg_roles r)";

/// Schemas by their names, which takes no right to use them as a look for a table by its name does.
fn place(settings: &Settings) -> String {
    format!(
        "place AS MATERIALIZED (SELECT pg_catalog.to_regnamespace({})::pg_catalog.oid AS history, \
         pg_catalog.to_regnamespace('schemaward')::pg_catalog.oid AS ours, \
         pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS server)",
        literal(&identifier(&settings.ledger.schema))
    )
}

/// The ledger and our tables, as far as they exist. By name, for which there is an index: a database may hold a
/// hundred thousand other tables. Where PostgreSQL's own mark says that there is no trigger or rule, none runs.
fn objects(settings: &Settings) -> String {
    let ledger = literal(&settings.ledger.table);
    format!(
        "object AS MATERIALIZED (SELECT c.oid, c.relname, c.relkind, c.relowner, c.relrowsecurity, \
         c.relnamespace = p.history AND c.relname = {ledger} AS is_ledger, \
         c.relnamespace = p.ours AND c.relname IN ({TABLES}) AS is_ours, \
         c.relhastriggers AND EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t \
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS has_triggers, \
         c.relhasrules AND EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid) AS has_rules \
         FROM place p JOIN pg_catalog.pg_class c ON c.relnamespace IN (p.history, p.ours) \
         WHERE c.relname IN ({TABLES}, {ledger}))"
    )
}

const SESSION: &str = "(SELECT pg_catalog.json_build_object('pid', a.pid, \
     'began', a.backend_start::pg_catalog.text, \
     'age', EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.backend_start)) \
     FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a)";

const LEDGER_COLUMNS: &str = "COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
        'name', a.attname, 'kind', CASE t.typnamespace WHEN 'pg_catalog'::pg_catalog.regnamespace \
            THEN t.typname ELSE pg_catalog.format_type(t.oid, NULL) END, \
        'characters', CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 \
            THEN a.atttypmod - 4 END, \
        'must_be_given', a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', \
        'takes_null', NOT a.attnotnull) ORDER BY a.attnum) \
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
     WHERE a.attrelid = l.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'::pg_catalog.json)";

/// Up to PostgreSQL 15, CREATEROLE could grant any role but a superuser.
const PRIVILEGED: &str = "COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
        'role', r.rolname, 'superuser', r.rolsuper, \
        'can_grant', r.rolcreaterole AND p.server < 160000) ORDER BY r.rolname) FROM role r \
     WHERE CASE WHEN r.rolsuper OR r.rolcreaterole AND p.server < 160000 \
        OR r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files') \
     THEN pg_catalog.pg_has_role(SESSION_USER, r.oid, 'MEMBER') END), '[]'::pg_catalog.json)";

/// Which of our tables exist, and what may be done with all of them.
const OUR_TABLES: &str = "(SELECT \
     pg_catalog.max(o.oid) FILTER (WHERE o.relname = 'installation') AS installation, \
     pg_catalog.max(o.oid) FILTER (WHERE o.relname = 'journal') AS journal, \
     pg_catalog.max(o.oid) FILTER (WHERE o.relname = 'script') AS script, \
     pg_catalog.bool_or(pg_catalog.pg_has_role(o.relowner, 'USAGE')) FILTER (WHERE o.relname = 'script') \
        AS owns_scripts, \
     pg_catalog.bool_and(pg_catalog.has_table_privilege(o.oid, 'SELECT')) FILTER (WHERE o.relkind = 'r') \
        AS may_read, \
     pg_catalog.bool_and(pg_catalog.has_table_privilege(o.oid, 'SELECT') \
        AND pg_catalog.has_table_privilege(o.oid, 'INSERT') \
        AND (o.relname NOT IN ('script', 'claim', 'journal') \
            OR pg_catalog.has_table_privilege(o.oid, 'UPDATE') \
            AND pg_catalog.has_table_privilege(o.oid, 'DELETE'))) FILTER (WHERE o.relkind = 'r') AS may_use \
     FROM object o WHERE o.is_ours)";
