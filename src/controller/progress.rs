//! Status while versions run: written at once when a run has something to do, then at most once a
//! second, beside the run and never in its way.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::engine::Progress;

use super::agenda::annotation;
use super::attempt::Running;
use super::report::{Report, Written};
use super::status::{Happened, Subject, status};

/// Shortest time between two writes.
const PERIOD: Duration = Duration::from_secs(1);

/// Takes what a run tells and writes it.
pub struct ProgressWriter {
    latest: watch::Sender<Option<Running>>,
    writing: JoinHandle<Report>,
}

impl ProgressWriter {
    /// Starts beside a run on the resource of `report`.
    #[must_use]
    pub fn start(report: Report) -> Self {
        let (latest, seen) = watch::channel(None);
        let writing = tokio::spawn(write(report, seen));
        Self { latest, writing }
    }

    /// Takes in what the run tells.
    pub fn note(&self, progress: &Progress<'_>) {
        self.latest
            .send_if_modified(|latest| apply(latest, progress));
    }

    /// Ends the writing and gives back the report, which knows what was written last.
    ///
    /// # Errors
    /// When the writer panicked.
    pub async fn finish(self) -> Result<Report, tokio::task::JoinError> {
        drop(self.latest);
        self.writing.await
    }
}

/// True when there is something new to show.
fn apply(latest: &mut Option<Running>, progress: &Progress<'_>) -> bool {
    if let Progress::Planned(plan) = progress {
        *latest = Some(Running {
            plan: (*plan).clone(),
            finished: 0,
            current: None,
            waiting: None,
        });
        return true;
    }
    let Some(running) = latest else {
        return false;
    };
    match progress {
        Progress::Planned(_) | Progress::WaitingForLock { .. } => return false,
        Progress::Started {
            version,
            name,
            direction,
        } => {
            running.current = Some(((*version).clone(), (*name).to_owned(), *direction));
            running.waiting = None;
        }
        Progress::Finished { .. } => {
            running.finished += 1;
            running.current = None;
        }
        Progress::Retrying {
            version,
            attempt,
            attempts,
            blockers,
            wait,
        } => {
            let name = running.current.as_ref().map_or("", |(_, name, _)| name);
            let blocker = blockers
                .first()
                .map_or_else(|| "a lock".to_owned(), ToString::to_string);
            running.waiting = Some(format!(
                "{version} {name} waits for {blocker}. Nothing of {version} was applied. Attempt \
                 {attempt} of {attempts} in {} s.",
                wait.as_secs().max(1)
            ));
        }
    }
    true
}

async fn write(mut report: Report, mut seen: watch::Receiver<Option<Running>>) -> Report {
    // Once the run is over, its end will be written instead.
    while seen.changed().await.is_ok() && seen.has_changed().is_ok() {
        let Some(running) = seen.borrow_and_update().clone() else {
            continue;
        };
        let wanted = status(
            report.last(),
            &Subject {
                generation: report.generation(),
                spec: &report.resource().spec,
                reconcile: annotation(report.resource()),
                catalog: None,
            },
            &Happened::Running(&running),
            Timestamp::now(),
        );
        if report.write(wanted).await == Written::Gone {
            return report;
        }
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = closed(seen.clone()) => return report,
        }
    }
    report
}

async fn closed(mut seen: watch::Receiver<Option<Running>>) {
    while seen.changed().await.is_ok() {}
}
