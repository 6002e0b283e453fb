//! What every reconcile shares, made once by the runtime.

use std::sync::Arc;
use std::time::Duration;

use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::Semaphore;

use crate::api::v1alpha1::DatabaseSchema;
use crate::aws::Aws;
use crate::engine::review::Judgements;
use crate::engine::task::Owner;
use crate::postgres::{ApiServer, Guard};
use crate::telemetry::metrics::Metrics;

use super::access::Grantee;
use super::agenda::Agenda;
use super::aws::AwsAccess;
use super::configuration::Configuration;
use super::events::Events;
use super::known::KnownScripts;
use super::lifecycle::{Lifecycle, Running};
use super::turns::Turns;

/// Shared by all reconciles. Nothing in it is read from the environment later on.
pub struct Context {
    /// For requests; it gives up on one that is not answered.
    pub client: Client,
    /// The uid of namespace `kube-system`, which stands for the cluster in a claim.
    pub cluster: String,
    /// Whom a tenant has to grant what.
    pub grantee: Grantee,
    /// What those who run the operator allow.
    pub configuration: Configuration,
    /// Amazon's services.
    pub aws: Arc<Aws>,
    /// Connections to loopback are made.
    pub allows_loopback: bool,
    /// Where the API server listens.
    pub api_server: Option<ApiServer>,
    /// Pause between two looks at the referenced objects of a resource at rest; `None` where watches
    /// tell of changes.
    pub source_poll: Option<Duration>,
    /// Attempts at the same time: it bounds databases, requests to the API server, and the memory
    /// for scripts alike.
    pub slots: Semaphore,
    /// Runs on one database, one after the other.
    pub turns: Turns,
    /// Looks at metadata at the same time.
    pub looks: Semaphore,
    /// Leading, stopping.
    pub lifecycle: Lifecycle,
    /// Runs that can be cancelled.
    pub running: Arc<Running>,
    /// What is known of each resource between reconciles.
    pub agenda: Agenda,
    /// Scripts that were judged before.
    pub known: KnownScripts,
    /// What was found in scripts before.
    pub judgements: Judgements,
    /// Writes events.
    pub events: Events,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// One resource, as far as names go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Identity {
    /// The identity that `object` is.
    #[must_use]
    pub fn of<K: Resource>(object: &K) -> Self {
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
        }
    }
}

impl Context {
    /// The resources of a namespace.
    #[must_use]
    pub fn resources(&self, namespace: &str) -> Api<DatabaseSchema> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Where the resources of a namespace may connect to.
    #[must_use]
    pub fn guard(&self, namespace: &str) -> Guard {
        let hosts = &self.configuration.hosts;
        hosts.guard(namespace, self.allows_loopback, self.api_server.as_ref())
    }

    /// What of AWS the resources of a namespace get.
    #[must_use]
    pub fn aws_access<'a>(&'a self, namespace: &'a str) -> AwsAccess<'a> {
        AwsAccess {
            aws: &self.aws,
            rules: Some(&self.configuration.aws),
            namespace,
        }
    }

    /// In whose name a run for `identity` acts.
    #[must_use]
    pub fn owner(&self, identity: &Identity) -> Owner {
        Owner {
            cluster: self.cluster.clone(),
            namespace: identity.namespace.clone(),
            name: identity.name.clone(),
            uid: identity.uid.clone(),
        }
    }
}
