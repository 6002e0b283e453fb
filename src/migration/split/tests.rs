use std::time::{Duration, Instant};

use proptest::prelude::*;
use squawk_syntax::ast::Stmt;

use super::*;

#[path = "../../../tests/cases/splits.rs"]
mod cases;
#[path = "../../../tests/cases/corpus.rs"]
pub(in crate::migration) mod corpus;

use cases::SPLITS;

/// The statements' texts.
fn texts(sql: &str) -> Vec<&str> {
    let (pieces, flaws) = split(sql);
    assert_eq!(flaws, [], "{sql:?}");
    pieces.into_iter().map(|piece| &sql[piece.range]).collect()
}

#[test]
fn splits_as_the_server_does() {
    for (sql, expected) in SPLITS {
        assert_eq!(texts(sql), *expected, "{sql:?}");
    }
}

/// The same texts through the parser of the same project: two readings of the grammar, one answer.
#[test]
fn agrees_with_the_syntax_tree() {
    let whole = corpus::SCRIPTS
        .iter()
        .map(|(_, sql)| (*sql, texts(sql).len()));
    let rows = SPLITS.iter().map(|(sql, expected)| (*sql, expected.len()));
    for (sql, expected) in rows.chain(whole) {
        let parse = squawk_syntax::SourceFile::parse(sql);
        let statements = parse
            .tree()
            .stmts()
            .filter(|stmt| !matches!(stmt, Stmt::EmptyStmt(_)))
            .count();
        if parse.errors().is_empty() {
            assert_eq!(statements, expected, "{sql:?}");
        }
    }
}

#[test]
fn a_reader_is_not_psql_and_has_its_settings_pinned() {
    for sql in corpus::FOR_PSQL_ALONE {
        assert!(!split(sql).1.is_empty(), "{sql:?}");
    }
    assert_eq!(texts(corpus::DEPENDS_ON_THE_READER).len(), 2);
}

#[test]
fn pieces_end_behind_their_semicolon() {
    let sql = "select 1 /* a */ ; select 2 -- b";
    let ends: Vec<usize> = split(sql).0.iter().map(|piece| piece.end).collect();
    assert_eq!(ends, [18, sql.len()]);
}

/// Each row: a script, and its flaws as (offset, kind).
#[test]
fn names_what_is_not_sql() {
    use ScriptDefectKind::{Refused, Unterminated as Open};
    let meta = Refused(Refusal::MetaCommand);
    let copy = Refused(Refusal::CopyFromStdin);
    let rows: &[(&str, &[(usize, &ScriptDefectKind)])] = &[
        ("\\i other.sql\nselect 1;", &[(0, &meta)]),
        (
            "select 1;\n  \\echo it's done\nselect 2;\n\\q",
            &[(12, &meta), (38, &meta)],
        ),
        ("select 1 \\gexec\n", &[(9, &meta)]),
        (
            "\\restrict abc\r\nselect 1;\r\n\\unrestrict abc\r\n",
            &[(0, &meta), (26, &meta)],
        ),
        (
            "select '\\i not one'; select $$\\i$$, \"\\i\" -- \\i\n",
            &[],
        ),
        (
            "copy t from stdin;\n1\tit's\n\\.\nselect 1;\\d",
            &[(0, &copy), (38, &meta)],
        ),
        (
            "copy t from stdin;\r\n1\t'\r\n\\.\r\nselect '",
            &[(0, &copy), (36, &Open(Unterminated::String))],
        ),
        ("copy t from stdin; select 1", &[(0, &copy)]),
        ("copy t from stdin", &[(0, &copy)]),
        ("select 'a; select 1", &[(7, &Open(Unterminated::String))]),
        ("select E'a\\'", &[(7, &Open(Unterminated::String))]),
        ("select E'a'\n'b\\'", &[(12, &Open(Unterminated::String))]),
        ("select \"a", &[(7, &Open(Unterminated::Identifier))]),
        ("select U&\"a", &[(7, &Open(Unterminated::Identifier))]),
        ("select 1; /* /* */", &[(10, &Open(Unterminated::Comment))]),
        ("do $$ begin", &[(3, &Open(Unterminated::DollarQuote))]),
        ("do $a$ begin $A$", &[(3, &Open(Unterminated::DollarQuote))]),
        (
            "select (1; select (2);",
            &[(7, &Open(Unterminated::Parenthesis))],
        ),
        (
            "create function f() begin atomic select 1; commit;",
            &[(20, &Open(Unterminated::BeginAtomic))],
        ),
        // PostgreSQL 14 reads an identifier `e$$`, its successors the start of a quote.
        (
            "select 1e$$; commit; --$$",
            &[(7, &Refused(Refusal::NoEnd))],
        ),
        (
            "select 1_0$$; commit; --$$",
            &[(7, &Refused(Refusal::NoEnd))],
        ),
        (
            "select 1e'\\'; commit; --'",
            &[(7, &Refused(Refusal::NoEnd))],
        ),
    ];
    for (sql, expected) in rows {
        let flaws = split(sql).1;
        let flaws: Vec<_> = flaws.iter().map(|flaw| (flaw.offset, &flaw.kind)).collect();
        assert_eq!(flaws, *expected, "{sql:?}");
    }
}

/// Nothing recurses and nothing is read twice: a megabyte of anything takes a fraction of a second, unoptimised, where
/// one quadratic step would take minutes. The limit leaves room for a busy machine.
#[test]
fn a_megabyte_of_garbage_is_no_trouble() {
    for piece in [
        "(",
        ")",
        "/*",
        "/*/",
        "*/",
        "$a$$b$",
        "$",
        "$$",
        "$a",
        "'",
        "E'\\'\n'",
        "\"",
        "\\",
        "\\\n",
        "--",
        "case ",
        "1e$",
        "begin atomic ",
        "create function f() begin atomic ",
        "copy t from stdin;\n",
        "E'a'\n",
        "a\u{301}",
        ";",
        "1",
        "\r",
    ] {
        let sql = piece.repeat(1_000_000 / piece.len());
        let started = Instant::now();
        let _ = split(&sql);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(30), "{piece:?} took {took:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_cut_in_order_and_in_bounds(
        parts in prop::collection::vec(prop_oneof![
            any::<String>(), Just(";".into()), Just("'".into()), Just("E'".into()), Just("\\".into()), Just("\n".into()),
            Just("$$".into()), Just("$a$".into()), Just("(".into()), Just(")".into()), Just("/*".into()), Just("*/".into()),
            Just("create function f() begin atomic ".into()), Just(" end".into()), Just("copy t from stdin".into()),
        ], 0..30)
    ) {
        let sql = parts.concat();
        let mut last = 0;
        for piece in split(&sql).0 {
            prop_assert!(last <= piece.range.start && piece.range.start < piece.range.end && piece.range.end <= piece.end);
            prop_assert!(sql.get(piece.range).is_some());
            last = piece.end;
        }
        prop_assert!(last <= sql.len());
    }
}
