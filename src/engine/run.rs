//! Drives the step function: asks the database, waits, tells the caller what goes on.

use std::pin::pin;
use std::time::{Duration, Instant};

use crate::migration::file_name::Direction;
use crate::migration::version::Version;

use super::database::{Blocker, Database, Execution, Holder, Observation, Request};
use super::error::{DatabaseError, DatabaseErrorKind};
use super::event::{Announcement, Event, Next, Pause};
use super::hold::Hold;
use super::machine::Machine;
use super::outcome::{Done, Outcome};
use super::recovery::{Adopted, Recovery};
use super::review::{Judgements, ReviewedScript, ScriptText};
use super::task::Task;

/// What a caller may show while a run goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// There is work to do; the lock is ours and the first version is about to start.
    Planned(&'a Announcement),
    /// The migration lock is held by somebody else.
    WaitingForLock {
        /// Who holds it, where known.
        holder: Option<&'a Holder>,
    },
    /// A version was recorded as a part of the baseline; nothing of it ran.
    Baselined {
        /// The version.
        version: &'a Version,
        /// Its name.
        name: &'a str,
    },
    /// Rows of the history that another program wrote were taken over; nothing of them ran.
    Adopted(&'a Adopted),
    /// What became of a statement outside of a transaction is settled by the catalog, or what it left is put right.
    Recovered(&'a Recovery),
    /// A check is being asked.
    Checking {
        /// Its name.
        name: &'a str,
    },
    /// A version's script is being sent; more than once for one that runs in parts.
    Started {
        /// The version.
        version: &'a Version,
        /// Its name.
        name: &'a str,
        /// UP or DOWN.
        direction: Direction,
        /// The last one of those that may have been sent along with it.
        up_to: Option<&'a Version>,
    },
    /// A version is committed with its record, and on the server's disk. The next one may have been started before
    /// that.
    Finished(&'a Done),
    /// A version, or the part of it under way, did not get its locks, was rolled back and is tried again after `wait`.
    Retrying {
        /// The version.
        version: &'a Version,
        /// The attempt that comes next, counted from 1.
        attempt: u32,
        /// Attempts at the most.
        attempts: u32,
        /// Who stands in the way.
        blockers: &'a [Blocker],
        /// A clause: what there is of the version; `None`: nothing.
        remains: Option<&'a str>,
        /// How long the run pauses first.
        wait: Duration,
    },
}

/// What has to be so before a reviewed plan runs, apart from its database: the time, other objects. Asked before
/// the lock is taken and again under it.
pub trait Conditions {
    /// Why these scripts may not run, if they may not.
    fn hold(&self, scripts: &[ReviewedScript]) -> impl Future<Output = Option<Box<Hold>>> + Send;

    /// Why the next of these scripts may not start, although the run is under way; of no scripts, nothing.
    fn closed(&self, scripts: &[ReviewedScript]) -> Option<Box<Hold>>;
}

/// Nothing has to be so.
#[derive(Debug, Clone, Copy)]
pub struct Unconditional;

impl Conditions for Unconditional {
    async fn hold(&self, _: &[ReviewedScript]) -> Option<Box<Hold>> {
        None
    }

    fn closed(&self, _: &[ReviewedScript]) -> Option<Box<Hold>> {
        None
    }
}

/// Shortest and longest pause between two attempts to get the migration lock, in milliseconds.
const LOCK_POLL_MS: (f64, f64) = (500.0, 1500.0);

/// Longest pause before a version is tried again (decision 10: 1 to 30 s).
const RETRY_CEILING: Duration = Duration::from_secs(30);

/// How often a pause looks whether the run may still go on.
const INTERRUPT_POLL: Duration = Duration::from_millis(100);

/// Carries out `task` on `database`.
///
/// `may_continue` is asked before every version that is not sent along with another, in pauses and while a condition is; once it says no, the run ends as
/// [`super::outcome::End::Interrupted`] with everything begun finished. Dropping the future does not
/// stop a statement that the server already runs: use the adapter's canceller for that.
pub async fn run<D: Database>(
    database: &mut D,
    task: Task,
    may_continue: impl Fn() -> bool,
    progress: impl FnMut(Progress<'_>),
) -> Outcome {
    run_under(&Unconditional, database, task, may_continue, progress).await
}

/// The same, under conditions.
pub async fn run_under<D: Database>(
    conditions: &impl Conditions,
    database: &mut D,
    task: Task,
    may_continue: impl Fn() -> bool,
    mut progress: impl FnMut(Progress<'_>),
) -> Outcome {
    let review = task.review.as_ref();
    let judgements = review.map_or_else(Judgements::default, |review| review.judgements.clone());
    let mut machine = Machine::new(task);
    let mut event = Event::Begin;
    let (mut told, mut recovered) = (0, 0);
    loop {
        let next = machine.step(event);
        for recovery in &machine.recovered()[recovered..] {
            progress(Progress::Recovered(recovery));
        }
        recovered = machine.recovered().len();
        told += tell(&machine.done()[told..], &mut progress);
        event = match next {
            Next::Ask(request) => {
                announce(&request, &mut progress);
                match perform(database, &request, &may_continue).await {
                    None => Event::Interrupt,
                    Some(Ok(observation)) => {
                        report(&request, &mut progress);
                        Event::Observed(Box::new(observation))
                    }
                    Some(Err(error)) => Event::Failed(error),
                }
            }
            Next::Judge(scripts) => judge(scripts, judgements.clone()).await,
            Next::Pause(pause) => {
                let waited = wait(pause_for(&pause, &mut progress), &may_continue).await;
                after_pause(&pause, waited, conditions, machine.left())
            }
            Next::MayRun => {
                match unless_ended(conditions.hold(machine.left()), &may_continue).await {
                    None => Event::Interrupt,
                    Some(Some(hold)) => Event::Held(hold),
                    Some(None) => Event::Continue,
                }
            }
            Next::Checkpoint(announcement) => {
                if let Some(announcement) = announcement {
                    progress(Progress::Planned(&announcement));
                }
                match conditions.closed(machine.left()) {
                    _ if !may_continue() => Event::Interrupt,
                    Some(hold) => Event::Held(hold),
                    None => Event::Continue,
                }
            }
            Next::Done(outcome) => return *outcome,
        };
    }
}

/// Asks the database. A look is not waited for once the run has to end (`None`): it changes nothing, and a server that
/// hangs may not answer for long. The connection is of no more use then.
async fn perform<D: Database>(
    database: &mut D,
    request: &Request,
    may_continue: &impl Fn() -> bool,
) -> Option<Result<Observation, DatabaseError>> {
    match request {
        Request::Inspect => unless_ended(database.perform(request), may_continue).await,
        _ => Some(database.perform(request).await),
    }
}

/// What happened in a pause; what was `Held` meanwhile is not begun any more.
fn after_pause(
    pause: &Pause,
    waited: Event,
    conditions: &impl Conditions,
    left: &[ReviewedScript],
) -> Event {
    let goes_on = matches!(
        pause,
        Pause::BeforeRetry {
            is_under_way: true,
            ..
        }
    );
    match (waited, conditions.closed(left)) {
        (Event::Waited(_), Some(hold)) if !goes_on => Event::Held(hold),
        (waited, _) => waited,
    }
}

/// Judges scripts where that keeps nobody waiting.
async fn judge(scripts: Vec<ScriptText>, judgements: Judgements) -> Event {
    let work = move || {
        let judged = scripts.into_iter().map(|script| {
            let judged = judgements.of(&script);
            (script.key, judged)
        });
        judged.collect()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(judged) => Event::Judged(judged),
        Err(_) => Event::Failed(DatabaseError::new(
            DatabaseErrorKind::Internal,
            "Schemaward could not judge the scripts of the plan. Nothing was changed. Please report it.",
        )),
    }
}

/// Waits, but not longer than the caller lets the run go on.
async fn wait(pause: Duration, may_continue: &impl Fn() -> bool) -> Event {
    let began = Instant::now();
    while let Some(rest) = pause.checked_sub(began.elapsed()) {
        if !may_continue() {
            return Event::Interrupt;
        }
        tokio::time::sleep(rest.min(INTERRUPT_POLL)).await;
    }
    Event::Waited(began.elapsed())
}

/// What comes of `question`, unless the run has to end before that: others may take long to answer.
async fn unless_ended<T>(
    question: impl Future<Output = T>,
    may_continue: &impl Fn() -> bool,
) -> Option<T> {
    let mut question = pin!(question);
    loop {
        match tokio::time::timeout(INTERRUPT_POLL, question.as_mut()).await {
            Ok(answer) => return Some(answer),
            Err(_) if !may_continue() => return None,
            Err(_) => {}
        }
    }
}

/// How long a pause is, told to the caller.
fn pause_for(pause: &Pause, progress: &mut impl FnMut(Progress<'_>)) -> Duration {
    match pause {
        Pause::ForLock { holder } => {
            progress(Progress::WaitingForLock {
                holder: holder.as_ref(),
            });
            let (shortest, longest) = LOCK_POLL_MS;
            Duration::from_secs_f64((shortest + (longest - shortest) * random_fraction()) / 1000.0)
        }
        Pause::BeforeRetry {
            is_under_way: _,
            version,
            attempt,
            attempts,
            blockers,
            remains,
        } => {
            let wait = retry_pause(*attempt);
            progress(Progress::Retrying {
                version,
                attempt: *attempt,
                attempts: *attempts,
                blockers,
                remains: remains.as_deref(),
                wait,
            });
            wait
        }
    }
}

/// One second and a random part of an exponentially growing rest, so that two runs that met do not
/// meet again.
fn retry_pause(attempt: u32) -> Duration {
    let ceiling = Duration::from_secs(1 << attempt.min(5)).min(RETRY_CEILING);
    let least = Duration::from_secs(1);
    least + ceiling.saturating_sub(least).mul_f64(random_fraction())
}

/// A random number in 0..1 for jitter.
fn random_fraction() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

fn announce(request: &Request, progress: &mut impl FnMut(Progress<'_>)) {
    if let Request::Check(check) = request {
        progress(Progress::Checking { name: &check.name });
    }
    if let Some(execution) = under_way(request) {
        progress(Progress::Started {
            version: &execution.version,
            name: &execution.name,
            direction: execution.record.direction(),
            up_to: execution.last_along(),
        });
    }
}

/// Tells of versions that are there to stay, and says how many.
fn tell(done: &[Done], progress: &mut impl FnMut(Progress<'_>)) -> usize {
    for version in done {
        progress(Progress::Finished(version));
    }
    done.len()
}

fn report(request: &Request, progress: &mut impl FnMut(Progress<'_>)) {
    if let Request::Prepare(preparation) = request {
        if let Some(adopted) = Adopted::of(&preparation.adopt) {
            progress(Progress::Adopted(&adopted));
        }
        for recorded in &preparation.baseline {
            progress(Progress::Baselined {
                version: &recorded.version,
                name: &recorded.name,
            });
        }
    }
}

/// The version whose script a request runs, or a part of it.
fn under_way(request: &Request) -> Option<&Execution> {
    match request {
        Request::Execute(execution) => Some(execution),
        Request::Step(step) if step.action.runs_the_script() => Some(&step.execution),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::hold::OutsideWindow;
    use crate::engine::outcome::End;
    use crate::engine::task::Ledger;
    use crate::migration::catalog::Catalog;

    struct Closed;

    impl Conditions for Closed {
        async fn hold(&self, scripts: &[ReviewedScript]) -> Option<Box<Hold>> {
            self.closed(scripts)
        }

        fn closed(&self, scripts: &[ReviewedScript]) -> Option<Box<Hold>> {
            Some(Box::new(Hold::Window(OutsideWindow::new(scripts, None))))
        }
    }

    /// A server that does not answer.
    struct Hung;

    impl Database for Hung {
        async fn perform(&mut self, _: &Request) -> Result<Observation, DatabaseError> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_look_is_not_waited_for_once_the_run_has_to_end() {
        let (catalog, ledger) = (Catalog::empty(), Ledger::default());
        let task = Task::of_command_line(catalog, ledger);
        let began = Instant::now();
        let may_continue = || began.elapsed() < Duration::from_millis(50);
        let mut database = Hung;
        let run = run(&mut database, task, may_continue, |_| ());
        let outcome = tokio::time::timeout(Duration::from_secs(20), run).await;
        let outcome = outcome.expect("it ends");
        assert!(matches!(outcome.end(), End::Interrupted), "{outcome:?}");
        assert_eq!(
            outcome.message(),
            "Stopped on request before the database was looked at. Nothing was changed."
        );
    }

    #[test]
    fn what_runs_in_parts_goes_on_after_a_pause_and_nothing_else_does() {
        let retry = |is_under_way| Pause::BeforeRetry {
            is_under_way,
            version: Version::parse("1").unwrap(),
            attempt: 2,
            attempts: 3,
            blockers: Vec::new(),
            remains: None,
        };
        let after = |pause: &Pause, event| after_pause(pause, event, &Closed, &[]);
        let waited = || Event::Waited(Duration::from_secs(1));
        assert!(matches!(after(&retry(true), waited()), Event::Waited(_)));
        assert!(matches!(after(&retry(false), waited()), Event::Held(_)));
        let for_lock = Pause::ForLock { holder: None };
        assert!(matches!(after(&for_lock, waited()), Event::Held(_)));
        assert!(matches!(
            after(&for_lock, Event::Interrupt),
            Event::Interrupt
        ));
    }
}
