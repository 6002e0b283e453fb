//! From the start to the end of the operator's process.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Config, ResourceExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::engine::review::Judgements;
use crate::postgres::ApiServer;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::Metrics;

use super::access::{Grantee, own_user};
use super::agenda::Agenda;
use super::configuration::Configuration;
use super::context::Context;
use super::election::Election;
use super::events::Events;
use super::known::KnownScripts;
use super::lease::LeaseName;
use super::lifecycle::{Lifecycle, Running};
use super::schedule;
use super::turns::Turns;
use super::watches::control;

/// A request that is not answered in this time has failed.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between two looks whether the API server answers.
const API_PROBE_PERIOD: Duration = Duration::from_secs(10);
/// What is kept of the shutdown grace for cancelling, status and lease.
const GRACE_RESERVE: Duration = Duration::from_secs(10);
/// What is kept of that for the lease alone: it is given back within the grace whatever else happens.
const LEASE_RESERVE: Duration = Duration::from_secs(3);
/// Pause between two cancellations: one that comes before its statement cancels nothing.
const CANCEL_PERIOD: Duration = Duration::from_secs(1);

/// Looks at metadata at the same time.
const MAX_LOOKS: usize = 16;

/// How the operator is to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Watch only these namespaces; empty: all.
    pub namespaces: Vec<String>,
    /// Take part in the election for this lease; `None`: always lead.
    pub lease: Option<LeaseName>,
    /// Name of this replica.
    pub instance: String,
    /// Runs on databases at the same time.
    pub max_concurrent_runs: usize,
    /// From the signal to the end of the process.
    pub shutdown_grace: Duration,
    /// The `ClusterRole` that a tenant binds.
    pub tenant_cluster_role: String,
    /// Pause between two looks at referenced objects, where there are no watches on them.
    pub source_poll_interval: Duration,
    /// What those who run the operator allow.
    pub configuration: Configuration,
    /// Connections to loopback are made.
    pub allows_loopback: bool,
}

/// The way to the API server: from `KUBECONFIG`, from `~/.kube/config`, or from the pod's service
/// account.
///
/// # Errors
/// When there is none of them, or it cannot be used.
pub async fn infer_config() -> Result<Config, kube::Error> {
    Config::infer().await.map_err(kube::Error::InferConfig)
}

/// Runs the operator until `stopping` turns true and what is under way has ended.
///
/// # Errors
/// When the configuration does not make a client.
pub async fn run(
    config: Config,
    options: Options,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
) -> Result<(), kube::Error> {
    // The watcher guards its own long-lived connections, which a read timeout would cut.
    let watch_client = Client::try_from(config.clone())?;
    let mut config = config;
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    let api_server = api_server(&config);
    let client = Client::try_from(config)?;
    health.expect_caches(options.namespaces.len().max(1));
    let probe = tokio::spawn(probe_api(client.clone(), Arc::clone(&health)));

    let mut asked_to_stop = stopping.clone();
    let introduced = tokio::select! {
        introduced = introduce(&client) => introduced,
        _ = asked_to_stop.wait_for(|stop| *stop) => return Ok(()),
    };
    let election = Election::start(&client, options.lease.clone(), &health, &metrics);
    let context = Arc::new(Context {
        configuration: options.configuration.clone(),
        aws: Arc::default(),
        allows_loopback: options.allows_loopback,
        api_server,
        client: client.clone(),
        cluster: introduced.cluster,
        grantee: Grantee {
            user: introduced.user,
            cluster_role: options.tenant_cluster_role.clone(),
        },
        source_poll: options
            .namespaces
            .is_empty()
            .then_some(options.source_poll_interval),
        slots: Semaphore::new(options.max_concurrent_runs),
        turns: Turns::default(),
        looks: Semaphore::new(MAX_LOOKS),
        lifecycle: Lifecycle::new(election.leading(), stopping.clone()),
        running: Arc::new(Running::default()),
        agenda: Agenda::default(),
        known: KnownScripts::default(),
        judgements: Judgements::default(),
        events: Events::new(client, options.instance.clone()),
        metrics,
    });
    let mut controllers = JoinSet::new();
    for scope in scopes(&options.namespaces) {
        let client = watch_client.clone();
        let (context, health) = (Arc::clone(&context), Arc::clone(&health));
        controllers.spawn(control(client, scope, context, health, election.leading()));
    }
    let deadline = drain(controllers, &context, &options, stopping).await;
    if timeout_at(deadline, election.end()).await.is_err() {
        tracing::warn!("the lease was not given back in time");
    }
    probe.abort();
    Ok(())
}

/// One watch a namespace, or one for all of them: a cache that several watches fill would lose the
/// others' objects whenever one of them starts anew.
fn scopes(namespaces: &[String]) -> Vec<Option<String>> {
    if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().cloned().map(Some).collect()
    }
}

/// Where the API server listens.
fn api_server(config: &Config) -> Option<ApiServer> {
    let url = &config.cluster_url;
    let usual = if url.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    Some(ApiServer {
        host: url.host()?.trim_matches(['[', ']']).to_owned(),
        port: url.port_u16().unwrap_or(usual),
    })
}

/// Who we are and where.
struct Introduced {
    cluster: String,
    user: Option<String>,
}

/// Asks until the API server answers: an operator that ends because of it would only be started
/// again.
async fn introduce(client: &Client) -> Introduced {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut attempt: u32 = 0;
    loop {
        let asked = async {
            let kube_system = namespaces.get("kube-system").await?;
            let user = own_user(client).await?;
            Ok::<_, kube::Error>(Introduced {
                cluster: kube_system.uid().unwrap_or_default(),
                user,
            })
        };
        match asked.await {
            Ok(introduced) => return introduced,
            Err(error) => {
                tracing::warn!("waiting for the API server: {error}");
                sleep(schedule::api_backoff(attempt)).await;
                attempt = attempt.saturating_add(1);
            }
        }
    }
}

async fn probe_api(client: Client, health: Arc<Health>) {
    loop {
        let answered = client.apiserver_version().await.is_ok();
        health.api_answered(answered);
        sleep(if answered {
            API_PROBE_PERIOD
        } else {
            Duration::from_secs(1)
        })
        .await;
    }
}

/// Waits for the signal, then for the runs: what may end by itself does, the rest is cancelled. Says
/// when the process has to be at its end.
async fn drain(
    mut controllers: JoinSet<()>,
    context: &Context,
    options: &Options,
    mut stopping: watch::Receiver<bool>,
) -> Instant {
    tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => {}
        // Without a signal controllers end only by a defect of theirs.
        () = all_ended(&mut controllers) => {
            tracing::error!("the watches ended by themselves");
            return Instant::now() + GRACE_RESERVE;
        }
    }
    let began = Instant::now();
    let patience = options.shutdown_grace.saturating_sub(GRACE_RESERVE);
    // A grace shorter than what is kept of it is too short to keep to.
    let deadline = began + options.shutdown_grace.max(GRACE_RESERVE);
    tracing::info!(
        grace_seconds = options.shutdown_grace.as_secs(),
        "stopping: no version is begun any more"
    );
    let ended = timeout_at(began + patience, all_ended(&mut controllers));
    if ended.await.is_ok() {
        return deadline;
    }
    let ended = async {
        tokio::select! {
            () = all_ended(&mut controllers) => {}
            () = cancel_again_and_again(context) => {}
        }
    };
    if timeout_at(deadline - LEASE_RESERVE, ended).await.is_err() {
        tracing::warn!("a run did not end in time; the server rolls it back");
    }
    deadline
}

async fn cancel_again_and_again(context: &Context) {
    loop {
        context.running.cancel_all().await;
        sleep(CANCEL_PERIOD).await;
    }
}

async fn all_ended(controllers: &mut JoinSet<()>) {
    while controllers.join_next().await.is_some() {}
}
