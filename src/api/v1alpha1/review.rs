//! What has to be so before scripts run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
