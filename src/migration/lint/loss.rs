//! What a script takes away that may hold data: tables, columns and rows. Views, indexes, types and the like are
//! structure, and not named here.
//!
//! Nothing destructive is left out: of a statement that loses data, or may, and whose words do not tell which, the
//! statement itself is named.

use std::fmt;

use super::super::script::Script;
use super::super::statement_words::words as shown;
use super::assessment::Impact;
use super::created::Created;
use super::data::deletes_without_where;
use super::impact::judge_words;
use super::words::{Cursor, Word, has, parts, words};

/// One thing that a script takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The line where the statement starts, from 1.
    pub line: usize,
    /// What it is.
    pub what: Lost,
    /// What depends on it goes too.
    pub cascades: bool,
}

/// What is taken away, as the words of the script name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// A table with its rows.
    Table(TableName),
    /// All rows of a table that stays.
    Rows(TableName),
    /// A column.
    Column {
        /// Of this table.
        table: TableName,
        /// Its name.
        column: String,
    },
    /// All tables in a schema.
    Schema(String),
    /// What the words do not tell: the leading words of the statement.
    Untold(String),
}

/// A table as a script names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Where it is looked up.
    pub schemas: Schemas,
    /// Its name.
    pub name: String,
}

/// The schemas that a name is looked up in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schemas {
    /// The one that stands before the name.
    Named(String),
    /// Those that a script is run with.
    Session,
    /// Those that the script itself has set, first to last.
    Listed(Vec<String>),
    /// The script has changed them in a way that its words do not tell.
    Unsure,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schemas {
            Schemas::Named(schema) => write!(f, "{schema}.{}", self.name),
            Schemas::Session | Schemas::Listed(_) | Schemas::Unsure => f.write_str(&self.name),
        }
    }
}

/// Everything that `script` takes away and that may hold data, in its order. What it made itself does not count.
#[must_use]
pub fn losses(script: &Script) -> Vec<Loss> {
    let (mut created, mut path) = (Created::default(), Schemas::Session);
    let mut losses = Vec::new();
    for statement in script.statements() {
        if statement.is_plain_record {
            continue;
        }
        let text = &script.text()[statement.range.clone()];
        let (words, is_cut) = words(text);
        let named = named(&words, &created, &path);
        let impact = judge_words(&words, is_cut, &mut created).impact;
        path = path_after(path, &words, text);
        let taken = match impact {
            Impact::Destructive => named,
            Impact::Unknown => Vec::new(),
            // What it brought may be tables.
            _ if Cursor(&words).at(&["DROP", "EXTENSION"]) => Vec::new(),
            _ => continue,
        };
        let is_told = !taken.is_empty() && !is_cut;
        let untold = (!is_told).then(|| Loss {
            line: 0,
            what: Lost::Untold(shown(text)),
            cascades: has(&words, &["CASCADE"]),
        });
        losses.extend(taken.into_iter().chain(untold).map(|loss| Loss {
            line: statement.position.line,
            ..loss
        }));
    }
    losses
}

/// What the words of a statement name, the line left open.
fn named(words: &[Word<'_>], created: &Created, path: &Schemas) -> Vec<Loss> {
    let mut cursor = Cursor(words);
    let cascades = has(words, &["CASCADE"]);
    let table = |name: &Vec<String>| table(name, created, path);
    let of = |what| Loss {
        line: 0,
        what,
        cascades,
    };
    if cursor.take(&["DROP", "TABLE"]) {
        cursor.take(&["IF", "EXISTS"]);
        let names = cursor.names().unwrap_or_default();
        return names
            .iter()
            .filter_map(table)
            .map(Lost::Table)
            .map(of)
            .collect();
    }
    if cursor.take(&["DROP", "SCHEMA"]) {
        cursor.take(&["IF", "EXISTS"]);
        let names = cursor.names().unwrap_or_default();
        let schemas = names.into_iter().filter_map(|mut name| name.pop());
        return schemas.map(Lost::Schema).map(of).collect();
    }
    if cursor.take(&["TRUNCATE"]) {
        cursor.take(&["TABLE"]);
        let names = cursor.names().unwrap_or_default();
        return names
            .iter()
            .filter_map(table)
            .map(Lost::Rows)
            .map(of)
            .collect();
    }
    if cursor.take(&["ALTER", "TABLE"]) || cursor.take(&["ALTER", "FOREIGN", "TABLE"]) {
        return columns(cursor, table).into_iter().map(of).collect();
    }
    let emptied = deletes_without_where(words).into_iter().filter_map(|at| {
        let mut cursor = Cursor(&words[at..]);
        cursor.take(&["DELETE", "FROM"]);
        cursor.take(&["ONLY"]);
        table(&cursor.name()?)
    });
    emptied
        .map(|table| Loss {
            cascades: false,
            ..of(Lost::Rows(table))
        })
        .collect()
}

/// The columns that `ALTER TABLE` drops.
fn columns(
    mut cursor: Cursor<'_, '_>,
    table: impl Fn(&Vec<String>) -> Option<TableName>,
) -> Vec<Lost> {
    cursor.take(&["IF", "EXISTS"]);
    cursor.take(&["ONLY"]);
    let Some(table) = cursor.name().as_ref().and_then(table) else {
        return Vec::new();
    };
    cursor.take_mark("*");
    let dropped = parts(cursor.rest()).filter_map(|words| {
        let mut cursor = Cursor(words);
        if !cursor.take(&["DROP"]) || cursor.at(&["CONSTRAINT"]) {
            return None;
        }
        cursor.take(&["COLUMN"]);
        cursor.take(&["IF", "EXISTS"]);
        Some(Lost::Column {
            table: table.clone(),
            column: cursor.name()?.pop()?,
        })
    });
    dropped.collect()
}

/// A table, unless the script made it: whatever is in it, nobody else put there.
fn table(name: &[String], created: &Created, path: &Schemas) -> Option<TableName> {
    if created.is_surely_new(name) {
        return None;
    }
    let (relation, before) = name.split_last()?;
    Some(TableName {
        schemas: match before.last() {
            Some(schema) => Schemas::Named(schema.clone()),
            None => path.clone(),
        },
        name: relation.clone(),
    })
}

/// Where names are looked up after a statement.
fn path_after(before: Schemas, words: &[Word<'_>], text: &str) -> Schemas {
    let mut cursor = Cursor(words);
    if cursor.take(&["SET"]) {
        cursor.skip(&["LOCAL", "SESSION"]);
        if cursor.take(&["search_path"]) && (cursor.take(&["TO"]) || cursor.take_mark("=")) {
            return listed(cursor).map_or(Schemas::Unsure, Schemas::Listed);
        }
    }
    // A function, a block, a RESET: anything that names it may change it.
    let setting = b"search_path";
    let mut windows = text.as_bytes().windows(setting.len());
    if windows.any(|window| window.eq_ignore_ascii_case(setting)) {
        return Schemas::Unsure;
    }
    before
}

/// Schemas with commas between them, each a name or a plain string; `None`: something else.
fn listed(cursor: Cursor<'_, '_>) -> Option<Vec<String>> {
    let schema = |part: &[Word<'_>]| {
        let [word] = part else {
            return None;
        };
        let plain = word.token.text.strip_prefix('\'');
        let plain = plain.and_then(|text| text.strip_suffix('\''));
        match plain {
            Some(text) => (!text.contains(['\'', '\\', '$'])).then(|| text.to_owned()),
            None => Cursor(part).name()?.pop(),
        }
    };
    let schemas: Option<Vec<String>> = parts(cursor.rest()).map(schema).collect();
    // DEFAULT is where it was before anybody set it, which may be elsewhere by now.
    let names = |schemas: &Vec<String>| {
        !schemas
            .iter()
            .any(|schema| schema == "default" || schema.contains('$'))
    };
    schemas.filter(names)
}

#[cfg(test)]
mod tests;
