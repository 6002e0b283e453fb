//! What of a server's text may be shown: one line, no control characters, no literals.

use crate::migration::display::is_control;

/// Longest message that is passed on, in characters.
const LONGEST: usize = 300;

/// SQLSTATE classes and codes whose quoted words are names of objects, not data: syntax error or
/// access rule violation (42), integrity constraint (23), dependent objects (2B), object state (55),
/// invalid schema or catalog name (3F, 3D), savepoint (3B).
const NAMES_ONLY: [&str; 7] = ["42", "23", "2B", "55", "3F", "3D", "3B"];

/// A server message as it may stand in status, events, logs and on a terminal.
///
/// In errors about data (class 22 above all) the server quotes the value it stumbled on, and a value
/// may itself hold quotes; there everything from the first quote to the last is left out. A syntax
/// error quotes the token; that is kept only when it is a bare word. A text of the script's own (`RAISE`,
/// P0001) is kept: its author wrote it to be read. The server quotes in the way of its language.
pub fn message(sqlstate: &str, text: &str) -> String {
    let names_only = NAMES_ONLY.iter().any(|class| sqlstate.starts_with(class));
    let text = match sqlstate {
        "P0001" => text.to_owned(),
        "42601" => without_quoted(text, is_word),
        _ if names_only => text.to_owned(),
        _ => without_quoted(text, is_setting_or_relation),
    };
    one_line(&text, LONGEST)
}

/// A name that another session chose for itself (`application_name`, role), for display.
pub fn name(text: &str) -> String {
    one_line(text, 63)
}

fn is_word(token: &str) -> bool {
    let punctuation = |c: char| "_.,;()[]*=<>+-/:".contains(c);
    let wordlike = |c: char| c.is_alphanumeric() || punctuation(c);
    token.chars().all(wordlike) && !token.chars().next().is_some_and(|c| c.is_ascii_digit())
}

/// Quoted words of other classes are shown only when nothing but a plain lower-case name.
fn is_setting_or_relation(token: &str) -> bool {
    !token.is_empty()
        && token.len() <= 63
        && token.contains('_')
        && token
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Marks that servers put around a value, in any of their languages.
const QUOTES: [char; 9] = ['"', '«', '»', '„', '“', '”', '‹', '›', '\u{201a}'];

/// Replaces what stands between the first and the last quotation mark by an ellipsis, unless it is one
/// quoted word that `keep` likes.
fn without_quoted(text: &str, keep: fn(&str) -> bool) -> String {
    let Some((first, mark)) = text.char_indices().find(|(_, c)| QUOTES.contains(c)) else {
        return text.to_owned();
    };
    let start = first + mark.len_utf8();
    let end = match text.rfind(QUOTES) {
        Some(last) if last >= start => last,
        // A quote that the server, or a cut, left open.
        _ => text.len(),
    };
    let (before, inside, after) = (&text[..start], &text[start..end], &text[end..]);
    if !after.is_empty() && keep(inside.trim()) {
        return text.to_owned();
    }
    format!("{before}…{after}")
}

fn one_line(text: &str, longest: usize) -> String {
    let mut line = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == longest {
            line.push('…');
            break;
        }
        line.push(if is_control(c) { ' ' } else { c });
    }
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_and_values_go() {
        let cases = [
            (
                "42P01",
                "relation \"nowhere\" does not exist",
                "relation \"nowhere\" does not exist",
            ),
            (
                "22P02",
                "invalid input syntax for type integer: \"alice@example.com\"",
                "invalid input syntax for type integer: \"…\"",
            ),
            (
                "23505",
                "duplicate key value violates unique constraint \"users_email_key\"",
                "duplicate key value violates unique constraint \"users_email_key\"",
            ),
            (
                "42601",
                "syntax error at or near \"selec\"",
                "syntax error at or near \"selec\"",
            ),
            (
                "42601",
                "syntax error at or near \"'s3cr3t'\"",
                "syntax error at or near \"…\"",
            ),
            (
                "42601",
                "unterminated quoted string at or near \"'abc",
                "unterminated quoted string at or near \"…",
            ),
            (
                "P0001",
                "balance of \"x\"\n\u{1b}[31mis low",
                "balance of \"x\"  [31mis low",
            ),
        ];
        for (code, text, expected) in cases {
            assert_eq!(message(code, text), expected, "{code} {text}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(
            message("P0001", &"a".repeat(3_000_000)).chars().count(),
            LONGEST + 1
        );
    }
}
