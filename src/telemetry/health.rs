//! Whether the operator is ready, and why not.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What readiness is made of. Leading does not count: a standby is as ready as the leader.
#[derive(Debug, Default)]
pub struct Health {
    api_reachable: AtomicBool,
    caches_expected: AtomicUsize,
    caches_filled: AtomicUsize,
    leading: AtomicBool,
}

impl Health {
    /// Says whether the API server answered last time.
    pub fn api_answered(&self, answered: bool) {
        self.api_reachable.store(answered, Ordering::Relaxed);
    }

    /// Says how many caches there will be.
    pub fn expect_caches(&self, count: usize) {
        self.caches_expected.store(count, Ordering::Relaxed);
    }

    /// One more cache is filled.
    pub fn cache_filled(&self) {
        self.caches_filled.fetch_add(1, Ordering::Relaxed);
    }

    /// Says whether this replica leads.
    pub fn leading(&self, leading: bool) {
        self.leading.store(leading, Ordering::Relaxed);
    }

    /// Ready or not, and a line a fact for whoever asks.
    #[must_use]
    pub fn readiness(&self) -> (bool, String) {
        let api = self.api_reachable.load(Ordering::Relaxed);
        let expected = self.caches_expected.load(Ordering::Relaxed);
        let filled = self.caches_filled.load(Ordering::Relaxed);
        let caches = expected > 0 && filled >= expected;
        let mut text = String::new();
        for (fact, holds) in [("API server reachable", api), ("caches filled", caches)] {
            let _ = writeln!(text, "[{}] {fact}", if holds { "+" } else { "-" });
        }
        let role = if self.leading.load(Ordering::Relaxed) {
            "leading"
        } else {
            "standing by"
        };
        let _ = writeln!(text, "[i] {role}");
        (api && caches, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_the_api_and_the_caches_but_not_the_lease() {
        let health = Health::default();
        assert!(!health.readiness().0);
        health.expect_caches(1);
        health.api_answered(true);
        assert!(!health.readiness().0);
        health.cache_filled();
        assert!(health.readiness().0);
        health.api_answered(false);
        assert!(!health.readiness().0);
    }
}
