//! `schemaward takeover`: a history changes its owner.

use clap::Args;

use crate::engine::decision::{PresentOwner, Wish};
use crate::migration::catalog::Catalog;

use super::decide::RecordArgs;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Take a history from the `DatabaseSchema` that owns it, for the next one that comes
///
/// The way out of `DatabaseClaimed`, when a resource moved to another name, namespace or cluster. Delete or
/// suspend the old one first: whichever resource looks at the database next gets the history. From within
/// the cluster the annotation `schemaward.dev/takeover` on the new resource does the same. The audit says who
/// did it.
#[derive(Debug, Args)]
pub(super) struct Takeover {
    /// The resource that owns the history now: its namespace and name, or its uid
    #[arg(value_name = "NAMESPACE/NAME", value_parser = PresentOwner::parse)]
    owner: PresentOwner,
    #[command(flatten)]
    place: RecordArgs,
}

impl Takeover {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let wish = Wish::Takeover(self.owner);
        self.place.decide(wish, Catalog::empty(), terminal).await
    }
}
