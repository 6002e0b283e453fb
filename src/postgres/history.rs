//! Reading the ledger, our records beside it, and the claim.

use std::collections::BTreeSet;

use sqlx::postgres::PgRow;

use crate::engine::database::Installation;
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::server_identity::{ServerIdentity, ServerSeen};
use crate::engine::task::{Ledger, Owner};
use crate::migration::history::{AuditDefect, History};
use crate::migration::version::Version;

use super::audit_check::{self, Chain, Extent};
use super::facts::Facts;
use super::fields::{given, given_as};
use super::flushed::{self, Unflushed};
use super::journal;
use super::quote::literal;
use super::rows::{self, Records};
use super::session::OWN_SEARCH_PATH;

/// Format of the tables in schema `schemaward`; a larger one was written by a newer Schemaward.
pub const FORMAT: i32 = 2;

/// What a look asks the tables for, a statement each. So it is planned with little and answered by plain rows, which
/// a new session has soonest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Ledger,
    Scripts,
    Installation,
    Claim,
    Journal,
    /// The newest rows of the audit.
    Audit,
    /// A record that the audit does not have.
    Unwritten,
    /// Which server the audit knew last.
    AuditedServer,
    /// How often versions were undone.
    Undone,
    /// Whether the ledger ever held a version.
    Used,
    /// Where the server's log of changes is.
    Log,
    /// Which server it is. Two reads of a small file.
    Server,
}

/// What stands in the tables: the rows of each answer.
#[derive(Debug, Default)]
pub struct Content(Vec<(About, Vec<PgRow>)>);

/// The statements for the tables that exist, and for which server it is when `reads_server`. They are for one snapshot.
pub fn questions(facts: &Facts, ledger: &Ledger, reads_server: bool) -> Vec<(About, String)> {
    let mut all = Vec::new();
    if facts.ledger_exists {
        all.push((About::Ledger, rows::of_the_ledger(ledger)));
    }
    if facts.installed {
        all.extend(ours(facts, ledger));
    }
    if reads_server {
        let server = "SELECT s.system_identifier, c.timeline_id \
             FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c";
        all.push((About::Server, server.to_owned()));
    }
    all
}

/// What asks for what stands in our tables.
fn ours(facts: &Facts, ledger: &Ledger) -> Vec<(About, String)> {
    let here = of_ledger(ledger);
    let marked = if facts.baselines_are_marked {
        "s.baseline"
    } else {
        "false"
    };
    let mut all = vec![
        (About::Scripts, rows::of_scripts(ledger, marked)),
        (
            About::Installation,
            "SELECT i.format, i.database_id FROM schemaward.installation i".to_owned(),
        ),
        (
            About::Claim,
            format!(
                "SELECT s.cluster, s.namespace, s.name, s.uid FROM schemaward.claim s WHERE {here}"
            ),
        ),
        (About::Audit, audit_check::rows(ledger, Extent::Newest)),
        (
            About::Unwritten,
            audit_check::unwritten(ledger, Extent::Newest),
        ),
        (
            About::AuditedServer,
            format!(
                "SELECT s.detail FROM schemaward.audit s WHERE {here} \
                 AND s.action IN ('install', 'server') ORDER BY s.id DESC LIMIT 1"
            ),
        ),
        (
            About::Undone,
            format!(
                "SELECT s.version, pg_catalog.count(*) FROM schemaward.audit s WHERE {here} \
                 AND s.action = 'undo' AND s.version IS NOT NULL GROUP BY s.version"
            ),
        ),
        (
            About::Used,
            format!(
                "SELECT s.id FROM schemaward.audit s WHERE {here} \
                 AND s.action IN ('apply', 'adopt', 'baseline') LIMIT 1"
            ),
        ),
        (About::Log, flushed::QUESTION.to_owned()),
    ];
    if facts.journal_exists {
        all.push((About::Journal, journal::rows(ledger)));
    }
    all
}

/// Compressed bytes of texts that one answer has at the most, the first text aside.
const MOST_READ_BYTES: usize = 1_000_000;

/// The condition that a row of ours, aliased `s`, belongs to this ledger.
pub fn of_ledger(ledger: &Ledger) -> String {
    format!(
        "s.ledger_schema = {} AND s.ledger_table = {}",
        literal(&ledger.schema),
        literal(&ledger.table)
    )
}

/// The kept DOWN texts of the first of these versions: as many as are small together, and at least one.
pub fn stored_downs_query(ledger: &Ledger, versions: &[Version]) -> String {
    let versions: Vec<_> = versions.iter().map(|of| literal(of.as_str())).collect();
    format!(
        "BEGIN READ ONLY; {OWN_SEARCH_PATH}; SELECT ARRAY(SELECT t.down FROM (SELECT v.number, s.down, \
         pg_catalog.sum(pg_catalog.octet_length(s.down)) OVER (ORDER BY v.number) AS bytes \
         FROM pg_catalog.unnest(ARRAY[{}]::pg_catalog.text[]) WITH ORDINALITY v (version, number) \
         LEFT JOIN schemaward.script s ON {} AND s.version = v.version) t \
         WHERE t.number = 1 OR COALESCE(t.bytes, 0) <= {MOST_READ_BYTES} ORDER BY t.number); COMMIT",
        versions.join(", "),
        of_ledger(ledger),
    )
}

impl Content {
    /// Takes in a row that answers one of the [`questions`].
    pub fn take(&mut self, about: About, row: PgRow) {
        match self.0.last_mut() {
            Some((last, rows)) if *last == about => rows.push(row),
            _ => self.0.push((about, vec![row])),
        }
    }

    fn rows(&self, about: About) -> &[PgRow] {
        let answer = self.0.iter().find(|(asked, _)| *asked == about);
        answer.map_or(&[], |(_, rows)| rows)
    }

    fn row(&self, about: About) -> Option<&PgRow> {
        self.rows(about).first()
    }

    /// Our own schema, when it is there and written by a version that we know.
    pub fn installation(&self) -> Result<Option<Installation>, DatabaseError> {
        let Some(row) = self.row(About::Installation) else {
            return Ok(None);
        };
        let format: i32 = given_as(row, 0)?;
        if format > FORMAT {
            return Err(DatabaseError::new(
                DatabaseErrorKind::HistoryTooNew,
                format!(
                    "Schema \"schemaward\" has format {format}, this Schemaward knows up to {FORMAT}. \
                     Nothing was changed. Use the newer Schemaward that wrote it."
                ),
            ));
        }
        let newest = self.row(About::Audit).map(|row| given_as(row, 0));
        Ok(Some(Installation {
            database_id: given_as(row, 1)?,
            audit_entries: newest.transpose()?.unwrap_or_default(),
            is_outdated: format < FORMAT,
        }))
    }

    /// Which server it is, and which one the audit has.
    pub fn server(&self) -> Result<ServerSeen, DatabaseError> {
        let now = self.row(About::Server).map(server);
        let audited = self.row(About::AuditedServer).map(|row| given(row, 0));
        Ok(ServerSeen {
            now: now.transpose()?,
            audited: audited.transpose()?.and_then(ServerIdentity::parse),
        })
    }

    /// Who owns the ledger.
    pub fn claim(&self) -> Result<Option<Owner>, DatabaseError> {
        self.row(About::Claim).map(owner).transpose()
    }

    /// What a crash of the server could take back of it.
    pub fn unflushed(&self) -> Result<Option<Unflushed>, DatabaseError> {
        match (self.row(About::Log), self.row(About::Audit)) {
            (Some(log), Some(newest)) => Unflushed::read(log, audit_check::Row::read(newest)?.at),
            _ => Ok(None),
        }
    }

    /// The rows and records as a history.
    pub fn history(&self) -> Result<History, DatabaseError> {
        let records = Records::read(self.rows(About::Scripts))?;
        let rows = rows::applied(self.rows(About::Ledger), &records.stored)?;
        let recorded: BTreeSet<_> = rows.iter().map(|row| &row.version).collect();
        let orphans = records
            .stored
            .keys()
            .filter(|version| !recorded.contains(version))
            .cloned()
            .collect();
        let audit_defect = self.audit_defect(&records)?;
        let undone = self.undone()?;
        let begun = journal::begun(self.rows(About::Journal))?;
        History::new(rows, orphans)
            .map(|history| {
                history
                    .with_baselined(records.baselined)
                    .with_undone(undone)
                    .with_use(self.row(About::Used).is_some())
                    .with_audit_defect(audit_defect)
                    .with_begun(begun)
            })
            .map_err(|defect| unreadable(defect.to_string()))
    }

    fn undone(&self) -> Result<Vec<(Version, u64)>, DatabaseError> {
        let mut undone = Vec::new();
        for row in self.rows(About::Undone) {
            if let Ok(version) = Version::parse(given(row, 0)?) {
                undone.push((version, given_as(row, 1)?));
            }
        }
        Ok(undone)
    }

    fn audit_defect(&self, records: &Records) -> Result<Option<AuditDefect>, DatabaseError> {
        if self.row(About::Installation).is_none() {
            return Ok(None);
        }
        let rows = self.rows(About::Audit).iter().map(audit_check::Row::read);
        let chain = Chain::of_newest(&rows.collect::<Result<Vec<_>, _>>()?);
        let unwritten = self.row(About::Unwritten).map(|row| given(row, 0));
        Ok(chain.verdict(unwritten.transpose()?, |version| records.has(version)))
    }
}

fn server(row: &PgRow) -> Result<ServerIdentity, DatabaseError> {
    Ok(ServerIdentity {
        system_identifier: given_as(row, 0)?,
        timeline: given_as(row, 1)?,
    })
}

fn owner(row: &PgRow) -> Result<Owner, DatabaseError> {
    let field = |index| given(row, index).map(str::to_owned);
    Ok(Owner {
        cluster: field(0)?,
        namespace: field(1)?,
        name: field(2)?,
        uid: field(3)?,
    })
}

pub(super) fn unreadable(what: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::new(
        DatabaseErrorKind::HistoryUnreadable,
        format!(
            "The history cannot be read: {what}. Nothing was changed. Mend that row by hand or \
             restore it from a backup."
        ),
    )
}
