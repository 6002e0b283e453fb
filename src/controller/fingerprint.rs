//! Which state of which objects an attempt was made from, so that a change is noticed without
//! fetching contents.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::{Api, Client};

use super::references::{ObjectKind, Reference};

/// The referenced objects and their states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<Reference, Mark>);

/// The state of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// It exists with this `resourceVersion`.
    Version(String),
    /// It does not exist.
    Absent,
    /// We may not read it.
    Denied,
    /// The API server did not say.
    Unknown,
}

impl Mark {
    /// For a GET that failed.
    #[must_use]
    pub fn of_error(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_forbidden() => Self::Denied,
            _ => Self::Unknown,
        }
    }
}

impl Fingerprint {
    /// Takes in the state of an object.
    pub fn set(&mut self, reference: Reference, mark: Mark) {
        self.0.insert(reference, mark);
    }

    /// True when nothing is referred to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when an object is in another state now than here. Fetches metadata alone, no contents;
    /// an API server that does not answer is no change.
    pub async fn has_changed(&self, client: &Client, namespace: &str) -> bool {
        let looks = self.0.iter().map(|(reference, before)| async move {
            let now = mark(client, namespace, reference).await;
            now != Mark::Unknown && now != *before
        });
        join_all(looks).await.contains(&true)
    }
}

async fn mark(client: &Client, namespace: &str, reference: &Reference) -> Mark {
    let name = &reference.name;
    let found = match reference.kind {
        ObjectKind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            api.get_metadata_opt(name).await.map(version)
        }
        ObjectKind::Secret => {
            let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
            api.get_metadata_opt(name).await.map(version)
        }
    };
    match found {
        Ok(Some(version)) => Mark::Version(version),
        Ok(None) => Mark::Absent,
        Err(error) => Mark::of_error(&error),
    }
}

fn version<K>(found: Option<PartialObjectMeta<K>>) -> Option<String> {
    found.map(|object| object.metadata.resource_version.unwrap_or_default())
}
