//! The audit: append-only, each row chained to the one before it by SHA-256.

use crate::engine::task::Ledger;

use super::quote::{literal, optional_literal};

/// One line of the audit.
pub struct Entry<'a> {
    /// `install`, `upgrade`, `server`, `claim`, `adopt`, `baseline`, `apply`, `undo`, `repair`, `prove`,
    /// `resolve`, `accept`, [`ACCEPT_AUDIT`], `takeover` or `release`.
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

/// Action of the row by which a person accepts the audit as it stands.
pub const ACCEPT_AUDIT: &str = "accept-audit";

/// What a row's hash is taken over, after the hash of the row before it: its fields, each an expression
/// that is not NULL, as one text in UTF-8. Lengths keep two different rows from having the same text.
pub fn hashed(fields: [&str; 12]) -> String {
    let fields = fields.map(|field| format!("pg_catalog.length({field}), ':', {field}"));
    format!("pg_catalog.concat({})", fields.join(", "))
}

/// The same as SQL expressions: literals, or parameters of a prepared statement.
pub struct Expressions<'a> {
    pub action: &'a str,
    pub version: &'a str,
    pub detail: &'a str,
    pub checksum: &'a str,
    pub actor: &'a str,
    pub at: &'a str,
    pub execution_time_ms: &'a str,
}

/// The statement that appends `entry`. Runs under the migration lock, so that ids have no gaps and the
/// chain has no forks.
pub fn append(ledger: &Ledger, entry: &Entry<'_>) -> String {
    append_expressions(
        ledger,
        &Expressions {
            action: &literal(entry.action),
            version: &optional_literal(entry.version),
            detail: &literal(entry.detail),
            checksum: &optional_literal(entry.checksum),
            actor: &literal(entry.actor),
            at: "pg_catalog.now()",
            execution_time_ms: entry.execution_time_ms,
        },
    )
}

/// As [`append`], after a `WITH` or without. One call of `concat` instead of a dozen `||`, and each look-up once
/// (`OFFSET 0` keeps the planner from copying them to every place where their result is used).
pub fn append_expressions(ledger: &Ledger, entry: &Expressions<'_>) -> String {
    let Expressions {
        action,
        version,
        detail,
        checksum,
        actor,
        at,
        execution_time_ms,
    } = entry;
    let [schema, table] = [ledger.schema.as_str(), &ledger.table].map(literal);
    let tool = literal(concat!("schemaward ", env!("CARGO_PKG_VERSION")));
    let or_empty = |expression: &str| match expression {
        "NULL" => "''".to_owned(),
        present => present.to_owned(),
    };
    let content = hashed([
        "n.id::pg_catalog.text",
        "n.epoch",
        &schema,
        &table,
        action,
        &or_empty(version),
        detail,
        &or_empty(checksum),
        actor,
        "n.role",
        &tool,
        "COALESCE(n.milliseconds::pg_catalog.text, '')",
    ]);
    format!(
        "INSERT INTO schemaward.audit (id, at, ledger_schema, ledger_table, action, version, detail, \
         checksum, actor, database_role, tool, execution_time_ms, hash) \
         SELECT n.id, n.at, {schema}, {table}, {action}, {version}, {detail}, {checksum}, \
         {actor}, n.role, {tool}, n.milliseconds, \
         pg_catalog.sha256(n.previous || pg_catalog.convert_to({content}, 'UTF8')) \
         FROM (SELECT COALESCE(last.id, 0) + 1 AS id, COALESCE(last.hash, ''::pg_catalog.bytea) AS previous, \
         {at} AS at, EXTRACT(epoch FROM {at})::pg_catalog.text AS epoch, \
         SESSION_USER::pg_catalog.text AS role, \
         ({execution_time_ms})::pg_catalog.int8 AS milliseconds \
         FROM (VALUES (1)) always LEFT JOIN (SELECT a.id, a.hash FROM schemaward.audit a \
         ORDER BY a.id DESC LIMIT 1) last ON true OFFSET 0) n",
    )
}
