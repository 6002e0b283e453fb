//! What a database has to say about the files: the same planner that `up` asks.

use std::collections::HashSet;

use crate::engine::database::Server;
use crate::engine::task::Task;
use crate::migration::blocked::Blocked;
use crate::migration::catalog::{Catalog, SourceFile};
use crate::migration::plan::{Plan, Step};
use crate::migration::version::Version;

use super::super::args::{ConnectionArgs, HistoryArgs};
use super::super::exit::Failure;
use super::super::session::Session;
use super::super::terminal::Terminal;

/// What a database said.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) server: Server,
    pub(super) current: Option<String>,
    applied: HashSet<Version>,
    pub(super) plan: Result<Plan, Blocked>,
    problem: Option<String>,
}

impl Asked {
    pub(super) fn is_applied(&self, version: &Version) -> bool {
        self.applied.contains(version)
    }

    /// Whether `up` would do nothing, because something is in its way.
    pub(super) fn is_blocked(&self) -> bool {
        self.plan.is_err()
    }

    /// What is in its way.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// What `up` would apply, in this order, with their names.
    pub(super) fn pending(&self) -> Vec<(&Version, &str)> {
        let steps = self.plan.as_ref().map_or(&[][..], |plan| &plan.steps);
        steps
            .iter()
            .map(|step| match step {
                Step::Apply { version, name, .. } | Step::Undo { version, name, .. } => {
                    (version, name.as_str())
                }
            })
            .collect()
    }
}

/// Asks, unless the files are no set: then there is nothing to compare with.
///
/// # Errors
/// Options that do not fit, or a database that cannot be asked.
pub(super) async fn ask(
    files: &[SourceFile],
    connection: &ConnectionArgs,
    history: &HistoryArgs,
    terminal: Terminal,
) -> Result<Option<Asked>, Failure> {
    let ledger = history.ledger();
    let settings = connection.settings(history).await?;
    let Ok(catalog) = Catalog::from_files(files.to_vec(), &ledger.table, &|_| false) else {
        terminal.note("The database was not asked: first mend what is wrong with the files.");
        return Ok(None);
    };
    let task = Task::of_command_line(catalog, ledger);
    let mut session = Session::open(&settings, terminal).await?;
    let look = session.look(task).await?;
    session.close().await;
    Ok(Some(Asked {
        current: look.history.current().map(ToString::to_string),
        applied: look
            .history
            .iter()
            .map(|applied| applied.version.clone())
            .collect(),
        problem: look.plan.as_ref().err().map(ToString::to_string),
        server: look.server,
        plan: look.plan,
    }))
}
