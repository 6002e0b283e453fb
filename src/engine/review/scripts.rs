//! The scripts of a plan, looked through.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::migration::catalog::Catalog;
use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::lint::{Assessment, Finding, Role, judge, lacks_down};
use crate::migration::plan::{DownSource, Step};
use crate::migration::script::Script;
use crate::migration::statement::StatementClass;
use crate::migration::statement_policy::{Action, StatementPolicy};
use crate::migration::statement_words::words;
use crate::migration::version::Version;

use super::{Concern, ReviewedScript, ReviewedStatement};

/// What a run knows of scripts: the DOWN texts that were stored with their versions, as far as they were read,
/// and what was found in a script, so that it is judged once a run.
#[derive(Debug, Clone, Default)]
pub struct Scripts {
    downs: BTreeMap<Checksum, Arc<[u8]>>,
    judged: BTreeMap<(Direction, Version, Checksum), ReviewedScript>,
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

    /// The script of a step, looked through.
    pub(in crate::engine) fn look_through(
        &mut self,
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
        let key = (direction, version.clone(), checksum);
        if let Some(script) = self.judged.get(&key) {
            return script.clone();
        }
        let known = catalog.get(version);
        let bytes = match step {
            Step::Apply { .. } => known.map(|known| &known.up.bytes),
            Step::Undo {
                down: DownSource::Stored(checksum),
                ..
            } => self.downs.get(checksum),
            Step::Undo { .. } => known
                .and_then(|known| known.down.as_ref())
                .map(|file| &file.bytes),
        };
        let role = match direction {
            Direction::Up => Role::Up {
                lacks_down: known.is_some_and(lacks_down),
            },
            Direction::Down => Role::Down,
        };
        let (statements, findings) = look(bytes, role, policy, table);
        let script = ReviewedScript {
            direction,
            version: version.clone(),
            name: name.clone(),
            checksum,
            statements,
            findings,
        };
        self.judged.insert(key, script.clone());
        script
    }
}

/// A text that cannot be parsed has no statements to show: its run ends before it.
fn look(
    bytes: Option<&Arc<[u8]>>,
    role: Role,
    policy: &StatementPolicy,
    table: &str,
) -> (Vec<ReviewedStatement>, Vec<Concern>) {
    let Some(Ok(script)) = bytes.map(|bytes| Script::parse(bytes, table)) else {
        return (Vec::new(), Vec::new());
    };
    let assessment = judge(&script, role);
    let text = script.text();
    let judged = script.statements().iter().zip(&assessment.statements);
    let run = judged.filter(|(statement, _)| {
        statement.class != StatementClass::TransactionControl && !statement.is_plain_record
    });
    let statements = run.map(|(statement, judged)| {
        let impact = policy.of_impact(judged.impact);
        let impact = impact.map(|(name, action)| Concern {
            name,
            action,
            message: None,
        });
        let of_statement = |finding: &&Finding| finding.statement == Some(statement.number);
        ReviewedStatement {
            line: statement.position.line,
            words: words(&text[statement.range.clone()]),
            class: statement.class,
            impact: judged.impact,
            lock: judged.lock,
            findings: heeded(impact, &assessment, of_statement, policy),
        }
    });
    let of_script = |finding: &&Finding| finding.statement.is_none();
    let findings = heeded(None, &assessment, of_script, policy);
    (statements.collect(), findings)
}

/// What the policy does not ignore.
fn heeded(
    impact: Option<Concern>,
    assessment: &Assessment,
    wanted: impl Fn(&&Finding) -> bool,
    policy: &StatementPolicy,
) -> Vec<Concern> {
    let standing = assessment.findings.iter().filter(&wanted);
    let standing = standing.map(|finding| (finding, policy.of_finding(finding)));
    let waived = assessment.waived.iter().map(|waived| &waived.finding);
    let waived = waived.filter(&wanted);
    let waived = waived.map(|finding| (finding, policy.of_waived(finding)));
    let findings = standing.chain(waived).map(|(finding, action)| Concern {
        name: finding.rule.name,
        action,
        message: Some(finding.message.clone()),
    });
    let all = impact.into_iter().chain(findings);
    all.filter(|concern| concern.action != Action::Ignore)
        .collect()
}
