//! Small pieces of the sentences that people read.

use std::fmt::{Display, Write};

/// How many items a sentence names before it only counts the rest.
pub(super) const NAMED: usize = 5;

/// `001`, `001 and 002`, `001, 002, 003, 004, 005 and 12 more`.
pub(super) fn list<T: Display>(items: &[T]) -> String {
    let (named, rest) = items.split_at(items.len().min(NAMED));
    let named: Vec<String> = named.iter().map(ToString::to_string).collect();
    match (named.as_slice(), rest.len()) {
        ([head @ .., last], 0) if !head.is_empty() => format!("{} and {last}", head.join(", ")),
        (named, 0) => named.concat(),
        (named, more) => format!("{} and {more} more", named.join(", ")),
    }
}

/// `one` for a single item, `many` otherwise.
pub(super) fn by_number<T>(count: usize, one: T, many: T) -> T {
    if count == 1 { one } else { many }
}

/// Clauses that hold commas of their own: `a; b; c and 12 more`.
pub(super) fn clauses<T: Display>(items: &[T]) -> String {
    let (named, rest) = items.split_at(items.len().min(NAMED));
    let named: Vec<String> = named.iter().map(ToString::to_string).collect();
    let mut text = named.join("; ");
    if !rest.is_empty() {
        let _ = write!(text, "; and {} more", rest.len());
    }
    text
}

/// How many characters of a foreign text a sentence shows.
const SHOWN: usize = 80;

/// A text that somebody else wrote, quoted: control characters escaped, cut when it is long.
pub(super) fn quoted(text: &str) -> String {
    let mut escaped = text.escape_debug();
    let shown: String = escaped.by_ref().take(SHOWN).collect();
    let more = if escaped.next().is_some() { "…" } else { "" };
    format!("\"{shown}{more}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_the_first_few() {
        let numbers: Vec<u32> = (1..=8).collect();
        for (count, list_of, clauses_of) in [
            (0, "", ""),
            (1, "1", "1"),
            (2, "1 and 2", "1; 2"),
            (5, "1, 2, 3, 4 and 5", "1; 2; 3; 4; 5"),
            (6, "1, 2, 3, 4, 5 and 1 more", "1; 2; 3; 4; 5; and 1 more"),
            (8, "1, 2, 3, 4, 5 and 3 more", "1; 2; 3; 4; 5; and 3 more"),
        ] {
            assert_eq!(list(&numbers[..count]), list_of);
            assert_eq!(clauses(&numbers[..count]), clauses_of);
        }
    }

    #[test]
    fn foreign_texts_are_harmless_and_short() {
        assert_eq!(quoted("a\n\u{1b}\"é"), r#""a\n\u{1b}\"é""#);
        assert_eq!(quoted(&"x".repeat(80)).chars().count(), 82);
        assert_eq!(quoted(&"x".repeat(5000)).chars().count(), 83);
    }
}
