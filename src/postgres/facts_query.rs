//! The first query of a look: [`super::facts::Facts`].

use super::doubtful::{self, TABLES};
use super::quote::{identifier, literal};
use super::settings::Settings;

/// The query; its one row and column is the JSON of [`Facts`].
pub fn query(settings: &Settings) -> String {
    let schema = literal(&identifier(&settings.ledger.schema));
    let role = literal(settings.role.as_deref().unwrap_or(&settings.username));
    // Looked up in the catalog: to_regclass() fails where the schema may not be used.
    let table = |schema: &str, name: &str| {
        format!(
            "(SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
             ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {})",
            literal(schema),
            literal(name)
        )
    };
    let ledger = table(&settings.ledger.schema, &settings.ledger.table);
    let installation = table("schemaward", "installation");
    let journal = table("schemaward", "journal");
    let scripts = table("schemaward", "script");
    let ours = "pg_catalog.to_regnamespace('schemaward')";
    // By name, for which there is an index: a database may hold a hundred thousand other tables.
    let our_tables = format!(
        "pg_catalog.pg_class c WHERE c.relnamespace = {ours} AND c.relkind = 'r' \
         AND c.relname IN ({TABLES})"
    );
    let doubtful = doubtful::query(ours);
    format!(
        "SELECT pg_catalog.json_build_object(\
         'session', (SELECT pg_catalog.json_build_object('pid', a.pid, \
            'began', a.backend_start::pg_catalog.text, \
            'age', EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.backend_start)) \
            FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_catalog.pg_backend_pid()), \
         'version_number', pg_catalog.current_setting('server_version_num')::pg_catalog.int4, \
         'version', pg_catalog.current_setting('server_version'), \
         'in_recovery', pg_catalog.pg_is_in_recovery(), \
         'database', pg_catalog.current_database(), \
         'user', CURRENT_USER, \
         'history_schema_exists', pg_catalog.to_regnamespace({schema}) IS NOT NULL, \
         'may_create_in_history_schema', COALESCE(pg_catalog.has_schema_privilege(\
            pg_catalog.to_regnamespace({schema}), 'CREATE'), false), \
         'ledger_exists', found.ledger IS NOT NULL, \
         'ledger_kind', (SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid = found.ledger), \
         'ledger_has_triggers', (SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t \
            WHERE t.tgrelid = found.ledger AND NOT t.tgisinternal)), \
         'ledger_has_rules', (SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = found.ledger)), \
         'ledger_has_row_security', (SELECT c.relrowsecurity FROM pg_catalog.pg_class c WHERE c.oid = found.ledger), \
         'columns', COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
            'name', a.attname, 'kind', CASE t.typnamespace WHEN 'pg_catalog'::pg_catalog.regnamespace \
                THEN t.typname ELSE pg_catalog.format_type(t.oid, NULL) END, \
            'characters', CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 \
                THEN a.atttypmod - 4 END, \
            'must_be_given', a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', \
            'takes_null', NOT a.attnotnull) ORDER BY a.attnum) \
            FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
            WHERE a.attrelid = found.ledger AND a.attnum > 0 AND NOT a.attisdropped), '[]'::pg_catalog.json), \
         'may_read_ledger', COALESCE(pg_catalog.has_schema_privilege(\
            pg_catalog.to_regnamespace({schema}), 'USAGE') \
            AND pg_catalog.has_table_privilege(found.ledger, 'SELECT'), false), \
         'may_read_our_tables', COALESCE(pg_catalog.has_schema_privilege({ours}, 'USAGE') \
            AND (SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, 'SELECT')) \
                FROM {our_tables}), false), \
         'may_use_ledger', COALESCE(pg_catalog.has_table_privilege(found.ledger, 'SELECT') \
            AND pg_catalog.has_table_privilege(found.ledger, 'INSERT') \
            AND pg_catalog.has_table_privilege(found.ledger, 'UPDATE') \
            AND pg_catalog.has_table_privilege(found.ledger, 'DELETE'), false), \
         'our_schema_exists', {ours} IS NOT NULL, \
         'may_create_our_schema', pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
         'may_create_in_our_schema', COALESCE(pg_catalog.has_schema_privilege({ours}, 'CREATE'), false), \
         'installed', found.installation IS NOT NULL, \
         'journal_exists', found.journal IS NOT NULL, \
         'baselines_are_marked', EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a \
            WHERE a.attrelid = found.scripts AND a.attname = 'baseline' AND NOT a.attisdropped), \
         'owns_scripts', COALESCE((SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') \
            FROM pg_catalog.pg_class c WHERE c.oid = found.scripts), false), \
         'may_update_installation', COALESCE(pg_catalog.has_table_privilege(found.installation, 'UPDATE'), false), \
         'may_use_our_tables', COALESCE(pg_catalog.has_schema_privilege({ours}, 'USAGE') \
            AND (SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, 'SELECT') \
                AND pg_catalog.has_table_privilege(c.oid, 'INSERT') \
                AND (c.relname NOT IN ('script', 'claim', 'journal') \
                    OR pg_catalog.has_table_privilege(c.oid, 'UPDATE') \
                    AND pg_catalog.has_table_privilege(c.oid, 'DELETE'))) \
                FROM {our_tables}), false), \
         'may_read_server_identity', COALESCE(pg_catalog.has_function_privilege(\
            pg_catalog.to_regprocedure('pg_catalog.pg_control_system()'), 'EXECUTE') \
            AND pg_catalog.has_function_privilege(\
            pg_catalog.to_regprocedure('pg_catalog.pg_control_checkpoint()'), 'EXECUTE'), false), \
         'role_exists', EXISTS (SELECT 1 FROM pg_catalog.pg_roles r WHERE r.rolname = {role}), \
         'may_take_role', EXISTS (SELECT 1 FROM pg_catalog.pg_roles r WHERE r.rolname = {role} \
            AND pg_catalog.pg_has_role(r.oid, CASE WHEN \
            pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000 \
            THEN 'SET' ELSE 'MEMBER' END)), \
         'privileged', COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
            'role', r.rolname, 'superuser', r.rolsuper, 'can_grant', r.can_grant) ORDER BY r.rolname) \
            FROM (SELECT oid, rolname, rolsuper, rolcreaterole AND \
                pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 160000 AS can_grant \
                FROM pg_catalog.pg_roles OFFSET 0) r \
            WHERE CASE WHEN r.rolsuper OR r.can_grant OR r.rolname IN ('pg_execute_server_program', \
                'pg_read_server_files', 'pg_write_server_files') \
            THEN pg_catalog.pg_has_role(SESSION_USER, r.oid, 'MEMBER') END), '[]'::pg_catalog.json), \
         'doubtful', {doubtful}\
         )::pg_catalog.text \
         FROM (SELECT {ledger} AS ledger, {installation} AS installation, {journal} AS journal, {scripts} AS scripts OFFSET 0) found"
    )
}
