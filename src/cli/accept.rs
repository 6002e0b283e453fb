//! `schemaward accept`: what stands there now is right.

use clap::Args;

use crate::engine::decision::Wish;
use crate::migration::catalog::Catalog;

use super::args::SourceArgs;
use super::decide::RecordArgs;
use super::exit::{Exit, Failure};
use super::source::{self, Depth};
use super::terminal::Terminal;

/// Take the present files of applied versions for what was applied
///
/// The way out of `ChecksumMismatch` and `HistoryTampered`, when the change is wanted. Where the set has a
/// file of the version, its UP and DOWN become the recorded ones, in the history table and in schema
/// `schemaward`. Where it has none, the history table gets back the checksum of the text that was kept.
/// Where the history table lost the row, our record goes, too, and the version counts as not applied. No
/// script runs. The audit says who accepted what, with the checksums before and after.
#[derive(Debug, Args)]
pub(super) struct Accept {
    /// A version, and after a colon the beginning of the checksum of its UP or DOWN file, to accept that
    /// text and no other
    #[arg(value_name = "VERSION[:CHECKSUM]", required_unless_present = "audit")]
    versions: Vec<String>,
    /// Take the audit as it stands, after showing which rows are not as they were written; what comes after is
    /// verified again
    #[arg(long, conflicts_with = "versions")]
    audit: bool,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    place: RecordArgs,
}

impl Accept {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        if self.audit {
            let wish = Wish::AcceptAudit;
            return self.place.decide(wish, Catalog::empty(), terminal).await;
        }
        let wish = Wish::accept(&self.versions.join(" "))
            .map_err(|invalid| Failure::usage(format!("Nothing can be accepted: {invalid}.")))?;
        let table = self.place.ledger_table();
        // An accepted DOWN may run one day: what cannot run is refused now.
        let catalog = source::load(&self.source.dir, &table, Depth::Judged, terminal)?;
        self.place.decide(wish, catalog, terminal).await
    }
}
