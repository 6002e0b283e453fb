//! The journal: how far a version came that does not run in one transaction. Its rows go with the version's
//! record.

use sqlx::postgres::PgRow;

use crate::engine::database::Execution;
use crate::engine::decision::Verdict;
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::task::Ledger;
use crate::migration::begun::{Begun, Entry, EntryState};
use crate::migration::checksum::Checksum;
use crate::migration::evidence::Evidence;
use crate::migration::file_name::Direction;
use crate::migration::part::Part;
use crate::migration::version::Version;

use super::error;
use super::fields::{given, given_as, text};
use super::history::of_ledger;
use super::quote::{literal, optional_literal};

/// The table, as format 2 of schema `schemaward` has it.
pub const CREATE: &str = "CREATE TABLE schemaward.journal (\
     ledger_schema text, ledger_table text, version text, \
     direction text CHECK (direction IN ('up', 'down')), \
     first_statement integer, last_statement integer NOT NULL, \
     checksum text NOT NULL, \
     state text NOT NULL CHECK (state IN ('started', 'done', 'escaped')), \
     before jsonb, \
     execution_time_ms bigint, \
     started_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
     actor text NOT NULL, \
     PRIMARY KEY (ledger_schema, ledger_table, version, direction, first_statement))";

/// What asks for the rows that [`begun`] reads.
pub fn rows(ledger: &Ledger) -> String {
    format!(
        "SELECT s.version, s.direction, s.first_statement, s.last_statement, s.checksum, s.state, s.before \
         FROM schemaward.journal s WHERE {} ORDER BY s.first_statement",
        of_ledger(ledger)
    )
}

/// The version that was begun and is not recorded, from the answer to [`rows`].
pub fn begun(rows: &[PgRow]) -> Result<Option<Begun>, DatabaseError> {
    let mut begun: Option<Begun> = None;
    for row in rows {
        let version = Version::parse(given(row, 0)?).map_err(|_| unreadable("a version"))?;
        let direction = direction(given(row, 1)?)?;
        let found = begun.get_or_insert_with(|| Begun {
            version: version.clone(),
            direction,
            entries: Vec::new(),
        });
        if found.version != version || found.direction != direction {
            return Err(unreadable("a second version"));
        }
        found.entries.push(entry(row)?);
    }
    Ok(begun)
}

fn entry(row: &PgRow) -> Result<Entry, DatabaseError> {
    let before = text(row, 6)?.map(serde_json::from_str);
    Ok(Entry {
        first: given_as(row, 2)?,
        last: given_as(row, 3)?,
        checksum: Checksum::parse(given(row, 4)?).map_err(|_| unreadable("a checksum"))?,
        state: EntryState::parse(given(row, 5)?).ok_or_else(|| unreadable("a state"))?,
        before: before
            .transpose()
            .map_err(|_| unreadable("what the catalog showed"))?,
    })
}

/// A query for the oids of the indexes that the catalog showed before a part was started; none before it is.
pub fn known_indexes(ledger: &Ledger, execution: &Execution, part: &Part) -> String {
    format!(
        "SELECT (i.seen OPERATOR(pg_catalog.->>) 'oid')::pg_catalog.oid FROM schemaward.journal s, \
         pg_catalog.jsonb_array_elements(s.before OPERATOR(pg_catalog.->) 'indexes') AS i (seen) \
         WHERE {} AND s.state = 'started'",
        of_part(ledger, execution, part)
    )
}

/// Writes a part's row. `milliseconds` is an SQL expression.
pub fn insert(
    ledger: &Ledger,
    execution: &Execution,
    part: &Part,
    state: EntryState,
    before: Option<&Evidence>,
    milliseconds: &str,
) -> Result<String, DatabaseError> {
    let before = before
        .map(serde_json::to_string)
        .transpose()
        .map_err(|_| error::internal("what the catalog shows is no JSON"))?;
    Ok(format!(
        "INSERT INTO schemaward.journal (ledger_schema, ledger_table, version, direction, \
         first_statement, last_statement, checksum, state, before, execution_time_ms, actor) \
         VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}::pg_catalog.jsonb, {milliseconds}, {})",
        literal(&ledger.schema),
        literal(&ledger.table),
        literal(execution.version.as_str()),
        literal(word(execution.record.direction())),
        part.first,
        part.last,
        literal(&part.checksum.to_string()),
        literal(state.as_str()),
        optional_literal(before.as_deref()),
        literal(&execution.actor),
    ))
}

/// Turns a part's row from started to done; fails with 22P02 when there is none. `milliseconds` is an SQL
/// expression.
pub fn finish(ledger: &Ledger, execution: &Execution, part: &Part, milliseconds: &str) -> String {
    exactly_one(&format!(
        "UPDATE schemaward.journal s SET state = 'done', execution_time_ms = {milliseconds} \
         WHERE {} AND s.state = 'started' RETURNING 1",
        of_part(ledger, execution, part)
    ))
}

/// Takes away the row of a statement that was started and is not done; fails with 22P02 when there is none.
pub fn withdraw(ledger: &Ledger, execution: &Execution, part: &Part) -> String {
    exactly_one(&format!(
        "DELETE FROM schemaward.journal s WHERE {} AND s.state = 'started' RETURNING 1",
        of_part(ledger, execution, part)
    ))
}

/// Takes away all rows of a version that is recorded now.
pub fn clear(ledger: &Ledger, execution: &Execution) -> String {
    format!(
        "DELETE FROM schemaward.journal s WHERE {}",
        of_script(ledger, execution)
    )
}

/// What the parts of a version took, and the transaction that records it, in milliseconds.
pub fn milliseconds(ledger: &Ledger, execution: &Execution, own: &str) -> String {
    format!(
        "((SELECT COALESCE(pg_catalog.sum(s.execution_time_ms), 0) FROM schemaward.journal s \
         WHERE {}) + {own})::pg_catalog.int8",
        of_script(ledger, execution)
    )
}

/// The word in the journal.
pub fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

/// The direction of this word.
pub fn direction(word: &str) -> Result<Direction, DatabaseError> {
    [Direction::Up, Direction::Down]
        .into_iter()
        .find(|direction| self::word(*direction) == word)
        .ok_or_else(|| unreadable("a direction"))
}

/// A row that nobody of ours wrote.
pub fn unreadable(what: &str) -> DatabaseError {
    DatabaseError::new(
        DatabaseErrorKind::HistoryUnreadable,
        format!(
            "The journal (table schemaward.journal) cannot be read: {what} in it is none of ours. Nothing was \
             changed. Restore schema \"schemaward\" from a backup."
        ),
    )
}

/// The table was taken away, and with it what it knew.
pub fn missing() -> DatabaseError {
    DatabaseError::new(
        DatabaseErrorKind::HistoryUnreadable,
        "The journal (table schemaward.journal) is gone. Nothing was changed. Restore schema \"schemaward\" \
         from a backup.",
    )
}

/// The condition that a row, aliased `s`, is of this version (in whatever spelling) and direction.
fn of_script(ledger: &Ledger, execution: &Execution) -> String {
    of_version(ledger, &execution.version, execution.record.direction())
}

/// The same for a version that is not run now.
fn of_version(ledger: &Ledger, version: &Version, direction: Direction) -> String {
    format!(
        "{} AND pg_catalog.ltrim(s.version, '0') = {} AND s.direction = {}",
        of_ledger(ledger),
        literal(version.as_str().trim_start_matches('0')),
        literal(word(direction))
    )
}

fn of_part(ledger: &Ledger, execution: &Execution, part: &Part) -> String {
    format!(
        "{} AND s.first_statement = {} AND s.checksum = {}",
        of_script(ledger, execution),
        part.first,
        literal(&part.checksum.to_string())
    )
}

/// What a person said of a row that is not done; fails with 22P02 when there is none.
pub fn resolve(
    ledger: &Ledger,
    version: &Version,
    direction: Direction,
    first: usize,
    checksum: Checksum,
    verdict: Verdict,
) -> String {
    let row = format!(
        "{} AND s.first_statement = {first} AND s.checksum = {} AND s.state <> 'done' RETURNING 1",
        of_version(ledger, version, direction),
        literal(&checksum.to_string())
    );
    exactly_one(&match verdict {
        Verdict::Applied => {
            format!("UPDATE schemaward.journal s SET state = 'done' WHERE {row}")
        }
        Verdict::Retry => format!("DELETE FROM schemaward.journal s WHERE {row}"),
    })
}

/// Runs a change that must hit one row.
fn exactly_one(change: &str) -> String {
    format!(
        "WITH changed AS ({change}) SELECT (CASE WHEN pg_catalog.count(*) = 1 THEN '1' \
         ELSE 'the journal is not as it was' END)::pg_catalog.int4 FROM changed"
    )
}
