//! D: locks, two runs at once, poolers.

use std::time::Duration;

use axum::http::Method;
use schemaward::api::condition::Reason;

use super::scene::{
    Cluster, ONE, TWO, a_while, applied, at_rest, database, has, has_applied, sleeps,
    waits_for_a_lock,
};
use super::{Attempt, Case, Expected, Why, covered, excluded, run, slow};
use crate::harness::{Database, eventually};
use crate::kfault::{Fault, Rule};
use crate::operator_rig::{LIMIT, Tenant, inline, resource};
use crate::pgfault::{Phase, Proxy, Then, When};

pub const CASES: &[Case] = &[
    // Who holds it is named: tests/it/engine/interrupted.rs::two_runs_never_meet_and_the_holder_is_named.
    run(
        "D1",
        "somebody else holds the migration lock, and lets go while it is asked who that is",
        &[Reason::UpToDate],
        holder_lets_go,
    ),
    covered(
        "D2",
        "an application's transaction keeps ALTER TABLE from its lock",
        &[
            "tests/it/engine/interrupted.rs::a_lock_that_is_not_free_is_tried_again_and_then_given_up",
            "tests/it/operator.rs::a_version_that_waits_for_a_lock_says_for_whose",
            "tests/it/waiting.rs::who_is_idle_in_a_transaction_is_named_on_every_supported_server",
        ],
    ),
    run(
        "D3",
        "an index is built concurrently while a second run waits for the migration lock: no deadlock",
        &[Reason::UpToDate, Reason::UpToDate],
        second_run_beside_an_index,
    ),
    covered(
        "D4",
        "an idle transaction holds up a concurrent index",
        &[
            "tests/it/waiting.rs::how_far_an_index_is_can_be_seen_on_every_supported_server",
            "tests/it/journal/indexes.rs::dropping_and_rebuilding_survive_a_lock_timeout",
        ],
    ),
    covered(
        "D6",
        "two resources, one database",
        &[
            "tests/it/operator_bad_input/history.rs::a_second_resource_for_a_database_is_turned_away",
        ],
    ),
    run(
        "D7",
        "two resources, one database by two names of its host",
        &[Reason::UpToDate, Reason::DatabaseClaimed],
        two_names,
    ),
    excluded(
        "D8",
        "two resources that declare to share a database",
        Why::NotInTheProduct,
        "no issue asks for a field that says so; two histories in one database have a claim each",
    ),
    covered(
        "D9",
        "two operators that both believe to lead",
        &["tests/it/operator_replicas.rs::two_operators_at_once_run_every_version_once"],
    ),
    slow(
        "D10",
        "the leader cannot renew its Lease in the middle of a run",
        &[Reason::UpToDate],
        lost_lease,
    ),
    covered(
        "D11",
        "PgBouncer in transaction mode",
        &[
            "tests/it/pooler.rs::a_pooler_that_refuses_our_settings_is_named_and_nothing_is_written",
            "tests/it/pooler.rs::a_pooler_that_swallows_our_settings_is_noticed_at_the_first_look",
            "tests/it/pooler.rs::a_pooler_declared_as_session_that_is_not_is_caught_before_anything_is_written",
        ],
    ),
    covered(
        "D12",
        "PgBouncer in statement mode",
        &[
            "tests/it/pooler.rs::a_pooler_that_refuses_our_settings_is_named_and_nothing_is_written",
            "tests/it/pooler.rs::a_pooler_declared_as_session_that_is_not_is_caught_before_anything_is_written",
        ],
    ),
    covered(
        "D13",
        "PgBouncer in session mode, stated in the resource",
        &[
            "tests/it/pooler.rs::a_pooler_in_session_mode_works_when_it_is_declared",
            "tests/it/pooler.rs::the_operator_says_so_and_goes_on_when_the_pooler_is_declared",
        ],
    ),
    covered(
        "D14",
        "PgBouncer in session mode, not stated",
        &["tests/it/pooler.rs::a_pooler_that_refuses_our_settings_is_named_and_nothing_is_written"],
    ),
    covered(
        "D15",
        "a pooler changes its mode in the middle of a run",
        &["tests/it/pooler.rs::a_pooler_that_changes_its_mode_in_the_middle_ends_the_run"],
    ),
    covered(
        "D18",
        "the operator is gone and its statement still runs",
        &[
            "tests/it/operator_hung.rs::after_a_kill_the_session_that_is_left_is_told_by_the_next_run",
        ],
    ),
    covered(
        "D19",
        "the lock on a standby is another one than on the primary: B7",
        &["tests/faults/matrix/driver.rs::every_case_comes_to_what_is_expected"],
    ),
    run(
        "D20",
        "two databases of one server: the lock of one does not hold the other",
        &[Reason::UpToDate],
        other_database,
    ),
    run(
        "D21",
        "an application has advisory locks of its own, one of them with our two numbers as one",
        &[Reason::UpToDate],
        the_applications_locks,
    ),
    excluded(
        "D22",
        "people change data while a run is between two versions",
        Why::Decided,
        "nothing is claimed about it: other sessions are not kept out of a database that is being migrated",
    ),
];

fn holder_lets_go(expected: &mut Expected) {
    let database = database("d1");
    let mut holder = database.hold("holder", OUR_LOCK);
    let rule = crate::pgfault::Rule {
        when: When::query("AS connected_seconds"),
        phase: Phase::BeforeForward,
        then: Then::Delay(Duration::from_secs(2)),
    };
    let proxy = Proxy::start(database.server, Some(rule));
    let running = Attempt::at(&database, &[ONE]).through(proxy.port).start();
    eventually(LIMIT, || if proxy.has_struck() { Ok(()) } else { Err(()) });
    holder.kill().expect("it runs");
    holder.wait().expect("our own child");
    expected.of_verdict(running.join().expect("no panic"));
    assert_eq!(applied(&database), "001");
}

fn second_run_beside_an_index(expected: &mut Expected) {
    let database = database("d3");
    database.exec("CREATE TABLE busy (id int)");
    let index = (
        "001_index_UP.sql",
        "CREATE INDEX CONCURRENTLY busy_id ON busy (id);",
    );
    // What the index waits for; while it does, the second run asks for the migration lock again and again.
    let mut writer = database.hold("writer", "BEGIN; INSERT INTO busy VALUES (1);");
    let attempt = Attempt::at(&database, &[index]);
    let attempt = attempt.with("/execution/lockTimeout", "1m".into());
    let first = attempt.start();
    waits_for_a_lock(&database);
    let second = attempt.start();
    std::thread::sleep(Duration::from_secs(2));
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    assert_eq!(
        database.server.admin_exec(waiting),
        "0",
        "nobody waits inside of the server"
    );
    writer.kill().expect("it runs");
    writer.wait().expect("our own child");
    for run in [first, second] {
        expected.of_verdict(run.join().expect("no panic"));
    }
    assert_eq!(
        database.query_text(
            "SELECT count(*) FROM pg_index WHERE indrelid = 'busy'::regclass AND indisvalid"
        ),
        "1"
    );
    assert_eq!(applied(&database), "001");
}

fn two_names(expected: &mut Expected) {
    let database = database("d7");
    let attempt = Attempt::at(&database, &[ONE]);
    expected.of_attempt(&attempt.clone().host("127.0.0.1").resource("first"));
    let again = Attempt::at(&database, &[ONE, TWO]);
    let verdict = expected.of_attempt(&again.host("localhost").resource("second"));
    assert!(
        verdict.message.contains("faults/first"),
        "{}",
        verdict.message
    );
    assert_eq!(applied(&database), "001");
}

fn lost_lease(expected: &mut Expected) {
    let cluster = Cluster::to_break();
    let namespace = cluster.tenant("d10");
    let database = database("d10");
    namespace.secret(&database);
    let long = (
        "001_slow_UP.sql",
        "CREATE TABLE slow (id int); SELECT pg_sleep(16);",
    );
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[long, TWO])));
    sleeps(&database);
    let lease = |verb| {
        cluster
            .kfault
            .fault(Rule::on(verb, "/leases/"), Fault::Status(500))
    };
    let troubles = [lease(Method::GET), lease(Method::PUT), lease(Method::PATCH)];
    has_applied(&database, "001");
    a_while();
    assert_eq!(
        applied(&database),
        "001",
        "who does not lead begins nothing"
    );
    drop(troubles);
    expected.of_resource(&schema);
    assert_eq!(applied(&database), "001 002");
    at_rest(&database);
}

fn other_database(expected: &mut Expected) {
    let (held, free) = (database("d20"), database("d20"));
    let mut holder = held.hold("holder", OUR_LOCK);
    expected.of_attempt(&Attempt::at(&free, &[ONE]));
    assert!(has(&free, "one"));
    holder.kill().expect("it runs");
    holder.wait().expect("our own child");
}

const OUR_LOCK: &str = "SELECT pg_advisory_lock(1935894647, 1);";

fn the_applications_locks(expected: &mut Expected) {
    let database: Database<'_> = database("d21");
    let its_own =
        "SELECT pg_advisory_lock((1935894647::bigint << 32) | 1), pg_advisory_lock(1935894647),
                   pg_advisory_lock(1, 1935894647);";
    let mut application = database.hold("application", its_own);
    expected.of_attempt(&Attempt::at(&database, &[ONE]));
    assert_eq!(applied(&database), "001");
    application.kill().expect("it runs");
    application.wait().expect("our own child");
}
