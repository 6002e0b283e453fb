//! From offsets to lines and columns.

use super::statement::Position;

/// Finds the places of byte offsets in a text. Ascending offsets cost one pass in all, however long the lines are.
pub(super) struct Positions<'a> {
    text: &'a [u8],
    offset: usize,
    position: Position,
}

/// Bytes that are looked at together: the compiler makes a few instructions of a block.
const BLOCK: usize = 32;

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
            match self.text[self.offset..end].first_chunk() {
                Some(block) if !has_line_end(block) => {
                    self.offset += BLOCK;
                    self.position.column += characters(block);
                }
                _ => {
                    let stop = end.min(self.offset + BLOCK);
                    while self.offset < stop {
                        self.step();
                    }
                }
            }
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

/// Counted, and not searched: what may stop at any byte is not done for all of a block at once.
fn has_line_end(block: &[u8; BLOCK]) -> bool {
    let line_ends = block.iter().filter(|byte| matches!(**byte, b'\n' | b'\r'));
    line_ends.count() > 0
}

/// How many characters begin in it.
fn characters(block: &[u8; BLOCK]) -> usize {
    block.iter().filter(|byte| !is_continuation(**byte)).count()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and column of an offset, counted character by character.
    fn counted(text: &str, offset: usize) -> Position {
        let before = &text[..offset];
        let is_cut = before.ends_with('\r') && text[offset..].starts_with('\n');
        let whole = if is_cut {
            &before[..offset - 1]
        } else {
            before
        };
        let line_ends = whole.replace("\r\n", "\n").replace('\r', "\n");
        let last = line_ends.rsplit('\n').next().unwrap_or_default();
        Position {
            line: 1 + line_ends.matches('\n').count(),
            column: 1 + last.chars().count() + usize::from(is_cut),
        }
    }

    #[test]
    fn blocks_count_as_single_bytes_do() {
        for mark in ["x", "\n", "\r", "\r\n", "\n\r", "é", "🐘", "🐘\n🐘"] {
            for before in 0..2 * BLOCK {
                let text = format!("{}{mark}{}", "a".repeat(before), "é".repeat(BLOCK));
                let mut one_pass = Positions::new(&text);
                for offset in (0..=text.len()).filter(|offset| text.is_char_boundary(*offset)) {
                    let expected = counted(&text, offset);
                    assert_eq!(one_pass.at(offset), expected, "{text:?} {offset}");
                    let mut at_once = Positions::new(&text);
                    assert_eq!(at_once.at(offset), expected, "{text:?} {offset}");
                }
            }
        }
    }
}
