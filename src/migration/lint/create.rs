//! `CREATE …`: mostly something new, sometimes on top of what is there.

use super::assessment::{Impact, LockMode, TableLock};
use super::created::Created;
use super::data::with_calls;
use super::impact::Effect;
use super::words::{Cursor, Word, has};

use Impact::{Additive, Blocking, Definition};
use LockMode::{AccessExclusive, AccessShare, Share, ShareRowExclusive, ShareUpdateExclusive};

/// What follows `CREATE`.
pub(super) fn judge(mut cursor: Cursor<'_, '_>, created: &mut Created) -> Effect {
    let replaces = cursor.take(&["OR", "REPLACE"]);
    let is_temporary = {
        let mut kind = cursor;
        kind.skip(&["GLOBAL", "LOCAL"]);
        kind.at_any(&["TEMPORARY", "TEMP"])
    };
    cursor.skip(&[
        "GLOBAL",
        "LOCAL",
        "TEMPORARY",
        "TEMP",
        "UNLOGGED",
        "RECURSIVE",
        "TRUSTED",
        "PROCEDURAL",
        "CONSTRAINT",
        "DEFAULT",
    ]);
    if cursor.take(&["TABLE"]) {
        let is_new = !replaces && !cursor.at(&["IF", "NOT", "EXISTS"]);
        return table(cursor, is_new.then_some(is_temporary), created);
    }
    if cursor.take(&["FOREIGN", "TABLE"]) {
        // Its rows are another server's.
        return table(cursor, None, created);
    }
    if cursor.take(&["MATERIALIZED", "VIEW"]) {
        return made_of_a_query(cursor, created);
    }
    if cursor.take(&["VIEW"]) {
        return view(cursor, replaces, created);
    }
    if cursor.take(&["UNIQUE", "INDEX"]) || cursor.take(&["INDEX"]) {
        return index(cursor, created);
    }
    if cursor.take(&["TRIGGER"]) {
        return on_table(cursor, replaces, ShareRowExclusive, created);
    }
    if cursor.take(&["POLICY"]) || cursor.take(&["RULE"]) {
        // Both change what queries of the table see or do.
        return on_table(cursor, true, AccessExclusive, created);
    }
    if cursor.take(&["STATISTICS"]) {
        return Effect::new(Additive, ShareUpdateExclusive);
    }
    if cursor.take(&["PUBLICATION"]) {
        return if has(cursor.rest(), &["FOR", "TABLE"]) {
            Effect::new(Additive, ShareUpdateExclusive)
        } else {
            Effect::free(Additive)
        };
    }
    if cursor.take(&["SCHEMA"]) {
        return schema(cursor);
    }
    if cursor.at(&["EXTENSION"]) {
        // Its script is not here.
        return Effect::unclear(Additive);
    }
    if cursor.take(&["SEQUENCE"]) {
        let is_owned = has(cursor.rest(), &["OWNED", "BY"]);
        return if is_owned {
            Effect::unclear(Additive)
        } else {
            Effect::free(Additive)
        };
    }
    let is_known = cursor.at_any(&[
        "FUNCTION",
        "PROCEDURE",
        "AGGREGATE",
        "TYPE",
        "DOMAIN",
        "COLLATION",
        "CONVERSION",
        "CAST",
        "OPERATOR",
        "TEXT",
        "TRANSFORM",
        "LANGUAGE",
        "ACCESS",
        "EVENT",
        "FOREIGN",
        "SERVER",
        "USER",
        "ROLE",
        "GROUP",
        "DATABASE",
        "TABLESPACE",
        "SUBSCRIPTION",
    ]);
    match (is_known, replaces) {
        (true, true) => Effect::free(Definition),
        (true, false) => Effect::free(Additive),
        (false, _) => Effect::UNKNOWN,
    }
}

/// `CREATE TABLE [IF NOT EXISTS] name …`; `new`: that it is surely new, and whether it is temporary.
fn table(mut cursor: Cursor<'_, '_>, new: Option<bool>, created: &mut Created) -> Effect {
    cursor.take(&["IF", "NOT", "EXISTS"]);
    match (cursor.name(), new) {
        (Some(name), Some(is_temporary)) => created.add_new(name, is_temporary),
        (Some(name), None) => created.add(name),
        (None, _) => {}
    }
    let words = cursor.rest();
    let parent = if let Some(mut parent) = after(words, &["PARTITION", "OF"]) {
        let is_new = parent.name().is_some_and(|name| created.has(&name));
        if is_new {
            TableLock::None
        } else {
            TableLock::Mode(AccessExclusive)
        }
    } else if has(words, &["INHERITS"]) {
        TableLock::Mode(ShareUpdateExclusive)
    } else if has(words, &["AS"]) || words.iter().any(|word| word.is("LIKE")) {
        TableLock::Mode(AccessShare)
    } else {
        TableLock::None
    };
    let effect = Effect {
        impact: Additive,
        lock: parent.max(referenced(words, created)),
    };
    of_query(effect, words)
}

/// What is made of a query also does what the query calls.
fn of_query(effect: Effect, words: &[Word<'_>]) -> Effect {
    match after(words, &["AS"]) {
        Some(query) if has(words, &["AS"]) => with_calls(effect, query.rest()),
        _ => effect,
    }
}

/// The lock on the tables that foreign keys in these words refer to.
pub(super) fn referenced(words: &[Word<'_>], created: &Created) -> TableLock {
    let is_foreign = words.iter().enumerate().any(|(at, word)| {
        let refers = word.is("REFERENCES");
        refers
            && !Cursor(&words[at + 1..])
                .name()
                .is_some_and(|name| created.has(&name))
    });
    if is_foreign {
        TableLock::Mode(ShareRowExclusive)
    } else {
        TableLock::None
    }
}

/// `CREATE MATERIALIZED VIEW [IF NOT EXISTS] name …`
fn made_of_a_query(mut cursor: Cursor<'_, '_>, created: &mut Created) -> Effect {
    cursor.take(&["IF", "NOT", "EXISTS"]);
    if let Some(name) = cursor.name() {
        created.add(name);
    }
    of_query(Effect::new(Additive, AccessShare), cursor.rest())
}

fn view(mut cursor: Cursor<'_, '_>, replaces: bool, created: &mut Created) -> Effect {
    let name = cursor.name();
    let was_made_here = name.as_ref().is_some_and(|name| created.has(name));
    if let Some(name) = name {
        created.add(name);
    }
    if replaces && !was_made_here {
        Effect::new(Definition, AccessExclusive)
    } else {
        Effect::new(Additive, AccessShare)
    }
}

/// `CREATE [UNIQUE] INDEX [CONCURRENTLY] [[IF NOT EXISTS] name] ON [ONLY] table`
fn index(mut cursor: Cursor<'_, '_>, created: &Created) -> Effect {
    let concurrently = cursor.take(&["CONCURRENTLY"]);
    cursor.take(&["IF", "NOT", "EXISTS"]);
    if !cursor.at(&["ON"]) {
        cursor.name();
    }
    cursor.take(&["ON"]);
    let only = cursor.take(&["ONLY"]);
    match cursor.name() {
        Some(table) if created.has(&table) => Effect::free(Additive),
        _ if concurrently => Effect::new(Additive, ShareUpdateExclusive),
        // On the parent alone there is nothing to index.
        _ if only => Effect::new(Additive, Share),
        _ => Effect::new(Blocking, Share),
    }
}

/// `… name … ON table …`, the first ON outside of parentheses that a name follows.
fn on_table(
    mut cursor: Cursor<'_, '_>,
    changes: bool,
    lock: LockMode,
    created: &Created,
) -> Effect {
    // RULE: ON event TO table.
    let keyword = if has(cursor.rest(), &["TO"]) && has(cursor.rest(), &["DO"]) {
        "TO"
    } else {
        "ON"
    };
    let impact = if changes { Definition } else { Additive };
    while let Some((word, rest)) = cursor.rest().split_first() {
        cursor = Cursor(rest);
        if word.is(keyword) {
            let is_new = cursor.name().is_some_and(|name| created.has(&name));
            let effect = Effect::new(impact, lock);
            return if is_new { effect.on_new() } else { effect };
        }
    }
    Effect::new(impact, lock)
}

/// `CREATE SCHEMA [IF NOT EXISTS] [name] [AUTHORIZATION role]`; what may follow are statements.
fn schema(mut cursor: Cursor<'_, '_>) -> Effect {
    cursor.take(&["IF", "NOT", "EXISTS"]);
    if !cursor.at(&["AUTHORIZATION"]) {
        cursor.name();
    }
    if cursor.take(&["AUTHORIZATION"]) {
        cursor.name();
    }
    if cursor.rest().is_empty() {
        Effect::free(Additive)
    } else {
        Effect::UNKNOWN
    }
}

/// What follows these keywords.
fn after<'w, 'a>(words: &'w [Word<'a>], keywords: &[&str]) -> Option<Cursor<'w, 'a>> {
    (0..words.len())
        .map(|at| Cursor(&words[at..]))
        .find_map(|mut cursor| cursor.take(keywords).then_some(cursor))
}
