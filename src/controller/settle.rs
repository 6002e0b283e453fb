//! After an attempt: what it means, who is told, and when to look again.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::Resource;

use crate::api::condition::{ConditionType, Reason};
use crate::api::duration::GoDuration;
use crate::api::v1alpha1::{DatabaseSchema, DatabaseSchemaStatus};
use crate::engine::outcome::End;
use crate::engine::task::Mode;
use crate::migration::catalog::Catalog;

use super::agenda::{Entry, annotation};
use super::attempt::{Attempt, DereferenceErrorKind};
use super::context::{Context, Identity};
use super::events::{EventText, Severity};
use super::fingerprint::Fingerprint;
use super::memory::Memory;
use super::policy::{EventType, event};
use super::report::Report;
use super::schedule;
use super::status::{Happened, Subject, status};
use super::verdict::verdict;

/// How long a resource rests whose interval cannot be read.
const DEFAULT_INTERVAL: Duration = Duration::from_mins(10);
/// Pause before a status is computed and written again that the API server did not take.
const WRITE_RETRY: Duration = Duration::from_secs(10);

/// An attempt, and what it was made from.
pub struct Attempted {
    /// What it came to.
    pub attempt: Attempt,
    /// How far the run could go.
    pub mode: Mode,
    /// The referenced objects.
    pub fingerprint: Fingerprint,
    /// The migrations, when they could be read.
    pub catalog: Option<Catalog>,
}

/// Makes the attempt known and says when to look again; `None`: on a change.
pub async fn settle(
    resource: &DatabaseSchema,
    identity: Identity,
    before: &Memory,
    mut report: Report,
    attempted: Attempted,
    context: &Context,
) -> Option<Duration> {
    if says_nothing(&attempted.attempt, context) {
        return context.lifecycle.may_start().then(schedule::api_retry);
    }
    let now = Timestamp::now();
    let subject = Subject {
        generation: report.generation(),
        spec: &resource.spec,
        reconcile: annotation(resource),
        catalog: attempted.catalog.as_ref(),
    };
    let memory = before.after(&subject, attempted.mode, &attempted.attempt, now);
    let interval = interval(&resource.spec.interval);
    let next = memory.next_attempt(interval, schedule::random(), now);
    let happened = Happened::Attempted {
        attempt: &attempted.attempt,
        memory: &memory,
        next,
    };
    let wanted = status(report.last(), &subject, &happened, now);
    let told = Told::new(resource, &wanted, &attempted.attempt, &memory);
    let written = report.write(wanted).await;
    if written {
        told.tell(resource, &identity, before, &memory, context)
            .await;
    } else {
        context.metrics.status_write_failed();
    }
    let next = if written {
        next
    } else {
        Some(next.map_or(WRITE_RETRY, |next| next.min(WRITE_RETRY)))
    };
    let due = next.and_then(|wait| Instant::now().checked_add(wait));
    let wait = schedule::next_look(
        next.unwrap_or(Duration::MAX),
        context.source_poll,
        &attempted.fingerprint,
    );
    context.agenda.put(
        identity,
        Entry {
            generation: resource.metadata.generation,
            annotation: annotation(resource).map(str::to_owned),
            fingerprint: attempted.fingerprint,
            memory,
            due,
            seen: report.seen(),
        },
    );
    wait
}

/// True for attempts that say nothing about the resource, so that there is nothing to tell. They are
/// made again soon, or by another replica.
fn says_nothing(attempt: &Attempt, context: &Context) -> bool {
    // Another replica leads by now: it looks for itself and tells.
    if !context.lifecycle.is_leading() {
        return true;
    }
    match attempt {
        Attempt::Waiting(error) if error.kind == DereferenceErrorKind::ApiUnavailable => {
            tracing::warn!("{error}");
            true
        }
        // The resource changed meanwhile: the next attempt is under way.
        Attempt::Ran(outcome) => {
            matches!(outcome.end(), End::Interrupted) && !context.lifecycle.is_stopping()
        }
        _ => false,
    }
}

fn interval(text: &GoDuration) -> Duration {
    text.get().unwrap_or(DEFAULT_INTERVAL)
}

/// What log, event and metrics say about an attempt.
struct Told {
    reason: Reason,
    message: String,
    /// Ready had another reason before, or this one for another cause.
    changed: bool,
    /// Versions ran.
    worked: bool,
}

impl Told {
    fn new(
        resource: &DatabaseSchema,
        wanted: &DatabaseSchemaStatus,
        attempt: &Attempt,
        memory: &Memory,
    ) -> Self {
        let before = resource.status.as_ref().and_then(ready);
        let after = ready(wanted);
        let worked = matches!(attempt, Attempt::Ran(outcome) if !outcome.done().is_empty());
        let (reason, message) = match after {
            Some((reason, message)) => (Reason::parse(reason), message.to_owned()),
            None => (memory.reason(), String::new()),
        };
        Self {
            reason: reason.unwrap_or_else(|| verdict(attempt).reason),
            message,
            changed: before.map(|(reason, _)| reason) != after.map(|(reason, _)| reason),
            worked,
        }
    }

    async fn tell(
        &self,
        resource: &DatabaseSchema,
        identity: &Identity,
        before: &Memory,
        memory: &Memory,
        context: &Context,
    ) {
        let Self {
            reason,
            message,
            changed,
            worked,
        } = self;
        let reason = reason.as_str();
        if *changed || *worked {
            tracing::info!(reason, "{message}");
        } else {
            tracing::debug!(reason, "{message}");
        }
        context.metrics.attempt(
            &identity.namespace,
            &identity.name,
            reason,
            before.reason().map(Reason::as_str),
        );
        // A version that ran is news, also when the reason is the same as before.
        let severity = match event(self.reason, *changed || *worked, memory.attempts()) {
            None => return,
            Some(EventType::Normal) => Severity::Normal,
            Some(EventType::Warning) => Severity::Warning,
        };
        let text = EventText {
            severity,
            reason,
            action: "Reconcile",
            note: message,
        };
        context
            .events
            .publish(&resource.object_ref(&()), text)
            .await;
    }
}

/// Reason and message of Ready.
fn ready(status: &DatabaseSchemaStatus) -> Option<(&str, &str)> {
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == ConditionType::Ready.as_str())?;
    Some((&ready.reason, &ready.message))
}
