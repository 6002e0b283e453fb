//! Our own rules.

use std::collections::HashSet;

use super::super::lexer::{Kind, Tokens};
use super::super::script::Script;
use super::super::statement::Statement;
use super::Role;
use super::assessment::{Finding, Impact, Judged};
use super::comments::comments;
use super::library::level;
use super::rule::Rule;
use super::words::{Cursor, Word, has, parts, words};

/// The findings of our rules.
pub(super) fn findings(script: &Script, role: Role, judged: &[Judged]) -> Vec<Finding> {
    let mut findings = Findings {
        role,
        found: Vec::new(),
    };
    if matches!(role, Role::Up { lacks_down: true }) {
        findings.add(
            None,
            "down-missing",
            "The version has no DOWN: once applied, it cannot be undone.",
            "Add the DOWN, or say in a comment why there is no way back.",
        );
    }
    if role == Role::Down && judged.iter().all(|judged| judged.impact == Impact::None) {
        findings.add(
            None,
            "down-empty",
            "The DOWN changes nothing: a way back would only take the version out of the history.",
            "Undo what the UP does, or remove the file.",
        );
    }
    let claims = claims_idempotence(script);
    let mut dropped = HashSet::new();
    for statement in script.statements() {
        if statement.is_plain_record {
            continue;
        }
        let (words, _) = words(&script.text()[statement.range.clone()]);
        findings.cascade(statement, &words);
        findings.secret(statement, &words);
        if claims {
            findings.idempotence(statement, &words, &mut dropped);
        }
    }
    findings.found
}

/// Whether a comment of the script begins with the word "Idempotent": it says that it may run again.
#[must_use]
pub fn claims_idempotence(script: &Script) -> bool {
    comments(script.text())
        .iter()
        .flat_map(|comment| comment.text.lines())
        .any(|line| {
            let line =
                line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '-'));
            let word = line.split(|c: char| !c.is_alphabetic()).next();
            word.is_some_and(|word| {
                ["idempotent", "idempotente"]
                    .iter()
                    .any(|claim| word.eq_ignore_ascii_case(claim))
            })
        })
}

struct Findings {
    role: Role,
    found: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, statement: Option<&Statement>, rule: &str, message: &str, help: &str) {
        let Some(rule) = Rule::named(rule) else {
            return;
        };
        self.found.push(Finding {
            rule,
            level: level(rule, self.role.direction()),
            position: statement.map(|statement| statement.position),
            statement: statement.map(|statement| statement.number),
            message: message.to_owned(),
            help: Some(help.to_owned()),
        });
    }

    fn cascade(&mut self, statement: &Statement, words: &[Word<'_>]) {
        let cursor = Cursor(words);
        let drops = cursor.at(&["DROP"])
            || cursor.at(&["ALTER"])
                && parts(words).any(|part| has(part, &["DROP"]) && has(part, &["CASCADE"]));
        if drops && has(words, &["CASCADE"]) {
            self.add(
                Some(statement),
                "drop-cascade",
                "CASCADE also drops whatever depends on this, and nothing here says what that is.",
                "Leave CASCADE out, and drop by name what depends on it.",
            );
        }
    }

    fn secret(&mut self, statement: &Statement, words: &[Word<'_>]) {
        if has_secret(words) {
            self.add(
                Some(statement),
                "secret-in-sql",
                "A password is written into this statement: it is stored in Git, in the database with the script, and perhaps in the server's log.",
                "Set it outside of migrations, and change the one that was here.",
            );
        }
    }

    fn idempotence(
        &mut self,
        statement: &Statement,
        words: &[Word<'_>],
        dropped: &mut HashSet<String>,
    ) {
        if let Some(help) = fails_again(words, dropped) {
            self.add(
                Some(statement),
                "not-idempotent",
                "The file says that it is idempotent, and this statement fails or does more when it runs again.",
                help,
            );
        }
    }
}

/// A literal behind PASSWORD, or a connection string that holds one.
fn has_secret(words: &[Word<'_>]) -> bool {
    let cursor = Cursor(words);
    let connects = cursor.at_any(&["CREATE", "ALTER"])
        && words.iter().take(8).any(|word| {
            ["SUBSCRIPTION", "SERVER", "MAPPING"]
                .iter()
                .any(|kind| word.is(kind))
        })
        || words
            .iter()
            .any(|word| word.token.text.to_ascii_lowercase().starts_with("dblink"));
    let is_role = cursor.at_any(&["CREATE", "ALTER"])
        && words
            .get(1)
            .is_some_and(|word| ["ROLE", "USER", "GROUP"].iter().any(|kind| word.is(kind)));
    let is_literal = |word: &Word<'_>| word.token.kind == Kind::String;
    words
        .windows(2)
        .any(|pair| (is_role || connects) && pair[0].is("PASSWORD") && is_literal(&pair[1]))
        || connects
            && words
                .iter()
                .any(|word| is_literal(word) && holds_password(word.token.text))
        || cursor.at(&["DO"])
            && words
                .iter()
                .any(|word| is_literal(word) && sets_password(word.token.text))
}

/// `password=…` of a connection string, or `user:password@` of a URL.
fn holds_password(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let in_words = text
        .match_indices("password")
        .any(|(at, word)| text[at + word.len()..].trim_start().starts_with('='));
    let in_url = text.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'))
    });
    in_words || in_url
}

/// `PASSWORD '…'` in the body of a block.
fn sets_password(body: &str) -> bool {
    let inner = body.trim_matches(|c: char| c == '$' || c.is_alphanumeric() || c == '_');
    let mut after_password = false;
    for token in Tokens::new(if body.starts_with('$') {
        inner
    } else {
        body.trim_matches('\'')
    }) {
        if after_password && token.kind == Kind::String {
            return true;
        }
        after_password = token.is("password");
    }
    false
}

/// Why a statement cannot run twice, as the advice that mends it. `dropped` are the objects that the script drops before, by
/// a statement that can.
fn fails_again(words: &[Word<'_>], dropped: &mut HashSet<String>) -> Option<&'static str> {
    let mut cursor = Cursor(words);
    if cursor.take(&["CREATE"]) {
        let again = has(words, &["IF", "NOT", "EXISTS"]) || has(words, &["OR", "REPLACE"]);
        return (!again && !object(words).is_some_and(|name| dropped.contains(&name)))
            .then_some("Write IF NOT EXISTS or OR REPLACE, or drop it before with IF EXISTS.");
    }
    if cursor.take(&["DROP"]) {
        if has(words, &["IF", "EXISTS"]) {
            dropped.extend(object(words));
            return None;
        }
        return (!cursor.at(&["OWNED"])).then_some("Write IF EXISTS.");
    }
    if cursor.take(&["ALTER", "TABLE"]) {
        return altered_again(cursor, dropped);
    }
    let inserts = cursor.at(&["INSERT"]) && !has(words, &["ON", "CONFLICT"]);
    let is_guarded = words
        .windows(2)
        .any(|pair| pair[0].is("NOT") && pair[1].is("EXISTS"));
    (inserts && !is_guarded).then_some("Write ON CONFLICT.")
}

fn altered_again(
    mut cursor: Cursor<'_, '_>,
    dropped: &mut HashSet<String>,
) -> Option<&'static str> {
    cursor.take(&["IF", "EXISTS"]);
    cursor.take(&["ONLY"]);
    cursor.name();
    parts(cursor.rest()).find_map(|action| {
        let mut cursor = Cursor(action);
        if cursor.at(&["RENAME"]) {
            return Some("A second RENAME finds nothing: ask the catalog in a DO block.");
        }
        if cursor.take(&["DROP"]) {
            cursor.skip(&["CONSTRAINT", "COLUMN"]);
            let again = cursor.take(&["IF", "EXISTS"]);
            dropped.extend(cursor.name().and_then(|name| name.last().cloned()));
            return (!again).then_some("Write IF EXISTS.");
        }
        if !cursor.take(&["ADD"]) {
            return None;
        }
        if cursor.take(&["CONSTRAINT"]) {
            let is_dropped = cursor
                .name()
                .is_some_and(|name| name.last().is_some_and(|name| dropped.contains(name)));
            return (!is_dropped).then_some("Drop the constraint before, with IF EXISTS.");
        }
        (!has(action, &["IF", "NOT", "EXISTS"])).then_some("Write IF NOT EXISTS.")
    })
}

/// The name of what a CREATE or DROP is about, without its schema.
fn object(words: &[Word<'_>]) -> Option<String> {
    let mut cursor = Cursor(words);
    cursor.skip(&[
        "CREATE",
        "DROP",
        "UNIQUE",
        "TEMPORARY",
        "TEMP",
        "UNLOGGED",
        "MATERIALIZED",
        "FOREIGN",
        "CONSTRAINT",
        "TABLE",
        "VIEW",
        "INDEX",
        "CONCURRENTLY",
        "TYPE",
        "DOMAIN",
        "SEQUENCE",
        "FUNCTION",
        "PROCEDURE",
        "TRIGGER",
        "POLICY",
        "RULE",
        "SCHEMA",
        "EXTENSION",
        "IF",
        "EXISTS",
        "NOT",
        "AGGREGATE",
    ]);
    cursor.name()?.pop()
}
