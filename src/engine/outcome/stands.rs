//! Where the database stands, as clauses of the messages.

use super::Outcome;
use crate::migration::history::History;

impl Outcome {
    /// Where the database stands: `the database is at 041`.
    pub(super) fn stands_at(&self) -> String {
        let database = self.database();
        match self.history.as_ref().map(History::current) {
            Some(Some(version)) => format!("{database} is at {version}"),
            Some(None) => format!("{database} has no version yet"),
            None => "the history was not read".to_owned(),
        }
    }

    /// The same behind another clause: `; the database is at 041`. Empty where versions were committed that nothing was
    /// told of: a sentence of its own says what is known of them.
    pub(super) fn and_stands_at(&self) -> String {
        if self.unflushed.is_empty() {
            format!("; {}", self.stands_at())
        } else {
            String::new()
        }
    }

    /// Where the database stood before a version of which nobody knows the end: `; before it, the database was at 041`.
    /// Empty as above.
    pub(super) fn before_it(&self) -> String {
        let database = self.database();
        match self.history.as_ref().map(History::current) {
            _ if !self.unflushed.is_empty() => String::new(),
            Some(Some(version)) => format!("; before it, {database} was at {version}"),
            Some(None) => format!("; before it, {database} had no version yet"),
            None => "; the history was not read".to_owned(),
        }
    }

    /// What the database is called: one that was made for a test is not the person's own.
    fn database(&self) -> &'static str {
        if self.is_scratch {
            "the scratch database"
        } else {
            "the database"
        }
    }
}
