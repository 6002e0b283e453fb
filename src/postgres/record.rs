//! The record of a version: what commits together with a script's effects.

use std::borrow::Cow;
use std::fmt::Write;

use crate::engine::database::{Execution, Record, Texts};
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::task::Ledger;
use crate::migration::version::Version;

use super::audit::{self, Expressions};
use super::history::of_ledger;
use super::quote::{bytes, ledger as quoted, literal, optional_literal};
use super::stored_text::pack;

/// Milliseconds since the transaction began, by the server's clock.
pub const MILLISECONDS: &str = "(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - \
     pg_catalog.transaction_timestamp()) * 1000)::pg_catalog.int8";

/// What stands in the record of a version, as SQL expressions: literals, or the parameters of a prepared
/// statement.
pub(super) struct Values {
    pub version: String,
    pub name: String,
    pub actor: String,
    /// `None` for a way back.
    pub texts: Option<Packed>,
    pub began: Began,
}

/// When a version began.
pub(super) enum Began {
    /// With its transaction.
    WithTransaction,
    /// Where this SQL expression holds, when the version before it was recorded: in one Query the clock of transactions stands
    /// still at its arrival.
    Behind(String),
}

/// When the version that was recorded last ended, to the millisecond. Between the arrival of the Query and now, whatever the audit has
/// by then. Never the very moment in which that version began: whether the audit's newest row was deleted is told by a later time
/// of stored texts.
const LAST_ENDED: &str = "COALESCE((SELECT LEAST(pg_catalog.clock_timestamp(), GREATEST(pg_catalog.now(), a.at \
     + LEAST(GREATEST(a.execution_time_ms, 0.001::pg_catalog.float8), 1e9) * '00:00:00.001'::pg_catalog.interval)) \
     FROM schemaward.audit a ORDER BY a.id DESC LIMIT 1), pg_catalog.now())";

impl Began {
    /// What a `WITH` has first, the time as an expression, and the milliseconds since then: `milliseconds` is since the
    /// transaction began.
    fn expressions<'a>(&self, milliseconds: &'a str) -> (String, &'static str, Cow<'a, str>) {
        match self {
            Self::WithTransaction => (String::new(), "pg_catalog.now()", milliseconds.into()),
            Self::Behind(follows) => (
                format!(
                    "began AS (SELECT CASE WHEN {follows} THEN {LAST_ENDED} ELSE pg_catalog.now() END AS at), "
                ),
                "(SELECT b.at FROM began b)",
                "(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - (SELECT b.at FROM began b)) * 1000)::pg_catalog.int8"
                    .into(),
            ),
        }
    }

    /// The same time in microseconds since the epoch, behind the record.
    fn when(&self) -> String {
        let microseconds =
            |at: &str| format!("(EXTRACT(epoch FROM {at}) * 1000000)::pg_catalog.int8");
        let transaction = microseconds("pg_catalog.now()");
        match self {
            Self::WithTransaction => transaction,
            Self::Behind(follows) => {
                let last = "(SELECT a.at FROM schemaward.audit a ORDER BY a.id DESC LIMIT 1)";
                format!(
                    "CASE WHEN {follows} THEN {} ELSE {transaction} END",
                    microseconds(last)
                )
            }
        }
    }
}

impl Values {
    /// The values of `execution` as literals.
    pub fn of(execution: &Execution) -> Result<Self, DatabaseError> {
        let version = &execution.version;
        Ok(Self {
            version: literal(version.as_str()),
            name: literal(&execution.name),
            actor: literal(&execution.actor),
            texts: match &execution.record {
                Record::Apply(texts) => Some(Packed::new(version, texts)?),
                Record::Undo => None,
            },
            began: Began::WithTransaction,
        })
    }
}

/// What a record is checked by, as SQL expressions.
pub(super) struct Checked {
    pub version: String,
    /// The version in every spelling, as an array of texts; see [`spellings`].
    pub spellings: String,
    /// `None` for a way back.
    pub checksum: Option<String>,
    /// Whether the commit may be left to reach the disk with a later one; see [`check`].
    pub may_flush_later: String,
    pub began: Began,
}

impl Checked {
    /// What the record of `execution` is checked by, as literals.
    pub fn of(execution: &Execution) -> Self {
        let version = &execution.version;
        Self {
            version: literal(version.as_str()),
            spellings: spellings(version),
            checksum: match &execution.record {
                Record::Apply(texts) => Some(literal(&texts.up_checksum.to_string())),
                Record::Undo => None,
            },
            may_flush_later: execution.may_flush_later.to_string(),
            began: Began::WithTransaction,
        }
    }
}

/// The statements that record `execution`, to run in its transaction after the script. The last one
/// answers one row: microseconds since the epoch, milliseconds taken, and something when the commit is not waited for.
///
/// `milliseconds` is an SQL expression for what is recorded.
pub fn statements(
    ledger: &Ledger,
    execution: &Execution,
    milliseconds: &str,
) -> Result<Vec<String>, DatabaseError> {
    Ok(vec![
        write(ledger, &Values::of(execution)?, milliseconds),
        CONSTRAINTS.to_owned(),
        check(ledger, &Checked::of(execution), milliseconds),
    ])
}

/// Constraints and triggers that wait for the end of the transaction fail here, before the check.
pub(super) const CONSTRAINTS: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// The statement that writes the record: the ledger's row, our own beside it, and the audit's. One, because each
/// statement costs the server about as much again as what it does. `milliseconds` is evaluated once.
pub(super) fn write(ledger: &Ledger, values: &Values, milliseconds: &str) -> String {
    let Values {
        version,
        name,
        actor,
        texts,
        began,
    } = values;
    let table = quoted(ledger);
    let (first, at, milliseconds) = began.expressions(milliseconds);
    let entry = Expressions {
        action: "'undo'",
        version,
        detail: name,
        checksum: "NULL",
        actor,
        at,
        execution_time_ms: &milliseconds,
    };
    let Some(texts) = texts else {
        // The script may have deleted its row itself; deleting none is right then.
        return format!(
            "WITH gone AS (DELETE FROM {table} l WHERE l.version = {version}), \
             forgotten AS (DELETE FROM schemaward.script s WHERE {here} AND s.version = {version}) {audit}",
            here = of_ledger(ledger),
            audit = audit::append_expressions(ledger, &entry),
        );
    };
    let checksum = &texts.up_checksum;
    let recorded = "SELECT i.execution_time_ms FROM inserted i \
                    UNION ALL SELECT c.execution_time_ms FROM completed c LIMIT 1";
    // A script may have recorded itself; that row is completed, not doubled. This works without a unique index
    // on `version`, which a ledger of somebody else may lack.
    format!(
        "WITH {first}completed AS (UPDATE {table} l SET name = {name}, applied_at = {at}, \
         execution_time_ms = {milliseconds}, checksum = {checksum} WHERE l.version = {version} \
         RETURNING l.execution_time_ms), \
         inserted AS (INSERT INTO {table} (version, name, applied_at, execution_time_ms, checksum) \
         SELECT {version}, {name}, {at}, {milliseconds}, {checksum} \
         WHERE NOT EXISTS (SELECT 1 FROM completed) RETURNING execution_time_ms), \
         kept AS ({texts}) {audit}",
        texts = insert_texts(ledger, version, texts, at),
        audit = audit::append_expressions(
            ledger,
            &Expressions {
                action: "'apply'",
                checksum,
                execution_time_ms: recorded,
                ..entry
            },
        ),
    )
}

/// SQLSTATEs that say that the record does not stand: `invalid_text_representation`, of [`check`], and
/// `feature_not_supported`, of [`write`] to a table with rules.
pub const NOT_AS_RECORDED: [&str; 2] = ["22P02", "0A000"];

/// Answers when the version was recorded and the milliseconds it took (`milliseconds` for a way back). Fails unless the record stands as it was
/// written: exactly one row of this version in any spelling, with our checksum, and our own record
/// beside it (none of both after a way back), on a table that nothing can hide or change rows of. A
/// script that put a trigger or a rule on the table, or recorded itself as `1` where the file says
/// `001`, is rolled back by it.
///
/// Of a version that `may_flush_later` and was quick it says at last that its commit need not wait for the disk
/// ([decision 0018](../../docs/adr/0018-one-flush-for-several-quick-versions.md)). Behind everything that a script
/// can set; any other version keeps what the session began with. Where a commit may have to wait for a synchronous
/// standby each one does: whoever looks can ask what the server's own disk has, and not what the standby has.
pub(super) fn check(ledger: &Ledger, record: &Checked, milliseconds: &str) -> String {
    let when = record.began.when();
    let (taken, complete) = match &record.checksum {
        None => (milliseconds, String::new()),
        Some(checksum) => ("r.milliseconds", format!(" AND r.checksum = {checksum}")),
    };
    let table = literal(&quoted(ledger));
    format!(
        "SELECT {when}, {taken}, \
         (CASE WHEN r.number = {count}{complete} \
         AND (SELECT pg_catalog.count(*) FROM schemaward.script s WHERE {ours} AND s.version = {version}) \
         = {count} \
         AND (SELECT NOT c.relrowsecurity \
         AND CASE WHEN c.relhastriggers THEN NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) ELSE true END \
         AND CASE WHEN c.relhasrules THEN NOT EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite w \
         WHERE w.ev_class = c.oid) ELSE true END \
         FROM pg_catalog.pg_class c WHERE c.oid = {table}::pg_catalog.regclass) \
         THEN '1' ELSE 'not as recorded' END)::pg_catalog.int4, \
         {flushes_later} FROM (SELECT pg_catalog.count(*) AS number, pg_catalog.min(l.checksum) AS checksum, \
         pg_catalog.min(l.execution_time_ms)::pg_catalog.int8 AS milliseconds \
         FROM {ledger} l WHERE l.version::pg_catalog.text = ANY ({spellings}::pg_catalog.text[])) r",
        count = u8::from(record.checksum.is_some()),
        ours = of_ledger(ledger),
        ledger = quoted(ledger),
        spellings = record.spellings,
        flushes_later = flushes_later(&record.may_flush_later),
        version = record.version,
    )
}

/// Lets the commit of a version that `may_flush_later` and was quick, counted from when its Query came, not wait for the disk;
/// NULL: it waits.
fn flushes_later(may_flush_later: &str) -> String {
    format!(
        "CASE WHEN {may_flush_later} AND {MILLISECONDS} < {QUICK_MS} \
         AND pg_catalog.current_setting('synchronous_standby_names') = '' \
         THEN pg_catalog.set_config('synchronous_commit', 'off', true) END"
    )
}

/// Milliseconds from which on a version waits for the disk: it is long over with by then.
const QUICK_MS: u32 = 50;

/// Longest spelling of a version that [`check`] looks for; a longer one is found by the next look, as a
/// history that has a version twice.
const LONGEST_SPELLING: usize = 24;

/// A version with fewer and more zeros before it, as an array. Looked up one by one in the ledger's index:
/// to compare the numbers would read all of the ledger for every version.
fn spellings(version: &Version) -> String {
    let digits = version.as_str().trim_start_matches('0');
    let least = usize::from(digits.is_empty());
    let most = LONGEST_SPELLING
        .max(version.as_str().len())
        .saturating_sub(digits.len());
    let all: Vec<_> = (least..=most)
        .map(|zeros| format!("{}{digits}", "0".repeat(zeros)))
        .collect();
    format!("'{{{}}}'::pg_catalog.text[]", all.join(","))
}

/// Keeps the texts, so that a way back needs no file.
pub fn store_texts(
    ledger: &Ledger,
    version: &Version,
    texts: &Texts,
) -> Result<String, DatabaseError> {
    let packed = Packed::new(version, texts)?;
    Ok(insert_texts(
        ledger,
        &literal(version.as_str()),
        &packed,
        "pg_catalog.now()",
    ))
}

/// `at` is the time of the audit's row beside it: a later one than that of every row shows that the newest row was deleted.
fn insert_texts(ledger: &Ledger, version: &str, texts: &Packed, at: &str) -> String {
    let Packed {
        up_checksum,
        up,
        down_checksum,
        down,
    } = texts;
    format!(
        "INSERT INTO schemaward.script (ledger_schema, ledger_table, version, up_checksum, up, \
         down_checksum, down, stored_at) VALUES ({}, {}, {version}, {up_checksum}, {up}, {down_checksum}, {down}, {at})",
        literal(&ledger.schema),
        literal(&ledger.table),
    )
}

/// Keeps the texts that a person accepted instead of those that were kept. Where there is no DOWN the kept
/// one stays: an absent file never took a way back away.
pub fn replace_texts(
    ledger: &Ledger,
    version: &Version,
    texts: &Texts,
) -> Result<String, DatabaseError> {
    let Packed {
        up_checksum,
        up,
        down_checksum,
        down,
    } = Packed::new(version, texts)?;
    let mut set = format!("up_checksum = {up_checksum}, up = {up}, baseline = false");
    if texts.down.is_some() {
        let _ = write!(set, ", down_checksum = {down_checksum}, down = {down}");
    }
    Ok(format!(
        "WITH replaced AS (UPDATE schemaward.script s SET {set}, version = {version}, \
         stored_at = pg_catalog.now() WHERE {of_version} RETURNING 1) \
         INSERT INTO schemaward.script (ledger_schema, ledger_table, version, up_checksum, up, \
         down_checksum, down) SELECT {schema}, {table}, {version}, {up_checksum}, {up}, {down_checksum}, \
         {down} WHERE NOT EXISTS (SELECT 1 FROM replaced)",
        of_version = of_version(ledger, version),
        schema = literal(&ledger.schema),
        table = literal(&ledger.table),
        version = literal(version.as_str()),
    ))
}

/// The condition that a row of ours, aliased `s`, is about this version, in whatever spelling.
pub fn of_version(ledger: &Ledger, version: &Version) -> String {
    format!(
        "{} AND pg_catalog.ltrim(s.version, '0') = {}",
        of_ledger(ledger),
        literal(version.as_str().trim_start_matches('0'))
    )
}

/// Texts and checksums as SQL expressions.
pub(super) struct Packed {
    pub up_checksum: String,
    pub up: String,
    pub down_checksum: String,
    pub down: String,
}

impl Packed {
    fn new(version: &Version, texts: &Texts) -> Result<Self, DatabaseError> {
        let packed = |text: &[u8]| {
            pack(text).map(|packed| bytes(&packed)).map_err(|error| {
                DatabaseError::new(
                    DatabaseErrorKind::Internal,
                    format!(
                        "The text of {version} cannot be compressed: {error}. Nothing of {version} was applied or \
                         recorded. Please report it."
                    ),
                )
            })
        };
        Ok(Self {
            up_checksum: literal(&texts.up_checksum.to_string()),
            up: packed(&texts.up)?,
            down_checksum: optional_literal(
                texts.down_checksum.map(|sum| sum.to_string()).as_deref(),
            ),
            down: match &texts.down {
                Some(down) => packed(down)?,
                None => "NULL".to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_looked_for_in_every_spelling() {
        let of = |text: &str| spellings(&Version::parse(text).expect("a version"));
        let array = of("007");
        assert!(array.starts_with("'{7,07,007,0007,"), "{array}");
        assert_eq!(array.matches(',').count(), LONGEST_SPELLING - 1);
        assert!(of("000").starts_with("'{0,00,000,"));
        let long = format!("{}1", "0".repeat(40));
        assert!(of(&long).contains(&format!(",{long}}}")));
    }
}
