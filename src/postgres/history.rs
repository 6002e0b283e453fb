//! Reading the ledger, our records beside it, and the claim.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::engine::database::Installation;
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::server_identity::{ServerIdentity, ServerSeen};
use crate::engine::task::{Ledger, Owner};
use crate::migration::begun::{Begun, Entry, EntryState};
use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::history::{AuditDefect, AuditDefectKind, History};
use crate::migration::version::Version;

use super::audit_check::{self, Extent};
use super::columns::{LedgerColumns, ScriptColumns};
use super::facts::Facts;
use super::flushed::{self, Unflushed};
use super::journal;
use super::look::json;
use super::quote::{ledger as quoted, literal};
use super::session::OWN_SEARCH_PATH;

/// Format of the tables in schema `schemaward`; a larger one was written by a newer Schemaward.
pub const FORMAT: i32 = 2;

/// What stands in the tables: a document, and beside it the two that have a row for each version.
#[derive(Debug, Default, Deserialize)]
pub struct Content {
    #[serde(skip)]
    rows: LedgerColumns,
    #[serde(skip)]
    scripts: ScriptColumns,
    #[serde(default)]
    journal: Vec<JournalRow>,
    claim: Option<ClaimRow>,
    installation: Option<InstallationRow>,
    server: Option<ServerRow>,
    audited_server: Option<String>,
    #[serde(default)]
    undone: Vec<UndoneRow>,
    #[serde(default)]
    used: bool,
    audit_defect: Option<AuditDefectRow>,
    /// What a crash of the server could take back of it.
    pub unflushed: Option<Unflushed>,
}

/// How often a version was undone.
#[derive(Debug, Deserialize)]
struct UndoneRow {
    version: String,
    times: u64,
}

/// What [`audit_check::defect`] answers.
#[derive(Debug, Deserialize)]
pub struct AuditDefectRow {
    id: i64,
    kind: String,
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct JournalRow {
    version: String,
    direction: String,
    first: usize,
    last: usize,
    checksum: String,
    state: String,
    before: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct ClaimRow {
    cluster: String,
    namespace: String,
    name: String,
    uid: String,
}

#[derive(Debug, Deserialize)]
struct InstallationRow {
    format: i32,
    database_id: Uuid,
    audit_entries: i64,
}

#[derive(Debug, Deserialize)]
struct ServerRow {
    system_identifier: i64,
    timeline: i64,
}

/// Which server it is. Two reads of a small file.
const SERVER: &str = "'server', (SELECT pg_catalog.json_build_object(\
     'system_identifier', s.system_identifier, 'timeline', c.timeline_id) \
     FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c)";

/// The query for the tables that exist, and for which server it is when `reads_server`; `None` when there is
/// nothing to ask for. All of it is one statement, so one snapshot.
pub fn query(facts: &Facts, ledger: &Ledger, reads_server: bool) -> Option<String> {
    if !facts.ledger_exists && !facts.installed && !reads_server {
        return None;
    }
    let mut document = Vec::new();
    let mut tables = Vec::new();
    if facts.ledger_exists {
        let (selected, table) = (LedgerColumns::selected(), quoted(ledger));
        tables.push(format!("(SELECT {selected} FROM {table} l) l"));
    }
    if facts.installed {
        document.push(ours(facts, ledger));
        let marked = if facts.baselines_are_marked {
            "s.baseline"
        } else {
            "false"
        };
        let (selected, here) = (ScriptColumns::selected(marked), of_ledger(ledger));
        tables.push(format!(
            "(SELECT {selected} FROM schemaward.script s WHERE {here}) s"
        ));
    }
    if reads_server {
        document.push(SERVER.to_owned());
    }
    let document = document.join(", ");
    let arrays = if tables.is_empty() {
        String::new()
    } else {
        format!(", * FROM {}", tables.join(", "))
    };
    Some(format!(
        "SELECT pg_catalog.json_build_object({document}) AS content{arrays}"
    ))
}

/// What stands in our tables but the scripts: keys and values of the document.
fn ours(facts: &Facts, ledger: &Ledger) -> String {
    let here = of_ledger(ledger);
    let journal = if facts.journal_exists {
        format!(
            ", 'journal', COALESCE((SELECT pg_catalog.json_agg({} ORDER BY s.first_statement) \
             FROM schemaward.journal s WHERE {here}), '[]'::pg_catalog.json)",
            journal::ROW
        )
    } else {
        String::new()
    };
    format!(
        "'claim', (SELECT pg_catalog.json_build_object('cluster', s.cluster, \
         'namespace', s.namespace, 'name', s.name, 'uid', s.uid) \
         FROM schemaward.claim s WHERE {here}), \
         'audit_defect', {audit}, 'unflushed', {unflushed}, \
         'audited_server', (SELECT s.detail FROM schemaward.audit s WHERE {here} \
         AND s.action IN ('install', 'server') ORDER BY s.id DESC LIMIT 1), \
         'undone', COALESCE((SELECT pg_catalog.json_agg(u) FROM (SELECT s.version, pg_catalog.count(*) AS times \
         FROM schemaward.audit s WHERE {here} AND s.action = 'undo' AND s.version IS NOT NULL \
         GROUP BY s.version) u), '[]'::pg_catalog.json), \
         'used', EXISTS (SELECT 1 FROM schemaward.audit s WHERE {here} \
         AND s.action IN ('apply', 'adopt', 'baseline')), \
         'installation', (SELECT pg_catalog.json_build_object('format', i.format, \
         'database_id', i.database_id, \
         'audit_entries', COALESCE((SELECT pg_catalog.max(a.id) FROM schemaward.audit a), 0)) \
         FROM schemaward.installation i){journal}",
        audit = audit_check::defect(ledger, Extent::Newest),
        unflushed = flushed::expression(),
    )
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
    /// Takes it from the answer to [`query`].
    pub fn read(row: &PgRow, facts: &Facts) -> Result<Self, DatabaseError> {
        let mut content: Self = json(row, "content")?;
        if facts.ledger_exists {
            content.rows = LedgerColumns::read(row)?;
        }
        if facts.installed {
            content.scripts = ScriptColumns::read(row)?;
        }
        Ok(content)
    }

    /// Our own schema, when it is there and written by a version that we know.
    pub fn installation(&self) -> Result<Option<Installation>, DatabaseError> {
        match &self.installation {
            None => Ok(None),
            Some(found) if found.format > FORMAT => Err(DatabaseError::new(
                DatabaseErrorKind::HistoryTooNew,
                format!(
                    "Schema \"schemaward\" has format {}, this Schemaward knows up to {FORMAT}. \
                     Nothing was changed. Use the newer Schemaward that wrote it.",
                    found.format
                ),
            )),
            Some(found) => Ok(Some(Installation {
                database_id: found.database_id,
                audit_entries: found.audit_entries,
                is_outdated: found.format < FORMAT,
            })),
        }
    }

    /// Which server it is, and which one the audit has.
    pub fn server(&self) -> ServerSeen {
        let now = self.server.as_ref().map(|row| ServerIdentity {
            system_identifier: row.system_identifier,
            timeline: row.timeline,
        });
        let audited = self.audited_server.as_deref();
        ServerSeen {
            now,
            audited: audited.and_then(ServerIdentity::parse),
        }
    }

    /// Who owns the ledger.
    pub fn claim(&self) -> Option<Owner> {
        self.claim.as_ref().map(|claim| Owner {
            cluster: claim.cluster.clone(),
            namespace: claim.namespace.clone(),
            name: claim.name.clone(),
            uid: claim.uid.clone(),
        })
    }

    /// The rows and records as a history.
    pub fn history(&self) -> Result<History, DatabaseError> {
        let scripts = self
            .scripts
            .records()
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let rows = self.rows.applied(&scripts)?;
        let recorded: BTreeSet<_> = rows.iter().map(|row| &row.version).collect();
        let orphans = scripts
            .keys()
            .filter(|version| !recorded.contains(version))
            .cloned()
            .collect();
        let baselined = self.scripts.baselined();
        let undone = self.undone.iter();
        let undone = undone.filter_map(|row| Some((Version::parse(&row.version).ok()?, row.times)));
        let begun = self.begun()?;
        History::new(rows, orphans)
            .map(|history| {
                let defect = self.audit_defect.as_ref().map(AuditDefectRow::defect);
                history
                    .with_baselined(baselined)
                    .with_undone(undone)
                    .with_use(self.used)
                    .with_audit_defect(defect)
                    .with_begun(begun)
            })
            .map_err(|defect| unreadable(defect.to_string()))
    }

    /// The version that was begun and is not recorded.
    fn begun(&self) -> Result<Option<Begun>, DatabaseError> {
        let mut begun: Option<Begun> = None;
        for row in &self.journal {
            let (version, direction, entry) = journal_row(row)?;
            let found = begun.get_or_insert_with(|| Begun {
                version: version.clone(),
                direction,
                entries: Vec::new(),
            });
            if found.version != version || found.direction != direction {
                return Err(journal::unreadable("a second version"));
            }
            found.entries.push(entry);
        }
        Ok(begun)
    }
}

fn journal_row(row: &JournalRow) -> Result<(Version, Direction, Entry), DatabaseError> {
    let before = row.before.clone().map(serde_json::from_value);
    let entry = Entry {
        first: row.first,
        last: row.last,
        checksum: Checksum::parse(&row.checksum).map_err(|_| journal::unreadable("a checksum"))?,
        state: EntryState::parse(&row.state).ok_or_else(|| journal::unreadable("a state"))?,
        before: before
            .transpose()
            .map_err(|_| journal::unreadable("what the catalog showed"))?,
    };
    let version = Version::parse(&row.version).map_err(|_| journal::unreadable("a version"))?;
    Ok((version, journal::direction(&row.direction)?, entry))
}

impl AuditDefectRow {
    /// The defect. A version that is no number is one more thing that somebody changed.
    pub fn defect(&self) -> AuditDefect {
        let version = || Version::parse(self.version.as_deref().unwrap_or_default()).ok();
        let kind = match (self.kind.as_str(), version()) {
            ("missing", _) => AuditDefectKind::Missing,
            ("unwritten", Some(version)) => AuditDefectKind::Unwritten(version),
            ("unrecorded", Some(version)) => AuditDefectKind::Unrecorded(version),
            _ => AuditDefectKind::Changed,
        };
        AuditDefect { row: self.id, kind }
    }
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
