//! One list of all that was found.

use std::path::{Path, PathBuf};

use crate::migration::catalog::DefectKind;
use crate::migration::check::{Checked, Report};
use crate::migration::lint::{self, Finding, Level, Rule};
use crate::migration::script::ScriptDefect;
use crate::migration::statement::Position;

/// Everything that was found in a set of files.
#[derive(Debug)]
pub(super) struct Findings {
    /// In the order of files and places.
    pub(super) found: Vec<Found>,
    /// How many files there were.
    pub(super) files: usize,
}

/// One finding, whoever found it.
#[derive(Debug)]
pub(super) struct Found {
    /// The rule's name, or that of a defect.
    pub(super) rule: &'static str,
    pub(super) level: Level,
    /// The file, with its folder.
    pub(super) path: PathBuf,
    pub(super) position: Option<Position>,
    /// The line with its literals covered.
    pub(super) line: Option<String>,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// The reason of the comment that waives it.
    pub(super) waived: Option<String>,
}

/// What is wrong with a file or the set, as rules: the name, and what is meant. They are errors, and nothing waives them.
pub(super) const DEFECTS: [(&str, &str); 4] = [
    ("duplicate-version", "Two files are the same version."),
    (
        "invalid-source",
        "The name of a file, its encoding or its contents cannot be used.",
    ),
    (
        "transaction-control",
        "BEGIN, COMMIT and their like stand where they cannot be folded into the version's transaction.",
    ),
    (
        "unsupported-statement",
        "A statement that is never sent to a server, or that cannot run where it stands.",
    ),
];

fn defect_name(kind: DefectKind) -> &'static str {
    match kind {
        DefectKind::DuplicateVersion => "duplicate-version",
        DefectKind::TransactionControl => "transaction-control",
        DefectKind::UnsupportedStatement => "unsupported-statement",
        DefectKind::InvalidSource | DefectKind::InvalidList => "invalid-source",
    }
}

impl Findings {
    /// All of a report, with the levels that somebody asked for.
    pub(super) fn of(report: &Report, folder: &Path, levels: &[(&'static Rule, Level)]) -> Self {
        let mut found: Vec<Found> = report
            .set
            .iter()
            .map(|defect| Found {
                path: defect
                    .file()
                    .map_or_else(|| folder.to_owned(), |file| folder.join(file)),
                ..Found::defect(defect.kind(), defect.to_string())
            })
            .collect();
        found.extend(
            report
                .files
                .iter()
                .flat_map(|checked| of_file(checked, folder, levels)),
        );
        found.retain(|found| found.level > Level::Off);
        found.sort_by(|a, b| (&a.path, a.position, a.rule).cmp(&(&b.path, b.position, b.rule)));
        Self {
            found,
            files: report.files.len(),
        }
    }

    /// Those that no comment waives.
    pub(super) fn standing(&self) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(|found| found.waived.is_none())
    }

    /// The gravest one that is not waived.
    pub(super) fn worst(&self) -> Option<Level> {
        self.standing().map(|found| found.level).max()
    }
}

impl Found {
    fn defect(kind: DefectKind, message: String) -> Self {
        Self {
            rule: defect_name(kind),
            level: Level::Error,
            path: PathBuf::new(),
            position: None,
            line: None,
            message,
            help: None,
            waived: None,
        }
    }
}

fn of_file(checked: &Checked, folder: &Path, levels: &[(&'static Rule, Level)]) -> Vec<Found> {
    let path = folder.join(&checked.file);
    let of_script = |defect: &ScriptDefect| Found {
        path: path.clone(),
        position: defect.position,
        ..Found::defect(DefectKind::of(&defect.kind), format!("{}.", defect.kind))
    };
    let script = match &checked.script {
        Ok(script) => script,
        Err(defects) => return defects.iter().map(of_script).collect(),
    };
    let Some(assessment) = &checked.assessment else {
        return Vec::new();
    };
    let shown = lint::shown(script.text());
    let lines: Vec<&str> = shown.lines().collect();
    let of_rule = |finding: &Finding, waived: Option<String>| Found {
        rule: finding.rule.name,
        level: asked_level(levels, finding),
        path: path.clone(),
        position: finding.position,
        line: finding
            .position
            .and_then(|at| lines.get(at.line - 1))
            .map(|line| (*line).to_owned()),
        message: finding.message.clone(),
        help: finding.help.clone(),
        waived,
    };
    let standing = assessment
        .findings
        .iter()
        .map(|finding| of_rule(finding, None));
    let waived = assessment
        .waived
        .iter()
        .map(|waived| of_rule(&waived.finding, Some(waived.reason.clone())));
    standing.chain(waived).collect()
}

/// The last level that somebody asked for, or the rule's own.
fn asked_level(levels: &[(&'static Rule, Level)], finding: &Finding) -> Level {
    let asked = levels.iter().rev().find(|(rule, _)| *rule == finding.rule);
    asked.map_or(finding.level, |(_, level)| *level)
}
