//! What a script has made so far: a lock on it keeps nobody waiting, and what is surely new holds nobody's data.

use std::collections::{HashMap, HashSet};

use super::assessment::Impact;
use super::words::{Cursor, Word, has};

type Names = HashMap<String, HashSet<Option<String>>>;

/// The relations that a script made, as the catalog will have their names: by name, with the schemas that were said.
#[derive(Debug, Default)]
pub(super) struct Created {
    /// What it made, or would have made were it not there.
    made: Names,
    /// What was surely not there before: tables made without IF NOT EXISTS, whose names still mean them.
    new: Names,
    /// Whether a statement may have changed where names are looked up. Then a table may come before a temporary one.
    path_is_in_doubt: bool,
}

impl Created {
    /// Remembers a relation that may have been there before, given as its name with the schema before it.
    pub(super) fn add(&mut self, name: Vec<String>) {
        insert(&mut self.made, name);
    }

    /// Remembers a table that its statement could not have made if it had been there before.
    pub(super) fn add_new(&mut self, name: Vec<String>, is_temporary: bool) {
        if !(is_temporary && self.path_is_in_doubt) {
            insert(&mut self.new, name.clone());
        }
        self.add(name);
    }

    /// Whether the script made it. A name without a schema is the same as one with any: which one is meant is the search path's.
    /// Good for what others wait for; for what is lost, see [`is_surely_new`](Self::is_surely_new).
    pub(super) fn has(&self, name: &[String]) -> bool {
        let Some((relation, before)) = name.split_last() else {
            return false;
        };
        self.made
            .get(relation)
            .is_some_and(|schemas| match before.last() {
                None => true,
                schema => schemas.contains(&None) || schemas.contains(&schema.cloned()),
            })
    }

    /// Whether the name can only mean a table that the script made: whatever is in it, nobody else put there.
    pub(super) fn is_surely_new(&self, name: &[String]) -> bool {
        let Some((relation, before)) = name.split_last() else {
            return false;
        };
        let schemas = self.new.get(relation);
        schemas.is_some_and(|schemas| schemas.contains(&before.last().cloned()))
    }

    /// Forgets what a statement has made uncertain. Only of a few kinds of statements it is known that names mean
    /// the same tables after them, and that those tables hold nobody else's rows: after all others, nothing is sure.
    pub(super) fn after(&mut self, words: &[Word<'_>], impact: Impact) {
        let mut cursor = Cursor(words);
        if cursor.take(&["DROP", "TABLE"]) {
            cursor.take(&["IF", "EXISTS"]);
            let names = cursor.names();
            if has(cursor.rest(), &["CASCADE"]) {
                return self.doubt();
            }
            for name in names.iter().flatten() {
                self.forget(name);
            }
            if names.is_none() {
                self.doubt();
            }
            return;
        }
        if !self.leaves_names(words, impact) {
            self.doubt();
        }
    }

    fn leaves_names(&self, words: &[Word<'_>], impact: Impact) -> bool {
        let mut cursor = Cursor(words);
        if cursor.at_any(&["BEGIN", "START"]) {
            return true;
        }
        // A search path, or a transaction that ends in between.
        let unsettles = |word: &Word<'_>| word.is("set_config") || word.is("CONCURRENTLY");
        if impact == Impact::Unknown || words.iter().any(unsettles) {
            return false;
        }
        if cursor.take(&["ALTER", "TABLE"]) {
            cursor.take(&["IF", "EXISTS"]);
            cursor.take(&["ONLY"]);
            let is_new = cursor.name().is_some_and(|name| self.is_surely_new(&name));
            // Another name, or the rows of another table.
            let takes_in = ["RENAME", "SCHEMA", "INHERIT", "ATTACH", "OF"];
            let is_harmless = |word: &Word<'_>| !takes_in.iter().any(|keyword| word.is(keyword));
            return is_new && cursor.rest().iter().all(is_harmless);
        }
        if cursor.take(&["CREATE"]) {
            cursor.skip(&["TEMPORARY", "TEMP", "UNLOGGED", "UNIQUE"]);
            return cursor.at_any(&["TABLE", "INDEX", "SEQUENCE", "TYPE", "FUNCTION"]);
        }
        cursor.at_any(&[
            "COMMENT", "GRANT", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "SELECT",
            "WITH", "VALUES", "ANALYZE",
        ])
    }

    fn forget(&mut self, name: &[String]) {
        if let Some(relation) = name.last() {
            self.new.remove(relation);
            self.made.remove(relation);
        }
    }

    fn doubt(&mut self) {
        self.new.clear();
        self.path_is_in_doubt = true;
    }
}

fn insert(names: &mut Names, mut name: Vec<String>) {
    if let Some(relation) = name.pop() {
        names.entry(relation).or_default().insert(name.pop());
    }
}
