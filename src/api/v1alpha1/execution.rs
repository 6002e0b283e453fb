//! How scripts are run.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::duration::GoDuration;

/// How scripts are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// How long a statement waits for a lock (lock_timeout of PostgreSQL) before its version is
    /// rolled back and tried again, so that a waiting ALTER TABLE does not hold up everybody behind
    /// it. Default: 5s. From 1ms to 10m.
    #[serde(default = "default_lock_timeout")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1ms') && duration(self) <= duration('10m')")
            .message("must be from 1ms to 10m")
    )]
    pub lock_timeout: GoDuration,

    /// How often a version that did not get its locks is tried again within one run, after pauses of
    /// 1 to 30 seconds. After that the migration lock is given up for a while, and the resource
    /// reports LockTimeout. Default: 10. From 0 to 100.
    #[serde(default = "default_lock_retries")]
    #[schemars(range(min = 0, max = 100))]
    pub lock_retries: i32,

    /// How long one statement may take (statement_timeout of PostgreSQL); a longer one fails its
    /// version with StatementTimeout. Default: 0s, no limit. At most 168h.
    #[serde(default = "default_statement_timeout")]
    #[x_kube(
        validation = Rule::new("duration(self) <= duration('168h')").message("must be at most 168h")
    )]
    pub statement_timeout: GoDuration,

    /// Role to switch to before each script (SET ROLE), so that what a script creates belongs to it.
    /// The user of connection must be a member. Default: none, scripts run as that user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub role: Option<String>,

    /// Schemas in which scripts look for names without a schema, first one first (search_path of
    /// PostgreSQL). Default: what server, database and role say. At most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub search_path: Option<Vec<String>>,
}

fn default_lock_timeout() -> GoDuration {
    GoDuration::new("5s")
}

fn default_lock_retries() -> i32 {
    10
}

fn default_statement_timeout() -> GoDuration {
    GoDuration::new("0s")
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            lock_timeout: default_lock_timeout(),
            lock_retries: default_lock_retries(),
            statement_timeout: default_statement_timeout(),
            role: None,
            search_path: None,
        }
    }
}
