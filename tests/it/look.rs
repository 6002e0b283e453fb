//! What a look reads, whatever goes on beside it and whatever stands in the tables.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::cli::{Ended, Project};
use crate::harness::eventually;

/// A version that is recorded between two of a look's questions would be a record without a row.
#[test]
fn a_look_is_at_one_moment_whatever_is_committed_while_it_asks() {
    let project = Project::new("look_moment");
    project.table("001", "widgets").table("002", "gadgets");
    project.succeed("up");
    let mut other = project.database.hold(
        "other",
        "BEGIN; LOCK TABLE schemaward.script;
         INSERT INTO schema_migrations (version, name, checksum) SELECT '003', 'gizmos', checksum
             FROM schema_migrations WHERE version = '002';
         INSERT INTO schemaward.script (ledger_schema, ledger_table, version, up_checksum, up)
             SELECT ledger_schema, ledger_table, '003', up_checksum, up
             FROM schemaward.script WHERE version = '002';",
    );
    let mut list = project.command("list");
    list.stdout(Stdio::piped()).stderr(Stdio::piped());
    let list = list.spawn().unwrap();
    eventually(Duration::from_secs(20), || {
        let waiting = project.database.query_text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND application_name LIKE 'schemaward/%' AND wait_event_type = 'Lock'",
        );
        (waiting == "1").then_some(()).ok_or(waiting)
    });
    writeln!(other.stdin.as_mut().unwrap(), "COMMIT;").unwrap();
    let listed = Ended::of(&list.wait_with_output().unwrap());
    let _ = other.kill();
    let _ = other.wait();
    assert_eq!(
        (listed.code, listed.stderr.as_str()),
        (Some(0), ""),
        "{listed:#?}"
    );
    assert!(listed.stdout.contains("002"), "{listed:#?}");
    assert!(!listed.stdout.contains("003"), "{listed:#?}");
}

/// Names, times and checksums that another program wrote come as they are.
#[test]
fn a_ledger_of_another_program_may_hold_any_text() {
    let project = Project::new("look_texts");
    let name = "a \"b\" \\ {c, NULL}\t\u{1f418}\n\u{7}'d'";
    let in_sql = name.replace('\'', "''");
    project.database.exec(&format!(
        "CREATE TABLE schema_migrations (version varchar(20), name text, applied_at timestamp,
             execution_time_ms int, checksum varchar(80));
         INSERT INTO schema_migrations VALUES
             ('001', '{in_sql}', '1969-12-31 23:59:59.5', 7, NULL),
             ('002', NULL, 'infinity', NULL, 'NULL'),
             ('003', '', NULL, -1, ''),
             ('004', 'trailing  ', '0044-03-15 12:00:00 BC', 2147483647, E'x\\ny')"
    ));
    let json = project.succeed("list -o json");
    let listed: Value = serde_json::from_str(&json).unwrap();
    let fields = [
        "version",
        "name",
        "appliedAt",
        "executionTimeMs",
        "checksum",
    ];
    let rows = listed["versions"].as_array().unwrap().iter();
    let rows: Vec<_> = rows
        .map(|row| Value::from(fields.map(|field| row[field].clone()).to_vec()))
        .collect();
    let expected = serde_json::json!([
        ["001", name, "1969-12-31T23:59:59.5Z", 7, null],
        ["002", "", null, null, null],
        ["003", "", null, -1, null],
        [
            "004",
            "trailing",
            "-000043-03-15T12:00:00Z",
            2_147_483_647,
            null
        ],
    ]);
    assert_eq!(Value::from(rows), expected, "{json}");
}
