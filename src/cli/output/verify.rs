//! The JSON of `schemaward verify`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Database;

/// What `schemaward verify -o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// Always `schemaward.verify/v1`.
    pub(in crate::cli) format: &'static str,
    pub(in crate::cli) database: Database,
    /// The highest applied version; null when none is applied.
    pub(in crate::cli) current: Option<String>,
    /// True when the history is as the files say, and no check failed. The exit code is 0 then, and 1
    /// otherwise.
    pub(in crate::cli) passed: bool,
    /// Whether the history is as the files say.
    pub(in crate::cli) history: Finding,
    /// The checks, in the order of the file.
    pub(in crate::cli) checks: Vec<CheckResult>,
}

/// One check.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// Its name.
    pub(in crate::cli) name: String,
    #[serde(flatten)]
    pub(in crate::cli) finding: Finding,
}

/// What was found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub(in crate::cli) status: FindingStatus,
    /// Why it failed or was skipped, or what was found: a text for a person; null when there is nothing to
    /// say. It holds a value of the database only where the check says `showValue: true`.
    pub(in crate::cli) message: Option<String>,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FindingStatus {
    /// As it should be.
    Passed,
    /// Not as it should be, or it could not be found out.
    Failed,
    /// Not asked.
    Skipped,
}

impl Finding {
    pub(in crate::cli) fn passed(message: Option<String>) -> Self {
        Self {
            status: FindingStatus::Passed,
            message,
        }
    }

    pub(in crate::cli) fn failed(message: String) -> Self {
        Self {
            status: FindingStatus::Failed,
            message: Some(message),
        }
    }

    pub(in crate::cli) fn skipped(message: String) -> Self {
        Self {
            status: FindingStatus::Skipped,
            message: Some(message),
        }
    }
}
