//! The way to a Kubernetes cluster, for the commands about a `DatabaseSchema`. Nothing else of the command
//! line talks to an API server.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures::stream::{Stream, StreamExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client, Config};

use crate::api::v1alpha1::DatabaseSchema;

use super::exit::Failure;

mod approval;
mod trouble;

pub(super) use self::trouble::Interruption;

/// How long an API server may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Which cluster, and which namespace of it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// Namespace of the resource [default: that of the context, or of the pod]
    #[arg(short, long, value_name = "NAMESPACE", value_parser = object_name)]
    namespace: Option<String>,

    /// File with the way to the cluster [default: what KUBECONFIG names, ~/.kube/config, or the
    /// service account of the pod]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of that file [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// The name of a `DatabaseSchema`, written as for kubectl: `databaseschema/fluxion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResourceName(String);

/// What kubectl takes for the kind.
const KINDS: [&str; 5] = [
    "databaseschema",
    "databaseschemas",
    "dbs",
    "databaseschema.schemaward.dev",
    "databaseschemas.schemaward.dev",
];

impl ResourceName {
    /// Reads `databaseschema/NAME`.
    ///
    /// # Errors
    /// A sentence for the person at the command line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (kind, name) = text
            .split_once('/')
            .ok_or("write it as databaseschema/NAME")?;
        if !KINDS.contains(&kind.to_ascii_lowercase().as_str()) {
            return Err("only a databaseschema can be meant".to_owned());
        }
        object_name(name).map(Self)
    }

    /// The name alone.
    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "databaseschema/{}", self.0)
    }
}

/// A name as Kubernetes gives them. Anything else would mean something in a path or a selector.
fn object_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if text.is_empty() || text.len() > 253 || !text.chars().all(plain) {
        return Err("write a name of lower-case letters, digits, '-' and '.'".to_owned());
    }
    Ok(text.to_owned())
}

/// One namespace of a cluster.
pub(super) struct Cluster {
    client: Client,
    /// The namespace that is meant.
    pub(super) namespace: String,
    /// Where the API server is.
    server: String,
}

impl ClusterArgs {
    /// Finds the way to the cluster as kubectl does. Nothing is sent yet.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub(super) async fn connect(&self) -> Result<Cluster, Failure> {
        let config = self.config().await?;
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let server = config.cluster_url.to_string();
        let server = server.trim_end_matches('/').to_owned();
        let client =
            Client::try_from(config).map_err(|error| trouble::unusable(&server, &error))?;
        Ok(Cluster {
            client,
            namespace,
            server,
        })
    }

    async fn config(&self) -> Result<Config, Failure> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        if let Some(path) = &self.kubeconfig {
            let kubeconfig =
                Kubeconfig::read_from(path).map_err(|error| trouble::no_way(&error))?;
            return Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| trouble::no_way(&error));
        }
        if self.context.is_some() {
            return Config::from_kubeconfig(&options)
                .await
                .map_err(|error| trouble::no_way(&error));
        }
        Config::infer()
            .await
            .map_err(|error| trouble::no_way(&error))
    }
}

impl Cluster {
    /// The resource as it is now.
    ///
    /// # Errors
    /// When it is not there, may not be read, or no API server answers.
    pub(super) async fn get(&self, resource: &ResourceName) -> Result<DatabaseSchema, Failure> {
        let api = self.resources();
        match tokio::time::timeout(ANSWER_TIMEOUT, api.get(resource.name())).await {
            Ok(answer) => answer.map_err(|error| self.explain(resource, &error)),
            Err(_) => Err(trouble::silent(&self.server, ANSWER_TIMEOUT)),
        }
    }

    /// The resource as it is and as it becomes; `None` when it is not there any more. Goes on by itself when
    /// the API server ends the watch, is restarted, or has forgotten what was seen last.
    pub(super) fn watch(
        &self,
        resource: &ResourceName,
    ) -> impl Stream<Item = Result<Option<DatabaseSchema>, Interruption>> + use<'_> {
        let resource = resource.clone();
        watch_object(self.resources(), resource.name())
            .default_backoff()
            .map(move |state| state.map_err(|error| self.interruption(&resource, error)))
    }

    /// The connection itself, for the operator's own way to what a resource names.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    fn resources(&self) -> Api<DatabaseSchema> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_written_as_for_kubectl() {
        let read = |text| ResourceName::parse(text).ok().map(|read| read.0);
        for written in [
            "databaseschema/fluxion",
            "databaseschemas/fluxion",
            "dbs/fluxion",
            "DatabaseSchema/fluxion",
            "databaseschemas.schemaward.dev/fluxion",
        ] {
            assert_eq!(read(written).as_deref(), Some("fluxion"), "{written}");
        }
        for wrong in [
            "fluxion",
            "pod/fluxion",
            "dbs/",
            "dbs/a/b",
            "dbs/a,b",
            "dbs/Fluxion",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
