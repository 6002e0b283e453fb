//! Whether the audit is as it was written: one expression, a part of the query that reads the history.

use crate::engine::task::Ledger;

use super::audit::{ACCEPT_AUDIT, hashed};
use super::history::of_ledger;
use super::quote::literal;

/// Rows that each look verifies (decision 0015).
const NEWEST: usize = 32;

/// How much of the audit is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The newest rows, at each look.
    Newest,
    /// All of it, when a person asks.
    Whole,
}

/// An expression for the first defect, as JSON; NULL: none. What a person accepted, and all before it, is
/// not looked at again.
///
/// The kinds: `changed`, a row is not what its hash says; `missing`, rows before it are gone; `unwritten`,
/// a record has no row; `unrecorded`, a row has no record. The last two are about this ledger alone, and
/// tell that the newest rows were cut off, which the chain cannot.
pub fn defect(ledger: &Ledger, extent: Extent) -> String {
    let (limit, complete) = match extent {
        Extent::Newest => (
            format!(" LIMIT {}", NEWEST + 1),
            format!("(j.place > 1 OR j.number <= {NEWEST})"),
        ),
        Extent::Whole => (String::new(), "true".to_owned()),
    };
    let content = hashed([
        "a.id::pg_catalog.text",
        "EXTRACT(epoch FROM a.at)::pg_catalog.text",
        "a.ledger_schema",
        "a.ledger_table",
        "a.action",
        "COALESCE(a.version, '')",
        "a.detail",
        "COALESCE(a.checksum, '')",
        "a.actor",
        "a.database_role",
        "a.tool",
        "COALESCE(a.execution_time_ms::pg_catalog.text, '')",
    ]);
    format!(
        "(WITH newest AS (SELECT a.* FROM schemaward.audit a ORDER BY a.id DESC{limit}), \
         judged AS (SELECT a.id, a.at, a.action, pg_catalog.row_number() OVER w AS place, \
         pg_catalog.count(*) OVER () AS number, \
         pg_catalog.max(CASE WHEN a.action = '{ACCEPT_AUDIT}' THEN a.id END) OVER () AS accepted, \
         a.id <> pg_catalog.lag(a.id, 1, 0::pg_catalog.int8) OVER w + 1 AS missing, \
         a.hash <> pg_catalog.sha256(pg_catalog.lag(a.hash, 1, ''::pg_catalog.bytea) OVER w || {content}) \
         AS changed FROM newest a WINDOW w AS (ORDER BY a.id)) \
         SELECT pg_catalog.json_build_object('id', d.id, 'kind', d.kind, 'version', d.version) FROM (\
         SELECT j.id, CASE WHEN j.missing THEN 'missing' WHEN j.changed THEN 'changed' ELSE 'missing' END AS kind, \
         NULL AS version FROM judged j WHERE {complete} AND j.id >= COALESCE(j.accepted, 0) \
         AND (j.missing OR j.changed OR j.id = 1 AND j.action NOT IN ('install', '{ACCEPT_AUDIT}')) \
         UNION ALL SELECT 0, 'missing', NULL WHERE NOT EXISTS (SELECT 1 FROM newest) \
         UNION ALL {unwritten} UNION ALL {unrecorded}\
         ) d ORDER BY d.id, d.version NULLS FIRST LIMIT 1)",
        unwritten = unwritten(ledger, extent),
        unrecorded = unrecorded(ledger, extent),
    )
}

/// Actions after which a version has a record.
const RECORDS: &str = "'apply', 'adopt', 'baseline', 'accept'";

/// Records that have no row. A look asks for those that are newer than every row that it reads: the end of
/// the audit was cut off, or the server's clock went back, and then all rows are searched.
fn unwritten(ledger: &Ledger, extent: Extent) -> String {
    let newer = match extent {
        Extent::Newest => {
            " AND s.stored_at > COALESCE((SELECT pg_catalog.max(j.at) FROM judged j), '-infinity')"
        }
        Extent::Whole => "",
    };
    format!(
        "SELECT COALESCE((SELECT pg_catalog.max(j.id) FROM judged j), 0), 'unwritten', s.version \
         FROM schemaward.script s WHERE {here}{newer} \
         AND s.stored_at > COALESCE((SELECT pg_catalog.max(j.at) FROM judged j \
         WHERE j.action = '{ACCEPT_AUDIT}'), '-infinity') \
         AND (s.version, s.up_checksum) NOT IN (SELECT a.version, a.checksum FROM schemaward.audit a \
         WHERE a.ledger_schema = {schema} AND a.ledger_table = {table} \
         AND a.version IS NOT NULL AND a.checksum IS NOT NULL)",
        here = of_ledger(ledger),
        schema = literal(&ledger.schema),
        table = literal(&ledger.table)
    )
}

/// Rows after which there should be a record, and is none. A look asks for the newest row of this ledger.
fn unrecorded(ledger: &Ledger, extent: Extent) -> String {
    let here = of_ledger(ledger);
    let last = match extent {
        Extent::Newest => format!(
            "SELECT s.* FROM newest s WHERE {here} AND s.version IS NOT NULL ORDER BY s.id DESC LIMIT 1"
        ),
        Extent::Whole => format!(
            "SELECT DISTINCT ON (pg_catalog.ltrim(s.version, '0')) s.* FROM newest s WHERE {here} \
             AND s.version IS NOT NULL ORDER BY pg_catalog.ltrim(s.version, '0'), s.id DESC"
        ),
    };
    format!(
        "SELECT l.id, 'unrecorded', l.version FROM ({last}) l \
         WHERE l.action IN ({RECORDS}) AND l.checksum IS NOT NULL \
         AND l.id > COALESCE((SELECT pg_catalog.max(j.accepted) FROM judged j), 0) \
         AND NOT EXISTS (SELECT 1 FROM schemaward.script s WHERE {here} AND s.version = l.version)"
    )
}
