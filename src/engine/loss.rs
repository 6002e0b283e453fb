//! The data that the ways back of a plan would take away, in words. Pure.

use std::fmt;

use crate::migration::lint::{Loss, Lost, TableName};
use crate::migration::version::Version;

/// Losses whose rows are asked for; what comes after them is named without.
pub const MAX_ASKED: usize = 500;

/// Losses that a sentence names.
const NAMED: usize = 3;

/// Longest name of one in a sentence, in characters.
const LONGEST: usize = 120;

/// One thing that holds data and that a way back would take away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataLoss {
    /// The version that would be undone.
    pub version: Version,
    /// The line of its DOWN, from 1.
    pub line: usize,
    /// What kind of thing.
    pub kind: LossKind,
    /// The table or column, with its schema where that is known; of [`LossKind::Untold`] the leading words of the
    /// statement.
    pub object: String,
    /// What depends on it goes too.
    pub cascades: bool,
    /// How much data.
    pub rows: Rows,
}

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// A table with its rows.
    Table,
    /// All rows of a table that stays.
    Rows,
    /// A column.
    Column,
    /// All tables of a schema, when none of them was found.
    Schema,
    /// What the words of the statement do not tell.
    Untold,
}

/// How many rows, as the server's statistics have it. They are never counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// About so many; of a column those that have a value in it, where that is known, and else all.
    About(u64),
    /// Of a table in parts, some of which were never analyzed: about so many in the others.
    AtLeast(u64),
    /// The table was never analyzed.
    NeverAnalyzed,
    /// There is no such thing now.
    NotThere,
    /// Nobody asked: it cannot be told which table is meant, or there are too many.
    Unknown,
}

impl Rows {
    /// The number, where there is one.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        match self {
            Self::About(number) | Self::AtLeast(number) => Some(number),
            Self::NotThere => Some(0),
            Self::NeverAnalyzed | Self::Unknown => None,
        }
    }
}

/// What the catalog has of one loss that was asked for. A schema has one for each of its tables, and so has TRUNCATE
/// that cascades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLoss {
    /// Its place among those that were asked for.
    pub place: usize,
    /// Schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
    /// How many rows.
    pub rows: Rows,
}

/// What the catalog has of the losses that it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Estimate {
    /// In the order of their places.
    pub found: Vec<FoundLoss>,
    /// From this place on there may be more than was found; the default: nothing was answered.
    pub ends_at: usize,
}

/// The losses of a plan with what the catalog has of them: those with the most rows first, then what is not known, and
/// last what has none.
#[must_use]
pub fn data_losses<'a>(
    losses: impl Iterator<Item = (&'a Version, &'a Loss)>,
    estimate: &Estimate,
) -> Vec<DataLoss> {
    let found = &estimate.found;
    let asked = estimate.ends_at.min(MAX_ASKED);
    let mut all = Vec::new();
    for (place, (version, loss)) in losses.enumerate() {
        let of = |kind, object, rows| DataLoss {
            version: version.clone(),
            line: loss.line,
            kind,
            object,
            cascades: loss.cascades,
            rows,
        };
        let first = found.partition_point(|found| found.place < place);
        let found = found[first..]
            .iter()
            .take_while(|found| found.place == place);
        let before = all.len();
        all.extend(found.map(|found| {
            let table = format!("{}.{}", found.schema, found.table);
            match &loss.what {
                Lost::Column { column, .. } => {
                    of(LossKind::Column, format!("{table}.{column}"), found.rows)
                }
                // What it reaches is named beside it.
                Lost::Rows(_) => DataLoss {
                    cascades: false,
                    ..of(LossKind::Rows, table, found.rows)
                },
                Lost::Table(_) | Lost::Schema(_) | Lost::Untold(_) => {
                    of(LossKind::Table, table, found.rows)
                }
            }
        }));
        // What was found is all of it, unless too much was.
        if all.len() == before || place >= asked {
            all.push(match &loss.what {
                Lost::Table(table) => of(
                    LossKind::Table,
                    table.to_string(),
                    absent(table, place, asked),
                ),
                Lost::Rows(table) => of(
                    LossKind::Rows,
                    table.to_string(),
                    absent(table, place, asked),
                ),
                Lost::Column { table, column } => {
                    let object = format!("{table}.{column}");
                    of(LossKind::Column, object, absent(table, place, asked))
                }
                Lost::Schema(schema) => {
                    of(LossKind::Schema, schema.clone(), not_found(place, asked))
                }
                Lost::Untold(words) => of(LossKind::Untold, words.clone(), Rows::Unknown),
            });
        }
    }
    all.sort_by_key(|loss| match (loss.kind, loss.rows) {
        (_, Rows::About(0) | Rows::NotThere) => (3, 0),
        (_, Rows::About(number) | Rows::AtLeast(number)) => (0, u64::MAX - number),
        (LossKind::Untold, _) => (2, 0),
        (_, Rows::NeverAnalyzed | Rows::Unknown) => (1, 0),
    });
    all
}

/// What is known of a table that the catalog said nothing of.
fn absent(table: &TableName, place: usize, asked: usize) -> Rows {
    if is_asked(table) {
        not_found(place, asked)
    } else {
        Rows::Unknown
    }
}

fn not_found(place: usize, asked: usize) -> Rows {
    if place < asked {
        Rows::NotThere
    } else {
        Rows::Unknown
    }
}

/// Whether it can be told which table is meant.
fn is_asked(table: &TableName) -> bool {
    use crate::migration::lint::Schemas;
    match table.schemas {
        Schemas::Named(_) | Schemas::Session | Schemas::Listed(_) => true,
        Schemas::Unsure => false,
    }
}

/// Whether the catalog has anything to say of it.
#[must_use]
pub fn is_in_catalog(loss: &Loss) -> bool {
    match &loss.what {
        Lost::Table(table) | Lost::Rows(table) | Lost::Column { table, .. } => is_asked(table),
        Lost::Schema(_) => true,
        Lost::Untold(_) => false,
    }
}

/// A sentence that names the first losses and counts the others; `None`: nothing is lost.
#[must_use]
pub fn sentence(losses: &[DataLoss]) -> Option<String> {
    let (named, more) = losses.split_at(losses.len().min(NAMED));
    let named: Vec<_> = named.iter().map(ToString::to_string).collect();
    let (last, first) = named.split_last()?;
    let text = match (first, more.len()) {
        ([], 0) => last.clone(),
        (first, 0) => format!("{} and {last}", first.join(", ")),
        (_, more) => format!("{} and {more} more", named.join(", ")),
    };
    Some(format!("Going back would lose {text}."))
}

impl fmt::Display for DataLoss {
    /// `table public.widgets (about 12000 rows)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            LossKind::Untold => write!(
                f,
                "whatever line {} of {} takes ({})",
                self.line,
                self.version,
                self.shortened()
            ),
            _ => write!(f, "{} ({})", self.what(), self.how_much()),
        }
    }
}

impl DataLoss {
    fn shortened(&self) -> String {
        self.object.chars().take(LONGEST).collect()
    }

    /// `table public.widgets and what depends on it`
    #[must_use]
    pub fn what(&self) -> String {
        let object = self.shortened();
        let depends = if self.cascades {
            " and what depends on it"
        } else {
            ""
        };
        match self.kind {
            LossKind::Table => format!("table {object}{depends}"),
            LossKind::Rows => format!("all rows of {object}{depends}"),
            LossKind::Column => format!("column {object}{depends}"),
            LossKind::Schema => format!("all tables of schema {object}"),
            LossKind::Untold => format!("whatever it takes ({object})"),
        }
    }

    /// `about 12000 rows`
    #[must_use]
    pub fn how_much(&self) -> String {
        let about = |number| {
            let of_column = if self.kind == LossKind::Column {
                "in "
            } else {
                ""
            };
            let rows = if number == 1 { "row" } else { "rows" };
            format!("{of_column}about {number} {rows}")
        };
        match self.rows {
            Rows::About(number) => about(number),
            Rows::AtLeast(number) => format!("{}, and partitions never analyzed", about(number)),
            Rows::NeverAnalyzed => "number of rows unknown: never analyzed".to_owned(),
            Rows::NotThere if self.kind == LossKind::Schema => "there is none now".to_owned(),
            Rows::NotThere => "not there now".to_owned(),
            Rows::Unknown => "number of rows unknown".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::lint::losses;
    use crate::migration::script::Script;

    fn found(place: usize, table: &str, rows: Rows) -> FoundLoss {
        FoundLoss {
            place,
            schema: "public".to_owned(),
            table: table.to_owned(),
            rows,
        }
    }

    fn said(text: &str, found: &[FoundLoss], ends_at: usize) -> Vec<String> {
        let estimate = Estimate {
            found: found.to_vec(),
            ends_at,
        };
        let script = Script::parse(text.as_bytes(), "schema_migrations").unwrap();
        let version = Version::parse("003").unwrap();
        let losses = losses(&script);
        let losses = data_losses(losses.iter().map(|loss| (&version, loss)), &estimate);
        losses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_most_rows_come_first_and_what_nobody_knows_is_said() {
        let text = "DROP TABLE a;\nDROP TABLE gone;\nALTER TABLE b DROP COLUMN x;\nTRUNCATE c CASCADE;\n\
                    DROP SCHEMA s CASCADE;\nDROP SCHEMA empty CASCADE;\nDO 'x';\nDROP TABLE d;\nDROP TABLE e;\n\
                    RESET search_path;\nDROP TABLE f";
        let found = [
            found(0, "a", Rows::About(1)),
            found(2, "b", Rows::About(900)),
            found(3, "c", Rows::About(12)),
            found(3, "d", Rows::AtLeast(40)),
            found(4, "t", Rows::About(0)),
            found(7, "d", Rows::NeverAnalyzed),
            found(8, "e", Rows::About(5)),
        ];
        assert_eq!(
            said(text, &found, MAX_ASKED),
            [
                "column public.b.x (in about 900 rows)",
                "all rows of public.d (about 40 rows, and partitions never analyzed)",
                "all rows of public.c (about 12 rows)",
                "table public.e (about 5 rows)",
                "table public.a (about 1 row)",
                "table public.d (number of rows unknown: never analyzed)",
                "table f (number of rows unknown)",
                "whatever line 7 of 003 takes (DO)",
                "table gone (not there now)",
                "table public.t and what depends on it (about 0 rows)",
                "all tables of schema empty (there is none now)",
            ]
        );
    }

    #[test]
    fn what_was_not_answered_is_not_said_to_be_gone() {
        let text =
            "DROP TABLE gone;\nDROP SCHEMA s CASCADE;\nDROP TABLE orders;\nDROP SCHEMA t CASCADE";
        let found = [found(1, "a", Rows::About(3))];
        assert_eq!(
            said(text, &found, 1),
            [
                "table public.a and what depends on it (about 3 rows)",
                "all tables of schema s (number of rows unknown)",
                "table orders (number of rows unknown)",
                "all tables of schema t (number of rows unknown)",
                "table gone (not there now)",
            ]
        );
    }

    #[test]
    fn a_sentence_names_the_first_and_counts_the_others() {
        let version = Version::parse("003").unwrap();
        let loss = |name: &str| DataLoss {
            version: version.clone(),
            line: 1,
            kind: LossKind::Table,
            object: name.to_owned(),
            cascades: false,
            rows: Rows::About(2),
        };
        let sentence =
            |names: &[&str]| sentence(&names.iter().map(|name| loss(name)).collect::<Vec<_>>());
        assert_eq!(sentence(&[]), None);
        assert_eq!(
            sentence(&["a", "b"]).unwrap(),
            "Going back would lose table a (about 2 rows) and table b (about 2 rows)."
        );
        let many = sentence(&["a", "b", "c", "d", "e"]).unwrap();
        assert!(
            many.ends_with("table c (about 2 rows) and 2 more."),
            "{many}"
        );
    }
}
