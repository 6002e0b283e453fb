//! Scripts out of the pieces that are hard to read.

use proptest::prelude::*;
use schemaward::migration::script::Script;
use schemaward::migration::statement::Position;

fn parse(text: &str) -> Option<Script> {
    match Script::parse(text.as_bytes(), "schema_migrations") {
        Ok(script) => Some(script),
        Err(defects) => {
            assert!(!defects.is_empty(), "{text:?}");
            for defect in defects {
                assert!(!defect.to_string().contains('\0'), "{defect}");
            }
            None
        }
    }
}

/// Pieces that mean something to a lexer, and some that mean nothing.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            ";", ";", ";\n", "select ", "1", ", ", "a", "\"b;\"", " as ", ".", "::", "(", ")", "[", "]",
            "'a;b'", "''", "'", "E'\\''", "E'a'\n'\\';'", "U&'\\0061'", "B'1'", "x'f'", "$$ ; $$", "$t$ ; $t$",
            "$t$ $$ $t$", "$1", "a$b", "\u{e9}$$", "\u{feff}$$", "\u{a0}", "$", "-- ;\n", "-- ;\r", "--",
            "/* ; */", "/* /* ; */ */", "/*", "*/", "\n", "\r\n", "\r", "\t", "\u{b}", "\u{c}", "\u{85}",
            "create function f() begin atomic ", "create or replace procedure p() ", "begin atomic ", "case ",
            " end", " end;", "create rule r as on insert to t do (", "do $$ begin; end $$", "\\", "\\.\n",
            "copy t from stdin;\n", "vacuum", "1e5", "1e", "1.", ".5", "1_0", "insert into schema_migrations ",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Whether a text holds nothing but white space, comments and semicolons, read in the plainest way.
fn is_blank(text: &str) -> bool {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}', ';']);
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.trim_start_matches(|c| c != '\n' && c != '\r');
        } else if rest.starts_with("/*") {
            let Some(length) = comment_length(rest) else {
                return false;
            };
            rest = &rest[length..];
        } else {
            return rest.is_empty();
        }
    }
}

/// How long the comment is that a text starts with; comments nest.
fn comment_length(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

/// Line and column of a character, counted one by one.
fn naive_position(text: &str, one_based: usize) -> Position {
    let mut position = Position { line: 1, column: 1 };
    let characters: Vec<char> = text.chars().collect();
    for (index, character) in characters.iter().enumerate().take(one_based - 1) {
        let ends = match character {
            '\n' => true,
            '\r' => characters.get(index + 1) != Some(&'\n'),
            _ => false,
        };
        if ends {
            position.line += 1;
            position.column = 1;
        } else {
            position.column += 1;
        }
    }
    position
}

#[test]
fn the_plain_reader_of_these_tests_reads() {
    for blank in ["", " ;\r\n", "-- a\n;/* b /* c */ */\t", "--", "/**/--\r;"] {
        assert!(is_blank(blank), "{blank:?}");
    }
    for other in ["a", "-- a\nb", "/* */*/", "/* /* */", "-", "/*"] {
        assert!(!is_blank(other), "{other:?}");
    }
    let at = |index| naive_position("a\r\nb\rc", index);
    assert_eq!(at(4), Position { line: 2, column: 1 });
    assert_eq!(at(6), Position { line: 3, column: 1 });
}

proptest! {
    #[test]
    fn statements_are_in_order_and_nothing_is_left_out(text in text()) {
        let Some(script) = parse(&text) else { return Ok(()) };
        let text = script.text();
        // BEGIN and COMMIT that were folded are no statements.
        let is_folded = script.statements().first().is_some_and(|first| first.number > 1);
        let mut last = 0;
        for statement in script.statements() {
            let range = statement.range.clone();
            prop_assert!(last <= range.start && range.start < range.end, "{last} {range:?}");
            prop_assert!(is_folded || is_blank(&text[last..range.start]), "{:?}", &text[last..range.start]);
            last = range.end;
        }
        prop_assert!(is_folded || is_blank(&text[last..]), "{:?}", &text[last..]);
    }

    #[test]
    fn what_is_printed_is_read_again(text in text()) {
        let Some(script) = parse(&text) else { return Ok(()) };
        let texts = |script: &Script| -> Vec<String> {
            script.statements().iter().map(|statement| script.text()[statement.range.clone()].to_owned()).collect()
        };
        // A line end first: U+FEFF at the beginning of a file is no letter.
        let printed = format!("\n{}", texts(&script).join(";\n"));
        let again = parse(&printed);
        prop_assert_eq!(again.as_ref().map(texts), Some(texts(&script)), "{:?}", printed);
        for (one, other) in script.statements().iter().zip(again.iter().flat_map(Script::statements)) {
            prop_assert_eq!(one.class, other.class);
        }
    }

    #[test]
    fn places_are_those_of_a_naive_count(text in text(), place in any::<prop::sample::Index>()) {
        let Some(script) = parse(&text) else { return Ok(()) };
        let text = script.text();
        let index = place.index(text.chars().count() + 1) + 1;
        prop_assert_eq!(script.position_of_char(index), naive_position(text, index), "{}", index);
        for statement in script.statements() {
            let before = text[..statement.range.start].chars().count();
            prop_assert_eq!(statement.position, naive_position(text, before + 1));
        }
    }

    #[test]
    fn bytes_that_are_no_text_get_an_answer(bytes in any::<Vec<u8>>(), text in text()) {
        let _ = Script::parse(&bytes, "schema_migrations");
        let mut mixed = text.into_bytes();
        mixed.extend(bytes);
        let _ = Script::parse(&mixed, "schema_migrations");
    }
}

proptest! {
    #[test]
    fn every_script_gets_an_assessment(text in text()) {
        use schemaward::migration::lint::{self, Role};
        let Some(script) = parse(&text) else { return Ok(()) };
        for role in [Role::Up { lacks_down: true }, Role::Down] {
            let assessment = lint::judge(&script, role);
            prop_assert_eq!(assessment.statements.len(), script.statements().len());
        }
        let shown = lint::shown(script.text());
        prop_assert_eq!(shown.chars().count(), script.text().chars().count());
    }
}
