//! What is committed and not on the server's disk yet ([decision
//! 0018](../../docs/adr/0018-one-flush-for-several-quick-versions.md)).

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;

use super::connection::{Postgres, column};
use super::error;
use super::history::of_ledger;
use super::quote::literal;
use super::session::OWN_SEARCH_PATH;

/// Between two questions whether the disk has it.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Something that goes to the server's log of changes and changes nothing: the commit behind it flushes all of that
/// log so far. A lock on one of our rows needs no right that a run does not have anyway.
fn flush(ledger: &Ledger) -> String {
    format!(
        "SELECT FROM schemaward.script s WHERE {} LIMIT 1 FOR KEY SHARE",
        of_ledger(ledger)
    )
}

/// What a look may have seen that a crash of the server could still take back.
#[derive(Debug, Deserialize)]
pub struct Unflushed {
    /// Where the server's log of changes ended.
    lsn: String,
    /// For so long at the most: the server writes its log by itself.
    milliseconds: u32,
}

/// An expression for [`Unflushed`] as JSON; NULL: nothing. Only what was written moments ago can be meant; where
/// somebody configured that no commit waits for the disk, no look does.
pub fn expression() -> &'static str {
    "(SELECT pg_catalog.json_build_object('lsn', w.lsn::pg_catalog.text, 'milliseconds', w.milliseconds) \
     FROM (SELECT pg_catalog.pg_current_wal_insert_lsn() AS lsn, \
     (EXTRACT(epoch FROM pg_catalog.current_setting('wal_writer_delay')::pg_catalog.interval) * 3000 + 1000)\
     ::pg_catalog.int4 AS milliseconds, \
     (SELECT a.at FROM schemaward.audit a ORDER BY a.id DESC LIMIT 1) AS newest) w \
     WHERE pg_catalog.current_setting('synchronous_commit') <> 'off' \
     AND EXTRACT(epoch FROM pg_catalog.now() - w.newest) * 1000 < w.milliseconds \
     AND pg_catalog.pg_current_wal_flush_lsn() < w.lsn)"
}

impl Postgres {
    /// Flushes what is committed. Whoever has the migration lock: a script that released it committed, too.
    pub(super) async fn flush(&mut self) -> Result<(), DatabaseError> {
        let mut all = self.startup.again();
        all.extend(["BEGIN", OWN_SEARCH_PATH].map(str::to_owned));
        all.extend([flush(&self.settings.ledger), "COMMIT".to_owned()]);
        self.own_despite_cancelling(&all.join(";\n")).await?;
        Ok(())
    }

    /// Waits until what a look saw is there to stay: who remembers it would miss it after a crash of the server.
    pub(super) async fn wait_for_disk(
        &mut self,
        unflushed: &Unflushed,
    ) -> Result<(), DatabaseError> {
        let question = format!(
            "SELECT pg_catalog.pg_current_wal_flush_lsn() OPERATOR(pg_catalog.>=) {}::pg_catalog.pg_lsn",
            literal(&unflushed.lsn)
        );
        let end = Instant::now() + Duration::from_millis(unflushed.milliseconds.into());
        // The server flushes by itself what was committed, and not what a transaction wrote that goes on. So
        // something is committed behind that.
        self.own("SELECT pg_catalog.pg_current_xact_id()".to_owned())
            .await?;
        while Instant::now() < end {
            let row = self.own(question.clone()).await?;
            if row.map(|row| column::<bool, _>(&row, 0)).transpose()? == Some(true) {
                return Ok(());
            }
            sleep(ASK_EVERY).await;
        }
        Err(error::not_on_disk(&self.settings))
    }
}
