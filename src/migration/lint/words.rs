//! A statement as a list of words to be read from left to right, with any look ahead.

use super::super::classify::identifier;
use super::super::lexer::{Kind, Token, Tokens};

/// Words of a statement that are read. What is decided by a longer one's end stays unknown.
const MOST: usize = 20_000;

/// A token, and how many parentheses are open around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) token: Token<'a>,
    pub(super) depth: usize,
}

impl Word<'_> {
    /// Whether this is that keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.token.is(keyword)
    }

    /// Whether this is that mark: `,`, `(`, `=`.
    pub(super) fn is_mark(&self, mark: &str) -> bool {
        self.token.text == mark
    }
}

/// The words of a statement, and whether there were too many to read them all.
pub(super) fn words(sql: &str) -> (Vec<Word<'_>>, bool) {
    let mut depth = 0_usize;
    let mut words: Vec<Word<'_>> = Tokens::new(sql)
        .take(MOST + 1)
        .map(|token| {
            if token.kind == Kind::CloseParenthesis {
                depth = depth.saturating_sub(1);
            }
            let word = Word { token, depth };
            if token.kind == Kind::OpenParenthesis {
                depth += 1;
            }
            word
        })
        .collect();
    let is_cut = words.len() > MOST;
    words.truncate(MOST);
    (words, is_cut)
}

/// A place in a list of words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'w, 'a>(pub(super) &'w [Word<'a>]);

impl<'w, 'a> Cursor<'w, 'a> {
    /// What is left.
    pub(super) fn rest(&self) -> &'w [Word<'a>] {
        self.0
    }

    /// Whether these keywords come next.
    pub(super) fn at(&self, keywords: &[&str]) -> bool {
        self.0.len() >= keywords.len()
            && self
                .0
                .iter()
                .zip(keywords)
                .all(|(word, keyword)| word.is(keyword))
    }

    /// Whether one of these keywords comes next.
    pub(super) fn at_any(&self, keywords: &[&str]) -> bool {
        self.0
            .first()
            .is_some_and(|word| keywords.iter().any(|keyword| word.is(keyword)))
    }

    /// Goes past these keywords, if they all come next.
    pub(super) fn take(&mut self, keywords: &[&str]) -> bool {
        let found = self.at(keywords);
        if found {
            self.0 = &self.0[keywords.len()..];
        }
        found
    }

    /// Goes past this mark, if it comes next.
    pub(super) fn take_mark(&mut self, mark: &str) -> bool {
        match self.0.split_first() {
            Some((word, rest)) if word.is_mark(mark) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Goes past any of these keywords, in any order.
    pub(super) fn skip(&mut self, keywords: &[&str]) {
        while self.at_any(keywords) {
            self.0 = &self.0[1..];
        }
    }

    /// A name with its schema, as the catalog has it. What cannot be read here (`U&"…"`) is none.
    pub(super) fn name(&mut self) -> Option<Vec<String>> {
        let mut parts = Vec::new();
        loop {
            let (word, rest) = self.0.split_first()?;
            parts.push(identifier(&word.token)?.into_owned());
            self.0 = rest;
            if !self.take_mark(".") {
                return Some(parts);
            }
        }
    }

    /// Names with commas between them.
    pub(super) fn names(&mut self) -> Option<Vec<Vec<String>>> {
        let mut names = Vec::new();
        loop {
            self.take(&["ONLY"]);
            names.push(self.name()?);
            self.take_mark("*");
            if !self.take_mark(",") {
                return Some(names);
            }
        }
    }
}

/// Whether these keywords stand side by side somewhere in the words, outside of parentheses that opened in them.
pub(super) fn has(words: &[Word<'_>], keywords: &[&str]) -> bool {
    let Some(outer) = words.first().map(|word| word.depth) else {
        return false;
    };
    (0..words.len()).any(|at| words[at].depth == outer && Cursor(&words[at..]).at(keywords))
}

/// The parts between commas that stand outside of parentheses.
pub(super) fn parts<'w, 'a>(words: &'w [Word<'a>]) -> impl Iterator<Item = &'w [Word<'a>]> {
    let outer = words.first().map_or(0, |word| word.depth);
    words.split(move |word| word.depth == outer && word.is_mark(","))
}
