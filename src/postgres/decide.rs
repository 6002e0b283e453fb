//! What a person decided, in one transaction with its rows in the audit.

use crate::engine::database::Texts;
use crate::engine::decision::{Change, Settlement, Verdict, Was};
use crate::engine::error::DatabaseError;
use crate::engine::task::{Ledger, Owner};
use crate::migration::checksum::Checksum;
use crate::migration::version::Version;

use super::audit::{self, Entry};
use super::facts::Facts;
use super::history::of_ledger;
use super::journal;
use super::prepare;
use super::quote::{ledger as quoted, literal};
use super::record::{of_version, replace_texts};

/// The statements, BEGIN and COMMIT included. What is missing of the tables is created first: a history that
/// another program wrote may be what somebody decides about.
pub fn statements(
    facts: &Facts,
    ledger: &Ledger,
    settlement: &Settlement,
) -> Result<Vec<String>, DatabaseError> {
    let actor = &settlement.actor;
    let mut all = prepare::opening(facts, ledger, actor, settlement.server.as_ref());
    for change in &settlement.changes {
        match change {
            Change::Take {
                version,
                texts,
                was,
            } => {
                all.push(set_checksum(ledger, version, texts.up_checksum));
                all.push(replace_texts(ledger, version, texts)?);
                let detail = taken(texts, was);
                all.push(accepted(
                    ledger,
                    actor,
                    version,
                    &detail,
                    Some(texts.up_checksum),
                ));
            }
            Change::PutBack {
                version,
                checksum,
                ledger: found,
            } => {
                all.push(set_checksum(ledger, version, *checksum));
                let detail = format!(
                    "kept text, the history table had {}",
                    shown(found.as_deref())
                );
                all.push(accepted(ledger, actor, version, &detail, Some(*checksum)));
            }
            Change::Forget { version, .. } => {
                all.push(format!(
                    "DELETE FROM schemaward.script s WHERE {}",
                    of_version(ledger, version)
                ));
                let detail = "not in the history table, record deleted";
                all.push(accepted(ledger, actor, version, detail, None));
            }
            Change::AcceptAudit { defect } => {
                let found = defect.as_ref().map(ToString::to_string);
                let detail = found.unwrap_or_else(|| "no defect in the newest rows".to_owned());
                all.push(owned(ledger, actor, audit::ACCEPT_AUDIT, &detail));
            }
            Change::Know {
                database,
                before,
                entries_before,
                entries,
            } => {
                let entries_before = entries_before
                    .map_or_else(|| "unknown".to_owned(), |number| number.to_string());
                let detail = format!(
                    "database {database}, entries {entries}; before {before}, entries {entries_before}"
                );
                all.push(owned(ledger, actor, "accept", &detail));
            }
            Change::Claim { from, to } => {
                all.push(prepare::claim(ledger, to));
                let detail = format!("{}, before {}", named(to), named(from));
                all.push(owned(ledger, actor, "takeover", &detail));
            }
            Change::Release { from } => {
                all.push(format!(
                    "DELETE FROM schemaward.claim s WHERE {}",
                    of_ledger(ledger)
                ));
                all.push(owned(ledger, actor, "release", &named(from)));
            }
            Change::Resolve {
                version,
                direction,
                statements: (first, _),
                checksum,
                verdict,
            } => {
                all.push(journal::resolve(
                    ledger, version, *direction, *first, *checksum, *verdict,
                ));
                let detail = format!(
                    "{direction}, statement {first}: {}",
                    match verdict {
                        Verdict::Applied => "taken as done",
                        Verdict::Retry => "taken as not done",
                    }
                );
                all.push(about_version(
                    ledger,
                    actor,
                    "resolve",
                    version,
                    &detail,
                    Some(*checksum),
                ));
            }
        }
    }
    all.push("COMMIT".to_owned());
    Ok(all)
}

fn set_checksum(ledger: &Ledger, version: &Version, checksum: Checksum) -> String {
    format!(
        "UPDATE {} l SET checksum = {} WHERE l.version = {}",
        quoted(ledger),
        literal(&checksum.to_string()),
        literal(version.as_str())
    )
}

/// Every checksum in full, before and after: `UP was …, is …; the history table had …; DOWN was …, is …`.
fn taken(texts: &Texts, was: &Was) -> String {
    let full = |checksum: Option<Checksum>| {
        checksum.map_or_else(|| "none".to_owned(), |checksum| checksum.to_string())
    };
    let mut detail = format!(
        "UP was {}, is {}; the history table had {}",
        full(was.up),
        texts.up_checksum,
        shown(was.ledger.as_deref())
    );
    if texts.down_checksum.is_some() {
        detail.push_str("; DOWN was ");
        detail.push_str(&full(was.down));
        detail.push_str(", is ");
        detail.push_str(&full(texts.down_checksum));
    }
    detail
}

/// What stood in the ledger's column, cut where it is no checksum at all.
fn shown(found: Option<&str>) -> String {
    found.map_or_else(
        || "none".to_owned(),
        |text| text.trim_end().chars().take(80).collect(),
    )
}

fn accepted(
    ledger: &Ledger,
    actor: &str,
    version: &Version,
    detail: &str,
    checksum: Option<Checksum>,
) -> String {
    about_version(ledger, actor, "accept", version, detail, checksum)
}

fn about_version(
    ledger: &Ledger,
    actor: &str,
    action: &str,
    version: &Version,
    detail: &str,
    checksum: Option<Checksum>,
) -> String {
    let checksum = checksum.map(|checksum| checksum.to_string());
    audit::append(
        ledger,
        &Entry {
            action,
            version: Some(version.as_str()),
            detail,
            checksum: checksum.as_deref(),
            actor,
            execution_time_ms: "NULL",
        },
    )
}

fn owned(ledger: &Ledger, actor: &str, action: &str, detail: &str) -> String {
    audit::append(
        ledger,
        &Entry {
            action,
            version: None,
            detail,
            checksum: None,
            actor,
            execution_time_ms: "NULL",
        },
    )
}

fn named(owner: &Owner) -> String {
    format!(
        "{}/{} uid {} of cluster {}",
        owner.namespace, owner.name, owner.uid, owner.cluster
    )
}
