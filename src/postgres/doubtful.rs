//! Objects of the history that somebody else made, or put something on.
//!
//! Whoever owns a table decides what runs when we write to it: a trigger, a rule, the function of a default or
//! of a constraint, all with our rights. A role that may create a schema could make `schemaward` before we do.
//! So the owners of ledger, schema and tables have to be ours: the login role, a role that it is a member of,
//! the database's owner, or a superuser.

use serde::Deserialize;

use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::task::Ledger;

use super::quote::{identifier, literal};
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

/// An expression over the `place`, `object` and `role` of the [first query](super::facts_query): the JSON of all such
/// objects, the schema first. What is on the ledger besides its owner is judged with its columns.
pub fn expression(ledger: &Ledger) -> String {
    let is_ours = "(r.rolsuper OR r.rolname = 'pg_database_owner' OR r.oid = (SELECT d.datdba \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) \
         OR pg_catalog.pg_has_role(SESSION_USER, r.oid, 'MEMBER'))";
    let name = literal(&format!("{}.{}", ledger.schema, ledger.table));
    let all = format!(
        "SELECT 'SCHEMA' AS object, 'schemaward' AS name, n.nspowner AS owner, NULL AS defect \
         FROM pg_catalog.pg_namespace n WHERE n.oid = p.ours \
         UNION ALL SELECT 'TABLE', CASE WHEN b.is_ledger THEN {name} ELSE 'schemaward.' || b.relname END, \
         b.relowner, CASE WHEN b.is_ours IS NOT TRUE THEN NULL WHEN b.relkind <> 'r' THEN 'it is not a table' \
            WHEN b.has_triggers THEN 'it has triggers' WHEN b.has_rules THEN 'it has rules' \
            WHEN b.relrowsecurity THEN 'it has row level security' END \
         FROM object b WHERE b.is_ledger OR b.is_ours"
    );
    format!(
        "COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('object', a.object, 'name', a.name, \
         'owner', a.owner, 'defect', CASE WHEN a.owner_is_ours THEN a.defect END) ORDER BY a.object, a.name) \
         FROM (SELECT o.object, o.name, o.defect, r.rolname AS owner, {is_ours} AS owner_is_ours \
            FROM ({all}) o JOIN role r ON r.oid = o.owner OFFSET 0) a \
         WHERE NOT a.owner_is_ours OR a.defect IS NOT NULL), '[]'::pg_catalog.json)"
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
