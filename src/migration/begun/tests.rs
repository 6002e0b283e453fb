use super::*;

fn script(sql: &str) -> Script {
    Script::parse(sql.as_bytes(), "schema_migrations")
        .unwrap_or_else(|defects| panic!("{sql:?}: {defects:?}"))
}

/// `select 1; select 2` done, `vacuum` (number 3) in `state`.
fn begun(state: EntryState) -> Begun {
    let script = script("select 1; select 2; vacuum; select 4");
    let entry = |first, last, state| Entry {
        first,
        last,
        checksum: script.checksum_of(first - 1..last),
        state,
        before: None,
    };
    Begun {
        version: Version::parse("1").expect("digits"),
        direction: Direction::Up,
        entries: vec![entry(1, 2, EntryState::Done), entry(3, 3, state)],
    }
}

#[test]
fn a_script_may_change_behind_what_was_begun() {
    for (sql, expected) in [
        ("select 1; select 2; vacuum; select 4", None),
        ("-- why\nselect 1; select 2; vacuum", None),
        ("select 1; select 2; vacuum; select 5; select 6", None),
        ("select 1; select 3; vacuum; select 4", Some(1)),
        ("select 1; select 2; vacuum full", Some(3)),
        ("select 1; select 2", Some(3)),
        ("select 0; select 1; select 2; vacuum", Some(1)),
        ("set a = 1; select 1; select 2; vacuum", Some(1)),
    ] {
        let found = begun(EntryState::Started);
        let found = found.contradiction(&script(sql)).map(|entry| entry.first);
        assert_eq!(found, expected, "{sql}");
    }
}

#[test]
fn nothing_slips_in_between_what_was_begun() {
    for state in [EntryState::Done, EntryState::Started] {
        let mut begun = begun(state);
        begun.entries[1].first = 4;
        begun.entries[1].last = 4;
        let contradiction = |sql| begun.contradiction(&script(sql)).map(|entry| entry.first);
        assert_eq!(contradiction("select 1; select 2; set a = 1; vacuum"), None);
        assert_eq!(
            contradiction("select 1; select 2; select 3; vacuum"),
            Some(4)
        );
    }
}

#[test]
fn says_how_far_it_came() {
    let started = begun(EntryState::Started);
    assert_eq!(started.last_done(), 2);
    assert!(started.covers(1) && started.covers(2) && !started.covers(3));
    assert_eq!(started.started().map(|entry| entry.first), Some(3));
    assert_eq!(started.escaped(), None);
    assert_eq!(begun(EntryState::Done).last_done(), 3);
    let escaped = begun(EntryState::Escaped);
    assert_eq!(escaped.escaped().map(|entry| entry.first), Some(3));
    for state in [EntryState::Started, EntryState::Done, EntryState::Escaped] {
        assert_eq!(EntryState::parse(state.as_str()), Some(state));
    }
    assert_eq!(EntryState::parse("gone"), None);
}

#[test]
fn what_is_done_before_an_escape_is_said_too() {
    assert_eq!(
        begun(EntryState::Escaped).progress(),
        "statements 1 to 2 are done; then it ended the transaction that it ran in, so a part of it may be in the \
         database"
    );
}
