//! One query that a person wrote: the text of a check, judged without a server.

use std::fmt;

use super::classify::words;
use super::defect::{ScriptDefect, ScriptDefectKind};
use super::lexer::{Kind, Tokens};
use super::script::Script;

/// The text of one SELECT, without the `;` behind it. (WITH … SELECT is one, too; what it may do is the
/// server's to hold, in a transaction that only reads.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(String);

/// Why a text is not one SELECT. Displayed as a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryDefect {
    /// It cannot be read at all.
    Unreadable(ScriptDefect),
    /// More than one statement.
    Several(usize),
    /// Another statement, or none.
    NotSelect,
    /// A parenthesis closes that none opened.
    Unbalanced,
}

impl Query {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is not one SELECT.
    pub fn parse(text: &str) -> Result<Self, QueryDefect> {
        // The name of no table: a query records nothing.
        let script = Script::parse(text.as_bytes(), "").map_err(|defects| {
            match defects.into_iter().next() {
                None
                | Some(ScriptDefect {
                    kind: ScriptDefectKind::Empty | ScriptDefectKind::TransactionControl { .. },
                    ..
                }) => QueryDefect::NotSelect,
                Some(defect) => QueryDefect::Unreadable(defect),
            }
        })?;
        let [statement] = script.statements() else {
            return Err(QueryDefect::Several(script.statements().len()));
        };
        let sql = script.text_of(statement);
        let first = words(Tokens::new(sql).take(1));
        if !matches!(first.first().map(AsRef::as_ref), Some("SELECT" | "WITH")) {
            return Err(QueryDefect::NotSelect);
        }
        if !is_balanced(sql) {
            return Err(QueryDefect::Unbalanced);
        }
        Ok(Self(sql.to_owned()))
    }

    /// The text. It may end in a comment without a line end: put one behind it before anything else.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Whether every closing parenthesis has an opening one before it, so that the text stays within others that
/// are put around it. (Those that nothing closes are found by [`Script::parse`].)
fn is_balanced(sql: &str) -> bool {
    let mut open = 0_usize;
    Tokens::new(sql).all(|token| match token.kind {
        Kind::OpenParenthesis => {
            open += 1;
            true
        }
        Kind::CloseParenthesis => match open.checked_sub(1) {
            Some(rest) => {
                open = rest;
                true
            }
            None => false,
        },
        _ => true,
    })
}

impl fmt::Display for QueryDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(defect) => write!(f, "{defect}"),
            Self::Several(count) => write!(
                f,
                "it holds {count} statements, and must be one SELECT that answers one value"
            ),
            Self::NotSelect => f.write_str("it must be one SELECT that answers one value"),
            Self::Unbalanced => f.write_str("a parenthesis closes in it that none opened"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select_and_nothing_else() {
        for (text, expected) in [
            ("SELECT 1", Ok("SELECT 1")),
            (" -- why\nselect ';' ; ", Ok("select ';'")),
            (
                "WITH a AS (SELECT 1) SELECT * FROM a;",
                Ok("WITH a AS (SELECT 1) SELECT * FROM a"),
            ),
            ("SELECT (1) -- )", Ok("SELECT (1)")),
            ("SELECT $$)$$", Ok("SELECT $$)$$")),
            ("", Err(QueryDefect::NotSelect)),
            ("-- nothing", Err(QueryDefect::NotSelect)),
            ("DELETE FROM a", Err(QueryDefect::NotSelect)),
            ("COMMIT", Err(QueryDefect::NotSelect)),
            ("TABLE a", Err(QueryDefect::NotSelect)),
            ("SELECT 1; SELECT 2", Err(QueryDefect::Several(2))),
            ("SELECT 1); COMMIT; (SELECT 2", Err(QueryDefect::NotSelect)),
            ("SELECT 1), (SELECT 2)", Err(QueryDefect::Unbalanced)),
        ] {
            let read = Query::parse(text);
            assert_eq!(
                read.as_ref().map(Query::text),
                expected.as_ref().copied(),
                "{text}"
            );
        }
        for (text, said) in [
            (
                "SELECT 'a",
                "line 1, column 8: a string starts here and is never closed",
            ),
            ("\\dt", "line 1, column 1: a backslash starts"),
            ("SELECT (1", "line 1, column 8: a parenthesis starts here"),
            ("SELECT 1; SELECT 2; SELECT 3", "it holds 3 statements"),
        ] {
            let defect = Query::parse(text).unwrap_err().to_string();
            assert!(defect.starts_with(said), "{text}: {defect}");
        }
    }
}
