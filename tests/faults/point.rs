//! A point of the sweep: one fault, at one message of one scenario. Its name is all that is needed to run it again.

use std::fmt;
use std::time::Duration;

use crate::pgfault::{Phase, Rule, Then, When};

/// `plain/cli/after-forward/rst/17`: scenario, program, phase, fault, number of the client's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub scenario: &'static str,
    pub runner: &'static str,
    pub phase: Phase,
    pub then: Then,
    pub message: usize,
}

/// The phases and their names.
pub const PHASES: [(Phase, &str); 3] = [
    (Phase::BeforeForward, "before-forward"),
    (Phase::AfterForward, "after-forward"),
    (Phase::AfterReply, "after-reply"),
];

/// The faults of the sweep and their names.
pub const FAULTS: [(Then, &str); 9] = [
    (Then::KillRunner, "kill"),
    (Then::Reset, "rst"),
    (Then::BlackHole, "black-hole"),
    (Then::Delay(DELAY), "delay"),
    (Then::HalfClose, "half-close"),
    (Then::TerminateBackend, "terminate"),
    (Then::KillBackend, "kill-backend"),
    (Then::RestartServer, "restart"),
    (Then::Garbage, "garbage"),
];

/// Longer than the second after which a server looks whether its client is still there.
const DELAY: Duration = Duration::from_millis(1500);

impl Point {
    pub fn rule(&self) -> Rule {
        Rule {
            when: When::frontend(self.message),
            phase: self.phase,
            then: self.then,
        }
    }

    /// Whether all of a server goes down by it, so that it needs one of its own.
    pub fn needs_own_server(&self) -> bool {
        matches!(self.then, Then::KillBackend | Then::RestartServer)
    }

    /// Whether this is `name`, or below it: `plain/cli` is every point of that scenario and program.
    pub fn is_below(&self, name: &str) -> bool {
        let own = self.to_string();
        own.strip_prefix(name.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = PHASES.iter().find(|(phase, _)| *phase == self.phase);
        let fault = FAULTS.iter().find(|(then, _)| *then == self.then);
        write!(
            f,
            "{}/{}/{}/{}/{}",
            self.scenario,
            self.runner,
            phase.map_or("", |(_, name)| name),
            fault.map_or("", |(_, name)| name),
            self.message
        )
    }
}
