//! Whether the audit is as it was written. The server gives the rows, and what each hash was taken over; they are
//! hashed and judged here, because a new session would take five times as long to plan that.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;

use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;
use crate::migration::history::{AuditDefect, AuditDefectKind};
use crate::migration::version::Version;

use super::audit::{ACCEPT_AUDIT, hashed};
use super::fields::{bytes, flag, given, given_as, text};
use super::history::of_ledger;
use super::quote::literal;

/// Rows that each look verifies (decision 0015).
const NEWEST: usize = 32;

/// Actions after which a version has a record.
const RECORDS: [&str; 4] = ["apply", "adopt", "baseline", "accept"];

/// How much of the audit is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The newest rows, at each look.
    Newest,
    /// All of it, when a person asks.
    Whole,
}

/// What asks for the rows that a [`Chain`] takes in: those to be verified, and one before them.
pub fn rows(ledger: &Ledger, extent: Extent) -> String {
    let content = hashed([
        "s.id::pg_catalog.text",
        "EXTRACT(epoch FROM s.at)::pg_catalog.text",
        "s.ledger_schema",
        "s.ledger_table",
        "s.action",
        "COALESCE(s.version, '')",
        "s.detail",
        "COALESCE(s.checksum, '')",
        "s.actor",
        "s.database_role",
        "s.tool",
        "COALESCE(s.execution_time_ms::pg_catalog.text, '')",
    ]);
    let order = match extent {
        Extent::Newest => format!("DESC LIMIT {}", NEWEST + 1),
        Extent::Whole => "ASC".to_owned(),
    };
    format!(
        "SELECT s.id, s.hash, {content}, EXTRACT(epoch FROM s.at), s.action, \
         CASE WHEN {here} THEN s.version END, s.checksum IS NOT NULL FROM schemaward.audit s ORDER BY s.id {order}",
        here = of_ledger(ledger)
    )
}

/// What asks for the first record that no row says was written. A look asks for those that are newer than every row
/// that it reads: the end of the audit was cut off, or the server's clock went back, and then all rows are searched.
pub fn unwritten(ledger: &Ledger, extent: Extent) -> String {
    let (rows, of_them) = match extent {
        Extent::Newest => (
            format!(
                "(SELECT a.at FROM schemaward.audit a ORDER BY a.id DESC LIMIT {})",
                NEWEST + 1
            ),
            String::new(),
        ),
        Extent::Whole => (
            "schemaward.audit".to_owned(),
            format!(" WHERE a.action = {}", literal(ACCEPT_AUDIT)),
        ),
    };
    let here = of_ledger(ledger);
    format!(
        "SELECT r.version FROM (SELECT s.version, s.up_checksum, s.stored_at FROM schemaward.script s WHERE {here}) r \
         WHERE r.stored_at > COALESCE((SELECT pg_catalog.max(a.at) FROM {rows} a{of_them}), '-infinity') \
         AND (r.version, r.up_checksum) NOT IN (SELECT s.version, s.checksum FROM schemaward.audit s \
         WHERE {here} AND s.version IS NOT NULL AND s.checksum IS NOT NULL) ORDER BY r.version LIMIT 1"
    )
}

/// A row of the audit.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: i64,
    hash: Vec<u8>,
    content: Vec<u8>,
    /// When it was written, in seconds since the epoch.
    pub at: f64,
    action: String,
    /// The version that it is about, if that is one of this ledger.
    version: Option<String>,
    has_checksum: bool,
}

impl Row {
    /// From the answer to [`rows`].
    pub fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: given_as(row, 0)?,
            // Whatever is no hash is none that fits.
            hash: from_hex(given(row, 1)?),
            content: bytes(row, 2)?.unwrap_or_default().to_vec(),
            at: given_as(row, 3)?,
            action: given(row, 4)?.to_owned(),
            version: text(row, 5)?.map(str::to_owned),
            has_checksum: flag(row, 6)?,
        })
    }

    /// Whether its version has to have a record, if nothing is said of it later.
    fn promises_record(&self) -> bool {
        self.has_checksum && RECORDS.contains(&self.action.as_str())
    }
}

/// What `\x…` says, as far as it is that.
fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("\\x").unwrap_or_default().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.chunks_exact(2).map_while(|pair| {
        let value = digit(pair[0])? * 16 + digit(pair[1])?;
        u8::try_from(value).ok()
    });
    pairs.collect()
}

/// The rows of the audit, taken in from the oldest to the newest, and what is wrong with them. What a person accepted,
/// and all before it, stops nothing again.
#[derive(Debug)]
pub struct Chain {
    extent: Extent,
    taken: usize,
    /// The newest so far.
    id: i64,
    hash: Vec<u8>,
    accepted: i64,
    /// Those in the chain itself that nobody accepted.
    broken: Vec<AuditDefect>,
    /// Those that a person accepted.
    condoned: Vec<AuditDefect>,
    /// Of each version its newest row, and whether that promises a record.
    promises: BTreeMap<String, Promise>,
}

#[derive(Debug)]
struct Promise {
    row: i64,
    version: String,
    stands: bool,
}

impl Chain {
    /// Without rows.
    pub fn new(extent: Extent) -> Self {
        Self {
            extent,
            taken: 0,
            id: 0,
            hash: Vec::new(),
            accepted: 0,
            broken: Vec::new(),
            condoned: Vec::new(),
            promises: BTreeMap::new(),
        }
    }

    /// All of these; `rows` as a look reads them, from the newest to the oldest.
    pub fn of_newest(rows: &[Row]) -> Self {
        let mut chain = Self::new(Extent::Newest);
        let mut oldest_first = rows.iter().rev();
        // There are more, of which it is the newest: what the others are chained to.
        if rows.len() > NEWEST
            && let Some(before) = oldest_first.next()
        {
            chain.follow(before);
        }
        oldest_first.for_each(|row| chain.add(row));
        chain
    }

    /// Takes in the next row.
    pub fn add(&mut self, row: &Row) {
        if row.action == ACCEPT_AUDIT {
            self.accepted = row.id;
            self.condoned.append(&mut self.broken);
        }
        let kind = self.defect(row);
        self.follow(row);
        self.broken.extend(kind.map(|kind| defect(row.id, kind)));
    }

    /// What is wrong with a row behind those that were taken in.
    fn defect(&self, row: &Row) -> Option<AuditDefectKind> {
        let expected = Sha256::new()
            .chain_update(&self.hash)
            .chain_update(&row.content)
            .finalize();
        let begins = ["install", ACCEPT_AUDIT].contains(&row.action.as_str());
        if row.id.checked_sub(1) != Some(self.id) {
            Some(AuditDefectKind::Missing)
        } else if row.hash != expected.as_slice() {
            Some(AuditDefectKind::Changed)
        } else if row.id == 1 && !begins {
            Some(AuditDefectKind::Missing)
        } else {
            None
        }
    }

    fn follow(&mut self, row: &Row) {
        self.taken += 1;
        self.id = row.id;
        self.hash.clone_from(&row.hash);
        if let Some(version) = &row.version {
            let promise = Promise {
                row: row.id,
                version: version.clone(),
                stands: row.promises_record(),
            };
            let key = version.trim_start_matches('0').to_owned();
            self.promises.insert(key, promise);
        }
    }

    /// How many rows were taken in.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// What was not as it was written in the chain when a person accepted it.
    pub fn accepted(&self) -> Option<AuditDefect> {
        AuditDefect::of(self.condoned.clone())
    }

    /// What is not as it was written. `unwritten` is the answer to [`unwritten`]; `has_record` says of a
    /// version, as the audit spells it, whether there is a record of it: the newest rows may have been cut off, or
    /// records, which the chain cannot tell.
    pub fn verdict(
        self,
        unwritten: Option<&str>,
        has_record: impl Fn(&str) -> bool,
    ) -> Option<AuditDefect> {
        let empty = (self.taken == 0).then(|| defect(0, AuditDefectKind::Missing));
        let unwritten =
            unwritten.map(|version| defect(self.id, about(version, AuditDefectKind::Unwritten)));
        let unrecorded = self.promises(has_record).map(|promise| {
            let kind = about(&promise.version, AuditDefectKind::Unrecorded);
            defect(promise.row, kind)
        });
        let mut all = self.broken.clone();
        for defect in empty.into_iter().chain(unwritten).chain(unrecorded) {
            let behind = all.iter().position(|known| known.row > defect.row);
            all.insert(behind.unwrap_or(all.len()), defect);
        }
        AuditDefect::of(all)
    }

    /// Promises of a record that is not there. A look asks for the newest row of this ledger alone.
    fn promises(&self, has_record: impl Fn(&str) -> bool) -> impl Iterator<Item = &Promise> {
        let newest = self.promises.values().map(|promise| promise.row).max();
        let extent = self.extent;
        self.promises.values().filter(move |promise| {
            (extent == Extent::Whole || Some(promise.row) == newest)
                && promise.stands
                && promise.row > self.accepted
                && !has_record(&promise.version)
        })
    }
}

fn defect(row: i64, kind: AuditDefectKind) -> AuditDefect {
    AuditDefect {
        row,
        kind,
        others: Vec::new(),
    }
}

/// A defect of this version. One that is no number is one more thing that somebody changed.
fn about(version: &str, kind: impl Fn(Version) -> AuditDefectKind) -> AuditDefectKind {
    Version::parse(version).map_or(AuditDefectKind::Changed, kind)
}

#[cfg(test)]
mod tests;
