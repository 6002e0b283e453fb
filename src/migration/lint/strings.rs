//! The strings of a script.

use std::ops::Range;

use super::super::lexer::{Kind, Tokens};

/// What is between the quotes of a string of any kind, as bytes of it.
pub(super) fn content(string: &str) -> Range<usize> {
    let quote = string.find(['\'', '$']).unwrap_or(0);
    let opening = match string[quote..].strip_prefix('$') {
        Some(tag) => tag.find('$').map_or(1, |end| end + 2),
        None => 1,
    };
    let start = (quote + opening).min(string.len());
    start..string.len().saturating_sub(opening).max(start)
}

/// The contents of all strings that a parser could read as more than one word: escapes, or SQL in its turn.
pub(super) fn contents(text: &str) -> Vec<Range<usize>> {
    Tokens::new(text)
        .filter(|token| token.kind == Kind::String)
        .map(|token| (token, content(token.text)))
        .filter(|(token, inside)| {
            let mut bytes = token.text[inside.clone()].bytes();
            inside.len() > 1 && !bytes.all(|byte| byte.is_ascii_alphanumeric())
        })
        .map(|(token, inside)| token.start + inside.start..token.start + inside.end)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_taken_off() {
        for string in ["'ab'", "E'ab'", "$$ab$$", "$x$ab$x$", "U&'ab'"] {
            assert_eq!(&string[content(string)], "ab", "{string}");
        }
        assert_eq!(content("''"), 1..1);
        assert_eq!(content("$$$$"), 2..2);
    }

    #[test]
    fn what_is_one_word_stays() {
        let text = "SELECT B'101', '!', 'a b', E'\\n', $f$ x $f$, '', \"a b\"";
        let found: Vec<_> = contents(text)
            .into_iter()
            .map(|range| &text[range])
            .collect();
        assert_eq!(found, ["a b", "\\n", " x "]);
    }
}
