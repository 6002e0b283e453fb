//! What is due for each resource, between two reconciles. Losing it costs one look at the database;
//! what must survive a restart is in status, and [`Memory`] is restored from there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;

use crate::api::time::Time;
use crate::api::v1alpha1::{DatabaseSchema, DatabaseSchemaStatus, RECONCILE_ANNOTATION};

use super::context::Identity;
use super::decisions::{Handled, asked};
use super::fingerprint::Fingerprint;
use super::memory::Memory;
use super::policy::backs_off;
use super::told::Told;

/// Least time after an attempt before a status is put right that somebody else wrote into: two
/// operators on one resource must not drive each other.
const REPAIR_AFTER: Duration = Duration::from_secs(10);

/// The last attempt at a resource.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The generation it was made for.
    pub generation: Option<i64>,
    /// The annotations by which a person asked for something.
    pub asked: Handled,
    /// The objects it was made from.
    pub fingerprint: Fingerprint,
    /// What is remembered of the troubles of the resource.
    pub memory: Memory,
    /// When it ended.
    pub ended: Instant,
    /// The status as we wrote it.
    pub status: DatabaseSchemaStatus,
    /// When the next one is due; `None`: only on a change.
    pub due: Option<Instant>,
    /// `resourceVersion` of the resource as it was read for the attempt, or after our last write of
    /// its status.
    pub seen: Option<u64>,
    /// What nobody was told of it, because its status is not known to be written.
    pub untold: Option<Told>,
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
        let same_wish =
            self.generation == resource.metadata.generation && self.asked == asked(resource);
        if !same_wish {
            return None;
        }
        let due = if self.is_to_be_put_right(resource) {
            let repair = self.ended.checked_add(REPAIR_AFTER);
            [self.due, repair].into_iter().flatten().min()
        } else {
            self.due
        };
        match due {
            None => Some(Duration::MAX),
            Some(due) => due
                .checked_duration_since(now)
                .filter(|wait| !wait.is_zero()),
        }
    }

    /// True when somebody else wrote into status after us; an attempt puts it right. While a trouble
    /// is backed off from, its next attempt does so.
    fn is_to_be_put_right(&self, resource: &DatabaseSchema) -> bool {
        let written_after_us = match (resource_version(resource), self.seen) {
            (Some(now), Some(seen)) => now > seen,
            _ => false,
        };
        written_after_us
            && !self.memory.reason().is_some_and(backs_off)
            && timeless(resource.status.clone().unwrap_or_default())
                != timeless(self.status.clone())
    }
}

/// What a status says apart from counts and times, in which two operators that see the same differ.
fn timeless(mut status: DatabaseSchemaStatus) -> DatabaseSchemaStatus {
    let never = Time::new(jiff::Timestamp::UNIX_EPOCH);
    for condition in &mut status.conditions {
        condition.last_transition_time = never;
    }
    if let Some(failure) = &mut status.failure {
        failure.first_time = never;
        failure.attempts = None;
        failure.next_retry_time = None;
    }
    status
}

/// The `resourceVersion` as a number. The API server promises since 1.35 that it is one and grows; it
/// always did.
#[must_use]
pub fn resource_version(resource: &DatabaseSchema) -> Option<u64> {
    resource.metadata.resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::v1alpha1::{ACCEPT_ANNOTATION, TAKEOVER_ANNOTATION};

    const SOON: Duration = Duration::from_secs(3);

    /// The resource at `version`, with this Ready and this failure.
    fn resource(version: u64, ready: &str, failure: &Value) -> DatabaseSchema {
        let resource = json!({
            "apiVersion": "schemaward.dev/v1alpha1",
            "kind": "DatabaseSchema",
            "metadata": {"name": "shop", "generation": 3, "resourceVersion": version.to_string()},
            "spec": {
                "source": {"configMaps": [{"name": "files"}]},
                "connection": {
                    "host": {"value": "db"},
                    "database": {"value": "shop"},
                    "username": {"value": "shop"},
                },
            },
            "status": {
                "observedGeneration": 3,
                "failure": failure,
                "conditions": [{
                    "type": "Ready",
                    "status": if ready == "UpToDate" { "True" } else { "False" },
                    "reason": ready,
                    "message": "words",
                    "lastTransitionTime": format!("2026-03-01T12:00:{:02}Z", version % 60),
                }],
            },
        });
        serde_json::from_value(resource).unwrap()
    }

    fn failure(reason: &str, attempts: u32) -> Value {
        json!({
            "reason": reason,
            "message": "words",
            "firstTime": format!("2026-03-01T12:00:{attempts:02}Z"),
            "attempts": attempts,
        })
    }

    fn entry(resource: &DatabaseSchema, ended: Instant, due: Duration) -> Entry {
        let status = resource.status.clone().unwrap();
        Entry {
            generation: resource.metadata.generation,
            asked: Handled::new(),
            fingerprint: Fingerprint::default(),
            memory: Memory::restore(&status),
            ended,
            status,
            due: ended.checked_add(due),
            seen: resource_version(resource),
            untold: None,
        }
    }

    #[test]
    fn another_operator_on_the_same_trouble_does_not_bring_the_next_attempt_forward() {
        let now = Instant::now();
        for reason in ["DatabaseUnreachable", "AuthenticationFailed"] {
            let entry = entry(&resource(7, reason, &failure(reason, 1)), now, SOON);
            let theirs = resource(8, reason, &failure(reason, 5));
            assert_eq!(entry.rest(&theirs, now), Some(SOON), "{reason}");
            // Nor when it saw something else.
            let theirs = resource(8, "LockHeld", &failure("LockHeld", 1));
            assert_eq!(entry.rest(&theirs, now), Some(SOON), "{reason}");
            assert_eq!(entry.rest(&theirs, now + SOON), None, "{reason}");
        }
    }

    #[test]
    fn a_status_that_somebody_wrote_into_is_put_right_and_not_in_a_hurry() {
        let now = Instant::now();
        let long = Duration::from_mins(10);
        let entry = entry(&resource(7, "UpToDate", &Value::Null), now, long);
        let theirs = resource(8, "LockHeld", &failure("LockHeld", 1));
        assert_eq!(entry.rest(&theirs, now), Some(REPAIR_AFTER));
        assert_eq!(entry.rest(&theirs, now + REPAIR_AFTER), None);
        let older = resource(6, "LockHeld", &failure("LockHeld", 1));
        assert_eq!(entry.rest(&older, now), Some(long), "ours is newer");
        let labelled = resource(8, "UpToDate", &Value::Null);
        assert_eq!(entry.rest(&labelled, now), Some(long), "only metadata");
    }

    #[test]
    fn a_wish_that_changed_waits_for_nothing() {
        let now = Instant::now();
        let reason = "DatabaseUnreachable";
        let before = resource(7, reason, &failure(reason, 1));
        let entry = entry(&before, now, SOON);
        let mut changed = before.clone();
        changed.metadata.generation = Some(4);
        assert_eq!(entry.rest(&changed, now), None);
        let mut asked = before;
        for name in [RECONCILE_ANNOTATION, ACCEPT_ANNOTATION, TAKEOVER_ANNOTATION] {
            let annotations = [(name.to_owned(), "now".to_owned())];
            asked.metadata.annotations = Some(annotations.into());
            assert_eq!(entry.rest(&asked, now), None, "{name}");
        }
    }
}
