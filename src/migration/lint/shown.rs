//! A script as it may be shown.

use super::super::lexer::{Kind, Tokens};

/// A script's text with a `*` for each character of a literal: as many lines, and as many characters in each, but no value.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut kept = 0;
    for token in Tokens::new(text).filter(|token| token.kind == Kind::String) {
        shown.push_str(&text[kept..token.start]);
        let inside = token.text.chars().map(|c| match c {
            '\'' | '\n' | '\r' => c,
            _ => '*',
        });
        shown.extend(inside);
        kept = token.end();
    }
    shown.push_str(&text[kept..]);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_covered_and_places_stay() {
        for (text, expected) in [
            ("SELECT 'é\nb', c", "SELECT '*\n*', c"),
            (
                "PASSWORD E'a\\'b';",
                "PASSWORD *'***'*;".replace("'***'*", "'**'*'").as_str(),
            ),
            ("DO $$ a $$ x", "DO ******* x"),
            ("a \"b\" -- 'c'", "a \"b\" -- 'c'"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
            assert_eq!(shown(text).chars().count(), text.chars().count());
        }
    }
}
