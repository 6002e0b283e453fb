//! What has to be so before a plan runs, on a real API server and a real PostgreSQL.

use serde_json::{Value, json};

use crate::cli::Ended;
use crate::harness::{Database, eventually, postgres, schemaward};
use crate::operator_rig::{LIMIT, Schema, Tenant, cluster, condition, inline, resource};

const WIDGETS: [(&str, &str); 2] = [
    (
        "001_widgets_UP.sql",
        "CREATE TABLE widgets (id int, note text);",
    ),
    ("001_widgets_DOWN.sql", "DROP TABLE widgets;"),
];
const GADGETS: [(&str, &str); 2] = [
    ("002_gadgets_UP.sql", "CREATE TABLE gadgets (id int);"),
    ("002_gadgets_DOWN.sql", "DROP TABLE gadgets CASCADE;"),
];

fn annotate(schema: &Schema<'_>, annotation: &str) {
    schema
        .namespace
        .kubectl(&["annotate", "--overwrite", "dbs", schema.name, annotation]);
}

fn approve(schema: &Schema<'_>, hash: &str) {
    annotate(schema, &format!("schemaward.dev/approve={hash}"));
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{pointer} is no text in {value:#}"))
}

fn message(status: &Value) -> String {
    text(&condition(status, "Ready"), "/message").to_owned()
}

/// The actors of what ran.
fn audit(database: &Database<'_>) -> String {
    database.query_text(
        "SELECT action, version, actor FROM schemaward.audit WHERE action IN ('apply', 'undo') ORDER BY id",
    )
}

#[test]
fn a_plan_runs_once_its_hash_is_approved_and_not_when_it_changed() {
    let database = postgres().database("approved");
    let namespace = cluster().tenant("approved");
    namespace.secret(&database);
    let manifest = |files: &[(&str, &str)]| {
        let mut manifest = resource("shop", &database, &inline(files));
        manifest["spec"]["approval"] = json!({"required": "Always"});
        manifest["spec"]["rollback"] = json!({"policy": "Allow"});
        manifest
    };
    let schema = namespace.schema("shop", &manifest(&WIDGETS));
    let status = schema.reaches("AwaitingApproval");
    assert_eq!(condition(&status, "Ready")["status"], "False");
    assert_eq!(condition(&status, "Stalled"), Value::Null);
    assert_eq!(condition(&status, "Reconciling"), Value::Null);
    assert_eq!(status["pendingCount"], 1);
    let plan = &status["plan"];
    let hash = text(plan, "/hash").to_owned();
    assert_eq!(plan["direction"], "Up");
    assert_eq!(plan["scriptCount"], 1);
    assert_eq!(
        plan["statements"],
        json!([{
            "version": "001",
            "direction": "Up",
            "line": 1,
            "statement": "CREATE TABLE widgets",
            "class": "Transactional",
            "impact": "additive",
            "lock": "none",
        }])
    );
    // Nothing was written, not even who owns the database.
    assert_eq!(
        database.query_text("SELECT to_regclass('schemaward.audit') IS NULL"),
        "t"
    );
    let said = message(&status);
    let command = format!(
        "`kubectl -n {} annotate --overwrite databaseschema shop schemaward.dev/approve={hash}`",
        namespace.name
    );
    assert!(said.contains(&command), "{said}");

    // Approved is this plan; before the operator sees that, another one is wanted.
    let both = [WIDGETS, GADGETS].concat();
    let mut changed = manifest(&both);
    changed["metadata"]["annotations"] = json!({"schemaward.dev/approve": hash});
    namespace.schema("shop", &changed);
    let status = schema.becomes("waiting for another approval", |status| {
        condition(status, "Ready")["reason"] == "AwaitingApproval"
            && message(status).contains("void")
    });
    let other = text(&status, "/plan/hash").to_owned();
    assert_ne!(other, hash);
    assert_eq!(status["plan"]["scriptCount"], 2);

    let words = command
        .trim_matches('`')
        .strip_prefix("kubectl ")
        .expect("kubectl")
        .replace(&hash, &other);
    namespace.api.kubectl(&words.split(' ').collect::<Vec<_>>());
    let status = schema.reaches("UpToDate");
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(status["plan"], Value::Null);
    let by = format!(
        "DatabaseSchema {}/shop, plan {} approved by annotation schemaward.dev/approve, set by field manager ",
        namespace.name,
        &other[..8]
    );
    let recorded = audit(&database);
    assert_eq!(recorded.matches(&by).count(), 2, "{recorded}");
    assert!(recorded.contains("kubectl-annotate"), "{recorded}");

    // The way back, and the same way forth again: each approval is for one run.
    namespace.schema("shop", &manifest(&WIDGETS));
    let status = schema.reaches("AwaitingApproval");
    assert_eq!(status["plan"]["direction"], "Down");
    assert_eq!(
        status["plan"]["statements"][0]["statement"],
        "DROP TABLE gadgets CASCADE"
    );
    names_what_it_would_lose(&schema, &status);
    approve(&schema, text(&status, "/plan/hash"));
    schema.reaches("UpToDate");
    assert_eq!(
        database.query_text("SELECT to_regclass('public.gadgets') IS NULL"),
        "t"
    );
    namespace.schema("shop", &manifest(&both));
    let status = schema.reaches("AwaitingApproval");
    let forth = text(&status, "/plan/hash").to_owned();
    approve(&schema, &forth);
    schema.reaches("UpToDate");
    the_same_plan_once_more(&schema, &forth);
}

/// What a way back would lose stands in status, in the condition and in the Event.
fn names_what_it_would_lose(schema: &Schema<'_>, status: &Value) {
    assert_eq!(status["plan"]["lossCount"], 1);
    assert_eq!(
        status["plan"]["losses"][0],
        json!({"version": "002", "line": 1, "kind": "Table", "object": "public.gadgets",
            "amount": "number of rows unknown: never analyzed"})
    );
    let loses = "Going back would lose table public.gadgets and what depends on it (number of rows unknown: never analyzed).";
    assert!(message(status).contains(loses), "{status:#}");
    let events = schema.namespace.kubectl(&[
        "get",
        "events.events.k8s.io",
        "-o",
        "jsonpath={.items[*].note}",
    ]);
    assert!(events.contains(loses), "{events}");
}

/// An approval is for one run: the same versions once more wait again, and are another plan, also for an operator
/// that does not know what was used.
fn the_same_plan_once_more(schema: &Schema<'_>, forth: &str) {
    // A way back that needs none, and the same plan once more.
    let [(up, up_text), (down, down_text)] = GADGETS;
    schema.patch(&json!({"spec": {
        "approval": {"required": "Never"},
        "source": {"inline": {up: null, down: null}},
    }}));
    schema.becomes("back", |status| {
        status["currentVersion"] == "001" && condition(status, "Ready")["reason"] == "UpToDate"
    });
    schema.patch(&json!({"spec": {
        "approval": {"required": "Always"},
        "source": {"inline": {up: up_text, down: down_text}},
    }}));
    let status = schema.reaches("AwaitingApproval");
    assert_ne!(status["plan"]["hash"], forth, "once more");
    assert!(
        message(&status).contains(&format!("What was approved as {} is done.", &forth[..8])),
        "{}",
        message(&status)
    );
}

#[test]
fn a_value_that_is_no_hash_approves_nothing() {
    let database = postgres().database("no_hash");
    let namespace = cluster().tenant("no-hash");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&WIDGETS));
    manifest["spec"]["approval"] = json!({"required": "Always"});
    let schema = namespace.schema("shop", &manifest);
    let hash = text(&schema.reaches("AwaitingApproval"), "/plan/hash").to_owned();
    approve(&schema, &hash[..8]);
    schema.becomes("told so", |status| {
        message(status).contains("is no plan's hash")
    });
    approve(&schema, &format!("sha256:{hash}"));
    schema.reaches("UpToDate");
    eventually(LIMIT, || {
        let events = schema.events();
        let told = |reason: &str| events.iter().any(|event| event.starts_with(reason));
        if told("Normal AwaitingApproval") && told("Normal UpToDate") {
            Ok(())
        } else {
            Err(events)
        }
    });
}

/// The example of the documents: a GitOps tool that may edit the resource cannot approve.
#[test]
fn approving_is_a_right_of_its_own_where_the_cluster_says_so() {
    let api = crate::harness::Api::start();
    crate::operator_rig::install(&api, "schemaward", &[]);
    let namespace = api.namespace("apart");
    api.kubectl(&[
        "apply",
        "-f",
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/approval/approvers.yaml"
        ),
    ]);
    namespace.kubectl(&[
        "create",
        "role",
        "editor",
        "--verb=get,create,patch,update",
        "--resource=databaseschemas.schemaward.dev",
    ]);
    namespace.kubectl(&[
        "create",
        "rolebinding",
        "editor",
        "--role=editor",
        "--user=gitops",
        "--user=ann",
    ]);
    namespace.kubectl(&[
        "create",
        "rolebinding",
        "approver",
        "--clusterrole=schemaward-approver",
        "--user=ann",
    ]);
    let database = postgres().database("approver");
    let mut manifest = resource("shop", &database, &inline(&WIDGETS));
    manifest["spec"]["approval"] = json!({"required": "Always"});
    namespace.apply(&manifest.to_string());
    let asks = |user: &str, arguments: &[&str]| {
        let user = format!("--as={user}");
        let namespace = format!("--namespace={}", namespace.name);
        api.try_kubectl(&[&[user.as_str(), &namespace], arguments].concat(), "")
    };
    let approve = [
        "annotate",
        "--overwrite",
        "dbs",
        "shop",
        "schemaward.dev/approve=abc",
    ];
    let loosen = [
        "patch",
        "dbs",
        "shop",
        "--type=merge",
        "-p",
        r#"{"spec":{"approval":{"required":"Never"}}}"#,
    ];
    // A policy counts a moment after it is made; until then nothing must change.
    eventually(LIMIT, || {
        let refused = asks("gitops", &[&loosen[..], &["--dry-run=server"]].concat());
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        if text.contains("you need the verb approve on databaseschemas") {
            return Ok(());
        }
        Err(text)
    });
    assert!(!asks("gitops", &loosen).status.success());
    assert!(!asks("gitops", &approve).status.success());
    let other = ["annotate", "dbs", "shop", "schemaward.dev/reconcile=now"];
    for (user, arguments) in [
        ("gitops", &other[..]),
        ("ann", &approve),
        // A value that is there already is not set anew.
        ("gitops", &["label", "dbs", "shop", "a=b"]),
        ("ann", &loosen),
    ] {
        let output = asks(user, arguments);
        assert!(output.status.success(), "{user} {arguments:?} {output:?}");
    }
}

#[test]
fn a_policy_forbids_asks_for_an_approval_or_warns() {
    let database = postgres().database("policy");
    let namespace = cluster().tenant("policy");
    namespace.secret(&database);
    let up = |name, text| -> (&str, &str) { (name, text) };
    let first = up(
        "001_widgets_UP.sql",
        "CREATE TABLE widgets (id int, note text);",
    );
    let drops = up(
        "002_no_note_UP.sql",
        "ALTER TABLE widgets DROP COLUMN note;",
    );
    let manifest = |files: &[(&str, &str)], policy: &Value| {
        let mut manifest = resource("shop", &database, &inline(files));
        manifest["spec"]["policy"] = policy.clone();
        manifest
    };
    // The defaults: what is new waits for nobody, what loses data for an approval.
    let schema = namespace.schema("shop", &manifest(&[first], &json!({})));
    schema.reaches("UpToDate");
    namespace.schema("shop", &manifest(&[first, drops], &json!({})));
    let status = schema.reaches("AwaitingApproval");
    let statement = &status["plan"]["statements"][0];
    assert_eq!(status["plan"]["destructiveCount"], 1);
    assert_eq!(statement["impact"], "destructive");
    assert_eq!(statement["lock"], "ACCESS EXCLUSIVE");
    let rules: Vec<&str> = statement["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| text(finding, "/rule"))
        .collect();
    assert_eq!(rules, ["destructive", "ban-drop-column"]);

    let denied = manifest(&[first, drops], &json!({"ban-drop-column": "Deny"}));
    namespace.schema("shop", &denied);
    let status = schema.reaches("PolicyDenied");
    assert_eq!(condition(&status, "Stalled")["status"], "True");
    assert!(
        message(&status).contains("002 line 1: ban-drop-column"),
        "{}",
        message(&status)
    );
    // A waiver in the file, with a reason, is the author's way out; the impact is not waived.
    let waived = up(
        "002_no_note_UP.sql",
        "-- schemaward: allow ban-drop-column because nobody reads it\nALTER TABLE widgets DROP COLUMN note;",
    );
    let mut waived = manifest(&[first, waived], &json!({"ban-drop-column": "Deny"}));
    namespace.schema("shop", &waived);
    schema.reaches("AwaitingApproval");
    waived["spec"]["approval"] = json!({"required": "Never"});
    namespace.schema("shop", &waived);
    let status = schema.reaches("UpToDate");
    assert_eq!(status["currentVersion"], "002");
    eventually(LIMIT, || {
        let events = schema.events();
        let told =
            "Warning PolicyWarning What ran has what the policy warns of: 002 line 2: destructive";
        if events.iter().any(|event| event.starts_with(told)) {
            Ok(())
        } else {
            Err(events)
        }
    });

    namespace.schema(
        "shop",
        &manifest(&[first], &json!({"ban-drop-colum": "Deny"})),
    );
    let status = schema.reaches("InvalidSpec");
    assert!(
        message(&status).contains("spec.policy: \"ban-drop-colum\" is neither the name of a rule"),
        "{}",
        message(&status)
    );
}

/// `schemaward approve`, without a terminal.
fn approve_by_command(schema: &Schema<'_>, more: &[&str]) -> Ended {
    let mut command = schemaward();
    command
        .env("KUBECONFIG", &schema.namespace.api.kubeconfig)
        .args(["approve", "databaseschema/shop", "--namespace"])
        .arg(&schema.namespace.name)
        .args(more);
    Ended::of(&command.output().expect("the program starts"))
}

#[test]
fn the_command_line_approves_the_plan_that_was_reviewed_and_no_other() {
    let database = postgres().database("approve_cli");
    let namespace = cluster().tenant("approve-cli");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&WIDGETS));
    manifest["spec"]["approval"] = json!({"required": "Always"});
    let schema = namespace.schema("shop", &manifest);
    let hash = text(&schema.reaches("AwaitingApproval"), "/plan/hash").to_owned();

    let asked = approve_by_command(&schema, &[]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.stdout.contains("CREATE TABLE widgets"), "{asked:?}");
    assert!(
        asked.stderr.contains(&format!("--plan {hash}")),
        "{asked:?}"
    );
    let other = approve_by_command(&schema, &["--plan", &"0".repeat(64)]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(
        other.stderr.contains("it changed. Nothing was approved."),
        "{other:?}"
    );
    assert_eq!(
        condition(&schema.status(), "Ready")["reason"],
        "AwaitingApproval"
    );

    let approved = approve_by_command(&schema, &["--plan", &hash]);
    assert_eq!(approved.code, Some(0), "{approved:?}");
    schema.reaches("UpToDate");
    let recorded = audit(&database);
    assert!(
        recorded.contains(
            "approved by annotation schemaward.dev/approve, set by field manager schemaward-approve by "
        ),
        "{recorded}"
    );
    let late = approve_by_command(&schema, &["--plan", &hash]);
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(
        late.stderr
            .contains("waits for no approval: UpToDate: at version 001"),
        "{late:?}"
    );
}
