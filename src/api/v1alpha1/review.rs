//! What has to be so before scripts run.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::duration::GoDuration;

/// Which plans a person has to approve before they run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ApprovalSpec {
    /// Destructive (default): a plan that applies a version which loses data (drops a table or a
    /// column, truncates, cascades) waits with reason AwaitingApproval. Down: that one, and every plan
    /// that undoes a version. Always: every plan that runs a script. Never: none but what policy asks
    /// for.
    ///
    /// A way back needs no approval by default, because rollback.policy has to allow it.
    ///
    /// To approve is to name the hash of status.plan, as the value of the annotation
    /// schemaward.dev/approve, by kubectl annotate or by schemaward approve. The hash is over exactly
    /// what would run: another text, order, role or address of the database makes the approval void,
    /// and so does that a version was undone since. Where a Secret or a ConfigMap has the address, it is
    /// over the reference; status.databaseId is what tells another database there. It is compared again
    /// under the migration lock, and the field manager that approved is in the audit; that name is the
    /// client's own word. Who may edit the resource may approve; the documents show how to ask for
    /// another right.
    pub required: RequiredApproval,
}

/// Which plans need an approval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the field explains all of them")]
pub enum RequiredApproval {
    Always,
    Down,
    #[default]
    Destructive,
    Never,
}

/// What follows from a rule or an impact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the field explains all of them")]
pub enum PolicyAction {
    Deny,
    RequireApproval,
    Warn,
    Ignore,
}

/// A time in which scripts may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowSpec {
    /// When it opens: minute, hour, day of month, month and day of week, as in a CronJob ("0 2 * * 6": on
    /// Saturdays at 02:00).
    #[schemars(length(min = 9, max = 100))]
    pub schedule: String,

    /// How long it stays open, such as 2h. From 1m to 168h.
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('168h')")
            .message("must be from 1m to 168h")
    )]
    pub duration: GoDuration,

    /// The time zone of schedule, by its name in the IANA database ("Europe/Berlin"). Default: Etc/UTC. An
    /// opening in an hour that the clocks skip comes as much later as they skip; in an hour that comes twice,
    /// the first time alone.
    #[serde(default = "default_time_zone")]
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9_+/-]*$"), length(max = 64))]
    pub time_zone: String,

    /// Which plans the window is for. All (default), or Risky: those with a statement whose impact in
    /// status.plan is incompatible, blocking, rewrite, unknown or destructive.
    #[serde(default)]
    pub applies_to: WindowScope,
}

fn default_time_zone() -> String {
    "Etc/UTC".to_owned()
}

/// Which plans a window is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the field explains both")]
pub enum WindowScope {
    #[default]
    All,
    Risky,
}
