//! Runs of this process on one database, one after the other.
//!
//! The migration lock serialises runs of all processes. Waiting for it takes a connection and one of the places for
//! runs, so that a few databases with many resources would keep all others waiting. What this process works on
//! already it knows without asking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turnstile, OwnedMutexGuard};
use tokio::time::timeout;

use crate::postgres::Settings;

/// Where a database is, as a resource says it. Two ways to one database are two places; then the lock decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    host: String,
    port: u16,
    database: String,
}

impl Place {
    /// Where a run with these settings goes.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            host: settings.host.clone(),
            port: settings.port,
            database: settings.database.clone(),
        }
    }
}

/// The places that runs of this process are at, or wait for.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Place, Arc<Turnstile<()>>>>);

/// The turn of one run at a place; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    place: Place,
    guard: Option<OwnedMutexGuard<()>>,
    waited: Duration,
}

impl Turn {
    /// How long it was waited for.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// True when nobody else of this process works there.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.guard.is_some()
    }

    /// True for a turn at this place, had or waited for in vain.
    #[must_use]
    pub fn is_at(&self, place: &Place) -> bool {
        self.place == *place
    }
}

impl Turns {
    /// The turn at a place, if nobody else has it.
    #[must_use]
    pub fn try_take(&self, place: &Place) -> Option<Turn> {
        let guard = self.turnstile(place).try_lock_owned().ok()?;
        Some(Turn {
            place: place.clone(),
            guard: Some(guard),
            waited: Duration::ZERO,
        })
    }

    /// Waits for the turn at a place, first come, first served; after `patience` it is not ours.
    pub async fn wait(&self, place: Place, patience: Duration) -> Turn {
        let began = Instant::now();
        let turnstile = self.turnstile(&place);
        let guard = timeout(patience, turnstile.lock_owned()).await.ok();
        Turn {
            place,
            guard,
            waited: began.elapsed(),
        }
    }

    fn turnstile(&self, place: &Place) -> Arc<Turnstile<()>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is there, and nobody waits.
        places.retain(|_, turnstile| Arc::strong_count(turnstile) > 1);
        Arc::clone(places.entry(place.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(database: &str) -> Place {
        Place {
            host: "db".to_owned(),
            port: 5432,
            database: database.to_owned(),
        }
    }

    #[tokio::test]
    async fn one_at_a_time_and_others_are_not_kept_waiting() {
        let turns = Turns::default();
        let first = turns.try_take(&place("a")).expect("nobody is there");
        assert!(turns.try_take(&place("a")).is_none());
        assert!(turns.try_take(&place("b")).is_some());
        let in_vain = turns.wait(place("a"), Duration::from_millis(20)).await;
        assert!(!in_vain.is_ours());
        assert!(in_vain.waited() >= Duration::from_millis(20));
        assert!(in_vain.is_at(&place("a")) && !in_vain.is_at(&place("b")));
        let waiting = turns.wait(place("a"), Duration::from_mins(1));
        let (second, ()) = tokio::join!(waiting, async { drop(first) });
        assert!(second.is_ours());
        drop((second, in_vain));
        assert!(turns.try_take(&place("c")).is_some());
        assert_eq!(
            turns.0.lock().expect("no panic").len(),
            1,
            "places are forgotten"
        );
    }
}
