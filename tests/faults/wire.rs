//! What runs cost on the wire, counted by the proxy.

use std::collections::HashMap;

use crate::pgfault::{Proxy, Record};
use crate::runner::{CLI, How, PLAN, Program, Runner};
use crate::scenario::{self, Scenario};
use crate::site::{self, Case};

/// A run may ask so often after authentication, its versions aside: after a look at a database that has everything,
/// when it has something to do, and in any case.
const AT_REST: usize = 2;
const USUAL: isize = 5;
const MOST: isize = 8;

/// What one run of a program sends for a case.
fn counted(program: &Program, case: &Case<'_>) -> Record {
    let proxy = Proxy::start(case.database.server, None);
    let ended = program.start(case, &proxy).faulted();
    assert_eq!(ended.how, How::Done, "{}", ended.said);
    proxy.record()
}

/// Round trips of a run beside those of its versions.
fn beside_versions(scenario: &Scenario) -> isize {
    let case = site::shared().case(scenario);
    let (run, rest) = (counted(&CLI, &case), counted(&CLI, &case));
    let versions = scenario.executed().len();
    println!(
        "wire: {}, {versions} versions: {} round trips after authentication; with nothing to do: {}",
        scenario.name, run.round_trips, rest.round_trips
    );
    assert!(rest.round_trips <= AT_REST, "{rest:#?}");
    let beside = run.round_trips.cast_signed() - versions.cast_signed();
    assert!(beside <= MOST, "{run:#?}");
    beside
}

#[test]
fn a_version_is_one_round_trip_and_a_run_at_most_eight() {
    let all = scenario::all();
    let beside: HashMap<_, _> = all
        .iter()
        .filter(|scenario| scenario.is_transactional())
        .map(|scenario| (scenario.name, beside_versions(scenario)))
        .collect();
    assert!(beside["plain"] <= USUAL, "{}", beside["plain"]);
    assert_eq!(beside["plain"], beside["five"], "three more versions");
    assert_eq!(
        beside["plain"] - beside["together"],
        2,
        "three in one Query"
    );
    let five_back = beside_versions(&scenario::five_back());
    assert_eq!(beside["way-back"], five_back, "three more ways back");
}

#[test]
fn a_plan_reads_all_texts_of_a_way_back_at_once() {
    let [two, five] = [scenario::way_back(), scenario::five_back()].map(|scenario| {
        let case = site::shared().case(&scenario);
        let plan = counted(&PLAN, &case);
        println!("wire: the plan of {}: {plan:?}", scenario.name);
        assert!(plan.round_trips.cast_signed() <= MOST, "{plan:#?}");
        plan.round_trips
    });
    assert_eq!(two, five, "three more ways back");
}
