//! What another object has to say before scripts run.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::duration::GoDuration;

/// An object of the resource's own namespace, one field of which must have a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.maxAge) == has(self.timePath)").message("maxAge and timePath need each other")
)]
pub struct GateSpec {
    /// Group and version of the object, such as postgresql.cnpg.io/v1. Kinds without a group (Secret,
    /// ConfigMap) cannot be a gate.
    #[schemars(
        regex(pattern = r"^[a-z0-9][-a-z0-9.]*\.[-a-z0-9]*[a-z0-9]/[a-z0-9]+$"),
        length(max = 253)
    )]
    pub api_version: String,

    /// Its kind, such as Backup.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9]*$"), length(max = 63))]
    pub kind: String,

    /// Its name.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub name: String,

    /// The field, as a JSONPath that leads to one value: .status.phase, or
    /// .status.conditions[?(@.type=="Ready")].status. It has names, positions and at most one filter; functions,
    /// the comma, and .., *, $, < and > are refused, in quotes, too.
    #[schemars(length(min = 2, max = 253))]
    pub json_path: String,

    /// The value that it must have; of a number or a boolean, as JSON writes it. Default: true.
    #[serde(default = "default_equals")]
    #[schemars(length(max = 253))]
    pub equals: String,

    /// How old the time at timePath may be, such as 24h; one that is still to come is not met. Default: any age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1m')").message("must be at least 1m")
    )]
    pub max_age: Option<GoDuration>,

    /// The field that has that time (RFC 3339), as a JSONPath like jsonPath, such as .status.stoppedAt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 253))]
    pub time_path: Option<String>,
}

fn default_equals() -> String {
    "true".to_owned()
}
