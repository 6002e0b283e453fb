//! The ledger and our records of it, as a look reads them: a row each, and no document of the server's.
//!
//! A new session makes plain rows in a third of the time that it takes for arrays of JSON.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::postgres::PgRow;

use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;
use crate::migration::checksum::Checksum;
use crate::migration::history::{Applied, Stored};
use crate::migration::version::Version;

use super::fields::{flag, parsed, text, time};
use super::history::{of_ledger, unreadable};
use super::quote::ledger as quoted;

/// What asks for all rows of the ledger, which [`applied`] reads.
pub fn of_the_ledger(ledger: &Ledger) -> String {
    format!(
        "SELECT l.version::pg_catalog.text, l.name::pg_catalog.text, EXTRACT(epoch FROM l.applied_at), \
         l.execution_time_ms, l.checksum::pg_catalog.text FROM {} l",
        quoted(ledger)
    )
}

/// What asks for all of our records of it; `marked` says of one whether it is of a baseline.
pub fn of_scripts(ledger: &Ledger, marked: &str) -> String {
    format!(
        "SELECT s.version, s.up_checksum, s.down_checksum, {marked} FROM schemaward.script s WHERE {}",
        of_ledger(ledger)
    )
}

/// Our own records.
#[derive(Debug, Default)]
pub struct Records {
    pub stored: BTreeMap<Version, Stored>,
    /// The versions that were recorded without being run.
    pub baselined: BTreeSet<Version>,
}

impl Records {
    /// From the answer to [`of_scripts`].
    pub fn read(rows: &[PgRow]) -> Result<Self, DatabaseError> {
        let mut records = Self::default();
        for row in rows {
            let version = Version::parse(text(row, 0)?.unwrap_or_default())
                .map_err(|_| unreadable("a version in schemaward.script is not a number"))?;
            let stored = Stored {
                up: checksum(text(row, 1)?.unwrap_or_default())?,
                down: text(row, 2)?.map(checksum).transpose()?,
            };
            if flag(row, 3)? {
                records.baselined.insert(version.clone());
            }
            records.stored.insert(version, stored);
        }
        Ok(records)
    }

    /// Whether there is one of a version in this very spelling.
    pub fn has(&self, version: &str) -> bool {
        let parsed = Version::parse(version).ok();
        let found = parsed.and_then(|version| self.stored.get_key_value(&version));
        found.is_some_and(|(stored, _)| stored.as_str() == version)
    }
}

fn checksum(text: &str) -> Result<Checksum, DatabaseError> {
    Checksum::parse(text).map_err(|_| unreadable("a checksum in schemaward.script is not SHA-256"))
}

/// The rows of the ledger, from the answer to [`of_the_ledger`], each with the record beside it.
pub fn applied(
    rows: &[PgRow],
    stored: &BTreeMap<Version, Stored>,
) -> Result<Vec<Applied>, DatabaseError> {
    rows.iter().map(|row| one_applied(row, stored)).collect()
}

fn one_applied(row: &PgRow, stored: &BTreeMap<Version, Stored>) -> Result<Applied, DatabaseError> {
    let version = Version::parse(text(row, 0)?.unwrap_or_default())
        .map_err(|_| unreadable("a row of the history table has a version that is not a number"))?;
    Ok(Applied {
        name: text(row, 1)?.unwrap_or_default().trim_end().to_owned(),
        applied_at: time(row, 2)?,
        execution_time_ms: parsed(row, 3)?,
        checksum: text(row, 4)?.map(str::to_owned),
        stored: stored.get(&version).copied(),
        version,
    })
}
