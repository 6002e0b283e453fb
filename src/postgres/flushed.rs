//! What is committed and not on the server's disk yet ([decision
//! 0018](../../docs/adr/0018-one-flush-for-several-quick-versions.md)).

use std::time::Duration;

use sqlx::postgres::PgRow;
use tokio::time::{Instant, sleep};

use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;

use super::connection::{Postgres, column};
use super::error;
use super::fields::{given, given_as};
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
#[derive(Debug, PartialEq, Eq)]
pub struct Unflushed {
    /// Where the server's log of changes ended.
    lsn: String,
    /// For so long at the most: the server writes its log by itself.
    milliseconds: u32,
}

/// What asks for all that [`Unflushed::read`] needs.
pub const QUESTION: &str = "SELECT pg_catalog.pg_current_wal_flush_lsn(), pg_catalog.pg_current_wal_insert_lsn(), \
     pg_catalog.current_setting('wal_writer_delay'), pg_catalog.current_setting('synchronous_commit'), \
     EXTRACT(epoch FROM pg_catalog.now())";

impl Unflushed {
    /// From the answer to [`QUESTION`] and the time of the newest row of the audit; `None`: nothing. Only what was
    /// written moments ago can be meant; where somebody configured that no commit waits for the disk, no look does.
    pub fn read(row: &PgRow, newest: f64) -> Result<Option<Self>, DatabaseError> {
        let (flushed, lsn) = (given(row, 0)?, given(row, 1)?);
        let milliseconds = writer_delay(given(row, 2)?) * 3 + 1000;
        let waits = given(row, 3)? != "off";
        let age = given_as::<f64>(row, 4)? - newest;
        let may_be_lost =
            waits && age * 1000.0 < f64::from(milliseconds) && position(flushed) < position(lsn);
        Ok(may_be_lost.then(|| Self {
            lsn: lsn.to_owned(),
            milliseconds,
        }))
    }
}

/// `wal_writer_delay` in milliseconds, as the server shows it: a number with the largest unit that fits.
fn writer_delay(shown: &str) -> u32 {
    let number = shown.trim_end_matches(|unit: char| !unit.is_ascii_digit());
    let unit = match &shown[number.len()..] {
        "ms" | "" => Some(1),
        "s" => Some(1000),
        _ => None,
    };
    let delay = number.parse::<u32>().ok().zip(unit);
    delay.map_or(LONGEST_DELAY, |(number, unit)| {
        number.saturating_mul(unit).min(LONGEST_DELAY)
    })
}

/// The largest `wal_writer_delay` that the server takes, in milliseconds.
const LONGEST_DELAY: u32 = 10_000;

/// A place in the server's log of changes, as a number; `None` (which comes before all others): it is none.
fn position(lsn: &str) -> Option<u64> {
    let (high, low) = lsn.split_once('/')?;
    let half = |digits| u32::from_str_radix(digits, 16).ok().map(u64::from);
    Some(half(high)? << 32 | half(low)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_is_read_as_the_server_shows_it() {
        let cases = [
            ("200ms", 200),
            ("1s", 1000),
            ("10s", 10_000),
            ("1ms", 1),
            ("?", 10_000),
            ("5min", 10_000),
        ];
        for (shown, expected) in cases {
            assert_eq!(writer_delay(shown), expected, "{shown}");
        }
    }

    #[test]
    fn places_in_the_log_are_compared_as_numbers() {
        assert!(position("0/9FFFFFFF") < position("0/A0000000"));
        assert!(position("9/FFFFFFFF") < position("A/0"));
        assert!(position("F/1") < position("10/0"));
        assert_eq!(position("1/2"), Some(0x1_0000_0002));
    }
}
