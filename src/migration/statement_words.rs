//! The words of a statement that say what it does to what, and nothing that could be a value.

use super::display::plain;

/// Words after which values, expressions or bodies come.
const END: [&str; 19] = [
    "AS",
    "CHECK",
    "DEFAULT",
    "ENCRYPTED",
    "EXECUTE",
    "IS",
    "LANGUAGE",
    "PASSWORD",
    "RETURNING",
    "RETURNS",
    "SET",
    "SELECT",
    "TO",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
    "OPTIONS",
];

/// Statements whose second word is already what they act on or a value.
const ONE_WORD: [&str; 8] = [
    "CALL", "DO", "EXECUTE", "NOTIFY", "SELECT", "VALUES", "WITH", "EXPLAIN",
];

/// The leading key words and names of a statement: `CREATE TABLE IF NOT EXISTS widgets`. Ends before
/// the first literal, number, operator or bracket, and before any word that a value follows.
#[must_use]
pub fn words(statement: &str) -> String {
    let mut shown = String::new();
    let mut first = None;
    let mut after_dot = false;
    for token in tokens(statement) {
        match token {
            Token::Dot => {
                shown.push('.');
                after_dot = true;
                continue;
            }
            Token::Word(word) => {
                let upper = word.to_ascii_uppercase();
                let is_end = first.is_some() && !after_dot && END.contains(&upper.as_str());
                // GRANT SELECT, REVOKE SELECT: a privilege, not a query.
                let is_privilege =
                    upper == "SELECT" && matches!(first.as_deref(), Some("GRANT" | "REVOKE"));
                if is_end && !is_privilege {
                    break;
                }
                if !shown.is_empty() && !after_dot {
                    shown.push(' ');
                }
                shown.push_str(word);
                if first.is_none() {
                    let alone = ONE_WORD.contains(&upper.as_str());
                    first = Some(upper);
                    if alone {
                        break;
                    }
                }
            }
        }
        after_dot = false;
    }
    plain(&shown)
}

enum Token<'a> {
    Word(&'a str),
    Dot,
}

/// Key words, names and dots, up to the first token that is none of them; comments are left out.
fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = skip_blanks(rest);
        let length = match rest.chars().next()? {
            '.' => {
                rest = &rest[1..];
                return Some(Token::Dot);
            }
            '"' => quoted_name(rest)?,
            c if c.is_alphabetic() || c == '_' => rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                .unwrap_or(rest.len()),
            _ => return None,
        };
        let (word, after) = rest.split_at(length);
        // E'…', U&'…', B'…': the letter belongs to a literal.
        if after.starts_with('\'') || after.starts_with("&'") || after.starts_with("&\"") {
            return None;
        }
        rest = after;
        Some(Token::Word(word))
    })
}

/// Length of a quoted name with its quotes; doubled quotes belong to it.
fn quoted_name(text: &str) -> Option<usize> {
    let mut from = 1;
    loop {
        let end = from + text[from..].find('"')?;
        if !text[end + 1..].starts_with('"') {
            return Some(end + 1);
        }
        from = end + 2;
    }
}

fn skip_blanks(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if text.starts_with("--") {
            text = text.find(['\n', '\r']).map_or("", |end| &text[end..]);
        } else if text.starts_with("/*") {
            text = after_block_comment(text);
        } else {
            return text;
        }
    }
}

/// What follows a block comment; they nest.
fn after_block_comment(text: &str) -> &str {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(next) = text[at..].find(['/', '*']) {
        at += next;
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return &text[at..];
            }
        } else {
            at += 1;
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_done_to_what() {
        let cases = [
            (
                "CREATE TABLE IF NOT EXISTS inventario_historico (id SERIAL)",
                "CREATE TABLE IF NOT EXISTS inventario_historico",
            ),
            (
                "CREATE INDEX IF NOT EXISTS idx_a\n    ON public.t (a DESC)",
                "CREATE INDEX IF NOT EXISTS idx_a ON public.t",
            ),
            (
                "CREATE OR REPLACE VIEW v AS SELECT 'x'",
                "CREATE OR REPLACE VIEW v",
            ),
            ("/* a /* b */ c */ -- d\n drop TABLE t;", "drop TABLE t"),
            ("COMMENT ON TABLE t IS 'secret'", "COMMENT ON TABLE t"),
            (
                "ALTER TABLE t ADD COLUMN c integer DEFAULT 5",
                "ALTER TABLE t ADD COLUMN c integer",
            ),
            ("GRANT SELECT ON t TO r", "GRANT SELECT ON t"),
            (
                "ALTER TABLE \"My \"\"T\" RENAME TO x",
                "ALTER TABLE \"My \"\"T\" RENAME",
            ),
            (
                "CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA x",
                "CREATE EXTENSION IF NOT EXISTS pgcrypto",
            ),
            ("", ""),
        ];
        for (sql, expected) in cases {
            assert_eq!(words(sql), expected, "{sql}");
        }
    }

    #[test]
    fn shows_no_value() {
        let cases = [
            ("INSERT INTO t (a) VALUES ('secret')", "INSERT INTO t"),
            ("INSERT INTO t SELECT secret", "INSERT INTO t"),
            ("UPDATE t SET password = 'secret'", "UPDATE t"),
            ("DELETE FROM t WHERE name = 'secret'", "DELETE FROM t"),
            ("ALTER ROLE r PASSWORD 'secret'", "ALTER ROLE r"),
            ("CREATE ROLE r ENCRYPTED PASSWORD 'secret'", "CREATE ROLE r"),
            ("SET app.key TO secret", "SET app.key"),
            ("SET app.key = secret", "SET app.key"),
            ("SELECT secret('x')", "SELECT"),
            ("DO $$ secret $$", "DO"),
            ("DO LANGUAGE plpgsql 'secret'", "DO"),
            ("COMMENT ON TABLE t IS E'secret'", "COMMENT ON TABLE t"),
            ("COPY t FROM E'/secret'", "COPY t FROM"),
            ("COPY t FROM U&'/secret'", "COPY t FROM"),
            ("NOTIFY c, 'secret'", "NOTIFY"),
        ];
        for (sql, expected) in cases {
            assert_eq!(words(sql), expected, "{sql}");
        }
    }

    #[test]
    fn is_one_line() {
        assert_eq!(words("CREATE TABLE \"a\nb\" ()"), "CREATE TABLE \"a b\"");
        // One that would turn what follows it around on a terminal.
        assert_eq!(
            words("CREATE TABLE \"a\u{202e}b\" ()"),
            "CREATE TABLE \"a b\""
        );
    }
}
