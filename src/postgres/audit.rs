//! The audit: append-only, each row chained to the one before it by SHA-256.

use crate::engine::task::Ledger;

use super::quote::{literal, optional_literal};

/// One line of the audit.
pub struct Entry<'a> {
    /// `install`, `claim`, `adopt`, `apply` or `undo`.
    pub action: &'a str,
    /// The version concerned.
    pub version: Option<&'a str>,
    /// Its name, or what else is to be said.
    pub detail: &'a str,
    /// Checksum of the script that ran or was taken over.
    pub checksum: Option<&'a str>,
    /// In whose name.
    pub actor: &'a str,
    /// An SQL expression for milliseconds, or `NULL`.
    pub execution_time_ms: &'a str,
}

/// The statement that appends `entry`. Runs under the migration lock, so that ids have no gaps and the
/// chain has no forks.
pub fn append(ledger: &Ledger, entry: &Entry<'_>) -> String {
    // The fields as one text; a field that is NULL counts as empty. Lengths keep two different rows
    // from having the same text.
    let fields = [
        "n.id::pg_catalog.text",
        "EXTRACT(epoch FROM n.at)::pg_catalog.text",
        "n.ledger_schema",
        "n.ledger_table",
        "n.action",
        "n.version",
        "n.detail",
        "n.checksum",
        "n.actor",
        "n.database_role",
        "n.tool",
        "n.execution_time_ms::pg_catalog.text",
    ];
    let text: Vec<_> = fields
        .iter()
        .map(|field| {
            format!(
                "pg_catalog.length(COALESCE({field}, ''))::pg_catalog.text || ':' || COALESCE({field}, '')"
            )
        })
        .collect();
    format!(
        "INSERT INTO schemaward.audit (id, at, ledger_schema, ledger_table, action, version, detail, \
         checksum, actor, database_role, tool, execution_time_ms, hash) \
         SELECT n.*, pg_catalog.sha256(COALESCE((SELECT a.hash FROM schemaward.audit a \
         WHERE a.id = n.id - 1), ''::pg_catalog.bytea) || pg_catalog.convert_to({text}, 'UTF8')) \
         FROM (SELECT COALESCE((SELECT pg_catalog.max(a.id) FROM schemaward.audit a), 0) + 1 AS id, \
         pg_catalog.now() AS at, {schema} AS ledger_schema, {table} AS ledger_table, \
         {action} AS action, {version}::pg_catalog.text AS version, {detail} AS detail, \
         {checksum}::pg_catalog.text AS checksum, {actor} AS actor, \
         SESSION_USER::pg_catalog.text AS database_role, {tool} AS tool, \
         ({milliseconds})::pg_catalog.int8 AS execution_time_ms) n",
        text = text.join(" || "),
        schema = literal(&ledger.schema),
        table = literal(&ledger.table),
        action = literal(entry.action),
        version = optional_literal(entry.version),
        detail = literal(entry.detail),
        checksum = optional_literal(entry.checksum),
        actor = literal(entry.actor),
        tool = literal(concat!("schemaward ", env!("CARGO_PKG_VERSION"))),
        milliseconds = entry.execution_time_ms,
    )
}
