//! What ran, as an event tells it.

use crate::migration::file_name::Direction;

use super::{Done, End, Outcome};

/// Versions that are named.
const NAMED: usize = 5;

impl Outcome {
    /// Of a run that has not looked at the database; `is_scratch` as of its task.
    pub(in crate::engine) fn unseen(is_scratch: bool) -> Self {
        Self {
            is_scratch,
            server: None,
            database_id: None,
            audit_entries: None,
            privileges: Vec::new(),
            server_change: None,
            passed_claim: None,
            is_locked: false,
            history: None,
            plan: None,
            reviewed: None,
            denied: Vec::new(),
            done: Vec::new(),
            checks_passed: 0,
            under_way: None,
            unflushed: Vec::new(),
            remains: None,
            prepared: None,
            end: End::Interrupted,
        }
    }

    /// What ran, how long each version took on the server, and who approved it, as sentences; `None`: nothing ran.
    #[must_use]
    pub fn what_ran(&self) -> Option<String> {
        let approved = self.reviewed().and_then(|plan| plan.approved.as_ref());
        let approved = approved.map(|approved| {
            let plan = approved.plan.short();
            format!("Plan {plan} was approved by {}.", approved.by)
        });
        let ran = sentence(self.done(), Direction::Down, "Undone")
            .into_iter()
            .chain(sentence(self.done(), Direction::Up, "Applied"));
        let ran: Vec<_> = ran.collect();
        (!ran.is_empty()).then(|| {
            ran.into_iter()
                .chain(approved)
                .collect::<Vec<_>>()
                .join(" ")
        })
    }
}

/// `Applied: 002 add_prices in 3 ms, 003 add_limits in 2 ms.`
fn sentence(done: &[Done], direction: Direction, verb: &str) -> Option<String> {
    let done: Vec<&Done> = done
        .iter()
        .filter(|done| done.direction == direction)
        .collect();
    let named: Vec<_> = done
        .iter()
        .take(NAMED)
        .map(|done| {
            let milliseconds = done.execution_time_ms;
            format!("{} {} in {milliseconds} ms", done.version, done.name)
        })
        .collect();
    let more = match done.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| format!("{verb}: {}{more}.", named.join(", ")))
}
