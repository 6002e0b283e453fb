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
    /// Ready had another reason before, or this one for another cause.
    changed: bool,
    /// Versions ran: which, how long each took, and who approved it.
    ran: Option<String>,
    /// The attempts that status counted before, when it counted those of Ready's reason.
    shown: Option<u32>,
}

impl Told {
    /// About an attempt that status shows as `wanted`.
    #[must_use]
    pub fn new(
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

    /// The same with what the attempt before it could not tell, because its status was not known to be written: by
    /// now status may have it, so that this attempt alone finds nothing new.
    #[must_use]
    pub fn after(self, untold: Option<Self>) -> Self {
        let Some(before) = untold else {
            return self;
        };
        let ran: Vec<_> = before.ran.into_iter().chain(self.ran).collect();
        Self {
            changed: before.changed || self.changed,
            ran: (!ran.is_empty()).then(|| ran.join(" ")),
            ..self
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
    use super::*;

    fn told(changed: bool, ran: Option<&str>) -> Told {
        Told {
            reason: Reason::UpToDate,
            message: "at version 002".to_owned(),
            changed,
            ran: ran.map(str::to_owned),
            shown: None,
        }
    }

    #[test]
    fn what_could_not_be_told_is_told_with_the_next_attempt() {
        let (first, second) = (Some("Applied: 001."), Some("Applied: 002."));
        for (untold, now, changed, ran) in [
            (None, told(false, None), false, None),
            (Some(told(true, first)), told(false, None), true, first),
            (Some(told(false, None)), told(true, second), true, second),
            (
                Some(told(true, first)),
                told(true, second),
                true,
                Some("Applied: 001. Applied: 002."),
            ),
        ] {
            let after = now.after(untold);
            assert_eq!((after.changed, after.ran.as_deref()), (changed, ran));
        }
    }
}
