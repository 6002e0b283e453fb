//! What people's tools make of our status: kstatus (Flux, Helm 4), `helm install --wait` itself, and
//! Argo CD with the health check that we ship. Each status is one that the operator can write.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemaward::api::v1alpha1::DatabaseSchemaStatus;
use schemaward::controller::attempt::{Attempt, Running, Waiting};
use schemaward::controller::decisions::{Decided, Handled};
use schemaward::controller::lint::lint;
use schemaward::controller::memory::Memory;
use schemaward::controller::policy::{State, state};
use schemaward::controller::status::{Happened, Subject, status};
use schemaward::controller::verdict::verdict;
use schemaward::engine::error::ScriptFailureKind;
use schemaward::engine::task::Mode;
use schemaward::migration::file_name::Direction;
use schemaward::migration::version::Version;
use serde_json::{Value, json};

use crate::crd::{get, namespace, resource};
use crate::harness::{Namespace, eventually, part};

#[path = "../played/mod.rs"]
mod played;

use played::{Answer, Scene, at, attempts, spec};

const GENERATION: i64 = 3;

/// A status as the operator writes it, what it shows, and what it is about.
struct Case {
    what: String,
    status: DatabaseSchemaStatus,
    state: State,
}

impl Case {
    fn message(&self) -> &str {
        &self.status.conditions[0].message
    }

    fn reason(&self) -> &str {
        &self.status.conditions[0].reason
    }
}

fn make(
    previous: &DatabaseSchemaStatus,
    happened: &Happened<'_>,
    now: Timestamp,
) -> DatabaseSchemaStatus {
    let spec = spec(&["041", "042", "043", "044"]);
    let made = status(previous, &subject(&spec), happened, now);
    assert_eq!(lint(&made, GENERATION), [""; 0]);
    made
}

/// No decisions of a person.
const NONE: &Handled = &Handled::new();

fn subject(spec: &schemaward::api::v1alpha1::DatabaseSchemaSpec) -> Subject<'_> {
    Subject {
        generation: GENERATION,
        spec,
        reconcile: None,
        decided: NONE,
        catalog: None,
    }
}

fn attempted(attempt: &Attempt, seconds: i64) -> DatabaseSchemaStatus {
    let spec = spec(&["041", "042", "043", "044"]);
    let first = Memory::default().after(&subject(&spec), &Mode::Migrate, attempt, at(0));
    let memory = first.after(&subject(&spec), &Mode::Migrate, attempt, at(seconds));
    let next = memory.next_attempt(Duration::from_mins(10), 0.5, at(seconds));
    let happened = Happened::Attempted {
        attempt,
        memory: &memory,
        next,
    };
    make(&DatabaseSchemaStatus::default(), &happened, at(seconds))
}

/// Every status that an operator of this version can write.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (reason, attempt) in attempts() {
        for seconds in [1, 600] {
            cases.push(Case {
                what: format!("{reason} after {seconds} s"),
                status: attempted(&attempt, seconds),
                state: state(verdict(&attempt).reason, at(0), at(seconds)),
            });
        }
    }
    let plan = Scene::default().outcome().plan().cloned().expect("a plan");
    let running = Running {
        plan,
        finished: 0,
        current: None,
        waiting: None,
        activity: None,
    };
    let ready = attempted(&Scene::default().attempt(), 1);
    let waiting = Running {
        current: Some((
            Version::parse("042").expect("a version"),
            "v042".to_owned(),
            Direction::Up,
        )),
        waiting: Some(Waiting {
            remains: None,
            held: "a lock that was not free".to_owned(),
            attempt: 2,
            attempts: 11,
            seconds: Some(5),
        }),
        ..running.clone()
    };
    for (what, running) in [("running", running), ("waiting", waiting)] {
        cases.push(Case {
            what: what.to_owned(),
            status: make(
                &ready,
                &Happened::Running {
                    running: &running,
                    decided: &Decided::default(),
                },
                at(2),
            ),
            state: State::Reconciling,
        });
    }
    cases
}

fn object(generation: i64, status: &Value) -> Value {
    let mut object = resource("ledger");
    object["metadata"]["generation"] = json!(generation);
    object["metadata"]["namespace"] = json!("billing");
    if !status.is_null() {
        object["status"] = status.clone();
    }
    object
}

fn objects(cases: &[Case], generation: i64) -> Vec<Value> {
    let status = |case: &Case| serde_json::to_value(&case.status).expect("JSON");
    cases
        .iter()
        .map(|case| object(generation, &status(case)))
        .collect()
}

/// The verdicts of a program that reads objects and prints a line of JSON for each.
fn judge(program: &Path, arguments: &[&str], objects: &[Value]) -> Vec<Value> {
    let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let writer = std::thread::spawn(move || stdin.write_all(documents.join("\n---\n").as_bytes()));
    let output = child.wait_with_output().expect("the program ends");
    writer
        .join()
        .expect("the writer ends")
        .expect("all of it is read");
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let verdicts: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(verdicts.len(), objects.len());
    verdicts
}

fn kstatus(objects: &[Value]) -> Vec<Value> {
    judge(&part("KSTATUS"), &[], objects)
}

fn argo(objects: &[Value]) -> Vec<Value> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/integrations/argocd/health.lua"
    );
    judge(&part("ARGO_HEALTH"), &[script], objects)
}

#[test]
fn kstatus_judges_every_state_rightly() {
    let cases = cases();
    for (case, verdict) in cases.iter().zip(kstatus(&objects(&cases, GENERATION))) {
        let expected = match case.state {
            State::Ready => "Current",
            State::Stalled => "Failed",
            State::Reconciling | State::Waiting | State::Unknown => "InProgress",
        };
        assert_eq!(verdict["status"], expected, "{}: {verdict}", case.what);
        // Helm prints it as the reason why the release failed.
        if case.state == State::Stalled {
            assert_eq!(verdict["message"], case.message());
        }
    }
}

#[test]
fn argo_cd_judges_every_state_rightly() {
    let cases = cases();
    for (case, verdict) in cases.iter().zip(argo(&objects(&cases, GENERATION))) {
        let expected = match case.state {
            State::Ready => "Healthy",
            State::Stalled => "Degraded",
            State::Waiting if case.reason() == "Suspended" => "Suspended",
            State::Reconciling | State::Waiting | State::Unknown => "Progressing",
        };
        assert_eq!(verdict["status"], expected, "{}: {verdict}", case.what);
        assert_eq!(verdict["message"], case.message(), "{}", case.what);
    }
}

#[test]
fn a_status_of_an_older_generation_is_never_taken_for_the_new_one() {
    let cases = cases();
    let newer = objects(&cases, GENERATION + 1);
    for (case, verdict) in cases.iter().zip(kstatus(&newer)) {
        assert_eq!(verdict["status"], "InProgress", "kstatus, {}", case.what);
    }
    for (case, verdict) in cases.iter().zip(argo(&newer)) {
        assert_eq!(verdict["status"], "Progressing", "Argo CD, {}", case.what);
    }
}

#[test]
fn a_resource_that_nobody_has_looked_at_is_not_ready() {
    let default = json!({"observedGeneration": -1});
    let new = [object(1, &default), object(1, &Value::Null)];
    // Without the default of the CRD it would be: that is what the default is for.
    let statuses = |verdicts: Vec<Value>| -> Vec<Value> {
        verdicts
            .iter()
            .map(|verdict| verdict["status"].clone())
            .collect()
    };
    assert_eq!(statuses(kstatus(&new)), ["InProgress", "Current"]);
    assert_eq!(statuses(argo(&new)), ["Progressing", "Progressing"]);
}

#[test]
fn the_api_server_keeps_every_status_as_it_was_made() {
    let namespace = namespace("statuses");
    let cases = cases();
    let mut objects = objects(&cases, GENERATION);
    for (number, object) in objects.iter_mut().enumerate() {
        object["metadata"] = json!({"name": format!("case-{number}")});
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    namespace.apply(&list);
    let arguments = [
        "-n",
        &namespace.name,
        "replace",
        "--subresource=status",
        "-f",
        "-",
    ];
    let output = namespace.api.try_kubectl(&arguments, &list);
    assert!(output.status.success(), "{output:?}");
    let kept = namespace.kubectl(&["get", "databaseschemas", "-o", "json"]);
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    for (object, case) in objects.iter().zip(&cases) {
        let mut items = kept["items"].as_array().into_iter().flatten();
        let found = items.find(|item| item["metadata"]["name"] == object["metadata"]["name"]);
        let status = found.map(|found| &found["status"]);
        assert_eq!(status, Some(&object["status"]), "{}", case.what);
    }
}

/// Puts `status` in place of what is there.
fn write_status(namespace: &Namespace, name: &str, status: &Value) {
    let patch = json!([{"op": "replace", "path": "/status", "value": status}]).to_string();
    namespace.kubectl(&[
        "patch",
        "databaseschema",
        name,
        "--subresource=status",
        "--type=json",
        "-p",
        &patch,
    ]);
}

/// `status` for the resource as it is stored.
fn for_stored(namespace: &Namespace, name: &str, status: &DatabaseSchemaStatus) -> Value {
    let generation = &get(namespace, name)["metadata"]["generation"];
    let mut status = serde_json::to_value(status).expect("JSON");
    status["observedGeneration"] = generation.clone();
    status
}

/// A chart with a DatabaseSchema called `ledger` in it.
fn chart() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path: PathBuf = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    write("Chart.yaml", "{apiVersion: v2, name: shop, version: 0.1.0}");
    write("templates/schema.yaml", &resource("ledger").to_string());
    folder
}

fn helm(namespace: &Namespace, chart: &Path, timeout: &str) -> Command {
    let mut helm = Command::new(part("HELM"));
    helm.args(["install", "shop", "--wait", "--timeout", timeout])
        .args(["--namespace", &namespace.name])
        .arg(chart)
        .env_clear()
        .env("KUBECONFIG", &namespace.api.kubeconfig)
        .env("HOME", chart)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    helm
}

/// Starts `helm install --wait`, writes `status` once the resource is there, and gives what Helm
/// said and how long it took after that.
fn install_with(name: &str, status: &DatabaseSchemaStatus) -> (Output, Duration) {
    let namespace = namespace(name);
    let chart = chart();
    let helm = helm(&namespace, chart.path(), "120s")
        .spawn()
        .expect("helm starts");
    eventually(Duration::from_secs(30), || {
        let output = namespace.try_kubectl(&["get", "databaseschema", "ledger"]);
        if output.status.success() {
            Ok(())
        } else {
            Err(output)
        }
    });
    write_status(
        &namespace,
        "ledger",
        &for_stored(&namespace, "ledger", status),
    );
    let written = Instant::now();
    let output = helm.wait_with_output().expect("helm ends");
    (output, written.elapsed())
}

#[test]
fn helm_does_not_take_a_resource_for_ready_that_no_operator_has_seen() {
    let namespace = namespace("helm-unseen");
    let chart = chart();
    let output = helm(&namespace, chart.path(), "5s")
        .output()
        .expect("helm runs");
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn helm_succeeds_when_the_database_is_at_its_target() {
    let (output, _) = install_with("helm-ready", &attempted(&Scene::default().attempt(), 1));
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn helm_fails_at_once_with_our_message_when_a_person_has_to_act() {
    let failing = Scene {
        answer: Answer::Fails(ScriptFailureKind::Failed),
        ..Scene::default()
    };
    let (output, took) = install_with("helm-stalled", &attempted(&failing.attempt(), 1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains(
            "042 v042 failed at line 7, column 1: relation \"nowhere\" does not exist (42P01)."
        ),
        "{said}"
    );
    assert!(took < Duration::from_secs(30), "{took:?}");
}
