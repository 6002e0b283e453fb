//! What was changed in a database, when, by whom and how long it took: the audit of one ledger, and the rows of that
//! ledger which another program wrote.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use crate::engine::database::{Inspection, Server};
use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;
use crate::migration::version::Version;

use super::connection::Postgres;
use super::quote::literal;

/// Which changes are wanted.
#[derive(Debug, Clone)]
pub struct ChangesWanted {
    /// Of this version alone.
    pub version: Option<Version>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// At the most so many, the newest.
    pub limit: u32,
}

/// What was changed.
#[derive(Debug)]
pub struct Changes {
    /// The server that was asked.
    pub server: Server,
    /// Oldest first.
    pub changes: Vec<RecordedChange>,
    /// There are older ones that were not asked for.
    pub has_more: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedChange {
    /// When, by the server's clock; `None`: the ledger does not say.
    pub at: Option<Timestamp>,
    /// What was done, as the audit calls it; `apply` of a row that another program wrote.
    pub action: String,
    /// The version concerned.
    pub version: Option<String>,
    /// The name of the version, or what else is to be said.
    pub detail: String,
    /// How long it took on the server, in milliseconds.
    pub execution_time_ms: Option<i64>,
    /// Who did it; `None`: another program, which did not say.
    pub by: Option<By>,
}

/// Who changed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The resource or the command line, and who approved it.
    pub actor: String,
    /// The role in the database.
    pub database_role: String,
    /// The program and its version.
    pub tool: String,
}

#[derive(Debug, Deserialize)]
struct AuditRow {
    at: i64,
    action: String,
    version: Option<String>,
    detail: String,
    execution_time_ms: Option<i64>,
    actor: String,
    database_role: String,
    tool: String,
}

#[derive(Debug, Default, Deserialize)]
struct Found {
    newest: Vec<AuditRow>,
    /// Versions whose row in the ledger we wrote, and did not undo since.
    ours: Vec<String>,
}

/// Rows of the audit that change nothing of the schema and decide nothing.
const OWN_AFFAIRS: &str = "'install', 'upgrade', 'server'";

impl Postgres {
    /// What was changed in the database.
    ///
    /// # Errors
    /// Any trouble with the server or with rights; nothing is written.
    pub async fn changes(&mut self, wanted: &ChangesWanted) -> Result<Changes, DatabaseError> {
        let seen = self.inspect().await?;
        let found: Found = if seen.installation.is_some() {
            self.read_json(query(&self.settings.ledger, wanted)).await?
        } else {
            Found::default()
        };
        let mut changes: Vec<_> = others(&seen, wanted, &found.ours).collect();
        changes.extend(found.newest.into_iter().map(RecordedChange::from));
        // The ledger's times and the audit's are of the same clock. What has none came before all else.
        changes.sort_by_key(|change| change.at);
        let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        let more = changes.len().saturating_sub(limit);
        changes.drain(..more);
        Ok(Changes {
            server: seen.server,
            changes,
            has_more: more > 0,
        })
    }
}

impl From<AuditRow> for RecordedChange {
    fn from(row: AuditRow) -> Self {
        Self {
            at: Timestamp::from_microsecond(row.at).ok(),
            action: row.action,
            version: row.version,
            detail: row.detail,
            execution_time_ms: row.execution_time_ms,
            by: Some(By {
                actor: row.actor,
                database_role: row.database_role,
                tool: row.tool,
            }),
        }
    }
}

/// The rows of the ledger that another program wrote.
fn others<'a>(
    seen: &'a Inspection,
    wanted: &'a ChangesWanted,
    ours: &[String],
) -> impl Iterator<Item = RecordedChange> + use<'a> {
    let ours: BTreeSet<Version> = ours
        .iter()
        .filter_map(|text| Version::parse(text).ok())
        .collect();
    let rows = seen.history.iter().filter(move |row| {
        let is_wanted = wanted
            .version
            .as_ref()
            .is_none_or(|version| row.version == *version);
        let is_recent = wanted
            .since
            .is_none_or(|since| row.applied_at >= Some(since));
        is_wanted && is_recent && !ours.contains(&row.version)
    });
    rows.map(|row| RecordedChange {
        at: row.applied_at,
        action: "apply".to_owned(),
        version: Some(row.version.to_string()),
        detail: row.name.clone(),
        execution_time_ms: row.execution_time_ms,
        by: None,
    })
}

/// One more than the newest that are wanted, so that it is known whether there are others.
fn query(ledger: &Ledger, wanted: &ChangesWanted) -> String {
    let here = format!(
        "a.ledger_schema = {} AND a.ledger_table = {}",
        literal(&ledger.schema),
        literal(&ledger.table)
    );
    let version = wanted.version.as_ref().map_or_else(String::new, |version| {
        let digits = literal(version.as_str());
        format!(" AND pg_catalog.ltrim(a.version, '0') = pg_catalog.ltrim({digits}, '0')")
    });
    let since = wanted.since.map_or_else(String::new, |since| {
        let since = literal(&since.to_string());
        format!(" AND a.at >= {since}::pg_catalog.timestamptz")
    });
    format!(
        "SELECT pg_catalog.json_build_object(\
         'newest', COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
         'at', (EXTRACT(epoch FROM n.at) * 1000000)::pg_catalog.int8, 'action', n.action, \
         'version', n.version, 'detail', n.detail, 'execution_time_ms', n.execution_time_ms, \
         'actor', n.actor, 'database_role', n.database_role, 'tool', n.tool) ORDER BY n.id) \
         FROM (SELECT a.* FROM schemaward.audit a WHERE {here} AND a.action NOT IN ({OWN_AFFAIRS})\
         {version}{since} ORDER BY a.id DESC LIMIT {limit}) n), '[]'::pg_catalog.json), \
         'ours', COALESCE((SELECT pg_catalog.json_agg(n.version) FROM (\
         SELECT DISTINCT ON (pg_catalog.ltrim(a.version, '0')) a.version, a.action FROM schemaward.audit a \
         WHERE {here} AND a.action IN ('apply', 'baseline', 'undo') AND a.version IS NOT NULL \
         ORDER BY pg_catalog.ltrim(a.version, '0'), a.id DESC) n WHERE n.action <> 'undo'), \
         '[]'::pg_catalog.json))::pg_catalog.text",
        limit = u64::from(wanted.limit) + 1
    )
}
