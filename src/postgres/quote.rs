//! Quoting of identifiers and literals (PostgreSQL manual, "Lexical Structure").
//!
//! Literals rely on `standard_conforming_strings = on`, which the start-up options pin.

use crate::engine::task::Ledger;

/// `"name"`, with embedded quotes doubled.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`, with embedded quotes doubled.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A literal, or `NULL`.
pub fn optional_literal(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), literal)
}

/// `'\x…'` for a `bytea`.
pub fn bytes(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |value: u8| DIGITS[usize::from(value % 16)];
    let mut text = String::with_capacity(bytes.len() * 2 + 24);
    text.push_str("'\\x");
    for byte in bytes {
        text.push(digit(byte / 16));
        text.push(digit(*byte));
    }
    text.push_str("'::pg_catalog.bytea");
    text
}

/// `"schema"."table"`.
pub fn ledger(ledger: &Ledger) -> String {
    format!(
        "{}.{}",
        identifier(&ledger.schema),
        identifier(&ledger.table)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(optional_literal(None), "NULL");
        assert_eq!(bytes(&[0, 0x3a, 255]), "'\\x003aff'::pg_catalog.bytea");
    }
}
