//! Objects of the history that somebody else made, or put something on.
//!
//! Whoever owns a table decides what runs when we write to it: a trigger, a rule, the function of a default or
//! of a constraint, all with our rights. A role that may create a schema could make `schemaward` before we do.
//! So the owners of ledger, schema and tables have to be ours: the login role, a role that it is a member of,
//! the database's owner, or a superuser.

use serde::Deserialize;

use crate::engine::error::{DatabaseError, DatabaseErrorKind};

use super::quote::identifier;
use super::sanitize;

/// An object that cannot be trusted, and why.
#[derive(Debug, Deserialize)]
pub struct Doubtful {
    /// `schema` or `table`, as SQL writes it.
    object: String,
    name: String,
    owner: String,
    /// What is on it, as a clause; `None`: its owner is not one of ours.
    defect: Option<String>,
}

/// An expression: the JSON of all such objects; `ours` is that of our schema. What is on the ledger besides its
/// owner is judged with its columns.
pub fn query(ours: &str) -> String {
    let is_ours = "(r.rolsuper OR r.rolname = 'pg_database_owner' OR r.oid = (SELECT d.datdba \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) \
         OR pg_catalog.pg_has_role(SESSION_USER, r.oid, 'MEMBER'))";
    let all = format!(
        "SELECT 'SCHEMA' AS object, 'schemaward' AS name, r.rolname AS owner, {is_ours} AS owner_is_ours, \
         true AS is_table, false AS has_triggers, false AS has_rules, false AS has_row_security \
         FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner WHERE n.oid = {ours} \
         UNION ALL SELECT 'TABLE', n.nspname || '.' || c.relname, r.rolname, {is_ours}, \
         mine.is_ledger OR c.relkind = 'r', \
         NOT mine.is_ledger AND EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t \
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), \
         NOT mine.is_ledger AND EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid), \
         NOT mine.is_ledger AND c.relrowsecurity \
         FROM (SELECT found.ledger AS oid, true AS is_ledger UNION ALL SELECT k.oid, false \
            FROM pg_catalog.pg_class k WHERE k.relnamespace = {ours} AND k.relname IN ({TABLES})) mine \
         JOIN pg_catalog.pg_class c ON c.oid = mine.oid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_roles r ON r.oid = c.relowner"
    );
    format!(
        "COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('object', a.object, 'name', a.name, \
         'owner', a.owner, 'defect', CASE WHEN NOT a.owner_is_ours THEN NULL \
            WHEN NOT a.is_table THEN 'it is not a table' WHEN a.has_triggers THEN 'it has triggers' \
            WHEN a.has_rules THEN 'it has rules' ELSE 'it has row level security' END)) FROM ({all}) a \
         WHERE NOT a.owner_is_ours OR NOT a.is_table OR a.has_triggers OR a.has_rules \
         OR a.has_row_security), '[]'::pg_catalog.json)"
    )
}

/// The names of our tables, as a list of SQL.
pub const TABLES: &str = "'installation', 'claim', 'script', 'audit', 'journal'";

impl Doubtful {
    /// Refuses to work with it; `user` is the login role.
    pub fn refuse(&self, user: &str) -> DatabaseError {
        let (object, name) = (&self.object, sanitize::name(&self.name));
        let owner = sanitize::name(&self.owner);
        let message = if let Some(defect) = &self.defect {
            format!(
                "Schemaward cannot trust its own {object} {name}: {defect}. That can hide or change rows, or run \
                 code with the rights of this role. Nothing was changed. Find out who did it, and take it away."
            )
        } else {
            format!(
                "{object} {name} belongs to role \"{owner}\", which is neither this role nor one that it is a member \
                 of, nor the owner of the database: what \"{owner}\" puts on it would run with our rights. \
                 Nothing was changed. If \"{owner}\" is to be trusted, GRANT {} TO {1}; or ALTER {object} {name} \
                 OWNER TO {1};",
                identifier(&self.owner),
                identifier(user),
            )
        };
        DatabaseError::new(DatabaseErrorKind::HistoryUnreadable, message)
    }
}
