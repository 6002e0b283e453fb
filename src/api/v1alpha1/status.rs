//! What the operator saw and did.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PlanStatus, TlsMode};
use crate::api::condition::Condition;
use crate::api::time::Time;

// Without the default, Flux and `helm install --wait` take a resource that no operator has seen for
// ready: kstatus compares status.observedGeneration with the generation, and only when it is there.
/// What the operator saw and did. Written by the operator alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct DatabaseSchemaStatus {
    /// The generation of the resource that the rest of status is about; -1 means none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int64"))]
    pub observed_generation: Option<i64>,

    /// Ready is always there. Reconciling is there while Schemaward works on it or tries again by
    /// itself, Stalled while a person has to act. TakeoverRefused, AcceptRefused or ResolveRefused is there
    /// after the decision of that annotation was refused, and says why, until the annotation has another
    /// value or is taken away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["type"]
    ))]
    pub conditions: Vec<Condition>,

    /// The highest version that is applied; absent when none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_version: Option<String>,

    /// The version that the database shall be at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_version: Option<String>,

    /// How many versions are applied, as of the last look at the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_count: Option<i64>,

    /// How many versions are still to be applied or undone to reach the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_count: Option<i64>,

    /// The next of those versions in the order in which they will run; at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub pending: Vec<PendingVersion>,

    /// What would run to reach the target, as of the last look at the database; absent when nothing
    /// would, and after a run that did a part of it until the next look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,

    /// When the window opens that the plan waits for, with reason OutsideWindow; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_window_time: Option<Time>,

    /// When a version was last applied, by the clock of the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_time: Option<Time>,

    /// What keeps the database from its target; absent when nothing does. A script that failed stays
    /// here until it is mended, also when the operator meets another trouble, such as a database that
    /// is not reachable, while it looks again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,

    /// What the server shows of the version that runs; absent while none runs, and for the first seconds
    /// of one. Written at most every ten seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<VersionProgress>,

    /// The last ten versions that are applied, newest first. All of them are in the history table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<AppliedVersion>,

    /// The random identity of the database, made when Schemaward first wrote to it. Another one under the
    /// same databaseAddress stops with DatabaseIdentityChanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_id: Option<String>,

    /// Where that database is, as connection said it: host, port and database, or the key that holds
    /// them. When connection leads elsewhere, whatever database is there is taken as the right one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_address: Option<String>,

    /// The mode of TLS of the last connection, where it is a weaker one than VerifyFull; absent with VerifyFull.
    /// Until it is, whoever is on the way may be taken for the server, or read along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weak_tls_mode: Option<TlsMode>,

    /// How many entries the audit of that database had at the last look. Fewer mean that it lost a part
    /// of its history, which stops with HistoryRegressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_entries: Option<i64>,

    /// Where the migrations come from, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,

    /// The value of the annotation schemaward.dev/reconcile that was acted on last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile: Option<String>,

    /// The values of the annotations schemaward.dev/accept, schemaward.dev/approve,
    /// schemaward.dev/resolve and schemaward.dev/takeover that the rest of status is about, by the name of
    /// the annotation: those that the resource had when the operator last began with it. One that is not
    /// here was set since.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub observed_decisions: BTreeMap<String, String>,

    /// The values of the annotations schemaward.dev/accept, schemaward.dev/approve,
    /// schemaward.dev/resolve and schemaward.dev/takeover that were acted on last, by the name of the
    /// annotation: carried out, unless a condition says that the decision was refused. To ask for the same
    /// once more, take the annotation away first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub last_handled_decisions: BTreeMap<String, String>,
}

/// A version that is still to be applied or undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingVersion {
    /// The version.
    pub version: String,

    /// Its name.
    pub name: String,

    /// Up: to be applied. Down: to be undone.
    pub direction: MigrationDirection,
}

/// Up or Down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the words say it")]
pub enum MigrationDirection {
    Up,
    Down,
}

/// What keeps the database from its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The reason, one word of the same list as in the conditions.
    pub reason: String,

    /// What happened, where, what it means for the data, and what happens next or what to do.
    pub message: String,

    /// The generation of the resource that it happened with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int64"))]
    pub observed_generation: Option<i64>,

    /// When this reason was first met without another one in between.
    pub first_time: Time,

    /// How often it was tried, the first time included; absent when it is not counted, because
    /// nothing is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,

    /// When it is tried again by itself; absent when a person has to act first, or when the operator
    /// only looks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_retry_time: Option<Time>,

    /// The version concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Up: its UP script. Down: its DOWN script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<MigrationDirection>,

    /// SHA-256 of the script that failed; it is run again by itself once it has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,

    /// Number of the failed statement in its file, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<i64>,

    /// Line of the file, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<i64>,

    /// Column in that line, counted from 1 in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<i64>,

    /// The code that PostgreSQL gave (SQLSTATE).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql_state: Option<String>,

    /// In how many attempts in a row the connection was lost while this version was executed; at three
    /// it is not run again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int32"))]
    pub connections_lost: Option<i32>,
}

/// What the server shows of the version that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionProgress {
    /// The version.
    pub version: String,

    /// Since when the server works on it, by the clock of the database.
    pub start_time: Time,

    /// While an index is built: what its build is at, in the words of PostgreSQL
    /// (pg_stat_progress_create_index), and how many of the transactions that it waits for are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// How much of that phase is done, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int32"))]
    pub percent: Option<i32>,

    /// The lock that it waits for, and who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// A version that is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedVersion {
    /// The version.
    pub version: String,

    /// Its name.
    pub name: String,

    /// When it was applied, by the clock of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_time: Option<Time>,

    /// How long its script took on the server, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_time_ms: Option<i64>,
}
