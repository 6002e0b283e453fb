//! A script cut into what runs together: transactions, and statements that PostgreSQL refuses in one.

use std::ops::Range;

use super::begun::Begun;
use super::checksum::Checksum;
use super::classify::{is_session_setting, leading_words};
use super::script::Script;
use super::statement::{NonTransactional, Statement, StatementClass};
use super::subject::Subject;

/// Statements that run together: in one transaction, or a single one outside of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Their places in [`Script::statements`].
    pub statements: Range<usize>,
    /// The number of the first one in the file, from 1.
    pub first: usize,
    /// The number of the last one.
    pub last: usize,
    /// Over their texts; see [`Script::checksum_of`].
    pub checksum: Checksum,
    /// `Some`: it is one statement that PostgreSQL refuses in a transaction.
    pub outside: Option<NonTransactional>,
}

/// What is left to run of a script that does not run in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Each is recorded in the journal, in this order.
    pub parts: Vec<Part>,
    /// What runs in the transaction that records the version.
    pub rest: Rest,
}

/// The end of such a script: what commits together with the version's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The statements behind the last part, as places in [`Script::statements`]; may be empty.
    pub statements: Range<usize>,
    /// The file's own records that stand before it. A row of the history table means that all of a version is
    /// there, so they wait for it.
    pub own_records: Vec<usize>,
}

impl Script {
    /// Whether a statement of it cannot run in a transaction, so that it runs in parts.
    #[must_use]
    pub fn has_parts(&self) -> bool {
        self.statements().iter().any(is_outside)
    }

    /// What is left to run after the parts of `begun` that are done.
    #[must_use]
    pub fn parts(&self, begun: Option<&Begun>) -> Parts {
        let covered = |number| begun.is_some_and(|begun| begun.covers(number));
        let after = begun.map_or(0, Begun::last_done);
        let last_outside = self.statements().iter().rposition(is_outside);
        let mut cutter = Cutter::default();
        for (place, statement) in self.statements().iter().enumerate() {
            let waits = statement.is_self_record && last_outside.is_some_and(|last| place < last);
            if statement.number <= after {
                if statement.is_self_record && !covered(statement.number) {
                    cutter.own_records.push(place);
                }
            } else if is_outside(statement) {
                cutter.outside(place);
            } else if waits {
                cutter.own_record(place);
            } else if is_session_setting(self.text_of(statement)) {
                cutter.setting(place);
            } else {
                cutter.transactional(place);
            }
        }
        cutter.finish(self)
    }

    /// The statements at these places as a part; `None` when there are none.
    #[must_use]
    pub fn part(&self, places: Range<usize>) -> Option<Part> {
        let statements = self.statements().get(places.clone())?;
        let (first, last) = statements.first().zip(statements.last())?;
        Some(Part {
            first: first.number,
            last: last.number,
            checksum: self.checksum_of(places.clone()),
            outside: statements
                .iter()
                .find_map(|statement| match statement.class {
                    StatementClass::NonTransactional(command) => Some(command),
                    _ => None,
                }),
            statements: places,
        })
    }

    /// The statement of a part that runs outside of a transaction, and what it acts on.
    #[must_use]
    pub fn outside(&self, part: &Part) -> Option<(&Statement, Subject)> {
        let statement = self.statements().get(part.statements.start)?;
        let subject = Subject::of(part.outside?, self.text_of(statement));
        Some((statement, subject))
    }

    /// The session's settings before a place: those are said again before each part that comes after them.
    #[must_use]
    pub fn settings_before(&self, place: usize) -> Vec<&Statement> {
        self.statements()[..place.min(self.statements().len())]
            .iter()
            .filter(|statement| is_session_setting(self.text_of(statement)))
            .collect()
    }

    /// The text of a statement of this script, without its `;`.
    #[must_use]
    pub fn text_of(&self, statement: &Statement) -> &str {
        &self.text()[statement.range.clone()]
    }

    /// The leading words of a statement of this script, upper case, as a message quotes them: no literals.
    #[must_use]
    pub fn words_of(&self, statement: &Statement) -> String {
        leading_words(self.text_of(statement))
    }

    /// SHA-256 over the texts of these statements, parted by `;` and a line end. What stands between them, comments
    /// for one, does not count.
    #[must_use]
    pub fn checksum_of(&self, statements: Range<usize>) -> Checksum {
        let texts: Vec<&str> = self.statements()[statements]
            .iter()
            .map(|statement| self.text_of(statement))
            .collect();
        Checksum::of(texts.join(";\n").as_bytes())
    }
}

fn is_outside(statement: &Statement) -> bool {
    matches!(statement.class, StatementClass::NonTransactional(_))
}

/// Collects the parts; places are those of [`Script::statements`].
#[derive(Default)]
struct Cutter {
    ranges: Vec<Range<usize>>,
    own_records: Vec<usize>,
    /// The transaction that is open: settings behind its last statement are not in it yet.
    open: Option<Range<usize>>,
    /// The first setting behind everything else.
    settings: Option<usize>,
}

impl Cutter {
    fn transactional(&mut self, place: usize) {
        let start = self.open.as_ref().map_or(place, |open| open.start);
        self.open = Some(start..place + 1);
        self.settings = None;
    }

    fn setting(&mut self, place: usize) {
        self.settings.get_or_insert(place);
    }

    fn outside(&mut self, place: usize) {
        self.close();
        self.ranges.push(place..place + 1);
    }

    fn own_record(&mut self, place: usize) {
        self.close();
        self.own_records.push(place);
    }

    fn close(&mut self) {
        self.ranges.extend(self.open.take());
        self.settings = None;
    }

    /// The last transaction is the one that records the version, with the settings at the end of the file: one that
    /// cannot be made is an error wherever it stands.
    fn finish(self, script: &Script) -> Parts {
        let end = script.statements().len();
        let start = self.open.map(|open| open.start).or(self.settings);
        Parts {
            parts: self
                .ranges
                .into_iter()
                .filter_map(|range| script.part(range))
                .collect(),
            rest: Rest {
                statements: start.unwrap_or(end)..end,
                own_records: self.own_records,
            },
        }
    }
}

#[cfg(test)]
mod tests;
