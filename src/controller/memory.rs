//! What is remembered of one resource from attempt to attempt, as plain data. Pure.
//!
//! It decides how long a trouble has lasted, and that a failed script is not run again by itself
//! (decision 11). After a restart of the operator it is rebuilt from status, which carries all of it.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::condition::Reason;
use crate::api::time::Time;
use crate::api::v1alpha1::{DatabaseSchemaStatus, Failure, MigrationDirection};
use crate::engine::outcome::{End, Outcome};
use crate::engine::task::Mode;
use crate::migration::plan::Step;

use super::attempt::Attempt;
use super::decisions::{Decided, Handled};
use super::lost::LostScript;
use super::policy::{Retry, backs_off, is_trouble, next_attempt, policy};
use super::status::{Subject, clip};
use super::step_script::step_script;
use super::verdict::{Verdict, verdict};

/// The memory of one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    last: Option<Met>,
    failed: Option<FailedScript>,
    lost: Option<LostScript>,
    decided: Decided,
}

/// A reason that was met, and how often in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Met {
    reason: Reason,
    since: Timestamp,
    attempts: u32,
}

/// A script that failed and must not be run again until something changed.
#[derive(Debug, Clone, PartialEq)]
struct FailedScript {
    reason: Reason,
    version: String,
    direction: MigrationDirection,
    /// SHA-256 of its text.
    checksum: Option<String>,
    /// The generation of the resource that it failed with.
    generation: Option<i64>,
    /// The value of the annotation that it failed with.
    reconcile: Option<String>,
    /// As status shows it.
    failure: Failure,
}

impl Memory {
    /// What a status of an earlier operator remembers.
    #[must_use]
    pub fn restore(status: &DatabaseSchemaStatus) -> Self {
        let Some((failure, reason)) = status
            .failure
            .as_ref()
            .and_then(|failure| Some((failure, Reason::parse(&failure.reason)?)))
        else {
            return Self {
                decided: Decided::restore(status),
                ..Self::default()
            };
        };
        let attempts = failure.attempts.and_then(|count| u32::try_from(count).ok());
        Self {
            last: Some(Met {
                reason,
                since: failure.first_time.get(),
                attempts: attempts.unwrap_or(1),
            }),
            failed: FailedScript::new(reason, failure, status.last_handled_reconcile.as_deref()),
            lost: LostScript::restore(failure),
            decided: Decided::restore(status),
        }
    }

    /// How far the next run may go. A failed script is run again when the resource changed or a
    /// person asked for it by the annotation, whose value is `reconcile`; otherwise the next run only
    /// looks (and see [`Memory::wants_migration`]).
    #[must_use]
    pub fn mode(&self, generation: i64, reconcile: Option<&str>) -> Mode {
        let Some(failed) = &self.failed else {
            return Mode::Migrate;
        };
        let asked = reconcile.map(clip);
        if asked.is_some() && asked != failed.reconcile {
            return Mode::Migrate;
        }
        if !failed.needs_a_person() && failed.generation != Some(generation) {
            return Mode::Migrate;
        }
        Mode::Plan
    }

    /// After a run that only looked: true when what would run next is not the script that failed, or
    /// no longer has the text that failed. What may have left something behind is not run on from,
    /// whatever would run next, until a person asks. Otherwise, when this is true, it is to be
    /// run at once; when not, what the look saw is to be reported.
    #[must_use]
    pub fn wants_migration(&self, outcome: &Outcome) -> bool {
        matches!(outcome.end(), End::Planned) && self.still_failed(outcome).is_none()
    }

    /// The script that failed, when it is still what would run next, or what a person has to look at.
    fn still_failed(&self, outcome: &Outcome) -> Option<&FailedScript> {
        let failed = self.failed.as_ref()?;
        if failed.needs_a_person() {
            return Some(failed);
        }
        let next = outcome.plan()?.steps.first()?;
        failed.is(next).then_some(failed)
    }

    /// The memory after an attempt. `mode` is that of the run, or [`Memory::mode`] when none ran.
    #[must_use]
    pub fn after(
        &self,
        subject: &Subject<'_>,
        mode: &Mode,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Self {
        if let Attempt::Ran(outcome) = attempt
            && matches!(outcome.end(), End::Planned)
            && let Some(failed) = self.still_failed(outcome)
        {
            return Self {
                last: Some(failed.met()),
                ..self.clone()
            };
        }
        let verdict = verdict(attempt);
        let lost = LostScript::after(self.lost.as_ref(), attempt, &verdict);
        let verdict = judge(lost.as_ref(), verdict);
        let met = self.meet(&verdict, lost.as_ref(), now);
        let failure = failure(&verdict, met, lost.as_ref(), subject.generation);
        let new = FailedScript::new(verdict.reason, &failure, subject.reconcile);
        let kept = match mode {
            // Nothing was learnt about the script.
            _ if matches!(attempt, Attempt::Suspended | Attempt::Bug(_)) => self.failed.clone(),
            // Nor by what kept a decision from being carried out.
            Mode::Decide(_) => self.failed.clone(),
            Mode::Plan if verdict.reason != Reason::UpToDate => self.failed.clone(),
            Mode::Plan | Mode::Initialize | Mode::Migrate => None,
        };
        Self {
            last: Some(met),
            failed: new.or(kept),
            lost,
            decided: self.decided.clone(),
        }
    }

    fn meet(&self, verdict: &Verdict, lost: Option<&LostScript>, now: Timestamp) -> Met {
        let reason = verdict.reason;
        match self.last {
            Some(met) if reason == Reason::PoisonMigration && backs_off(met.reason) => Met {
                reason,
                since: now,
                attempts: lost.map_or(1, LostScript::times),
            },
            Some(met) if met.reason == reason && !self.is_another_script(verdict) => Met {
                attempts: met.attempts.saturating_add(1),
                ..met
            },
            // A server that goes down and comes up shows many faces of one trouble.
            Some(met) if backs_off(met.reason) && backs_off(reason) => Met {
                reason,
                since: now,
                attempts: met.attempts.saturating_add(1),
            },
            _ => Met {
                reason,
                since: now,
                attempts: 1,
            },
        }
    }

    /// True when the attempt failed with another script than the one that failed before.
    fn is_another_script(&self, verdict: &Verdict) -> bool {
        let (Some(failed), Some(subject)) = (&self.failed, &verdict.subject) else {
            return false;
        };
        (&failed.version, Some(failed.direction), &failed.checksum)
            != (&subject.version, subject.direction, &subject.checksum)
    }

    /// This memory, with the failed script that `found` names, when this one has none. For a status
    /// that another operator wrote after us: its last run may have ended after we took over.
    #[must_use]
    pub fn or_failed_in(self, found: &DatabaseSchemaStatus) -> Self {
        if self.failed.is_some() {
            return self;
        }
        let found = Self::restore(found);
        if found.failed.is_some() {
            Self {
                decided: self.decided,
                ..found
            }
        } else {
            self
        }
    }

    /// What an attempt means, after which this is the memory.
    #[must_use]
    pub(super) fn judge(&self, attempt: &Attempt) -> Verdict {
        judge(self.lost.as_ref(), verdict(attempt))
    }

    /// The decisions of a person that were acted on.
    #[must_use]
    pub fn handled(&self) -> &Handled {
        &self.decided.handled
    }

    /// What became of the decisions of a person.
    #[must_use]
    pub fn decided(&self) -> &Decided {
        &self.decided
    }

    /// This memory, with these decisions acted on.
    #[must_use]
    pub fn having_decided(self, decided: Decided) -> Self {
        Self { decided, ..self }
    }

    /// The reason of the last attempt.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.last.map(|met| met.reason)
    }

    /// How often that reason was met in a row.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.last.map_or(0, |met| met.attempts)
    }

    /// When that reason was first met in a row.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.last.map(|met| met.since)
    }

    /// How long to wait before the next attempt; `None`: until something changes. `random` is a
    /// number from 0 to 1.
    #[must_use]
    pub fn next_attempt(
        &self,
        interval: Duration,
        random: f64,
        now: Timestamp,
    ) -> Option<Duration> {
        let met = self.last?;
        next_attempt(met.reason, met.since, met.attempts, interval, random, now)
    }

    /// What status shows as the failed script, when there is one that was not mended.
    pub(super) fn failed(&self) -> Option<&Failure> {
        self.failed.as_ref().map(|failed| &failed.failure)
    }
}

impl FailedScript {
    /// `None` unless `failure` is about a script that must not be run again by itself.
    fn new(reason: Reason, failure: &Failure, reconcile: Option<&str>) -> Option<Self> {
        match policy(reason).retry {
            Retry::OnChangeWithSlowLook | Retry::Never => Some(Self {
                reason,
                version: failure.version.clone()?,
                direction: failure.direction?,
                checksum: failure.checksum.clone(),
                generation: failure.observed_generation,
                reconcile: reconcile.map(clip),
                failure: failure.clone(),
            }),
            Retry::Interval
            | Retry::Poll
            | Retry::Backoff { .. }
            | Retry::OnChange
            | Retry::OnChangeWithSlowRecheck => None,
        }
    }

    /// True when only a person can say that it may go on.
    fn needs_a_person(&self) -> bool {
        policy(self.reason).retry == Retry::Never
    }

    /// True when `step` would run this script again.
    fn is(&self, step: &Step) -> bool {
        let step = step_script(step);
        let same_text = self
            .checksum
            .as_ref()
            .is_none_or(|checksum| *checksum == step.checksum);
        step.version.as_str() == self.version
            && step.direction == self.direction
            && (same_text || self.needs_a_person())
    }

    fn met(&self) -> Met {
        let attempts = self.failure.attempts;
        Met {
            reason: self.reason,
            since: self.failure.first_time.get(),
            attempts: attempts
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(1),
        }
    }
}

fn judge(lost: Option<&LostScript>, verdict: Verdict) -> Verdict {
    match lost {
        None => verdict,
        Some(lost) => lost.judge(verdict),
    }
}

/// What status shows of a trouble.
fn failure(verdict: &Verdict, met: Met, lost: Option<&LostScript>, generation: i64) -> Failure {
    let subject = verdict.subject.clone().unwrap_or_default();
    let about_version = verdict.subject.is_some();
    // What is only looked at is not counted, so that looking changes nothing in status.
    let counted = match policy(verdict.reason).retry {
        Retry::Backoff { .. } => true,
        Retry::OnChangeWithSlowLook | Retry::Never => subject.direction.is_some(),
        Retry::Interval | Retry::Poll | Retry::OnChange | Retry::OnChangeWithSlowRecheck => false,
    };
    let mut failure = Failure {
        reason: verdict.reason.to_string(),
        message: clip(&verdict.message),
        observed_generation: Some(generation),
        first_time: Time::new(met.since),
        attempts: counted.then(|| i32::try_from(met.attempts).unwrap_or(i32::MAX)),
        next_retry_time: None,
        version: about_version.then_some(subject.version),
        name: subject.name.as_deref().map(clip),
        direction: subject.direction,
        checksum: subject.checksum,
        statement: subject.statement,
        line: subject.position.map(|(line, _)| line),
        column: subject.position.map(|(_, column)| column),
        sql_state: verdict.sql_state.clone(),
        connections_lost: None,
    };
    if let Some(lost) = lost {
        lost.note(&mut failure);
    }
    failure
}

impl Memory {
    /// What status shows as failure after an attempt that was judged like this: a script that was not
    /// mended first, else the trouble itself.
    pub(super) fn failure(
        &self,
        verdict: &Verdict,
        generation: i64,
        next: Option<Timestamp>,
    ) -> Option<Failure> {
        if let Some(failed) = self.failed() {
            return Some(failed.clone());
        }
        let met = self.last.filter(|_| is_trouble(verdict.reason))?;
        let backs_off = matches!(policy(verdict.reason).retry, Retry::Backoff { .. });
        Some(Failure {
            next_retry_time: next.filter(|_| backs_off).map(Time::new),
            ..failure(verdict, met, self.lost.as_ref(), generation)
        })
    }
}
