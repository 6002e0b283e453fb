//! `schemaward wait`: until a `DatabaseSchema` is Ready, or a person has to act.

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use futures::stream::{Stream, StreamExt};
use jiff::SignedDuration;

use crate::api::condition::{Condition, ConditionStatus, ConditionType};
use crate::api::decision::Kind;
use crate::api::v1alpha1::{
    ACCEPT_ANNOTATION, APPROVE_ANNOTATION, DatabaseSchema, RECONCILE_ANNOTATION,
    RESOLVE_ANNOTATION, TAKEOVER_ANNOTATION,
};
use crate::migration::display::is_control;

use super::cluster::{ClusterArgs, Interruption, ResourceName};
use super::duration;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Wait until a `DatabaseSchema` is Ready
///
/// For a pipeline that has just applied it. Ends with 0 when the resource is Ready at the generation that it
/// has now or a later one, with 1 as soon as it is Stalled, which is when a person has to act, and with 3 when
/// the time is over. What was said before an annotation that asks for an attempt, decides or approves does not
/// count. What the resource says meanwhile goes to standard error. Needs get, list and watch on
/// databaseschemas, and nothing of the database.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// The resource, as for kubectl
    #[arg(value_name = "databaseschema/NAME", value_parser = ResourceName::parse)]
    resource: ResourceName,

    /// How long to wait; 0: look once
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration::parse)]
    timeout: Duration,

    #[command(flatten)]
    cluster: ClusterArgs,
}

/// What status has to be about.
struct Wanted {
    /// The generation at the call; a later one will do.
    generation: i64,
}

/// What a resource says of what is wanted.
#[derive(Debug, PartialEq, Eq)]
enum State<'a> {
    Ready(&'a Condition),
    Stalled(&'a Condition),
    /// Neither: it is worked on, or waits for something.
    Pending(&'a Condition),
    /// The operator has not said anything about it.
    Unseen,
    /// What the operator says, here of Ready, is from before this annotation was set.
    Asked(&'static str, Option<&'a Condition>),
}

impl Wait {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let mut last = Last {
            text: "The API server has not answered.".to_owned(),
            ..Last::default()
        };
        let waiting = self.until_over(&mut last, terminal);
        let limit = if self.looks_once() {
            Duration::MAX // one answer has a limit of its own
        } else {
            self.timeout
        };
        match tokio::time::timeout(limit, Box::pin(waiting)).await {
            Ok(ended) => ended,
            Err(_) => Err(self.timed_out(&last)),
        }
    }

    fn looks_once(&self) -> bool {
        self.timeout.is_zero()
    }

    async fn until_over(&self, last: &mut Last, terminal: Terminal) -> Result<Exit, Failure> {
        let cluster = self.cluster.connect().await?;
        let mut resource = cluster.get(&self.resource).await?;
        let wanted = Wanted {
            generation: resource.metadata.generation.unwrap_or_default(),
        };
        let mut states = pin!(cluster.watch(&self.resource));
        loop {
            match wanted.state(&resource) {
                State::Ready(ready) => {
                    self.tell_refused(&resource, terminal);
                    terminal.results(&format!("{}: {}\n", self.resource, ready.message))?;
                    return Ok(Exit::Done);
                }
                State::Stalled(stalled) => {
                    self.tell_refused(&resource, terminal);
                    return Err(Failure::not_done(&stalled.message));
                }
                State::Pending(ready) => {
                    let refused = refused(&resource).map(|refused| format!(" {refused}"));
                    let refused = refused.collect::<String>();
                    let now = format!("{}: {}{refused}", ready.reason, ready.message);
                    if last.says(&ready.reason, now) {
                        terminal.note(&format!("{}: {}", self.resource, last.text));
                    }
                }
                State::Unseen => {
                    last.says("", wanted.unseen());
                }
                State::Asked(annotation, before) => {
                    let reason = before.map_or("", |before| &before.reason);
                    let is_new = last.says(reason, asked(annotation, before));
                    if before.is_some() && is_new {
                        terminal.note(&format!("{}: {}", self.resource, last.text));
                    }
                }
            }
            if self.looks_once() {
                return Err(self.timed_out(last));
            }
            resource = self.next(&mut states, last, terminal).await?;
        }
    }

    /// A decision that was refused is over, whatever the resource came to.
    fn tell_refused(&self, resource: &DatabaseSchema, terminal: Terminal) {
        for refused in refused(resource) {
            terminal.note(&format!("{}: {refused}", self.resource));
        }
    }

    /// The next state that the watch brings.
    async fn next(
        &self,
        states: &mut (impl Stream<Item = Result<Option<DatabaseSchema>, Interruption>> + Unpin),
        last: &mut Last,
        terminal: Terminal,
    ) -> Result<DatabaseSchema, Failure> {
        loop {
            match states.next().await {
                Some(Ok(Some(resource))) => {
                    last.interruption.clear();
                    return Ok(resource);
                }
                Some(Ok(None)) | None => {
                    return Err(Failure::not_done(format!(
                        "{} was deleted while it was waited for. The database was not changed by that.",
                        self.resource
                    )));
                }
                Some(Err(Interruption::Lasting(failure))) => return Err(failure),
                Some(Err(Interruption::Passing(what))) => last.interrupted(what, terminal),
            }
        }
    }

    fn timed_out(&self, last: &Last) -> Failure {
        let after = if self.looks_once() {
            String::new()
        } else {
            let waited = SignedDuration::try_from(self.timeout).unwrap_or(SignedDuration::MAX);
            format!(" after {waited:#}")
        };
        let first = format!("{} is not Ready{after}.", self.resource);
        let mut sentences = vec![first, last.text.clone(), last.interruption.clone()];
        sentences.retain(|sentence| !sentence.is_empty());
        Failure {
            exit: Exit::Retry,
            messages: vec![sentences.join(" ")],
        }
    }
}

/// What was seen last.
#[derive(Default)]
struct Last {
    reason: Option<String>,
    /// As a sentence or more.
    text: String,
    /// Why nothing newer is known; empty while the watch works.
    interruption: String,
}

impl Last {
    /// Remembers what a resource says; true when the reason is another one than before.
    fn says(&mut self, reason: &str, text: String) -> bool {
        self.text = text;
        let is_new = self.reason.as_deref() != Some(reason);
        self.reason = Some(reason.to_owned());
        is_new
    }

    /// Tells of an interruption once, however often the watch is tried again.
    fn interrupted(&mut self, what: String, terminal: Terminal) {
        if self.interruption.is_empty() {
            terminal.note(&format!("The watch is tried again. {what}"));
        }
        self.interruption = what;
    }
}

impl Wanted {
    /// What the resource says of it.
    fn state<'a>(&self, resource: &'a DatabaseSchema) -> State<'a> {
        let conditions = resource.status.as_ref().map(|status| &status.conditions);
        let find = |type_: ConditionType| {
            let found = conditions?
                .iter()
                .find(|found| found.type_ == type_.as_str());
            found.filter(|found| found.observed_generation >= Some(self.generation))
        };
        if let Some(annotation) = asked_since(resource) {
            return State::Asked(annotation, find(ConditionType::Ready));
        }
        let is_true = |found: &&Condition| found.status == ConditionStatus::True;
        if let Some(stalled) = find(ConditionType::Stalled).filter(is_true) {
            return State::Stalled(stalled);
        }
        match find(ConditionType::Ready) {
            Some(ready) if is_true(&ready) => State::Ready(ready),
            Some(ready) => State::Pending(ready),
            None => State::Unseen,
        }
    }

    fn unseen(&self) -> String {
        unseen(&format!("generation {} yet", self.generation))
    }
}

fn unseen(what: &str) -> String {
    format!(
        "The operator has not looked at {what}: see whether it runs, and whether it watches this namespace."
    )
}

/// What is said while an annotation was not looked at: a run that is under way goes on, and is not silent.
fn asked(annotation: &str, before: Option<&Condition>) -> String {
    let unseen = unseen(&format!(
        "annotation {annotation} yet, or is older than this command"
    ));
    match before {
        Some(Condition {
            reason, message, ..
        }) => {
            format!("{unseen} It says of what was before: {reason}: {message}")
        }
        None => unseen,
    }
}

/// The decisions of a person that were refused, and why, a few sentences each.
fn refused(resource: &DatabaseSchema) -> impl Iterator<Item = String> {
    let conditions = resource.status.iter().flat_map(|status| &status.conditions);
    let standing = conditions.filter(|condition| condition.status == ConditionStatus::True);
    standing.filter_map(|condition| {
        let mut kinds = Kind::ALL.iter();
        let kind = kinds.find(|kind| condition.type_ == kind.refused().as_str())?;
        Some(format!(
            "The decision of {} was refused: {}",
            kind.annotation(),
            condition.message
        ))
    })
}

/// The annotation by which a person asked for something that the operator did not know of yet: what status says
/// is from before it.
fn asked_since(resource: &DatabaseSchema) -> Option<&'static str> {
    let annotations = resource.metadata.annotations.as_ref()?;
    let status = resource.status.as_ref();
    let is_new = |annotation: &&'static str| {
        let asked = annotations.get(*annotation);
        let observed = status.and_then(|status| match *annotation {
            RECONCILE_ANNOTATION => status.last_handled_reconcile.as_ref(),
            decision => status.observed_decisions.get(decision),
        });
        asked.is_some_and(|asked| is_kept_as_it_is(asked) && Some(asked) != observed)
    };
    [
        RECONCILE_ANNOTATION,
        APPROVE_ANNOTATION,
        ACCEPT_ANNOTATION,
        RESOLVE_ANNOTATION,
        TAKEOVER_ANNOTATION,
    ]
    .into_iter()
    .find(is_new)
}

/// The operator keeps other values in a shortened form, which tells nothing here.
fn is_kept_as_it_is(asked: &str) -> bool {
    asked.len() <= 1024 && !asked.chars().any(is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resource(annotations: &Value, status: &Value) -> DatabaseSchema {
        let connection =
            json!({"host": {"value": "h"}, "database": {"value": "d"}, "username": {"value": "u"}});
        serde_json::from_value(json!({
            "apiVersion": "schemaward.dev/v1alpha1",
            "kind": "DatabaseSchema",
            "metadata": {"name": "shop", "generation": 4, "annotations": annotations},
            "spec": {"source": {"inline": {}}, "connection": connection},
            "status": status,
        }))
        .expect("a resource")
    }

    fn condition(type_: &str, status: &str, generation: i64) -> Value {
        json!({
            "type": type_, "status": status, "observedGeneration": generation, "reason": "Any", "message": "any",
            "lastTransitionTime": "2026-11-26T06:25:12Z",
        })
    }

    #[test]
    fn only_what_is_said_of_the_wanted_counts() {
        let ready = |generation| condition("Ready", "True", generation);
        let not_ready = |generation| condition("Ready", "False", generation);
        let stalled = |generation| condition("Stalled", "True", generation);
        let asked = json!({RECONCILE_ANNOTATION: "2"});
        let none = json!({});
        for (annotations, status, expected) in [
            (&none, Value::Null, "unseen"),
            (&none, json!({"observedGeneration": -1}), "unseen"),
            (&none, json!({"conditions": [ready(3)]}), "unseen"),
            (
                &none,
                json!({"conditions": [not_ready(3), stalled(3)]}),
                "unseen",
            ),
            (&none, json!({"conditions": [not_ready(4)]}), "pending"),
            (&none, json!({"conditions": [ready(4)]}), "ready"),
            (&none, json!({"conditions": [ready(5)]}), "ready"),
            (
                &none,
                json!({"conditions": [not_ready(4), stalled(4)]}),
                "stalled",
            ),
            (
                &none,
                json!({"conditions": [not_ready(4), condition("Stalled", "False", 4)]}),
                "pending",
            ),
            (
                &asked,
                json!({"conditions": [not_ready(4), stalled(4)]}),
                "asked",
            ),
            (
                &asked,
                json!({"conditions": [ready(4)], "lastHandledReconcile": "1"}),
                "asked",
            ),
            (
                &asked,
                json!({"conditions": [ready(4)], "lastHandledReconcile": "2"}),
                "ready",
            ),
            // The operator keeps it in one line.
            (
                &json!({RECONCILE_ANNOTATION: "2\n"}),
                json!({"conditions": [ready(4)], "lastHandledReconcile": "2 "}),
                "ready",
            ),
            // And without what reorders the text around it, which comes with a copy from a page.
            (
                &json!({RECONCILE_ANNOTATION: "\u{200e}2"}),
                json!({"conditions": [ready(4)], "lastHandledReconcile": " 2"}),
                "ready",
            ),
            (
                &json!({APPROVE_ANNOTATION: "2\u{200e}"}),
                json!({"conditions": [ready(4)], "observedDecisions": {APPROVE_ANNOTATION: "2 "}}),
                "ready",
            ),
        ] {
            let resource = resource(annotations, &status);
            let seen = match (Wanted { generation: 4 }).state(&resource) {
                State::Ready(_) => "ready",
                State::Stalled(_) => "stalled",
                State::Pending(_) => "pending",
                State::Unseen => "unseen",
                State::Asked(..) => "asked",
            };
            assert_eq!(seen, expected, "{annotations} {status}");
        }
    }

    #[test]
    fn what_goes_on_is_said_while_an_annotation_was_not_looked_at() {
        let ready = condition("Ready", "False", 4);
        let annotations = json!({ACCEPT_ANNOTATION: "002"});
        let resource = |conditions| resource(&annotations, &json!({"conditions": conditions}));
        let said = |resource: &DatabaseSchema| match (Wanted { generation: 4 }).state(resource) {
            State::Asked(annotation, before) => asked(annotation, before),
            other => panic!("{other:?}"),
        };
        let unseen = "The operator has not looked at annotation schemaward.dev/accept yet, or is older than this \
                      command: see whether it runs, and whether it watches this namespace.";
        assert_eq!(said(&resource(json!([]))), unseen);
        assert_eq!(
            said(&resource(json!([ready]))),
            format!("{unseen} It says of what was before: Any: any")
        );
    }

    #[test]
    fn what_was_said_before_a_person_decided_does_not_count() {
        let stalled = [
            condition("Ready", "False", 4),
            condition("Stalled", "True", 4),
        ];
        for annotation in [
            APPROVE_ANNOTATION,
            ACCEPT_ANNOTATION,
            RESOLVE_ANNOTATION,
            TAKEOVER_ANNOTATION,
        ] {
            let asked = json!({annotation: "b"});
            let since = |observed: &Value| {
                let status = json!({"conditions": stalled, "observedDecisions": observed});
                let resource = resource(&asked, &status);
                match (Wanted { generation: 4 }).state(&resource) {
                    State::Asked(annotation, _) => Some(annotation),
                    State::Stalled(_) => None,
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(since(&json!({})), Some(annotation));
            assert_eq!(since(&json!({annotation: "a"})), Some(annotation));
            // It was looked at with the decision, and is still Stalled.
            assert_eq!(since(&json!({annotation: "b"})), None);
        }
    }
}
