//! What a script has made so far: a lock on it keeps nobody waiting.

use std::collections::{HashMap, HashSet};

/// The relations that a script made, as the catalog will have their names: by name, with the schemas that were said.
#[derive(Debug, Default)]
pub(super) struct Created(HashMap<String, HashSet<Option<String>>>);

impl Created {
    /// Remembers a relation, given as its name with the schema before it.
    pub(super) fn add(&mut self, mut name: Vec<String>) {
        if let Some(relation) = name.pop() {
            self.0.entry(relation).or_default().insert(name.pop());
        }
    }

    /// Whether the script made it. A name without a schema is the same as one with any: which one is meant is the search path's.
    pub(super) fn has(&self, name: &[String]) -> bool {
        let Some((relation, before)) = name.split_last() else {
            return false;
        };
        self.0
            .get(relation)
            .is_some_and(|schemas| match before.last() {
                None => true,
                schema => schemas.contains(&None) || schemas.contains(&schema.cloned()),
            })
    }
}
