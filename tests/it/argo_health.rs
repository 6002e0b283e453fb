//! What Argo CD makes of a `DatabaseSchema` in each state, by its own health engine and the script that we ship.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{part, run_with_input};

/// Name, `status.observedGeneration` of a resource of generation 3, conditions as `type status reason message`, and
/// the verdict.
type Case = (&'static str, Option<i64>, &'static [&'static str], Verdict);

/// Argo CD's status and message.
type Verdict = (&'static str, &'static str);

const UNSEEN: Verdict = (
    "Progressing",
    "Waiting for the operator to see this version of the resource",
);
const CASES: &[Case] = &[
    ("without-status", None, &[], UNSEEN),
    ("created", Some(-1), &[], UNSEEN),
    (
        "changed",
        Some(2),
        &["Ready True UpToDate at version 001"],
        UNSEEN,
    ),
    (
        "changed-after-a-failure",
        Some(2),
        &[
            "Ready False MigrationFailed 042 failed",
            "Stalled True MigrationFailed 042 failed",
        ],
        UNSEEN,
    ),
    (
        "unreported",
        Some(3),
        &[],
        ("Progressing", "Waiting for the operator to report"),
    ),
    (
        "applying",
        Some(3),
        &[
            "Ready False Applying 001 runs",
            "Reconciling True Applying 001 runs",
        ],
        ("Progressing", "001 runs"),
    ),
    (
        "retrying",
        Some(3),
        &[
            "Ready False LockHeld waits",
            "Reconciling True ProgressingWithRetry waits",
        ],
        ("Progressing", "waits"),
    ),
    (
        "ready",
        Some(3),
        &["Ready True UpToDate at version 001"],
        ("Healthy", "at version 001"),
    ),
    (
        "stalled",
        Some(3),
        &[
            "Ready False MigrationFailed 042 failed",
            "Stalled True MigrationFailed 042 failed",
        ],
        ("Degraded", "042 failed"),
    ),
    (
        "recovered",
        Some(3),
        &[
            "Stalled False UpToDate at version 042",
            "Ready True UpToDate at version 042",
        ],
        ("Healthy", "at version 042"),
    ),
    (
        "suspended",
        Some(3),
        &["Ready False Suspended by spec.suspend"],
        ("Suspended", "by spec.suspend"),
    ),
    (
        "our-mistake",
        Some(3),
        &["Ready Unknown InternalError report it"],
        ("Progressing", "report it"),
    ),
];

fn resource((name, observed_generation, conditions, _): &Case) -> Value {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|condition| {
            let words: Vec<_> = condition.splitn(4, ' ').collect();
            json!({"type": words[0], "status": words[1], "reason": words[2], "message": words[3]})
        })
        .collect();
    let mut resource = json!({
        "apiVersion": "schemaward.dev/v1alpha1",
        "kind": "DatabaseSchema",
        "metadata": {"name": name, "namespace": "fluxion", "generation": 3},
    });
    if let Some(generation) = observed_generation {
        resource["status"] = json!({"observedGeneration": generation, "conditions": conditions});
    }
    resource
}

#[test]
fn argo_cd_sees_each_state_as_it_is() {
    let documents: Vec<_> = CASES
        .iter()
        .map(|case| resource(case).to_string())
        .collect();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/integrations/argocd/health.lua"
    );
    let output = run_with_input(
        Command::new(part("ARGO_HEALTH")).arg(script),
        &documents.join("\n---\n"),
    );
    assert!(output.status.success(), "{output:?}");
    let found: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
        .collect();
    let expected: Vec<_> = CASES
        .iter()
        .map(|(name, .., (status, message))| {
            json!({"kind": "DatabaseSchema", "name": name, "status": status, "message": message})
        })
        .collect();
    assert_eq!(found, expected);
}
