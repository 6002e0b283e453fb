//! Events (events.k8s.io/v1) on changes of the reason.
//!
//! kube's own recorder folds an event into the one before it with the same reason for six minutes
//! and keeps that one's text, so that a second failure would show the first one's message. Ours
//! come only on changes, so there is nothing to fold.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::timeout;

/// Longest note that the API server takes, in bytes.
const MAX_NOTE: usize = 1024;
/// An event that does not get through in this time is dropped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// `reportingController` of our events.
const CONTROLLER: &str = "schemaward.dev/operator";

/// How an event shows up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something went its way.
    Normal,
    /// A person may have to look.
    Warning,
}

/// Writes events about resources.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
}

/// What an event says.
#[derive(Debug, Clone, Copy)]
pub struct EventText<'a> {
    /// How it shows up.
    pub severity: Severity,
    /// The reason of the condition that changed.
    pub reason: &'a str,
    /// What was being done, one word.
    pub action: &'a str,
    /// The message of the condition.
    pub note: &'a str,
}

impl Events {
    /// `instance` is the name of this replica.
    #[must_use]
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance }
    }

    /// Writes one event. A failure is logged and changes nothing else.
    pub async fn publish(&self, about: &ObjectReference, text: EventText<'_>) {
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let event = self.event(about, text, Timestamp::now());
        match timeout(WRITE_TIMEOUT, api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => {}
            // A namespace that is being deleted takes no events.
            Ok(Err(error)) => tracing::debug!("an event was not written: {error}"),
            Err(_) => tracing::debug!("an event was not written in time"),
        }
    }

    fn event(&self, about: &ObjectReference, text: EventText<'_>, now: Timestamp) -> Event {
        let name = about.name.as_deref().unwrap_or_default();
        Event {
            action: Some(text.action.to_owned()),
            event_time: Some(MicroTime(now)),
            metadata: ObjectMeta {
                namespace: about.namespace.clone(),
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                ..ObjectMeta::default()
            },
            note: Some(cut(text.note, MAX_NOTE).to_owned()),
            reason: Some(text.reason.to_owned()),
            regarding: Some(about.clone()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(cut(&self.instance, 128).to_owned()),
            type_: Some(
                match text.severity {
                    Severity::Normal => "Normal",
                    Severity::Warning => "Warning",
                }
                .to_owned(),
            ),
            ..Event::default()
        }
    }
}

/// The beginning of `text`, at most `bytes` long.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let text = "ñ".repeat(1000);
        let note = cut(&text, MAX_NOTE);
        assert_eq!(note.len(), 1024);
        assert_eq!(cut("short", MAX_NOTE), "short");
        assert_eq!(cut("añ", 2), "a");
    }
}
