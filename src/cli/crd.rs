//! `schemaward crd`: the custom resource definition.

use clap::Args;

use crate::api::crd;

use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Print the custom resource definition of `DatabaseSchema`
///
/// To install it: `schemaward crd | kubectl apply --server-side -f -`
#[derive(Debug, Args)]
pub(super) struct Crd {}

impl Crd {
    // All commands are carried out in the same way.
    #[expect(clippy::unused_self, reason = "see above")]
    pub(super) fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        terminal.results(&crd::yaml())?;
        Ok(Exit::Done)
    }
}
