//! The rules of squawk, run on a text that comes from anybody.
//!
//! Its parser goes as deep as the text nests, its trees are dropped as deep, and it panics where it gives up. A stack that
//! overflows ends the process and no panic is caught then. So the text is bounded in size and, by our own lexer,
//! in depth, and parsed on a thread of its own with a stack that holds this depth; a panic there ends the thread.

use std::collections::HashSet;
use std::ops::Range;
use std::thread;

use squawk_linter::{Linter, LinterSettings, Rule as SquawkRule, Version};
use squawk_syntax::{SourceFile, SyntaxKind};

use super::super::file_name::Direction;
use super::super::position::Positions;
use super::super::script::Script;
use super::super::statement::Statement;
use super::assessment::Finding;
use super::comments::without_comments;
use super::nesting;
use super::rule::{Level, Origin, RULES, Rule};

/// The name of the thread. Whoever reports panics need not report one there: the script is not linted, which is a finding.
pub const THREAD: &str = "lint";

/// The largest script that is linted, in bytes.
pub(super) const MOST_BYTES: usize = 1024 * 1024;

/// The deepest script that is linted ([`nesting::Measure::depth`]).
pub(super) const MOST_DEPTH: usize = 2_000;

/// The most work for the parser that is linted ([`nesting::Measure::work`]): about a second.
const MOST_WORK: usize = 16_000_000;

/// The thread's stack in bytes. Memory is used only as far as the stack is.
const STACK: usize = 64 * 1024 * 1024;

/// The oldest server that is supported: what only newer ones do without a rewrite is found.
const SERVER: &str = "14";

/// What the library found, before it is about our statements.
struct Found {
    rule: &'static Rule,
    range: Range<usize>,
    message: String,
    help: Option<String>,
}

/// The findings of squawk's rules, in the order of the file; or one that says why there are none.
pub(super) fn findings(script: &Script, direction: Direction) -> Vec<Finding> {
    match lint(script) {
        Ok(found) => place(script, direction, found),
        Err(why) => not_linted(direction, &why).into_iter().collect(),
    }
}

fn lint(script: &Script) -> Result<Vec<Found>, String> {
    if script.text().len() > MOST_BYTES {
        return Err(format!(
            "The script is larger than {} KiB.",
            MOST_BYTES / 1024
        ));
    }
    // Comments say what is waived, to us alone; the folded BEGIN and COMMIT do not run.
    let text = without_comments(script.text(), script.folded());
    let measure = nesting::measure(&text);
    if measure.depth > MOST_DEPTH || measure.work > MOST_WORK {
        return Err(
            "The script nests too deeply, or has one expression that is too long.".to_owned(),
        );
    }
    let work = move || run(&text);
    thread::Builder::new()
        .name(THREAD.to_owned())
        .stack_size(STACK)
        .spawn(work)
        .map_err(|_| "There was no memory for it.".to_owned())?
        .join()
        .map_err(|_| "squawk's parser gave up on the script.".to_owned())
}

fn run(text: &str) -> Vec<Found> {
    let parse = SourceFile::parse(text);
    let mut linter = Linter::from(RULES.iter().filter_map(known));
    // A version is one transaction, or parts that run one behind the other.
    linter.settings = LinterSettings {
        pg_version: SERVER.parse().unwrap_or_else(|_| Version::default()),
        assume_in_transaction: true,
    };
    let mut found: Vec<Found> = linter
        .lint(&parse, text)
        .into_iter()
        .filter_map(|violation| {
            Some(Found {
                rule: Rule::named(&violation.code.to_string())?,
                range: violation.text_range.into(),
                message: violation.message,
                help: violation.help,
            })
        })
        .collect();
    if let Some(rule) = Rule::named("not-understood") {
        let errors = parse
            .syntax_node()
            .descendants()
            .filter(|node| node.kind() == SyntaxKind::ERROR)
            .map(|node| Found {
                rule,
                range: node.text_range().into(),
                message: "squawk's parser does not know what stands here, so its rules may miss something in this statement.".to_owned(),
                help: None,
            });
        found.extend(errors);
    }
    found.sort_by_key(|found| found.range.start);
    found
}

fn known(rule: &Rule) -> Option<SquawkRule> {
    (rule.origin == Origin::Squawk)
        .then(|| SquawkRule::try_from(rule.name).ok())
        .flatten()
}

/// Findings with their statements and places; one of a rule at a place.
fn place(script: &Script, direction: Direction, found: Vec<Found>) -> Vec<Finding> {
    let mut positions = Positions::new(script.text());
    let mut findings: Vec<Finding> = Vec::new();
    let mut said = HashSet::new();
    for found in found {
        let Some(statement) = statement_at(script, found.range.start) else {
            continue;
        };
        if statement.is_plain_record {
            continue;
        }
        let offset = found.range.start.max(statement.range.start);
        let place = if found.rule.name == "not-understood" {
            statement.range.start
        } else {
            offset
        };
        if !said.insert((found.rule.name, place)) {
            continue;
        }
        findings.push(Finding {
            rule: found.rule,
            level: level(found.rule, direction),
            position: Some(positions.at(offset)),
            statement: Some(statement.number),
            message: found.message,
            help: found.help,
        });
    }
    findings
}

/// The statement that a byte belongs to: the first one that ends behind it.
pub(super) fn statement_at(script: &Script, offset: usize) -> Option<&Statement> {
    let statements = script.statements();
    let index = statements.partition_point(|statement| statement.range.end <= offset);
    statements.get(index)
}

/// How grave a rule's findings are in a script of this direction.
pub(super) fn level(rule: &Rule, direction: Direction) -> Level {
    match direction {
        Direction::Up => rule.up,
        Direction::Down => rule.down,
    }
}

fn not_linted(direction: Direction, why: &str) -> Option<Finding> {
    let rule = Rule::named("not-linted")?;
    Some(Finding {
        rule,
        level: level(rule, direction),
        position: None,
        statement: None,
        message: format!("{why} The rules of squawk were not asked."),
        help: Some("Split the script, or have a person read it.".to_owned()),
    })
}
