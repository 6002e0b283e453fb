//! How deep a parser would have to go, and how long it would take, measured without one.

use super::super::lexer::{Kind, Tokens};

/// What a parser would have to do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    /// An upper bound of the depth of the syntax tree, in tokens: what stands between two commas or semicolons may nest
    /// as deep as it is long (`a + b + c`, `NOT NOT a`), and what encloses it counts too.
    pub(super) depth: usize,
    /// The tokens of each statement, times its depth, which is how long a parser that looks ahead takes; and for each
    /// assignment those before it, among which squawk seeks it where a column is assigned twice.
    pub(super) work: usize,
}

/// Measures a script whose strings hold nothing to parse.
pub(super) fn measure(text: &str) -> Measure {
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
            (Kind::Semicolon, _) => level.run = 0,
            (Kind::Other, ",") => {
                level.run = 0;
                measure.work = measure.work.saturating_add(level.next_assignment());
            }
            _ if token.is("SET") => level.assigns = true,
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
    /// `SET` was read: what is listed behind it may be assignments. `set` may be a column, too, so it starts none anew.
    assigns: bool,
    /// The commas since then.
    assignments: usize,
}

impl Level {
    fn add(&mut self, depth: usize) {
        self.run = self.run.saturating_add(depth);
        self.peak = self.peak.max(self.run);
    }

    /// One more is listed; how many assignments are before it.
    fn next_assignment(&mut self) -> usize {
        self.assignments += usize::from(self.assigns);
        self.assignments
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
    }

    #[test]
    fn assignments_count_as_often_as_others_are_before_them() {
        let work = |listed: &str, n: usize| measure(&listed.repeat(n)).work;
        let assigned = |n| measure(&format!("update t set {}", "a = 1, ".repeat(n))).work;
        assert!(assigned(1000) > 500_000, "{}", assigned(1000));
        assert!(assigned(1000) > 50 * assigned(100));
        let column_set = format!("update t SET {}", "set = 1, ".repeat(1000));
        assert!(measure(&column_set).work > 500_000);
        let within = format!(
            "with x as (update t set {} z = 1) select 1",
            "a = (1, 2), ".repeat(1000)
        );
        assert!(measure(&within).work > 500_000);
        // What else is listed, and what is assigned in many statements.
        assert!(work("(1, 2), ", 1000) < 50_000);
        assert!(work("update t set a = 1, b = 2;", 1000) < 200_000);
        let seed = format!("update t set a = 1 where b in ({})", "1, ".repeat(1000));
        assert!(measure(&seed).work < 50_000);
    }

    #[test]
    fn a_string_is_one_token() {
        assert_eq!(measure("do $$      $$"), measure("do ''"));
    }
}
