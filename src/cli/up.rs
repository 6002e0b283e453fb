//! `schemaward up`: applies what is pending.

use std::time::Duration;

use clap::Args;

use crate::engine::task::{Mode, Patience, Task};
use crate::migration::target::{Policy, Rollback, Target};
use crate::migration::version::Version;

use super::args::{ConnectionArgs, ExecutionArgs, HistoryArgs, SourceArgs};
use super::checks::ChecksArgs;
use super::exit::{Exit, Failure};
use super::report::{self, Context};
use super::session::Session;
use super::source::{self, Depth};
use super::terminal::Terminal;

/// Apply the pending versions, oldest first
///
/// Each version runs in one transaction together with its row in the history table. When one fails it
/// leaves nothing behind, those before it stay, and those after it do not run. Run it again at any
/// time: what is applied is not applied again.
#[derive(Debug, Args)]
pub(super) struct Up {
    /// Stop after this version [default: the last one in the folder]
    #[arg(long, value_name = "VERSION", value_parser = Version::parse)]
    to: Option<Version>,
    /// Record the versions up to this one as applied, without running them: they were in the database
    /// before it had a history
    #[arg(long, value_name = "VERSION", value_parser = Version::parse)]
    baseline: Option<Version>,
    #[command(flatten)]
    checks: ChecksArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    execution: ExecutionArgs,
}

impl Up {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let ledger = self.history.ledger();
        let catalog = source::load(&self.source.dir, &ledger.table, Depth::Judged, terminal)?;
        let checks = self.checks.load(&self.source.dir)?;
        let settings = self
            .connection
            .settings_to_execute(&self.history, &self.execution)
            .await?;
        let task = Task {
            target: self.to.map_or(Target::Latest, Target::Version),
            policy: Policy {
                rollback: Rollback::Deny,
                baseline: self.baseline,
            },
            mode: Mode::Migrate,
            patience: patience(self.execution.lock_wait.lock_wait),
            checks,
            ..Task::of_command_line(catalog.clone(), ledger.clone())
        };
        let mut session = Session::open(&settings, terminal).await?;
        let ended = session.run(task, |_| true).await?;
        let context = Context {
            terminal,
            catalog: &catalog,
            folder: &self.source.dir,
            ledger_table: &ledger.table,
            refused: "",
        };
        let exit = report::conclude(&mut session, &ended, context).await;
        session.close().await;
        Ok(exit)
    }
}

/// Waits as long as the person said.
pub(super) fn patience(lock_wait: Duration) -> Patience {
    Patience {
        lock_wait,
        ..Patience::default()
    }
}
