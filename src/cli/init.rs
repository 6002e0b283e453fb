//! `schemaward init`: creates the history.

use clap::Args;

use crate::engine::task::{Actor, Mode, Task};
use crate::migration::catalog::Catalog;
use crate::migration::target::{Policy, Target};

use super::args::{ConnectionArgs, HistoryArgs, LockWaitArgs};
use super::exit::{Exit, Failure};
use super::report::{self, Context};
use super::session::Session;
use super::terminal::Terminal;
use super::up::patience;

/// Create the history table and schema `schemaward`, and nothing else
///
/// `up` does this by itself; `init` is for those who want it apart, or under another role. What exists
/// already stays as it is.
#[derive(Debug, Args)]
pub(super) struct Init {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    lock_wait: LockWaitArgs,
}

impl Init {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let settings = self.connection.settings(&self.history)?;
        let catalog = Catalog::empty();
        let task = Task {
            catalog: catalog.clone(),
            target: Target::Latest,
            policy: Policy::default(),
            mode: Mode::Initialize,
            ledger: self.history.ledger(),
            actor: Actor::CommandLine,
            patience: patience(self.lock_wait.lock_wait),
            allow_privileged_role: false,
            known: None,
        };
        let mut session = Session::open(&settings, terminal).await?;
        let ended = session.run(task, |_| true).await?;
        let context = Context {
            terminal,
            catalog: &catalog,
            folder: "".as_ref(),
            ledger_table: &settings.ledger.table,
            refused: "",
        };
        let exit = report::conclude(&mut session, &ended, context).await;
        session.close().await;
        Ok(exit)
    }
}
