//! `ALTER …` of anything; of tables in [`alter_table`](super::alter_table).

use super::alter_table;
use super::assessment::{Impact, LockMode};
use super::created::Created;
use super::impact::Effect;
use super::words::{Cursor, Word, has};

use Impact::{Additive, Blocking, Definition, Destructive, Incompatible, Rewrite};
use LockMode::{AccessExclusive, Share, ShareRowExclusive, ShareUpdateExclusive};

/// What follows `ALTER`.
pub(super) fn judge(mut cursor: Cursor<'_, '_>, created: &Created) -> Effect {
    if cursor.take(&["TABLE"]) || cursor.take(&["FOREIGN", "TABLE"]) {
        return alter_table::judge(cursor, created);
    }
    if cursor.take(&["VIEW"]) || cursor.take(&["MATERIALIZED", "VIEW"]) {
        let impact = if rewrites(cursor.rest()) {
            Rewrite
        } else {
            renames_or_defines(cursor.rest())
        };
        return Effect::new(impact, AccessExclusive);
    }
    if cursor.take(&["INDEX"]) {
        return index(cursor);
    }
    if cursor.take(&["SEQUENCE"]) {
        let impact = renames_or_defines(cursor.rest());
        let is_renamed = impact == Incompatible || has(cursor.rest(), &["OWNER", "TO"]);
        return Effect::new(
            impact,
            if is_renamed {
                AccessExclusive
            } else {
                ShareRowExclusive
            },
        );
    }
    if cursor.take(&["TYPE"]) {
        return alter_type(cursor);
    }
    if cursor.take(&["DOMAIN"]) {
        return domain(cursor);
    }
    if cursor.at_any(&["TRIGGER", "POLICY", "RULE"]) {
        return Effect::new(renames_or_defines(cursor.rest()), AccessExclusive);
    }
    if cursor.take(&["PUBLICATION"]) {
        return Effect::new(Incompatible, ShareUpdateExclusive);
    }
    if cursor.at_any(&["EXTENSION", "STATISTICS"]) {
        return Effect::unclear(Definition);
    }
    let is_known = cursor.at_any(&[
        "SCHEMA",
        "FUNCTION",
        "PROCEDURE",
        "ROUTINE",
        "AGGREGATE",
        "COLLATION",
        "CONVERSION",
        "DEFAULT",
        "LARGE",
        "OPERATOR",
        "TEXT",
        "LANGUAGE",
        "PROCEDURAL",
        "EVENT",
        "FOREIGN",
        "SERVER",
        "USER",
        "ROLE",
        "GROUP",
        "DATABASE",
        "TABLESPACE",
        "SUBSCRIPTION",
        "SYSTEM",
    ]);
    if is_known {
        Effect::free(renames_or_defines(cursor.rest()))
    } else {
        Effect::UNKNOWN
    }
}

/// Clients find an object by its name and schema; anything else is its definition.
fn renames_or_defines(words: &[Word<'_>]) -> Impact {
    if has(words, &["RENAME"]) || has(words, &["SET", "SCHEMA"]) {
        Incompatible
    } else {
        Definition
    }
}

fn rewrites(words: &[Word<'_>]) -> bool {
    has(words, &["SET", "TABLESPACE"]) || has(words, &["SET", "ACCESS", "METHOD"])
}

fn index(cursor: Cursor<'_, '_>) -> Effect {
    let words = cursor.rest();
    if has(words, &["SET", "TABLESPACE"]) {
        Effect::new(Rewrite, AccessExclusive)
    } else if has(words, &["ATTACH", "PARTITION"]) {
        Effect::new(Additive, AccessExclusive)
    } else {
        Effect::new(renames_or_defines(words), ShareUpdateExclusive)
    }
}

/// `ALTER TYPE name …`; what is done to the attributes is done in every table that uses the type.
fn alter_type(mut cursor: Cursor<'_, '_>) -> Effect {
    cursor.name();
    let words = cursor.rest();
    if has(words, &["ADD", "VALUE"]) {
        Effect::free(Additive)
    } else if has(words, &["DROP", "ATTRIBUTE"]) {
        Effect::unclear(Destructive)
    } else if has(words, &["ATTRIBUTE"]) {
        Effect::unclear(Incompatible)
    } else {
        Effect::free(renames_or_defines(words))
    }
}

/// `ALTER DOMAIN name …`; a new constraint is checked in every table that uses the domain.
fn domain(mut cursor: Cursor<'_, '_>) -> Effect {
    cursor.name();
    let words = cursor.rest();
    if has(words, &["NOT", "VALID"]) {
        Effect::free(Definition)
    } else if cursor.at(&["ADD"]) || cursor.at(&["SET", "NOT", "NULL"]) || cursor.at(&["VALIDATE"])
    {
        Effect::new(Blocking, Share)
    } else if cursor.at(&["DROP"]) {
        Effect::free(Incompatible)
    } else {
        Effect::free(renames_or_defines(words))
    }
}
