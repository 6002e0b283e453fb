//! When to look again, apart from what policy says. Pure but for the dice.

use std::time::Duration;

use super::fingerprint::Fingerprint;

/// Least pause before something is read again that the API server did not give.
const API_RETRY: Duration = Duration::from_secs(3);
/// Longest pause before a gate is read again.
const GATE_POLL: Duration = Duration::from_secs(30);
/// Longest pause between attempts to reach the API server.
const API_BACKOFF_MAX: Duration = Duration::from_secs(30);

/// A random number from 0 to 1, for jitter.
#[must_use]
pub fn random() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

/// Pause before another request, after one that the API server did not answer.
#[must_use]
pub fn api_retry() -> Duration {
    API_RETRY + API_RETRY.mul_f64(random())
}

/// Pause before objects are looked at again that a plan waits for: nothing tells of their changes.
#[must_use]
pub fn gate_poll() -> Duration {
    GATE_POLL.mul_f64(0.5 + random() / 2.0)
}

/// Pause before the attempt after `attempt` (counted from 0) to reach the API server.
#[must_use]
pub fn api_backoff(attempt: u32) -> Duration {
    let ceiling = Duration::from_secs(1 << attempt.min(5)).min(API_BACKOFF_MAX);
    ceiling.mul_f64(0.5 + random() / 2.0)
}

/// How long a resource is left alone that has nothing to do for `wait`: where no watch tells of
/// changes of what it refers to, a look at those comes in between. `None`: until something changes.
#[must_use]
pub fn next_look(
    wait: Duration,
    source_poll: Option<Duration>,
    fingerprint: &Fingerprint,
) -> Option<Duration> {
    let poll = source_poll.filter(|_| !fingerprint.is_empty());
    match poll {
        // A tenth more at most, so that many resources do not stay in step.
        Some(poll) => Some(wait.min(poll.mul_f64(1.0 + random() / 10.0))),
        None => (wait != Duration::MAX).then_some(wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fingerprint::Mark;
    use crate::controller::references::Reference;

    #[test]
    fn only_what_refers_to_something_is_looked_at_in_between() {
        let nothing = Fingerprint::default();
        let mut secret = Fingerprint::default();
        secret.set(Reference::secret("db"), Mark::Absent);
        let poll = Some(Duration::from_secs(30));
        let long = Duration::from_mins(10);
        assert_eq!(next_look(long, poll, &nothing), Some(long));
        assert_eq!(next_look(long, None, &secret), Some(long));
        assert_eq!(next_look(Duration::MAX, None, &secret), None);
        assert_eq!(next_look(Duration::MAX, poll, &nothing), None);
        let look = next_look(long, poll, &secret).expect("a look");
        assert!((30..=33).contains(&look.as_secs()), "{look:?}");
        let short = Duration::from_secs(2);
        assert_eq!(next_look(short, poll, &secret), Some(short));
    }
}
