//! Aligned columns, for people and for `awk` alike: two spaces between columns, none at line ends.

use clap::builder::styling::AnsiColor;

use crate::migration::display::is_control;

use super::terminal::Terminal;

/// One cell: a text and how it is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: String,
    colour: Option<AnsiColor>,
    to_the_right: bool,
}

impl Cell {
    /// What is known, and `-` for what is not. Names from a history that others wrote may hold
    /// anything, control characters included.
    pub(super) fn of(text: Option<impl ToString>) -> Self {
        let text = text.map_or_else(String::new, |text| text.to_string());
        let text: String = text
            .chars()
            .map(|c| if is_control(c) { '\u{FFFD}' } else { c })
            .collect();
        Self {
            text: if text.is_empty() {
                "-".to_owned()
            } else {
                text
            },
            ..Self::default()
        }
    }

    /// A word of ours.
    pub(super) fn word(text: &str) -> Self {
        Self::of(Some(text))
    }

    /// In a colour, where colours are seen.
    pub(super) fn in_colour(self, colour: AnsiColor) -> Self {
        Self {
            colour: Some(colour),
            ..self
        }
    }

    /// Aligned as numbers are.
    pub(super) fn aligned_right(self) -> Self {
        Self {
            to_the_right: true,
            ..self
        }
    }
}

/// The rows as lines.
pub(super) fn render(rows: &[Vec<Cell>], terminal: Terminal) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.text.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    rows.iter()
        .map(|row| line(row, &widths, terminal))
        .collect()
}

fn line(row: &[Cell], widths: &[usize], terminal: Terminal) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width - cell.text.chars().count());
        let text = match cell.colour {
            Some(colour) => terminal.paint(colour, &cell.text),
            None => cell.text.clone(),
        };
        let is_last = index + 1 == row.len();
        if cell.to_the_right {
            line.push_str(&padding);
        }
        line.push_str(&text);
        if !is_last {
            if !cell.to_the_right {
                line.push_str(&padding);
            }
            line.push_str("  ");
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let rows = [
            vec![
                Cell::word("MS").aligned_right(),
                Cell::word("NAME"),
                Cell::word("X"),
            ],
            vec![
                Cell::of(Some(1234)).aligned_right(),
                Cell::of(Some("a\u{1b}[31m\u{202e}")),
                Cell::of(None::<&str>),
            ],
        ];
        assert_eq!(
            render(&rows, Terminal::plain()),
            "  MS  NAME     X\n1234  a\u{FFFD}[31m\u{FFFD}  -\n"
        );
    }
}
