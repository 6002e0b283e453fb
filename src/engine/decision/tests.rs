use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::engine::database::{Inspection, Installation, LedgerLimits, Server};
use crate::engine::event::{Event, Next};
use crate::engine::machine::Machine;
use crate::engine::outcome::{End, Stop};
use crate::engine::server_identity::ServerSeen;
use crate::engine::task::{Actor, Ledger, Mode, Patience, Task};
use crate::migration::catalog::{Catalog, Listed, Pin, SourceFile};
use crate::migration::history::{Applied, History, Stored};
use crate::migration::target::{Policy, Target};

const UP: &[u8] = b"CREATE TABLE t (id int);";
const DOWN: &[u8] = b"DROP TABLE t;";

pub(super) fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// The files of 002.
fn catalog(up: Option<&[u8]>, down: Option<&[u8]>, pin: Option<Pin>) -> Catalog {
    let file = |way: &str, bytes: &[u8]| SourceFile {
        name: format!("002_t_{way}.sql"),
        bytes: bytes.to_vec(),
    };
    let Some(up) = up else {
        return Catalog::empty();
    };
    let mut files = vec![file("UP", up)];
    files.extend(down.map(|down| file("DOWN", down)));
    let listed = Listed {
        version: version("002"),
        name: None,
        pin,
    };
    Catalog::from_files(files, "schema_migrations", &|_| false)
        .and_then(|catalog| catalog.select(&[listed]))
        .unwrap()
}

/// 002 in ledger and record.
#[derive(Clone)]
struct Row {
    ledger: Option<String>,
    stored: Option<Stored>,
}

fn whole() -> Row {
    Row {
        ledger: Some(Checksum::of(UP).to_string()),
        stored: Some(Stored {
            up: Checksum::of(UP),
            down: Some(Checksum::of(DOWN)),
        }),
    }
}

fn history(row: Option<Row>, orphan: bool) -> History {
    let rows = row.map(|row| Applied {
        version: version("002"),
        name: "t".to_owned(),
        applied_at: None,
        execution_time_ms: None,
        checksum: row.ledger,
        stored: row.stored,
    });
    let orphans = orphan.then(|| version("002"));
    History::new(rows.into_iter().collect(), orphans.into_iter().collect()).unwrap()
}

fn owner(namespace: &str, uid: &str) -> Owner {
    Owner {
        cluster: "c".to_owned(),
        namespace: namespace.to_owned(),
        name: "shop".to_owned(),
        uid: uid.to_owned(),
    }
}

pub(super) fn seen(history: History, claim: Option<Owner>) -> Inspection {
    Inspection {
        server_seen: ServerSeen::default(),
        server: Server {
            version: "16".to_owned(),
            database: "d".to_owned(),
            user: "u".to_owned(),
        },
        ledger_exists: true,
        limits: LedgerLimits::default(),
        installation: Some(Installation {
            database_id: Uuid::nil(),
            audit_entries: 1,
            is_outdated: false,
        }),
        claim,
        history,
        missing_grants: Vec::new(),
        privileges: Vec::new(),
    }
}

pub(super) fn task(wish: Wish, catalog: Catalog, actor: Actor) -> Task {
    Task {
        catalog,
        target: Target::Latest,
        policy: Policy::default(),
        mode: Mode::Decide(Box::new(Decision {
            wish,
            by: Some("ana".to_owned()),
        })),
        ledger: Ledger::default(),
        actor,
        patience: Patience::default(),
        allow_privileged_role: false,
        known: None,
        review: None,
        checks: Vec::new(),
        is_scratch: false,
    }
}

/// What the run asks for after its first look, and how it ends when everything works.
fn decide(task: Task, seen: &Inspection) -> (Option<Settlement>, End) {
    let mut machine = Machine::new(task);
    let mut event = Event::Begin;
    let mut written = None;
    loop {
        use crate::engine::database::{Observation, Request};
        event = match machine.step(event) {
            Next::Ask(request) => Event::Observed(Box::new(match *request {
                Request::Inspect => Observation::Inspected(Box::new(seen.clone())),
                Request::TryLock => Observation::Locked,
                Request::Decide(settlement) => {
                    assert!(written.replace(*settlement).is_none(), "written once");
                    Observation::Inspected(Box::new(seen.clone()))
                }
                other => panic!("a decision runs nothing: {other:?}"),
            })),
            Next::Pause(_) => Event::Waited(Duration::from_secs(1)),
            Next::MayRun | Next::Checkpoint(_) => panic!("a decision has no versions"),
            Next::Judge(_) => panic!("a decision judges no scripts"),
            Next::Done(outcome) => return (written, outcome.end().clone()),
        };
    }
}

#[test]
fn a_decision_notes_the_server_that_it_was_carried_out_on() {
    use crate::engine::server_identity::ServerIdentity;
    let server = |timeline| ServerIdentity {
        system_identifier: 7,
        timeline,
    };
    let noted = |audited: Option<ServerIdentity>| {
        let mut seen = seen(history(Some(whole()), false), None);
        seen.server_seen = ServerSeen {
            now: Some(server(2)),
            audited,
        };
        let task = task(
            Wish::AcceptAudit,
            catalog(None, None, None),
            Actor::CommandLine,
        );
        decide(task, &seen).0.expect("it is written").server
    };
    assert_eq!(noted(Some(server(1))), Some(server(2)));
    assert_eq!(noted(Some(server(2))), None, "once");
}

#[test]
fn what_can_be_accepted_is_read() {
    let texts = |text: &str| match Wish::accept(text) {
        Ok(Wish::Accept(texts)) => texts
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
        other => format!("{other:?}"),
    };
    assert_eq!(texts("002"), "002");
    assert_eq!(texts("002:1DD701F2, 003"), "002:1dd701f2 003");
    for wrong in [
        "",
        ",",
        "two",
        "002:",
        "002:1dd701f",
        "002:1dd701g2",
        "-1",
        "002 2",
    ] {
        assert!(Wish::accept(wrong).is_err(), "{wrong:?}");
    }
    for (text, fits) in [
        ("billing/shop", true),
        ("6a3c2c5b-c2ef-4b73-bf13-7e0e3d8dd75c", true),
        ("", false),
        ("billing/", false),
        ("a/b/c", false),
        ("billing shop", false),
    ] {
        assert_eq!(Wish::takeover(text).is_ok(), fits, "{text:?}");
    }
}

/// Name, row, whether the row was lost, the files of the set, what follows.
type Case<'a> = (
    &'a str,
    Option<Row>,
    bool,
    Option<&'a [u8]>,
    Option<&'a [u8]>,
    &'a str,
);

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn every_case_of_accepting_a_version() {
    let other = || Checksum::of(b"other");
    let edited = Row {
        ledger: Some(other().to_string()),
        ..whole()
    };
    let foreign = |ledger: Option<&str>| Row {
        ledger: ledger.map(str::to_owned),
        stored: None,
    };
    let without_down = Row {
        stored: Some(Stored {
            up: Checksum::of(UP),
            down: None,
        }),
        ..whole()
    };
    let hash = Checksum::of(UP).to_string();
    let other_up: &[u8] = b"CREATE TABLE t (id bigint);";
    let other_down: &[u8] = b"DROP TABLE IF EXISTS t;";
    let (up, down) = (Some(UP), Some(DOWN));
    let cases: [Case<'_>; 15] = [
        ("as it is", Some(whole()), false, up, down, "nothing"),
        (
            "changed UP",
            Some(whole()),
            false,
            Some(other_up),
            down,
            "take",
        ),
        (
            "mended DOWN",
            Some(whole()),
            false,
            up,
            Some(other_down),
            "take",
        ),
        (
            "DOWN came later",
            Some(without_down),
            false,
            up,
            down,
            "take",
        ),
        // An absent file never takes a way back away.
        (
            "DOWN file is gone",
            Some(whole()),
            false,
            up,
            None,
            "nothing",
        ),
        (
            "edited ledger",
            Some(edited.clone()),
            false,
            up,
            down,
            "take",
        ),
        (
            "edited ledger, no file",
            Some(edited),
            false,
            None,
            None,
            "put back",
        ),
        ("no file", Some(whole()), false, None, None, "no file"),
        ("not applied", None, false, up, down, "not applied"),
        ("lost row", None, true, up, down, "forget"),
        ("lost row, no file", None, true, None, None, "forget"),
        (
            "another program's",
            Some(foreign(Some(&hash))),
            false,
            up,
            down,
            "nothing",
        ),
        (
            "without a checksum",
            Some(foreign(None)),
            false,
            up,
            down,
            "nothing",
        ),
        (
            "MD5",
            Some(foreign(Some("0cc175b9c0f1b6a8"))),
            false,
            up,
            down,
            "take",
        ),
        (
            "another text",
            Some(foreign(Some(&other().to_string()))),
            false,
            up,
            down,
            "take",
        ),
    ];
    for (name, row, orphan, up, down, expected) in cases {
        let seen = seen(history(row, orphan), None);
        let wish = Wish::accept("2").unwrap();
        let task = task(wish, catalog(up, down, None), Actor::CommandLine);
        let (written, end) = decide(task, &seen);
        let changes = written.map(|settlement| settlement.changes);
        let found = match (changes.as_deref(), &end) {
            (Some([Change::Take { texts, .. }]), End::Decided(_)) => {
                assert_eq!(Some(texts.up_checksum), up.map(Checksum::of), "{name}");
                "take"
            }
            (Some([Change::PutBack { checksum, .. }]), End::Decided(_)) => {
                assert_eq!(*checksum, Checksum::of(UP), "{name}");
                "put back"
            }
            (Some([Change::Forget { .. }]), End::Decided(_)) => "forget",
            (None, End::Decided(changes)) if changes.is_empty() => "nothing",
            (None, End::Stopped(Stop::Refused(refusal))) => match **refusal {
                Refusal::NotApplied(_) => "not applied",
                Refusal::NoFile(_) => "no file",
                _ => "another refusal",
            },
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn an_audit_is_accepted_with_what_was_found_in_it() {
    use crate::migration::history::{AuditDefect, AuditDefectKind};
    let defect = || {
        Some(AuditDefect {
            row: 2,
            kind: AuditDefectKind::Changed,
            others: Vec::new(),
        })
    };
    // Without a defect, too: it may be in rows that a look does not verify.
    for defect in [defect(), None] {
        let seen = seen(History::empty().with_audit_defect(defect.clone()), None);
        let wish = Wish::accept(" audit ").unwrap();
        let (written, end) = decide(task(wish, Catalog::empty(), Actor::CommandLine), &seen);
        assert_eq!(
            written.unwrap().changes,
            [Change::AcceptAudit { defect }],
            "{end:?}"
        );
    }
}

#[test]
fn a_text_that_was_named_is_the_one_that_is_accepted() {
    let mended: &[u8] = b"DROP TABLE IF EXISTS t;";
    let named = |text: &str, catalog: Catalog, orphan: bool| {
        let row = (!orphan).then(whole);
        let seen = seen(history(row, orphan), None);
        let task = task(Wish::accept(text).unwrap(), catalog, Actor::CommandLine);
        let (written, end) = decide(task, &seen);
        (written.is_some(), end)
    };
    let short = Checksum::of(mended).short();
    let (written, _) = named(
        &format!("002:{short}"),
        catalog(Some(UP), Some(mended), None),
        false,
    );
    assert!(written);
    for (catalog, orphan) in [
        (catalog(Some(UP), Some(b"DROP SCHEMA s;"), None), false),
        (catalog(Some(UP), Some(mended), None), true),
    ] {
        let (written, end) = named(&format!("002:{short}"), catalog, orphan);
        assert!(!written);
        let End::Stopped(Stop::Refused(refusal)) = end else {
            panic!("{end:?}");
        };
        assert!(matches!(*refusal, Refusal::OtherText { .. }), "{refusal}");
    }
}

#[test]
fn a_pin_is_not_passed() {
    let pin = Pin {
        up: Checksum::of(UP),
        down: Some(Checksum::of(DOWN)),
    };
    let changed = catalog(Some(UP), Some(b"DROP TABLE IF EXISTS t;"), Some(pin));
    let seen = seen(history(Some(whole()), false), None);
    let task = task(Wish::accept("002").unwrap(), changed, Actor::CommandLine);
    let (written, end) = decide(task, &seen);
    assert_eq!(written, None);
    assert!(
        matches!(&end, End::Stopped(Stop::Refused(refusal)) if matches!(**refusal, Refusal::Pinned(_))),
        "{end:?}"
    );
}

#[test]
fn one_refusal_leaves_all_of_a_decision_undone() {
    let changed = catalog(Some(b"SELECT 1;"), None, None);
    let seen = seen(history(Some(whole()), false), None);
    let wish = Wish::accept("002,003").unwrap();
    let (written, end) = decide(task(wish, changed, Actor::CommandLine), &seen);
    assert_eq!(written, None);
    assert!(matches!(end, End::Stopped(Stop::Refused(_))), "{end:?}");
}

#[test]
fn who_decided_is_recorded_behind_the_actor() {
    let changed = catalog(Some(b"SELECT 1;"), None, None);
    let seen = seen(history(Some(whole()), false), None);
    let accept = || Wish::accept("002").unwrap();
    for (actor, expected) in [
        (Actor::CommandLine, "command line, decided by ana"),
        (
            Actor::Resource(owner("billing", "1")),
            "DatabaseSchema billing/shop, decided by ana",
        ),
    ] {
        let (written, _) = decide(task(accept(), changed.clone(), actor), &seen);
        assert_eq!(written.unwrap().actor, expected);
    }
}

#[test]
fn a_resource_decides_about_its_own_history_alone() {
    let changed = catalog(Some(b"SELECT 1;"), None, None);
    let seen = seen(history(Some(whole()), false), Some(owner("billing", "1")));
    let accept = Wish::accept("002").unwrap();
    let task = task(accept, changed, Actor::Resource(owner("sales", "2")));
    let (written, end) = decide(task, &seen);
    assert_eq!(written, None);
    assert!(matches!(end, End::Stopped(Stop::Claimed(_))), "{end:?}");
}

#[test]
fn every_case_of_taking_over() {
    let billing = || owner("billing", "u1");
    let sales = || Actor::Resource(owner("sales", "u2"));
    for (name, named, claim, actor, expected) in [
        ("by name", "billing/shop", Some(billing()), sales(), "claim"),
        ("by uid", "u1", Some(billing()), sales(), "claim"),
        (
            "from the command line",
            "billing/shop",
            Some(billing()),
            Actor::CommandLine,
            "release",
        ),
        (
            "somebody else's",
            "stock/shop",
            Some(billing()),
            sales(),
            "refused",
        ),
        ("by a uid of old", "u0", Some(billing()), sales(), "refused"),
        ("nobody's", "billing/shop", None, sales(), "refused"),
        (
            "nobody's, command line",
            "billing/shop",
            None,
            Actor::CommandLine,
            "refused",
        ),
        (
            "its own",
            "billing/shop",
            Some(owner("sales", "u1")),
            sales(),
            "nothing",
        ),
    ] {
        let seen = seen(History::empty(), claim);
        let wish = Wish::takeover(named).unwrap();
        let (written, end) = decide(task(wish, Catalog::empty(), actor), &seen);
        let changes = written.map(|settlement| settlement.changes);
        let found = match (changes.as_deref(), &end) {
            (Some([Change::Claim { from, to }]), _) => {
                assert_eq!((from, to), (&billing(), &owner("sales", "u2")), "{name}");
                "claim"
            }
            (Some([Change::Release { .. }]), _) => "release",
            (None, End::Decided(_)) => "nothing",
            (None, End::Stopped(Stop::Refused(_))) => "refused",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_a_decision_needs_is_asked_for_before_it_is_written() {
    let changed = || catalog(Some(b"SELECT 1;"), None, None);
    let accept = || Wish::accept("002").unwrap();
    let mut poor = seen(history(Some(whole()), false), None);
    poor.missing_grants = vec!["GRANT UPDATE ON t TO u;".to_owned()];
    let (written, end) = decide(task(accept(), changed(), Actor::CommandLine), &poor);
    assert_eq!(written, None);
    assert!(matches!(end, End::Stopped(Stop::Database(_))), "{end:?}");

    let mut narrow = seen(history(Some(whole()), false), None);
    narrow.limits.checksum = Some(32);
    let (written, end) = decide(task(accept(), changed(), Actor::CommandLine), &narrow);
    assert_eq!(written, None);
    assert!(matches!(end, End::Stopped(Stop::DoesNotFit(_))), "{end:?}");
}

#[test]
fn what_was_done_or_not_is_said_in_sentences() {
    let [old, new] = [b"old", b"new"].map(|bytes| Checksum::of(bytes));
    let texts = Texts {
        up: (*b"new").into(),
        up_checksum: new,
        down: Some((*b"old").into()),
        down_checksum: Some(old),
    };
    let was = Was {
        ledger: Some(old.to_string()),
        up: Some(old),
        down: Some(old),
    };
    let v = || version("002");
    let forgotten = |next| Change::Forget { version: v(), next }.to_string();
    for (said, expected) in [
        (
            Change::Take {
                version: v(),
                texts,
                was,
            }
            .to_string(),
            "The files of 002 are what was applied: UP 11507a0e (was cba06b57), DOWN cba06b57.",
        ),
        (
            Change::PutBack {
                version: v(),
                checksum: old,
                ledger: None,
            }
            .to_string(),
            "The history table has the checksum of the kept text of 002 again, cba06b57.",
        ),
        (
            forgotten(NextRun::Applies),
            "The record of 002 is gone, as its row in the history table was: 002 counts as not applied, and the next \
             run applies it.",
        ),
        (
            forgotten(NextRun::HasNoFile),
            "The record of 002 is gone, as its row in the history table was: 002 counts as not applied, and the set \
             has no file of it.",
        ),
        (
            forgotten(NextRun::IsBlocked),
            "The record of 002 is gone, as its row in the history table was: 002 counts as not applied. Something else \
             stops the next run first, and its message says what.",
        ),
        (
            forgotten(NextRun::IsAbove(version("001"))),
            "The record of 002 is gone, as its row in the history table was: 002 counts as not applied, and no run \
             applies it while the target is 001.",
        ),
        (
            forgotten(NextRun::IsBehind(version("003"))),
            "The record of 002 is gone, as its row in the history table was: 002 counts as not applied. No run applies \
             it (out of order): 003, which comes later, is applied. If what 002 did is still in the database, put its \
             row back into the history table, and the next run takes it over; otherwise renumber 002 above 003.",
        ),
        (
            Change::Claim {
                from: owner("billing", "1"),
                to: owner("sales", "2"),
            }
            .to_string(),
            "The history belongs to DatabaseSchema sales/shop; it was DatabaseSchema billing/shop's.",
        ),
        (
            Change::Release {
                from: owner("billing", "1"),
            }
            .to_string(),
            "The history belongs to nobody; it was DatabaseSchema billing/shop's. The next resource that manages this \
             database gets it.",
        ),
        (
            Refusal::OtherText {
                version: v(),
                named: "1dd701f2".to_owned(),
            }
            .to_string(),
            "No file of 002 has a checksum that begins with 1dd701f2. Nothing was changed. Look at the file again: it \
             is not the one that was to be accepted.",
        ),
        (
            Refusal::NotTheOwner {
                named: "a/b".to_owned(),
                present: Some(owner("billing", "1")),
            }
            .to_string(),
            "The history belongs to DatabaseSchema billing/shop (uid 1), and a/b was named. Nothing was changed. Name \
             the present owner, if it is to let go.",
        ),
    ] {
        assert_eq!(said, expected);
    }
}
