//! One file's text, split into statements and judged, without a server.

use std::borrow::Cow;
use std::fmt;

use super::statement::{NonTransactional, Position, Refusal, Statement};

/// A script that can be run: its text, its statements, and how they go to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    text: String,
    statements: Vec<Statement>,
}

/// What is wrong with one script, and where. Displayed as one sentence without the file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptDefect {
    /// Where, unless it is about the whole file.
    pub position: Option<Position>,
    /// What.
    pub kind: ScriptDefectKind,
}

/// The defects that a script can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptDefectKind {
    /// Nothing but comments and white space.
    Empty,
    /// Not UTF-8, from this byte on (counted from 0).
    InvalidUtf8 {
        /// The offset of the first byte that is not UTF-8.
        offset: usize,
    },
    /// A NUL byte: the server would silently stop reading there.
    Nul {
        /// Its offset.
        offset: usize,
    },
    /// A quote, comment or parenthesis that nothing closes.
    Unterminated(Unterminated),
    /// A statement that is never sent to a server.
    Refused(Refusal),
    /// BEGIN, COMMIT or their like where they cannot be folded into our transaction; the words as they stand.
    TransactionControl {
        /// The statement's leading words, upper case.
        words: String,
        /// Why it cannot stay.
        problem: TransactionProblem,
    },
    /// A statement that cannot run in a transaction, beside others or between BEGIN and COMMIT.
    NotAlone(NonTransactional),
}

/// What is left open at the end of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unterminated {
    /// `'…`
    String,
    /// `"…`
    Identifier,
    /// `/*…`
    Comment,
    /// `$tag$…`
    DollarQuote,
    /// `(…`
    Parenthesis,
    /// `BEGIN ATOMIC …`
    BeginAtomic,
}

/// Why a statement of transaction control cannot be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionProblem {
    /// It is neither the first nor the last statement.
    Inside,
    /// A leading BEGIN without a trailing COMMIT.
    NoCommit,
    /// A trailing COMMIT without a leading BEGIN.
    NoBegin,
    /// A BEGIN or COMMIT with options.
    Options,
}

impl fmt::Display for ScriptDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for ScriptDefect {}

/// A piece of a script that goes to the server as one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// What to send. It may end in a comment without a line end: put one behind it before anything else.
    pub text: Cow<'a, str>,
    /// How many characters of [`Script::text`] stand before it.
    pub start_char: usize,
    /// The index of its first statement in [`Script::statements`].
    pub first_statement: usize,
    /// How many statements it holds.
    pub statement_count: usize,
}

impl Script {
    /// Splits and judges a file. `ledger_table` is the ledger's table name (without schema), by which a file's
    /// own record is recognised.
    ///
    /// # Errors
    /// All defects at once, in the order of the file.
    pub fn parse(bytes: &[u8], ledger_table: &str) -> Result<Self, Vec<ScriptDefect>> {
        let _ = ledger_table;
        let text = std::str::from_utf8(bytes).map_err(|error| {
            vec![ScriptDefect {
                position: None,
                kind: ScriptDefectKind::InvalidUtf8 {
                    offset: error.valid_up_to(),
                },
            }]
        })?;
        Ok(Self {
            text: text.to_owned(),
            statements: Vec::new(),
        })
    }

    /// The whole file as text, a byte order mark excluded.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The statements in the order of the file; the folded BEGIN and COMMIT are not among them.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// `None`: the whole script runs in one transaction. `Some`: this single statement runs outside of one.
    #[must_use]
    pub fn non_transactional(&self) -> Option<&Statement> {
        None
    }

    /// The text to execute inside our transaction: as long in characters as [`Script::text`], the folded BEGIN and
    /// COMMIT replaced by spaces so that the server's error positions still count. Cut into chunks of at most
    /// `max_bytes` at statement ends; one statement longer than that is a chunk of its own.
    #[must_use]
    pub fn chunks(&self, max_bytes: usize) -> Vec<Chunk<'_>> {
        let _ = max_bytes;
        vec![Chunk {
            text: Cow::Borrowed(&self.text),
            start_char: 0,
            first_statement: 0,
            statement_count: self.statements.len(),
        }]
    }

    /// The place of a character of [`Script::text`], counted from 1 as the server does. Beyond the end: the end.
    #[must_use]
    pub fn position_of_char(&self, one_based_char_offset: usize) -> Position {
        Position {
            line: 1,
            column: one_based_char_offset,
        }
    }

    /// The statement with this number in the file (from 1, BEGIN and COMMIT counted); `None` for the folded ones.
    #[must_use]
    pub fn statement_at(&self, number: usize) -> Option<&Statement> {
        self.statements
            .iter()
            .find(|statement| statement.number == number)
    }

    /// A line of the file (from 1), without its line end.
    #[must_use]
    pub fn source_line(&self, line: usize) -> Option<&str> {
        self.text.lines().nth(line.checked_sub(1)?)
    }
}
