//! What can be wrong with one script, in the words that a person reads.

use std::fmt;

use super::statement::{NonTransactional, Position, Refusal};

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
    /// Not UTF-8, from this byte on.
    InvalidUtf8 {
        /// The offset of the first byte that is not UTF-8, from 0.
        offset: usize,
    },
    /// A NUL byte: the server would silently stop reading there.
    Nul {
        /// Its offset, from 0.
        offset: usize,
    },
    /// A quote, comment, parenthesis or body that nothing closes.
    Unterminated(Unterminated),
    /// A statement that is never sent to a server.
    Refused(Refusal),
    /// BEGIN, COMMIT or their like where they cannot be folded into our transaction.
    TransactionControl {
        /// The statement's leading words, upper case.
        words: String,
        /// Why it cannot stay.
        problem: TransactionProblem,
    },
    /// A statement that cannot run in a transaction, between BEGIN and COMMIT.
    InTransaction(NonTransactional),
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
    /// It is neither the BEGIN before nor the COMMIT behind everything else.
    Inside,
    /// A leading BEGIN, and no COMMIT in the file.
    NoCommit,
    /// A trailing COMMIT, and no BEGIN in the file.
    NoBegin,
    /// A leading BEGIN or trailing COMMIT with options.
    Options,
}

impl fmt::Display for ScriptDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "{position}: ")?;
        }
        self.kind.fmt(f)
    }
}

impl std::error::Error for ScriptDefect {}

impl fmt::Display for ScriptDefectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file holds no statement"),
            Self::InvalidUtf8 { offset } => {
                write!(f, "byte {offset} is not UTF-8; save the file as UTF-8")
            }
            Self::Nul { offset } => {
                write!(
                    f,
                    "byte {offset} is NUL, where PostgreSQL would silently stop reading; remove it"
                )
            }
            Self::Unterminated(what) => write!(f, "{what} starts here and is never closed"),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::TransactionControl { words, problem } => write!(f, "{words} {problem}"),
            Self::InTransaction(command) => write!(
                f,
                "{command} cannot run in a transaction; remove the file's BEGIN and COMMIT"
            ),
        }
    }
}

impl fmt::Display for Unterminated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "a string",
            Self::Identifier => "a quoted identifier",
            Self::Comment => "a comment",
            Self::DollarQuote => "a dollar-quoted string",
            Self::Parenthesis => "a parenthesis",
            Self::BeginAtomic => "a BEGIN ATOMIC body",
        })
    }
}

impl fmt::Display for TransactionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inside => {
                "would end the transaction that makes a version all or nothing; only a BEGIN before and a COMMIT after everything else may stay"
            }
            Self::NoCommit => "opens a transaction that no COMMIT at the end of the file closes; add COMMIT or remove it",
            Self::NoBegin => "closes a transaction that no BEGIN at the start of the file opens; add BEGIN or remove it",
            Self::Options => "has options that cannot be kept, because every version runs in a transaction of Schemaward's; remove them",
        })
    }
}
