//! From what a resource, or a file of checks, describes to checks that can be asked. What the CRD says in
//! its schema is said again: a file has no API server before it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Check;
use crate::api::v1alpha1::CheckSpec;
use crate::migration::query::Query;
use crate::migration::version::Version;

const MAX_CHECKS: usize = 100;
const MAX_NAME: usize = 63;
const MAX_SQL: usize = 10_000;
/// Longest value that a check can expect, in characters.
pub const MAX_EQUALS: usize = 1_000;
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(10);

/// The checks that `specs` describe.
///
/// # Errors
/// Everything that is wrong with them, each as `name: field: why`.
pub fn read(specs: &[CheckSpec]) -> Result<Vec<Check>, Vec<String>> {
    let mut defects = Vec::new();
    if !(1..=MAX_CHECKS).contains(&specs.len()) {
        defects.push(format!("must be 1 to {MAX_CHECKS} checks"));
    }
    let mut names = BTreeSet::new();
    let mut checks = Vec::new();
    for spec in specs {
        if !names.insert(&spec.name) {
            defects.push(format!("{}: is there twice", shown_name(&spec.name)));
        }
        match read_one(spec) {
            Ok(check) => checks.push(check),
            Err(why) => defects.push(format!("{}: {why}", shown_name(&spec.name))),
        }
    }
    if defects.is_empty() {
        Ok(checks)
    } else {
        Err(defects)
    }
}

fn read_one(spec: &CheckSpec) -> Result<Check, String> {
    if !is_name(&spec.name) {
        return Err(format!(
            "name: must be 1 to {MAX_NAME} lower-case letters, digits and dashes"
        ));
    }
    for (field, text, limit) in [
        ("sql", &spec.sql, MAX_SQL),
        ("equals", &spec.equals, MAX_EQUALS),
    ] {
        if text.chars().count() > limit {
            return Err(format!("{field}: must be at most {limit} characters"));
        }
    }
    let from_version = spec.from_version.as_deref().map(Version::parse).transpose();
    let timeout = spec
        .timeout
        .get()
        .map_err(|error| format!("timeout: {error}"))?;
    if !TIMEOUTS.contains(&timeout) {
        return Err("timeout: must be from 1ms to 10m".to_owned());
    }
    Ok(Check {
        name: spec.name.clone(),
        query: Query::parse(&spec.sql).map_err(|defect| format!("sql: {defect}"))?,
        equals: spec.equals.clone(),
        when: spec.when,
        from_version: from_version.map_err(|error| format!("fromVersion: {error}"))?,
        show_value: spec.show_value,
        timeout,
    })
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|byte| plain(byte) || byte == b'-')
        && text.bytes().next().is_some_and(plain)
        && text.bytes().last().is_some_and(plain)
}

/// A name that may be anything, for a message.
fn shown_name(name: &str) -> String {
    let shown: String = name.escape_debug().take(MAX_NAME).collect();
    if shown.is_empty() {
        "a check without a name".to_owned()
    } else {
        shown
    }
}
