//! The audit as a person reads it, all of it verified.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::postgres::PgRow;

use crate::engine::error::DatabaseError;
use crate::migration::history::AuditDefect;

use super::audit_check::{self, Chain, Extent};
use super::connection::Postgres;
use super::fields::{given, given_as, text, time};
use super::history::of_ledger;

/// Rows that are not as they were written of which the content is read, at the most.
const MOST_WRONG: usize = 100;

/// What the audit holds.
#[derive(Debug)]
pub struct AuditReport {
    /// How many rows it has.
    pub rows: usize,
    /// The newest ones, newest last.
    pub newest: Vec<AuditRow>,
    /// What in it is not as it was written.
    pub defect: Option<AuditDefect>,
    /// The rows of it that are not as they were written, or do not fit what stands before them; at the most 100.
    pub wrong: Vec<AuditRow>,
    /// What was not as it was written when a person accepted the audit.
    pub accepted: Option<AuditDefect>,
}

/// One row of the audit.
#[derive(Debug)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    /// When it was written, by the server's clock.
    pub at: Option<Timestamp>,
    /// What was done.
    pub action: String,
    /// To which version.
    pub version: Option<String>,
    /// In whose name.
    pub actor: String,
    /// The name of the version, or what else is to be said.
    pub detail: String,
}

impl AuditRow {
    /// From the answer to [`newest_rows`].
    fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: given_as(row, 0)?,
            at: time(row, 1)?,
            action: given(row, 2)?.to_owned(),
            version: text(row, 3)?.map(str::to_owned),
            actor: given(row, 4)?.to_owned(),
            detail: given(row, 5)?.to_owned(),
        })
    }
}

impl Postgres {
    /// Reads the newest rows of the audit and verifies all of it; `None`: there is none yet.
    ///
    /// # Errors
    /// Any trouble with the server or with rights; nothing is written.
    pub async fn audit(&mut self, newest: u32) -> Result<Option<AuditReport>, DatabaseError> {
        let facts = self.look_at_facts().await?;
        facts.judge(&self.settings.ledger)?;
        facts.judge_reading(&self.settings)?;
        if !facts.installed {
            return Ok(None);
        }
        let ledger = &self.settings.ledger;
        let questions = [
            newest_rows(newest),
            format!(
                "SELECT s.version FROM schemaward.script s WHERE {}",
                of_ledger(ledger)
            ),
            audit_check::unwritten(ledger, Extent::Whole),
            audit_check::rows(ledger, Extent::Whole),
        ];
        let mut found = Found {
            newest: Vec::new(),
            recorded: HashSet::new(),
            unwritten: None,
            chain: Chain::new(Extent::Whole),
        };
        self.read_each(&questions, |question, row| found.take(question, &row))
            .await?;
        let mut report = found.report();
        if let Some(defect) = &report.defect {
            let rows: Vec<_> = defect.rows().take(MOST_WRONG).collect();
            let wrong = &mut report.wrong;
            self.read_each(&[rows_of(&rows)], |_, row| {
                wrong.push(AuditRow::read(&row)?);
                Ok(())
            })
            .await?;
        }
        Ok(Some(report))
    }
}

/// What an [`AuditRow`] is read from.
const COLUMNS: &str =
    "SELECT a.id, EXTRACT(epoch FROM a.at), a.action, a.version, a.actor, a.detail FROM";

fn rows_of(rows: &[i64]) -> String {
    let rows: Vec<_> = rows.iter().map(ToString::to_string).collect();
    format!(
        "{COLUMNS} schemaward.audit a WHERE a.id = ANY ('{{{}}}'::pg_catalog.int8[]) ORDER BY a.id",
        rows.join(",")
    )
}

fn newest_rows(newest: u32) -> String {
    format!(
        "{COLUMNS} (SELECT a.* FROM schemaward.audit a ORDER BY a.id DESC LIMIT {newest}) a ORDER BY a.id"
    )
}

/// What came of the answers so far. The audit is verified row by row: it may be long.
struct Found {
    newest: Vec<AuditRow>,
    /// The versions that have a record.
    recorded: HashSet<String>,
    unwritten: Option<String>,
    chain: Chain,
}

impl Found {
    fn take(&mut self, question: usize, row: &PgRow) -> Result<(), DatabaseError> {
        match question {
            0 => self.newest.push(AuditRow::read(row)?),
            1 => {
                self.recorded.insert(given(row, 0)?.to_owned());
            }
            2 => self.unwritten = Some(given(row, 0)?.to_owned()),
            _ => self.chain.add(&audit_check::Row::read(row)?),
        }
        Ok(())
    }

    fn report(self) -> AuditReport {
        let unwritten = self.unwritten.as_deref();
        AuditReport {
            rows: self.chain.taken(),
            newest: self.newest,
            wrong: Vec::new(),
            accepted: self.chain.accepted(),
            defect: self
                .chain
                .verdict(unwritten, |version| self.recorded.contains(version)),
        }
    }
}
