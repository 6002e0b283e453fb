//! The comments of a script.

use std::ops::Range;

use squawk_lexer::TokenKind;

use super::super::lexer::Tokens;

/// One comment with its marks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comment<'a> {
    pub(super) range: Range<usize>,
    /// Without `--`, or `/*` and `*/`, and without blanks around it.
    pub(super) text: &'a str,
}

/// All comments of a text in their order.
pub(super) fn comments(text: &str) -> Vec<Comment<'_>> {
    let mut found = Vec::new();
    let mut gap_start = 0;
    for token in Tokens::new(text) {
        add(text, gap_start..token.start, &mut found);
        gap_start = token.end();
    }
    add(text, gap_start..text.len(), &mut found);
    found
}

/// Between two tokens there is nothing but white space and comments.
fn add<'a>(text: &'a str, gap: Range<usize>, found: &mut Vec<Comment<'a>>) {
    let mut start = gap.start;
    for token in squawk_lexer::tokenize(&text[gap]) {
        let end = start + token.len as usize;
        let whole = &text[start..end];
        let inner = match token.kind {
            TokenKind::LineComment => whole.strip_prefix("--"),
            TokenKind::BlockComment { .. } => whole
                .strip_prefix("/*")
                .map(|rest| rest.strip_suffix("*/").unwrap_or(rest)),
            _ => None,
        };
        if let Some(inner) = inner {
            found.push(Comment {
                range: start..end,
                text: inner.trim(),
            });
        }
        start = end;
    }
}

/// The text with its comments and these ranges turned into blanks, as long in bytes as before.
pub(super) fn without_comments(text: &str, also: impl Iterator<Item = Range<usize>>) -> String {
    let mut blanks: Vec<_> = comments(text)
        .into_iter()
        .map(|comment| comment.range)
        .chain(also)
        .collect();
    blanks.sort_by_key(|range| range.start);
    let mut bare = String::with_capacity(text.len());
    for range in blanks {
        // A comment may stand within another such range.
        let start = range.start.max(bare.len());
        bare.push_str(&text[bare.len()..start]);
        let left = start..range.end.max(start);
        bare.extend(
            text[left]
                .bytes()
                .map(|byte| if byte == b'\n' { '\n' } else { ' ' }),
        );
    }
    bare.push_str(&text[bare.len()..]);
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_found_where_they_are() {
        let text = "-- a\nselect '-- no' /* b /* c */ */ , $$ -- no $$ -- d";
        let found: Vec<_> = comments(text).iter().map(|comment| comment.text).collect();
        assert_eq!(found, ["a", "b /* c */", "d"]);
        for comment in comments(text) {
            assert!(text[comment.range].contains(comment.text));
        }
    }

    #[test]
    fn a_text_without_its_comments_is_as_long() {
        let text = "a -- é\nb /* x\ny */ 'c--'";
        let bare = without_comments(text, std::iter::empty());
        assert_eq!(bare, "a      \nb     \n     'c--'");
        assert_eq!(bare.len(), text.len());
        let text = "begin /* é */ work; select 1";
        let bare = without_comments(text, std::iter::once(0..19));
        assert_eq!(bare, "                   ; select 1");
    }
}
