//! What is said about a script.

use std::fmt;

use super::super::file_name::Direction;
use super::super::statement::Position;
use super::rule::{Level, Rule};

/// What one script would do, and what a reviewer should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// Which way the script goes.
    pub direction: Direction,
    /// Its statements, in the order of [`Script::statements`](super::super::script::Script::statements).
    pub statements: Vec<Judged>,
    /// What the rules found and no comment waives, in the order of the file; those of [`Level::Off`] too, so that a policy can
    /// raise them.
    pub findings: Vec<Finding>,
    /// What a comment in the file waives.
    pub waived: Vec<Waived>,
}

impl Assessment {
    /// Whether a statement loses data.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        self.statements
            .iter()
            .any(|judged| judged.impact == Impact::Destructive)
    }

    /// The findings at this level or above.
    pub fn at_least(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.level >= level)
    }
}

/// One statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Its number in the file, from 1; BEGIN and COMMIT count.
    pub number: usize,
    /// Where it starts.
    pub position: Position,
    /// What it does.
    pub impact: Impact,
    /// The strongest lock that it takes on a table, view or index that was there before the script.
    pub lock: TableLock,
}

/// What a statement does to a database in use. Of several, the last in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impact {
    /// It changes neither the schema nor data: `SET`, a plain query.
    None,
    /// It adds something that nobody uses yet.
    Additive,
    /// It changes a definition and touches no row: a default, a comment, a grant, a function's body.
    Definition,
    /// It adds or changes rows, or deletes some.
    DataChange,
    /// It takes away or renames what clients may use; no row is lost.
    Incompatible,
    /// It reads or indexes a whole table that was there before, and nobody can write to it meanwhile.
    Blocking,
    /// It writes a whole table anew, and nobody can use it meanwhile.
    Rewrite,
    /// The words do not tell: a `DO` block, a function call, a statement that is not known here.
    Unknown,
    /// It loses data: a table, a column, all rows; or, by `CASCADE`, what it does not name.
    Destructive,
}

impl Impact {
    /// One or two words, as people and programs read them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Additive => "additive",
            Self::Definition => "definition",
            Self::DataChange => "data change",
            Self::Incompatible => "incompatible",
            Self::Blocking => "blocking",
            Self::Rewrite => "rewrite",
            Self::Unknown => "unknown",
            Self::Destructive => "destructive",
        }
    }
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The strongest lock of a statement on what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableLock {
    /// None that others could notice.
    None,
    /// This one.
    Mode(LockMode),
    /// The words do not tell.
    Unknown,
}

impl fmt::Display for TableLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Mode(mode) => mode.fmt(f),
            Self::Unknown => f.pad("unknown"),
        }
    }
}

/// The lock modes of tables, weakest first ("Explicit Locking" in PostgreSQL's manual).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// Conflicts with ACCESS EXCLUSIVE alone.
    AccessShare,
    /// Of `SELECT … FOR UPDATE`.
    RowShare,
    /// Of INSERT, UPDATE and DELETE.
    RowExclusive,
    /// Others may read and write, but not change the table.
    ShareUpdateExclusive,
    /// Others may read.
    Share,
    /// Others may read.
    ShareRowExclusive,
    /// Others may read.
    Exclusive,
    /// Nobody else can use the table.
    AccessExclusive,
}

impl LockMode {
    /// As PostgreSQL's manual writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a rule found. Never shows a literal of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How grave it is by default, in this direction.
    pub level: Level,
    /// Where, unless it is about the whole script.
    pub position: Option<Position>,
    /// The number of the statement in the file, unless it is about the whole script.
    pub statement: Option<usize>,
    /// What was found, one or two sentences.
    pub message: String,
    /// What to do instead.
    pub help: Option<String>,
}

/// A finding that a comment in the script waives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waived {
    /// What was found.
    pub finding: Finding,
    /// Why that is right here, in the words of the comment.
    pub reason: String,
}
