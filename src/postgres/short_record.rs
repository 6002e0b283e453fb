//! The record of a version in one statement, for a script that leaves the history alone.
//!
//! A script may have recorded itself, or changed the history by what it set off. To write a record that holds either
//! way, and to look afterwards whether it does, costs the server as much as many a script. Most leave the history alone,
//! and the server can tell: it counts which rows of a table a session inserted, updated and deleted, and marks a table
//! with a trigger, a rule or a policy. So this statement only inserts, and fails unless its own rows are all that there is of
//! this transaction. Where it fails nothing is told: the version is rolled back and runs once more with the
//! [whole record](super::record), which judges. That is why only scripts that take moments are recorded so.

use sqlx::postgres::PgRow;

use crate::engine::database::Execution;
use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;

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
}

/// Rows that the session inserted into, updated in and deleted from the ledger, and inserted into the audit. The server
/// counts them until it passes all of them on to its statistics, at the earliest a second after the last time and
/// never in a transaction; then from zero. That both tables began anew shows which it was.
type Changes = Vec<i64>;

/// What an own record adds to them.
const OWN: [i64; 4] = [1, 0, 0, 1];

/// The parameters of [`statement`] in their order.
pub const TYPES: &str =
    "text, text, text, text, bytea, text, bytea, boolean, bigint, bytea, bigint[]";

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
    let unmarked = |class: &str| {
        format!("NOT ({class}.relhastriggers OR {class}.relhasrules OR {class}.relrowsecurity)")
    };
    format!(
        "WITH inserted AS (INSERT INTO {table} AS l (version, name, applied_at, execution_time_ms, checksum) \
         VALUES ({version}, {name}, pg_catalog.now(), {MILLISECONDS}, {checksum}) \
         RETURNING l.version::pg_catalog.text, l.checksum, l.execution_time_ms::pg_catalog.int8 AS milliseconds), \
         kept AS ({kept} RETURNING version), noted AS ({noted} RETURNING id, hash) \
         SELECT {when}, i.milliseconds, \
         (CASE WHEN i.version = {version} AND i.checksum = {checksum} AND k.version = {version} \
         AND {changes} IN ($11, ARRAY{OWN:?}::pg_catalog.int8[]) AND pg_catalog.age(c.xmin) > 0 \
         AND {ledger_is_unmarked} AND {script_is_unmarked} \
         THEN '1' ELSE 'not as recorded' END)::pg_catalog.int4, \
         {flushes_later}, n.id, n.hash, {changes} \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_class s ON s.oid = 'schemaward.script'::pg_catalog.regclass \
         LEFT JOIN inserted i ON true LEFT JOIN kept k ON true LEFT JOIN noted n ON true \
         WHERE c.oid = {of_ledger}::pg_catalog.regclass",
        when = record::WHEN,
        changes = changes(ledger),
        ledger_is_unmarked = unmarked("c"),
        script_is_unmarked = unmarked("s"),
        flushes_later = record::flushes_later("$8", "i.milliseconds"),
        of_ledger = literal(&table),
    )
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
    let expected = behind.changes.iter().zip(OWN).map(|(last, own)| last + own);
    let expected: Vec<_> = expected.map(|number| number.to_string()).collect();
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
    ]))
}

/// What the whole record answers for [`Behind::read`].
pub fn behind(ledger: &Ledger) -> Also {
    Also {
        columns: format!(", a.id, a.hash, {}", changes(ledger)),
        from: "(SELECT a.id, a.hash FROM schemaward.audit a ORDER BY a.id DESC LIMIT 1) a, "
            .to_owned(),
    }
}

/// See [`Changes`]; an array of SQL.
fn changes(ledger: &Ledger) -> String {
    let counted = |what: &str, table: &str| {
        format!(
            "pg_catalog.pg_stat_get_xact_tuples_{what}({}::pg_catalog.regclass)",
            literal(table)
        )
    };
    let table = quoted(ledger);
    format!(
        "ARRAY[{}, {}, {}, {}]",
        counted("inserted", &table),
        counted("updated", &table),
        counted("deleted", &table),
        counted("inserted", "schemaward.audit"),
    )
}

impl Behind {
    /// Reads what a record answered; `None`: the server does not count (`track_counts`, or a partitioned table). The
    /// record is committed, so that nothing here may fail it.
    pub fn read(row: &PgRow) -> Option<Self> {
        let changes: Changes = column(row, 6).ok()?;
        let counts = changes.iter().zip(OWN).all(|(number, own)| *number >= own);
        counts.then_some(Self {
            audit_id: column(row, 4).ok()?,
            audit_hash: column(row, 5).ok()?,
            changes,
        })
    }
}
