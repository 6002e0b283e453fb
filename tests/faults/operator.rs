//! The operator as the program under test: the built program on a real API server, with the rights that the chart
//! grants. It stays up through faults and is started again when one kills it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::operator_rig::{Apart, Operator as Process, Tenant, apart, condition, resource};
use crate::oracle::{Complaint, Oracle};
use crate::pgfault::Proxy;
use crate::runner::{Attempt, Ended, How, LIMIT, Runner};
use crate::site::Case;

/// How long a resource at its target is watched for a write.
const REST: Duration = Duration::from_secs(3);

/// Largest status, in bytes of JSON.
const STATUS_LIMIT: usize = 64 * 1024;

/// Longest message of a condition, and longest note of an event, in characters.
const MESSAGE_LIMIT: usize = 1024;

/// One operator at a time: a successor need not wait until the Lease of the one that was killed runs out.
const FLAGS: [&str; 2] = ["--source-poll-interval=1s", "--leader-election=false"];

pub struct Operator;

/// Namespaces with their releases of the chart; one point at a time has one.
static FREE: Mutex<Vec<Apart>> = Mutex::new(Vec::new());

struct Reconciled<'c> {
    case: &'c Case<'c>,
    proxy: &'c Proxy,
    /// Back in [`FREE`] when this value goes.
    apart: Option<Apart>,
    process: Option<Process>,
    name: String,
    complaints: RefCell<HashSet<String>>,
}

impl Runner for Operator {
    fn name(&self) -> &'static str {
        "operator"
    }

    fn start<'c>(&self, case: &'c Case<'c>, proxy: &'c Proxy) -> Box<dyn Attempt + 'c> {
        Box::new(Reconciled::of(case, proxy))
    }
}

impl<'c> Reconciled<'c> {
    fn of(case: &'c Case<'c>, proxy: &'c Proxy) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let new = || apart(&format!("faults-{}", MADE.fetch_add(1, Ordering::Relaxed)));
        Self {
            case,
            proxy,
            apart: Some(free.unwrap_or_else(new)),
            process: None,
            name: case.database.name.replace('_', "-"),
            complaints: RefCell::default(),
        }
    }
}

impl Attempt for Reconciled<'_> {
    fn faulted(&mut self) -> Ended {
        let process = self.apart().operator(&FLAGS);
        self.proxy.runner_is(process.pid());
        self.process = Some(process);
        self.apart().namespace.secret(&self.case.database);
        self.apart().namespace.apply(&self.manifest().to_string());
        self.settle()
    }

    fn finish(&mut self) -> Ended {
        if !self.process.as_mut().is_some_and(Process::runs) {
            self.process = Some(self.apart().operator(&FLAGS));
        }
        self.settle()
    }

    /// A resource at its target is not written.
    fn rest(&mut self) -> Ended {
        let before = self.object();
        sleep(REST);
        let after = self.object();
        let said = self.said(&after);
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        let how = if version(&before) == version(&after) {
            How::Done
        } else {
            How::Stalled
        };
        Ended { how, said }
    }

    fn complaints(&self) -> Vec<Complaint> {
        let complaints = self.complaints.borrow();
        complaints
            .iter()
            .map(|about| Complaint::new(Oracle::O8, about))
            .collect()
    }
}

impl Reconciled<'_> {
    fn apart(&self) -> &Apart {
        self.apart.as_ref().expect("only drop takes it")
    }

    fn manifest(&self) -> Value {
        let scenario = self.case.scenario;
        let wanted = scenario.versions.len().min(scenario.target);
        let files: serde_json::Map<_, _> = scenario
            .files(wanted)
            .into_iter()
            .map(|(name, text)| (name, Value::from(text)))
            .collect();
        let mut manifest = resource(&self.name, &self.case.database, &json!({"inline": files}));
        manifest["spec"]["connection"]["port"] = json!({"value": self.proxy.port});
        if scenario.goes_back() {
            manifest["spec"]["rollback"] = json!({"policy": "Allow"});
        }
        manifest
    }

    /// Waits until the resource is Ready or calls for a person, or the operator is no more.
    fn settle(&mut self) -> Ended {
        let end = Instant::now() + LIMIT;
        let how = loop {
            if !self.process.as_mut().is_some_and(Process::runs) {
                break How::Killed;
            }
            let object = self.object();
            self.check(&object["status"]);
            let status = &object["status"];
            if status["observedGeneration"] == object["metadata"]["generation"] {
                if condition(status, "Ready")["status"] == "True" {
                    break How::Done;
                }
                if condition(status, "Stalled")["status"] == "True" {
                    break How::Stalled;
                }
            }
            if Instant::now() > end {
                break How::Hung;
            }
            sleep(Duration::from_millis(200));
        };
        let said = self.said(&self.object());
        Ended { how, said }
    }

    /// Everything that the operator wrote anywhere; the spec is the user's own.
    fn said(&self, object: &Value) -> String {
        let process = self.process.as_ref();
        let metrics = process.and_then(|process| process.http("/metrics"));
        let log = process.map(Process::log).unwrap_or_default();
        let metrics = metrics.unwrap_or_default();
        format!(
            "{:#}\n{}\n{metrics}\n{log}",
            object["status"],
            self.events()
        )
    }

    fn object(&self) -> Value {
        let text = self
            .apart()
            .namespace
            .kubectl(&["get", "dbs", &self.name, "-o", "json"]);
        serde_json::from_str(&text).expect("kubectl gives JSON")
    }

    fn events(&self) -> String {
        let events = self
            .apart()
            .namespace
            .kubectl(&["get", "events.events.k8s.io", "-o", "json"]);
        let list: Value = serde_json::from_str(&events).expect("kubectl gives JSON");
        for event in list["items"].as_array().into_iter().flatten() {
            self.check_length("the note of an event", &event["note"], MESSAGE_LIMIT);
        }
        events
    }

    fn check(&self, status: &Value) {
        self.check_length("the status", &status.to_string().into(), STATUS_LIMIT);
        for condition in status["conditions"].as_array().into_iter().flatten() {
            self.check_length(
                "the message of a condition",
                &condition["message"],
                MESSAGE_LIMIT,
            );
        }
    }

    fn check_length(&self, what: &str, text: &Value, limit: usize) {
        let length = text.as_str().unwrap_or_default().chars().count();
        if length > limit {
            let about = format!("{what} has {length} characters, at most {limit} are allowed");
            self.complaints.borrow_mut().insert(about);
        }
    }
}

impl Drop for Reconciled<'_> {
    fn drop(&mut self) {
        self.process.take();
        if let Some(apart) = self.apart.take() {
            apart
                .namespace
                .try_kubectl(&["delete", "dbs", &self.name, "--ignore-not-found"]);
            FREE.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(apart);
        }
    }
}

/// The defect for oracle O8: an operator whose message goes on and on.
pub struct Talkative;

struct Lengthened<'c>(Reconciled<'c>);

impl Runner for Talkative {
    fn name(&self) -> &'static str {
        "talkative"
    }

    fn start<'c>(&self, case: &'c Case<'c>, proxy: &'c Proxy) -> Box<dyn Attempt + 'c> {
        Box::new(Lengthened(Reconciled::of(case, proxy)))
    }
}

impl Attempt for Lengthened<'_> {
    fn faulted(&mut self) -> Ended {
        let ended = self.0.faulted();
        let message = json!([{
            "op": "replace",
            "path": "/status/conditions/0/message",
            "value": "at length ".repeat(MESSAGE_LIMIT / 10 + 1),
        }]);
        let (name, patch) = (&self.0.name, message.to_string());
        let arguments = [
            "patch",
            "dbs",
            name,
            "--subresource=status",
            "--type=json",
            "-p",
            &patch,
        ];
        self.0.apart().namespace.kubectl(&arguments);
        ended
    }

    fn finish(&mut self) -> Ended {
        self.0.finish()
    }

    fn rest(&mut self) -> Ended {
        self.0.rest()
    }

    fn complaints(&self) -> Vec<Complaint> {
        self.0.complaints()
    }
}
