//! One case from its fresh database to the last oracle.

use crate::oracle::{self, Complaint, Oracle, Snapshot};
use crate::pgfault::{Proxy, Record, Rule, Then};
use crate::runner::{Ended, How, Runner};
use crate::scenario::Scenario;
use crate::site::{Case, Site};

/// What a case came to.
#[derive(Debug)]
pub struct Judged {
    pub complaints: Vec<Complaint>,
    /// What went over the wire.
    pub wire: Record,
    /// What the program printed, run by run.
    pub said: String,
}

/// Runs `scenario` with a fault (`None`: without any), lets it come to its end without faults, and asks all oracles.
pub fn judge(site: &Site, runner: &dyn Runner, scenario: &Scenario, rule: Option<Rule>) -> Judged {
    let case = site.case(scenario);
    let then = rule.as_ref().map(|rule| rule.then);
    let proxy = Proxy::start(site.server, rule);
    let mut attempt = runner.start(&case, &proxy);
    let faulted = attempt.faulted();
    let wire = proxy.record();
    let mut complaints = Vec::new();
    if then.is_some() && !proxy.has_struck() {
        complaints.push(broken(
            "the fault did not strike: there was no such message",
        ));
    }
    if let Some(Then::KillBackend | Then::RestartServer) = then {
        site.recover();
    }
    complaints.extend(first_end(then, &faulted));
    let struck = Snapshot::take(&case);
    complaints.extend(oracle::always(&case, &struck));
    complaints.extend(oracle::told(&faulted.said, &struck));
    let finished = attempt.finish();
    let done = Snapshot::take(&case);
    let rested = attempt.rest();
    complaints.extend(attempt.complaints());
    drop(attempt);
    complaints.extend(last_end(&case, &done, &finished, &rested));
    complaints.extend(oracle::leftovers(&case));
    for met in site.met(&case.database.name) {
        complaints.push(Complaint::new(Oracle::O4, met));
    }
    let said =
        [&faulted, &finished, &rested].map(|ended| format!("{:?}: {}", ended.how, ended.said));
    let said = said.join("\n");
    complaints.extend(oracle::secrets(&case, &said));
    Judged {
        complaints,
        wire,
        said,
    }
}

/// A complaint about how runs ended.
fn broken(about: impl Into<String>) -> Complaint {
    Complaint::new(Oracle::O6, about)
}

/// A run that a fault struck is done all the same, or says that a retry helps: no fault of the sweep is for a person.
fn first_end(then: Option<Then>, faulted: &Ended) -> Option<Complaint> {
    let usual = match (then, faulted.how) {
        (None | Some(Then::Delay(_)), how) => how == How::Done,
        (Some(Then::KillRunner), how) => how == How::Killed,
        (Some(_), How::Done | How::Retry) => true,
        (Some(_), How::Stalled | How::Killed | How::Hung) => false,
    };
    (!usual).then(|| broken(format!("the faulted run ended as {:?}", faulted.how)))
}

fn last_end(case: &Case<'_>, done: &Snapshot, finished: &Ended, rested: &Ended) -> Vec<Complaint> {
    let mut complaints = oracle::always(case, done);
    if finished.how != How::Done || rested.how != How::Done {
        let ends = (finished.how, rested.how);
        complaints.push(broken(format!("the runs without faults ended as {ends:?}")));
    }
    complaints.extend(oracle::at_the_end(case, done, &Snapshot::take(case)));
    complaints
}
