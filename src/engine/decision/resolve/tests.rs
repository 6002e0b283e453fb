use super::*;
use crate::migration::begun::{Begun, Entry, EntryState};
use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::history::History;

/// Statement 1 of 002 done, statement 2 in `state`.
fn seen(state: Option<EntryState>) -> Inspection {
    let entry = |number, state| Entry {
        first: number,
        last: number,
        checksum: Checksum::of(format!("{number}").as_bytes()),
        state,
        before: None,
    };
    let begun = state.map(|state| Begun {
        version: Version::parse("002").unwrap(),
        direction: Direction::Up,
        entries: vec![entry(1, EntryState::Done), entry(2, state)],
    });
    crate::engine::decision::tests::seen(History::empty().with_begun(begun), None)
}

#[test]
fn what_is_in_doubt_is_resolved_and_nothing_else() {
    let second = Checksum::of(b"2");
    let (right, other) = (second.short(), Checksum::of(b"1").short());
    for (state, version, checksum, expected) in [
        (Some(EntryState::Started), "002", None, "statement 2"),
        (Some(EntryState::Escaped), "2", None, "statement 2"),
        (
            Some(EntryState::Started),
            "002",
            Some(&right),
            "statement 2",
        ),
        (
            Some(EntryState::Started),
            "002",
            Some(&other),
            "another statement",
        ),
        (Some(EntryState::Started), "003", None, "nothing"),
        (Some(EntryState::Done), "002", None, "nothing"),
        (None, "002", None, "nothing"),
    ] {
        let resolution = Resolution {
            version: Version::parse(version).unwrap(),
            checksum: checksum.cloned(),
            verdict: Verdict::Retry,
        };
        let found = match resolve(&seen(state), &resolution) {
            Ok(Change::Resolve {
                version,
                statements: (2, 2),
                checksum,
                verdict: Verdict::Retry,
                ..
            }) if version.as_str() == "002" && checksum == second => "statement 2",
            Err(Refusal::OtherStatement { present, .. }) if present == second => {
                "another statement"
            }
            Err(Refusal::NotInDoubt(_)) => "nothing",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{state:?} {version} {checksum:?}");
    }
}

#[test]
fn an_annotation_names_its_statement() {
    for (text, expected) in [
        ("002:1dd701f2=applied", Some(Verdict::Applied)),
        (" 002:1DD701F2=retry ", Some(Verdict::Retry)),
        ("002=applied", None),
        ("002:1dd7=applied", None),
        ("002:1dd701f2=yes", None),
        ("002:1dd701f2", None),
        ("", None),
    ] {
        let parsed = Resolution::parse(text).ok();
        assert_eq!(
            parsed.as_ref().map(|found| found.verdict),
            expected,
            "{text}"
        );
        if let Some(found) = parsed {
            assert_eq!(found.checksum.as_deref(), Some("1dd701f2"));
        }
    }
}
