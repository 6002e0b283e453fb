//! After an attempt: what it means, who is told, and when to look again.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::Resource;

use crate::api::condition::Reason;
use crate::api::duration::GoDuration;
use crate::api::v1alpha1::{DatabaseSchema, DatabaseSchemaStatus};
use crate::engine::outcome::{End, Stop};
use crate::engine::task::Mode;
use crate::migration::catalog::Catalog;

use super::agenda::{Entry, annotation};
use super::approval;
use super::attempt::{Attempt, DereferenceErrorKind};
use super::context::{Context, Identity};
use super::decisions::{Handled, asked, still_asked};
use super::events::{EventText, Severity};
use super::fingerprint::Fingerprint;
use super::memory::Memory;
use super::policy::{EventType, event};
use super::report::{Report, Written};
use super::schedule;
use super::status::{Happened, Subject, is_news, ready, status};
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
    /// The decisions of a person that were acted on before it.
    pub handled: Handled,
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
    let mut handled = still_asked(before.handled(), resource);
    handled.extend(attempted.handled);
    if matches!(&attempted.attempt, Attempt::Ran(outcome) if outcome.used_its_approval()) {
        handled.extend(approval::used(resource));
    }
    let memory = before
        .after(&subject, &attempted.mode, &attempted.attempt, now)
        .having_handled(handled);
    let interval = interval(&resource.spec.interval);
    let next = memory.next_attempt(interval, schedule::random(), now);
    let gates = attempted.attempt.waits_for_gates();
    let gates = gates.then(schedule::gate_poll);
    let next = [next, opening(&attempted.attempt, now), gates];
    let next = next.into_iter().flatten().min();
    let happened = Happened::Attempted {
        attempt: &attempted.attempt,
        memory: &memory,
        next,
    };
    let wanted = status(report.last(), &subject, &happened, now);
    let told = Told::new(resource, &wanted, &attempted.attempt, &memory);
    let written = report.write(wanted).await;
    if written == Written::Gone {
        // Forgotten already; to tell of it would bring it back to the gauges.
        return None;
    }
    let written = written == Written::Yes;
    if written {
        told.tell(resource, &identity, before, &memory, context)
            .await;
    } else {
        context.metrics.status_write_failed();
    }
    if !context.lifecycle.is_leading() {
        // The result is told; what comes next is for the new leader.
        context
            .metrics
            .forget(&identity.namespace, &identity.name, told.reason.as_str());
        return None;
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
            asked: asked(resource),
            fingerprint: attempted.fingerprint,
            memory,
            ended: Instant::now(),
            status: report.last().clone(),
            due,
            seen: report.seen(),
        },
    );
    wait
}

/// Time until what the attempt waits for comes by itself, where that is known.
fn opening(attempt: &Attempt, now: Timestamp) -> Option<Duration> {
    let opens_in = attempt.opens_at()?.duration_since(now);
    Some(Duration::try_from(opens_in).unwrap_or_default())
}

/// True for attempts that say nothing about the resource, so that there is nothing to tell. They are
/// made again soon, or by another replica.
fn says_nothing(attempt: &Attempt, context: &Context) -> bool {
    // Another replica leads by now: it looks for itself and tells. But only we know of a script that
    // failed, and the other one would run it again.
    if !context.lifecycle.is_leading() && !is_result(attempt) {
        return true;
    }
    match attempt {
        Attempt::Waiting(error) if error.kind == DereferenceErrorKind::ApiUnavailable => {
            tracing::warn!("{error}");
            true
        }
        // The resource changed meanwhile: the next attempt is under way.
        Attempt::Ran(outcome) => {
            matches!(outcome.end(), End::Interrupted) && context.lifecycle.may_start()
        }
        _ => false,
    }
}

/// True for runs that ran a script: what came of it must not get lost.
fn is_result(attempt: &Attempt) -> bool {
    match attempt {
        Attempt::Ran(outcome) => {
            !outcome.done().is_empty() || matches!(outcome.stop(), Some(Stop::Script(_)))
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
    /// Versions ran: which, how long each took, and who approved it.
    ran: Option<String>,
    /// The attempts that status counted before, when it counted those of Ready's reason.
    shown: Option<u32>,
}

impl Told {
    fn new(
        resource: &DatabaseSchema,
        wanted: &DatabaseSchemaStatus,
        attempt: &Attempt,
        memory: &Memory,
    ) -> Self {
        let before = resource.status.as_ref();
        let after = ready(wanted);
        let ran = match attempt {
            Attempt::Ran(outcome) => outcome.what_ran(),
            _ => None,
        };
        let (reason, message) = match after {
            Some((reason, message)) => (Reason::parse(reason), message.to_owned()),
            None => (memory.reason(), String::new()),
        };
        Self {
            reason: reason.unwrap_or_else(|| verdict(attempt).reason),
            message,
            changed: is_news(before, wanted),
            ran,
            shown: before.and_then(attempts),
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
            ran,
            shown,
        } = self;
        let reason = reason.as_str();
        let is_news = *changed || ran.is_some();
        if is_news {
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
        let shown = shown.unwrap_or_else(|| before.attempts());
        let severity = match event(self.reason, is_news, shown, memory.attempts()) {
            None => return,
            Some(EventType::Normal) => Severity::Normal,
            Some(EventType::Warning) => Severity::Warning,
        };
        let note = match ran {
            Some(ran) => format!("{message}{} {ran}", full_stop(message)),
            None => message.clone(),
        };
        let text = EventText {
            severity,
            reason,
            action: "Reconcile",
            note: &note,
        };
        context
            .events
            .publish(&resource.object_ref(&()), text)
            .await;
    }
}

/// What a clause lacks before a sentence.
fn full_stop(text: &str) -> &'static str {
    if text.ends_with('.') { "" } else { "." }
}

/// The attempts that a status counts of what Ready says; it may show a failed script instead.
fn attempts(status: &DatabaseSchemaStatus) -> Option<u32> {
    let (reason, _) = ready(status)?;
    let failure = status.failure.as_ref();
    let failure = failure.filter(|failure| failure.reason == reason)?;
    u32::try_from(failure.attempts?).ok()
}
