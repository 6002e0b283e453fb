//! Whether a run that is under way may begin its next version.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::{Api, ResourceExt};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::api::v1alpha1::DatabaseSchema;

use super::lifecycle::Lifecycle;

/// Pause between two looks at the resource.
const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// One look takes no longer than this.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a look that worked for this long, nothing new begins: what the resource wants may have
/// changed.
const LOOK_MAX_AGE: Duration = Duration::from_mins(1);

/// Holds as long as the resource is still the one that the run was started for: same uid, same
/// generation (so not suspended since), not being deleted, and this process may work.
#[derive(Debug)]
pub struct Permit {
    lifecycle: Lifecycle,
    state: Arc<State>,
    looking: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    revoked: AtomicBool,
    seen_at: Mutex<Instant>,
}

impl Permit {
    /// For a run on `resource`, which was read just now.
    #[must_use]
    pub fn for_run(
        lifecycle: Lifecycle,
        api: Api<DatabaseSchema>,
        resource: &DatabaseSchema,
    ) -> Self {
        let state = Arc::new(State {
            revoked: AtomicBool::new(false),
            seen_at: Mutex::new(Instant::now()),
        });
        let looking = tokio::spawn(look(
            api,
            resource.name_any(),
            resource.metadata.uid.clone(),
            resource.metadata.generation,
            Arc::clone(&state),
        ));
        Self {
            lifecycle,
            state,
            looking,
        }
    }

    /// True when the next version may begin.
    #[must_use]
    pub fn holds(&self) -> bool {
        let seen_at = *self
            .state
            .seen_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.lifecycle.may_start()
            && !self.state.revoked.load(Ordering::Relaxed)
            && seen_at.elapsed() < LOOK_MAX_AGE
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn look(
    api: Api<DatabaseSchema>,
    name: String,
    uid: Option<String>,
    generation: Option<i64>,
    state: Arc<State>,
) {
    loop {
        sleep(LOOK_PERIOD).await;
        let sent_at = Instant::now();
        let Ok(Ok(found)) = timeout(LOOK_TIMEOUT, api.get_metadata_opt(&name)).await else {
            continue;
        };
        let unchanged = found.is_some_and(|found| {
            found.metadata.uid == uid
                && found.metadata.generation == generation
                && found.metadata.deletion_timestamp.is_none()
        });
        if !unchanged {
            state.revoked.store(true, Ordering::Relaxed);
            return;
        }
        *state.seen_at.lock().unwrap_or_else(PoisonError::into_inner) = sent_at;
    }
}
