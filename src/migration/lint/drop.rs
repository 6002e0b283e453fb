//! `DROP …`

use super::assessment::{Impact, LockMode};
use super::created::Created;
use super::impact::Effect;
use super::words::{Cursor, has};

use Impact::{Destructive, Incompatible};
use LockMode::{AccessExclusive, ShareUpdateExclusive};

/// What follows `DROP`.
pub(super) fn judge(mut cursor: Cursor<'_, '_>, created: &Created) -> Effect {
    let effect = object(&mut cursor, created);
    if has(cursor.rest(), &["CASCADE"]) {
        // What goes with it is not named; it may be columns, or tables.
        return effect.and(Effect::new(Destructive, AccessExclusive));
    }
    effect
}

fn object(cursor: &mut Cursor<'_, '_>, created: &Created) -> Effect {
    if cursor.take(&["TABLE"]) {
        return relations(cursor, Destructive, created);
    }
    if cursor.take(&["VIEW"])
        || cursor.take(&["MATERIALIZED", "VIEW"])
        || cursor.take(&["FOREIGN", "TABLE"])
        || cursor.take(&["SEQUENCE"])
    {
        return relations(cursor, Incompatible, created);
    }
    if cursor.take(&["INDEX", "CONCURRENTLY"]) {
        return Effect::new(Incompatible, ShareUpdateExclusive);
    }
    if cursor.at_any(&["INDEX", "TRIGGER", "RULE", "POLICY"]) {
        return Effect::new(Incompatible, AccessExclusive);
    }
    if cursor.at(&["STATISTICS"]) {
        return Effect::new(Incompatible, ShareUpdateExclusive);
    }
    if cursor.at(&["DATABASE"]) || cursor.at(&["OWNED"]) {
        return Effect::new(Destructive, AccessExclusive);
    }
    if cursor.at(&["EXTENSION"]) {
        // What it brought may be tables.
        return Effect::unclear(Incompatible);
    }
    let is_known = cursor.at_any(&[
        "SCHEMA",
        "FUNCTION",
        "PROCEDURE",
        "ROUTINE",
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
        "TRUSTED",
        "PROCEDURAL",
        "ACCESS",
        "EVENT",
        "FOREIGN",
        "SERVER",
        "USER",
        "ROLE",
        "GROUP",
        "TABLESPACE",
        "SUBSCRIPTION",
        "PUBLICATION",
    ]);
    if is_known {
        Effect::free(Incompatible)
    } else {
        Effect::UNKNOWN
    }
}

/// `[IF EXISTS] name, …`
fn relations(cursor: &mut Cursor<'_, '_>, impact: Impact, created: &Created) -> Effect {
    cursor.take(&["IF", "EXISTS"]);
    let effect = Effect::new(impact, AccessExclusive);
    // What is lost must surely be nobody's; what others wait for need only be likely.
    let are_new = cursor.names().is_some_and(|names| {
        names.iter().all(|name| match impact {
            Destructive => created.is_surely_new(name),
            _ => created.has(name),
        })
    });
    if are_new { effect.on_new() } else { effect }
}
