//! The scripts of a plan, looked through.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::migration::catalog::Catalog;
use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::lint::{Role, lacks_down};
use crate::migration::plan::{DownSource, Step};
use crate::migration::statement_policy::{Action, StatementPolicy};

use super::judged::{Found, JudgedScript, JudgedStatement, ScriptKey, ScriptText};
use super::{Concern, ReviewedScript, ReviewedStatement};

/// What a run knows of scripts: the DOWN texts that were stored with their versions, as far as they were read,
/// and what was found in a script.
#[derive(Debug, Clone, Default)]
pub struct Scripts {
    downs: BTreeMap<Checksum, Arc<[u8]>>,
    judged: BTreeMap<ScriptKey, Arc<JudgedScript>>,
}

impl Scripts {
    /// Keeps a stored text.
    pub(in crate::engine) fn keep(&mut self, checksum: Checksum, bytes: &[u8]) {
        self.downs.insert(checksum, Arc::from(bytes));
    }

    /// A stored text that was read.
    pub(in crate::engine) fn down(&self, checksum: Checksum) -> Option<&Arc<[u8]>> {
        self.downs.get(&checksum)
    }

    /// Keeps what was found in a script.
    pub(in crate::engine) fn take_in(&mut self, key: ScriptKey, judged: Arc<JudgedScript>) {
        self.judged.insert(key, judged);
    }

    /// The script of a step, when it was not judged yet.
    pub(in crate::engine) fn unjudged(
        &self,
        step: &Step,
        catalog: &Catalog,
        table: &str,
    ) -> Option<ScriptText> {
        let key = key(step, catalog, table);
        if self.judged.contains_key(&key) {
            return None;
        }
        let bytes = match step {
            Step::Apply { version, .. } => catalog.get(version).map(|known| &known.up.bytes),
            Step::Undo {
                down: DownSource::Stored(checksum),
                ..
            } => self.downs.get(checksum),
            Step::Undo { version, .. } => catalog
                .get(version)
                .and_then(|known| known.down.as_ref())
                .map(|file| &file.bytes),
        };
        let bytes = Arc::clone(bytes?);
        Some(ScriptText { key, bytes })
    }

    /// The script of a step, looked through.
    pub(in crate::engine) fn look_through(
        &self,
        step: &Step,
        catalog: &Catalog,
        policy: &StatementPolicy,
        table: &str,
    ) -> ReviewedScript {
        let (direction, version, name, checksum) = match step {
            Step::Apply {
                version,
                name,
                checksum,
            } => (Direction::Up, version, name, *checksum),
            Step::Undo {
                version,
                name,
                down: DownSource::Stored(checksum) | DownSource::File(checksum),
            } => (Direction::Down, version, name, *checksum),
        };
        let judged = self.judged.get(&key(step, catalog, table));
        let statements = judged.iter().flat_map(|judged| &judged.statements);
        ReviewedScript {
            direction,
            version: version.clone(),
            name: name.clone(),
            checksum,
            statements: statements
                .map(|statement| reviewed(statement, policy))
                .collect(),
            findings: judged.map_or_else(Vec::new, |judged| heeded(None, &judged.findings, policy)),
            losses: judged.map_or_else(Vec::new, |judged| judged.losses.clone()),
        }
    }
}

fn key(step: &Step, catalog: &Catalog, table: &str) -> ScriptKey {
    let (checksum, role) = match step {
        Step::Apply {
            version, checksum, ..
        } => {
            let lacks_down = catalog.get(version).is_some_and(lacks_down);
            (*checksum, Role::Up { lacks_down })
        }
        Step::Undo {
            down: DownSource::Stored(checksum) | DownSource::File(checksum),
            ..
        } => (*checksum, Role::Down),
    };
    let table = table.to_owned();
    ScriptKey {
        checksum,
        role,
        table,
    }
}

fn reviewed(statement: &JudgedStatement, policy: &StatementPolicy) -> ReviewedStatement {
    let impact = policy.of_impact(statement.impact);
    let impact = impact.map(|(name, action)| Concern {
        name,
        action,
        message: None,
    });
    ReviewedStatement {
        line: statement.line,
        words: statement.words.clone(),
        class: statement.class,
        impact: statement.impact,
        lock: statement.lock,
        findings: heeded(impact, &statement.findings, policy),
    }
}

/// What the policy does not ignore.
fn heeded(impact: Option<Concern>, findings: &[Found], policy: &StatementPolicy) -> Vec<Concern> {
    let findings = findings.iter().map(|found| Concern {
        name: found.finding.rule.name,
        action: if found.is_waived {
            policy.of_waived(&found.finding)
        } else {
            policy.of_finding(&found.finding)
        },
        message: Some(found.finding.message.clone()),
    });
    let all = impact.into_iter().chain(findings);
    all.filter(|concern| concern.action != Action::Ignore)
        .collect()
}
