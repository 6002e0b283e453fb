//! Statements about rows.

use super::super::lexer::{Kind, Tokens};
use super::assessment::{Impact, LockMode};
use super::calls::{Called, called};
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
        return copy(words, created);
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
    let name = cursor.name().unwrap_or_default();
    // All rows of a table that is surely new may go; those of another may not, deeper in the statement either.
    let lossy = if created.is_surely_new(&name) {
        &words[1..]
    } else {
        words
    };
    let impact = if deletes_all(lossy) {
        Destructive
    } else {
        DataChange
    };
    let effect = Effect::new(impact, RowExclusive);
    if created.has(&name) && impact != Destructive {
        with_calls(Effect::free(DataChange), cursor.rest())
    } else {
        with_calls(effect, cursor.rest())
    }
}

/// Whether some DELETE in the words has no WHERE.
fn deletes_all(words: &[Word<'_>]) -> bool {
    !deletes_without_where(words).is_empty()
}

/// Where each DELETE FROM begins that has no WHERE.
pub(super) fn deletes_without_where(words: &[Word<'_>]) -> Vec<usize> {
    let mut found = Vec::new();
    // For each open parenthesis, the DELETE in it that has met no WHERE yet.
    let mut open = vec![None];
    for (at, word) in words.iter().enumerate() {
        while open.len() > word.depth + 1 {
            found.extend(open.pop().flatten());
        }
        open.resize(word.depth + 1, None);
        if word.is("DELETE") && Cursor(&words[at + 1..]).at(&["FROM"]) {
            found.extend(open[word.depth].replace(at));
        } else if word.is("WHERE") {
            open[word.depth] = None;
        }
    }
    found.extend(open.into_iter().flatten());
    found.sort_unstable();
    found
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
        return with_calls(Effect::new(impact, RowExclusive), words);
    }
    let into = words
        .iter()
        .position(|word| word.depth == 0 && word.is("INTO"));
    if let Some(at) = into {
        let mut cursor = Cursor(&words[at + 1..]);
        cursor.skip(&["LOCAL", "GLOBAL"]);
        let is_temporary = cursor.at_any(&["TEMPORARY", "TEMP"]);
        cursor.skip(&["TEMPORARY", "TEMP", "UNLOGGED", "TABLE"]);
        if let Some(name) = cursor.name() {
            created.add_new(name, is_temporary);
        }
        return with_calls(Effect::new(Additive, AccessShare), words);
    }
    match called(words) {
        Called::Nothing => {}
        Called::Setting => return Effect::free(Impact::None),
        Called::Sequence => return Effect::unclear(DataChange),
        Called::Unknown => return Effect::UNKNOWN,
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

/// The same, unless something is called that may do anything.
pub(super) fn with_calls(effect: Effect, words: &[Word<'_>]) -> Effect {
    match called(words) {
        Called::Unknown => effect.and(Effect::UNKNOWN),
        _ => effect,
    }
}

/// `DECLARE name … CURSOR … FOR query`
pub(super) fn cursor(words: &[Word<'_>]) -> Effect {
    with_calls(Effect::free(Impact::None), words)
}

/// `COPY table …` and `COPY (query) TO …`. A program may do anything.
fn copy(words: &[Word<'_>], created: &mut Created) -> Effect {
    if has(words, &["PROGRAM"]) {
        return Effect::UNKNOWN;
    }
    if words.get(1).is_some_and(|word| word.is_mark("(")) {
        return query(&words[1..], created);
    }
    if has(words, &["TO"]) {
        Effect::new(Impact::None, AccessShare)
    } else {
        with_calls(Effect::new(DataChange, RowExclusive), words)
    }
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
        .is_some_and(|names| names.iter().all(|name| created.is_surely_new(name)));
    let effect = Effect::new(Destructive, AccessExclusive);
    if are_new && !has(cursor.rest(), &["CASCADE"]) {
        effect.on_new()
    } else {
        effect
    }
}
