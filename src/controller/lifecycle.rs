//! Whether this process may work, and what is under way while it ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::postgres::Canceller;

/// How long cancelling may take before the process ends without it; the server notices a closed
/// connection by itself.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Leading or not, stopping or not.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    leading: watch::Receiver<bool>,
    stopping: watch::Receiver<bool>,
}

impl Lifecycle {
    /// From the election and the signal handler.
    #[must_use]
    pub fn new(leading: watch::Receiver<bool>, stopping: watch::Receiver<bool>) -> Self {
        Self { leading, stopping }
    }

    /// True while this process may begin something: an attempt, or the next version.
    #[must_use]
    pub fn may_start(&self) -> bool {
        self.is_leading() && !self.is_stopping()
    }

    /// True while this process holds the lease.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        *self.leading.borrow()
    }

    /// True once the process was asked to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

impl Lifecycle {
    /// Turns true when the process is asked to end.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }
}

/// The runs that can be cancelled.
#[derive(Default)]
pub struct Running {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    cancellers: HashMap<u64, Canceller>,
}

/// One run among the [`Running`]; it leaves them when this is dropped.
pub struct Registered {
    running: Arc<Running>,
    id: u64,
}

impl Running {
    /// Adds a run.
    #[must_use]
    pub fn register(self: &Arc<Self>, canceller: Canceller) -> Registered {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.next += 1;
        let id = entries.next;
        entries.cancellers.insert(id, canceller);
        Registered {
            running: Arc::clone(self),
            id,
        }
    }

    /// Cancels what runs: its version is rolled back by the server.
    pub async fn cancel_all(&self) {
        let cancellers: Vec<Canceller> = {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.cancellers.values().cloned().collect()
        };
        let cancelled = cancellers.iter().map(|canceller| async {
            match timeout(CANCEL_TIMEOUT, canceller.cancel()).await {
                Ok(Ok(())) => tracing::warn!("a run was cancelled: the shutdown grace is over"),
                Ok(Err(error)) => tracing::warn!("a run could not be cancelled: {error}"),
                Err(_) => tracing::warn!("a run could not be cancelled in time"),
            }
        });
        join_all(cancelled).await;
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.running
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .cancellers
            .remove(&self.id);
    }
}
