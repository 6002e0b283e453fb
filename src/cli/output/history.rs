//! The JSON of `history -o json`; see [`output`](super) for what holds of all forms.

use schemars::JsonSchema;
use serde::Serialize;

use crate::postgres::{Changes, RecordedChange};

use super::Database;

/// What `schemaward history -o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Always `schemaward.history/v1`.
    format: &'static str,
    database: Database,
    /// What was changed, oldest first.
    changes: Vec<Change>,
    /// Whether there are older ones that --limit left out.
    has_more: bool,
}

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// When, RFC 3339, by the clock of the database; null when the history table does not say.
    at: Option<String>,
    /// What was done, as `schemaward.audit` calls it: `apply`, `undo`, `baseline`, `adopt`, `accept`, `resolve`,
    /// `takeover` and others.
    action: String,
    /// The version concerned; null when it is none.
    version: Option<String>,
    /// The name of the version, or what else is to be said.
    detail: String,
    /// How long a script took on the server, in milliseconds; null when none ran, or when nobody knows.
    execution_time_ms: Option<i64>,
    /// Who did it; null when another program wrote the row.
    by: Option<By>,
}

/// Who changed something.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct By {
    /// The DatabaseSchema or the command line, and who approved the plan.
    actor: String,
    /// The role in the database.
    database_role: String,
    /// The program and its version.
    tool: String,
}

impl History {
    pub(in crate::cli) fn of(changes: &Changes) -> Self {
        Self {
            format: "schemaward.history/v1",
            database: Database::of(&changes.server),
            changes: changes.changes.iter().map(Change::of).collect(),
            has_more: changes.has_more,
        }
    }
}

impl Change {
    fn of(change: &RecordedChange) -> Self {
        Self {
            at: change.at.map(|at| at.to_string()),
            action: change.action.clone(),
            version: change.version.clone(),
            detail: change.detail.clone(),
            execution_time_ms: change.execution_time_ms,
            by: change.by.as_ref().map(|by| By {
                actor: by.actor.clone(),
                database_role: by.database_role.clone(),
                tool: by.tool.clone(),
            }),
        }
    }
}
