//! Every state of small scenarios: up to three versions, two runners, two crashes, and one of each
//! other fault.
//!
//! Whatever is told apart here is told apart by what it can do to the database. Two orders of events
//! that nobody can tell apart are tried in one order, two runners with the same task are not told
//! apart, and a state is left out from which less can happen than from one that was looked at.

use schemaward::migration::target::Rollback;

use super::scenario::{Faults, Part, Scenario, migrated};
use super::search::{self, Found};
use super::texts::{INDEX, REPEATABLE, UNPROVABLE};

/// What may happen in the scenarios about the order of versions, in both runners together.
const ALL: Faults = Faults {
    crashes: 2,
    losses: 1,
    refusals: 1,
    failures: 1,
    interrupts: 1,
    spoils: 0,
    outages: 0,
    closings: 0,
};

/// What may happen in the others: that which leaves somebody in doubt. [`ALL`] takes minutes there, and
/// is tried with `make model-long`.
pub fn doubts() -> Faults {
    if std::env::var_os("SCHEMAWARD_MODEL_ALL_FAULTS").is_some() {
        return ALL;
    }
    Faults {
        crashes: 2,
        losses: 1,
        ..Faults::default()
    }
}

/// Two runners with a part each, on an empty database.
pub fn two(name: &'static str, one: &Part, other: &Part) -> Scenario {
    Scenario {
        name,
        tasks: vec![one.task(), other.task()],
        runners: vec![0, 1],
        starts: 2,
        database: migrated(&[], false),
        faults: doubts(),
        defect: None,
        must_reach: true,
        every_order: false,
        helps: Vec::new(),
        approved: Vec::new(),
    }
}

/// Two runners with the same part, on an empty database.
pub fn alike(name: &'static str, part: &Part) -> Scenario {
    Scenario {
        tasks: vec![part.task()],
        runners: vec![0, 0],
        ..two(name, part, part)
    }
}

/// Searches, and shows how much there was.
pub fn holds(scenario: &Scenario) -> Found {
    match search::exhaust(scenario) {
        Ok(found) => {
            println!("{}: {found}", scenario.name);
            found
        }
        Err(counterexample) => panic!("{}: {counterexample}", scenario.name),
    }
}

#[test]
fn two_that_go_up() {
    holds(&Scenario {
        faults: ALL,
        ..alike("two go up to 3", &Part::up_to(3))
    });
}

#[test]
fn one_that_goes_up_and_one_that_goes_back() {
    let (up, back) = (Part::up_to(3), Part::up_to(3).back_to(1));
    holds(&Scenario {
        faults: ALL,
        ..two("one goes up to 3, one back to 1", &up, &back)
    });
}

#[test]
fn two_that_go_back() {
    let mut scenario = alike("two go back from 3 to 1", &Part::up_to(3).back_to(1));
    scenario.database = migrated(&Part::up_to(3).versions, true);
    holds(&scenario);
}

#[test]
fn a_commit_that_is_reverted() {
    let (commit, mut reverted) = (Part::up_to(2), Part::up_to(1));
    reverted.rollback = Rollback::Allow;
    holds(&two("one has 2 versions, one only 1", &commit, &reverted));
}

#[test]
fn a_history_that_is_taken_over() {
    let mut scenario = alike("two take over 2 of 3", &Part::up_to(3));
    scenario.database = migrated(&Part::up_to(2).versions, false);
    holds(&scenario);
}

#[test]
fn two_owners() {
    let (one, other) = (Part::up_to(2).owned_by(0), Part::up_to(2).owned_by(2));
    holds(&Scenario {
        must_reach: false,
        ..two("two resources want one ledger", &one, &other)
    });
}

#[test]
fn an_owner_made_anew() {
    let (old, new) = (Part::up_to(1).owned_by(0), Part::up_to(1).owned_by(1));
    holds(&two("a resource, and the same made anew", &old, &new));
}

#[test]
fn a_changed_file() {
    let (one, mut other) = (Part::up_to(2), Part::up_to(2));
    other.versions[1].1 = 1;
    holds(&Scenario {
        must_reach: false,
        ..two("two texts of version 2", &one, &other)
    });
}

#[test]
fn an_index_outside_of_a_transaction() {
    let part = Part::up_to(2).with(1, INDEX);
    holds(&alike("two go up to 2, 1 makes an index", &part));
}

#[test]
fn an_index_that_fails() {
    let part = Part::up_to(1).with(1, INDEX);
    holds(&Scenario {
        faults: Faults {
            losses: 0,
            interrupts: 0,
            ..ALL
        },
        ..alike("two go up to 1, which makes an index", &part)
    });
}

#[test]
fn an_index_that_is_made_and_dropped() {
    let part = Part::up_to(2).with(2, INDEX);
    holds(&Scenario {
        must_reach: false,
        ..two(
            "one makes an index, one drops it",
            &part,
            &part.clone().back_to(1),
        )
    });
}

#[test]
fn a_statement_that_no_catalog_tells_of() {
    let part = Part::up_to(1).with(1, UNPROVABLE);
    holds(&Scenario {
        must_reach: false,
        ..alike("two go up to 1, which cannot be proved", &part)
    });
}

#[test]
fn a_statement_that_is_as_good_twice() {
    let part = Part::up_to(1).with(1, REPEATABLE);
    holds(&Scenario {
        faults: Faults {
            crashes: 2,
            ..Faults::default()
        },
        ..alike("two go up to 1, which may run twice", &part)
    });
}

/// Leaving out orders that lead to the same states leaves out no database.
#[test]
fn every_order_leads_to_the_same() {
    let mut scenario = two(
        "one goes up to 2, one back to 1",
        &Part::up_to(2),
        &Part::up_to(2).back_to(1),
    );
    scenario.faults = Faults {
        crashes: 1,
        ..Faults::default()
    };
    let fewer = holds(&scenario);
    scenario.every_order = true;
    let all = holds(&scenario);
    assert!(fewer.states < all.states);
    assert_eq!(fewer.databases, all.databases);
}
