//! What of a text that somebody else wrote may stand in a line that a person reads.

/// Characters that a terminal obeys instead of showing them: control characters, and those that reorder the text
/// around them.
#[must_use]
pub fn is_control(c: char) -> bool {
    let is_bidirectional = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_bidirectional
}

/// The text with a blank for each of them.
#[must_use]
pub fn plain(text: &str) -> String {
    let blank = |c| if is_control(c) { ' ' } else { c };
    text.chars().map(blank).collect()
}
