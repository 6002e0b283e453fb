//! What status says of the decisions of a person.

use schemaward::api::decision::Kind;
use schemaward::controller::decisions::{Decided, Refused};

use super::*;

/// The annotation `accept`, set to `value`, was acted on.
fn decided(value: &str, refused: Option<&str>) -> Decided {
    let refused = refused.map(|why| {
        let why = why.to_owned();
        let generation = 3;
        (Kind::Accept, Refused { why, generation })
    });
    Decided {
        handled: [(Kind::Accept.annotation().to_owned(), value.to_owned())].into(),
        refused: refused.into_iter().collect(),
    }
}

#[test]
fn decisions_that_were_acted_on_outlive_the_operator() {
    let mut resource = Resource::new();
    let decided = decided("041", None);
    resource.memory = Memory::default().having_decided(decided.clone());
    resource.attempt(&Scene::default(), at(0));
    assert_eq!(resource.status.last_handled_decisions, decided.handled);
    resource.restart_operator();
    assert_eq!(*resource.memory.decided(), decided);
    resource.attempt(&failing(), at(60));
    assert_eq!(*resource.memory.decided(), decided);
}

#[test]
fn a_refused_decision_stands_beside_whatever_the_resource_is_at() {
    let why =
        "041 is neither applied nor recorded, so there is nothing to accept. Nothing was changed.";
    let refused = decided("041", Some(why));
    let mut resource = Resource::new();
    resource.decided = refused.handled.clone();
    resource.memory = Memory::default().having_decided(refused.clone());
    resource.attempt(&Scene::default(), at(0));
    assert_eq!(resource.ready().reason, "UpToDate");
    let said = |resource: &Resource| {
        let found = resource.condition("AcceptRefused")?;
        assert_eq!(found.status, ConditionStatus::True);
        assert_eq!(found.reason, "DecisionRefused");
        assert_eq!(found.last_transition_time.get(), at(0));
        // The spec by which it was judged, whatever came after it.
        assert_eq!(found.observed_generation, Some(3));
        Some(found.message.clone())
    };
    assert_eq!(said(&resource).as_deref(), Some(why));

    // It outlives the operator, another outcome and a run, and is no news.
    resource.restart_operator();
    assert_eq!(*resource.memory.decided(), refused);
    let before = resource.status.clone();
    resource.generation = 4;
    resource.attempt(&failing(), at(60));
    assert_eq!(resource.ready().reason, "MigrationFailed");
    assert_eq!(resource.ready().observed_generation, Some(4));
    assert_eq!(said(&resource).as_deref(), Some(why));
    resource.attempt(&failing(), at(90));
    resource.running(&begun(&Scene::default()), at(120));
    assert_eq!(said(&resource).as_deref(), Some(why));
    let mut without = before.clone();
    without.conditions.retain(|found| found.type_ == "Ready");
    assert!(!is_news(Some(&without), &before));

    // Until the annotation has another value.
    resource.decided = decided("042", None).handled;
    resource.running(&begun(&Scene::default()), at(150));
    assert_eq!(said(&resource), None);
}

#[test]
fn what_was_decided_before_a_run_is_known_while_it_runs() {
    let mut resource = Resource::new();
    resource.attempt(&Scene::default(), at(0));
    // A refusal of before, and then another value, which is carried out and followed by a long run.
    resource.memory = Memory::default().having_decided(decided("041", Some("No.")));
    resource.decided = decided("041", None).handled;
    resource.attempt(&Scene::default(), at(30));
    assert!(resource.condition("AcceptRefused").is_some());
    let carried_out = decided("042", None);
    resource.decided = carried_out.handled.clone();
    resource.decided_in_it = carried_out.clone();
    resource.running(&begun(&Scene::default()), at(60));
    assert_eq!(resource.status.last_handled_decisions, carried_out.handled);
    assert_eq!(resource.status.observed_decisions, carried_out.handled);
    assert!(resource.condition("AcceptRefused").is_none());

    // The operator is killed: the next one does not carry it out again.
    resource.decided_in_it = Decided::default();
    resource.restart_operator();
    assert_eq!(*resource.memory.decided(), carried_out);
    resource.running(&begun(&Scene::default()), at(90));
    assert_eq!(resource.status.last_handled_decisions, carried_out.handled);

    // So is a refusal.
    let refused = decided("043", Some("Nor that."));
    resource.decided = refused.handled.clone();
    resource.decided_in_it = refused.clone();
    resource.running(&begun(&Scene::default()), at(120));
    resource.restart_operator();
    assert_eq!(*resource.memory.decided(), refused);
}
