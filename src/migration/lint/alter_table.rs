//! `ALTER TABLE`: the lock is the strongest of its actions' (`AlterTableGetLockLevel` in PostgreSQL's `tablecmds.c`).

use super::assessment::{Impact, LockMode};
use super::create::referenced;
use super::created::Created;
use super::impact::{Effect, is_volatile};
use super::words::{Cursor, Word, has, parts};

use Impact::{Additive, Blocking, Definition, Destructive, Incompatible, Rewrite};
use LockMode::{AccessExclusive, ShareRowExclusive, ShareUpdateExclusive};

/// What the actions after `ALTER TABLE [IF EXISTS] [ONLY] name` do.
pub(super) fn judge(mut cursor: Cursor<'_, '_>, created: &Created) -> Effect {
    cursor.take(&["IF", "EXISTS"]);
    if cursor.at(&["ALL", "IN", "TABLESPACE"]) {
        return Effect::new(Rewrite, AccessExclusive);
    }
    cursor.take(&["ONLY"]);
    let Some(table) = cursor.name() else {
        return Effect::UNKNOWN;
    };
    cursor.take_mark("*");
    let is_new = created.has(&table);
    let is_surely_new = created.is_surely_new(&table);
    parts(cursor.rest())
        .map(|words| {
            let effect = action(words, created);
            let costs = effect.impact >= Rewrite && !is_surely_new;
            if !is_new || costs {
                return effect;
            }
            // The other side of a foreign key may be in use.
            Effect {
                lock: referenced(words, created),
                ..effect.on_new()
            }
        })
        .reduce(Effect::and)
        .unwrap_or(Effect::UNKNOWN)
}

fn action(words: &[Word<'_>], created: &Created) -> Effect {
    let mut cursor = Cursor(words);
    if cursor.take(&["ADD"]) {
        return if cursor.at_any(&[
            "CONSTRAINT",
            "CHECK",
            "UNIQUE",
            "PRIMARY",
            "FOREIGN",
            "EXCLUDE",
            "NOT",
        ]) {
            add_constraint(cursor.rest())
        } else {
            add_column(cursor)
        };
    }
    if cursor.take(&["DROP", "CONSTRAINT"]) {
        return Effect::new(Incompatible, AccessExclusive);
    }
    if cursor.take(&["DROP"]) {
        return Effect::new(Destructive, AccessExclusive);
    }
    if cursor.take(&["ALTER", "CONSTRAINT"]) {
        return Effect::new(Definition, AccessExclusive);
    }
    if cursor.take(&["ALTER"]) {
        cursor.take(&["COLUMN"]);
        return match cursor.name() {
            Some(_) => alter_column(cursor),
            None => Effect::UNKNOWN,
        };
    }
    partition(cursor, created).unwrap_or_else(|| setting(cursor))
}

fn add_constraint(words: &[Word<'_>]) -> Effect {
    let lock = if has(words, &["FOREIGN", "KEY"]) {
        ShareRowExclusive
    } else {
        AccessExclusive
    };
    // A constraint that is not checked, or whose index is there, takes a moment.
    let is_quick = has(words, &["NOT", "VALID"])
        || has(words, &["USING", "INDEX"]) && !has(words, &["USING", "INDEX", "TABLESPACE"]);
    Effect::new(if is_quick { Additive } else { Blocking }, lock)
}

fn add_column(mut cursor: Cursor<'_, '_>) -> Effect {
    cursor.take(&["COLUMN"]);
    cursor.take(&["IF", "NOT", "EXISTS"]);
    if cursor.name().is_none() {
        return Effect::UNKNOWN;
    }
    let words = cursor.rest();
    let is_serial = cursor.at_any(&[
        "SERIAL",
        "BIGSERIAL",
        "SMALLSERIAL",
        "SERIAL4",
        "SERIAL8",
        "SERIAL2",
    ]);
    let impact = if is_serial || is_generated(words) || is_volatile(default(words)) {
        Rewrite
    } else if has(words, &["UNIQUE"]) || has(words, &["PRIMARY", "KEY"]) || has(words, &["CHECK"]) {
        Blocking
    } else {
        Additive
    };
    Effect::new(impact, AccessExclusive)
}

/// A stored expression, or an identity, whose numbers every row gets at once.
fn is_generated(words: &[Word<'_>]) -> bool {
    has(words, &["GENERATED"]) && !has(words, &["VIRTUAL"])
}

/// The words of a column's default, up to its next constraint.
fn default<'w, 'a>(words: &'w [Word<'a>]) -> &'w [Word<'a>] {
    let outer = words.first().map_or(0, |word| word.depth);
    let Some(start) = words
        .iter()
        .position(|word| word.depth == outer && word.is("DEFAULT"))
    else {
        return &[];
    };
    let words = &words[start + 1..];
    let end = words.iter().position(|word| {
        let ends = [
            "NOT",
            "CHECK",
            "UNIQUE",
            "PRIMARY",
            "REFERENCES",
            "CONSTRAINT",
            "GENERATED",
        ];
        word.depth == outer && ends.iter().any(|end| word.is(end))
    });
    &words[..end.unwrap_or(words.len())]
}

fn alter_column(mut cursor: Cursor<'_, '_>) -> Effect {
    let (impact, lock) = if cursor.at(&["TYPE"])
        || cursor.at(&["SET", "DATA", "TYPE"])
        || cursor.at(&["SET", "EXPRESSION"])
    {
        (Rewrite, AccessExclusive)
    } else if cursor.at(&["SET", "NOT", "NULL"]) {
        (Blocking, AccessExclusive)
    } else if cursor.at(&["SET", "STATISTICS"]) {
        (Definition, ShareUpdateExclusive)
    } else if cursor.at(&["DROP"])
        || cursor.at(&["SET", "GENERATED"])
        || cursor.at(&["ADD", "GENERATED"])
    {
        (Incompatible, AccessExclusive)
    } else if cursor.take(&["SET"]) || cursor.take(&["RESET"]) {
        let lock = if cursor.rest().first().is_some_and(|word| word.is_mark("(")) {
            ShareUpdateExclusive
        } else {
            AccessExclusive
        };
        (Definition, lock)
    } else {
        (Definition, AccessExclusive)
    };
    Effect::new(impact, lock)
}

fn partition(mut cursor: Cursor<'_, '_>, created: &Created) -> Option<Effect> {
    if cursor.take(&["ATTACH", "PARTITION"]) {
        // The parent is hardly locked; the partition is, and read.
        let is_new = cursor.name().is_some_and(|name| created.has(&name));
        return Some(if is_new {
            Effect::new(Additive, ShareUpdateExclusive)
        } else {
            Effect::new(Blocking, AccessExclusive)
        });
    }
    // Without CONCURRENTLY the parent is locked, with it the partition.
    cursor
        .at(&["DETACH", "PARTITION"])
        .then(|| Effect::new(Incompatible, AccessExclusive))
}

fn setting(mut cursor: Cursor<'_, '_>) -> Effect {
    let (impact, lock) = if cursor.at(&["VALIDATE", "CONSTRAINT"])
        || cursor.at(&["CLUSTER", "ON"])
        || cursor.at(&["SET", "WITHOUT", "CLUSTER"])
    {
        (Definition, ShareUpdateExclusive)
    } else if cursor.at(&["RENAME"]) || cursor.at(&["SET", "SCHEMA"]) {
        (Incompatible, AccessExclusive)
    } else if cursor.at(&["SET", "TABLESPACE"])
        || cursor.at(&["SET", "LOGGED"])
        || cursor.at(&["SET", "UNLOGGED"])
        || cursor.at(&["SET", "ACCESS", "METHOD"])
    {
        (Rewrite, AccessExclusive)
    } else if cursor.take(&["ENABLE"]) || cursor.take(&["DISABLE"]) {
        cursor.skip(&["REPLICA", "ALWAYS"]);
        let lock = if cursor.at(&["TRIGGER"]) {
            ShareRowExclusive
        } else {
            AccessExclusive
        };
        (Incompatible, lock)
    } else if cursor.at_any(&["FORCE", "NO", "INHERIT"]) {
        (Incompatible, AccessExclusive)
    } else if cursor.at_any(&["OWNER", "REPLICA", "OF", "NOT"])
        || cursor.at(&["SET", "WITHOUT", "OIDS"])
    {
        (Definition, AccessExclusive)
    } else if cursor.take(&["SET"]) || cursor.take(&["RESET"]) {
        (Definition, storage_parameters(cursor))
    } else {
        return Effect::UNKNOWN;
    };
    Effect::new(impact, lock)
}

/// `(fillfactor = 70)`: of the parameters of tables that every server knows, this one keeps others out.
fn storage_parameters(cursor: Cursor<'_, '_>) -> LockMode {
    let is_strong = cursor
        .rest()
        .iter()
        .any(|word| word.is("user_catalog_table"));
    if is_strong {
        AccessExclusive
    } else {
        ShareUpdateExclusive
    }
}
