//! Status, from what it was, what happened and what time it is. Pure, and the only place that makes
//! conditions; [`super::lint`] says what must hold for each.
//!
//! The rules are kstatus's: Ready is always there, Reconciling and Stalled only while they are True
//! and never both, `observedGeneration` is the generation that was looked at.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::condition::{Condition, ConditionStatus, ConditionType, Reason};
use crate::api::time::Time;
use crate::api::v1alpha1::{
    AppliedVersion, DatabaseSchemaSpec, DatabaseSchemaStatus, PendingVersion, TlsMode,
};
use crate::engine::outcome::{End, Outcome};
use crate::migration::catalog::Catalog;
use crate::migration::display::is_control;
use crate::migration::file_name::Direction;
use crate::migration::history::{Applied, History};
use crate::migration::plan::{Plan, Step};
use crate::migration::version::Version;

use super::attempt::{Attempt, Running};
use super::decisions::{Decided, Handled, Refused};
use super::identity;
use super::memory::Memory;
use super::policy::{State, backs_off, state, waits};
use super::step_script::step_script;
use super::verdict::of_direction;

mod plan;
mod running;

pub use plan::MAX_STATEMENTS;
use running::show_running;

/// Longest text in status, in characters.
pub const MAX_TEXT: usize = 1024;
/// Pending versions that status lists.
pub const MAX_PENDING: usize = 20;
/// Applied versions that status lists.
pub const MAX_HISTORY: usize = 10;

/// The resource that a status is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// `metadata.generation` of the resource that was acted on.
    pub generation: i64,
    /// Its spec.
    pub spec: &'a DatabaseSchemaSpec,
    /// The value of the annotation [`crate::api::v1alpha1::RECONCILE_ANNOTATION`].
    pub reconcile: Option<&'a str>,
    /// The annotations by which a person decided something ([`super::decisions::decided`]).
    pub decided: &'a Handled,
    /// Its migrations, when they could be read: what is pending while there is no plan.
    pub catalog: Option<&'a Catalog>,
}

/// What happened.
#[derive(Debug)]
pub enum Happened<'a> {
    /// A run is in the middle of it.
    Running {
        /// What it does.
        running: &'a Running,
        /// What was decided in the same attempt, before it.
        decided: &'a Decided,
    },
    /// An attempt is over.
    Attempted {
        /// What it came to.
        attempt: &'a Attempt,
        /// The memory after it ([`Memory::after`]).
        memory: &'a Memory,
        /// Time to the next attempt ([`Memory::next_attempt`]).
        next: Option<Duration>,
    },
}

/// The status after what happened. Write it when it differs from `previous`.
#[must_use]
pub fn status(
    previous: &DatabaseSchemaStatus,
    subject: &Subject<'_>,
    happened: &Happened<'_>,
    now: Timestamp,
) -> DatabaseSchemaStatus {
    let mut next = DatabaseSchemaStatus {
        observed_generation: Some(subject.generation),
        target_version: wanted(subject).or_else(|| previous.target_version.clone()),
        source: Some(clip(&subject.spec.source.summary())).filter(|text| !text.is_empty()),
        last_handled_reconcile: subject.reconcile.map(clip),
        observed_decisions: subject.decided.clone(),
        failure: None,
        progress: None,
        next_window_time: None,
        conditions: Vec::new(),
        ..previous.clone()
    };
    let (shown, decided) = match happened {
        Happened::Running { running, decided } => {
            let before = Decided::restore(previous).still_asked(subject.decided);
            let decided = before.and((*decided).clone());
            next.last_handled_decisions.clone_from(&decided.handled);
            (
                show_running(&mut next, previous, subject, running, now),
                decided,
            )
        }
        Happened::Attempted {
            attempt,
            memory,
            next: wait,
        } => (
            show_attempt(&mut next, subject, attempt, memory, *wait, now),
            memory.decided().clone(),
        ),
    };
    next.conditions = conditions(previous, &shown, &decided, subject.generation, now);
    next
}

/// What the conditions show.
struct Shown {
    state: State,
    reason: Reason,
    message: String,
}

fn show_attempt(
    next: &mut DatabaseSchemaStatus,
    subject: &Subject<'_>,
    attempt: &Attempt,
    memory: &Memory,
    wait: Option<Duration>,
    now: Timestamp,
) -> Shown {
    if let Attempt::Ran(outcome) = attempt {
        show_outcome(next, subject, outcome);
    }
    next.next_window_time = attempt.opens_at().map(Time::new);
    next.last_handled_decisions.clone_from(memory.handled());
    let mut judged = memory.judge(attempt);
    let retry = wait
        .and_then(|wait| SignedDuration::try_from(wait).ok())
        .and_then(|wait| now.checked_add(wait).ok());
    next.failure = memory.failure(&judged, subject.generation, retry);
    // A look that found the failed script unchanged: all stays as it was said when it failed.
    if let (Attempt::Ran(outcome), Some(failed)) = (attempt, memory.failed())
        && matches!(outcome.end(), End::Planned)
        && let Some(reason) = Reason::parse(&failed.reason)
    {
        judged.reason = reason;
        judged.message.clone_from(&failed.message);
    }
    Shown {
        state: state(judged.reason, memory.since().unwrap_or(now), now),
        reason: judged.reason,
        message: clip(&judged.message),
    }
}

fn show_outcome(next: &mut DatabaseSchemaStatus, subject: &Subject<'_>, outcome: &Outcome) {
    let Some(history) = outcome.history() else {
        return;
    };
    next.database_id = outcome.database_id().map(|id| id.to_string());
    next.database_address = Some(identity::address(subject.spec));
    let mode = subject.spec.connection.tls.mode;
    next.weak_tls_mode = (mode != TlsMode::VerifyFull).then_some(mode);
    next.audit_entries = outcome.audit_entries();
    show_history(next, history);
    next.plan = plan::plan(outcome);
    match (outcome.plan(), subject.catalog) {
        (Some(plan), _) => {
            next.target_version = plan.target.as_ref().map(ToString::to_string);
            show_pending(next, plan, outcome.done().len());
        }
        (None, Some(catalog)) => show_missing(next, subject, catalog, history),
        (None, None) => {}
    }
}

fn show_history(next: &mut DatabaseSchemaStatus, history: &History) {
    next.current_version = history.current().map(ToString::to_string);
    next.applied_count = i64::try_from(history.len()).ok();
    next.last_applied_time = history
        .iter()
        .filter_map(|applied| applied.applied_at)
        .max()
        .map(Time::new);
    next.history = history
        .iter()
        .rev()
        .take(MAX_HISTORY)
        .map(applied_version)
        .collect();
}

fn applied_version(applied: &Applied) -> AppliedVersion {
    AppliedVersion {
        version: applied.version.to_string(),
        name: clip_name(&applied.name),
        applied_time: applied.applied_at.map(Time::new),
        execution_time_ms: applied.execution_time_ms,
    }
}

fn show_pending(next: &mut DatabaseSchemaStatus, plan: &Plan, finished: usize) {
    let left = plan.steps.get(finished..).unwrap_or_default();
    next.pending_count = i64::try_from(left.len()).ok();
    next.pending = left.iter().take(MAX_PENDING).map(pending_step).collect();
}

fn pending_step(step: &Step) -> PendingVersion {
    let script = step_script(step);
    PendingVersion {
        version: script.version.to_string(),
        name: clip_name(script.name),
        direction: script.direction,
    }
}

/// Without a plan: what is listed up to the target and not applied.
fn show_missing(
    next: &mut DatabaseSchemaStatus,
    subject: &Subject<'_>,
    catalog: &Catalog,
    history: &History,
) {
    let target = match &subject.spec.target_version {
        Some(text) => Version::parse(text).ok(),
        None => catalog.latest().cloned(),
    };
    let missing: Vec<_> = catalog
        .iter()
        .filter(|migration| {
            target
                .as_ref()
                .is_none_or(|target| migration.version <= *target)
        })
        .filter(|migration| history.get(&migration.version).is_none())
        .collect();
    next.target_version = target.map(|target| target.to_string());
    next.pending_count = i64::try_from(missing.len()).ok();
    next.pending = missing
        .iter()
        .take(MAX_PENDING)
        .map(|migration| PendingVersion {
            version: migration.version.to_string(),
            name: clip_name(&migration.name),
            direction: of_direction(Direction::Up),
        })
        .collect();
}

/// The target as far as the resource itself says it.
fn wanted(subject: &Subject<'_>) -> Option<String> {
    let spec = subject.spec;
    let last = || spec.versions.as_ref()?.last().map(|last| &last.version);
    let target = spec
        .target_version
        .as_ref()
        .or_else(last)
        .map(|text| clip_name(text));
    target.or_else(|| Some(subject.catalog?.latest()?.to_string()))
}

fn conditions(
    previous: &DatabaseSchemaStatus,
    shown: &Shown,
    decided: &Decided,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let made = |type_: ConditionType, status, reason: Reason, message: &str, generation| {
        let before = previous
            .conditions
            .iter()
            .find(|before| before.type_ == type_.as_str() && before.status == status);
        Condition {
            type_: type_.as_str().to_owned(),
            status,
            observed_generation: Some(generation),
            last_transition_time: before
                .map_or(Time::new(now), |before| before.last_transition_time),
            reason: reason.to_string(),
            message: clip(message),
        }
    };
    let condition =
        |type_, status, reason, message| made(type_, status, reason, message, generation);
    let ready = match shown.state {
        State::Ready => ConditionStatus::True,
        State::Reconciling | State::Stalled | State::Waiting => ConditionStatus::False,
        State::Unknown => ConditionStatus::Unknown,
    };
    let ready = condition(ConditionType::Ready, ready, shown.reason, &shown.message);
    let second = match shown.state {
        State::Ready | State::Waiting => None,
        State::Stalled => Some((ConditionType::Stalled, shown.reason)),
        State::Reconciling | State::Unknown => {
            Some((ConditionType::Reconciling, reconciling(shown.reason)))
        }
    };
    let second = second
        .map(|(type_, reason)| condition(type_, ConditionStatus::True, reason, &shown.message));
    let refused = decided
        .refused
        .iter()
        .map(|(kind, Refused { why, generation })| {
            let (type_, reason) = (kind.refused(), Reason::DecisionRefused);
            made(type_, ConditionStatus::True, reason, why, *generation)
        });
    let of_the_resource = std::iter::once(ready).chain(second);
    of_the_resource.chain(refused).collect()
}

/// Reason and message of Ready.
#[must_use]
pub fn ready(status: &DatabaseSchemaStatus) -> Option<(&str, &str)> {
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == ConditionType::Ready.as_str())?;
    Some((&ready.reason, &ready.message))
}

/// True when `after` has another reason for Ready than `before`, or the same for another cause.
#[must_use]
pub fn is_news(before: Option<&DatabaseSchemaStatus>, after: &DatabaseSchemaStatus) -> bool {
    if before.and_then(reason) != reason(after) {
        return true;
    }
    // Another plan than the one that waited.
    let waiting = |status: &DatabaseSchemaStatus| {
        let waits = reason(status).and_then(Reason::parse).is_some_and(waits);
        waits.then(|| status.plan.as_ref().map(|plan| plan.hash.clone()))
    };
    if before.and_then(waiting) != waiting(after) {
        return true;
    }
    // What is backed off from names attempts and seconds, which are other ones each time.
    let cause = |status: &DatabaseSchemaStatus| {
        let failure = status.failure.clone()?;
        let counts = Reason::parse(&failure.reason).is_some_and(backs_off);
        (!counts).then_some((failure.version, failure.checksum, failure.message))
    };
    before.and_then(cause) != cause(after)
}

fn reason(status: &DatabaseSchemaStatus) -> Option<&str> {
    ready(status).map(|(reason, _)| reason)
}

/// Why the resource is Reconciling: its versions run, or a trouble is tried again.
fn reconciling(reason: Reason) -> Reason {
    match reason {
        Reason::Applying | Reason::RollingBack => reason,
        _ => Reason::ProgressingWithRetry,
    }
}

/// One line of at most [`MAX_TEXT`] characters.
#[must_use]
pub fn clip(text: &str) -> String {
    clip_to(text, MAX_TEXT)
}

/// File names are at most as long as a key of a ConfigMap.
fn clip_name(name: &str) -> String {
    clip_to(name, 253)
}

fn clip_to(text: &str, most: usize) -> String {
    let line = |c: char| if is_control(c) { ' ' } else { c };
    if text.chars().nth(most).is_none() {
        return text.chars().map(line).collect();
    }
    let kept = text.chars().take(most - 1).map(line);
    kept.chain(['…']).collect()
}
