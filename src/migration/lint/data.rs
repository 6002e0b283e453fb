//! Statements about rows.

use super::super::lexer::{Kind, Tokens};
use super::assessment::{Impact, LockMode};
use super::created::Created;
use super::impact::Effect;
use super::words::{Cursor, Word, has};

use Impact::{Additive, DataChange, Destructive, Unknown};
use LockMode::{AccessExclusive, AccessShare, RowExclusive, RowShare};

/// A statement that reads or changes rows, or a `DO` block.
pub(super) fn judge(words: &[Word<'_>], created: &mut Created) -> Effect {
    let mut cursor = Cursor(words);
    if cursor.take(&["DO"]) {
        return block(cursor);
    }
    if cursor.take(&["TRUNCATE"]) {
        return truncate(cursor, created);
    }
    if cursor.at(&["COPY"]) {
        let reads = has(words, &["TO"]);
        return if reads {
            Effect::new(Impact::None, AccessShare)
        } else {
            Effect::new(DataChange, RowExclusive)
        };
    }
    if cursor.at_any(&["INSERT", "UPDATE", "DELETE", "MERGE"]) {
        return change(words, created);
    }
    query(words, created)
}

/// INSERT, UPDATE, DELETE and MERGE, with whatever is in their parentheses.
fn change(words: &[Word<'_>], created: &Created) -> Effect {
    let mut cursor = Cursor(words);
    cursor.skip(&[
        "INSERT", "UPDATE", "DELETE", "MERGE", "INTO", "FROM", "ONLY",
    ]);
    let is_new = cursor.name().is_some_and(|name| created.has(&name));
    let impact = if deletes_all(words) {
        Destructive
    } else {
        DataChange
    };
    let effect = Effect::new(impact, RowExclusive);
    if is_new {
        Effect::free(DataChange)
    } else {
        effect
    }
}

/// Whether some DELETE in the words has no WHERE.
fn deletes_all(words: &[Word<'_>]) -> bool {
    // For each open parenthesis, whether a DELETE in it has met no WHERE yet.
    let mut open = vec![false];
    for (at, word) in words.iter().enumerate() {
        while open.len() > word.depth + 1 {
            if open.pop() == Some(true) {
                return true;
            }
        }
        open.resize(word.depth + 1, false);
        if word.is("DELETE") && Cursor(&words[at + 1..]).at(&["FROM"]) {
            if open[word.depth] {
                return true;
            }
            open[word.depth] = true;
        } else if word.is("WHERE") {
            open[word.depth] = false;
        }
    }
    open.contains(&true)
}

/// SELECT, VALUES, TABLE, and WITH, which may hold changes.
fn query(words: &[Word<'_>], created: &mut Created) -> Effect {
    let changes = words.iter().enumerate().any(|(at, word)| {
        let next = Cursor(&words[at + 1..]);
        word.is("INSERT") && next.at(&["INTO"])
            || word.is("DELETE") && next.at(&["FROM"])
            || word.is("MERGE") && next.at(&["INTO"])
            || word.is("UPDATE")
                && !at
                    .checked_sub(1)
                    .is_some_and(|before| words[before].is("FOR") || words[before].is("KEY"))
    });
    if changes {
        let impact = if deletes_all(words) {
            Destructive
        } else {
            DataChange
        };
        return Effect::new(impact, RowExclusive);
    }
    let into = words
        .iter()
        .position(|word| word.depth == 0 && word.is("INTO"));
    if let Some(at) = into {
        let mut cursor = Cursor(&words[at + 1..]);
        cursor.skip(&["TEMPORARY", "TEMP", "UNLOGGED", "TABLE", "LOCAL", "GLOBAL"]);
        if let Some(name) = cursor.name() {
            created.add(name);
        }
        return Effect::new(Additive, AccessShare);
    }
    if let Some(effect) = calls(words) {
        return effect;
    }
    let locks_rows = words.windows(2).any(|pair| {
        pair[0].is("FOR")
            && ["UPDATE", "SHARE", "NO", "KEY"]
                .iter()
                .any(|word| pair[1].is(word))
    });
    if locks_rows {
        Effect::new(Impact::None, RowShare)
    } else if words.iter().any(|word| word.is("FROM") || word.is("TABLE")) {
        Effect::new(Impact::None, AccessShare)
    } else {
        Effect::free(Impact::None)
    }
}

/// A call may do anything, but for those that scripts are full of.
fn calls(words: &[Word<'_>]) -> Option<Effect> {
    let called: Vec<&Word<'_>> = words
        .windows(2)
        .filter(|pair| {
            pair[1].is_mark("(")
                && matches!(pair[0].token.kind, Kind::Word | Kind::QuotedIdentifier)
        })
        .filter(|pair| {
            ![
                "IN", "VALUES", "AS", "ANY", "ALL", "EXISTS", "OVER", "FILTER", "ON", "AND", "OR",
                "NOT", "FROM", "WHERE", "SELECT",
            ]
            .iter()
            .any(|word| pair[0].is(word))
        })
        .map(|pair| &pair[0])
        .collect();
    if called.is_empty() || called.iter().all(|word| word.is("set_config")) {
        return (!called.is_empty()).then(|| Effect::free(Impact::None));
    }
    Some(
        if called.iter().all(|word| {
            word.is("setval")
                || word.is("max")
                || word.is("coalesce")
                || word.is("pg_get_serial_sequence")
        }) {
            Effect::unclear(DataChange)
        } else {
            Effect::UNKNOWN
        },
    )
}

/// What a block does is in its body. Plain words that destroy are seen; what it makes of strings is not.
fn block(cursor: Cursor<'_, '_>) -> Effect {
    let destroys = cursor
        .rest()
        .iter()
        .filter(|word| word.token.kind == Kind::String)
        .any(|body| {
            let text = body
                .token
                .text
                .trim_start_matches(|c: char| c != '\'' && c != '$');
            let inner = text
                .trim_start_matches('$')
                .trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            destroys(inner.trim_matches(['$', '\'']))
        });
    if destroys {
        return Effect {
            impact: Destructive,
            ..Effect::UNKNOWN
        };
    }
    Effect {
        impact: Unknown,
        ..Effect::UNKNOWN
    }
}

fn destroys(body: &str) -> bool {
    let (mut drops, mut before) = (false, None);
    for token in Tokens::new(body) {
        let kinds = ["TABLE", "COLUMN", "SCHEMA", "DATABASE", "OWNED"];
        if token.is("TRUNCATE") || drops && kinds.iter().any(|kind| token.is(kind)) {
            return true;
        }
        if before == Some(Kind::Word) && token.is("FROM") {
            return true;
        }
        drops = token.is("DROP");
        before = token.is("DELETE").then_some(Kind::Word);
    }
    false
}

/// `TRUNCATE [TABLE] [ONLY] names …`
fn truncate(mut cursor: Cursor<'_, '_>, created: &Created) -> Effect {
    cursor.take(&["TABLE"]);
    let are_new = cursor
        .names()
        .is_some_and(|names| names.iter().all(|name| created.has(name)));
    let effect = Effect::new(Destructive, AccessExclusive);
    if are_new && !has(cursor.rest(), &["CASCADE"]) {
        effect.on_new()
    } else {
        effect
    }
}
