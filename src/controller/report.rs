//! Writes status, by server-side apply, and only when it says something else than the last one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::v1alpha1::{DatabaseSchema, DatabaseSchemaStatus};

use super::agenda::resource_version;
use super::context::Context;

/// Owner of the status fields.
const FIELD_MANAGER: &str = "schemaward";
/// One write takes no longer than this.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The API server has it.
    Yes,
    /// The API server did not take it.
    No,
    /// The resource was deleted, or made anew.
    Gone,
}

/// What the API server knows about one resource, and the way to tell it more.
#[derive(Clone)]
pub struct Report {
    api: Api<DatabaseSchema>,
    resource: Arc<DatabaseSchema>,
    last: DatabaseSchemaStatus,
    seen: Option<u64>,
    read_at: Instant,
}

impl Report {
    /// About `resource`, which was read just now.
    #[must_use]
    pub fn about(resource: Arc<DatabaseSchema>, context: &Context) -> Self {
        Self {
            api: context.resources(&resource.namespace().unwrap_or_default()),
            last: resource.status.clone().unwrap_or_default(),
            seen: resource_version(&resource),
            read_at: Instant::now(),
            resource,
        }
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> &DatabaseSchema {
        &self.resource
    }

    /// The status as the API server has it.
    #[must_use]
    pub fn last(&self) -> &DatabaseSchemaStatus {
        &self.last
    }

    /// The generation that is worked on.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.resource.metadata.generation.unwrap_or_default()
    }

    /// When the resource was read.
    #[must_use]
    pub fn read_at(&self) -> Instant {
        self.read_at
    }

    /// The `resourceVersion` as last seen, as a number.
    #[must_use]
    pub fn seen(&self) -> Option<u64> {
        self.seen
    }

    /// Makes `wanted` the status. A resource that was deleted meanwhile, or made anew, is left alone.
    pub async fn write(&mut self, wanted: DatabaseSchemaStatus) -> Written {
        if wanted == self.last {
            return Written::Yes;
        }
        match timeout(WRITE_TIMEOUT, self.make(&wanted)).await {
            Ok(Ok(written)) => {
                self.seen = resource_version(&written);
                self.last = wanted;
                Written::Yes
            }
            Ok(Err(error)) if self.is_gone(&error).await => {
                tracing::debug!("status not written: the resource is gone");
                Written::Gone
            }
            Ok(Err(error)) => {
                tracing::warn!("status not written: {error}");
                Written::No
            }
            Err(_) => {
                tracing::warn!("status not written: the API server did not answer in time");
                Written::No
            }
        }
    }

    /// True when `error` means that the resource is not there any more. A conflict may be about the
    /// uid, which says so, or about anything else, which does not.
    async fn is_gone(&self, error: &kube::Error) -> bool {
        match error {
            kube::Error::Api(status) if status.is_not_found() => true,
            kube::Error::Api(status) if status.is_conflict() => {
                let name = self.resource.name_any();
                let found = timeout(WRITE_TIMEOUT, self.api.get_metadata_opt(&name));
                let Ok(Ok(found)) = found.await else {
                    return false;
                };
                found.is_none_or(|found| found.metadata.uid != self.resource.metadata.uid)
            }
            _ => false,
        }
    }

    async fn make(&self, wanted: &DatabaseSchemaStatus) -> Result<DatabaseSchema, kube::Error> {
        let name = self.resource.name_any();
        let patch = Patch::Apply(json!({
            "apiVersion": DatabaseSchema::api_version(&()),
            "kind": DatabaseSchema::kind(&()),
            "metadata": {"name": name, "uid": self.resource.metadata.uid},
            "status": wanted,
        }));
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let written = self.api.patch_status(&name, &parameters, &patch).await?;
        let found = written.status.clone().unwrap_or_default();
        if found == *wanted {
            return Ok(written);
        }
        // Somebody else wrote into status: server-side apply leaves alone what others own.
        let status = merge(&json!(found), json!(wanted));
        let patch = Patch::Merge(json!({
            "metadata": {"uid": self.resource.metadata.uid},
            "status": status,
        }));
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.api.patch_status(&name, &parameters, &patch).await
    }
}

/// The merge patch (RFC 7396) that makes `wanted` of `found`.
fn merge(found: &Value, wanted: Value) -> Value {
    let (Value::Object(found), Value::Object(mut wanted)) = (found, wanted.clone()) else {
        return wanted;
    };
    for (key, before) in found {
        let after = wanted
            .get_mut(key)
            .map_or(Value::Null, |after| merge(before, after.take()));
        wanted.insert(key.clone(), after);
    }
    Value::Object(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_takes_away_what_is_not_wanted() {
        let found = json!({"a": 1, "b": {"c": 1, "d": [1, 2]}, "e": 5});
        let wanted = json!({"a": 2, "b": {"d": [1]}, "f": 6});
        assert_eq!(
            merge(&found, wanted),
            json!({"a": 2, "b": {"c": null, "d": [1]}, "e": null, "f": 6})
        );
    }
}
