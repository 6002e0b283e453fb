//! From offsets to lines and columns.

use super::statement::Position;

/// Finds the places of byte offsets in a text. Ascending offsets cost one pass in all, however long the lines are.
pub(super) struct Positions<'a> {
    text: &'a [u8],
    offset: usize,
    position: Position,
}

const START: Position = Position { line: 1, column: 1 };

impl<'a> Positions<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            offset: 0,
            position: START,
        }
    }

    /// The place of the character that starts at this byte; the end of the text for anything beyond it.
    pub(super) fn at(&mut self, offset: usize) -> Position {
        if offset < self.offset {
            (self.offset, self.position) = (0, START);
        }
        let end = offset.min(self.text.len());
        while self.offset < end {
            self.step();
        }
        self.position
    }

    fn step(&mut self) {
        let byte = self.text[self.offset];
        self.offset += 1;
        let ends_line =
            byte == b'\n' || byte == b'\r' && self.text.get(self.offset) != Some(&b'\n');
        if ends_line {
            self.position = Position {
                line: self.position.line + 1,
                column: 1,
            };
        } else if !is_continuation(byte) {
            self.position.column += 1;
        }
    }
}

/// Whether a byte of UTF-8 is not the first one of its character.
fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// The lines of a text without their ends: LF, CR LF or a lone CR.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let Some(end) = current.find(['\n', '\r']) else {
            rest = None;
            return Some(current);
        };
        let (line, tail) = current.split_at(end);
        rest = Some(tail.strip_prefix("\r\n").unwrap_or(&tail[1..]));
        Some(line)
    })
}
