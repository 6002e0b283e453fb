use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::migration::statement::Refusal;

fn parse(sql: &str) -> Script {
    Script::parse(sql.as_bytes(), "schema_migrations")
        .unwrap_or_else(|defects| panic!("{sql:?}: {defects:?}"))
}

fn defects(bytes: &[u8]) -> Vec<String> {
    let defects = Script::parse(bytes, "schema_migrations").expect_err("defects");
    defects.iter().map(ToString::to_string).collect()
}

const FIRST_USERS: &str = "-- 002\nBEGIN;\n\nCREATE TABLE t (a int);\nINSERT INTO schema_migrations (version, name)\n\
    VALUES ('002', 't') ON CONFLICT (version) DO NOTHING;\n\nCOMMIT;\n-- end";

#[test]
fn folds_the_files_own_transaction() {
    let script = parse(FIRST_USERS);
    let numbers: Vec<(usize, usize, bool)> = script
        .statements()
        .iter()
        .map(|s| (s.number, s.position.line, s.is_self_record))
        .collect();
    assert_eq!(numbers, [(2, 4, false), (3, 5, true)]);
    assert_eq!(script.statement_at(2), script.statements().first());
    assert_eq!(
        (script.statement_at(1), script.statement_at(4)),
        (None, None)
    );
    assert!(!script.has_parts());

    let chunks = script.chunks(usize::MAX);
    assert_eq!(chunks.len(), 1);
    assert_eq!(
        chunks[0].text,
        FIRST_USERS
            .replace("BEGIN", "     ")
            .replace("COMMIT", "      ")
    );
    assert_eq!(script.text(), FIRST_USERS);
}

#[test]
fn blanks_a_wrapper_character_by_character() {
    for (wrapper, blank) in [
        (
            "begin work; select 1; end transaction",
            "          ; select 1;                ",
        ),
        (
            "START /* é; */ TRANSACTION;select 1;commit;",
            "                          ;select 1;      ;",
        ),
    ] {
        let script = parse(wrapper);
        let chunks = script.chunks(usize::MAX);
        assert_eq!(chunks[0].text, blank);
        assert_eq!(chunks[0].text.chars().count(), wrapper.chars().count());
    }
}

#[test]
fn names_every_defect_with_its_place() {
    for (sql, expected) in [
        ("", vec!["the file holds no statement"]),
        ("-- nothing\n;", vec!["the file holds no statement"]),
        ("BEGIN; COMMIT;", vec!["the file holds no statement"]),
        (
            "select 1;\n  commit; select 2;",
            vec![
                "line 2, column 3: COMMIT would end the transaction that makes a version all or nothing; only a BEGIN before and a COMMIT after everything else may stay",
            ],
        ),
        (
            "begin; select 1;",
            vec![
                "line 1, column 1: BEGIN opens a transaction that no COMMIT at the end of the file closes; add COMMIT or remove it",
            ],
        ),
        (
            "select 1; end",
            vec![
                "line 1, column 11: END closes a transaction that no BEGIN at the start of the file opens; add BEGIN or remove it",
            ],
        ),
        (
            "begin isolation level serializable; select 1; commit;",
            vec![
                "line 1, column 1: BEGIN ISOLATION LEVEL SERIALIZABLE has options that cannot be kept, because every version runs in a transaction of Schemaward's; remove them",
            ],
        ),
        (
            "\\i x\nselect 'é', (",
            vec![
                "line 1, column 1: a backslash starts a psql meta-command, which only psql can run; write it as SQL",
                "line 2, column 13: a parenthesis starts here and is never closed",
            ],
        ),
        // The COMMIT that the open quote hides is not missing.
        (
            "begin; select 'a; commit;",
            vec!["line 1, column 15: a string starts here and is never closed"],
        ),
        (
            "begin; vacuum; commit",
            vec![
                "line 1, column 8: VACUUM cannot run in a transaction; remove the file's BEGIN and COMMIT",
            ],
        ),
    ] {
        assert_eq!(defects(sql.as_bytes()), expected, "{sql:?}");
    }
}

#[test]
fn names_what_is_no_text() {
    assert_eq!(
        defects(b"select 1;\n\0"),
        [
            "line 2, column 1: byte 10 is NUL, where PostgreSQL would silently stop reading; remove it"
        ]
    );
    assert_eq!(
        defects(b"select '\xe9';"),
        ["line 1, column 9: byte 8 is not UTF-8; save the file as UTF-8"]
    );
    // UTF-16 with a byte order mark has NULs too, but those are not what a person should look for.
    assert_eq!(
        defects(b"\xff\xfes\0e\0"),
        ["line 1, column 1: byte 0 is not UTF-8; save the file as UTF-8"]
    );
}

/// Each row: a script, and the (number, kind) of its transaction control that cannot stay.
#[test]
fn judges_transaction_control() {
    use TransactionProblem::{Inside, NoBegin, NoCommit, Options};
    let rows: &[(&str, &[(&str, TransactionProblem)])] = &[
        ("begin; select 1; commit", &[]),
        ("start transaction; select 1; end work;", &[]),
        ("savepoint s; select 1; rollback to s; release s", &[]),
        ("begin; select 1; commit; select 2", &[("COMMIT", Inside)]),
        ("select 0; begin; select 1; commit", &[("BEGIN", Inside)]),
        (
            "begin; select 1; commit; begin; select 2; commit",
            &[("COMMIT", Inside), ("BEGIN", Inside)],
        ),
        (
            "begin; select 1; rollback",
            &[("BEGIN", NoCommit), ("ROLLBACK", Inside)],
        ),
        (
            "begin; select 1; commit and chain",
            &[("COMMIT AND CHAIN", Options)],
        ),
        (
            "begin; select 1; commit prepared 'x'",
            &[("BEGIN", NoCommit), ("COMMIT PREPARED", Inside)],
        ),
        (
            "begin read only; select 1; commit",
            &[("BEGIN READ ONLY", Options)],
        ),
        (
            "select 1; prepare transaction 'x'",
            &[("PREPARE TRANSACTION", Inside)],
        ),
        ("abort; select 1", &[("ABORT", Inside)]),
        (
            "commit; select 1; begin",
            &[("COMMIT", Inside), ("BEGIN", Inside)],
        ),
        ("commit", &[("COMMIT", NoBegin)]),
        ("begin", &[("BEGIN", NoCommit)]),
    ];
    for (sql, expected) in rows {
        let found = Script::parse(sql.as_bytes(), "t").err().unwrap_or_default();
        let found: Vec<_> = found
            .iter()
            .map(|defect| match &defect.kind {
                ScriptDefectKind::TransactionControl { words, problem } => {
                    (words.as_str(), *problem)
                }
                other => panic!("{sql:?}: {other:?}"),
            })
            .collect();
        assert_eq!(found, *expected, "{sql:?}");
    }
}

#[test]
fn some_of_its_statements_go_as_a_chunk_that_still_counts_from_the_start() {
    let script = parse("select 'é';\n-- why\nselect 2;\nselect 3; -- end");
    let texts = |places, bytes| -> Vec<(String, usize, usize)> {
        let chunks = script.chunks_of(places, bytes);
        let chunks = chunks.into_iter();
        chunks
            .map(|chunk| {
                (
                    chunk.text.into_owned(),
                    chunk.start_char,
                    chunk.first_statement,
                )
            })
            .collect()
    };
    assert_eq!(
        texts(1..2, usize::MAX),
        [("\n-- why\nselect 2;".to_owned(), 11, 1)]
    );
    assert_eq!(
        texts(1..3, 1),
        [
            ("\n-- why\nselect 2;".to_owned(), 11, 1),
            ("\nselect 3; -- end".to_owned(), 28, 2)
        ]
    );
    assert_eq!(texts(3..3, usize::MAX), []);
}

#[test]
fn reports_flaws_of_every_kind_at_once() {
    let found = Script::parse(
        b"copy t from stdin;\n\\.\ncommit; set client_encoding = latin1; \"",
        "t",
    )
    .unwrap_err();
    let kinds: Vec<_> = found.into_iter().map(|defect| defect.kind).collect();
    assert_eq!(
        kinds,
        [
            ScriptDefectKind::Refused(Refusal::CopyFromStdin),
            ScriptDefectKind::TransactionControl {
                words: "COMMIT".into(),
                problem: TransactionProblem::Inside
            },
            ScriptDefectKind::Refused(Refusal::ReaderSetting),
            ScriptDefectKind::Unterminated(Unterminated::Identifier),
        ]
    );
}

#[test]
fn a_byte_order_mark_is_not_executed() {
    let script = parse("\u{feff}select 1");
    assert_eq!(script.text(), "select 1");
    assert_eq!(
        script.statements()[0].position,
        Position { line: 1, column: 1 }
    );
}

#[test]
fn counts_lines_and_columns_in_characters() {
    // LF, CR LF and a lone CR; é and 𝄞 are one character each.
    let script = parse("a\né b\r\n𝄞 c\rd;\n");
    for (offset, line, column) in [
        (0, 1, 1),
        (1, 1, 1),
        (2, 1, 2),
        (3, 2, 1),
        (5, 2, 3),
        (8, 3, 1),
        (10, 3, 3),
        (12, 4, 1),
        (13, 4, 2),
        (14, 4, 3),
        (15, 5, 1),
        (999, 5, 1),
    ] {
        assert_eq!(
            script.position_of_char(offset),
            Position { line, column },
            "character {offset}"
        );
    }
    let lines: Vec<_> = (0..=6).map(|line| script.source_line(line)).collect();
    assert_eq!(
        lines,
        [
            None,
            Some("a"),
            Some("é b"),
            Some("𝄞 c"),
            Some("d;"),
            Some(""),
            None
        ]
    );
}

#[test]
fn cuts_chunks_at_statement_ends() {
    let script = parse("begin; select 1; /* é */ select 22; select 333; commit; -- end");
    let cut = |max| -> Vec<(String, usize, usize, usize)> {
        script
            .chunks(max)
            .into_iter()
            .map(|c| {
                (
                    c.text.into_owned(),
                    c.start_char,
                    c.first_statement,
                    c.statement_count,
                )
            })
            .collect()
    };
    assert_eq!(
        cut(20),
        [
            ("     ; select 1;".to_owned(), 0, 0, 1),
            (" /* é */ select 22;".to_owned(), 16, 1, 1),
            (" select 333;       ; -- end".to_owned(), 35, 2, 1),
        ]
    );
    assert_eq!(cut(36).len(), 2);
    assert_eq!(cut(1).len(), 3);
}

#[test]
fn a_thousand_small_files_take_no_time() {
    let started = Instant::now();
    for _ in 0..1000 {
        parse(FIRST_USERS);
    }
    // 100 ms is the aim for an optimised build; this one is not.
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

/// A million statements in one line: neither places nor chunks are quadratic.
#[test]
fn long_lines_are_no_trouble() {
    let started = Instant::now();
    let script = parse(&"select 1;".repeat(100_000));
    assert_eq!(script.statements()[99_999].position.column, 899_992);
    assert_eq!(script.chunks(90).len(), 10_000);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn chunks_are_the_text(
        statements in prop::collection::vec("(select|insert|é|/\\*;\\*/ a|'x;''y'| \\$\\$;\\$\\$ |-- ;\r?\n b){1,4}", 1..12),
        max in 1_usize..200,
        wrapped in any::<bool>(),
    ) {
        let body = statements.join(";\n");
        let sql = if wrapped { format!("BEGIN;\n{body};\nCOMMIT;\n") } else { body };
        let script = parse(&sql);
        let chunks = script.chunks(max);
        let whole: String = chunks.iter().map(|chunk| chunk.text.as_ref()).collect();
        let expected = if wrapped { sql.replacen("BEGIN", "     ", 1).replacen("COMMIT", "      ", 1) } else { sql.clone() };
        prop_assert_eq!(&whole, &expected);
        prop_assert_eq!(chunks.iter().map(|chunk| chunk.statement_count).sum::<usize>(), script.statements().len());
        let mut start = 0;
        for chunk in &chunks {
            prop_assert_eq!(chunk.start_char, start);
            start += chunk.text.chars().count();
            let first = &script.statements()[chunk.first_statement];
            // A place that the server reports in a chunk is the place in the file.
            let before = sql[..first.range.start].chars().count();
            prop_assert!(before >= chunk.start_char);
            prop_assert_eq!(script.position_of_char(before + 1), first.position);
        }
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in any::<Vec<u8>>()) {
        let _ = Script::parse(&bytes, "schema_migrations");
    }
}
