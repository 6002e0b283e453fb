//! Leading, by the election or alone, and everybody who is told.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::telemetry::health::Health;
use crate::telemetry::metrics::Metrics;

use super::lease::{self, LeaseName};

/// How long giving the lease back may take.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Taking part in the election, or leading alone.
pub struct Election {
    leading: watch::Receiver<bool>,
    end: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Election {
    /// Begins. Without a lease this process leads at once and until the end.
    #[must_use]
    pub fn start(
        client: &Client,
        lease: Option<LeaseName>,
        health: &Arc<Health>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let (sender, leading) = watch::channel(lease.is_none());
        let (end, ended) = watch::channel(false);
        let mut tasks = vec![tokio::spawn(show_leading(
            leading.clone(),
            Arc::clone(health),
            Arc::clone(metrics),
        ))];
        match lease {
            Some(lease) => tasks.push(tokio::spawn(lease::elect(
                client.clone(),
                lease,
                sender,
                ended,
            ))),
            // Keeps the channel open: whoever leads alone leads until the end.
            None => tasks.push(tokio::spawn(async move {
                sender.closed().await;
            })),
        }
        Self {
            leading,
            end,
            tasks,
        }
    }

    /// Whether this process leads.
    #[must_use]
    pub fn leading(&self) -> watch::Receiver<bool> {
        self.leading.clone()
    }

    /// Gives the lease back.
    pub async fn end(self) {
        let Self {
            leading,
            end,
            tasks,
        } = self;
        end.send_replace(true);
        drop(leading);
        let ending = tasks.into_iter().map(|task| async move {
            if timeout(END_TIMEOUT, task).await.is_err() {
                tracing::debug!("the election did not end in time");
            }
        });
        join_all(ending).await;
    }
}

async fn show_leading(
    mut leading: watch::Receiver<bool>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
) {
    loop {
        let now = *leading.borrow_and_update();
        health.leading(now);
        metrics.leading(now);
        if leading.changed().await.is_err() {
            return;
        }
    }
}
