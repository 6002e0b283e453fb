//! Checks of the live database.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::duration::GoDuration;

/// A question to the database that has one right answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckSpec {
    /// What it is called in messages. Lower-case letters, digits and dashes.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        length(min = 1, max = 63)
    )]
    pub name: String,

    /// One SELECT that answers one value: one row with one column. It runs as scripts do (the same role,
    /// the same search_path), in a transaction that can only read and is rolled back.
    #[schemars(length(min = 1, max = 10000))]
    pub sql: String,

    /// The value that it must answer, as PostgreSQL writes it as text. Default: true. No row, and NULL, are
    /// never right.
    #[serde(default = "default_equals")]
    #[schemars(length(max = 1000))]
    pub equals: String,

    /// When it is asked. After (default): when the database stands at its target, after the last version
    /// and at every look from then on. Before: when versions are to be applied, before the first of them.
    /// Both.
    #[serde(default)]
    pub when: CheckMoment,

    /// The version from which on it holds, written as in versions or in the file name: in a database below
    /// it the check is not asked. Default: it always holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+$"), length(min = 1, max = 32))]
    pub from_version: Option<String>,

    /// True: when the check fails, the value that was found is shown in status, Events and logs. Default:
    /// false, since it may be data.
    #[serde(default)]
    pub show_value: bool,

    /// How long it may take; a longer one fails. Default: 30s. From 1ms to 10m.
    #[serde(default = "default_timeout")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1ms') && duration(self) <= duration('10m')")
            .message("must be from 1ms to 10m")
    )]
    pub timeout: GoDuration,
}

fn default_equals() -> String {
    "true".to_owned()
}

fn default_timeout() -> GoDuration {
    GoDuration::new("30s")
}

/// When a check is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CheckMoment {
    // No texts on the variants: kubectl explain shows the field's.
    #[default]
    #[expect(missing_docs, reason = "the field explains all")]
    After,
    #[expect(missing_docs, reason = "the field explains all")]
    Before,
    #[expect(missing_docs, reason = "the field explains all")]
    Both,
}
