//! What a statement does and locks, from its words.
//!
//! The order of words is that of PostgreSQL's grammar, the locks are those of "Explicit Locking" in its manual and of its
//! sources; `tests/it/lint.rs` holds them against real servers.

use super::super::lexer::Kind;
use super::super::script::Script;
use super::super::statement::Statement;
use super::alter;
use super::assessment::{Impact, Judged, LockMode, TableLock};
use super::create;
use super::created::Created;
use super::data;
use super::drop;
use super::words::{Cursor, Word, has, words};

use Impact::{Additive, Blocking, DataChange, Definition, Incompatible, Rewrite, Unknown};
use LockMode::{AccessExclusive, Exclusive, RowExclusive, ShareUpdateExclusive};

/// What a statement does, and its strongest lock on what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) impact: Impact,
    pub(super) lock: TableLock,
}

impl Effect {
    pub(super) const UNKNOWN: Self = Self {
        impact: Impact::Unknown,
        lock: TableLock::Unknown,
    };

    pub(super) const fn new(impact: Impact, lock: LockMode) -> Self {
        Self {
            impact,
            lock: TableLock::Mode(lock),
        }
    }

    /// Without a lock on anything that was there before.
    pub(super) const fn free(impact: Impact) -> Self {
        Self {
            impact,
            lock: TableLock::None,
        }
    }

    /// With a lock that the words do not tell.
    pub(super) const fn unclear(impact: Impact) -> Self {
        Self {
            impact,
            lock: TableLock::Unknown,
        }
    }

    /// Both together: the worse of each.
    pub(super) fn and(self, other: Self) -> Self {
        const STRONGEST: TableLock = TableLock::Mode(AccessExclusive);
        let lock = if self.lock == STRONGEST || other.lock == STRONGEST {
            STRONGEST
        } else {
            self.lock.max(other.lock)
        };
        Self {
            impact: self.impact.max(other.impact),
            lock,
        }
    }

    /// The same done to a table that the script itself has made: nobody else uses it yet.
    pub(super) fn on_new(self) -> Self {
        if self.impact == Unknown {
            return self;
        }
        Self::free(self.impact.min(Additive))
    }
}

/// Every statement of a script.
pub(super) fn judge(script: &Script, created: &mut Created) -> Vec<Judged> {
    script
        .statements()
        .iter()
        .map(|statement| {
            let effect = of(script, statement, created);
            Judged {
                number: statement.number,
                position: statement.position,
                impact: effect.impact,
                lock: effect.lock,
            }
        })
        .collect()
}

fn of(script: &Script, statement: &Statement, created: &mut Created) -> Effect {
    if statement.is_plain_record {
        return Effect::new(Impact::None, RowExclusive);
    }
    let (words, is_cut) = words(&script.text()[statement.range.clone()]);
    judge_words(&words, is_cut, created)
}

/// The effect of one statement, of which there may be more words. Remembers what it creates and makes uncertain.
pub(super) fn judge_words(words: &[Word<'_>], is_cut: bool, created: &mut Created) -> Effect {
    let effect = of_words(words, created);
    let impact = if is_cut { Unknown } else { effect.impact };
    created.after(words, impact);
    // What was not read may be worse than what was; rows are only more rows.
    if is_cut && effect.impact != DataChange {
        return effect.and(Effect::UNKNOWN);
    }
    effect
}

/// The effect of one statement. Remembers what it creates.
pub(super) fn of_words(words: &[Word<'_>], created: &mut Created) -> Effect {
    let mut cursor = Cursor(words);
    let Some(first) = words.first() else {
        return Effect::free(Impact::None);
    };
    cursor = Cursor(&cursor.rest()[1..]);
    match first.token.text.to_ascii_uppercase().as_str() {
        "CREATE" => create::judge(cursor, created),
        "ALTER" => alter::judge(cursor, created),
        "DROP" => drop::judge(cursor, created),
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "COPY" | "WITH" | "SELECT"
        | "VALUES" | "TABLE" | "(" | "DO" => data::judge(words, created),
        "COMMENT" => comment(cursor, created),
        "SECURITY" => comment(cursor, created).and(Effect::free(Definition)),
        // Of a table, from PostgreSQL 18 on.
        "GRANT" => Effect::new(Definition, LockMode::AccessShare),
        "REVOKE" => Effect::new(Incompatible, LockMode::AccessShare),
        "REASSIGN" => Effect::unclear(Definition),
        "IMPORT" => Effect::free(Additive),
        "ANALYZE" | "ANALYSE" => Effect::new(Impact::None, ShareUpdateExclusive),
        "VACUUM" => vacuum(cursor),
        "CLUSTER" => Effect::new(Rewrite, AccessExclusive),
        "REINDEX" => reindex(cursor),
        "REFRESH" => refresh(cursor),
        "LOCK" => lock(cursor, created),
        "DECLARE" => data::cursor(words),
        "SET" | "RESET" | "SHOW" | "LISTEN" | "UNLISTEN" | "NOTIFY" | "DISCARD" | "DEALLOCATE"
        | "CLOSE" | "SAVEPOINT" | "RELEASE" | "ROLLBACK" | "PREPARE" | "FETCH" | "MOVE"
        | "CHECKPOINT" => Effect::free(Impact::None),
        _ => Effect::UNKNOWN,
    }
}

/// Whether an expression may have another value in each row: any call but those of the current time.
pub(super) fn is_volatile(words: &[Word<'_>]) -> bool {
    const STABLE: [&str; 6] = [
        "now",
        "transaction_timestamp",
        "statement_timestamp",
        "date_trunc",
        "array",
        "timezone",
    ];
    const TYPES: [&str; 14] = [
        "numeric",
        "decimal",
        "varchar",
        "char",
        "character",
        "varying",
        "bit",
        "time",
        "timestamp",
        "interval",
        "current_timestamp",
        "current_time",
        "localtimestamp",
        "localtime",
    ];
    words.windows(2).any(|pair| {
        let is_call = pair[1].is_mark("(")
            && matches!(pair[0].token.kind, Kind::Word | Kind::QuotedIdentifier);
        is_call && !STABLE.iter().chain(&TYPES).any(|name| pair[0].is(name))
    })
}

/// `COMMENT ON kind name` and `SECURITY LABEL … ON kind name`: the relation is kept from changing.
fn comment(mut cursor: Cursor<'_, '_>, created: &Created) -> Effect {
    while !cursor.rest().is_empty() && !cursor.take(&["ON"]) {
        cursor = Cursor(&cursor.rest()[1..]);
    }
    let is_column = cursor.take(&["COLUMN"]);
    let is_relation = is_column
        || cursor.take(&["TABLE"])
        || cursor.take(&["VIEW"])
        || cursor.take(&["MATERIALIZED", "VIEW"])
        || cursor.take(&["FOREIGN", "TABLE"])
        || cursor.take(&["INDEX"])
        || cursor.take(&["SEQUENCE"]);
    if !is_relation {
        // Of a constraint, trigger or policy of a table, the table is locked; other objects are no relations.
        let is_of_table = cursor.at_any(&["CONSTRAINT", "TRIGGER", "POLICY", "RULE"]);
        return if is_of_table {
            Effect::unclear(Definition)
        } else {
            Effect::free(Definition)
        };
    }
    let Some(mut name) = cursor.name() else {
        return Effect::unclear(Definition);
    };
    if is_column {
        name.pop();
    }
    if created.has(&name) {
        Effect::free(Definition)
    } else {
        Effect::new(Definition, ShareUpdateExclusive)
    }
}

fn vacuum(cursor: Cursor<'_, '_>) -> Effect {
    if cursor.rest().iter().any(|word| word.is("FULL")) {
        Effect::new(Rewrite, AccessExclusive)
    } else {
        Effect::new(Impact::None, ShareUpdateExclusive)
    }
}

fn reindex(cursor: Cursor<'_, '_>) -> Effect {
    if cursor.rest().iter().any(|word| word.is("CONCURRENTLY")) {
        Effect::new(Impact::None, ShareUpdateExclusive)
    } else {
        Effect::new(Blocking, AccessExclusive)
    }
}

/// `REFRESH MATERIALIZED VIEW [CONCURRENTLY] name`
fn refresh(mut cursor: Cursor<'_, '_>) -> Effect {
    cursor.take(&["MATERIALIZED", "VIEW"]);
    if cursor.take(&["CONCURRENTLY"]) {
        Effect::new(DataChange, Exclusive)
    } else if has(cursor.rest(), &["WITH", "NO", "DATA"]) {
        Effect::new(Incompatible, AccessExclusive)
    } else {
        Effect::new(Blocking, AccessExclusive)
    }
}

/// `LOCK [TABLE] names [IN mode MODE] [NOWAIT]`
fn lock(mut cursor: Cursor<'_, '_>, created: &Created) -> Effect {
    cursor.take(&["TABLE"]);
    let names = cursor.names();
    if names.is_some_and(|names| names.iter().all(|name| created.has(name))) {
        return Effect::free(Impact::None);
    }
    if !cursor.take(&["IN"]) {
        return Effect::new(Blocking, AccessExclusive);
    }
    let modes = [
        (["ACCESS", "SHARE"].as_slice(), LockMode::AccessShare),
        (&["ROW", "SHARE"], LockMode::RowShare),
        (&["ROW", "EXCLUSIVE"], LockMode::RowExclusive),
        (
            &["SHARE", "UPDATE", "EXCLUSIVE"],
            LockMode::ShareUpdateExclusive,
        ),
        (&["SHARE", "ROW", "EXCLUSIVE"], LockMode::ShareRowExclusive),
        (&["SHARE"], LockMode::Share),
        (&["EXCLUSIVE"], LockMode::Exclusive),
        (&["ACCESS", "EXCLUSIVE"], LockMode::AccessExclusive),
    ];
    let mode = modes
        .iter()
        .find(|(words, _)| cursor.at(words))
        .map(|(_, mode)| *mode);
    match mode {
        Some(mode) if mode >= LockMode::Share => Effect::new(Blocking, mode),
        Some(mode) => Effect::new(Impact::None, mode),
        None => Effect::UNKNOWN,
    }
}
