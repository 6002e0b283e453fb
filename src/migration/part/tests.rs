use super::*;
use crate::migration::begun::{Entry, EntryState};
use crate::migration::file_name::Direction;
use crate::migration::version::Version;

fn parse(sql: &str) -> Script {
    Script::parse(sql.as_bytes(), "schema_migrations")
        .unwrap_or_else(|defects| panic!("{sql:?}: {defects:?}"))
}

/// The parts as the numbers of their statements, one outside of a transaction marked, and then what runs with the
/// record: `1-2 | 3! | 4`.
fn shape(parts: &Parts, script: &Script) -> String {
    let number = |place: usize| script.statements()[place].number;
    let mut words: Vec<String> = parts
        .parts
        .iter()
        .map(|part| {
            let mark = if part.outside.is_some() { "!" } else { "" };
            if part.first == part.last {
                format!("{}{mark}", part.first)
            } else {
                format!("{}-{}{mark}", part.first, part.last)
            }
        })
        .collect();
    let rest = parts.rest.statements.clone().map(number);
    let own = parts
        .rest
        .own_records
        .iter()
        .map(|place| format!("own {}", number(*place)));
    let rest: Vec<String> = rest.map(|number| number.to_string()).chain(own).collect();
    words.push(rest.join(" "));
    words.join(" | ")
}

/// A version whose statements up to `last` are done, one entry each part of `script`.
fn done(script: &Script, parts: &[(usize, usize)]) -> Begun {
    let place = |number| {
        let statements = script.statements();
        statements
            .iter()
            .position(|statement| statement.number == number)
            .expect("it is there")
    };
    let entries = parts
        .iter()
        .map(|(first, last)| Entry {
            first: *first,
            last: *last,
            checksum: script.checksum_of(place(*first)..place(*last) + 1),
            state: EntryState::Done,
            before: None,
        })
        .collect();
    Begun {
        version: Version::parse("1").expect("digits"),
        direction: Direction::Up,
        entries,
    }
}

#[test]
fn consecutive_transactional_statements_are_one_part() {
    for (sql, expected) in [
        ("vacuum", "1! | "),
        ("create table a (); vacuum; insert into a", "1 | 2! | 3"),
        (
            "select 1; select 2; vacuum; vacuum a; select 5; select 6",
            "1-2 | 3! | 4! | 5 6",
        ),
        // Settings alone are no part; between two statements they belong to theirs, at the end to the record's.
        ("set a = 1; vacuum; reset a", "2! | 3"),
        ("set a = 1; select 2; set b = 1; vacuum", "2 | 4! | "),
        (
            "select 1; set a = 1; select 3; set b = 1; vacuum; select 6",
            "1-3 | 5! | 6",
        ),
        ("set local a = 1; vacuum", "1 | 2! | "),
        // The file's own record waits for the record, and parts what stands around it.
        (
            "insert into schema_migrations values (1); vacuum",
            "2! | own 1",
        ),
        (
            "select 1; insert into schema_migrations values (1); select 3; vacuum",
            "1 | 3 | 4! | own 2",
        ),
        ("vacuum; insert into schema_migrations values (1)", "1! | 2"),
    ] {
        let script = parse(sql);
        assert!(script.has_parts(), "{sql}");
        assert_eq!(shape(&script.parts(None), &script), expected, "{sql}");
    }
    assert!(!parse("set a = 1; select 2").has_parts());
}

#[test]
fn what_is_done_is_not_run_again() {
    let sql = "insert into schema_migrations values (1); select 2; select 3; vacuum; select 5";
    let script = parse(sql);
    for (entries, expected) in [
        (vec![], "2-3 | 4! | 5 own 1"),
        (vec![(2, 3)], "4! | 5 own 1"),
        (vec![(2, 3), (4, 4)], "5 own 1"),
        (vec![(2, 3), (4, 4), (5, 5)], "own 1"),
    ] {
        let begun = done(&script, &entries);
        assert_eq!(shape(&script.parts(Some(&begun)), &script), expected);
    }
    // A later statement was corrected: the parts are cut anew behind what is done.
    let script = parse("select 1; select 2; select 3; vacuum");
    let begun = done(&script, &[(1, 2)]);
    assert_eq!(shape(&script.parts(Some(&begun)), &script), "3 | 4! | ");
}

#[test]
fn settings_are_said_again_before_each_later_part() {
    let script = parse(
        "set a = 1; vacuum; reset b; set local c = 1; set constraints all deferred; \
         set transaction read only; set session d = 1; set role r; vacuum",
    );
    let settings = |place| -> Vec<&str> {
        let settings = script.settings_before(place);
        settings
            .iter()
            .map(|statement| script.text_of(statement))
            .collect()
    };
    assert_eq!(settings(1), ["set a = 1"]);
    assert_eq!(
        settings(8),
        ["set a = 1", "reset b", "set session d = 1", "set role r"]
    );
}

#[test]
fn comments_do_not_count_and_words_do() {
    let one = parse("-- why\nselect 1;\n select 2; vacuum");
    let same = parse("select 1 ; /* because */ select 2 ;vacuum");
    let other = parse("select 1; select 3; vacuum");
    assert_eq!(one.checksum_of(0..2), same.checksum_of(0..2));
    assert_ne!(one.checksum_of(0..2), other.checksum_of(0..2));
    assert_eq!(one.checksum_of(0..1), Checksum::of(b"select 1"));
}
