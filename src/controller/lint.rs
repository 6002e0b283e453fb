//! What must hold for every status, whatever happened: the rules of kstatus and our own limits. Every
//! test that produces a status calls [`lint`].

use crate::api::condition::{Condition, ConditionStatus, ConditionType, Reason};
use crate::api::decision::Kind;
use crate::api::v1alpha1::DatabaseSchemaStatus;

use super::policy::is_trouble;
use super::status::{MAX_HISTORY, MAX_PENDING, MAX_TEXT};

/// Largest status, as JSON.
const MAX_BYTES: usize = 64 * 1024;

/// What is wrong with a status that was made for `generation`; empty when nothing is.
#[must_use]
pub fn lint(status: &DatabaseSchemaStatus, generation: i64) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            found.push(what.to_owned());
        }
    };
    let ready = find(status, ConditionType::Ready);
    let reconciling = find(status, ConditionType::Reconciling);
    let stalled = find(status, ConditionType::Stalled);

    check(
        status.observed_generation == Some(generation),
        "status.observedGeneration is not the generation",
    );
    check(ready.is_some(), "Ready is missing");
    let refused = Kind::ALL.map(|kind| find(status, kind.refused()));
    let known = [ready, reconciling, stalled].into_iter().chain(refused);
    check(
        status.conditions.len() == known.flatten().count(),
        "a condition is there twice or has an unknown type",
    );
    check(
        Kind::ALL.iter().all(|kind| stands_refused(status, *kind)),
        "a refused decision is there and not True, has another reason, or was not looked at",
    );
    check(
        reconciling.is_none_or(|condition| condition.status == ConditionStatus::True),
        "Reconciling is there and not True",
    );
    check(
        stalled.is_none_or(|condition| condition.status == ConditionStatus::True),
        "Stalled is there and not True",
    );
    check(
        reconciling.is_none() || stalled.is_none(),
        "Reconciling and Stalled are both there",
    );
    if let Some(ready) = ready {
        let is_true = ready.status == ConditionStatus::True;
        let up_to_date = ready.reason == Reason::UpToDate.as_str();
        check(
            is_true == up_to_date,
            "Ready is True and the reason is not UpToDate, or the other way round",
        );
        check(
            !is_true || (reconciling.is_none() && stalled.is_none()),
            "Ready is True beside Reconciling or Stalled",
        );
        check(
            !is_true || status.failure.is_none(),
            "Ready is True and there is a failure",
        );
        check(
            !is_true || status.pending_count.unwrap_or(0) == 0,
            "Ready is True and versions are pending",
        );
        check(
            stalled.is_none_or(|stalled| {
                (&stalled.reason, &stalled.message) == (&ready.reason, &ready.message)
            }),
            "Stalled says something else than Ready",
        );
        check(
            Reason::parse(&ready.reason).is_none_or(|reason| !is_trouble(reason))
                || status.failure.is_some(),
            "Ready names a trouble and there is no failure",
        );
    }
    for condition in &status.conditions {
        for problem in lint_condition(condition, generation) {
            check(false, &format!("{}: {problem}", condition.type_));
        }
    }
    check(
        status.failure.as_ref().is_none_or(|failure| {
            failure.message.chars().count() <= MAX_TEXT && Reason::parse(&failure.reason).is_some()
        }),
        "the failure's message is too long, or its reason is not of the closed list",
    );
    check(
        status.pending.len() <= MAX_PENDING && status.history.len() <= MAX_HISTORY,
        "a list is too long",
    );
    check(
        status.pending_count.is_none_or(|count| {
            usize::try_from(count).is_ok_and(|count| status.pending.len() == count.min(MAX_PENDING))
        }),
        "pendingCount does not fit the list of pending versions",
    );
    check(
        serde_json::to_vec(status).is_ok_and(|json| json.len() <= MAX_BYTES),
        "status is larger than 64 KiB",
    );
    found
}

fn find(status: &DatabaseSchemaStatus, type_: ConditionType) -> Option<&Condition> {
    let mut conditions = status.conditions.iter();
    conditions.find(|condition| condition.type_ == type_.as_str())
}

/// Whether the condition about a decision of this kind is sound, or not there.
fn stands_refused(status: &DatabaseSchemaStatus, kind: Kind) -> bool {
    find(status, kind.refused()).is_none_or(|condition| {
        condition.status == ConditionStatus::True
            && condition.reason == Reason::DecisionRefused.as_str()
            && status
                .last_handled_decisions
                .contains_key(kind.annotation())
    })
}

/// A refusal is of the generation by which it was judged, all else of the last one.
fn observed_it(condition: &Condition, generation: i64) -> bool {
    let is_refusal = condition.reason == Reason::DecisionRefused.as_str();
    condition
        .observed_generation
        .is_some_and(|observed| observed == generation || (is_refusal && observed < generation))
}

fn lint_condition(condition: &Condition, generation: i64) -> Vec<&'static str> {
    let message = &condition.message;
    [
        (
            observed_it(condition, generation),
            "observedGeneration is not the generation",
        ),
        (
            Reason::parse(&condition.reason).is_some(),
            "the reason is not of the closed list",
        ),
        (!message.trim().is_empty(), "there is no message"),
        (
            message.chars().count() <= MAX_TEXT,
            "the message is too long",
        ),
        (
            !message.chars().any(char::is_control),
            "the message has a line end or another control character",
        ),
    ]
    .into_iter()
    .filter_map(|(holds, what)| (!holds).then_some(what))
    .collect()
}
