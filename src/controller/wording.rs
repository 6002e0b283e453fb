//! What a person reads of the operator alone: a run in the middle, and what to do to the resource.
//! Pure; what a run ended with is worded by the engine, for operator and command line alike.

use crate::api::condition::Reason;
use crate::engine::error::ScriptFailureKind;
use crate::migration::file_name::Direction;
use crate::migration::plan::{Plan, Step};

use super::attempt::{Running, Waiting};
use super::policy::{Retry, policy};
use super::step_script::step_script;

/// A run in the middle of it: `Applying 3 versions: 042 to 044; 1 done, 043 add_limits runs`.
#[must_use]
pub fn running(running: &Running) -> String {
    let Running {
        plan,
        finished,
        current,
        waiting: _,
        activity: _,
    } = running;
    let whole = whole(plan);
    if plan.steps.len() < 2 {
        return format!("{whole}.");
    }
    let done = (*finished > 0).then(|| format!("{finished} done"));
    let runs = current.as_ref().map(|(version, name, direction)| {
        let script = match direction {
            Direction::Up => "",
            Direction::Down => " (DOWN)",
        };
        format!("{version} {name}{script} runs")
    });
    match done.into_iter().chain(runs).collect::<Vec<_>>() {
        parts if parts.is_empty() => format!("{whole}."),
        parts => format!("{whole}; {}.", parts.join(", ")),
    }
}

/// A version that did not get its locks: `018 waits for a lock on public.orders held for 12 min by …`,
/// what that means for the data, and when it is tried again.
#[must_use]
pub fn waiting(running: &Running) -> Option<String> {
    let waiting = running.waiting.as_ref()?;
    let (version, name, direction) = running.current.as_ref()?;
    let done = match direction {
        Direction::Up => "applied",
        Direction::Down => "undone",
    };
    let next = match waiting.seconds {
        Some(seconds) => format!("in {seconds} s"),
        None => "runs".to_owned(),
    };
    let Waiting {
        held,
        remains,
        attempt,
        attempts,
        ..
    } = waiting;
    let left = match remains {
        Some(remains) => remains.clone(),
        None => format!("Nothing of {version} was {done}"),
    };
    Some(format!(
        "{version} {name} waits for {held}. {left}. Attempt {attempt} of {attempts} {next}."
    ))
}

/// A script in which the connection was lost so often that it is not run again by itself. `remains`: a clause that
/// says what there is of a version that does not run in one transaction.
#[must_use]
pub fn poison(version: &str, name: &str, times: u32, remains: Option<&str>) -> String {
    let left = remains.unwrap_or("It is recorded whole or rolled back");
    format!(
        "{version} {name} was executed in {times} attempts in a row, and each lost the connection: it may be what \
         ends its session, or the server. {left}, and not run again by itself. \
         Look for the cause in the server's log (a crash, out of memory, pg_terminate_backend), correct \
         {version} and commit. If the cause was not in the script, set annotation schemaward.dev/reconcile to \
         run it once more."
    )
}

/// What to do once a cause outside of the script is mended.
const RUN_AGAIN: &str = " If the cause was not in the script, set annotation schemaward.dev/reconcile to run it \
                         again.";

/// The same for a failure whose reason alone does not tell that the cause may be the server's.
#[must_use]
pub fn what_to_do_about(kind: ScriptFailureKind) -> &'static str {
    match kind {
        ScriptFailureKind::LockTableFull | ScriptFailureKind::OutOfMemory => RUN_AGAIN,
        ScriptFailureKind::Failed
        | ScriptFailureKind::PermissionDenied
        | ScriptFailureKind::StatementTimeout
        | ScriptFailureKind::TransactionEscaped
        | ScriptFailureKind::InvalidIndex => "",
    }
}

/// What happens next by itself, or what to do where the operator will not run a script again by itself
/// (decision 11). The engine's own sentences end where the two drivers begin to differ.
#[must_use]
pub fn what_happens_next(reason: Reason, is_about_a_script: bool) -> &'static str {
    match reason {
        Reason::PermissionDenied | Reason::StatementTimeout if is_about_a_script => RUN_AGAIN,
        Reason::InDoubt | Reason::TransactionEscaped => " Until then nothing is run.",
        Reason::InvalidIndex => " Then set annotation schemaward.dev/reconcile to run it again.",
        reason if matches!(policy(reason).retry, Retry::Backoff { .. }) => {
            " Tries again by itself."
        }
        _ => "",
    }
}

/// The whole plan: `Undoing 2 versions: 044 to 043, then applying 042 add_limits`.
fn whole(plan: &Plan) -> String {
    let (undo, apply): (Vec<&Step>, Vec<&Step>) = plan
        .steps
        .iter()
        .partition(|step| matches!(step, Step::Undo { .. }));
    match (phase(&undo), phase(&apply)) {
        (None, None) => "Recording versions that are already there".to_owned(),
        (None, Some(apply)) => format!("Applying {apply}"),
        (Some(undo), None) => format!("Undoing {undo}"),
        (Some(undo), Some(apply)) => format!("Undoing {undo}, then applying {apply}"),
    }
}

fn phase(steps: &[&Step]) -> Option<String> {
    let first = step_script(steps.first()?);
    let last = step_script(steps.last()?);
    Some(match steps.len() {
        1 => format!("{} {}", first.version, first.name),
        count => format!("{count} versions: {} to {}", first.version, last.version),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_version_in_parts_is_not_said_to_be_rolled_back() {
        let said = |remains| poison("002", "index", 3, remains);
        assert!(said(None).contains("It is recorded whole or rolled back, and not run again"));
        let remains = "Statement 1 is done and kept; 002 is not recorded";
        let in_parts = said(Some(remains));
        assert!(
            in_parts.contains(&format!(" {remains}, and not run again by itself.")),
            "{in_parts}"
        );
        assert!(!in_parts.contains("rolled back"), "{in_parts}");
    }
}
