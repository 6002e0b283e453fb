//! The operator's metrics; docs/metrics.md describes each.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByReason {
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByResource {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByResourceAndReason {
    namespace: String,
    name: String,
    reason: String,
}

/// All metrics of the operator. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ByReason, Counter>,
    run_duration: Histogram,
    applied: Family<ByResource, Counter>,
    undone: Family<ByResource, Counter>,
    resources: Family<ByResourceAndReason, Gauge>,
    /// Of each resource the one reason that `resources` has: an attempt whose status is not written is not counted,
    /// so that the attempt before is not always the one that was counted last.
    reasons: Mutex<HashMap<ByResource, ByResourceAndReason>>,
    leader: Gauge,
    status_write_failures: Counter<u64, AtomicU64>,
}

/// From a run that finds nothing to do (some milliseconds) to an index on a large table.
const RUN_BUCKETS: [f64; 10] = [0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("schemaward");
        let metrics = Self {
            reconciles: Family::default(),
            run_duration: Histogram::new(RUN_BUCKETS),
            applied: Family::default(),
            undone: Family::default(),
            resources: Family::default(),
            reasons: Mutex::default(),
            leader: Gauge::default(),
            status_write_failures: Counter::default(),
            registry: Registry::default(),
        };
        registry.register(
            "reconciles",
            "Attempts at a DatabaseSchema, by the reason that the attempt ended with",
            metrics.reconciles.clone(),
        );
        registry.register_with_unit(
            "run_duration",
            "Time of one run on a database, from connecting to the last answer",
            Unit::Seconds,
            metrics.run_duration.clone(),
        );
        registry.register(
            "versions_applied",
            "Versions applied (UP) and recorded",
            metrics.applied.clone(),
        );
        registry.register(
            "versions_undone",
            "Versions undone (DOWN) and taken from the record",
            metrics.undone.clone(),
        );
        registry.register(
            "resource_reason",
            "1 for the reason of the Ready condition that a DatabaseSchema has now",
            metrics.resources.clone(),
        );
        registry.register(
            "leader",
            "1 while this replica holds the lease and reconciles, else 0",
            metrics.leader.clone(),
        );
        registry.register(
            "status_write_failures",
            "Status writes that the API server did not take",
            metrics.status_write_failures.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// Counts an attempt, and takes its reason as the one that the resource has now.
    pub fn attempt(&self, namespace: &str, name: &str, reason: &str) {
        let by_reason = ByReason {
            reason: reason.to_owned(),
        };
        self.reconciles.get_or_create(&by_reason).inc();
        let labels = ByResourceAndReason {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let before = self
            .reasons()
            .insert(resource(namespace, name), labels.clone());
        if let Some(before) = before.filter(|before| *before != labels) {
            self.resources.remove(&before);
        }
        self.resources.get_or_create(&labels).set(1);
    }

    /// Forgets a resource; its counters stay until the process ends.
    pub fn forget(&self, namespace: &str, name: &str) {
        if let Some(labels) = self.reasons().remove(&resource(namespace, name)) {
            self.resources.remove(&labels);
        }
    }

    fn reasons(&self) -> MutexGuard<'_, HashMap<ByResource, ByResourceAndReason>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in how long a run on a database took.
    pub fn run(&self, duration: Duration) {
        self.run_duration.observe(duration.as_secs_f64());
    }

    /// Counts versions that were applied and undone.
    pub fn versions(&self, namespace: &str, name: &str, applied: u64, undone: u64) {
        let labels = resource(namespace, name);
        if applied > 0 {
            self.applied.get_or_create(&labels).inc_by(applied);
        }
        if undone > 0 {
            self.undone.get_or_create(&labels).inc_by(undone);
        }
    }

    /// Says whether this replica leads. One that does not knows no reasons: the leader tells them.
    pub fn leading(&self, leading: bool) {
        self.leader.set(i64::from(leading));
        if !leading {
            self.reasons().clear();
            self.resources.clear();
        }
    }

    /// Counts a status write that failed.
    pub fn status_write_failed(&self) {
        self.status_write_failures.inc();
    }

    /// The metrics in the `OpenMetrics` text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail; what is there is the best answer in any case.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn resource(namespace: &str, name: &str) -> ByResource {
    ByResource {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_one_reason_at_a_time() {
        let metrics = Metrics::default();
        metrics.attempt("shop", "orders", "LockHeld");
        metrics.attempt("shop", "orders", "UpToDate");
        let text = metrics.render();
        assert!(
            text.contains(
                r#"schemaward_resource_reason{namespace="shop",name="orders",reason="UpToDate"} 1"#
            ),
            "{text}"
        );
        assert!(
            !text.contains(r#"name="orders",reason="LockHeld""#),
            "{text}"
        );
        assert!(text.contains(r#"schemaward_reconciles_total{reason="LockHeld"} 1"#));
    }

    #[test]
    fn a_lost_lease_leaves_no_gauge_and_keeps_the_counters() {
        let metrics = Metrics::default();
        metrics.leading(true);
        metrics.attempt("shop", "orders", "UpToDate");
        metrics.leading(false);
        let text = metrics.render();
        assert!(!text.contains("resource_reason{"), "{text}");
        assert!(text.contains(r#"schemaward_reconciles_total{reason="UpToDate"} 1"#));
    }

    #[test]
    fn a_deleted_resource_leaves_no_gauge() {
        let metrics = Metrics::default();
        metrics.attempt("shop", "orders", "UpToDate");
        metrics.forget("shop", "orders");
        assert!(!metrics.render().contains("resource_reason{"));
    }
}
