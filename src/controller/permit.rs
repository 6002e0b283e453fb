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
    /// For a run on `resource`, which was read at `read_at`. Looks once before it comes back: fetching
    /// and connecting may have taken long.
    pub async fn for_run(
        lifecycle: Lifecycle,
        api: Api<DatabaseSchema>,
        resource: &DatabaseSchema,
        read_at: Instant,
    ) -> Self {
        let state = Arc::new(State {
            revoked: AtomicBool::new(false),
            seen_at: Mutex::new(read_at),
        });
        let look = Look {
            api,
            name: resource.name_any(),
            uid: resource.metadata.uid.clone(),
            generation: resource.metadata.generation,
            state: Arc::clone(&state),
        };
        look.once().await;
        let looking = tokio::spawn(look.again_and_again());
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

    /// True as long as the resource was not seen to be another one, suspended or deleted: for what changes nothing,
    /// and may go on whether the API server answers or not.
    #[must_use]
    pub fn is_unrevoked(&self) -> bool {
        !self.state.revoked.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// How the resource is looked at, and what came of it.
struct Look {
    api: Api<DatabaseSchema>,
    name: String,
    uid: Option<String>,
    generation: Option<i64>,
    state: Arc<State>,
}

impl Look {
    async fn again_and_again(self) {
        while !self.state.revoked.load(Ordering::Relaxed) {
            sleep(LOOK_PERIOD).await;
            self.once().await;
        }
    }

    /// Notes what the resource is now; an API server that does not answer changes nothing.
    async fn once(&self) {
        let sent_at = Instant::now();
        let found = timeout(LOOK_TIMEOUT, self.api.get_metadata_opt(&self.name));
        let Ok(Ok(found)) = found.await else {
            return;
        };
        let unchanged = found.is_some_and(|found| {
            found.metadata.uid == self.uid
                && found.metadata.generation == self.generation
                && found.metadata.deletion_timestamp.is_none()
        });
        if unchanged {
            let mut seen_at = self
                .state
                .seen_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *seen_at = sent_at;
        } else {
            self.state.revoked.store(true, Ordering::Relaxed);
        }
    }
}
