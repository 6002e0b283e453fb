//! A file's own record in the ledger that needs no review: one that can do nothing else.

use super::{Kind, Token, Tokens, identifier};
use crate::migration::version::Version;

/// Whether a statement only writes rows of literals into the ledger or takes one version out of it. The schema is unsaid
/// or `public`: in any other, the table may be somebody else's.
pub(in super::super) fn is_plain_record(sql: &str, ledger_table: &str) -> bool {
    let tokens: Vec<Token<'_>> = Tokens::new(sql).collect();
    let mut rest = Rest(&tokens);
    if rest.take(&["insert", "into"]) {
        rest.table(ledger_table) && rest.rows()
    } else if rest.take(&["delete", "from"]) {
        rest.take(&["only"]);
        rest.table(ledger_table)
            && rest.take(&["where", "version", "="])
            && rest.literal()
            && rest.0.is_empty()
    } else {
        false
    }
}

/// The versions whose rows a plain record writes or takes out, each as often as it stands there; `None`: the words do not
/// tell all of them. Without a list of columns the version is the first, as in the table that we create.
pub(in super::super) fn recorded(sql: &str) -> Option<Vec<Version>> {
    let tokens: Vec<Token<'_>> = Tokens::new(sql).collect();
    let Some(values) = tokens.iter().position(|token| token.is("values")) else {
        // DELETE FROM: the literal is the last of it.
        return Some(vec![version(tokens.last()?)?]);
    };
    let (head, rows) = tokens.split_at(values);
    let is = |text: &'static str| move |token: &Token<'_>| token.text == text;
    let place = match head.iter().position(is("(")) {
        None => 0,
        Some(open) => {
            let mut names = head[open + 1..].split(is(","));
            names.position(|name| {
                let name = name.first().and_then(identifier);
                name.is_some_and(|name| name == "version")
            })?
        }
    };
    let rows = rows[1..].split(|token| token.is("on")).next()?;
    let rows = rows.split(is(")")).filter(|row| !row.is_empty());
    rows.map(|row| {
        let open = row.iter().position(is("("))?;
        version(row[open + 1..].split(is(",")).nth(place)?.first()?)
    })
    .collect()
}

/// The version that a literal is.
fn version(token: &Token<'_>) -> Option<Version> {
    let text = match token.kind {
        Kind::String => token.text.strip_prefix('\'')?.strip_suffix('\'')?,
        _ => token.text,
    };
    Version::parse(text).ok()
}

/// What is left of a statement.
struct Rest<'t, 'a>(&'t [Token<'a>]);

impl Rest<'_, '_> {
    fn take(&mut self, texts: &[&str]) -> bool {
        let found = self.0.len() >= texts.len()
            && (self.0.iter().zip(texts))
                .all(|(token, text)| token.text.eq_ignore_ascii_case(text));
        if found {
            self.0 = &self.0[texts.len()..];
        }
        found
    }

    fn name(&mut self) -> Option<String> {
        let (token, rest) = self.0.split_first()?;
        let name = identifier(token)?.into_owned();
        self.0 = rest;
        Some(name)
    }

    fn table(&mut self, table: &str) -> bool {
        let Some(first) = self.name() else {
            return false;
        };
        if self.take(&["."]) {
            first == "public" && self.name().is_some_and(|name| name == table)
        } else {
            first == table
        }
    }

    fn literal(&mut self) -> bool {
        let Some((token, rest)) = self.0.split_first() else {
            return false;
        };
        let words = ["null", "true", "false", "default", "current_timestamp"];
        let is_number = || token.text.bytes().all(|byte| byte.is_ascii_digit());
        let is_literal = match token.kind {
            Kind::String => true,
            Kind::Word => words.iter().any(|word| token.is(word)) || is_number(),
            Kind::Other => is_number(),
            _ => false,
        };
        if is_literal {
            self.0 = rest;
        }
        is_literal
    }

    /// `(a, b)`, of what `part` takes.
    fn list(&mut self, part: fn(&mut Self) -> bool) -> bool {
        if !self.take(&["("]) || !part(self) {
            return false;
        }
        while self.take(&[","]) {
            if !part(self) {
                return false;
            }
        }
        self.take(&[")"])
    }

    /// `[(columns)] VALUES (literals) [, …] [ON CONFLICT [(columns)] DO NOTHING]`
    fn rows(&mut self) -> bool {
        let column = |rest: &mut Self| rest.name().is_some();
        let opens = |rest: &Self| rest.0.first().is_some_and(|token| token.text == "(");
        if opens(self) && !self.list(column) {
            return false;
        }
        if !self.take(&["values"]) || !self.list(Self::literal) {
            return false;
        }
        while self.take(&[","]) {
            if !self.list(Self::literal) {
                return false;
            }
        }
        if self.take(&["on", "conflict"]) {
            if opens(self) && !self.list(column) {
                return false;
            }
            if !self.take(&["do", "nothing"]) {
                return false;
            }
        }
        self.0.is_empty()
    }
}
