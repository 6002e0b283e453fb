//! `schemaward list`: every version and where it stands.

use std::collections::HashSet;

use clap::Args;
use clap::builder::styling::AnsiColor;

use crate::engine::task::Task;
use crate::migration::catalog::{Catalog, Defect};
use crate::migration::checksum::Checksum;
use crate::migration::history::History;
use crate::migration::overview::{Row, VersionState, overview};
use crate::migration::target::Target;

use super::args::{ConnectionArgs, HistoryArgs, SourceArgs};
use super::exit::{Exit, Failure};
use super::output::{self, Format, FormatArgs};
use super::session::Session;
use super::source;
use super::table::{self, Cell};
use super::terminal::Terminal;

/// Show every version and where it stands
///
/// Only reads. A version is `applied`, `pending` (in the folder, not yet applied), `changed` (applied, and
/// its file is no longer what was applied), `missing` (applied, and its file is gone), `ahead` (applied,
/// and above the last one in the folder) or `begun` (some of its statements are done and the rest is not,
/// which only a file with statements outside of a transaction can be). Any other that failed is `pending`:
/// nothing of it remains. A file that cannot be used is told on standard error.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
}

impl List {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let ledger = self.history.ledger();
        let table = ledger.table.clone();
        let (catalog, mut defects) = source::look(&self.source.dir, &table, terminal)?;
        let settings = self.connection.settings(&self.history).await?;
        let task = Task::of_command_line(catalog.clone(), ledger);
        let mut session = Session::open(&settings, terminal).await?;
        let look = session.look(task).await?;
        session.close().await;
        let rows = overview(&catalog, &look.history, &Target::Latest);
        let blocked = look.plan.as_ref().err();
        match self.format.output {
            Format::Text => terminal.results(&text(&rows, terminal))?,
            Format::Json => {
                let list = output::List::new(&look.server, &look.history, &rows, blocked);
                terminal.results(&output::to_text(&list)?)?;
            }
        }
        defects.extend(unusable(&catalog, &look.history, &table));
        tell(&defects, terminal);
        if let Some(blocked) = blocked {
            terminal.warning(&blocked.to_string());
        }
        Ok(Exit::Done)
    }
}

/// What is wrong with the texts that no run of ours has applied: the others were judged when they were.
fn unusable(catalog: &Catalog, history: &History, ledger_table: &str) -> Vec<Defect> {
    let applied: HashSet<Checksum> = history
        .iter()
        .filter_map(|row| row.stored)
        .flat_map(|stored| std::iter::once(stored.up).chain(stored.down))
        .collect();
    catalog
        .iter()
        .flat_map(|migration| std::iter::once(&migration.up).chain(&migration.down))
        .filter(|file| !applied.contains(&file.checksum))
        .flat_map(|file| file.defects(ledger_table))
        .collect()
}

fn tell(defects: &[Defect], terminal: Terminal) {
    for defect in defects {
        terminal.warning(&defect.to_string());
    }
    if !defects.is_empty() {
        terminal.note("`up` runs nothing as long as a file cannot be used.");
    }
}

/// A header and a line per version.
fn text(rows: &[Row], terminal: Terminal) -> String {
    let header = ["VERSION", "STATUS", "NAME", "APPLIED AT", "MS", "CHECKSUM"];
    let mut lines = vec![header.map(Cell::word).to_vec()];
    lines[0][4] = Cell::word("MS").aligned_right();
    lines.extend(rows.iter().map(|row| {
        let (status, colour) = status(row.state);
        vec![
            Cell::of(Some(&row.version)),
            Cell::word(status).in_colour(colour),
            Cell::of(Some(&row.name)),
            Cell::of(
                row.applied_at
                    .map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()),
            ),
            Cell::of(row.execution_time_ms).aligned_right(),
            Cell::of(
                row.checksum
                    .as_ref()
                    .map(|sum| sum.chars().take(8).collect::<String>()),
            ),
        ]
    }));
    table::render(&lines, terminal)
}

fn status(state: VersionState) -> (&'static str, AnsiColor) {
    match state {
        VersionState::Applied => ("applied", AnsiColor::Green),
        VersionState::Pending => ("pending", AnsiColor::Yellow),
        VersionState::Begun => ("begun", AnsiColor::Red),
        VersionState::Ahead => ("ahead", AnsiColor::Yellow),
        VersionState::Missing => ("missing", AnsiColor::Red),
        VersionState::Changed => ("changed", AnsiColor::Red),
    }
}
