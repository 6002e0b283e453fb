//! How deep a parser would have to go, and how long it would take, measured without one.

use super::super::lexer::{Kind, Tokens};
use super::strings::content;

/// Bodies in bodies in bodies that are looked into.
const BODIES: usize = 4;

/// What a parser would have to do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    /// An upper bound of the depth of the syntax tree, in tokens: what stands between two commas or semicolons may nest
    /// as deep as it is long (`a + b + c`, `NOT NOT a`), and what encloses it counts too. Bodies of functions, being
    /// strings, may be parsed as well. `usize::MAX` when strings nest deeper than anybody writes.
    pub(super) depth: usize,
    /// The tokens of each statement, times its depth, which is how long a parser that looks ahead takes.
    pub(super) work: usize,
}

/// Measures a script.
pub(super) fn measure(text: &str) -> Measure {
    measure_within(text, BODIES)
}

fn measure_within(text: &str, bodies: usize) -> Measure {
    let mut measure = Measure::default();
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    let mut tokens = 0_usize;
    for token in Tokens::new(text) {
        level.add(1);
        tokens += 1;
        match (token.kind, token.text) {
            (Kind::OpenParenthesis, _) | (Kind::Other, "[") => {
                outer.push(std::mem::take(&mut level));
            }
            (Kind::CloseParenthesis, _) | (Kind::Other, "]") => close(&mut level, &mut outer),
            (Kind::Semicolon, _) if outer.is_empty() => {
                measure.add(&std::mem::take(&mut level), std::mem::take(&mut tokens));
            }
            (Kind::Semicolon, _) | (Kind::Other, ",") => level.run = 0,
            (Kind::String, body) if body.len() > 2 => {
                let inside = match bodies.checked_sub(1) {
                    Some(left) => measure_within(&body[content(body)], left),
                    None => Measure {
                        depth: usize::MAX,
                        work: 0,
                    },
                };
                level.add(inside.depth);
                measure.work = measure.work.saturating_add(inside.work);
            }
            _ => {}
        }
    }
    while !outer.is_empty() {
        close(&mut level, &mut outer);
    }
    measure.add(&level, tokens);
    measure
}

impl Measure {
    fn add(&mut self, statement: &Level, tokens: usize) {
        self.depth = self.depth.max(statement.peak);
        self.work = self
            .work
            .saturating_add(tokens.saturating_mul(statement.peak));
    }
}

/// What stands within one pair of parentheses.
#[derive(Default)]
struct Level {
    /// How deep it may be since the last comma.
    run: usize,
    /// The most of it.
    peak: usize,
}

impl Level {
    fn add(&mut self, depth: usize) {
        self.run = self.run.saturating_add(depth);
        self.peak = self.peak.max(self.run);
    }
}

/// What follows a parenthesis may stand above it in the tree: `((a) + b) + c`.
fn close(level: &mut Level, outer: &mut Vec<Level>) {
    if let Some(mut enclosing) = outer.pop() {
        enclosing.add(level.peak);
        *level = enclosing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(text: &str) -> usize {
        measure(text).depth
    }

    #[test]
    fn what_nests_counts_and_what_is_listed_does_not() {
        for (text, expected) in [
            ("", 0),
            ("select a", 2),
            ("select a, b, c", 3),
            ("(),(),()", 3),
            ("a + b + c + d", 7),
            ("(a + b) + c", 7),
            ("x; select 1; y z", 3),
        ] {
            assert_eq!(depth(text), expected, "{text}");
        }
        assert!(depth(&"(".repeat(5000)) >= 5000);
        assert!(depth(&"(a,".repeat(5000)) >= 5000);
        assert!(depth(&"not ".repeat(5000)) >= 5000);
        assert!(depth(&format!("{}a{}", "(".repeat(50), "+ b)".repeat(50))) >= 100);
        assert!(depth(&"(1),".repeat(5000)) < 5);
    }

    #[test]
    fn work_is_the_sum_over_statements() {
        assert_eq!(measure("a b; a b c; ").work, 3 * 3 + 4 * 4);
        assert_eq!(measure(&"a b;".repeat(1000)).work, 9000);
        assert!(measure(&"not ".repeat(1000)).work >= 1_000_000);
        assert!(measure(&format!("do $$ {} $$", "not ".repeat(1000))).work >= 1_000_000);
    }

    #[test]
    fn bodies_count() {
        let deep = "(".repeat(100);
        assert!(depth(&format!("do $$ {deep} $$")) > 100);
        assert!(depth(&format!("do '{deep}'")) > 100);
        assert!(depth(&format!("do $a$ $b$ {deep} $b$ $a$")) > 100);
        let many = "$a$ $b$ $c$ $d$ $e$ x $e$ $d$ $c$ $b$ $a$";
        assert_eq!(depth(many), usize::MAX);
    }
}
