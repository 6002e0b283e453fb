//! Writes status, by server-side apply, and only when it says something else than the last one.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tokio::time::timeout;

use crate::api::v1alpha1::{DatabaseSchema, DatabaseSchemaStatus};

use super::agenda::resource_version;
use super::context::Context;

/// Owner of the status fields.
const FIELD_MANAGER: &str = "schemaward";
/// One write takes no longer than this.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the API server knows about one resource, and the way to tell it more.
#[derive(Clone)]
pub struct Report {
    api: Api<DatabaseSchema>,
    resource: Arc<DatabaseSchema>,
    last: DatabaseSchemaStatus,
    seen: Option<u64>,
}

impl Report {
    /// About `resource`, which was read just now.
    #[must_use]
    pub fn about(resource: Arc<DatabaseSchema>, context: &Context) -> Self {
        Self {
            api: context.resources(&resource.namespace().unwrap_or_default()),
            last: resource.status.clone().unwrap_or_default(),
            seen: resource_version(&resource),
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

    /// The `resourceVersion` as last seen, as a number.
    #[must_use]
    pub fn seen(&self) -> Option<u64> {
        self.seen
    }

    /// Makes `wanted` the status; false when the API server did not take it. A resource that was
    /// deleted meanwhile, or made anew, is left alone.
    pub async fn write(&mut self, wanted: DatabaseSchemaStatus) -> bool {
        if wanted == self.last {
            return true;
        }
        let name = self.resource.name_any();
        let patch = Patch::Apply(json!({
            "apiVersion": DatabaseSchema::api_version(&()),
            "kind": DatabaseSchema::kind(&()),
            "metadata": {"name": name, "uid": self.resource.metadata.uid},
            "status": wanted,
        }));
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let write = self.api.patch_status(&name, &parameters, &patch);
        match timeout(WRITE_TIMEOUT, write).await {
            Ok(Ok(written)) => {
                self.seen = resource_version(&written);
                self.last = wanted;
                true
            }
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() || status.is_conflict() => {
                tracing::debug!("status not written: the resource is gone");
                true
            }
            Ok(Err(error)) => {
                tracing::warn!("status not written: {error}");
                false
            }
            Err(_) => {
                tracing::warn!("status not written: the API server did not answer in time");
                false
            }
        }
    }
}
