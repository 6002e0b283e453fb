//! Status while versions run: written at once when a run has something to do, then at most once a
//! second, beside the run and never in its way.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::engine::Progress;
use crate::engine::sessions::{Activity, waited_for};

use super::agenda::annotation;
use super::attempt::{Running, Waiting};
use super::decisions::{Decided, decided};
use super::report::{Report, Written};
use super::status::{Happened, Subject, status};

/// Shortest time between two writes.
const PERIOD: Duration = Duration::from_secs(1);
/// Shortest time between two writes of what the server shows of a version.
const ACTIVITY_PERIOD: Duration = Duration::from_secs(10);

/// Takes what a run tells and writes it.
pub struct ProgressWriter {
    latest: watch::Sender<Option<Running>>,
    writing: JoinHandle<Report>,
}

impl ProgressWriter {
    /// Starts beside a run on the resource of `report`; `activity` is what the server shows of it, `acted_on` what a
    /// person decided and the same attempt carried out before: who kills the operator must not make it forget that.
    #[must_use]
    pub fn start(
        report: Report,
        activity: watch::Receiver<Option<Activity>>,
        acted_on: Decided,
    ) -> Self {
        let (latest, seen) = watch::channel(None);
        let news = News {
            seen,
            activity,
            written: Instant::now(),
        };
        let writing = tokio::spawn(write(report, news, acted_on));
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
    if let Progress::Planned(announcement) = progress {
        let plan = &announcement.plan;
        *latest = Some(Running {
            plan: (*plan).clone(),
            finished: 0,
            current: None,
            waiting: None,
            activity: None,
        });
        return true;
    }
    let Some(running) = latest else {
        return false;
    };
    match progress {
        Progress::Planned(_)
        | Progress::WaitingForLock { .. }
        | Progress::Baselined { .. }
        | Progress::Adopted(_)
        | Progress::Recovered(_)
        | Progress::Checking { .. } => {
            return false;
        }
        Progress::Started {
            version,
            name,
            direction,
            ..
        } => {
            running.current = Some(((*version).clone(), (*name).to_owned(), *direction));
            // What the attempt before this one met is still the news.
            if let Some(waiting) = &mut running.waiting {
                waiting.seconds = None;
            }
        }
        Progress::Finished(done) => {
            running.finished += 1;
            let current = running.current.as_ref();
            // Told with others, the next one may be under way already.
            if current.is_some_and(|(version, _, _)| *version == done.version) {
                running.current = None;
            }
            running.waiting = None;
        }
        Progress::Retrying {
            version: _,
            attempt,
            attempts,
            blockers,
            remains,
            wait,
        } => {
            running.waiting = Some(Waiting {
                held: waited_for(blockers),
                remains: remains.map(str::to_owned),
                attempt: *attempt,
                attempts: *attempts,
                seconds: Some(wait.as_secs().max(1)),
            });
        }
    }
    true
}

async fn write(mut report: Report, mut news: News, acted_on: Decided) -> Report {
    // Once the run is over, its end will be written instead.
    while let Some(running) = news.next().await {
        let wanted = status(
            report.last(),
            &Subject {
                generation: report.generation(),
                spec: &report.resource().spec,
                reconcile: annotation(report.resource()),
                decided: &decided(report.resource()),
                catalog: None,
            },
            &Happened::Running {
                running: &running,
                decided: &acted_on,
            },
            Timestamp::now(),
        );
        if wanted == *report.last() {
            continue;
        }
        if report.write(wanted).await == Written::Gone {
            return report;
        }
        news.written = Instant::now();
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = closed(news.seen.clone()) => return report,
        }
    }
    report
}

/// What there is to write.
struct News {
    seen: watch::Receiver<Option<Running>>,
    activity: watch::Receiver<Option<Activity>>,
    written: Instant,
}

impl News {
    /// The next thing to write: at once when the run goes on, after a while when only what the server
    /// shows of it has changed. `None` once the run is over.
    async fn next(&mut self) -> Option<Running> {
        loop {
            tokio::select! {
                changed = self.seen.changed() => {
                    changed.ok()?;
                    self.seen.has_changed().ok()?;
                }
                () = shown(&mut self.activity, self.written + ACTIVITY_PERIOD) => {}
            }
            if let Some(running) = self.seen.borrow_and_update().clone() {
                return Some(Running {
                    activity: self.activity.borrow_and_update().clone(),
                    ..running
                });
            }
        }
    }
}

/// Returns when the server showed something new, and not before `due`.
async fn shown(activity: &mut watch::Receiver<Option<Activity>>, due: Instant) {
    sleep_until(due).await;
    if activity.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn closed(mut seen: watch::Receiver<Option<Running>>) {
    while seen.changed().await.is_ok() {}
}
