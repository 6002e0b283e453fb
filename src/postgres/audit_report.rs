//! The audit as a person reads it, all of it verified.

use jiff::Timestamp;
use serde::Deserialize;

use crate::engine::error::DatabaseError;
use crate::migration::history::AuditDefect;

use super::audit_check::{self, Extent};
use super::connection::Postgres;
use super::facts::Facts;
use super::facts_query;
use super::history::AuditDefectRow;

/// What the audit holds.
#[derive(Debug)]
pub struct AuditReport {
    /// How many rows it has.
    pub rows: i64,
    /// The newest ones, newest last.
    pub newest: Vec<AuditRow>,
    /// The first thing in it that is not as it was written.
    pub defect: Option<AuditDefect>,
}

/// One row of the audit.
#[derive(Debug, Deserialize)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    /// When it was written, in microseconds since the epoch, by the server's clock.
    at: i64,
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
    /// When it was written.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.at).ok()
    }
}

#[derive(Debug, Deserialize)]
struct Found {
    rows: i64,
    newest: Vec<AuditRow>,
    defect: Option<AuditDefectRow>,
}

impl Postgres {
    /// Reads the newest rows of the audit and verifies all of it; `None`: there is none yet.
    ///
    /// # Errors
    /// Any trouble with the server or with rights; nothing is written.
    pub async fn audit(&mut self, newest: u32) -> Result<Option<AuditReport>, DatabaseError> {
        let facts: Facts = self.read_json(facts_query::query(&self.settings)).await?;
        facts.judge(&self.settings.ledger)?;
        facts.judge_reading(&self.settings)?;
        if !facts.installed {
            return Ok(None);
        }
        let sql = format!(
            "SELECT pg_catalog.json_build_object(\
             'rows', (SELECT pg_catalog.count(*) FROM schemaward.audit a), \
             'newest', COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
             'id', a.id, 'at', (EXTRACT(epoch FROM a.at) * 1000000)::pg_catalog.int8, \
             'action', a.action, 'version', a.version, 'actor', a.actor, 'detail', a.detail) ORDER BY a.id) \
             FROM (SELECT a.* FROM schemaward.audit a ORDER BY a.id DESC LIMIT {newest}) a), \
             '[]'::pg_catalog.json), 'defect', {})::pg_catalog.text",
            audit_check::defect(&self.settings.ledger, Extent::Whole)
        );
        let found: Found = self.read_json(sql).await?;
        Ok(Some(AuditReport {
            rows: found.rows,
            newest: found.newest,
            defect: found.defect.as_ref().map(AuditDefectRow::defect),
        }))
    }
}
