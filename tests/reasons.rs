//! The reasons in the documents are the reasons in the code.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests, too, although they do not bear #[test]"
)]

use std::time::Duration;

use schemaward::api::condition::Reason;
use schemaward::controller::policy::{Retry, Shape, policy};

fn document(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).expect("the document is there")
}

/// The code spans of a text.
fn names(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::Ready => "Ready",
        Shape::Reconciling => "Reconciling",
        Shape::AfterTwoMinutes => "2 min",
        Shape::Stalled => "Stalled",
        Shape::Waiting => "Ready False",
        Shape::Unknown => "Ready Unknown",
    }
}

fn retry(retry: Retry) -> &'static str {
    const CAREFUL: Duration = Duration::from_secs(15);
    match retry {
        Retry::Interval => "after `interval`",
        Retry::Poll => "every few seconds, later every minute",
        Retry::Backoff { floor } if floor == CAREFUL => "back-off, at least 15 s",
        Retry::Backoff { .. } => "back-off",
        Retry::OnChange => "on change",
        Retry::OnChangeWithSlowRecheck => "on change, after `interval`",
        Retry::OnChangeWithSlowLook => "on change; after `interval` it is only looked at",
        Retry::Never => "only when a person asks",
    }
}

#[test]
fn the_table_of_reasons_is_what_the_code_does() {
    let page = document("docs/spec/v1alpha1/databaseschema.md");
    let (_, table) = page
        .split_once("| reason | shows as | tried again |\n|---|---|---|\n")
        .expect("the table of reasons");
    // Of other conditions than Ready, said in prose.
    let mut listed = vec![Reason::ProgressingWithRetry, Reason::DecisionRefused];
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        for name in names(cells[0]) {
            let reason = Reason::parse(name).unwrap_or_else(|| panic!("{name} is no reason"));
            let policy = policy(reason);
            assert_eq!(
                (cells[1], cells[2]),
                (shape(policy.shape), retry(policy.retry)),
                "{name}"
            );
            listed.push(reason);
        }
    }
    listed.sort();
    let mut all = Reason::ALL.to_vec();
    all.sort();
    assert_eq!(listed, all, "each reason once");
}

#[test]
fn the_page_for_people_on_call_has_every_reason() {
    let page = document("docs/operations.md");
    let named = names(&page);
    for reason in Reason::ALL {
        assert!(
            *reason == Reason::ProgressingWithRetry || named.contains(&reason.as_str()),
            "{reason} is not in docs/operations.md"
        );
    }
}
