//! The proxy with psql as the program before it.

use std::process::Output;

use crate::harness::postgres;

use super::{Phase, Proxy, Rule, Then, When};

fn psql(rule: Option<Rule>, sql: &str) -> (Output, Proxy) {
    let proxy = Proxy::start(postgres(), rule);
    let database = postgres().database("pgfault");
    let mut psql = database.psql(proxy.port);
    psql.args(["-c", sql]);
    (psql.output().expect("psql starts"), proxy)
}

#[test]
fn what_goes_through_is_unchanged_and_counted() {
    let (output, proxy) = psql(None, "SELECT repeat('x', 100000)");
    assert_eq!(output.stdout.len(), 100_001);
    let record = proxy.record();
    let names: Vec<_> = record.frontend.iter().map(String::as_str).collect();
    let query = "Query SELECT repeat('x', 100000)";
    assert_eq!(names, ["StartupMessage", "SASL", "SASL", query]);
    assert_eq!(record.round_trips, 1);
    assert!(!proxy.has_struck());
}

#[test]
fn a_fault_can_strike_at_a_message_of_the_server() {
    let rule = Rule {
        when: When::backend(b'E', 1),
        phase: Phase::BeforeForward,
        then: Then::Reset,
    };
    let (output, proxy) = psql(Some(rule), "SELECT 1 / 0");
    assert!(proxy.has_struck());
    assert_eq!(proxy.record().errors, ["22012"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("division"), "{said}");
}

#[test]
fn a_fault_can_strike_at_a_query_by_its_text() {
    let rule = Rule {
        when: When::query("pg_sleep"),
        phase: Phase::AfterForward,
        then: Then::TerminateBackend,
    };
    let (output, proxy) = psql(Some(rule), "SELECT pg_sleep(600)");
    assert!(proxy.has_struck());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("administrator command"), "{said}");
}
