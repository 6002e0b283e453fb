//! The record of a version in one statement, for a script that leaves the history alone.
//!
//! A script may have recorded itself, or changed the history by what it set off. To write a record that holds either
//! way, and to look afterwards whether it does, costs the server as much as many a script. Most leave the history alone,
//! and the server can tell: it counts which rows of a table a session inserted, updated and deleted, and marks a table
//! with a trigger, a rule or a policy. So this statement only inserts, and fails unless its own rows are all that there is of
//! this transaction; and it is for a session in which every record before it was such. Where it fails nothing is told: the version is rolled back and runs once more with the
//! [whole record](super::record), which judges. That is why only scripts that take moments are recorded so.

use sqlx::postgres::PgRow;

use crate::engine::database::Execution;
use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;
use crate::migration::script::Script;

use super::audit::{self, Expressions, Last};
use super::connection::column;
use super::quote::{bytes, ledger as quoted, literal};
use super::record::{self, Also, MILLISECONDS, Packed, Values};

/// The history behind one record, as the next one of the session is to find it.
#[derive(Debug, Clone)]
pub struct Behind {
    /// Of the audit's newest row.
    audit_id: i64,
    /// Of that row.
    audit_hash: Vec<u8>,
    changes: Changes,
    /// See [`made_by`].
    made_by: String,
}

/// Rows that the session inserted into, updated in and deleted from the ledger, then the stored texts, then the audit. The
/// server counts them until it passes all of them on to its statistics, at the earliest a second after the last time and
/// never in a transaction; then from zero. That all three tables began anew shows which it was.
type Changes = Vec<i64>;

/// What an own record adds to them.
const OWN: [i64; 9] = [1, 0, 0, 1, 0, 0, 1, 0, 0];

/// Those of the ledger.
const OF_THE_LEDGER: std::ops::Range<usize> = 0..3;

/// The parameters of [`statement`] in their order.
pub const TYPES: &str =
    "text, text, text, text, bytea, text, bytea, boolean, bigint, bytea, bigint[], text";

/// The record as one statement with parameters. It answers as [`record::check`] does, and then what [`Behind::read`] reads.
///
/// How the tables are marked is seen as of when they are locked: the server runs a statement that modifies data in its
/// `WITH` under a snapshot that it takes after that.
pub fn statement(ledger: &Ledger) -> String {
    let table = quoted(ledger);
    let [version, name, actor, checksum] = ["$1", "$2", "$3", "$4"];
    let texts = Packed {
        up_checksum: checksum.to_owned(),
        up: "$5".to_owned(),
        down_checksum: "$6".to_owned(),
        down: "$7".to_owned(),
    };
    let kept = record::insert_texts(ledger, version, &texts);
    let noted = audit::append_expressions(
        ledger,
        &Expressions {
            action: "'apply'",
            version,
            detail: name,
            checksum,
            actor,
            execution_time_ms: "SELECT i.milliseconds FROM inserted i",
        },
        &Last::Given {
            next_id: "$9",
            hash: "$10",
        },
    );
    format!(
        "WITH inserted AS (INSERT INTO {table} AS l (version, name, applied_at, execution_time_ms, checksum) \
         VALUES ({version}, {name}, pg_catalog.now(), {MILLISECONDS}, {checksum}) \
         RETURNING l.version::pg_catalog.text, l.checksum, l.execution_time_ms::pg_catalog.int8 AS milliseconds), \
         kept AS ({kept} RETURNING version), noted AS ({noted} RETURNING id, hash) \
         SELECT {when}, i.milliseconds, \
         (CASE WHEN i.version = {version} AND i.checksum = {checksum} AND k.version = {version} AND n.id = $9 \
         AND {changes} IN ($11, ARRAY{OWN:?}::pg_catalog.int8[]) AND {MADE_BY} = $12 AND {UNMARKED} \
         THEN '1' ELSE 'not as recorded' END)::pg_catalog.int4, \
         {flushes_later}, n.id, n.hash, {changes}, {MADE_BY}, true \
         FROM {classes} LEFT JOIN inserted i ON true LEFT JOIN kept k ON true LEFT JOIN noted n ON true",
        when = record::WHEN,
        changes = changes(ledger),
        flushes_later = record::flushes_later("$8", "i.milliseconds"),
        classes = classes(ledger),
    )
}

/// The catalog's rows of ledger, stored texts and audit, as a `FROM`.
fn classes(ledger: &Ledger) -> String {
    format!(
        "pg_catalog.pg_class l JOIN pg_catalog.pg_class s ON l.oid = {}::pg_catalog.regclass \
         AND s.oid = 'schemaward.script'::pg_catalog.regclass \
         JOIN pg_catalog.pg_class t ON t.oid = 'schemaward.audit'::pg_catalog.regclass",
        literal(&quoted(ledger))
    )
}

/// Which transactions wrote the rows of [`classes`]: another one after a table was altered, or written anew.
const MADE_BY: &str = "pg_catalog.concat_ws(' ', l.xmin, s.xmin, t.xmin)";

/// Nothing is on the tables, by PostgreSQL's own marks, that changes or hides rows or has some of another table.
const UNMARKED: &str = "NOT (l.relhastriggers OR l.relhasrules OR l.relrowsecurity OR l.relhassubclass \
     OR s.relhastriggers OR s.relhasrules OR s.relrowsecurity OR s.relhassubclass \
     OR t.relhastriggers OR t.relhasrules OR t.relrowsecurity OR t.relhassubclass)";

/// No row can be inserted where there is one of that version. A ledger of somebody else may lack such an index.
const HAS_KEY: &str = "EXISTS (SELECT 1 FROM pg_catalog.pg_index x JOIN pg_catalog.pg_attribute a \
     ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0] WHERE x.indrelid = l.oid AND x.indisunique \
     AND x.indimmediate AND x.indisvalid AND x.indpred IS NULL AND x.indnkeyatts = 1 AND a.attname = 'version')";

/// Whether a script may be about the history, by its text: it names one of its tables, or all that there are in a schema.
pub fn is_about(ledger: &Ledger, script: &Script) -> bool {
    let text = script.text().to_lowercase();
    [&ledger.table.to_lowercase(), "schemaward", "tables"]
        .iter()
        .any(|name| text.contains(*name))
}

/// The parameters for `execution`, which comes behind what is there already; `None` for a way back.
pub fn parameters(
    execution: &Execution,
    behind: &Behind,
) -> Result<Option<Vec<String>>, DatabaseError> {
    let values = Values::of(execution)?;
    let Some(texts) = values.texts else {
        return Ok(None);
    };
    let expected = behind.with_one_more();
    let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
    Ok(Some(vec![
        values.version,
        values.name,
        values.actor,
        texts.up_checksum,
        texts.up,
        texts.down_checksum,
        texts.down,
        execution.may_flush_later.to_string(),
        (behind.audit_id + 1).to_string(),
        bytes(&behind.audit_hash),
        format!("'{{{}}}'", expected.join(",")),
        literal(&behind.made_by),
    ]))
}

/// What the whole record answers for [`Behind::read`].
pub fn behind(ledger: &Ledger) -> Also {
    Also {
        columns: format!(
            ", a.id, a.hash, {}, {MADE_BY}, {UNMARKED} AND {HAS_KEY}",
            changes(ledger)
        ),
        from: format!(
            "(SELECT a.id, a.hash FROM schemaward.audit a ORDER BY a.id DESC LIMIT 1) a, {}, ",
            classes(ledger)
        ),
    }
}

/// See [`Changes`]; an array of SQL.
fn changes(ledger: &Ledger) -> String {
    let table = quoted(ledger);
    let tables = [&table, "schemaward.script", "schemaward.audit"].map(literal);
    let counted = tables.iter().flat_map(|table| {
        ["inserted", "updated", "deleted"].map(|what| {
            format!("pg_catalog.pg_stat_get_xact_tuples_{what}({table}::pg_catalog.regclass)")
        })
    });
    format!("ARRAY[{}]", counted.collect::<Vec<_>>().join(", "))
}

impl Behind {
    /// Reads what a record answered that stands behind `last`, or is the first one of its session. `None`: it is not the only
    /// one who changed the history since then, or the tables are such that a short record would not hold, or the server does
    /// not count (`track_counts`, or a partitioned table). The record is committed, so that nothing here may fail it.
    pub fn read(row: &PgRow, last: Option<&Self>) -> Option<Self> {
        let changes: Changes = column(row, 6).ok()?;
        let is_alone = match last {
            Some(last) => changes == OWN || changes == last.with_one_more(),
            // What made the history ready may have written to the other two.
            None => changes.get(OF_THE_LEDGER) == OWN.get(OF_THE_LEDGER),
        };
        let can_be_short: bool = column(row, 8).ok()?;
        (is_alone && can_be_short).then_some(Self {
            audit_id: column(row, 4).ok()?,
            audit_hash: column(row, 5).ok()?,
            changes,
            made_by: column(row, 7).ok()?,
        })
    }

    /// The changes behind one more record.
    fn with_one_more(&self) -> Changes {
        let own = OWN.iter();
        own.zip(&self.changes)
            .map(|(own, last)| own + last)
            .collect()
    }
}
