//! One file's text, split into statements and judged, without a server.

use std::borrow::Cow;
use std::ops::Range;

use super::classify::{is_plain_record, is_self_record, leading_words, recorded};
pub use super::defect::{ScriptDefect, ScriptDefectKind, TransactionProblem, Unterminated};
use super::fold;
use super::position::{Positions, lines};
use super::split::{Flaw, Piece, split};
use super::statement::{Position, Statement};
use super::version::Version;

/// A script that can be run: its text, its statements, and how they go to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    text: String,
    statements: Vec<Statement>,
    /// For each statement the offset behind its `;`.
    ends: Vec<usize>,
    /// The bytes of the folded BEGIN and COMMIT, without their `;`.
    folded: Option<(Range<usize>, Range<usize>)>,
}

/// A piece of a script that goes to the server as one query; by default an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
        let text = decode(bytes).map_err(|defect| vec![defect])?;
        let (pieces, flaws) = split(text);
        let (statements, ends) = statements(text, pieces, ledger_table);
        let (folds, mut defects) = judge(text, &statements, flaws);
        let wrapper = if folds { 2 } else { 0 };
        if statements.len() == wrapper && defects.is_empty() {
            defects.push(ScriptDefect {
                position: None,
                kind: ScriptDefectKind::Empty,
            });
        }
        if !defects.is_empty() {
            return Err(defects);
        }
        Ok(Self::new(text.to_owned(), statements, ends, folds))
    }

    fn new(
        text: String,
        mut statements: Vec<Statement>,
        mut ends: Vec<usize>,
        folds: bool,
    ) -> Self {
        let mut folded = None;
        if folds && let Some(commit) = statements.pop() {
            ends.truncate(statements.len());
            let begin = statements.remove(0);
            ends.remove(0);
            folded = Some((begin.range, commit.range));
        }
        Self {
            text,
            statements,
            ends,
            folded,
        }
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

    /// The text to execute inside our transaction: as long in characters as [`Script::text`], the folded BEGIN and
    /// COMMIT replaced by spaces so that the server's error positions still count. Cut into chunks of at most
    /// `max_bytes` at statement ends. One statement longer than that is a chunk of its own, with the comments
    /// before it; comments behind the last statement stay with it.
    #[must_use]
    pub fn chunks(&self, max_bytes: usize) -> Vec<Chunk<'_>> {
        self.chunks_of(0..self.statements.len(), max_bytes)
    }

    /// As [`Script::chunks`], for the statements at these places alone. None of them: no chunk.
    #[must_use]
    pub fn chunks_of(&self, statements: Range<usize>, max_bytes: usize) -> Vec<Chunk<'_>> {
        let mut chunks = Vec::new();
        let mut first = statements.start;
        let mut start = match first.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        };
        let mut start_char = self.text[..start].chars().count();
        for next in first + 1..=statements.end {
            let is_full = match self.ends.get(next) {
                Some(end) if next < statements.end => end - start > max_bytes,
                _ => true,
            };
            if is_full {
                let end = if next == self.ends.len() {
                    self.text.len()
                } else {
                    self.ends[next - 1]
                };
                let text = self.executable(start..end);
                let length = self.text[start..end].chars().count();
                chunks.push(Chunk {
                    text,
                    start_char,
                    first_statement: first,
                    statement_count: next - first,
                });
                (first, start, start_char) = (next, end, start_char + length);
            }
        }
        chunks
    }

    /// A range of the text with the folded statements blanked, character by character.
    fn executable(&self, range: Range<usize>) -> Cow<'_, str> {
        let mut text = Cow::Borrowed(&self.text[range.clone()]);
        // The later one first: blanking changes the offsets of what follows.
        for folded in self
            .folded
            .iter()
            .flat_map(|(begin, commit)| [commit, begin])
        {
            if range.start <= folded.start && folded.end <= range.end {
                let (start, end) = (folded.start - range.start, folded.end - range.start);
                let blank: String = self.text[folded.clone()].chars().map(|_| ' ').collect();
                text.to_mut().replace_range(start..end, &blank);
            }
        }
        text
    }

    /// The bytes of the BEGIN and COMMIT that were folded.
    pub(super) fn folded(&self) -> impl Iterator<Item = Range<usize>> {
        self.folded
            .iter()
            .flat_map(|(begin, commit)| [begin.clone(), commit.clone()])
    }

    /// The place of a character of [`Script::text`], counted from 1 as the server does. Beyond the end: the end.
    #[must_use]
    pub fn position_of_char(&self, one_based_char_offset: usize) -> Position {
        let index = one_based_char_offset.saturating_sub(1);
        let offset = self
            .text
            .char_indices()
            .nth(index)
            .map_or(self.text.len(), |(offset, _)| offset);
        Positions::new(&self.text).at(offset)
    }

    /// The statement with this number in the file (from 1, BEGIN and COMMIT counted); `None` for the folded ones.
    #[must_use]
    pub fn statement_at(&self, number: usize) -> Option<&Statement> {
        let index = self
            .statements
            .binary_search_by_key(&number, |statement| statement.number)
            .ok()?;
        self.statements.get(index)
    }

    /// The versions whose rows in the ledger a statement of this script writes or takes out, where it does nothing else
    /// and its words tell all of them; empty for any other.
    #[must_use]
    pub fn recorded_by(&self, statement: &Statement) -> Vec<Version> {
        let recorded = statement
            .is_plain_record
            .then(|| recorded(self.text_of(statement)));
        recorded.flatten().unwrap_or_default()
    }

    /// A line of the file (from 1), without its line end.
    #[must_use]
    pub fn source_line(&self, line: usize) -> Option<&str> {
        lines(&self.text).nth(line.checked_sub(1)?)
    }
}

/// The text of a file: valid UTF-8 without NUL, and without a byte order mark.
fn decode(bytes: &[u8]) -> Result<&str, ScriptDefect> {
    let defect = |valid: &[u8], kind| {
        let valid = String::from_utf8_lossy(valid);
        ScriptDefect {
            position: Some(Positions::new(&valid).at(valid.len())),
            kind,
        }
    };
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        // A NUL in what is not UTF-8 either is most likely UTF-16; the first of both is what a person should see.
        let invalid = std::str::from_utf8(&bytes[..offset])
            .err()
            .map(|error| error.valid_up_to());
        return Err(match invalid {
            Some(offset) => defect(&bytes[..offset], ScriptDefectKind::InvalidUtf8 { offset }),
            None => defect(&bytes[..offset], ScriptDefectKind::Nul { offset }),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        defect(&bytes[..offset], ScriptDefectKind::InvalidUtf8 { offset })
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The statements with their numbers and places, and for each the offset behind its `;`.
fn statements(text: &str, pieces: Vec<Piece>, ledger_table: &str) -> (Vec<Statement>, Vec<usize>) {
    let mut positions = Positions::new(text);
    pieces
        .into_iter()
        .enumerate()
        .map(|(index, Piece { range, end, class })| {
            let sql = &text[range.clone()];
            let is_self_record = is_self_record(sql, ledger_table);
            let statement = Statement {
                number: index + 1,
                position: positions.at(range.start),
                class,
                is_self_record,
                // Reads all of a statement, and a script may have hundreds of thousands.
                is_plain_record: is_self_record && is_plain_record(sql, ledger_table),
                range,
            };
            (statement, end)
        })
        .unzip()
}

/// Whether the outer BEGIN and COMMIT fold, and all defects in the order of the file.
fn judge(text: &str, statements: &[Statement], flaws: Vec<Flaw>) -> (bool, Vec<ScriptDefect>) {
    let mut positions = Positions::new(text);
    let judgement = fold::judge(statements, |statement| {
        leading_words(&text[statement.range.clone()])
    });
    // What nothing closes hides the rest of the file, and the COMMIT at its end with it.
    let end_is_hidden = flaws
        .iter()
        .any(|flaw| matches!(flaw.kind, ScriptDefectKind::Unterminated(_)));
    let unfounded = |kind: &ScriptDefectKind| {
        matches!(
            kind,
            ScriptDefectKind::TransactionControl {
                problem: TransactionProblem::NoCommit,
                ..
            }
        )
    };
    let mut defects: Vec<_> = judgement
        .defects
        .into_iter()
        .filter(|(_, kind)| !(end_is_hidden && unfounded(kind)))
        .map(|(statement, kind)| ScriptDefect {
            position: Some(statement.position),
            kind,
        })
        .collect();
    defects.extend(flaws.into_iter().map(|flaw| ScriptDefect {
        position: Some(positions.at(flaw.offset)),
        kind: flaw.kind,
    }));
    defects.sort_by_key(|defect| defect.position);
    (judgement.folds, defects)
}

#[cfg(test)]
mod tests;
