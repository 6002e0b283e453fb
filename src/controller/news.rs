//! What a run tells by an event as soon as it is so: the condition at its end says nothing of it any more.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::engine::Progress;
use crate::engine::recovery::Recovered;

use super::events::Severity;
use super::migrate::Run;

/// Reason of the event that rows of another program were taken over.
const HISTORY_ADOPTED: &str = "HistoryAdopted";
/// Reason of the event that the catalog shows a statement to be done.
const STATEMENT_PROVED: &str = "StatementProved";
/// Reason of the event that what a statement had left was put right.
const STATEMENT_REPAIRED: &str = "StatementRepaired";

/// One event; nothing is wrong by then.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    reason: &'static str,
    note: String,
}

impl News {
    /// What is news of this.
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
        Some(Self { reason, note })
    }
}

impl Run<'_> {
    /// Tells what comes, beside the run and never in its way.
    pub(super) async fn tell_all(&self, mut coming: UnboundedReceiver<News>) {
        while let Some(News { reason, note }) = coming.recv().await {
            self.tell(Severity::Normal, reason, "Reconcile", &note)
                .await;
        }
    }
}
