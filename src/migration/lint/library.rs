//! The rules of squawk, run on a text that comes from anybody.
//!
//! Its parser goes as deep as the text nests, its trees are dropped as deep, and it panics where it gives up. A stack that
//! overflows ends the process and no panic is caught then. So the text is bounded in size and, by our own lexer,
//! in depth, and parsed on a thread of its own with a stack that holds this depth; a panic there ends the thread.

use std::collections::HashSet;
use std::ops::Range;
use std::thread;

use squawk_linter::{Linter, LinterSettings, Rule as SquawkRule, Version};
use squawk_syntax::SourceFile;

use super::super::file_name::Direction;
use super::super::position::Positions;
use super::super::script::Script;
use super::super::statement::Statement;
use super::assessment::Finding;
use super::comments::without_comments;
use super::nesting;
use super::rule::{Level, Origin, RULES, Rule};
use super::strings;

/// The name of the thread. Whoever reports panics need not report one there: the script is not linted, which is a finding.
pub const THREAD: &str = "lint";

/// The largest script that is linted, in bytes.
pub(super) const MOST_BYTES: usize = 1024 * 1024;

/// The deepest script that is linted ([`nesting::Measure::depth`]).
pub(super) const MOST_DEPTH: usize = 2_000;

/// The most work for the parser and the rules that is linted ([`nesting::Measure::work`]): about a second.
const MOST_WORK: usize = 16_000_000;

/// The thread's stack in bytes. Memory is used only as far as the stack is.
const STACK: usize = 64 * 1024 * 1024;

/// The oldest server that is supported: what only newer ones do without a rewrite is found.
const SERVER: &str = "14";

/// The rule of what the parser does not take.
const NOT_UNDERSTOOD: &str = "not-understood";

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
    // Comments say what is waived, to us alone; the folded BEGIN and COMMIT do not run. The parser would read escapes
    // and bodies in strings, as deep as no measure of the text tells.
    let bare = without_comments(script.text(), script.folded());
    let text = without_comments(&bare, strings::contents(&bare).into_iter());
    let measure = nesting::measure(&text);
    if measure.depth > MOST_DEPTH || measure.work > MOST_WORK {
        return Err(
            "The script nests too deeply, or has one statement that is too long.".to_owned(),
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
    if let Some(rule) = Rule::named(NOT_UNDERSTOOD) {
        let errors = parse.errors();
        found.extend(errors.iter().map(|error| Found {
            rule,
            range: behind_blanks(text, error.range().into()),
            // The parser's own words may quote the script.
            message: "This looks like a syntax error: squawk's parser, which follows PostgreSQL's grammar, expects something else \
                      here. Its rules may miss something in this statement."
                .to_owned(),
            help: Some(
                "Correct the statement. If PostgreSQL does take it, say so: `-- schemaward: allow not-understood because …`."
                    .to_owned(),
            ),
        }));
    }
    found.sort_by_key(|found| found.range.start);
    found
}

/// A range that starts at what stands there: the parser says where the token before ended.
fn behind_blanks(text: &str, range: Range<usize>) -> Range<usize> {
    let start = text.get(range.start..).map_or(range.start, |rest| {
        match rest.find(|c: char| !c.is_whitespace()) {
            Some(blanks) => range.start + blanks,
            None => text.trim_end().len(),
        }
    });
    start..range.end.max(start)
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
        let is_broken = found.rule.name == NOT_UNDERSTOOD;
        let statement = if is_broken {
            statement_begun(script, found.range.start)
        } else {
            statement_at(script, found.range.start)
        };
        let Some(statement) = statement else {
            continue;
        };
        if statement.is_plain_record {
            continue;
        }
        let offset = found.range.start.max(statement.range.start);
        let place = if is_broken {
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

/// The statement that was begun last at a byte: what is missing of one is missed behind it.
fn statement_begun(script: &Script, offset: usize) -> Option<&Statement> {
    let statements = script.statements();
    let begun = statements.partition_point(|statement| statement.range.start <= offset);
    statements.get(begun.saturating_sub(1))
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
