//! The file of checks beside the migrations: `checks:` as it stands in a resource.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::api::v1alpha1::CheckSpec;
use crate::engine::check::{self, Check};

use super::exit::Failure;

/// What the file is called where nobody names another one.
const USUAL_NAME: &str = "checks.yaml";

/// Largest file of checks, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Which checks are asked.
#[derive(Debug, Args)]
pub(super) struct ChecksArgs {
    /// File with the checks to ask, as in spec.checks of a `DatabaseSchema` [default: checks.yaml in the folder
    /// of the migrations, when there is one]
    #[arg(long, value_name = "FILE")]
    checks: Option<PathBuf>,
}

impl ChecksArgs {
    /// Reads them; none where there is no file.
    ///
    /// # Errors
    /// A file that cannot be read, or all that is wrong with it.
    pub(super) fn load(&self, folder: &Path) -> Result<Vec<Check>, Failure> {
        let usual = folder.join(USUAL_NAME);
        let path = match &self.checks {
            Some(path) => path.clone(),
            None if usual.exists() => usual,
            None => return Ok(Vec::new()),
        };
        read(&path).map_err(|why| {
            Failure::not_done(format!(
                "The checks in {} cannot be used: {why}. Nothing was connected to.",
                path.display()
            ))
        })
    }
}

fn read(path: &Path) -> Result<Vec<Check>, String> {
    let cannot = |error: std::io::Error| format!("it cannot be read: {error}");
    if fs::metadata(path).map_err(cannot)?.len() > LARGEST {
        return Err("it is larger than 4 MiB".to_owned());
    }
    parse(&fs::read_to_string(path).map_err(cannot)?)
}

fn parse(text: &str) -> Result<Vec<Check>, String> {
    let file: Value = serde_saphyr::from_str(text).map_err(|error| first_line(&error))?;
    let Some(specs) = file.as_object().and_then(|file| match file.get("checks") {
        Some(Value::Array(specs)) if file.len() == 1 => Some(specs),
        _ => None,
    }) else {
        return Err("it must be \"checks:\" with a list below, and nothing else".to_owned());
    };
    let specs: Vec<CheckSpec> = specs.iter().map(spec).collect::<Result<_, _>>()?;
    check::read(&specs).map_err(|defects| defects.join("; "))
}

/// One entry. A resource has its API server, which refuses what it does not know; a file has nobody.
fn spec(value: &Value) -> Result<CheckSpec, String> {
    let name = match value.get("name").and_then(Value::as_str) {
        Some(name) => name.escape_debug().take(63).collect(),
        None => "a check without a name".to_owned(),
    };
    let known = fields();
    let unknown = value
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .find(|field| !known.contains(*field));
    if let Some(unknown) = unknown {
        let unknown: String = unknown.escape_debug().take(63).collect();
        let known: Vec<_> = known.into_iter().collect();
        return Err(format!(
            "{name}: there is no field {unknown}; the fields are {}",
            known.join(", ")
        ));
    }
    serde_json::from_value(value.clone()).map_err(|error| {
        // What a number or `true` without quotes is called does not help its author.
        let text = error.to_string();
        let hint = if text.contains("expected a string") {
            " (put the value in quotes)"
        } else {
            ""
        };
        format!("{name}: {text}{hint}")
    })
}

/// The names of the fields that a check has.
fn fields() -> BTreeSet<String> {
    let schema = schemars::schema_for!(CheckSpec);
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flat_map(|properties| properties.keys().cloned())
        .collect()
}

/// What is wrong and where, without the snippet: it may hold a value.
fn first_line(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    text.lines()
        .next()
        .unwrap_or("it is no YAML")
        .trim_start_matches("error: ")
        .trim_end_matches(['.', ':'])
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_a_resource_is() {
        let checks = parse(
            "checks:\n- name: a\n  sql: SELECT 1\n  equals: \"1\"\n  when: Both\n  fromVersion: \"001\"\n  \
             showValue: true\n  timeout: 5s\n- {name: b, sql: SELECT true}\n",
        )
        .unwrap();
        let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(checks[0].equals, "1");
    }

    #[test]
    fn what_is_wrong_with_it_is_told() {
        let shape = "it must be \"checks:\" with a list below, and nothing else";
        for (text, why) in [
            ("[]", shape),
            ("checks: 1", shape),
            ("checks: []\nmore: 1", shape),
            ("checks: []", "must be 1 to 100 checks"),
            ("checks: [{name: a}]", "a: missing field `sql`"),
            (
                "checks: [{name: a, sql: SELECT 1, equal: x}]",
                "a: there is no field equal; the fields are equals, fromVersion, name, showValue, sql, timeout, when",
            ),
            (
                "checks: [{name: a, sql: SELECT 1, equals: 1}]",
                "a: invalid type: integer `1`, expected a string (put the value in quotes)",
            ),
            (
                "checks: [{name: a, sql: SELECT 1, when: Now}]",
                "a: unknown variant `Now`, expected one of `After`, `Before`, `Both`",
            ),
            (
                "checks: [{name: a, sql: DROP TABLE a}, {name: b, sql: ''}]",
                "a: sql: it must be one SELECT that answers one value; b: sql: it must be one SELECT that answers one value",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), why, "{text}");
        }
        assert!(parse("checks: [").is_err());
    }
}
