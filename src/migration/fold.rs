//! Whether the statements of one file can run together: the file's own BEGIN and COMMIT, and statements that cannot
//! run in a transaction.

use super::defect::{ScriptDefectKind, TransactionProblem};
use super::statement::{Statement, StatementClass};

/// What the file asks for with its transaction control.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judgement<'a> {
    /// Whether the first and the last statement are a BEGIN and a COMMIT to fold into our transaction.
    pub(super) folds: bool,
    pub(super) defects: Vec<(&'a Statement, ScriptDefectKind)>,
}

/// One plain word pair at the edge of a file, or what else it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    Begin { plain: bool },
    Commit { plain: bool },
    Other,
}

impl Control {
    fn of(words: &str) -> Self {
        match words {
            "BEGIN" | "BEGIN WORK" | "BEGIN TRANSACTION" | "START TRANSACTION" => {
                Self::Begin { plain: true }
            }
            "COMMIT" | "COMMIT WORK" | "COMMIT TRANSACTION" | "END" | "END WORK"
            | "END TRANSACTION" => Self::Commit { plain: true },
            _ if words.starts_with("BEGIN") || words.starts_with("START") => {
                Self::Begin { plain: false }
            }
            "COMMIT PREPARED" => Self::Other,
            _ if words.starts_with("COMMIT") || words.starts_with("END") => {
                Self::Commit { plain: false }
            }
            _ => Self::Other,
        }
    }
}

/// Judges all statements of a file. `words` gives the leading words of a statement of transaction control.
pub(super) fn judge(
    statements: &[Statement],
    words: impl Fn(&Statement) -> String,
) -> Judgement<'_> {
    let controls: Vec<(&Statement, String, Control)> = statements
        .iter()
        .filter(|statement| statement.class == StatementClass::TransactionControl)
        .map(|statement| {
            let words = words(statement);
            let control = Control::of(&words);
            (statement, words, control)
        })
        .collect();
    let first = statements.first().map(|statement| statement.number);
    let last = statements.last().map(|statement| statement.number);
    let folds = matches!(
        controls.as_slice(),
        [(begin, _, Control::Begin { plain: true }), .., (commit, _, Control::Commit { plain: true })]
            if Some(begin.number) == first && Some(commit.number) == last
    );
    let any_begin = controls
        .iter()
        .any(|(_, _, control)| matches!(control, Control::Begin { .. }));
    let any_commit = controls
        .iter()
        .any(|(_, _, control)| matches!(control, Control::Commit { .. }));
    let problem = |number: usize, control: Control| match control {
        Control::Begin { plain: true } if Some(number) == first => {
            (!any_commit).then_some(TransactionProblem::NoCommit)
        }
        Control::Commit { plain: true } if Some(number) == last => {
            (!any_begin).then_some(TransactionProblem::NoBegin)
        }
        Control::Begin { plain: false } if Some(number) == first => {
            Some(TransactionProblem::Options)
        }
        Control::Commit { plain: false } if Some(number) == last => {
            Some(TransactionProblem::Options)
        }
        _ => Some(TransactionProblem::Inside),
    };
    let mut defects: Vec<_> = controls
        .iter()
        .filter_map(|(statement, words, control)| {
            let problem = problem(statement.number, *control)?;
            Some((
                *statement,
                ScriptDefectKind::TransactionControl {
                    words: words.clone(),
                    problem,
                },
            ))
        })
        .collect();
    if any_begin {
        defects.extend(in_transaction(statements));
    }
    Judgement { folds, defects }
}

/// Statements that cannot run in a transaction, in a file that asks for one around all of it.
fn in_transaction(
    statements: &[Statement],
) -> impl Iterator<Item = (&Statement, ScriptDefectKind)> {
    statements
        .iter()
        .filter_map(|statement| match statement.class {
            StatementClass::NonTransactional(command) => {
                Some((statement, ScriptDefectKind::InTransaction(command)))
            }
            _ => None,
        })
}
