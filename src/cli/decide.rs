//! What the commands share by which a person decides something: one run that looks, takes the migration
//! lock and records the decision.

use clap::Args;

use crate::engine::decision::{Decision, Wish};
use crate::engine::task::{Actor, Mode, Task};
use crate::migration::catalog::Catalog;
use crate::migration::target::{Policy, Target};

use super::args::{ConnectionArgs, HistoryArgs, LockWaitArgs};
use super::environment;
use super::exit::{Exit, Failure};
use super::report::{self, Context};
use super::session::Session;
use super::terminal::Terminal;
use super::up::patience;

/// Where a decision is recorded, and how long another run is waited for.
#[derive(Debug, Args)]
pub(super) struct DecisionArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    lock_wait: LockWaitArgs,
}

impl DecisionArgs {
    /// Name of the history table, by which a script's own record is known.
    pub(super) fn ledger_table(&self) -> String {
        self.history.ledger().table
    }

    /// Carries the decision out and tells what came of it. `catalog` is what it may be about.
    pub(super) async fn decide(
        self,
        wish: Wish,
        catalog: Catalog,
        terminal: Terminal,
    ) -> Result<Exit, Failure> {
        let settings = self.connection.settings(&self.history)?;
        let decision = Decision {
            wish,
            by: environment::user(),
        };
        let task = Task {
            catalog: catalog.clone(),
            target: Target::Latest,
            policy: Policy::default(),
            mode: Mode::Decide(Box::new(decision)),
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
