//! `schemaward.dev/v1alpha1`. Every `///` on a field is a page of the manual: `kubectl explain`
//! prints it. Notes for developers are `//`.
//!
//! Reading is more lenient than the CRD, because a resource that cannot be read hides all others of
//! its list; the operator checks again what the API server was to check.
#![expect(
    clippy::doc_markdown,
    reason = "these texts are read in a terminal, where backticks are noise"
)]
#![expect(
    clippy::duplicated_attributes,
    reason = "each printer column names its own type and priority"
)]

mod check;
mod connection;
mod execution;
mod gate;
mod plan;
mod review;
mod source;
mod status;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::GoDuration;

pub use check::{CheckMoment, CheckSpec};
pub use connection::{
    Auth, AuthType, AwsSecret, Certificate, ClientCertificate, Connection, CredentialsSource,
    DocumentSource, FieldSource, HostSource, KeyReference, PasswordSource, Pooler, PortSource,
    SecretReference, TextSource, Tls, TlsMode,
};
pub use execution::Execution;
pub use gate::GateSpec;
pub use plan::{
    LossKind, PlanStatus, PlannedClass, PlannedFinding, PlannedLoss, PlannedScript,
    PlannedStatement,
};
pub use review::{ApprovalSpec, PolicyAction, RequiredApproval, WindowScope, WindowSpec};
pub use source::{ConfigMapSource, Source};
pub use status::{
    AppliedVersion, DatabaseSchemaStatus, Failure, MigrationDirection, PendingVersion,
    VersionProgress,
};

/// Setting this annotation to a new value makes the operator look again at once, and run a failed
/// script again.
pub const RECONCILE_ANNOTATION: &str = "schemaward.dev/reconcile";

/// Versions whose present files are what was applied, such as `002:1dd701f2`, or the database that is the right
/// one, such as `database:55b6b8fc`; each value is acted on once.
pub const ACCEPT_ANNOTATION: &str = "schemaward.dev/accept";

/// The owner, as `namespace/name` or uid, that this resource takes the history over from; each value is
/// acted on once.
pub const TAKEOVER_ANNOTATION: &str = "schemaward.dev/takeover";

/// What became of a statement in doubt, such as `002:1dd701f2=applied` or `002:1dd701f2=retry`; each value
/// is acted on once.
pub const RESOLVE_ANNOTATION: &str = "schemaward.dev/resolve";

/// The hash of the plan that somebody approved; it is for one run of that plan.
pub const APPROVE_ANNOTATION: &str = "schemaward.dev/approve";

/// What the database shall be.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "schemaward.dev",
    version = "v1alpha1",
    kind = "DatabaseSchema",
    namespaced,
    status = "DatabaseSchemaStatus",
    shortname = "dbs",
    category = "schemaward",
    derive = "PartialEq",
    doc = "DatabaseSchema keeps one PostgreSQL database at the schema version that it names. The operator applies what is missing, each version in one transaction with its record, and reports in status what it saw and did. Deleting a DatabaseSchema never changes the database.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "True: the database is at the target"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not, in one word of a closed list"
    ),
    printcolumn(
        name = "Current",
        type_ = "string",
        json_path = ".status.currentVersion",
        description = "The highest applied version"
    ),
    printcolumn(
        name = "Target",
        type_ = "string",
        json_path = ".status.targetVersion",
        description = "The version that the database shall be at"
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        json_path = ".status.pendingCount",
        description = "Versions still to be applied or undone"
    ),
    printcolumn(
        name = "Source",
        type_ = "string",
        json_path = ".status.source",
        description = "Where the migrations come from",
        priority = "1"
    ),
    printcolumn(
        name = "Last Applied",
        type_ = "date",
        json_path = ".status.lastAppliedTime",
        description = "When a version was last applied",
        priority = "1"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "What happened and what to do",
        priority = "1"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the resource was made"
    )
)]
#[x_kube(
    validation = Rule::new("!has(self.targetVersion) || !has(self.versions) || self.versions.exists(v, v.version == self.targetVersion)")
        .message("targetVersion must be one of versions, written as it stands there")
        .field_path(".targetVersion"),
    validation = Rule::new("!has(self.baseline) || !has(self.versions) || self.versions.exists(v, v.version == self.baseline)")
        .message("baseline must be one of versions, written as it stands there")
        .field_path(".baseline"),
    validation = Rule::new("!has(self.baseline) || !has(self.targetVersion) || size(self.baseline) > 18 || size(self.targetVersion) > 18 || int(self.baseline) <= int(self.targetVersion)")
        .message("baseline must not be above targetVersion")
        .field_path(".baseline")
)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseSchemaSpec {
    /// Where the migration files come from. Exactly one of configMaps and inline.
    ///
    /// A file is named NNN_name_UP.sql or NNN_name_DOWN.sql: a version of any number of digits, a
    /// name, and the direction. Files that do not start with a digit are ignored; one that does and
    /// does not fit is an error.
    pub source: Source,

    /// The database, and how to sign in.
    pub connection: Connection,

    /// The version that the database shall be at, written as in versions or in the file name
    /// ("007", not 7). Default: the last one of versions, or of the source when versions is not
    /// given.
    ///
    /// A target below the current version asks to go back; see rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+$"), length(min = 1, max = 32))]
    pub target_version: Option<String>,

    /// The versions that belong to this schema, in rising numeric order. Default: all that the
    /// source holds. Versions of the source that are not listed are not looked at.
    ///
    /// With this list a commit says what changes: a new line applies a version, a line less asks to
    /// go back (see rollback). At most 1000.
    // The API server has to see a list map, or Helm and kubectl apply replace it as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 1000),
        extend(
            "x-kubernetes-list-type" = "map",
            "x-kubernetes-list-map-keys" = ["version"]
        )
    )]
    pub versions: Option<Vec<VersionSpec>>,

    /// The version that the database stood at before Schemaward came to it, written as in versions or
    /// in the file name. Versions up to it are recorded as applied and never run. Default: none, all
    /// versions are run.
    ///
    /// It counts only for a database whose history was never used; in one that has the version it does
    /// nothing, and with any other history the operator reports NotEmpty. Versions up to it are not
    /// undone, because they were never run here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+$"), length(min = 1, max = 32))]
    pub baseline: Option<String>,

    /// The table that records what was applied. Default: public.schema_migrations. It cannot be
    /// changed later, because an empty history would mean to run everything again.
    #[serde(default)]
    #[x_kube(
        validation = Rule::new("self == oldSelf")
            .message("history cannot be changed: with another table everything would be run again. Deleting the resource leaves the database as it is; create it anew")
    )]
    pub history: HistoryTable,

    /// What may be undone.
    #[serde(default)]
    pub rollback: Rollback,

    /// Which plans a person has to approve before they run.
    #[serde(default)]
    pub approval: ApprovalSpec,

    /// What follows from what is known of a statement: the name of a rule (such as ban-drop-column;
    /// the documents list them), or of an impact (blocking, destructive, incompatible, rewrite,
    /// unknown), and what follows from it.
    ///
    /// Deny: the plan does not run, with reason PolicyDenied. RequireApproval: it waits as approval
    /// says. Warn: it is shown in status.plan, and told by an Event when it runs. Ignore: nothing.
    /// Default: blocking, destructive, rewrite and unknown warn, and so does every rule that is reported
    /// by default. A comment in the file waives a rule, with a reason. At most 100.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 100
    ))]
    pub policy: BTreeMap<String, PolicyAction>,

    /// When scripts may run. Without one, or without one for such a plan: at any time.
    ///
    /// A plan waits, with reason OutsideWindow, until one of the windows that are for it is open;
    /// status.nextWindowTime is the next opening. When the window closes during a run, no version starts any
    /// more, and one that runs is finished. That holds for a way back, too. What runs no script (a
    /// history that is taken over, a check) waits for no window, and neither does the command line. At most 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 20),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub windows: Option<Vec<WindowSpec>>,

    /// What other objects of this namespace have to say before scripts run, such as that a backup is there.
    ///
    /// A plan waits, with reason GateNotMet, until every gate is met. They are read when there is something to
    /// run, and again under the migration lock. The operator needs the right to get these kinds; the chart has
    /// rbac.gateRules for it. That holds for a way back, too; the command line reads no gate. At most 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 20),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub gates: Option<Vec<GateSpec>>,

    /// How scripts are run.
    #[serde(default)]
    pub execution: Execution,

    /// Questions to the database that have one right answer, asked before versions are applied or after.
    /// While one fails, the resource is not Ready, with reason CheckFailed. At most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        extend(
            "x-kubernetes-list-type" = "map",
            "x-kubernetes-list-map-keys" = ["name"]
        )
    )]
    pub checks: Option<Vec<CheckSpec>>,

    /// True: the operator leaves the database alone and reports Ready False with reason Suspended. A
    /// version that is running is finished first. Default: false.
    #[serde(default)]
    pub suspend: bool,

    /// How often the operator looks whether the database still stands where it should, and how often
    /// it looks again at a trouble that a person has to solve. Looking writes nothing. Default: 10m,
    /// at least 1s. A change of the resource is acted on at once.
    #[serde(default = "default_interval")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("must be at least 1s"))]
    pub interval: GoDuration,
}

fn default_interval() -> GoDuration {
    GoDuration::new("10m")
}

/// One version of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionSpec {
    /// The version: digits, written as in the file name ("001").
    #[schemars(regex(pattern = r"^[0-9]+$"), length(min = 1, max = 32))]
    pub version: String,

    /// The name, for the reader of this list. When given it must be the one in the file name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]+$"), length(min = 1, max = 200))]
    pub name: Option<String>,

    /// Pins the text of the scripts: a file with another checksum is refused before anything runs.
    /// With it, whoever may change the source cannot change the SQL that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<ChecksumPin>,
}

/// SHA-256 checksums of the two files of a version, as sha256sum prints them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChecksumPin {
    /// SHA-256 of the UP file: 64 hexadecimal digits, with or without "sha256:" in front.
    #[schemars(regex(pattern = r"^(sha256:)?[0-9A-Fa-f]{64}$"), length(max = 71))]
    pub up: String,

    /// SHA-256 of the DOWN file. Required when the version has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(sha256:)?[0-9A-Fa-f]{64}$"), length(max = 71))]
    pub down: Option<String>,
}

/// The table that records what was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistoryTable {
    /// The schema of the table; it must exist. Default: public.
    #[schemars(
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_$]*$"),
        length(min = 1, max = 63)
    )]
    pub schema: String,

    /// The table. It is created with the columns version, name, applied_at, execution_time_ms and
    /// checksum; one that exists with these columns is used as it is. Default: schema_migrations.
    #[schemars(
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_$]*$"),
        length(min = 1, max = 63)
    )]
    pub table: String,
}

impl Default for HistoryTable {
    fn default() -> Self {
        Self {
            schema: "public".to_owned(),
            table: "schema_migrations".to_owned(),
        }
    }
}

/// What may be undone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rollback {
    /// Deny (default): nothing is ever undone; a database above the target is reported as
    /// DatabaseAhead and left alone.
    ///
    /// Allow: a lower targetVersion or a shorter list of versions undoes what is above, newest first,
    /// each by the DOWN script that was stored when the version was applied. A reverted commit is
    /// enough; the files need not be there any more.
    pub policy: RollbackPolicy,
}

/// Whether versions may be undone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RollbackPolicy {
    // No texts on the variants: kubectl explain shows the field's.
    #[default]
    #[expect(missing_docs, reason = "the field explains both")]
    Deny,
    #[expect(missing_docs, reason = "the field explains both")]
    Allow,
}
