//! H: what is in the files.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use schemaward::api::condition::Reason;

use super::scene::{
    ONE, TWO, applied, at_rest, database, has, peak_of, signal, sleeps, waits_for_a_lock,
};
use super::{Attempt, Case, Content, Expected, content, covered, run, slow};
use crate::harness::eventually;
use crate::operator_rig::LIMIT;

const ITS_SETTINGS_STAY: &[&str] = &[
    "tests/it/engine/scripts.rs::what_a_script_sets_does_not_reach_the_next_or_the_bookkeeping",
    "tests/it/engine/scripts.rs::a_scripts_own_timeout_does_not_cancel_its_record",
];

const ONE_FILE: (&str, &[u8]) = (ONE.0, ONE.1.as_bytes());

pub const CASES: &[Case] = &[
    content(
        "H1",
        "a byte order mark in front",
        &[Reason::UpToDate],
        &[Content {
            files: &[("001_case_UP.sql", b"\xef\xbb\xbfCREATE TABLE marked ();")],
            applied: "001",
            // The checksum is over the bytes of the file, the mark included.
            after: (
                "SELECT to_regclass('marked') IS NOT NULL
                 AND checksum = encode(sha256('\\xefbbbf' || convert_to('CREATE TABLE marked ();', 'UTF8')), 'hex')
                 FROM schema_migrations",
                "t",
            ),
            ..Content::PLAIN
        }],
    ),
    content(
        "H2",
        "lines that end with CR LF, and with CR alone",
        &[Reason::MigrationFailed],
        &[
            Content {
                files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\r\n\r\n  SELEC 1;\r\n")],
                says: &["line 3, column 3", "42601"],
                ..Content::PLAIN
            },
            Content {
                files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\r\r  SELEC 1;\r")],
                says: &["line 3, column 3", "42601"],
                ..Content::PLAIN
            },
        ],
    ),
    content(
        "H3",
        "a NUL byte, where the server would stop reading",
        &[Reason::InvalidSource],
        &[Content {
            files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\0CREATE TABLE more ();")],
            says: &["byte 23 is NUL", "Nothing was connected to."],
            ..Content::PLAIN
        }],
    ),
    content(
        "H4",
        "bytes that are not UTF-8",
        &[Reason::InvalidSource],
        &[Content {
            files: &[("001_case_UP.sql", b"CREATE TABLE effect (\xe9 int);")],
            says: &["byte 21 is not UTF-8"],
            ..Content::PLAIN
        }],
    ),
    content(
        "H6",
        "commands of psql",
        &[Reason::UnsupportedStatement],
        &[
            Content {
                files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\n\\i other.sql\n")],
                says: &["001_case_UP.sql, line 2, column 1", "psql"],
                ..Content::PLAIN
            },
            Content {
                files: &[("001_case_UP.sql", b"\\connect postgres\nCREATE TABLE effect ();")],
                says: &["line 1, column 1", "psql"],
                ..Content::PLAIN
            },
            Content {
                files: &[("001_case_UP.sql", b"\\! touch effect\n")],
                says: &["line 1, column 1", "psql"],
                ..Content::PLAIN
            },
            Content {
                files: &[("001_case_UP.sql", b"\\copy effect from 'effect.csv'\n")],
                says: &["line 1, column 1", "psql"],
                ..Content::PLAIN
            },
        ],
    ),
    content(
        "H7",
        "COPY FROM STDIN with its data, as pg_dump writes it",
        &[Reason::UnsupportedStatement],
        &[Content {
            files: &[(
                "001_case_UP.sql",
                b"CREATE TABLE effect (id int);\nCOPY effect (id) FROM stdin;\n1\n2\n\\.\n",
            )],
            says: &["line 2, column 1", "COPY FROM STDIN"],
            ..Content::PLAIN
        }],
    ),
    content(
        "H8",
        "one BEGIN and one COMMIT around all of it",
        &[Reason::UpToDate],
        &[Content {
            files: &[("001_case_UP.sql", b"BEGIN;\nCREATE TABLE wrapped ();\nCOMMIT;\n")],
            applied: "001",
            after: ("SELECT to_regclass('wrapped') IS NOT NULL", "t"),
            ..Content::PLAIN
        }],
    ),
    covered(
        "H9",
        "a file that inserts its own row into the history",
        &["tests/it/engine/history.rs::a_script_that_records_itself_ends_up_complete"],
    ),
    content(
        "H10",
        "COMMIT in the middle",
        &[Reason::TransactionControl],
        &[Content {
            files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\nCOMMIT;\nCREATE TABLE b ();")],
            says: &["001_case_UP.sql, line 2, column 1", "Nothing was connected to."],
            ..Content::PLAIN
        }],
    ),
    content(
        "H11",
        "every other way to end a transaction",
        &[Reason::TransactionControl],
        &[
            ends_the_transaction(&[("001_case_UP.sql", b"CREATE TABLE effect ();\nROLLBACK;\nSELECT 1;")]),
            ends_the_transaction(&[("001_case_UP.sql", b"SELECT 1;\nROLLBACK; BEGIN;\nCREATE TABLE effect ();")]),
            ends_the_transaction(&[("001_case_UP.sql", b"CREATE TABLE effect ();\nCOMMIT AND CHAIN;\nSELECT 1;")]),
            ends_the_transaction(&[("001_case_UP.sql", b"CREATE TABLE effect ();\nPREPARE TRANSACTION 'x';\n")]),
            ends_the_transaction(&[("001_case_UP.sql", b"CREATE TABLE effect ();\nEND;\nSELECT 1;")]),
            ends_the_transaction(&[("001_case_UP.sql", b"CREATE TABLE effect ();\nABORT;\nSELECT 1;")]),
            ends_the_transaction(&[("001_case_UP.sql", b"CREATE TABLE effect ();\nSTART TRANSACTION;\nSELECT 1;")]),
        ],
    ),
    covered(
        "H12",
        "savepoints, and a DO block with EXCEPTION",
        &["tests/it/engine/scripts.rs::what_a_transaction_block_allows_a_script_may_do"],
    ),
    content(
        "H13",
        "COMMIT inside of DO and CALL",
        &[Reason::MigrationFailed],
        &[
            Content {
                files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\nDO $$ BEGIN COMMIT; END $$;")],
                says: &["line 2, column 1", "2D000"],
                ..Content::PLAIN
            },
            Content {
                before: "CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'",
                files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\nCALL commits();")],
                says: &["line 2, column 1", "2D000"],
                ..Content::PLAIN
            },
        ],
    ),
    covered("H14", "SET search_path", ITS_SETTINGS_STAY),
    covered("H15", "SET ROLE", ITS_SETTINGS_STAY),
    run(
        "H16",
        "SET SESSION AUTHORIZATION, and a session made read-only for what comes next",
        &[Reason::PermissionDenied, Reason::UpToDate],
        session_of_another,
    ),
    covered("H17", "a setting left behind", ITS_SETTINGS_STAY),
    content(
        "H18",
        "CREATE INDEX CONCURRENTLY in a file that says BEGIN and COMMIT",
        &[Reason::UnsupportedStatement],
        &[Content {
            before: "CREATE TABLE effect (id int); DROP TABLE effect",
            files: &[("001_case_UP.sql", b"BEGIN;\nCREATE INDEX CONCURRENTLY i ON effect (id);\nCOMMIT;")],
            says: &["line 2, column 1", "remove the file's BEGIN and COMMIT"],
            ..Content::PLAIN
        }],
    ),
    covered(
        "H19",
        "a unique index built concurrently over duplicates",
        &[
            "tests/it/journal/indexes.rs::a_violated_unique_index_leaves_no_invalid_one",
        ],
    ),
    covered(
        "H20",
        "IF NOT EXISTS over an invalid index",
        &[
            "tests/it/journal/indexes.rs::an_invalid_index_of_somebody_else_is_no_success",
        ],
    ),
    run(
        "H21",
        "the session of a concurrent build is terminated",
        &[Reason::ConnectionLost, Reason::UpToDate],
        terminated_build,
    ),
    covered(
        "H22",
        "REINDEX and DROP INDEX CONCURRENTLY that time out",
        &[
            "tests/it/journal/indexes.rs::dropping_and_rebuilding_survive_a_lock_timeout",
            "tests/it/journal/indexes.rs::a_killed_reindex_leaves_no_second_index",
        ],
    ),
    covered(
        "H25",
        "a script that ends its session, or the server, every time",
        &[
            "tests/it/operator_bad_input/scripts.rs::a_script_that_ends_its_session_is_run_thrice_and_no_more",
            "tests/status/failed_script.rs::a_script_that_loses_its_connection_thrice_in_a_row_is_poison",
        ],
    ),
    run(
        "H26",
        "a result of 200 MB that nobody reads",
        &[],
        large_result,
    ),
    content(
        "H28",
        "control characters and forged log lines in a message",
        &[Reason::MigrationFailed],
        &[Content {
            files: &[(
                "001_case_UP.sql",
                b"CREATE TABLE effect ();\nDO $$ BEGIN RAISE EXCEPTION E'a\\nb\\x1b[31m{\"level\":\"error\"}\\r\\u202e%', repeat('x', 3000000); END $$;",
            )],
            says: &["P0001", "a b"],
            hides: &["\u{202e}", "\u{1b}"],
            ..Content::PLAIN
        }],
    ),
    content(
        "H29",
        "a statement longer than the resource allows",
        &[Reason::StatementTimeout],
        &[Content {
            files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\nSELECT pg_sleep(600);")],
            spec: &[("/execution/statementTimeout", "\"300ms\"")],
            says: &["line 2, column 1", "57014", "Nothing of 001 was applied"],
            ..Content::PLAIN
        }],
    ),
    covered(
        "H30",
        "a statement that ignores cancelling",
        &[
            "tests/it/operator_hung.rs::a_shutdown_leaves_a_hung_server_in_time_and_the_next_run_says_so",
        ],
    ),
    run(
        "H31",
        "the program is stopped for a while in the middle of a version",
        &[],
        stopped_for_a_while,
    ),
    content(
        "H32",
        "a right that the role lacks",
        &[Reason::PermissionDenied],
        &[Content {
            before: "CREATE TABLE theirs (id int); REVOKE ALL ON theirs FROM PUBLIC",
            files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\nINSERT INTO theirs VALUES (4711);")],
            says: &["permission denied for table theirs", "42501", "line 2, column 1"],
            hides: &["4711"],
            ..Content::PLAIN
        }],
    ),
    covered(
        "H33",
        "a role that may not create in the schema",
        &[
            "tests/it/engine/history.rs::a_missing_right_comes_with_the_grant_to_run",
            "tests/it/operator_bad_input/history.rs::a_role_without_rights_is_told_the_grant_to_run",
        ],
    ),
    covered(
        "H34",
        "a database that is not there",
        &["tests/it/operator_bad_input/server.rs::a_missing_database_is_not_created_but_awaited"],
    ),
    covered(
        "H35",
        "text that is hard to split",
        &[
            "tests/it/statements.rs::servers_split_as_we_do",
            "tests/it/statements.rs::servers_complete_as_many_commands_as_we_count",
            "tests/it/statements.rs::servers_complete_as_many_commands_of_generated_scripts",
        ],
    ),
    covered(
        "H36",
        "a script that writes into the history or into our tables",
        &[
            "tests/it/engine/history.rs::a_script_that_meddles_with_the_history_is_rolled_back",
            "tests/it/decisions.rs::a_script_that_edits_our_tables_is_noticed_at_the_next_look",
        ],
    ),
    content(
        "H37",
        "a script that drops our schema",
        // Nothing was tampered with: it is rolled back, and it is the script that a person has to mend.
        &[Reason::MigrationFailed],
        &[Content {
            files: &[ONE_FILE, ("002_case_UP.sql", b"CREATE TABLE effect ();\nDROP SCHEMA schemaward CASCADE;")],
            applied: "001",
            ..Content::PLAIN
        }],
    ),
    covered(
        "H39",
        "settings of database and role that would stop us",
        &["tests/it/engine/scripts.rs::settings_of_the_database_do_not_reach_a_run"],
    ),
    content(
        "H40",
        "an event trigger that refuses DDL",
        &[Reason::MigrationFailed],
        &[Content {
            before: "CREATE FUNCTION refuses() RETURNS event_trigger LANGUAGE plpgsql AS
                     $$ BEGIN IF current_query() LIKE '%effect%' THEN RAISE EXCEPTION 'not on a Friday'; END IF; END $$;
                     CREATE EVENT TRIGGER refuses ON ddl_command_start EXECUTE FUNCTION refuses()",
            files: &[("001_case_UP.sql", b"SELECT 1;\nCREATE TABLE effect ();")],
            says: &["not on a Friday", "line 2, column 1"],
            ..Content::PLAIN
        }],
    ),
    covered(
        "H41",
        "statements that no transaction takes; refusing some of them is left to the role's rights",
        &["tests/it/statements.rs::servers_refuse_in_a_transaction_what_we_keep_out_of_it"],
    ),
    content(
        "H42",
        "an extension that is not installed",
        &[Reason::MigrationFailed],
        &[Content {
            files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\nCREATE EXTENSION no_such_thing;")],
            says: &["line 2, column 1", "no_such_thing"],
            ..Content::PLAIN
        }],
    ),
    slow(
        "H43",
        "a syntax error at the end of a statement of 40 MB",
        &[Reason::MigrationFailed],
        long_statement,
    ),
    content(
        "H44",
        "a password in a script that fails: kept out of what is said (refusing such a script is in no issue)",
        &[Reason::MigrationFailed],
        &[Content {
            files: &[("001_case_UP.sql", b"CREATE TABLE effect ();\nALTER ROLE no_such_role PASSWORD 's3cr3t-canary';")],
            says: &["line 2, column 1", "no_such_role"],
            hides: &["s3cr3t"],
            ..Content::PLAIN
        }],
    ),
];

const fn ends_the_transaction(files: &'static [(&'static str, &'static [u8])]) -> Content {
    Content {
        files,
        says: &["line 2, column 1", "Nothing was connected to."],
        ..Content::PLAIN
    }
}

fn terminated_build(expected: &mut Expected) {
    let database = database("h21");
    database.exec("CREATE TABLE busy (id int)");
    // What the build waits for.
    let mut writer = database.hold("writer", "BEGIN; INSERT INTO busy VALUES (1);");
    let index = "CREATE INDEX CONCURRENTLY busy_id ON busy (id);";
    let attempt = Attempt::at(&database, &[("001_index_UP.sql", index)]);
    let attempt = attempt.with("/execution/lockTimeout", "1m".into());
    let running = attempt.start();
    waits_for_a_lock(&database);
    database.admin_exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND datname = current_database() AND application_name LIKE 'schemaward/%'",
    );
    expected.of_verdict(running.join().expect("no panic"));
    let indexes =
        "SELECT count(*) FILTER (WHERE indisvalid), count(*) FILTER (WHERE NOT indisvalid)
                   FROM pg_index WHERE indrelid = 'busy'::regclass";
    assert_eq!(database.query_text(indexes), "0|1");
    writer.kill().expect("it runs");
    writer.wait().expect("our own child");
    expected.of_attempt(&attempt);
    assert_eq!(database.query_text(indexes), "1|0");
    assert_eq!(applied(&database), "001");
}

fn session_of_another(expected: &mut Expected) {
    let database = database("h16");
    let other = (
        "001_other_UP.sql",
        "CREATE TABLE effect ();\nSET SESSION AUTHORIZATION postgres;",
    );
    let verdict = expected.of_attempt(&Attempt::at(&database, &[other]));
    assert!(verdict.message.contains("42501"), "{}", verdict.message);
    assert!(!has(&database, "effect"));
    let read_only = (
        "001_read_only_UP.sql",
        "CREATE TABLE one (); SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;",
    );
    expected.of_attempt(&Attempt::at(&database, &[read_only, TWO]));
    assert_eq!(applied(&database), "001 002");
}

/// Runs `schemaward up` on one file; gives the exit code and the most memory that it had, in MiB.
fn up_with_peak(name: &str, sql: &str) -> (Option<i32>, u64) {
    let database = database(name);
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("001_case_UP.sql"), sql).expect("it is writable");
    let mut command = database.schemaward();
    command.arg("up").arg("--dir").arg(folder.path());
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut peak = 0;
    loop {
        peak = peak_of(child.id()).unwrap_or(peak).max(peak);
        if let Some(ended) = child.try_wait().expect("our own child") {
            return (ended.code(), peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn large_result(_: &mut Expected) {
    let (_, small) = up_with_peak("h26", "SELECT 1;");
    let rows = "SELECT repeat('x', 1000) FROM generate_series(1, 200000);";
    let (code, large) = up_with_peak("h26", rows);
    assert_eq!(code, Some(0));
    assert!(large < small + 16, "{large} MiB, and {small} MiB without");
}

fn stopped_for_a_while(_: &mut Expected) {
    let database = database("h31");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sql = "CREATE TABLE one (); SELECT pg_sleep(1);";
    std::fs::write(folder.path().join("001_case_UP.sql"), sql).expect("it is writable");
    let mut command = database.schemaward();
    command.arg("up").arg("--dir").arg(folder.path());
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    sleeps(&database);
    let pid = child.id().to_string();
    signal("STOP", &pid);
    // The server finished long ago; whoever is stopped does not take the answer.
    eventually(LIMIT, || {
        if has(&database, "one") {
            Ok(())
        } else {
            Err(())
        }
    });
    signal("CONT", &pid);
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("it is piped");
    stderr.read_to_string(&mut said).expect("text");
    assert_eq!(
        child.wait().expect("our own child").code(),
        Some(0),
        "{said}"
    );
    assert_eq!(applied(&database), "001");
    at_rest(&database);
}

fn long_statement(expected: &mut Expected) {
    let database = database("h43");
    let mut sql = String::from("CREATE TABLE effect ();\nSELECT\n");
    while sql.len() < 40_000_000 {
        sql.push_str("  'a-value-that-nobody-should-see',\n");
    }
    sql.push_str("  FRM;");
    let line = sql.lines().count();
    let verdict = expected.of_attempt(&Attempt::at(&database, &[ONE, ("002_long_UP.sql", &sql)]));
    let message = verdict.message;
    assert!(message.contains(&format!("line {line}")), "{message}");
    assert!(
        message.len() <= 1024 && !message.contains("nobody-should-see"),
        "{message}"
    );
    assert_eq!(applied(&database), "001");
}
