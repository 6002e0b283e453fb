//! What is due for each resource, between two reconciles. Losing it costs one look at the database;
//! what must survive a restart is in status, and [`Memory`] is restored from there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;

use crate::api::v1alpha1::{DatabaseSchema, RECONCILE_ANNOTATION};

use super::context::Identity;
use super::fingerprint::Fingerprint;
use super::memory::Memory;

/// The last attempt at a resource.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The generation it was made for.
    pub generation: Option<i64>,
    /// The value of the annotation that asks for one.
    pub annotation: Option<String>,
    /// The objects it was made from.
    pub fingerprint: Fingerprint,
    /// What is remembered of the troubles of the resource.
    pub memory: Memory,
    /// When the next one is due; `None`: only on a change.
    pub due: Option<Instant>,
    /// `resourceVersion` of the resource as it was read for the attempt, or after our last write of
    /// its status.
    pub seen: Option<u64>,
}

/// All entries.
#[derive(Debug, Default)]
pub struct Agenda(Mutex<HashMap<Identity, Entry>>);

impl Agenda {
    /// The last attempt at a resource, if this process made one.
    #[must_use]
    pub fn get(&self, identity: &Identity) -> Option<Entry> {
        self.lock().get(identity).cloned()
    }

    /// Enters an attempt.
    pub fn put(&self, identity: Identity, entry: Entry) {
        self.lock().insert(identity, entry);
    }

    /// Strikes out the resources that are gone, and gives them back.
    pub fn take(&self, is_gone: impl Fn(&Identity) -> bool) -> Vec<(Identity, Entry)> {
        let mut entries = self.lock();
        entries
            .extract_if(|identity, _| is_gone(identity))
            .collect()
    }

    /// Strikes out everything: another replica worked in the meantime.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of the annotation that asks for an attempt.
#[must_use]
pub fn annotation(resource: &DatabaseSchema) -> Option<&str> {
    resource
        .annotations()
        .get(RECONCILE_ANNOTATION)
        .map(String::as_str)
}

impl Entry {
    /// How long there is nothing to do for `resource`, as far as the resource itself goes; `None`
    /// when there is something to do, the longest wait when only a change brings it on.
    #[must_use]
    pub fn rest(&self, resource: &DatabaseSchema, now: Instant) -> Option<Duration> {
        let same_wish = self.generation == resource.metadata.generation
            && self.annotation.as_deref() == annotation(resource);
        if !same_wish || self.was_written_by_others(resource) {
            return None;
        }
        match self.due {
            None => Some(Duration::MAX),
            Some(due) => due
                .checked_duration_since(now)
                .filter(|wait| !wait.is_zero()),
        }
    }

    /// True when somebody else wrote the resource after us. With the wish unchanged that was status
    /// or metadata; an attempt puts a status right that somebody wrote into.
    fn was_written_by_others(&self, resource: &DatabaseSchema) -> bool {
        match (resource_version(resource), self.seen) {
            (Some(now), Some(seen)) => now > seen,
            _ => false,
        }
    }
}

/// The `resourceVersion` as a number. The API server promises since 1.35 that it is one and grows; it
/// always did.
#[must_use]
pub fn resource_version(resource: &DatabaseSchema) -> Option<u64> {
    resource.metadata.resource_version.as_deref()?.parse().ok()
}
