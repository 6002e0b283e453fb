//! The ledger and our records of it, as a look reads them: column by column, each as one JSON array.
//!
//! The server makes such an array in half of the time that an object for each row takes. Each is a column of the answer
//! and no part of another document, which would copy all of it several times.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::postgres::PgRow;

use crate::engine::error::DatabaseError;
use crate::migration::checksum::Checksum;
use crate::migration::history::{Applied, Stored};
use crate::migration::version::Version;

use super::history::unreadable;
use super::look::json;

/// The ledger.
#[derive(Debug, Default)]
pub struct LedgerColumns {
    version: Vec<Option<String>>,
    name: Vec<Option<String>>,
    applied_at: Vec<Option<i64>>,
    execution_time_ms: Vec<Option<i64>>,
    checksum: Vec<Option<String>>,
}

/// Our own records of it.
#[derive(Debug, Default)]
pub struct ScriptColumns {
    version: Vec<String>,
    up_checksum: Vec<String>,
    down_checksum: Vec<Option<String>>,
    baseline: Vec<bool>,
}

/// A list of SQL: an array for each of these columns, all in the same order.
fn arrays(named: &[(&str, &str)]) -> String {
    let arrays: Vec<_> = named
        .iter()
        .map(|(name, expression)| {
            format!("COALESCE(pg_catalog.json_agg({expression}), '[]'::pg_catalog.json) AS {name}")
        })
        .collect();
    arrays.join(", ")
}

impl ScriptColumns {
    /// What to select of all rows `s`; `marked` says of one whether it is of a baseline.
    pub fn selected(marked: &str) -> String {
        arrays(&[
            ("script_version", "s.version"),
            ("up_checksum", "s.up_checksum"),
            ("down_checksum", "s.down_checksum"),
            ("baseline", marked),
        ])
    }

    /// Takes them from the answer.
    pub fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            version: json(row, "script_version")?,
            up_checksum: json(row, "up_checksum")?,
            down_checksum: json(row, "down_checksum")?,
            baseline: json(row, "baseline")?,
        })
    }

    /// The records.
    pub fn records(&self) -> impl Iterator<Item = Result<(Version, Stored), DatabaseError>> {
        let parsed = |text: &str| {
            Checksum::parse(text)
                .map_err(|_| unreadable("a checksum in schemaward.script is not SHA-256"))
        };
        let checksums = self.up_checksum.iter().zip(&self.down_checksum);
        self.version
            .iter()
            .zip(checksums)
            .map(move |(version, (up, down))| {
                let version = Version::parse(version)
                    .map_err(|_| unreadable("a version in schemaward.script is not a number"))?;
                let record = Stored {
                    up: parsed(up)?,
                    down: down.as_deref().map(parsed).transpose()?,
                };
                Ok((version, record))
            })
    }

    /// The versions that were recorded without being run.
    pub fn baselined(&self) -> BTreeSet<Version> {
        let versions = self.version.iter().zip(&self.baseline);
        versions
            .filter(|(_, baseline)| **baseline)
            .filter_map(|(version, _)| Version::parse(version).ok())
            .collect()
    }
}

impl LedgerColumns {
    /// What to select of all rows `l`.
    pub fn selected() -> String {
        arrays(&[
            ("version", "l.version::pg_catalog.text"),
            ("name", "l.name::pg_catalog.text"),
            (
                "applied_at",
                "(EXTRACT(epoch FROM l.applied_at) * 1000000)::pg_catalog.int8",
            ),
            ("execution_time_ms", "l.execution_time_ms"),
            ("checksum", "l.checksum::pg_catalog.text"),
        ])
    }

    /// Takes them from the answer.
    pub fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            version: json(row, "version")?,
            name: json(row, "name")?,
            applied_at: json(row, "applied_at")?,
            execution_time_ms: json(row, "execution_time_ms")?,
            checksum: json(row, "checksum")?,
        })
    }

    /// The rows, each with the record beside it.
    pub fn applied(
        &self,
        scripts: &BTreeMap<Version, Stored>,
    ) -> Result<Vec<Applied>, DatabaseError> {
        let names = self.version.iter().zip(&self.name);
        let times = self.applied_at.iter().zip(&self.execution_time_ms);
        names
            .zip(times)
            .zip(&self.checksum)
            .map(|(((version, name), (at, time)), checksum)| {
                let version =
                    Version::parse(version.as_deref().unwrap_or_default()).map_err(|_| {
                        unreadable("a row of the history table has a version that is not a number")
                    })?;
                let name = name.as_deref().unwrap_or_default();
                Ok(Applied {
                    name: name.trim_end().to_owned(),
                    applied_at: at.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
                    execution_time_ms: *time,
                    checksum: checksum.clone(),
                    stored: scripts.get(&version).copied(),
                    version,
                })
            })
            .collect()
    }
}
