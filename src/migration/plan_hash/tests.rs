use std::collections::BTreeSet;

use super::*;
use crate::migration::history::{Applied, Stored};

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn apply(text: &str, script: &str) -> Step {
    Step::Apply {
        version: version(text),
        name: format!("v{text}"),
        checksum: Checksum::of(script.as_bytes()),
    }
}

fn undo(text: &str, script: &str) -> Step {
    Step::Undo {
        version: version(text),
        name: format!("v{text}"),
        down: DownSource::Stored(Checksum::of(script.as_bytes())),
    }
}

fn plan(steps: &[Step]) -> Plan {
    Plan {
        steps: steps.to_vec(),
        ..Plan::default()
    }
}

fn history(rows: &[(&str, &str)]) -> History {
    let rows = rows.iter().map(|(text, script)| Applied {
        version: version(text),
        name: format!("v{text}"),
        applied_at: None,
        execution_time_ms: None,
        checksum: None,
        stored: Some(Stored {
            up: Checksum::of(script.as_bytes()),
            down: None,
        }),
    });
    History::new(rows.collect(), Vec::new()).unwrap()
}

fn context() -> PlanContext {
    PlanContext::new(["cluster", "shop", "shop"])
}

#[test]
fn whatever_would_run_differently_has_another_hash() {
    let renamed = Step::Apply {
        version: version("1"),
        name: "other".to_owned(),
        checksum: Checksum::of(b"a"),
    };
    let plans = [
        plan(&[]),
        plan(&[apply("1", "a")]),
        plan(&[apply("01", "a")]),
        plan(&[apply("1", "b")]),
        plan(&[renamed]),
        plan(&[undo("1", "a")]),
        plan(&[apply("1", "a"), apply("2", "b")]),
        plan(&[apply("2", "b"), apply("1", "a")]),
        plan(&[undo("2", "b"), undo("1", "a")]),
    ];
    let contexts = [
        context(),
        PlanContext::new(["cluster", "shop", "shop", "role"]),
        // Lengths keep fields apart.
        PlanContext::new(["cluster", "sho", "pshop"]),
        PlanContext::new(["elsewhere", "shop", "shop"]),
    ];
    let hashes: BTreeSet<Checksum> = contexts
        .iter()
        .flat_map(|context| {
            plans
                .iter()
                .map(|plan| plan_hash(context, plan, &History::empty()))
        })
        .collect();
    assert_eq!(hashes.len(), plans.len() * contexts.len());
}

#[test]
fn what_is_only_recorded_does_not_count() {
    let bare = plan(&[apply("2", "b")]);
    let adopting = Plan {
        adopt: vec![crate::migration::plan::Adoption {
            version: version("1"),
            stamp: true,
        }],
        current: Some(version("1")),
        ..bare.clone()
    };
    assert_eq!(
        plan_hash(&context(), &bare, &History::empty()),
        plan_hash(&context(), &adopting, &History::empty())
    );
}

/// People keep hashes in pipelines: the encoding is a contract.
#[test]
fn the_encoding_stays() {
    let hash = plan_hash(
        &context(),
        &plan(&[apply("001", "SELECT 1")]),
        &History::empty(),
    );
    let encoded = format!(
        "18:schemaward.plan/v17:cluster4:shop4:shop2:up3:0014:v00164:{}",
        Checksum::of(b"SELECT 1")
    );
    assert_eq!(hash, Checksum::of(encoded.as_bytes()));
}

#[test]
fn what_is_left_of_an_approved_plan_is_approved() {
    let whole = plan(&[apply("1", "a"), apply("2", "b"), apply("3", "c")]);
    let approved = plan_hash(&context(), &whole, &History::empty());
    let check = |rows: &[(&str, &str)], left: &[Step]| {
        is_approved(&context(), &plan(left), &history(rows), approved)
    };
    assert!(check(
        &[],
        &[apply("1", "a"), apply("2", "b"), apply("3", "c")]
    ));
    assert!(check(&[("1", "a")], &[apply("2", "b"), apply("3", "c")]));
    assert!(check(&[("1", "a"), ("2", "b")], &[apply("3", "c")]));
    for (rows, left) in [
        // Another text ran than the approved one, or would run.
        (vec![("1", "x"), ("2", "b")], vec![apply("3", "c")]),
        (vec![("1", "a"), ("2", "b")], vec![apply("3", "x")]),
        // More or less than was approved.
        (
            vec![("1", "a"), ("2", "b")],
            vec![apply("3", "c"), apply("4", "d")],
        ),
        (vec![("1", "a")], vec![apply("3", "c")]),
        // The other way.
        (vec![("1", "a"), ("2", "b")], vec![undo("2", "b")]),
    ] {
        assert!(!check(&rows, &left), "{rows:?} {left:?}");
    }
}

#[test]
fn a_way_back_is_approved_whole() {
    let whole = plan(&[undo("3", "c"), undo("2", "b")]);
    let approved = plan_hash(&context(), &whole, &History::empty());
    let history = history(&[("1", "a"), ("2", "b")]);
    assert!(is_approved(&context(), &whole, &history, approved));
    let left = plan(&[undo("2", "b")]);
    assert!(!is_approved(&context(), &left, &history, approved));
}

/// Whoever forgot that an approval was used: the same scripts once more are another plan, and what is left of the
/// second time is what was approved for the second time.
#[test]
fn the_same_versions_once_more_are_another_plan() {
    let up = plan(&[apply("1", "a"), apply("2", "b")]);
    let down = plan(&[undo("2", "b")]);
    let undone = |times: u64| [(version("02"), times)];
    let hash = |plan: &Plan, times| {
        plan_hash(
            &context(),
            plan,
            &History::empty().with_undone(undone(times)),
        )
    };
    for plan in [&up, &down] {
        assert_eq!(
            hash(plan, 0),
            plan_hash(&context(), plan, &History::empty())
        );
        assert_ne!(hash(plan, 0), hash(plan, 1));
        assert_ne!(hash(plan, 1), hash(plan, 2));
    }
    let left = plan(&[apply("2", "b")]);
    let approved_for = |times| {
        let then = history(&[("1", "a")]).with_undone(undone(1));
        is_approved(&context(), &left, &then, hash(&up, times))
    };
    assert!(approved_for(1));
    assert!(!approved_for(0));
}
