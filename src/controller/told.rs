//! Who is told of an attempt besides status: the log, the metrics, and an Event when there is something new.

use kube::Resource;

use crate::api::condition::Reason;
use crate::api::v1alpha1::{DatabaseSchema, DatabaseSchemaStatus};

use super::attempt::Attempt;
use super::context::{Context, Identity};
use super::events::{EventText, Severity};
use super::memory::Memory;
use super::policy::{EventType, event};
use super::status::{is_news, ready};
use super::verdict::verdict;

/// What log, event and metrics say about an attempt.
#[derive(Debug, Clone)]
pub struct Told {
    reason: Reason,
    message: String,
    /// Ready had another reason before, or when somebody was told last; or this one for another cause.
    changed: bool,
    /// Versions ran: which, how long each took, and who approved it.
    ran: Option<String>,
    /// The attempts that status counted before, when it counted those of Ready's reason.
    shown: Option<u32>,
    /// The status as it was when somebody was told last.
    known: Option<Box<DatabaseSchemaStatus>>,
}

impl Told {
    /// About an attempt that status shows as `wanted`. `untold` is what the attempts before it could not tell, because
    /// their status was not known to be written: by now status may have it, so that this attempt alone finds nothing
    /// new, or may be as it was when somebody was told last, so that there is nothing new.
    #[must_use]
    pub fn new(
        resource: &DatabaseSchema,
        wanted: &DatabaseSchemaStatus,
        attempt: &Attempt,
        memory: &Memory,
        untold: Option<Self>,
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
        let (known, ran_before) = match untold {
            Some(untold) => (untold.known, untold.ran),
            None => (before.cloned().map(Box::new), None),
        };
        Self {
            reason: reason.unwrap_or_else(|| verdict(attempt).reason),
            message,
            changed: is_news(before, wanted) || is_news(known.as_deref(), wanted),
            ran: joined(ran_before, ran),
            shown: before.and_then(attempts),
            known,
        }
    }

    /// Tells it.
    pub async fn tell(
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
            known: _,
        } = self;
        let reason = reason.as_str();
        let is_news = *changed || ran.is_some();
        if is_news {
            tracing::info!(reason, "{message}");
        } else {
            tracing::debug!(reason, "{message}");
        }
        context
            .metrics
            .attempt(&identity.namespace, &identity.name, reason);
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

/// What ran in attempts that were not told, and then in this one.
fn joined(before: Option<String>, now: Option<String>) -> Option<String> {
    let ran: Vec<_> = before.into_iter().chain(now).collect();
    (!ran.is_empty()).then(|| ran.join(" "))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource(reason: &str) -> DatabaseSchema {
        let connection =
            json!({"host": {"value": "h"}, "database": {"value": "d"}, "username": {"value": "u"}});
        serde_json::from_value(json!({
            "apiVersion": "schemaward.dev/v1alpha1",
            "kind": "DatabaseSchema",
            "metadata": {"name": "shop"},
            "spec": {"source": {"inline": {}}, "connection": connection},
            "status": {"conditions": [{
                "type": "Ready", "status": "Unknown", "reason": reason, "message": "words",
                "lastTransitionTime": "2026-11-26T06:25:12Z",
            }]},
        }))
        .expect("a resource")
    }

    /// An attempt that finds `wanted`, where the API server has a status with the reason `has`.
    fn attempt(has: &str, wanted: &str, untold: Option<Told>) -> Told {
        let wanted = resource(wanted).status.expect("a status");
        let memory = Memory::default();
        Told::new(
            &resource(has),
            &wanted,
            &Attempt::Suspended,
            &memory,
            untold,
        )
    }

    #[test]
    fn what_people_do_not_know_is_news_and_nothing_else() {
        let (well, ill) = ("UpToDate", "MigrationFailed");
        // What the first attempt finds is not known to be written: it is, or it is not.
        for (before, first, has, second, changed) in [
            // Nobody was told, so the second attempt does it, whether status has it already.
            (well, ill, well, ill, true),
            (well, ill, ill, ill, true),
            (ill, well, well, well, true),
            // It was so when somebody was told last, and nobody has seen anything else since.
            (well, ill, well, well, false),
            (ill, well, ill, ill, false),
            (well, well, well, well, false),
            // Status has shown something else meanwhile.
            (well, ill, ill, well, true),
        ] {
            let untold = attempt(before, first, None);
            assert_eq!(untold.changed, before != first);
            let told = attempt(has, second, Some(untold.clone()));
            let case = format!("{before}, {first}, {has}, {second}");
            assert_eq!(told.changed, changed, "{case}");
            // The same when another attempt between the two could not tell either.
            let between = attempt(has, first, Some(untold));
            let told = attempt(has, second, Some(between));
            assert_eq!(told.changed, changed, "{case}");
        }
    }

    #[test]
    fn what_ran_is_told_with_the_next_attempt() {
        let (first, second) = (Some("Applied: 001."), Some("Applied: 002."));
        for (before, now, ran) in [
            (None, None, None),
            (first, None, first),
            (None, second, second),
            (first, second, Some("Applied: 001. Applied: 002.")),
        ] {
            let joined = joined(before.map(str::to_owned), now.map(str::to_owned));
            assert_eq!(joined.as_deref(), ran);
        }
    }
}
