//! After an attempt: what it means, who is told, and when to look again.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::api::duration::GoDuration;
use crate::api::v1alpha1::DatabaseSchema;
use crate::engine::outcome::{End, Stop};
use crate::engine::task::Mode;
use crate::migration::catalog::Catalog;

use super::agenda::{Entry, annotation};
use super::approval;
use super::attempt::{Attempt, DereferenceErrorKind};
use super::context::{Context, Identity};
use super::decisions::{Decided, asked, decided};
use super::fingerprint::Fingerprint;
use super::lifecycle::Lifecycle;
use super::memory::Memory;
use super::report::{Report, Written};
use super::schedule;
use super::status::{Happened, Subject, status};
use super::told::Told;

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
    /// What became of the decisions of a person that were open before it.
    pub decided: Decided,
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
    if says_nothing(&attempted, &context.lifecycle) {
        return context.lifecycle.may_start().then(schedule::api_retry);
    }
    let now = Timestamp::now();
    let decided = decided(resource);
    let subject = Subject {
        generation: report.generation(),
        spec: &resource.spec,
        reconcile: annotation(resource),
        decided: &decided,
        catalog: attempted.catalog.as_ref(),
    };
    let before_it = before.decided().clone().still_asked(&decided);
    let mut acted_on = before_it.and(attempted.decided);
    if matches!(&attempted.attempt, Attempt::Ran(outcome) if outcome.used_its_approval()) {
        acted_on.handled.extend(approval::used(resource));
    }
    let memory = before
        .after(&subject, &attempted.mode, &attempted.attempt, now)
        .having_decided(acted_on);
    let interval = interval(&resource.spec.interval);
    let next = memory.next_attempt(interval, schedule::random(), now);
    let gates = attempted.attempt.waits_for_gates();
    let gates = gates.then(schedule::gate_poll);
    let at_once = attempted.attempt.leaves_another_plan();
    let at_once = at_once.then_some(Duration::ZERO);
    let next = [next, opening(&attempted.attempt, now), gates, at_once];
    let next = next.into_iter().flatten().min();
    let happened = Happened::Attempted {
        attempt: &attempted.attempt,
        memory: &memory,
        next,
    };
    let wanted = status(report.last(), &subject, &happened, now);
    let entry = context.agenda.get(&identity);
    let untold = entry.and_then(|entry| entry.untold);
    let told = Told::new(resource, &wanted, &attempted.attempt, &memory, untold);
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
        context.metrics.forget(&identity.namespace, &identity.name);
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
            untold: (!written).then_some(told),
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
fn says_nothing(attempted: &Attempted, lifecycle: &Lifecycle) -> bool {
    // What was decided in it is written: whoever does not know of that carries it out again.
    if !attempted.decided.handled.is_empty() {
        return false;
    }
    // Another replica leads by now: it looks for itself and tells. But only we know of a script that
    // failed, and the other one would run it again.
    if !lifecycle.is_leading() && !is_result(&attempted.attempt) {
        return true;
    }
    match &attempted.attempt {
        Attempt::Waiting(error) if error.kind == DereferenceErrorKind::ApiUnavailable => {
            tracing::warn!("{error}");
            true
        }
        Attempt::Ran(outcome) if matches!(outcome.end(), End::Interrupted) => {
            // A shutdown that did not let the first look end leaves what is known as it is. Else the resource
            // changed meanwhile: the next attempt is under way.
            lifecycle.may_start() || outcome.history().is_none()
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

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::engine::database::{Database, Observation, Request};
    use crate::engine::error::DatabaseError;
    use crate::engine::task::{Ledger, Task};

    /// A server that does not answer.
    struct Hung;

    impl Database for Hung {
        async fn perform(&mut self, _: &Request) -> Result<Observation, DatabaseError> {
            std::future::pending().await
        }
    }

    /// An attempt that had to end while the database was looked at for the first time.
    async fn stopped_in_its_look(decided: Decided) -> Attempted {
        let task = Task::of_command_line(Catalog::empty(), Ledger::default());
        let outcome = crate::engine::run(&mut Hung, task, || false, |_| ()).await;
        assert!(matches!(outcome.end(), End::Interrupted), "{outcome:?}");
        Attempted {
            attempt: Attempt::Ran(Box::new(outcome)),
            mode: Mode::Plan,
            decided,
            fingerprint: Fingerprint::default(),
            catalog: None,
        }
    }

    fn lifecycle(is_leading: bool, is_stopping: bool) -> Lifecycle {
        let (_, leading) = watch::channel(is_leading);
        let (_, stopping) = watch::channel(is_stopping);
        Lifecycle::new(leading, stopping)
    }

    #[tokio::test]
    async fn a_look_that_a_shutdown_ends_leaves_the_status_as_it_is() {
        let idle = stopped_in_its_look(Decided::default()).await;
        for (is_leading, is_stopping) in [(true, true), (true, false), (false, true)] {
            let lifecycle = lifecycle(is_leading, is_stopping);
            assert!(says_nothing(&idle, &lifecycle), "{lifecycle:?}");
        }
    }

    #[tokio::test]
    async fn what_was_decided_before_such_a_look_is_kept() {
        let decided = Decided {
            handled: [("schemaward.dev/resolve".to_owned(), "002:retry".to_owned())].into(),
            ..Decided::default()
        };
        let decided = stopped_in_its_look(decided).await;
        // By a stop, by a change of the resource, and by another leader.
        for (is_leading, is_stopping) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let lifecycle = lifecycle(is_leading, is_stopping);
            assert!(!says_nothing(&decided, &lifecycle), "{lifecycle:?}");
        }
    }
}
