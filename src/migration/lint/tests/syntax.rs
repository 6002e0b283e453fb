//! What looks like a syntax error: found, and never held against what PostgreSQL takes.

use super::*;
use crate::migration::split::tests::corpus;

fn syntax(text: &str) -> Vec<String> {
    let found = names(&up(text)).into_iter();
    found
        .filter_map(|found| Some(found.strip_prefix("not-understood ")?.to_owned()))
        .collect()
}

#[test]
fn a_syntax_error_is_a_warning_at_its_place() {
    for (text, place) in [
        ("SELEC 1;", "1:1"),
        ("CREATE TABEL t (a bigint);", "1:1"),
        ("CREATE TABLE t (a bigint b bigint);", "1:26"),
        ("CREATE TABLE t (a bigint,, b bigint);", "1:26"),
        ("ALTER TABLE t ADD COLUMN;", "1:25"),
        ("ALTER TABLE t ADD COLUMN a bigint NOT NUL;", "1:39"),
        ("UPDATE t SET a 1 WHERE b = 2;", "1:16"),
        ("DELETE FROM t WHERE;", "1:20"),
        ("DELETE FROM t WHERE /* a */ -- b\n", "1:20"),
        ("CREATE INDEX CONCURRENTLY i ON t a;", "1:34"),
        ("CREATE TABLE order (a bigint);", "1:14"),
        ("SELECT 1;\nUPDATE t SET;\nSELECT 2;", "2:13"),
        ("BEGIN;\nUPDATE t SET a 1;\nCOMMIT;", "2:16"),
    ] {
        assert_eq!(syntax(text), [place], "{text}");
    }
    let found = up("UPDATE t SET;\nDELETE FROM t WHERE;");
    let statements: Vec<_> = found
        .at_least(Level::Warning)
        .filter(|finding| finding.rule.name == "not-understood")
        .map(|finding| finding.statement)
        .collect();
    assert_eq!(statements, [Some(1), Some(2)]);
}

#[test]
fn what_every_server_takes_is_no_syntax_error() {
    for (what, text) in corpus::SCRIPTS {
        assert_eq!(syntax(text), [""; 0], "{what}");
    }
}

/// The parser is not PostgreSQL's: of the 42,369 statements of PostgreSQL's regression tests that its grammar takes, 17
/// are none to squawk's, these among them. So it is a warning, which a comment waives, and no error.
#[test]
fn a_false_alarm_fails_nothing() {
    for valid in [
        "SET ROLE TO DEFAULT",
        "ALTER USER MAPPING FOR user SERVER s OPTIONS (a 'b')",
        "ALTER STATISTICS IF EXISTS s SET STATISTICS 0",
    ] {
        let found = up(valid);
        assert_eq!(of(&found, Level::Warning), ["not-understood"], "{valid}");
        assert_eq!(of(&found, Level::Error), [""; 0], "{valid}");
        let waived = format!("-- schemaward: allow not-understood because it is valid\n{valid}");
        assert_eq!(of(&up(&waived), Level::Warning), [""; 0], "{valid}");
    }
}

/// What is in a string may be escaped, so that its text does not show how deep it is. It is not parsed.
#[test]
fn strings_are_not_parsed() {
    let deep = "(".repeat(200_000);
    for body in [
        format!("E'--\\n{deep}'"),
        format!("'--''{deep}'"),
        format!("E'/*\\052/{deep}'"),
    ] {
        let text = format!("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS {body};");
        let found = names(&up(&text));
        assert!(
            found.is_empty() || found == ["not-linted"],
            "{:?}",
            &body[..20]
        );
    }
    assert_eq!(syntax("SELECT B'1 2', X'1F'").len(), 1);
    assert_eq!(
        syntax("SELECT B'101', X'1F', U&'d!0061' UESCAPE '!'"),
        [""; 0]
    );
}
