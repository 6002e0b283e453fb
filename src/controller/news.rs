//! What an attempt tells by an event as soon as it is so: the condition at its end says nothing of it any more.

use std::pin::pin;
use std::time::Duration;

use kube::Resource;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::api::v1alpha1::DatabaseSchema;
use crate::engine::Progress;
use crate::engine::recovery::Recovered;

use super::events::{EventText, Events, Severity};
use super::migrate::Run;

/// Reason of the event that rows of another program were taken over.
const HISTORY_ADOPTED: &str = "HistoryAdopted";
/// Reason of the event that the catalog shows a statement to be done.
const STATEMENT_PROVED: &str = "StatementProved";
/// Reason of the event that what a statement had left was put right.
const STATEMENT_REPAIRED: &str = "StatementRepaired";

/// How long what is still to be told may keep status waiting, once the work is over.
const LEFT: Duration = Duration::from_secs(3);

/// One event, about more than the condition.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    /// How it shows up.
    pub severity: Severity,
    /// Its reason.
    pub reason: &'static str,
    /// What was being done, one word.
    pub action: &'static str,
    /// What happened.
    pub note: String,
}

impl News {
    /// What is news of this; nothing is wrong by then.
    #[must_use]
    pub fn of(progress: &Progress<'_>) -> Option<Self> {
        let (reason, note) = match progress {
            Progress::Adopted(adopted) => (HISTORY_ADOPTED, adopted.to_string()),
            Progress::Recovered(recovery) => (
                match recovery.what {
                    Recovered::Proved => STATEMENT_PROVED,
                    Recovered::Dropped(_) | Recovered::Detached => STATEMENT_REPAIRED,
                },
                recovery.to_string(),
            ),
            Progress::Planned(_)
            | Progress::WaitingForLock { .. }
            | Progress::Baselined { .. }
            | Progress::Checking { .. }
            | Progress::Started { .. }
            | Progress::Finished(_)
            | Progress::Retrying { .. } => return None,
        };
        Some(Self {
            severity: Severity::Normal,
            reason,
            action: "Reconcile",
            note,
        })
    }
}

impl Run<'_> {
    /// Has it told, and goes on at once.
    pub(super) fn tell(&self, news: News) {
        tracing::info!(reason = news.reason, "{}", news.note);
        // Whoever listens does so until the run is over.
        let _ = self.news.send(news);
    }
}

/// Does `work`, and the `telling` of its news beside it. What is not told when the work is over has little time left,
/// all of it together: it is in the log, and status says what it came to.
pub async fn beside<T>(work: impl Future<Output = T>, telling: impl Future<Output = ()>) -> T {
    beside_for(LEFT, work, telling).await
}

async fn beside_for<T>(
    left: Duration,
    work: impl Future<Output = T>,
    telling: impl Future<Output = ()>,
) -> T {
    let (mut work, mut telling) = (pin!(work), pin!(telling));
    tokio::select! {
        biased;
        done = &mut work => {
            if timeout(left, telling).await.is_err() {
                tracing::warn!("the API server does not take events: the last ones are only in this log");
            }
            done
        }
        () = &mut telling => work.await,
    }
}

/// Tells what comes about `resource`, in that order, until nothing more can come. It is done beside the run: neither a
/// script nor another run of the same database waits for an API server.
pub async fn tell_all(
    resource: &DatabaseSchema,
    events: &Events,
    mut coming: UnboundedReceiver<News>,
) {
    let about = resource.object_ref(&());
    while let Some(news) = coming.recv().await {
        let text = EventText {
            severity: news.severity,
            reason: news.reason,
            action: news.action,
            note: &news.note,
        };
        events.publish(&about, text).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_api_server_that_takes_no_events_does_not_keep_status_for_long() {
        let left = Duration::from_millis(1);
        let done = beside_for(left, async { "over" }, std::future::pending());
        let done = timeout(Duration::from_mins(1), done).await;
        assert_eq!(done, Ok("over"));
    }

    #[tokio::test]
    async fn what_is_left_is_told_before_it_goes_on() {
        let told = std::cell::Cell::new(false);
        let telling = async {
            tokio::task::yield_now().await;
            told.set(true);
        };
        beside(async {}, telling).await;
        assert!(told.get());
    }
}
