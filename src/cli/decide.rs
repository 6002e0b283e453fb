//! What the commands share that write the history and run no script: one run that looks, takes the
//! migration lock and records what is wanted.

use clap::Args;

use crate::engine::decision::{Decision, Wish};
use crate::engine::task::{Mode, Task};
use crate::migration::catalog::Catalog;

use super::args::{ConnectionArgs, HistoryArgs, LockWaitArgs};
use super::audit::tell_what_is_accepted;
use super::environment;
use super::exit::{Exit, Failure};
use super::report::{self, Context};
use super::session::Session;
use super::terminal::Terminal;
use super::up::patience;

/// Where it is recorded, and how long another run is waited for.
#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    lock_wait: LockWaitArgs,
}

impl RecordArgs {
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
        let decision = Decision {
            wish,
            by: environment::user(),
        };
        let mode = Mode::Decide(Box::new(decision));
        self.record(mode, catalog, terminal).await
    }

    /// Carries out `mode`, which runs no script, and tells what came of it.
    pub(super) async fn record(
        self,
        mode: Mode,
        catalog: Catalog,
        terminal: Terminal,
    ) -> Result<Exit, Failure> {
        let settings = self.connection.settings(&self.history).await?;
        let task = Task {
            mode,
            patience: patience(self.lock_wait.lock_wait),
            ..Task::of_command_line(catalog.clone(), self.history.ledger())
        };
        let mut session = Session::open(&settings, terminal).await?;
        if is_about_the_audit(&task.mode) {
            tell_what_is_accepted(&mut session, terminal).await?;
        }
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

fn is_about_the_audit(mode: &Mode) -> bool {
    matches!(mode, Mode::Decide(decision) if decision.wish == Wish::AcceptAudit)
}
