use super::super::tests::{seen, task, version};
use super::*;
use crate::engine::decision::Wish;
use crate::engine::task::Actor;
use crate::migration::catalog::{Catalog, SourceFile};
use crate::migration::history::Stored;
use crate::migration::target::Target;

fn catalog(versions: &[&str]) -> Catalog {
    let files = versions.iter().map(|version| SourceFile {
        name: format!("{version}_t_UP.sql"),
        bytes: b"SELECT 1;".to_vec(),
    });
    Catalog::from_files(files.collect(), "schema_migrations", &|_| true).unwrap()
}

fn row(number: &str, text: &[u8]) -> Applied {
    let up = Checksum::of(text);
    Applied {
        version: version(number),
        name: "t".to_owned(),
        applied_at: None,
        execution_time_ms: None,
        checksum: Some(up.to_string()),
        stored: Some(Stored { up, down: None }),
    }
}

/// What follows when the lost row of a version is accepted.
fn next(set: &[&str], rows: &[&str], lost: &[&str], accepted: &str) -> NextRun {
    let rows = rows.iter().map(|number| row(number, b"SELECT 1;"));
    let lost = lost.iter().map(|number| version(number));
    next_of(set, rows.collect(), lost.collect(), accepted)
}

fn next_of(set: &[&str], rows: Vec<Applied>, lost: Vec<Version>, accepted: &str) -> NextRun {
    next_towards(Target::Latest, set, rows, lost, accepted)
}

fn next_towards(
    target: Target,
    set: &[&str],
    rows: Vec<Applied>,
    lost: Vec<Version>,
    accepted: &str,
) -> NextRun {
    let wish = Wish::accept(accepted).unwrap();
    let task = Task {
        target,
        ..task(wish, catalog(set), Actor::CommandLine)
    };
    let seen = seen(History::new(rows, lost).unwrap(), None);
    let accepted = AcceptedText::parse(accepted).unwrap();
    match accept(&task, &seen, &accepted) {
        Ok(Some(Change::Forget { next, .. })) => next,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_comes_after_a_lost_row_is_what_the_planner_says() {
    let all = ["001", "002", "003"];
    let behind = |number| NextRun::IsBehind(version(number));
    for (set, rows, lost, accepted, expected) in [
        (
            &all[..],
            &["001", "002"][..],
            &["003"][..],
            "003",
            NextRun::Applies,
        ),
        (&all, &["002", "003"], &["001"], "001", behind("003")),
        (&all, &["001", "003"], &["002"], "002", behind("003")),
        // The others are accepted, too, or will be.
        (&all, &["001"], &["002", "003"], "002", NextRun::Applies),
        (&all, &[], &["001", "002", "003"], "002", NextRun::Applies),
        (
            &all[1..],
            &["002", "003"],
            &["001"],
            "001",
            NextRun::HasNoFile,
        ),
    ] {
        assert_eq!(
            next(set, rows, lost, accepted),
            expected,
            "{lost:?} of {set:?}"
        );
    }
}

#[test]
fn what_stops_the_next_run_first_promises_nothing() {
    let all = ["001", "002", "003"];
    let changed = |number| row(number, b"SELECT 2;");
    let next = |rows, lost| next_of(&all, rows, vec![version(lost)], lost);
    assert_eq!(next(vec![changed("001")], "002"), NextRun::IsBlocked);
    // In the end it is out of order, whatever is said before.
    assert_eq!(
        next(vec![changed("002"), row("003", b"SELECT 1;")], "001"),
        NextRun::IsBehind(version("003"))
    );
    let gone_from_the_middle = next_of(
        &["001", "003"],
        vec![row("002", b"SELECT 1;")],
        vec![version("001")],
        "001",
    );
    assert_eq!(gone_from_the_middle, NextRun::IsBehind(version("002")));
}

#[test]
fn the_target_says_how_far_the_next_run_goes() {
    let all = ["001", "002", "003"];
    let next = |target, rows: &[&str], lost| {
        let rows = rows.iter().map(|number| row(number, b"SELECT 1;"));
        let target = Target::Version(version(target));
        next_towards(target, &all, rows.collect(), vec![version(lost)], lost)
    };
    for (target, rows, lost, expected) in [
        ("002", &["001"][..], "002", NextRun::Applies),
        (
            "002",
            &["001", "002"],
            "003",
            NextRun::IsAbove(version("002")),
        ),
        (
            "001",
            &["001", "003"],
            "002",
            NextRun::IsAbove(version("001")),
        ),
        // Nobody allows the way back from 003.
        ("002", &["001", "003"], "002", NextRun::IsBlocked),
        (
            "002",
            &["002", "003"],
            "001",
            NextRun::IsBehind(version("002")),
        ),
    ] {
        assert_eq!(next(target, rows, lost), expected, "{target} {lost}");
    }
}
