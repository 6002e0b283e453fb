//! Leader election on a `coordination.k8s.io/v1` Lease.
//!
//! The lease only keeps two replicas from doing the same work; the lock in the database is what keeps
//! them from harming each other. Every write is guarded by the `resourceVersion` that was read, and
//! expiry is judged by our own monotonic clock from when we saw the lease change, never by comparing
//! clocks of two machines. (kube-lease-manager 0.13 was read for this: it compares the holder's
//! wall-clock time with the local one and patches without a `resourceVersion`.)

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long others leave the lease to a holder that does not renew it. A standby takes over at the
/// latest this long and one look after the leader's death.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long a holder goes on without a renewal that worked.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between renewals.
const RENEW_PERIOD: Duration = Duration::from_secs(5);
/// Pause between two looks of a standby, and between attempts after trouble.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// One request takes no longer than this.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// Where the lease is, and who we are.
#[derive(Debug, Clone)]
pub struct LeaseName {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Unique to this process.
    pub identity: String,
}

/// What to do about the lease as it was just seen.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// It does not exist.
    Create,
    /// It is ours.
    Renew,
    /// It is free, or its holder let it expire.
    Take,
    /// Somebody else has it.
    Wait,
}

fn turn(spec: Option<&LeaseSpec>, identity: &str, unchanged_for: Duration) -> Turn {
    let Some(spec) = spec else {
        return Turn::Create;
    };
    match spec.holder_identity.as_deref() {
        None | Some("") => Turn::Take,
        Some(holder) if holder == identity => Turn::Renew,
        Some(_) => {
            let granted = spec
                .lease_duration_seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map_or(LEASE_DURATION, Duration::from_secs);
            if unchanged_for >= granted {
                Turn::Take
            } else {
                Turn::Wait
            }
        }
    }
}

/// Takes part in the election until `stop` turns true, then gives the lease back. `leading` always
/// says whether this process may start work.
pub async fn elect(
    client: Client,
    lease: LeaseName,
    leading: watch::Sender<bool>,
    mut stop: watch::Receiver<bool>,
) {
    let mut candidate = Candidate {
        api: Api::namespaced(client, &lease.namespace),
        lease,
        seen: None,
        renewed_at: None,
        trouble: None,
    };
    loop {
        let pause = candidate.round(&leading).await;
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            () = sleep(pause) => {}
        }
    }
    if leading.send_replace(false) {
        candidate.release().await;
    }
}

/// Makes `held` known where it is news, and says whether it was: a renewal begins no new term, and who
/// is told of one starts anew.
fn tell(leading: &watch::Sender<bool>, held: bool) -> bool {
    leading.send_if_modified(|before| std::mem::replace(before, held) != held)
}

struct Candidate {
    api: Api<Lease>,
    lease: LeaseName,
    /// The `resourceVersion` seen last, and when it was new to us.
    seen: Option<(String, Instant)>,
    /// When the last renewal that worked was sent.
    renewed_at: Option<Instant>,
    /// The trouble that was logged last, so that it is logged once.
    trouble: Option<String>,
}

impl Candidate {
    /// One look at the lease and what follows from it; says how long to pause.
    async fn round(&mut self, leading: &watch::Sender<bool>) -> Duration {
        let sent_at = Instant::now();
        match timeout(REQUEST_TIMEOUT, self.take_turn()).await {
            Ok(Ok(held)) => {
                self.trouble = None;
                self.renewed_at = held.then_some(sent_at);
                self.announce(leading, held);
            }
            Ok(Err(error)) => self.in_trouble(leading, &error.to_string()),
            Err(_) => self.in_trouble(leading, "the API server did not answer in time"),
        }
        if *leading.borrow() && self.trouble.is_none() {
            RENEW_PERIOD
        } else {
            LOOK_PERIOD
        }
    }

    fn announce(&self, leading: &watch::Sender<bool>, held: bool) {
        if tell(leading, held) {
            let lease = format!("{}/{}", self.lease.namespace, self.lease.name);
            if held {
                tracing::info!(lease, identity = self.lease.identity, "leading");
            } else {
                tracing::warn!(lease, "lost the lease; standing by");
            }
        }
    }

    fn in_trouble(&mut self, leading: &watch::Sender<bool>, trouble: &str) {
        if self.trouble.as_deref() != Some(trouble) {
            tracing::warn!(
                lease = format!("{}/{}", self.lease.namespace, self.lease.name),
                "the lease cannot be read or written: {trouble}"
            );
            self.trouble = Some(trouble.to_owned());
        }
        if self
            .renewed_at
            .is_none_or(|at| at.elapsed() >= RENEW_DEADLINE)
        {
            self.renewed_at = None;
            self.announce(leading, false);
        }
    }

    /// True when the lease is ours afterwards.
    async fn take_turn(&mut self) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.lease.name).await?;
        let unchanged_for = self.unchanged_for(found.as_ref());
        // A lease without a spec is one that somebody prepared for us to fill.
        let spec = found
            .as_ref()
            .map(|lease| lease.spec.clone().unwrap_or_default());
        let turn = turn(spec.as_ref(), &self.lease.identity, unchanged_for);
        let metadata = match (&turn, found) {
            (Turn::Wait, _) => return Ok(false),
            (_, Some(lease)) => lease.metadata,
            (_, None) => ObjectMeta {
                name: Some(self.lease.name.clone()),
                ..ObjectMeta::default()
            },
        };
        let wanted = Lease {
            metadata,
            spec: Some(self.held(&spec.unwrap_or_default(), &turn)),
        };
        let parameters = PostParams::default();
        let written = if turn == Turn::Create {
            self.api.create(&parameters, &wanted).await
        } else {
            self.api
                .replace(&self.lease.name, &parameters, &wanted)
                .await
        };
        match written {
            Ok(_) => Ok(true),
            // Somebody was faster: the next look tells who.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn unchanged_for(&mut self, lease: Option<&Lease>) -> Duration {
        let version = lease.and_then(|lease| lease.metadata.resource_version.clone());
        match (version, &self.seen) {
            (Some(version), Some((seen, since))) if version == *seen => since.elapsed(),
            (Some(version), _) => {
                self.seen = Some((version, Instant::now()));
                Duration::ZERO
            }
            (None, _) => {
                self.seen = None;
                Duration::ZERO
            }
        }
    }

    fn held(&self, before: &LeaseSpec, turn: &Turn) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let transitions = before.lease_transitions.unwrap_or(0);
        let mut spec = LeaseSpec {
            holder_identity: Some(self.lease.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            renew_time: Some(now.clone()),
            acquire_time: before.acquire_time.clone(),
            lease_transitions: Some(transitions),
            ..before.clone()
        };
        if *turn != Turn::Renew {
            spec.acquire_time = Some(now);
            spec.lease_transitions = Some(transitions.saturating_add(1));
        }
        spec
    }

    /// Gives the lease back, so that a standby takes over at its next look.
    async fn release(&mut self) {
        let released = timeout(REQUEST_TIMEOUT, async {
            let Some(mut lease) = self.api.get_opt(&self.lease.name).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(&self.lease.identity) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            self.api
                .replace(&self.lease.name, &PostParams::default(), &lease)
                .await
                .map(|_| ())
        });
        match released.await {
            Ok(Ok(())) => tracing::info!("lease released"),
            Ok(Err(error)) => tracing::warn!("the lease was not released, it expires: {error}"),
            Err(_) => tracing::warn!("the lease was not released in time, it expires"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(holder: &str) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_taken_only_when_free_or_expired_by_our_own_clock() {
        let short = Duration::from_secs(14);
        let long = Duration::from_secs(15);
        for (spec, unchanged_for, expected) in [
            (None, short, Turn::Create),
            (Some(LeaseSpec::default()), short, Turn::Take),
            (Some(held_by("")), short, Turn::Take),
            (Some(held_by("me")), long, Turn::Renew),
            (Some(held_by("other")), short, Turn::Wait),
            (Some(held_by("other")), long, Turn::Take),
        ] {
            assert_eq!(
                turn(spec.as_ref(), "me", unchanged_for),
                expected,
                "{spec:?}"
            );
        }
    }

    #[test]
    fn a_renewal_is_no_news() {
        let (sender, mut leading) = watch::channel(false);
        assert!(tell(&sender, true));
        assert!(*leading.borrow_and_update());
        assert!(!tell(&sender, true));
        assert_eq!(leading.has_changed().ok(), Some(false));
        assert!(tell(&sender, false));
        assert_eq!(leading.has_changed().ok(), Some(true));
    }

    #[test]
    fn the_holder_s_own_duration_counts() {
        let mut spec = held_by("other");
        spec.lease_duration_seconds = Some(60);
        assert_eq!(turn(Some(&spec), "me", Duration::from_secs(30)), Turn::Wait);
    }
}
