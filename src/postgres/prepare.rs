//! What is done once before versions run: the tables, the claim, rows taken over. One transaction.

use crate::engine::database::{AdoptedVersion, BaselinedVersion, Preparation};
use crate::engine::error::DatabaseError;
use crate::engine::server_identity::ServerIdentity;
use crate::engine::task::{Ledger, Owner};

use super::audit::{self, Entry};
use super::facts::Facts;
use super::history::{FORMAT, of_ledger};
use super::journal;
use super::quote::{ledger as quoted, literal};
use super::record::store_texts;
use super::session;

/// The statements, BEGIN and COMMIT included. All run under the migration lock, which is what makes
/// `IF NOT EXISTS` safe.
pub fn statements(
    facts: &Facts,
    ledger: &Ledger,
    preparation: &Preparation,
) -> Result<Vec<String>, DatabaseError> {
    let server = preparation.server.as_ref();
    let mut all = opening(facts, ledger, &preparation.actor, server);
    if let Some(owner) = &preparation.claim {
        all.push(claim(ledger, owner));
        let detail = format!("{}/{} uid {}", owner.namespace, owner.name, owner.uid);
        all.push(entry(ledger, &preparation.actor, "claim", &detail, None));
    }
    for adopted in &preparation.adopt {
        all.extend(adopt(ledger, &preparation.actor, adopted)?);
    }
    for recorded in &preparation.baseline {
        all.extend(baseline(facts, ledger, &preparation.actor, recorded)?);
    }
    all.push("COMMIT".to_owned());
    Ok(all)
}

/// BEGIN, the lock checked, the transaction fenced, the tables that are missing, and which server it is.
pub fn opening(
    facts: &Facts,
    ledger: &Ledger,
    actor: &str,
    server: Option<&ServerIdentity>,
) -> Vec<String> {
    let server = server.map(ToString::to_string);
    let mut all = session::begin_locked().to_vec();
    if !facts.ledger_exists {
        all.push(create_ledger(ledger));
    }
    if !facts.installed {
        if !facts.our_schema_exists {
            all.push("CREATE SCHEMA schemaward".to_owned());
        }
        all.extend(create_tables());
        let detail = server.unwrap_or_default();
        all.push(entry(ledger, actor, "install", &detail, None));
        return all;
    }
    if !facts.journal_exists {
        all.extend(upgrade(facts));
        let detail = format!("schema schemaward to format {FORMAT}");
        all.push(entry(ledger, actor, "upgrade", &detail, None));
    }
    all.extend(server.map(|detail| entry(ledger, actor, "server", &detail, None)));
    all
}

/// Exactly the five columns (decision 1).
fn create_ledger(ledger: &Ledger) -> String {
    format!(
        "CREATE TABLE {} (version pg_catalog.text PRIMARY KEY, name pg_catalog.text NOT NULL, \
         applied_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(), \
         execution_time_ms pg_catalog.int8, checksum pg_catalog.text)",
        quoted(ledger)
    )
}

/// The column that a format 1 did not have from its beginning.
pub const MARK_BASELINES: &str =
    "ALTER TABLE schemaward.script ADD COLUMN baseline boolean NOT NULL DEFAULT false";

/// From format 1: it had no journal, and at first no mark for a baseline.
fn upgrade(facts: &Facts) -> Vec<String> {
    let mut all = vec![journal::CREATE.to_owned()];
    if !facts.baselines_are_marked {
        all.push(MARK_BASELINES.to_owned());
    }
    all.push(format!(
        "UPDATE schemaward.installation i SET format = {FORMAT}"
    ));
    all
}

fn create_tables() -> [String; 7] {
    [
        "CREATE TABLE schemaward.installation (\
         singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), \
         format integer NOT NULL, \
         database_id uuid NOT NULL, \
         installed_at timestamptz NOT NULL DEFAULT pg_catalog.now())"
            .to_owned(),
        "CREATE TABLE schemaward.claim (\
         ledger_schema text, ledger_table text, \
         cluster text NOT NULL, namespace text NOT NULL, name text NOT NULL, uid text NOT NULL, \
         claimed_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
         PRIMARY KEY (ledger_schema, ledger_table))"
            .to_owned(),
        "CREATE TABLE schemaward.script (\
         ledger_schema text, ledger_table text, version text, \
         up_checksum text NOT NULL, up bytea NOT NULL, \
         down_checksum text, down bytea, baseline boolean NOT NULL DEFAULT false, \
         stored_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
         PRIMARY KEY (ledger_schema, ledger_table, version), \
         CHECK ((down IS NULL) = (down_checksum IS NULL)))"
            .to_owned(),
        "CREATE TABLE schemaward.audit (\
         id bigint PRIMARY KEY, at timestamptz NOT NULL, \
         ledger_schema text NOT NULL, ledger_table text NOT NULL, \
         action text NOT NULL, version text, detail text NOT NULL, checksum text, \
         actor text NOT NULL, database_role text NOT NULL, tool text NOT NULL, \
         execution_time_ms bigint, hash bytea NOT NULL)"
            .to_owned(),
        journal::CREATE.to_owned(),
        "COMMENT ON SCHEMA schemaward IS \
         'Records of Schemaward (https://schemaward.dev): do not edit by hand'"
            .to_owned(),
        format!(
            "INSERT INTO schemaward.installation (format, database_id) \
             VALUES ({FORMAT}, pg_catalog.gen_random_uuid())"
        ),
    ]
}

/// Makes `owner` the one that the ledger belongs to, whoever it was before.
pub fn claim(ledger: &Ledger, owner: &Owner) -> String {
    let values = [
        &ledger.schema,
        &ledger.table,
        &owner.cluster,
        &owner.namespace,
        &owner.name,
        &owner.uid,
    ]
    .map(|text| literal(text));
    format!(
        "INSERT INTO schemaward.claim (ledger_schema, ledger_table, cluster, namespace, name, uid) \
         VALUES ({}) ON CONFLICT (ledger_schema, ledger_table) DO UPDATE SET \
         cluster = EXCLUDED.cluster, namespace = EXCLUDED.namespace, name = EXCLUDED.name, \
         uid = EXCLUDED.uid, claimed_at = pg_catalog.now()",
        values.join(", ")
    )
}

/// Takes a row over: its checksum is stamped where it was null, its texts are kept, and the audit says
/// that nobody verified that these texts are what once ran (decision 3).
fn adopt(
    ledger: &Ledger,
    actor: &str,
    adopted: &AdoptedVersion,
) -> Result<Vec<String>, DatabaseError> {
    let checksum = adopted.texts.up_checksum.to_string();
    let mut all = Vec::new();
    if adopted.stamp {
        all.push(format!(
            "UPDATE {} l SET checksum = {}, execution_time_ms = COALESCE(l.execution_time_ms, 0) \
             WHERE l.version = {} AND l.checksum IS NULL",
            quoted(ledger),
            literal(&checksum),
            literal(adopted.version.as_str())
        ));
    }
    all.push(store_texts(ledger, &adopted.version, &adopted.texts)?);
    all.push(entry(
        ledger,
        actor,
        "adopt",
        if adopted.stamp {
            "unverified"
        } else {
            "checksum agrees"
        },
        Some((adopted.version.as_str(), &checksum)),
    ));
    Ok(all)
}

/// Records a version that was there before the history. Nothing ran, so that there is no time that it took.
fn baseline(
    facts: &Facts,
    ledger: &Ledger,
    actor: &str,
    recorded: &BaselinedVersion,
) -> Result<Vec<String>, DatabaseError> {
    let version = recorded.version.as_str();
    let checksum = recorded.texts.up_checksum.to_string();
    Ok(vec![
        format!(
            "INSERT INTO {} (version, name, applied_at, execution_time_ms, checksum) \
             VALUES ({}, {}, pg_catalog.now(), {}, {})",
            quoted(ledger),
            literal(version),
            literal(&recorded.name),
            facts.no_time(),
            literal(&checksum)
        ),
        store_texts(ledger, &recorded.version, &recorded.texts)?,
        format!(
            "UPDATE schemaward.script s SET baseline = true WHERE {} AND s.version = {}",
            of_ledger(ledger),
            literal(version)
        ),
        entry(
            ledger,
            actor,
            "baseline",
            &recorded.name,
            Some((version, &checksum)),
        ),
    ])
}

fn entry(
    ledger: &Ledger,
    actor: &str,
    action: &str,
    detail: &str,
    version: Option<(&str, &str)>,
) -> String {
    audit::append(
        ledger,
        &Entry {
            action,
            version: version.map(|(version, _)| version),
            detail,
            checksum: version.map(|(_, checksum)| checksum),
            actor,
            execution_time_ms: "NULL",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_created_with_the_five_columns_in_order() {
        let sql = create_ledger(&Ledger::default());
        let mut rest = sql.as_str();
        for column in [
            "version",
            "name",
            "applied_at",
            "execution_time_ms",
            "checksum",
        ] {
            let at = rest.find(column).expect(column);
            rest = &rest[at + column.len()..];
        }
    }
}
