//! A: the operator, or the command line, ends at each step.

use schemaward::api::condition::Reason;

use super::scene::{
    Cluster, ONE, Parts, TWO, at_rest, database, has, has_applied, has_struck, operator,
    status_writes,
};
use super::{Attempt, Case, Expected, covered, run};
use crate::kfault::Fault;
use crate::operator_rig::{Tenant, inline, resource};

const SWEEP: &[&str] = &["tests/faults/sweep.rs::a_fault_at_any_message_breaks_no_promise"];

pub const CASES: &[Case] = &[
    covered("A1", "SIGKILL before each message of a run", SWEEP),
    covered(
        "A2",
        "SIGKILL when the server has a message and did not answer",
        SWEEP,
    ),
    covered("A3", "SIGKILL after each answer", SWEEP),
    covered(
        "A4",
        "the same, for a file with CREATE INDEX CONCURRENTLY",
        &[
            "tests/faults/sweep.rs::a_fault_at_any_message_breaks_no_promise",
            "tests/it/journal/indexes.rs::a_killed_index_build_is_finished_by_the_next_run",
            "tests/it/journal.rs::a_mixed_file_goes_on_where_it_was_interrupted",
        ],
    ),
    covered(
        "A5",
        "the same, for a statement that no catalog can prove",
        &[
            "tests/it/journal.rs::what_nobody_can_tell_is_for_a_person",
            "tests/it/journal_operator.rs::what_is_in_doubt_stops_until_a_person_resolves_it",
        ],
    ),
    run(
        "A6",
        "SIGKILL between the commit in the database and the write of status",
        &[Reason::UpToDate],
        before_status,
    ),
    covered(
        "A8",
        "SIGKILL during the very first run on a database",
        SWEEP,
    ),
    covered("A9", "SIGKILL in the middle of five versions", SWEEP),
    covered("A10", "SIGKILL on the way back", SWEEP),
    covered(
        "A11",
        "SIGTERM in the middle of a version",
        &[
            "tests/it/operator_replicas.rs::a_leader_that_ends_finishes_its_version_and_hands_over_at_once",
        ],
    ),
    covered(
        "A12",
        "SIGTERM, and a version longer than the grace",
        &[
            "tests/it/operator_replicas.rs::a_version_longer_than_the_grace_is_cancelled_and_rolled_back",
        ],
    ),
    covered(
        "A13",
        "the kernel ends it for its memory: to the server that is A1",
        SWEEP,
    ),
    covered(
        "A15",
        "a panic in one reconcile",
        &["src/controller/mod.rs::a_panic_is_contained_and_only_its_place_is_told"],
    ),
    run(
        "A16",
        "what a newer Schemaward wrote is met by an older one",
        &[Reason::UpToDate, Reason::HistoryTooNew],
        newer_history,
    ),
];

fn before_status(expected: &mut Expected) {
    let mut cluster = Cluster::to_break();
    let Parts {
        kfault,
        operator: running,
        namespace,
        database,
        ..
    } = Parts::of(&mut cluster, "a6");
    // Everything that it would say once the versions are there never leaves.
    let held = kfault.fault(status_writes(&namespace), Fault::Hold);
    let manifest = resource("shop", &database, &inline(&[ONE, TWO]));
    let schema = namespace.schema("shop", &manifest);
    has_applied(&database, "001 002");
    has_struck(&held);
    running.kill();
    drop(held);
    at_rest(&database);
    assert_ne!(schema.status()["currentVersion"], "002");

    let written = "SELECT (SELECT string_agg(t.xmin::text, ' ') FROM schema_migrations t), count(*) FROM schemaward.audit";
    let before = database.admin_exec(written);
    *running = operator(kfault);
    let status = expected.of_resource(&schema);
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(database.admin_exec(written), before);
}

fn newer_history(expected: &mut Expected) {
    let database = database("a16");
    expected.of_attempt(&Attempt::at(&database, &[ONE]));
    database.exec("UPDATE schemaward.installation SET format = format + 1");
    let verdict = expected.of_attempt(&Attempt::at(&database, &[ONE, TWO]));
    assert!(verdict.message.contains("newer"), "{}", verdict.message);
    assert!(!has(&database, "two"));
}
