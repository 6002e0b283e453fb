use std::time::{Duration, Instant};

use proptest::prelude::*;
use squawk_syntax::ast::Stmt;

use super::*;

/// The statements' texts.
fn texts(sql: &str) -> Vec<&str> {
    let (pieces, flaws) = split(sql);
    assert_eq!(flaws, [], "{sql:?}");
    pieces.into_iter().map(|piece| &sql[piece.range]).collect()
}

/// Each row: a script, and the texts of its statements.
const SPLITS: &[(&str, &[&str])] = &[
    ("", &[]),
    (" \r\n\t ", &[]),
    (";;;", &[]),
    ("-- only a comment", &[]),
    ("/* a */ -- b\n;", &[]),
    ("select 1", &["select 1"]),
    ("select 1;", &["select 1"]),
    ("select 1 ; ; select 2", &["select 1", "select 2"]),
    ("select 1\r\n;\r\nselect 2\r\n", &["select 1", "select 2"]),
    (
        "select 1 -- a;b\n, 2; select 3",
        &["select 1 -- a;b\n, 2", "select 3"],
    ),
    ("-- a\rselect 1", &["select 1"]),
    ("select 1; -- trailing", &["select 1"]),
    ("/* a; /* nested; */ still; */ select 1", &["select 1"]),
    ("select 1 /*/ ; */ + 2", &["select 1 /*/ ; */ + 2"]),
    ("select 1 +-- ;\n 2", &["select 1 +-- ;\n 2"]),
    (
        "select 2 */* ; */ 3; select 4",
        &["select 2 */* ; */ 3", "select 4"],
    ),
    // Strings.
    ("select 'a;b'", &["select 'a;b'"]),
    ("select 'a'';b'", &["select 'a'';b'"]),
    (r"select 'a\'; select 'b'", &[r"select 'a\'", "select 'b'"]),
    (
        r"select E'a\';b'; select 1",
        &[r"select E'a\';b'", "select 1"],
    ),
    (r"select e'\\'; select 1", &[r"select e'\\'", "select 1"]),
    (
        r"select E'a''\';b'; select 1",
        &[r"select E'a''\';b'", "select 1"],
    ),
    // A string that goes on in the next line keeps its escapes (scan.l, quotecontinue).
    (
        "select E'a'\n '\\';b'; select 1",
        &["select E'a'\n '\\';b'", "select 1"],
    ),
    (
        "select E'a' -- c\n -- d\n'\\';b'; select 1",
        &["select E'a' -- c\n -- d\n'\\';b'", "select 1"],
    ),
    (
        "select E'a'\n'b'\n'\\'é;'; select 1",
        &["select E'a'\n'b'\n'\\'é;'", "select 1"],
    ),
    (
        "select E'a' '\\'; select 1",
        &["select E'a' '\\'", "select 1"],
    ),
    (
        "select E'a', \n'\\'; select 1",
        &["select E'a', \n'\\'", "select 1"],
    ),
    (
        "select E'a' /**/ \n'\\'; select 1",
        &["select E'a' /**/ \n'\\'", "select 1"],
    ),
    (
        "select 'a'\n'\\'; select 1",
        &["select 'a'\n'\\'", "select 1"],
    ),
    (
        r"select U&'\0061;\'; select 1",
        &[r"select U&'\0061;\'", "select 1"],
    ),
    (
        r"select u&'d!0061;' uescape '!'; select 1",
        &[r"select u&'d!0061;' uescape '!'", "select 1"],
    ),
    (
        "select N'a;', B'1;', X'F;'",
        &["select N'a;', B'1;', X'F;'"],
    ),
    ("select type'a;'", &["select type'a;'"]),
    // Identifiers.
    (
        "select \"a;\"\";b\"; select 1",
        &["select \"a;\"\";b\"", "select 1"],
    ),
    (
        "select U&\"a;b\"; select 1",
        &["select U&\"a;b\"", "select 1"],
    ),
    (
        "select a$b; select $1; select a$$, b$$;",
        &["select a$b", "select $1", "select a$$, b$$"],
    ),
    (
        "create table \u{e9}$$t (a int); select 1",
        &["create table \u{e9}$$t (a int)", "select 1"],
    ),
    // Dollar quotes.
    (
        "do $$ begin; end $$; select 1",
        &["do $$ begin; end $$", "select 1"],
    ),
    (
        "select $a$ ; $$ ; $b$ ; $a$; select 1",
        &["select $a$ ; $$ ; $b$ ; $a$", "select 1"],
    ),
    (
        "select $a$ $$a$; select 1",
        &["select $a$ $$a$", "select 1"],
    ),
    (
        "select $a$ $aa$ ; $a$; select 1",
        &["select $a$ $aa$ ; $a$", "select 1"],
    ),
    (
        "select $A$ ; $a$ ; $A$; select 1",
        &["select $A$ ; $a$ ; $A$", "select 1"],
    ),
    (
        "select $\u{e9}1$ ; $\u{e9}1$; select 1",
        &["select $\u{e9}1$ ; $\u{e9}1$", "select 1"],
    ),
    ("select 1$$;$$; select 2", &["select 1$$;$$", "select 2"]),
    ("select $1$$;$$; select 2", &["select $1$$;$$", "select 2"]),
    ("select $a; select $b", &["select $a", "select $b"]),
    // Parentheses.
    (
        "create rule r as on insert to t do also (insert into a values (1); delete from b;); select 1",
        &[
            "create rule r as on insert to t do also (insert into a values (1); delete from b;)",
            "select 1",
        ],
    ),
    ("select 1); select 2", &["select 1)", "select 2"]),
    // Bodies in SQL.
    (
        "create function f() returns int language sql begin atomic select 1; select case when true then 1 end; end; select 2",
        &[
            "create function f() returns int language sql begin atomic select 1; select case when true then 1 end; end",
            "select 2",
        ],
    ),
    (
        "create or replace procedure p() begin /* ; */ atomic insert into t values (1); end; select 2",
        &[
            "create or replace procedure p() begin /* ; */ atomic insert into t values (1); end",
            "select 2",
        ],
    ),
    (
        "create function f() returns int begin atomic select t.end, 1 as end, 2 as case from t; end; select 2",
        &[
            "create function f() returns int begin atomic select t.end, 1 as end, 2 as case from t; end",
            "select 2",
        ],
    ),
    (
        "create function f() returns int begin atomic select (case when true then (select 1) end); end; select 2",
        &[
            "create function f() returns int begin atomic select (case when true then (select 1) end); end",
            "select 2",
        ],
    ),
    (
        "create function f() returns int return 1; select 2",
        &["create function f() returns int return 1", "select 2"],
    ),
    (
        "create function begin() returns int as 'select 1' language sql; select 2",
        &[
            "create function begin() returns int as 'select 1' language sql",
            "select 2",
        ],
    ),
    (
        "begin; select 1; end; select case when true then 1 end; select 2",
        &[
            "begin",
            "select 1",
            "end",
            "select case when true then 1 end",
            "select 2",
        ],
    ),
    (
        "create table atomic (begin int); select begin from atomic; select 2",
        &[
            "create table atomic (begin int)",
            "select begin from atomic",
            "select 2",
        ],
    ),
    (
        "create view v as select begin atomic from t; select 2",
        &["create view v as select begin atomic from t", "select 2"],
    ),
];

#[test]
fn splits_as_the_server_does() {
    for (sql, expected) in SPLITS {
        assert_eq!(texts(sql), *expected, "{sql:?}");
    }
}

/// The same rows through the parser of the same project: two readings of the grammar, one answer.
#[test]
fn agrees_with_the_syntax_tree() {
    for (sql, expected) in SPLITS {
        let parse = squawk_syntax::SourceFile::parse(sql);
        let statements = parse
            .tree()
            .stmts()
            .filter(|stmt| !matches!(stmt, Stmt::EmptyStmt(_)))
            .count();
        if parse.errors().is_empty() {
            assert_eq!(statements, expected.len(), "{sql:?}");
        }
    }
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

/// Nothing recurses and nothing is read twice: a megabyte of anything takes a fraction of a second, unoptimised.
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
        assert!(took < Duration::from_secs(5), "{piece:?} took {took:?}");
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
