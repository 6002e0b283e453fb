//! What would run, in status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MigrationDirection;

/// What would run to bring the database to its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// SHA-256 over exactly what would run: the resource, the address of its database, role and
    /// searchPath, and each script in order with its checksum and how often its version was undone. It
    /// is what an approval names.
    pub hash: String,

    /// Up: versions are applied. Down: versions are undone, whether or not others are applied then.
    pub direction: MigrationDirection,

    /// Who approved it, once somebody did: the field manager, which the client names itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,

    /// How many scripts would run.
    #[schemars(extend("format" = "int64"))]
    pub script_count: i64,

    /// How many statements these have.
    #[schemars(extend("format" = "int64"))]
    pub statement_count: i64,

    /// How many of them lose data.
    #[schemars(extend("format" = "int64"))]
    pub destructive_count: i64,

    /// How many tables, columns and the like its ways back would take away with their data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int64"))]
    pub loss_count: Option<i64>,

    /// The data that its ways back would take away: at most 20, those with the most rows first. What the
    /// versions that are applied take away is among the statements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub losses: Vec<PlannedLoss>,

    /// The scripts in the order in which they would run; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub scripts: Vec<PlannedScript>,

    /// Statements of these scripts in the order in which they would run; at most 50, and before all others
    /// those that lose data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub statements: Vec<PlannedStatement>,
}

/// Data that a way back would take away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedLoss {
    /// The version that would be undone.
    pub version: String,

    /// The line of its DOWN, counted from 1.
    #[schemars(extend("format" = "int64"))]
    pub line: i64,

    /// Table: it is dropped. Rows: all rows of a table go, and it stays. Column: it is dropped. Schema: it is
    /// dropped, and no table was found in it. Unknown: the words of the statement do not tell.
    pub kind: LossKind,

    /// The table or column with its schema; of Unknown the leading words of the statement.
    pub object: String,

    /// How many rows, estimated from the server's statistics (pg_class.reltuples, partitions summed up)
    /// and never counted; of a column those with a value in it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int64"))]
    pub estimated_rows: Option<i64>,

    /// The same in words, and why there is no number: never analyzed, not there now.
    pub amount: String,
}

/// What a way back takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the field explains them")]
pub enum LossKind {
    Table,
    Rows,
    Column,
    Schema,
    Unknown,
}

/// A script that would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedScript {
    /// The version.
    pub version: String,

    /// Its name.
    pub name: String,

    /// Up: to be applied. Down: to be undone.
    pub direction: MigrationDirection,

    /// SHA-256 of the text that would run; of a way back the one that was stored with the version.
    pub checksum: String,

    /// What policy does not ignore of the script as a whole; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub findings: Vec<PlannedFinding>,
}

/// A statement that would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStatement {
    /// The version whose script it is in.
    pub version: String,

    /// Up: of the script that applies it. Down: of the one that undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<MigrationDirection>,

    /// The line of the script that it starts on, counted from 1.
    #[schemars(extend("format" = "int64"))]
    pub line: i64,

    /// Its key words and names; values are left out.
    pub statement: String,

    /// Transactional: in the one transaction of its version. NonTransactional: outside of one, because
    /// PostgreSQL refuses it inside.
    pub class: PlannedClass,

    /// What it does to a database in use: none, additive, definition, data change, incompatible,
    /// blocking, rewrite, destructive, or unknown where its words do not tell.
    pub impact: String,

    /// The strongest lock that it takes on a table that was there before, in the words of PostgreSQL;
    /// none, or unknown where its words do not tell.
    pub lock: String,

    /// What policy does not ignore; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub findings: Vec<PlannedFinding>,
}

/// What policy does not ignore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedFinding {
    /// The rule or the impact.
    pub rule: String,

    /// What follows from it: Deny, RequireApproval or Warn.
    pub action: String,

    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a statement is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the field explains both")]
pub enum PlannedClass {
    Transactional,
    NonTransactional,
}
