//! The JSON of `schemaward test`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Direction;
use crate::migration::snapshot::{self, Change};

/// What `schemaward test -o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Test {
    /// Always `schemaward.test/v1`.
    pub(in crate::cli) format: &'static str,
    /// Version of the server, such as `16.15`.
    pub(in crate::cli) server_version: Option<String>,
    /// True when every step came to its end, and none left another catalog than there had been. The exit code is 0
    /// then, and another one otherwise.
    pub(in crate::cli) passed: bool,
    /// The steps that were begun, in this order; the last one is the one that failed, when one did.
    pub(in crate::cli) steps: Vec<TestStep>,
    /// Versions without a DOWN, that were not undone.
    pub(in crate::cli) without_down: Vec<String>,
    /// Why the test ended before its last step; null when it did not.
    pub(in crate::cli) failure: Option<TestFailure>,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestStep {
    /// The version.
    pub(in crate::cli) version: String,
    /// Its name.
    pub(in crate::cli) name: String,
    /// `up`: it is applied; `down`: it is undone.
    pub(in crate::cli) direction: Direction,
    /// The script is run a second time, as it says that it may be.
    pub(in crate::cli) again: bool,
    /// Objects that are not what they were when as many versions were applied before.
    pub(in crate::cli) differences: Vec<Difference>,
}

/// An object that is not what it was.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What it is, such as `table`, `column` or `index`.
    kind: String,
    /// Its name, as SQL writes it.
    object: String,
    change: ChangeKind,
    /// All of it in words, without a literal.
    message: String,
}

/// How an object differs.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// It was there, and is gone.
    Gone,
    /// It was not there, and is.
    LeftBehind,
    /// It is there, and is another one.
    Differs,
}

/// Why a test ended early.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestFailure {
    /// A text for a person.
    pub(in crate::cli) message: String,
}

impl Difference {
    pub(in crate::cli) fn of(found: &snapshot::Difference) -> Self {
        Self {
            kind: found.object.kind.clone(),
            object: found.object.name.clone(),
            change: match found.change {
                Change::Gone => ChangeKind::Gone,
                Change::LeftBehind => ChangeKind::LeftBehind,
                Change::Differs(_) => ChangeKind::Differs,
            },
            message: found.to_string(),
        }
    }

    /// As a line of text shows it.
    pub(in crate::cli) fn message(&self) -> &str {
        &self.message
    }
}
