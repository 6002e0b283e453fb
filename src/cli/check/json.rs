//! The JSON of `check -o json`; see [`output`](super::super::output) for what holds of all forms.

use schemars::JsonSchema;
use serde::Serialize;

use crate::migration::lint;

use super::super::output::{Database, Problem};
use super::database::Asked;
use super::findings::{Findings, Found};

/// What `schemaward check -o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Always `schemaward.check/v1`.
    format: &'static str,
    /// How many migration files there are.
    files: usize,
    /// What was found, in the order of files and places.
    findings: Vec<Finding>,
    /// What the database says; null when it was not asked.
    database: Option<Answer>,
}

/// One finding.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule's name, as docs/lint.md has it.
    rule: &'static str,
    level: Level,
    /// The file, with the folder as `--dir` names it.
    path: String,
    /// The line, from 1; null when it is about the whole file.
    line: Option<usize>,
    /// The column, from 1, in characters; null as above.
    column: Option<usize>,
    /// What was found.
    message: String,
    /// What to do instead; null when there is nothing to add.
    help: Option<String>,
    /// Why a comment in the file waives it; null when none does. A waived finding does not make the command fail.
    waived: Option<String>,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Likely to hurt a database in use.
    Warning,
    /// Wrong, or never meant.
    Error,
}

/// What a database says about the files.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    #[serde(flatten)]
    database: Database,
    /// The highest applied version; null when none is applied.
    current: Option<String>,
    /// The versions that `up` would apply, lowest first.
    pending: Vec<String>,
    /// Why `up` would do nothing; null when nothing stands in its way. The exit code is 1 then.
    problem: Option<Problem>,
}

impl Check {
    pub(super) fn new(findings: &Findings, asked: Option<&Asked>) -> Self {
        Self {
            format: "schemaward.check/v1",
            files: findings.files,
            findings: findings.found.iter().map(Finding::of).collect(),
            database: asked.map(Answer::of),
        }
    }
}

impl Level {
    pub(in crate::cli) fn of(level: lint::Level) -> Self {
        match level {
            lint::Level::Off | lint::Level::Note => Self::Note,
            lint::Level::Warning => Self::Warning,
            lint::Level::Error => Self::Error,
        }
    }
}

impl Finding {
    fn of(found: &Found) -> Self {
        Self {
            rule: found.rule,
            level: Level::of(found.level),
            path: found.path.display().to_string(),
            line: found.position.map(|at| at.line),
            column: found.position.map(|at| at.column),
            message: found.message.clone(),
            help: found.help.clone(),
            waived: found.waived.clone(),
        }
    }
}

impl Answer {
    fn of(asked: &Asked) -> Self {
        Self {
            database: Database::of(&asked.server),
            current: asked.current.clone(),
            pending: asked
                .pending()
                .into_iter()
                .map(|(version, _)| version.to_string())
                .collect(),
            problem: asked.plan.as_ref().err().map(Problem::of),
        }
    }
}
