//! Every state of small scenarios in which people have a say: they decide what nobody else can know, approve, and
//! ask for checks. And of statements that leave something to put right.

use schemaward::engine::decision::Verdict;

use super::exhaustive::{alike, doubts, holds, two};
use super::scenario::people::{accept, resolve, takeover};
use super::scenario::{Faults, Part, Scenario, migrated};
use super::texts::{ALONG, BRIEF, CHANGED, DETACH, ESCAPES, INDEX, PLAIN, REINDEX, UNPROVABLE};

/// What may happen where a person is a third one who comes; [`doubts`] takes minutes there.
fn fewer() -> Faults {
    Faults {
        crashes: 1,
        losses: 1,
        ..Faults::default()
    }
}

/// Two that go up to 1, with such a text, and a person who says what is true of it.
pub fn in_doubt(name: &'static str, text: usize, verdict: Verdict) -> Scenario {
    let part = Part::up_to(1).with(1, text);
    Scenario {
        tasks: vec![part.task(), part.decides(resolve(1, verdict))],
        runners: vec![0, 0, 1],
        must_reach: false,
        helps: vec![(0, 1)],
        ..alike(name, &part)
    }
}

/// A crash before an escape is in the journal leaves nothing that anybody could read.
pub fn escaping(verdict: Verdict) -> Scenario {
    Scenario {
        faults: Faults {
            refusals: 1,
            ..Faults::default()
        },
        ..in_doubt(
            "two go up to 1, which leaves its transaction",
            ESCAPES,
            verdict,
        )
    }
}

/// One goes up to 2 with an approval for that, the other one back to 1 without.
pub fn approved() -> Scenario {
    let (up, back) = (Part::up_to(2), Part::up_to(2).back_to(1));
    let database = migrated(&[(1, PLAIN)], true);
    Scenario {
        tasks: vec![up.approved_on(&database), back.task()],
        database,
        approved: vec![(2, PLAIN, false)],
        must_reach: false,
        ..two("one goes up with an approval, one back", &up, &back)
    }
}

/// Two that go up to 2, and check the database before and after.
pub fn checked() -> Scenario {
    let part = Part::up_to(2);
    Scenario {
        tasks: vec![part.checked()],
        faults: Faults {
            crashes: 1,
            losses: 1,
            spoils: 2,
            ..Faults::default()
        },
        must_reach: false,
        ..alike("two go up to 2, and check", &part)
    }
}

/// Two that go up to 3 by versions that share a flush, on a server that crashes.
pub fn flushed_later() -> Scenario {
    let part = Part::up_to(3).with(1, BRIEF).with(2, BRIEF).with(3, BRIEF);
    Scenario {
        faults: Faults {
            outages: 1,
            failures: 1,
            ..fewer()
        },
        ..alike("two go up to 3, and share flushes", &part)
    }
}

/// Two that go up to 3 by versions of which each may be sent along with the first, on a server that crashes.
pub fn sent_along() -> Scenario {
    let part = Part::up_to(3).with(1, ALONG).with(2, ALONG).with(3, ALONG);
    Scenario {
        name: "two go up to 3, sent along",
        ..Scenario {
            tasks: alike("", &part).tasks,
            ..flushed_later()
        }
    }
}

/// Two that go up to 2 in a window that closes. The last version does not run in one transaction, and the first one
/// can be flushed later.
pub fn windowed() -> Scenario {
    let part = Part::up_to(2).with(1, BRIEF).with(2, INDEX);
    Scenario {
        tasks: vec![part.in_a_window()],
        faults: Faults {
            crashes: 1,
            closings: 1,
            ..Faults::default()
        },
        ..alike("two go up to 2, in a window", &part)
    }
}

#[test]
fn a_window_that_closes() {
    holds(&windowed());
}

#[test]
fn a_window_that_closes_on_the_way_back() {
    let (back, up) = (Part::up_to(3).back_to(1), Part::up_to(3));
    let database = migrated(&Part::up_to(3).versions, true);
    holds(&Scenario {
        tasks: vec![back.in_a_window(), up.in_a_window()],
        database,
        faults: Faults {
            crashes: 1,
            closings: 2,
            ..Faults::default()
        },
        ..two("one goes back and one up, in a window", &back, &up)
    });
}

#[test]
fn versions_that_share_a_flush() {
    holds(&flushed_later());
}

#[test]
fn versions_that_are_sent_along() {
    holds(&sent_along());
}

#[test]
fn an_index_that_is_built_anew() {
    let part = Part::up_to(1).with(1, REINDEX);
    holds(&Scenario {
        faults: fewer(),
        ..alike("two go up to 1, which builds an index anew", &part)
    });
}

#[test]
fn a_partition_that_is_detached() {
    let part = Part::up_to(1).with(1, DETACH);
    holds(&Scenario {
        faults: fewer(),
        ..alike("two go up to 1, which detaches a partition", &part)
    });
}

#[test]
fn a_partition_that_is_detached_and_attached() {
    let part = Part::up_to(2).with(2, DETACH);
    holds(&Scenario {
        must_reach: false,
        faults: fewer(),
        ..two(
            "one detaches a partition, one attaches it",
            &part,
            &part.clone().back_to(1),
        )
    });
}

#[test]
fn a_script_that_leaves_its_transaction() {
    for verdict in [Verdict::Applied, Verdict::Retry] {
        let mut scenario = escaping(verdict);
        if verdict == Verdict::Retry {
            // The next attempt leaves it again.
            scenario.helps.clear();
        }
        holds(&scenario);
    }
}

#[test]
fn a_person_who_says_what_is_true_of_a_statement() {
    for verdict in [Verdict::Applied, Verdict::Retry] {
        holds(&Scenario {
            faults: fewer(),
            runners: vec![0, 1],
            ..in_doubt(
                "one goes up to 1, which cannot be proved, and a person helps",
                UNPROVABLE,
                verdict,
            )
        });
    }
}

#[test]
fn a_person_who_says_it_of_what_is_proved_in_the_meantime() {
    let part = Part::up_to(1).with(1, INDEX);
    holds(&Scenario {
        tasks: vec![part.task(), part.decides(resolve(1, Verdict::Retry))],
        runners: vec![0, 1],
        ..alike(
            "one makes an index, and a person says that it is not there",
            &part,
        )
    });
}

#[test]
fn a_person_who_accepts_a_changed_file() {
    let (old, new) = (Part::up_to(2), Part::up_to(2).with(1, CHANGED));
    holds(&Scenario {
        tasks: vec![new.task(), new.decides(accept(1)), old.task()],
        runners: vec![0, 1, 2],
        database: migrated(&[(1, PLAIN)], true),
        must_reach: false,
        helps: vec![(0, 1)],
        faults: fewer(),
        ..two(
            "two texts of version 1, and a person accepts one",
            &new,
            &old,
        )
    });
}

#[test]
fn a_person_who_takes_a_history_over() {
    let (one, other) = (Part::up_to(2).owned_by(0), Part::up_to(2).owned_by(2));
    holds(&Scenario {
        tasks: vec![one.task(), other.task(), other.decides(takeover(0))],
        runners: vec![0, 1, 2],
        must_reach: false,
        helps: vec![(1, 2)],
        starts: 1,
        faults: fewer(),
        ..two(
            "two resources want one ledger, and a person decides",
            &one,
            &other,
        )
    });
}

#[test]
fn an_approval() {
    holds(&approved());
}

#[test]
fn an_approval_of_a_way_back() {
    let (back, up) = (Part::up_to(3).back_to(1), Part::up_to(3));
    let database = migrated(&Part::up_to(3).versions, true);
    holds(&Scenario {
        tasks: vec![back.approved_on(&database), up.task()],
        database,
        approved: vec![(3, PLAIN, true), (2, PLAIN, true)],
        must_reach: false,
        ..two("one goes back with an approval, one up", &back, &up)
    });
}

#[test]
fn an_approval_of_another_text() {
    let (part, changed) = (Part::up_to(2), Part::up_to(2).with(2, CHANGED));
    let database = migrated(&[(1, PLAIN)], true);
    let approved = part.approved_on(&database);
    let mut other = changed.approved_on(&database);
    other.review.clone_from(&approved.review);
    holds(&Scenario {
        tasks: vec![approved, other],
        database,
        approved: vec![(2, PLAIN, false)],
        must_reach: false,
        faults: doubts(),
        ..two(
            "one text is approved, another one is there",
            &part,
            &changed,
        )
    });
}

#[test]
fn checks_before_and_after() {
    holds(&checked());
}
