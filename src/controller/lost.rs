//! A script that may be what ends the connection: counted from attempt to attempt, and not run again by
//! itself when that was so too often in a row (`PoisonMigration`). Pure.

use crate::api::condition::Reason;
use crate::api::v1alpha1::{Failure, MigrationDirection};
use crate::engine::outcome::{End, Outcome, Stop};

use super::attempt::Attempt;
use super::verdict::{Concerned, Verdict};
use super::wording;

/// So many attempts in a row that lost the connection in the same script: a failover or a restart does not
/// come thrice at the same place.
pub const POISON_AFTER: u32 = 3;

/// The script in which the connection was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostScript {
    version: String,
    name: Option<String>,
    direction: Option<MigrationDirection>,
    /// SHA-256 of its text.
    checksum: Option<String>,
    /// In how many attempts in a row.
    times: u32,
}

impl LostScript {
    /// As a status remembers it.
    #[must_use]
    pub fn restore(failure: &Failure) -> Option<Self> {
        let times = failure.connections_lost?;
        Some(Self {
            version: failure.version.clone()?,
            name: failure.name.clone(),
            direction: failure.direction,
            checksum: failure.checksum.clone(),
            times: u32::try_from(times).ok()?,
        })
    }

    /// What is remembered after an attempt that was judged as `verdict`. Attempts that ran no script (the
    /// server was still down, another run held the lock) are none of the row, and end none.
    #[must_use]
    pub fn after(before: Option<&Self>, attempt: &Attempt, verdict: &Verdict) -> Option<Self> {
        match (&verdict.subject, verdict.reason) {
            (Some(subject), Reason::ConnectionLost) => {
                let earlier = before.filter(|lost| lost.is(subject));
                Some(Self {
                    version: subject.version.clone(),
                    name: subject.name.clone(),
                    direction: subject.direction,
                    checksum: subject.checksum.clone(),
                    times: earlier.map_or(1, |lost| lost.times.saturating_add(1)),
                })
            }
            _ if ran_to_an_end(attempt) => None,
            _ => before.cloned(),
        }
    }

    fn is(&self, subject: &Concerned) -> bool {
        (&self.version, self.direction, &self.checksum)
            == (&subject.version, subject.direction, &subject.checksum)
    }

    /// In how many attempts in a row the connection was lost.
    #[must_use]
    pub fn times(&self) -> u32 {
        self.times
    }

    /// True when it is not run again by itself.
    #[must_use]
    pub fn is_poison(&self) -> bool {
        self.times >= POISON_AFTER
    }

    /// `verdict`, or what it comes to when the connection was lost too often in the script it is about.
    #[must_use]
    pub fn judge(&self, verdict: Verdict) -> Verdict {
        let is_about_it = verdict.reason == Reason::ConnectionLost
            && verdict
                .subject
                .as_ref()
                .is_some_and(|subject| self.is(subject));
        if !is_about_it || !self.is_poison() {
            return verdict;
        }
        Verdict {
            reason: Reason::PoisonMigration,
            message: wording::poison(
                &self.version,
                self.name.as_deref().unwrap_or_default(),
                self.times,
                verdict.remains.as_deref(),
            ),
            ..verdict
        }
    }

    /// Has status remember it: a trouble that is about no version names this one.
    pub fn note(&self, failure: &mut Failure) {
        let is_about_it =
            failure.version.is_none() || failure.version.as_ref() == Some(&self.version);
        if is_about_it {
            failure.version = Some(self.version.clone());
            failure.name.clone_from(&self.name);
            failure.direction = self.direction;
            failure.checksum.clone_from(&self.checksum);
            failure.connections_lost = i32::try_from(self.times).ok();
        }
    }
}

/// True when a script was executed and something else came of it than a lost connection.
fn ran_to_an_end(attempt: &Attempt) -> bool {
    let Attempt::Ran(outcome) = attempt else {
        return false;
    };
    let outcome: &Outcome = outcome;
    let ended = matches!(
        outcome.end(),
        End::Reached | End::Stopped(Stop::Script(_) | Stop::LockTimeout(_))
    );
    ended || !outcome.done().is_empty()
}
