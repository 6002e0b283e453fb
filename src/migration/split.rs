//! Where statements start and end.

use std::ops::Range;

use super::classify::classify;
use super::defect::{ScriptDefectKind, Unterminated};
use super::lexer::{Kind, Token, Tokens};
use super::statement::{Refusal, StatementClass};

/// A statement as it stands in the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// From its first to its last token.
    pub(super) range: Range<usize>,
    /// Behind its `;`, or its end where it has none.
    pub(super) end: usize,
    pub(super) class: StatementClass,
}

/// A place that is not SQL, or whose end cannot be found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) offset: usize,
    pub(super) kind: ScriptDefectKind,
}

/// All statements and all flaws of a text, each in its order.
pub(super) fn split(text: &str) -> (Vec<Piece>, Vec<Flaw>) {
    let mut splitter = Splitter {
        text,
        tokens: Tokens::new(text),
        open: None,
        pieces: Vec::new(),
        flaws: Vec::new(),
        may_hold_copy_data: true,
    };
    while let Some(token) = splitter.tokens.next() {
        splitter.token(token);
    }
    splitter.finish();
    (splitter.pieces, splitter.flaws)
}

struct Splitter<'a> {
    text: &'a str,
    tokens: Tokens<'a>,
    open: Option<OpenStatement>,
    pieces: Vec<Piece>,
    flaws: Vec<Flaw>,
    /// False once no end of COPY data was found up to the end of the text.
    may_hold_copy_data: bool,
}

impl Splitter<'_> {
    fn token(&mut self, token: Token<'_>) {
        match token.kind {
            Kind::Backslash => {
                self.flaw(token.start, ScriptDefectKind::Refused(Refusal::MetaCommand));
                self.continue_at(end_of_line(self.text, token.start));
            }
            Kind::Ambiguous => {
                self.flaw(token.start, ScriptDefectKind::Refused(Refusal::NoEnd));
                self.continue_at(self.text.len());
            }
            Kind::Open(what) => self.flaw(token.start, ScriptDefectKind::Unterminated(what)),
            Kind::Semicolon => match &self.open {
                Some(open) if open.is_nested() => {}
                _ => self.end_statement(token.end()),
            },
            _ => self
                .open
                .get_or_insert_with(|| OpenStatement::new(token.start))
                .add(&token),
        }
    }

    /// Nothing can be said about a statement with a flaw in it, so it is dropped.
    fn flaw(&mut self, offset: usize, kind: ScriptDefectKind) {
        self.flaws.push(Flaw { offset, kind });
        self.open = None;
    }

    fn continue_at(&mut self, offset: usize) {
        self.tokens = Tokens::from(self.text, offset);
    }

    fn end_statement(&mut self, end: usize) {
        let Some(open) = self.open.take() else { return };
        let range = open.start..open.end;
        let class = classify(&self.text[range.clone()]);
        if let StatementClass::Refused(refusal) = class {
            self.flaw(range.start, ScriptDefectKind::Refused(refusal));
            if refusal == Refusal::CopyFromStdin && self.may_hold_copy_data {
                match end_of_copy_data(self.text, end) {
                    Some(offset) => self.continue_at(offset),
                    None => self.may_hold_copy_data = false,
                }
            }
        }
        self.pieces.push(Piece { range, end, class });
    }

    fn finish(&mut self) {
        match self.open.as_ref().and_then(OpenStatement::nested_in) {
            Some((offset, what)) => self.flaw(offset, ScriptDefectKind::Unterminated(what)),
            None => self.end_statement(self.text.len()),
        }
    }
}

/// A statement whose end has not been seen. As in psql's lexer (`psqlscan.l`), a `;` ends it unless it stands in
/// parentheses (CREATE RULE … DO (a; b)) or in the body of a CREATE FUNCTION or PROCEDURE … BEGIN ATOMIC.
struct OpenStatement {
    start: usize,
    end: usize,
    /// The unclosed parentheses: how many, and where the outermost one is.
    parentheses: usize,
    outermost: usize,
    /// Unclosed BEGIN ATOMIC and the CASEs in it, and where the first one is.
    blocks: usize,
    outermost_block: usize,
    head: Head,
    previous: Previous,
}

/// How far the statement matches `CREATE [OR REPLACE] {FUNCTION | PROCEDURE}`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    Empty,
    Create,
    CreateOr,
    CreateOrReplace,
    Routine,
    Other,
}

/// The token before, where it changes what the next one means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Previous {
    Begin(usize),
    /// `AS` or `.`: what follows is a name, even when it reads END.
    Naming,
    Other,
}

impl OpenStatement {
    fn new(start: usize) -> Self {
        Self {
            start,
            end: start,
            parentheses: 0,
            outermost: start,
            blocks: 0,
            outermost_block: start,
            head: Head::Empty,
            previous: Previous::Other,
        }
    }

    fn is_nested(&self) -> bool {
        self.parentheses > 0 || self.blocks > 0
    }

    fn nested_in(&self) -> Option<(usize, Unterminated)> {
        if self.blocks > 0 {
            Some((self.outermost_block, Unterminated::BeginAtomic))
        } else if self.parentheses > 0 {
            Some((self.outermost, Unterminated::Parenthesis))
        } else {
            None
        }
    }

    fn add(&mut self, token: &Token<'_>) {
        self.end = token.end();
        match token.kind {
            Kind::OpenParenthesis => {
                if self.parentheses == 0 {
                    self.outermost = token.start;
                }
                self.parentheses += 1;
            }
            // A `)` too many is the server's to complain about.
            Kind::CloseParenthesis => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        if self.head == Head::Routine && self.parentheses == 0 {
            self.block(token);
        }
        self.head = self.head.next(token);
        self.previous = match token.kind {
            Kind::Word if token.is("begin") => Previous::Begin(token.start),
            Kind::Word if token.is("as") => Previous::Naming,
            Kind::Other if token.text == "." => Previous::Naming,
            _ => Previous::Other,
        };
    }

    fn block(&mut self, token: &Token<'_>) {
        match self.previous {
            Previous::Begin(start) if token.is("atomic") => {
                if self.blocks == 0 {
                    self.outermost_block = start;
                }
                self.blocks += 1;
            }
            Previous::Naming => {}
            _ if self.blocks == 0 => {}
            _ if token.is("case") => self.blocks += 1,
            _ if token.is("end") => self.blocks -= 1,
            _ => {}
        }
    }
}

impl Head {
    fn next(self, token: &Token<'_>) -> Self {
        match self {
            Self::Empty if token.is("create") => Self::Create,
            Self::Create if token.is("or") => Self::CreateOr,
            Self::CreateOr if token.is("replace") => Self::CreateOrReplace,
            Self::Create | Self::CreateOrReplace
                if token.is("function") || token.is("procedure") =>
            {
                Self::Routine
            }
            Self::Routine => Self::Routine,
            _ => Self::Other,
        }
    }
}

/// The offset of the line end after `offset`, or of the end of the text.
fn end_of_line(text: &str, offset: usize) -> usize {
    text[offset..]
        .find(['\n', '\r'])
        .map_or(text.len(), |length| offset + length)
}

/// The end of the line `\.` that ends the data of a COPY whose statement ends at `offset`.
fn end_of_copy_data(text: &str, offset: usize) -> Option<usize> {
    let mut line_start = end_of_line(text, offset) + 1;
    while line_start < text.len() {
        let line_end = end_of_line(text, line_start);
        if &text[line_start..line_end] == "\\." {
            return Some(line_end);
        }
        line_start = line_end + 1;
    }
    None
}

#[cfg(test)]
pub(super) mod tests;
