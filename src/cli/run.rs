//! `schemaward run`: the operator, put together here and nowhere else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::controller::configuration::Configuration;
use crate::controller::lease::LeaseName;
use crate::controller::runtime::{Options, infer_config, run};
use crate::telemetry::health::Health;
use crate::telemetry::logging::{self, LogFormat, LogLevel};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{http, logging::install_panic_hook};

use super::duration;
use super::exit::{Exit, Failure};

/// Looking more often than this would only keep the API server busy.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// More threads than this only cost memory: runs wait for servers.
const MAX_THREADS: usize = 4;

/// Run the operator: keep every `DatabaseSchema` of the cluster at its target
///
/// The way to the API server is taken from KUBECONFIG, or from the pod's service account.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Run {
    /// Watch only these namespaces, parted by commas; default: all
    ///
    /// With namespaces named, changes of the `ConfigMaps` and Secrets that resources refer to are
    /// watched, which needs the right to list them; otherwise they are fetched one by one.
    #[arg(
        long,
        value_name = "NAMESPACES",
        env = "WATCH_NAMESPACES",
        value_delimiter = ','
    )]
    watch_namespaces: Vec<String>,

    /// Whether several replicas agree by a Lease who works
    #[arg(
        long,
        value_name = "BOOL",
        env = "LEADER_ELECTION",
        default_value_t = true,
        action = ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    leader_election: bool,

    /// Namespace of the Lease; default: the pod's own
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE")]
    lease_namespace: Option<String>,

    /// Name of the Lease
    #[arg(long, value_name = "NAME", default_value = "schemaward")]
    lease_name: String,

    /// Name of this replica in the Lease and in events; default: the host's name
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    replica_name: Option<String>,

    /// Where to serve /healthz, /readyz and /metrics
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "HTTP_ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    http_address: SocketAddr,

    /// How log lines look
    #[arg(
        long,
        value_name = "FORMAT",
        env = "LOG_FORMAT",
        default_value = "json"
    )]
    log_format: Format,

    /// What is logged: error, warn, info, debug or trace, or directives such as
    /// info,schemaward=debug
    #[arg(long, value_name = "LEVEL", env = "LOG_LEVEL", default_value = "info")]
    log_level: LogLevel,

    /// Databases that are migrated at the same time, at most
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    max_concurrent_runs: u16,

    /// Time from SIGTERM to the end: a version that runs may finish in all of it but ten seconds, then
    /// it is cancelled and rolled back
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = duration::parse)]
    shutdown_grace: Duration,

    /// `ClusterRole` that lets the operator read `ConfigMaps` and Secrets where a `RoleBinding` says
    /// so; it is named where the right is missing
    #[arg(long, value_name = "NAME", default_value = "schemaward-tenant")]
    tenant_cluster_role: String,

    /// Pause between two looks whether a referenced `ConfigMap` or Secret changed, where they are not
    /// watched; at least 1s
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    source_poll_interval: Duration,

    /// YAML file that says which hosts resources may name; default: all but those that no database has
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Let resources name loopback, such as a proxy beside the operator in its pod
    #[arg(long)]
    allow_loopback: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One object a line
    Json,
    /// Lines for people
    Text,
}

impl Run {
    /// Runs until a signal ends it.
    ///
    /// # Errors
    /// Why it could not start.
    pub(super) fn carry_out(self) -> Result<Exit, Failure> {
        self.start().map(|()| Exit::Done).map_err(Failure::not_done)
    }

    fn start(self) -> Result<(), String> {
        install_panic_hook();
        let configuration = self.configuration()?;
        let format = match self.log_format {
            Format::Json => LogFormat::Json,
            Format::Text => LogFormat::Text,
        };
        logging::init(format, &self.log_level)
            .map_err(|error| format!("Logging cannot start: {error}."))?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        runtime::Builder::new_multi_thread()
            .worker_threads(threads.clamp(2, MAX_THREADS))
            .enable_all()
            .build()
            .map_err(|error| format!("The program cannot start: {error}."))?
            .block_on(self.operate(configuration))
    }

    async fn operate(self, configuration: Configuration) -> Result<(), String> {
        let stopping = stop_on_signal()?;
        let health = Arc::new(Health::default());
        let metrics = Arc::new(Metrics::default());
        let listener = TcpListener::bind(self.http_address)
            .await
            .map_err(|error| format!("Cannot listen on {}: {error}.", self.http_address))?;
        let (served, mut end_serving) = watch::channel(false);
        let serving = tokio::spawn(http::serve(
            listener,
            Arc::clone(&health),
            Arc::clone(&metrics),
            async move {
                let _ = end_serving.wait_for(|end| *end).await;
            },
        ));
        let config = infer_config().await.map_err(|error| {
            format!(
                "There is no way to an API server. Set KUBECONFIG, or run in a pod with a service \
                     account. ({error})"
            )
        })?;
        let options = self.options(configuration, &config.default_namespace);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            api_server = config.cluster_url.to_string(),
            namespaces = options.namespaces.join(","),
            "the operator starts"
        );
        let ended = run(config, options, health, metrics, stopping)
            .await
            .map_err(|error| format!("The API server's address cannot be used: {error}."));
        served.send_replace(true);
        let _ = serving.await;
        tracing::info!("the operator ends");
        ended
    }

    fn configuration(&self) -> Result<Configuration, String> {
        let Some(path) = &self.config else {
            return Ok(Configuration::default());
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("--config {} cannot be read: {error}.", path.display()))?;
        Configuration::parse(&text).map_err(|error| {
            format!(
                "--config {} cannot be used, and without it nothing is begun: {error}",
                path.display()
            )
        })
    }

    fn options(self, configuration: Configuration, own_namespace: &str) -> Options {
        let instance = self.replica_name.unwrap_or_else(host_name);
        let lease = self.leader_election.then(|| LeaseName {
            namespace: self
                .lease_namespace
                .unwrap_or_else(|| own_namespace.to_owned()),
            name: self.lease_name,
            // Two processes never share an identity, also not one and its successor in a pod.
            identity: format!("{instance}_{}", uuid::Uuid::new_v4()),
        });
        Options {
            namespaces: self
                .watch_namespaces
                .into_iter()
                .filter(|name| !name.is_empty())
                .collect(),
            lease,
            instance,
            max_concurrent_runs: usize::from(self.max_concurrent_runs),
            shutdown_grace: self.shutdown_grace,
            tenant_cluster_role: self.tenant_cluster_role,
            source_poll_interval: self.source_poll_interval.max(SHORTEST_POLL),
            configuration,
            allows_loopback: self.allow_loopback,
        }
    }
}

fn host_name() -> String {
    let read = std::fs::read_to_string(PathBuf::from("/proc/sys/kernel/hostname"));
    let name = read.unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        "schemaward".to_owned()
    } else {
        name
    }
}

/// Turns true at the first SIGTERM or SIGINT.
fn stop_on_signal() -> Result<watch::Receiver<bool>, String> {
    let failed = |error| format!("Signals cannot be received: {error}.");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (sender, stopping) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        sender.send_replace(true);
        // Keeps the handlers: a second signal does not end the process in the middle of a version.
        sender.closed().await;
    });
    Ok(stopping)
}
