//! G: sets of versions, and the way back.

use std::fmt::Write;
use std::time::Instant;

use schemaward::api::condition::Reason;
use serde_json::json;

use super::scene::{ONE, THREE, TWO, applied, at_rest, database, has};
use super::{Attempt, Case, Content, Expected, content, covered, run, slow};
use crate::harness::Database;

const TWO_DOWN: (&str, &str) = ("002_two_DOWN.sql", "DROP TABLE two;");
const THREE_DOWN: (&str, &str) = ("003_three_DOWN.sql", "DROP TABLE three;");

pub const CASES: &[Case] = &[
    covered(
        "G1c",
        "the UP of an applied version is changed",
        &[
            "tests/it/operator_bad_input/history.rs::a_changed_file_of_an_applied_version_stops_everything",
            "tests/it/cli_bad_input.rs::a_changed_file_of_an_applied_version_stops_all",
        ],
    ),
    run(
        "G2c",
        "only the DOWN of an applied version is changed",
        &[Reason::UpToDate, Reason::ChecksumMismatch, Reason::UpToDate],
        changed_down,
    ),
    covered(
        "G4c",
        "an applied version is taken off the end, without leave to go back",
        &["tests/it/operator_bad_input/history.rs::a_way_back_needs_leave_and_a_down"],
    ),
    covered(
        "G5c",
        "an applied version is taken out of the middle",
        &["tests/it/operator_bad_input/history.rs::a_version_taken_out_of_the_middle_is_missed"],
    ),
    covered(
        "G6c",
        "a version comes too late (letting it in is in no issue)",
        &[
            "tests/it/operator_bad_input/history.rs::a_version_that_comes_too_late_is_not_slipped_in",
        ],
    ),
    covered(
        "G7c",
        "two files have one version",
        &[
            "tests/it/operator_bad_input/scripts.rs::what_cannot_be_a_migration_is_refused_before_connecting",
            "tests/it/operator_bad_input/scripts.rs::one_file_in_two_config_maps_is_a_defect",
        ],
    ),
    content(
        "G8c",
        "versions whose order as text is another one",
        &[Reason::UpToDate],
        &[Content {
            files: &[
                ("10_b_UP.sql", b"ALTER TABLE a RENAME TO b;"),
                ("2_a_UP.sql", b"CREATE TABLE a ();"),
            ],
            applied: "2 10",
            after: ("SELECT to_regclass('b') IS NOT NULL", "t"),
            ..Content::PLAIN
        }],
    ),
    content(
        "G10c",
        "a file whose version is not on the list",
        &[Reason::UpToDate],
        &[Content {
            files: &[
                ("001_one_UP.sql", b"CREATE TABLE one ();"),
                ("002_effect_UP.sql", b"CREATE TABLE effect ();"),
            ],
            spec: &[("/versions", "[{\"version\": \"001\"}]")],
            applied: "001",
            ..Content::PLAIN
        }],
    ),
    run(
        "G11c",
        "two versions back, with leave",
        &[Reason::UpToDate, Reason::UpToDate],
        two_back,
    ),
    run(
        "G12c",
        "a lower target, without leave",
        &[Reason::UpToDate, Reason::DatabaseAhead],
        back_without_leave,
    ),
    run(
        "G14c",
        "a DOWN fails in its second statement",
        &[Reason::UpToDate, Reason::MigrationFailed],
        failing_down,
    ),
    covered(
        "G15c",
        "a DOWN with a statement outside a transaction is interrupted halfway",
        &["tests/it/journal.rs::a_way_back_goes_on_where_it_was_interrupted"],
    ),
    covered(
        "G16c",
        "an UP fails in its third statement",
        &[
            "tests/it/engine.rs::a_failing_script_says_where_and_leaves_nothing",
            "tests/it/operator.rs::a_failed_script_is_not_run_again_by_itself",
        ],
    ),
    run(
        "G17c",
        "the history has versions that the set does not",
        &[Reason::UpToDate, Reason::DatabaseAhead],
        unknown_versions,
    ),
    slow(
        "G18c",
        "10,000 versions",
        &[Reason::UpToDate, Reason::UpToDate],
        ten_thousand,
    ),
    covered(
        "G19c",
        "a script larger than one message",
        &["tests/it/engine/scripts.rs::a_large_script_goes_in_parts_and_stays_one_transaction"],
    ),
    content(
        "G21c",
        "two versions with the same text",
        &[Reason::UpToDate],
        &[Content {
            before: "CREATE TABLE hits (id int); ALTER TABLE hits OWNER TO {user}",
            files: &[
                ("001_hit_UP.sql", b"INSERT INTO hits VALUES (1);"),
                ("002_hit_UP.sql", b"INSERT INTO hits VALUES (1);"),
            ],
            applied: "001 002",
            after: ("SELECT count(*) FROM hits", "2"),
            ..Content::PLAIN
        }],
    ),
    covered(
        "G22c",
        "tables, and no history; and a baseline that says up to where they are",
        &[
            "tests/it/decisions.rs::a_database_older_than_its_history_is_told_the_way_and_a_baseline_takes_it",
            "tests/it/decisions_operator.rs::a_baseline_in_the_resource_is_recorded_once_and_never_run",
        ],
    ),
    covered(
        "G23c",
        "the first user's own history is taken over",
        &[
            "tests/it/engine/history.rs::the_first_users_own_table_is_taken_over_whole",
            "tests/it/cli.rs::the_first_users_own_table_is_taken_over",
        ],
    ),
    run(
        "G24c",
        "a history to be taken over has another checksum",
        &[Reason::ChecksumMismatch],
        other_checksum,
    ),
    content(
        "G25c",
        "another tool did half of a version: its table is there, its row is not",
        &[Reason::MigrationFailed],
        &[Content {
            before: "CREATE TABLE half (id int); ALTER TABLE half OWNER TO {user}",
            files: &[(
                "001_half_UP.sql",
                b"CREATE TABLE effect ();\nCREATE TABLE half (id int);",
            )],
            says: &[
                "relation \"half\" already exists",
                "42P07",
                "line 2, column 1",
            ],
            ..Content::PLAIN
        }],
    ),
    covered(
        "G26c",
        "a resource of another name for the same database",
        &[
            "tests/it/operator_bad_input/history.rs::a_second_resource_for_a_database_is_turned_away",
            "tests/it/decisions_operator.rs::a_history_is_taken_over_by_naming_its_owner",
        ],
    ),
];

/// A database that these files were applied to.
fn applied_to(name: &str, files: &[(&str, &str)], expected: &mut Expected) -> Database<'static> {
    let database = database(name);
    expected.of_attempt(&Attempt::at(&database, files));
    database
}

fn changed_down(expected: &mut Expected) {
    let files = [ONE, TWO, TWO_DOWN];
    let database = applied_to("g2c", &files, expected);
    let changed = (TWO_DOWN.0, "DROP TABLE two CASCADE;");
    let verdict = expected.of_attempt(&Attempt::at(&database, &[ONE, TWO, changed, THREE]));
    assert!(verdict.message.contains("002"), "{}", verdict.message);
    assert_eq!(applied(&database), "001 002");
    // The way back takes the stored text in any case.
    let mut back = Attempt::at(&database, &[ONE]);
    back = back.with("/rollback", json!({"policy": "Allow"}));
    expected.of_attempt(&back);
    assert!(!has(&database, "two"));
}

fn two_back(expected: &mut Expected) {
    let files = [ONE, TWO, TWO_DOWN, THREE, THREE_DOWN];
    let database = applied_to("g11c", &files, expected);
    let back = Attempt::at(&database, &files)
        .with("/rollback", json!({"policy": "Allow"}))
        .with("/targetVersion", json!("001"));
    expected.of_attempt(&back);
    assert_eq!(applied(&database), "001");
    assert!(has(&database, "one") && !has(&database, "two") && !has(&database, "three"));
    assert_eq!(
        database.query_text("SELECT string_agg(version, ' ' ORDER BY id) FROM schemaward.audit WHERE action = 'undo'"),
        "003 002"
    );
    at_rest(&database);
}

fn back_without_leave(expected: &mut Expected) {
    let files = [ONE, TWO, TWO_DOWN];
    let database = applied_to("g12c", &files, expected);
    let lower = Attempt::at(&database, &files).with("/targetVersion", json!("001"));
    let verdict = expected.of_attempt(&lower);
    assert!(verdict.message.contains("002"), "{}", verdict.message);
    assert_eq!(applied(&database), "001 002");
    assert!(has(&database, "two"));
}

fn failing_down(expected: &mut Expected) {
    let down = ("002_two_DOWN.sql", "DROP TABLE two;\nDROP TABLE nowhere;");
    let files = [ONE, TWO, down];
    let database = applied_to("g14c", &files, expected);
    let back = Attempt::at(&database, &files)
        .with("/rollback", json!({"policy": "Allow"}))
        .with("/targetVersion", json!("001"));
    let verdict = expected.of_attempt(&back);
    let message = verdict.message;
    assert!(
        message.contains("line 2, column 1") && message.contains("Nothing of 002 was undone"),
        "{message}"
    );
    assert_eq!(applied(&database), "001 002");
    assert!(has(&database, "two"));
    at_rest(&database);
}

fn unknown_versions(expected: &mut Expected) {
    let database = applied_to("g17c", &[ONE, TWO, THREE], expected);
    let verdict = expected.of_attempt(&Attempt::at(&database, &[ONE, TWO]));
    assert!(verdict.message.contains("003"), "{}", verdict.message);
    assert!(has(&database, "three"));
    assert_eq!(applied(&database), "001 002 003");
}

fn ten_thousand(expected: &mut Expected) {
    let database = database("g18c");
    let mut files = Vec::new();
    for n in 1..=10_000 {
        let mut name = String::new();
        write!(name, "{n:05}_step_UP.sql").expect("a String takes all");
        files.push((name, format!("INSERT INTO hits VALUES ({n});")));
    }
    database.exec("CREATE TABLE hits (n int)");
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let attempt = Attempt::at(&database, &files);
    expected.of_attempt(&attempt);
    let counts = "SELECT count(*), count(DISTINCT n) FROM hits";
    assert_eq!(database.query_text(counts), "10000|10000");
    let began = Instant::now();
    expected.of_attempt(&attempt);
    // This is an unoptimised build; a release takes a fraction of it.
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    assert_eq!(database.query_text(counts), "10000|10000");
}

fn other_checksum(expected: &mut Expected) {
    let database = database("g24c");
    database.exec(
        "CREATE TABLE one (id int);
         CREATE TABLE schema_migrations (version varchar(3) PRIMARY KEY, name varchar(255) NOT NULL,
           applied_at timestamp DEFAULT CURRENT_TIMESTAMP, execution_time_ms integer, checksum varchar(64));
         INSERT INTO schema_migrations (version, name, checksum) VALUES ('001', 'one', repeat('0', 64))",
    );
    let verdict = expected.of_attempt(&Attempt::at(&database, &[ONE, TWO]));
    assert!(verdict.message.contains("001"), "{}", verdict.message);
    assert!(!has(&database, "two") && !has(&database, "schemaward.audit"));
}
