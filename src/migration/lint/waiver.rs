//! Comments that waive a rule.
//!
//! `-- schemaward: allow RULE[, RULE] because REASON` is about the statement that it stands in, above, or behind on the same line;
//! `-- schemaward: allow-in-file …` about the whole file. squawk's own comments count the same:
//! `-- squawk-ignore RULE -- REASON` and `-- squawk-ignore-file RULE -- REASON`.

use std::collections::{HashMap, HashSet};

use squawk_linter::Rule as SquawkRule;

use super::super::position::Positions;
use super::super::script::Script;
use super::super::statement::Position;
use super::super::text::quoted;
use super::assessment::{Finding, Waived};
use super::comments::{Comment, comments};
use super::library::statement_at;
use super::rule::Rule;

/// How much of a reason is kept, in characters.
const REASON: usize = 200;

/// One waiver.
struct Waiver {
    position: Position,
    /// The statement's number; `None`: the whole file.
    statement: Option<usize>,
    rules: Vec<&'static Rule>,
    reason: String,
}

/// What a comment says, if it is a waiver.
struct Said<'a> {
    in_file: bool,
    rules: &'a str,
    reason: &'a str,
}

/// Splits findings into those that stand and those that are waived, and adds what is wrong with the waivers.
pub(super) fn apply(script: &Script, findings: Vec<Finding>) -> (Vec<Finding>, Vec<Waived>) {
    let (waivers, mut standing) = read(script);
    let index = Index::of(&waivers);
    let (mut waived, mut used) = (Vec::new(), HashSet::new());
    for finding in findings {
        match index.find(&finding) {
            Some(at) => {
                used.insert((at, finding.rule.name));
                waived.push(Waived {
                    reason: waivers[at].reason.clone(),
                    finding,
                });
            }
            None => standing.push(finding),
        }
    }
    for (at, waiver) in waivers.iter().enumerate() {
        for rule in &waiver.rules {
            if !used.contains(&(at, rule.name)) {
                let message = format!(
                    "{} finds nothing here, so there is nothing to waive.",
                    rule.name
                );
                standing.extend(about(
                    "waiver-unused",
                    waiver.position,
                    waiver.statement,
                    message,
                    "Remove the waiver.",
                ));
            }
        }
    }
    standing.sort_by_key(|finding| (finding.position, finding.rule.name));
    (standing, waived)
}

/// Where the first waiver of a rule is.
struct Index {
    /// For a statement, or for the whole file.
    of: HashMap<(Option<usize>, &'static str), usize>,
    /// Anywhere: what is about the whole script may be waived at any statement.
    anywhere: HashMap<&'static str, usize>,
}

impl Index {
    fn of(waivers: &[Waiver]) -> Self {
        let (mut of, mut anywhere) = (HashMap::new(), HashMap::new());
        for (at, waiver) in waivers.iter().enumerate() {
            for rule in &waiver.rules {
                of.entry((waiver.statement, rule.name)).or_insert(at);
                anywhere.entry(rule.name).or_insert(at);
            }
        }
        Self { of, anywhere }
    }

    fn find(&self, finding: &Finding) -> Option<usize> {
        let rule = finding.rule.name;
        let found = match finding.statement {
            Some(statement) => self
                .of
                .get(&(Some(statement), rule))
                .or_else(|| self.of.get(&(None, rule))),
            None => self.anywhere.get(rule),
        };
        found.copied()
    }
}

/// The waivers of a script, and what is wrong with the others.
fn read(script: &Script) -> (Vec<Waiver>, Vec<Finding>) {
    let mut positions = Positions::new(script.text());
    let mut line_starts = LineStarts::of(script.text());
    let (mut waivers, mut wrong) = (Vec::new(), Vec::new());
    for comment in comments(script.text()) {
        let Some(said) = said(comment.text) else {
            continue;
        };
        let position = positions.at(comment.range.start);
        let statement = if said.in_file {
            None
        } else {
            statement_of(script, &comment, &mut line_starts)
        };
        let mut rules = Vec::new();
        let names = said
            .rules
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let mut count = 0;
        for name in names {
            count += 1;
            match rule(name) {
                Some(Named::Ours(rule)) => rules.push(rule),
                Some(Named::NotAsked) => {}
                None => {
                    let message = format!("There is no rule {}.", quoted(name));
                    wrong.extend(about(
                        "waiver-unknown-rule",
                        position,
                        statement,
                        message,
                        "Name a rule of docs/lint.md.",
                    ));
                }
            }
        }
        if count == 0 {
            let message = "The waiver names no rule.".to_owned();
            wrong.extend(about(
                "waiver-unknown-rule",
                position,
                statement,
                message,
                "Name the rules that it waives.",
            ));
        } else if said.reason.is_empty() {
            let message = "The waiver gives no reason, and so waives nothing.".to_owned();
            wrong.extend(about(
                "waiver-without-reason",
                position,
                statement,
                message,
                "Say why: `-- schemaward: allow RULE because REASON`.",
            ));
        } else {
            waivers.push(Waiver {
                position,
                statement,
                rules,
                reason: said
                    .reason
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(REASON)
                    .collect(),
            });
        }
    }
    (waivers, wrong)
}

/// A rule as a waiver names it.
enum Named {
    Ours(&'static Rule),
    /// squawk has it, and we do not ask it.
    NotAsked,
}

fn rule(name: &str) -> Option<Named> {
    if let Some(rule) = Rule::named(name) {
        return Some(Named::Ours(rule));
    }
    // squawk knows some under two names.
    let squawk = SquawkRule::try_from(name).ok()?;
    Some(Rule::named(&squawk.to_string()).map_or(Named::NotAsked, Named::Ours))
}

fn said(comment: &str) -> Option<Said<'_>> {
    if let Some(rest) = comment.strip_prefix("schemaward:") {
        let rest = rest.trim_start();
        let (in_file, rest) = match rest.strip_prefix("allow-in-file") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix("allow")?),
        };
        let (rules, reason) = match rest.split_once(" because") {
            Some((rules, reason)) => (rules, reason.trim()),
            None => (rest, ""),
        };
        return Some(Said {
            in_file,
            rules,
            reason,
        });
    }
    let rest = comment.strip_prefix("squawk-ignore")?;
    let (in_file, rest) = match rest.strip_prefix("-file") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (rules, reason) = rest.split_once("--").unwrap_or((rest, ""));
    Some(Said {
        in_file,
        rules,
        reason: reason.trim(),
    })
}

/// Finds where lines start. Ascending offsets cost one pass in all, however long the lines are.
struct LineStarts<'a> {
    text: &'a [u8],
    offset: usize,
    last: usize,
}

impl<'a> LineStarts<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            offset: 0,
            last: 0,
        }
    }

    /// The start of the line that this byte is in.
    fn before(&mut self, offset: usize) -> usize {
        let passed = &self.text[self.offset..offset];
        if let Some(end) = passed
            .iter()
            .rposition(|byte| matches!(byte, b'\n' | b'\r'))
        {
            self.last = self.offset + end + 1;
        }
        self.offset = offset;
        self.last
    }
}

/// The statement that a comment is about: the one before it on the same line, or else the one that it stands in or above.
fn statement_of(
    script: &Script,
    comment: &Comment<'_>,
    line_starts: &mut LineStarts<'_>,
) -> Option<usize> {
    let statements = script.statements();
    let next = statement_at(script, comment.range.start);
    let ended = statements.partition_point(|statement| statement.range.end <= comment.range.start);
    let before = ended.checked_sub(1).and_then(|index| statements.get(index));
    let line = line_starts.before(comment.range.start);
    let same_line = before.filter(|before| line <= before.range.end);
    same_line
        .or(next)
        .or(before)
        .map(|statement| statement.number)
}

fn about(
    rule: &str,
    position: Position,
    statement: Option<usize>,
    message: String,
    help: &str,
) -> Option<Finding> {
    let rule = Rule::named(rule)?;
    Some(Finding {
        rule,
        level: rule.up,
        position: Some(position),
        statement,
        message,
        help: Some(help.to_owned()),
    })
}
