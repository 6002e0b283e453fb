//! The rig's own proof: runners that a person could write in an afternoon, each wrong in one way, and the oracle that
//! catches it. They are scripts for psql; the one that is right passes at the same points.

use std::fmt::Write;
use std::process::Command;

use crate::case::{Judged, judge};
use crate::operator::Talkative;
use crate::oracle::{Oracle, sha256};
use crate::pgfault::{Phase, Rule, Then, When};
use crate::runner::{Program, Runner};
use crate::scenario::{self, Scenario};
use crate::site::{self, Case, Site};
use crate::sweep;

/// Effects and record in one transaction, on the session that holds the lock.
static RIGHT: Program = program(|case, port| psql(case, port, &locked(&script(case, together))));

/// Two transactions: first the effects, then the record.
static RECORDS_LATE: Program = program(|case, port| {
    let each = |up: &str, record: &str| format!("BEGIN;\n{up}COMMIT;\n{record}");
    psql(case, port, &locked(&script(case, each)))
});

/// Two transactions: first the record, then the effects.
static RECORDS_EARLY: Program = program(|case, port| {
    let each = |up: &str, record: &str| format!("{record}BEGIN;\n{up}COMMIT;\n");
    psql(case, port, &locked(&script(case, each)))
});

/// No transaction at all, and everything again when it did not come to the record.
static RETRIES_BLINDLY: Program = program(|case, port| {
    let each = |up: &str, record: &str| format!("{up}{record}");
    psql(case, port, &locked(&script(case, each)))
});

/// Loses the checksums.
static RECORDS_NO_CHECKSUM: Program = program(|case, port| {
    let forgets = "UPDATE schema_migrations SET checksum = '' WHERE checksum <> '';\n";
    psql(case, port, &locked(&(script(case, together) + forgets)))
});

/// Touches its table when there is nothing to do.
static WRITES_AT_REST: Program = program(|case, port| {
    let touches = "UPDATE schema_migrations SET checksum = checksum;\n";
    psql(case, port, &locked(&(script(case, together) + touches)))
});

/// Says how it logs in.
static PRINTS_ITS_PASSWORD: Program = program(|case, port| {
    let says = "\\getenv password PGPASSWORD\n\\echo connecting with :password\n";
    psql(case, port, &locked(&(script(case, together) + says)))
});

/// Tells of a version whose commit the server has not flushed.
static TELLS_EARLY: Program = program(|case, port| {
    let tells = |up: &str, record: &str| {
        let version = record.split('\'').nth(1).unwrap_or_default();
        format!("BEGIN;\n{up}{record}COMMIT;\n\\echo '{version}  applied'\n")
    };
    let script = script(case, tells);
    psql(
        case,
        port,
        &locked(&format!("SET synchronous_commit TO off;\n{script}")),
    )
});

/// Two psqls that die with the shell, as two connections of one program would.
const LOCK_AND_RUN: &str = r#"
coproc { exec setpriv --pdeathsig KILL "$0" -XqAt -f -; }
echo "SELECT 1 FROM pg_advisory_lock(1);" >&"${COPROC[1]}"
read -ru "${COPROC[0]}"
setpriv --pdeathsig KILL "$0" -XqAt -v ON_ERROR_STOP=1 -f run.sql
"#;

/// The lock is held by a second connection, so that it says nothing about the first.
static LOCKS_ELSEWHERE: Program = program(|case, port| {
    let psql = psql(case, port, &script(case, together));
    let mut bash = Command::new("bash");
    bash.args(["-c", LOCK_AND_RUN])
        .arg(psql.get_program())
        .current_dir(case.folder.path());
    for (name, value) in psql.get_envs() {
        bash.env(name, value.unwrap_or_default());
    }
    bash.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    bash
});

const fn program(command: fn(&Case<'_>, u16) -> Command) -> Program {
    Program {
        name: "psql",
        command,
        retry_code: 2, // what psql says when it lost the connection
    }
}

fn psql(case: &Case<'_>, port: u16, script: &str) -> Command {
    let path = case.folder.path().join("run.sql");
    std::fs::write(&path, script).expect("a folder of the test");
    let mut psql = case.database.psql(port);
    psql.arg("-f").arg(path).env("PGAPPNAME", "schemaward/psql");
    psql
}

fn together(up: &str, record: &str) -> String {
    format!("BEGIN;\n{up}{record}COMMIT;\n")
}

fn locked(script: &str) -> String {
    format!("SELECT 1 FROM pg_advisory_lock(1);\n{script}")
}

/// Every version that has no row yet, as `each` puts UP and its record together.
fn script(case: &Case<'_>, each: impl Fn(&str, &str) -> String) -> String {
    let mut script =
        "CREATE TABLE IF NOT EXISTS schema_migrations (version text PRIMARY KEY, checksum text);\n"
            .to_owned();
    for version in &case.scenario.versions {
        let number = &version.number;
        let checksum = sha256(&version.up);
        let record = format!("INSERT INTO schema_migrations VALUES ('{number}', '{checksum}');\n");
        write!(
            script,
            "SELECT NOT EXISTS (SELECT FROM schema_migrations WHERE version = '{number}') AS pending \\gset\n\
             \\if :pending\n{}\\endif\n",
            each(&version.up, &record)
        )
        .expect("a String takes all");
    }
    script
}

/// Kills the program at the first Query with this text.
fn kill_at(phase: Phase, text: &str) -> Rule {
    Rule {
        when: When::query(text),
        phase,
        then: Then::KillRunner,
    }
}

fn run(program: &dyn Runner, scenario: &Scenario, rule: Option<Rule>) -> Judged {
    run_on(site::shared(), program, scenario, rule)
}

fn run_on(site: &Site, program: &dyn Runner, scenario: &Scenario, rule: Option<Rule>) -> Judged {
    let judged = judge(site, program, scenario, rule);
    for complaint in &judged.complaints {
        println!("defects: {complaint}");
    }
    judged
}

#[track_caller]
fn caught(judged: &Judged, oracles: &[Oracle]) {
    for oracle in oracles {
        let complained = judged
            .complaints
            .iter()
            .any(|complaint| complaint.oracle == *oracle);
        assert!(complained, "{oracle:?} did not complain: {judged:#?}");
    }
}

#[test]
fn a_runner_that_is_right_passes() {
    for rule in [
        None,
        Some(kill_at(
            Phase::BeforeForward,
            "INSERT INTO schema_migrations",
        )),
        Some(kill_at(Phase::BeforeForward, "COMMIT")),
        Some(kill_at(Phase::AfterReply, "COMMIT")),
        Some(kill_at(Phase::AfterForward, "pg_sleep")),
    ] {
        let judged = run(&RIGHT, &scenario::two_tables(), rule);
        assert!(judged.complaints.is_empty(), "{judged:#?}");
    }
}

#[test]
fn a_record_in_a_second_transaction_is_caught() {
    let rule = kill_at(Phase::BeforeForward, "INSERT INTO schema_migrations");
    let judged = run(&RECORDS_LATE, &scenario::two_tables(), Some(rule));
    caught(&judged, &[Oracle::O3]);
}

#[test]
fn a_record_before_its_effects_is_caught() {
    let rule = kill_at(Phase::BeforeForward, "CREATE TABLE t001");
    let judged = run(&RECORDS_EARLY, &scenario::two_tables(), Some(rule));
    caught(&judged, &[Oracle::O3]);
}

#[test]
fn a_script_that_ends_its_transaction_and_is_recorded_all_the_same_is_caught() {
    let judged = run(&RIGHT, &scenario::escaping(), None);
    caught(&judged, &[Oracle::O3]);
}

#[test]
fn a_statement_outside_a_transaction_that_is_tried_again_blindly_is_caught() {
    let rule = kill_at(Phase::AfterReply, "CREATE INDEX CONCURRENTLY");
    let judged = run(&RETRIES_BLINDLY, &scenario::repeatable(), Some(rule));
    caught(&judged, &[Oracle::O1]);
}

#[test]
fn an_index_that_is_there_but_not_valid_and_taken_for_success_is_caught() {
    let rule = Rule {
        then: Then::TerminateBackend,
        ..kill_at(Phase::AfterForward, "CREATE INDEX CONCURRENTLY")
    };
    let judged = run(&RETRIES_BLINDLY, &scenario::repeatable(), Some(rule));
    caught(&judged, &[Oracle::O3, Oracle::O7]);
}

#[test]
fn a_history_without_checksums_is_caught() {
    let judged = run(&RECORDS_NO_CHECKSUM, &scenario::two_tables(), None);
    caught(&judged, &[Oracle::O2]);
}

#[test]
fn a_write_at_rest_is_caught() {
    let judged = run(&WRITES_AT_REST, &scenario::two_tables(), None);
    caught(&judged, &[Oracle::O6]);
}

#[test]
fn a_password_that_is_printed_is_caught() {
    let judged = run(&PRINTS_ITS_PASSWORD, &scenario::two_tables(), None);
    caught(&judged, &[Oracle::O5]);
}

#[test]
fn a_lock_on_another_connection_is_caught() {
    let rule = kill_at(Phase::AfterForward, "pg_sleep(1.5)");
    let judged = run(&LOCKS_ELSEWHERE, &scenario::slow(), Some(rule));
    caught(&judged, &[Oracle::O4]);
}

#[test]
fn a_version_that_is_told_of_before_it_is_on_the_disk_is_caught() {
    let site = sweep::own_site();
    let rule = || Rule {
        then: Then::RestartServer,
        ..kill_at(Phase::BeforeForward, "CREATE TABLE t002")
    };
    let judged = run_on(&site, &TELLS_EARLY, &scenario::two_tables(), Some(rule()));
    caught(&judged, &[Oracle::O9]);
    let judged = run_on(&site, &RIGHT, &scenario::two_tables(), Some(rule()));
    assert!(judged.complaints.is_empty(), "{judged:#?}");
}

#[test]
fn a_message_beyond_its_limit_is_caught() {
    let judged = run(&Talkative, &scenario::two_tables(), None);
    caught(&judged, &[Oracle::O8]);
}
