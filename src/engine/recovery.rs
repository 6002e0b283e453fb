//! What a run found of earlier ones and put right, in the words that a person reads: a statement that an interrupted
//! run left, a history that another program wrote. Pure.

use std::fmt;

use crate::migration::display::plain;
use crate::migration::evidence::{Ended, IndexSeen};
use crate::migration::file_name::Direction;
use crate::migration::version::Version;

use super::database::AdoptedVersion;

/// A statement outside of a transaction whose end the catalog told, or that left what had to be put right. The audit
/// has a row of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// UP or DOWN.
    pub direction: Direction,
    /// The statement's number in the file, from 1.
    pub statement: usize,
    /// Its leading words, upper case.
    pub words: String,
    /// How it ended, as far as its sender knows. `Unheard` is always an earlier run's.
    pub ended: Ended,
    /// What came of it.
    pub what: Recovered,
}

/// What came of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// The catalog shows that it is done.
    Proved,
    /// This invalid index, which it had left, was dropped.
    Dropped(IndexSeen),
    /// A partition's detaching, which it had left half done, was finished.
    Detached,
}

impl fmt::Display for Recovery {
    /// What was found, and what was done about it, as a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, plain(&self.name))?;
        if self.direction == Direction::Down {
            f.write_str(" (DOWN)")?;
        }
        write!(f, ", statement {} ({}): ", self.statement, self.words)?;
        f.write_str(match self.ended {
            Ended::Unheard => "an earlier run left it without saying how it ended",
            Ended::Failed => "the server said that it failed",
            Ended::Succeeded => "the server said that it is done",
        })?;
        match &self.what {
            Recovered::Proved => {
                f.write_str(", and the catalog shows that it is done: it was not sent again.")
            }
            Recovered::Dropped(index) => {
                write!(
                    f,
                    ". INVALID index {index}, which it had left, was dropped."
                )
            }
            Recovered::Detached => f.write_str(
                ". The detaching of a partition, which it had left half done, was finished.",
            ),
        }
    }
}

/// Rows of the history that another program wrote and that were taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The lowest version of them.
    pub first: Version,
    /// The highest.
    pub last: Version,
    /// How many rows.
    pub rows: usize,
    /// How many of them had no checksum.
    pub unverified: usize,
}

impl Adopted {
    /// `rows`, in the order of their versions; `None`: there is none.
    pub(super) fn of(rows: &[AdoptedVersion]) -> Option<Self> {
        let (first, last) = rows.first().zip(rows.last())?;
        Some(Self {
            first: first.version.clone(),
            last: last.version.clone(),
            rows: rows.len(),
            unverified: rows.iter().filter(|row| row.stamp).count(),
        })
    }
}

impl fmt::Display for Adopted {
    /// What was taken over, what that means for the data, and what nobody knows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first,
            last,
            rows,
            unverified,
        } = self;
        match rows {
            1 => write!(
                f,
                "1 row of the history that another program wrote was adopted: {first}."
            )?,
            _ => write!(
                f,
                "{rows} rows of the history that another program wrote were adopted: {first} to {last}."
            )?,
        }
        f.write_str(" No script was run for that. ")?;
        match unverified {
            0 => f.write_str("The checksums agree with the files."),
            count => {
                let stand = if *count == 1 { "stands" } else { "stand" };
                write!(
                    f,
                    "{count} without a checksum got that of the file, and {stand} in the audit as unverified: nobody \
                     knows whether that is the text that ran."
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("digits")
    }

    #[test]
    fn a_recovery_says_what_was_found_and_what_was_done() {
        let index = |name: &str| IndexSeen {
            oid: 7,
            schema: "public".to_owned(),
            name: name.to_owned(),
            valid: false,
            unique: false,
            table: 1,
        };
        let table = [
            (
                Ended::Unheard,
                Recovered::Proved,
                "an earlier run left it without saying how it ended, and the catalog shows that it is done: it was \
                 not sent again.",
            ),
            (
                Ended::Unheard,
                Recovered::Dropped(index("one_id")),
                "an earlier run left it without saying how it ended. INVALID index public.one_id, which it had left, \
                 was dropped.",
            ),
            (
                Ended::Failed,
                Recovered::Dropped(index("a_ccnew")),
                "the server said that it failed. INVALID index public.a_ccnew, which it had left, was dropped.",
            ),
            (
                Ended::Unheard,
                Recovered::Detached,
                "an earlier run left it without saying how it ended. The detaching of a partition, which it had left \
                 half done, was finished.",
            ),
        ];
        for (ended, what, expected) in table {
            let said = |direction, place: &str| {
                let recovery = Recovery {
                    version: version("002"),
                    name: "index".to_owned(),
                    direction,
                    statement: 1,
                    words: "CREATE INDEX CONCURRENTLY".to_owned(),
                    ended,
                    what: what.clone(),
                };
                let place = format!("{place}, statement 1 (CREATE INDEX CONCURRENTLY): ");
                assert_eq!(recovery.to_string(), format!("{place}{expected}"));
            };
            said(Direction::Up, "002 index");
            said(Direction::Down, "002 index (DOWN)");
        }
    }

    #[test]
    fn names_of_a_database_cannot_command_a_terminal() {
        let recovery = Recovery {
            version: version("002"),
            name: "in\u{1b}dex".to_owned(),
            direction: Direction::Up,
            statement: 1,
            words: "CREATE INDEX CONCURRENTLY".to_owned(),
            ended: Ended::Unheard,
            what: Recovered::Dropped(IndexSeen {
                oid: 7,
                schema: "pub\u{9b}2J".to_owned(),
                name: "i\u{1b}[2J\u{202e}".to_owned(),
                valid: false,
                unique: false,
                table: 1,
            }),
        };
        let said = recovery.to_string();
        assert!(said.starts_with("002 in dex, "), "{said}");
        assert!(
            said.contains("INVALID index pub 2J.i [2J , which"),
            "{said}"
        );
    }

    #[test]
    fn what_was_adopted_is_counted_and_said_to_be_unverified() {
        let said = |rows, unverified| {
            let adopted = Adopted {
                first: version("000"),
                last: version("004"),
                rows,
                unverified,
            };
            adopted.to_string()
        };
        assert_eq!(
            said(5, 3),
            "5 rows of the history that another program wrote were adopted: 000 to 004. No script was run for that. \
             3 without a checksum got that of the file, and stand in the audit as unverified: nobody knows whether \
             that is the text that ran."
        );
        assert_eq!(
            said(1, 1),
            "1 row of the history that another program wrote was adopted: 000. No script was run for that. 1 without \
             a checksum got that of the file, and stands in the audit as unverified: nobody knows whether that is the \
             text that ran."
        );
        assert!(said(2, 0).ends_with("The checksums agree with the files."));
    }
}
