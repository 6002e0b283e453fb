//! `schemaward init`: creates the history.

use clap::Args;

use crate::engine::task::Mode;
use crate::migration::catalog::Catalog;

use super::decide::RecordArgs;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Create the history table and schema `schemaward`, and nothing else
///
/// `up` does this by itself; `init` is for those who want it apart, or under another role. What exists
/// already stays as it is.
#[derive(Debug, Args)]
pub(super) struct Init {
    #[command(flatten)]
    place: RecordArgs,
}

impl Init {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let mode = Mode::Initialize;
        self.place.record(mode, Catalog::empty(), terminal).await
    }
}
