//! `schemaward resolve`: what became of a statement that nobody could tell.

use clap::{Args, ValueEnum};

use crate::engine::decision::{AcceptedText, Resolution, Verdict, Wish};
use crate::migration::catalog::Catalog;

use super::decide::RecordArgs;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Say what became of a statement where neither the server nor the catalog can tell
///
/// The way out of `InDoubt` and `TransactionEscaped`. Look at the objects that the statement names first.
/// `applied`: it is done, and the next run goes on behind it. `retry`: nothing of it is there, and the next
/// run sends it again. No script runs now. The audit says who said so.
#[derive(Debug, Args)]
pub(super) struct Resolve {
    /// The version, and after a colon the beginning of the checksum that the message shows, to decide about
    /// that statement and no other
    #[arg(value_name = "VERSION[:CHECKSUM]", value_parser = AcceptedText::parse)]
    version: AcceptedText,
    /// What is true
    #[arg(value_name = "VERDICT")]
    verdict: Word,
    #[command(flatten)]
    place: RecordArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// It is done
    Applied,
    /// Nothing of it is there
    Retry,
}

impl Resolve {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let AcceptedText { version, checksum } = self.version;
        let wish = Wish::Resolve(Resolution {
            version,
            checksum,
            verdict: match self.verdict {
                Word::Applied => Verdict::Applied,
                Word::Retry => Verdict::Retry,
            },
        });
        self.place.decide(wish, Catalog::empty(), terminal).await
    }
}
