//! The first questions of a look: what [`super::facts::Facts`] are read from.
//!
//! They are asked in a new session each time, whose caches are empty, so what they cost is how many different things
//! they make the server look up and plan. So they ask for plain rows, and what follows from these is found out here.

use super::facts::OUR_TABLES;
use super::quote::{identifier, literal};
use super::settings::Settings;

/// What a look asks first, a statement each, all for one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The session, the server and the database: one row.
    Server,
    /// The schemas of the ledger and of our tables.
    Schemas,
    /// The ledger and our tables.
    Tables,
    /// The columns of the ledger, and the one by which our table of scripts marks a baseline.
    Columns,
    /// Roles with power over the server, and the one that scripts run as.
    Roles,
}

/// The statements.
pub fn questions(settings: &Settings) -> [(About, String); 5] {
    [
        (About::Server, SERVER.to_owned()),
        (About::Schemas, schemas(settings)),
        (About::Tables, tables(settings)),
        (About::Columns, columns(settings)),
        (About::Roles, roles(settings)),
    ]
}

const SERVER: &str = "SELECT a.pid, a.backend_start::pg_catalog.text, \
     EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.backend_start), \
     pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_version'), \
     pg_catalog.pg_is_in_recovery(), pg_catalog.current_database(), CURRENT_USER, \
     pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
     COALESCE(pg_catalog.has_function_privilege(\
        pg_catalog.to_regprocedure('pg_catalog.pg_control_system()'), 'EXECUTE') \
        AND pg_catalog.has_function_privilege(\
        pg_catalog.to_regprocedure('pg_catalog.pg_control_checkpoint()'), 'EXECUTE'), false), \
     (SELECT d.datdba FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()), \
     pg_catalog.current_setting('synchronous_standby_names') = '' \
        AND pg_catalog.current_setting('server_encoding') <> 'SQL_ASCII' \
     FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a";

/// An expression for our rights on an owner's role, which are to be trusted with what it made.
const IS_MEMBER: &str = "pg_catalog.pg_has_role(SESSION_USER, ";

fn schemas(settings: &Settings) -> String {
    format!(
        "SELECT n.oid, n.nspname, n.nspowner, pg_catalog.pg_get_userbyid(n.nspowner), \
         {IS_MEMBER}n.nspowner, 'MEMBER'), \
         pg_catalog.has_schema_privilege(n.oid, 'CREATE'), pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
         FROM pg_catalog.pg_namespace n WHERE n.nspname IN ({}, 'schemaward')",
        literal(&settings.ledger.schema)
    )
}

/// A condition on a `c` of `pg_class`: it is in one of the schemas, whose names take no right to use them as a look for
/// a table by its name does.
fn is_in_the_schemas(settings: &Settings) -> String {
    format!(
        "c.relnamespace IN (pg_catalog.to_regnamespace({})::pg_catalog.oid, \
         pg_catalog.to_regnamespace('schemaward')::pg_catalog.oid)",
        literal(&identifier(&settings.ledger.schema))
    )
}

/// By name, for which there is an index: a database may hold a hundred thousand other tables. Where PostgreSQL's own
/// mark says that there is no trigger or rule, none runs.
fn tables(settings: &Settings) -> String {
    let names = OUR_TABLES.map(literal).join(", ");
    format!(
        "SELECT c.relnamespace, c.relname, c.relowner, pg_catalog.pg_get_userbyid(c.relowner), \
         {IS_MEMBER}c.relowner, 'MEMBER'), c.relkind, \
         c.relhastriggers AND EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t \
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), \
         c.relhasrules AND EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid), \
         c.relrowsecurity, pg_catalog.pg_has_role(c.relowner, 'USAGE'), \
         pg_catalog.has_table_privilege(c.oid, 'SELECT'), pg_catalog.has_table_privilege(c.oid, 'INSERT'), \
         pg_catalog.has_table_privilege(c.oid, 'UPDATE'), pg_catalog.has_table_privilege(c.oid, 'DELETE') \
         FROM pg_catalog.pg_class c WHERE c.relname IN ({names}, {ledger}) AND {here}",
        ledger = literal(&settings.ledger.table),
        here = is_in_the_schemas(settings)
    )
}

fn columns(settings: &Settings) -> String {
    format!(
        "SELECT c.relnamespace, c.relname, a.attname, pg_catalog.format_type(a.atttypid, NULL), a.atttypmod, \
         a.attnotnull, a.atthasdef, a.attidentity <> '' \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relname IN ({ledger}, 'script') AND {here} AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY a.attnum",
        ledger = literal(&settings.ledger.table),
        here = is_in_the_schemas(settings)
    )
}

/// Those which have power over the server by their attributes or their names.
fn roles(settings: &Settings) -> String {
    let role = literal(settings.role.as_deref().unwrap_or(&settings.username));
    format!(
        "SELECT r.oid, r.rolname, r.rolsuper, r.rolcreaterole, {IS_MEMBER}r.oid, 'MEMBER'), r.rolname = {role} \
            AND pg_catalog.pg_has_role(r.oid, CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 \
            >= 160000 THEN 'SET' ELSE 'MEMBER' END) \
         FROM pg_catalog.pg_roles r WHERE r.rolsuper OR r.rolcreaterole \
         OR r.rolname IN ({}, {role}) ORDER BY r.rolname",
        POWERFUL.map(literal).join(", ")
    )
}

/// Predefined roles that reach beyond the database.
pub const POWERFUL: [&str; 3] = [
    "pg_execute_server_program",
    "pg_read_server_files",
    "pg_write_server_files",
];
