//! `schemaward test`: the round trip of all versions on a scratch database.

use std::path::PathBuf;
use std::pin::pin;

use clap::Args;

use crate::engine::error::DatabaseError;
use crate::migration::catalog::{Catalog, Migration};
use crate::migration::file_name::Direction;
use crate::migration::round_trip;
use crate::migration::script::{Script, ScriptDefect};
use crate::migration::statement_words::words;
use crate::postgres::{Fate, ScratchDatabase, Settings};

use super::args::{ConnectionArgs, ExecutionArgs, HistoryArgs, SourceArgs};
use super::exit::{Exit, Failure};
use super::output::{self, Format, FormatArgs};
use super::session::trouble;
use super::signals::Signals;
use super::source::{self, Depth};
use super::terminal::Terminal;

mod running;

use running::RoundTrip;

/// Try all versions on a scratch database: up, down one by one, up again
///
/// Creates a database of its own on the server, and drops it at the end; the one that --db names is only
/// connected to. After each step the catalog must be what it was when as many versions were applied before. A
/// file with a comment that begins with "Idempotent" is run twice. Ends with 1 when an object differs or a
/// script fails.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// SQL file that is run first, such as one with the tables that the migrations expect
    #[arg(long, value_name = "FILE")]
    setup: Option<PathBuf>,
    /// Leave the scratch database where it is, and say its name
    #[arg(long)]
    keep: bool,
    /// Run statements on roles, tablespaces and other databases, too; what they do outlives the test
    #[arg(long)]
    allow_global: bool,
    /// Drop the scratch databases that interrupted tests left, and do nothing else
    #[arg(long, conflicts_with_all = ["setup", "keep", "allow_global", "output"])]
    cleanup: bool,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    execution: ExecutionArgs,
}

impl Test {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let settings = self
            .connection
            .settings_to_execute(&self.history, &self.execution)
            .await?;
        if self.cleanup {
            return clean_up(&settings, terminal).await;
        }
        let ledger_table = self.history.ledger().table;
        let catalog = source::load(&self.source.dir, &ledger_table, Depth::Judged, terminal)?;
        let traits = round_trip::traits(&catalog, &ledger_table).map_err(unusable)?;
        let setup = self.setup_script(&ledger_table)?;
        self.look_beyond(&catalog, setup.as_ref(), &ledger_table, terminal)?;
        // From here on a signal ends no run before the scratch database is dropped.
        let mut signals = Signals::listen()?;
        let fate = if self.keep { Fate::Kept } else { Fate::Dropped };
        let scratch = ScratchDatabase::create(&settings, fate)
            .await
            .map_err(|error| trouble(&error))?;
        let run = RoundTrip::new(&self, terminal, catalog, traits);
        let tested = run.carry_out(&scratch.settings(), setup.as_ref()).await;
        let tested = self.shown(tested, terminal);
        if self.keep {
            terminal.note(&format!("Scratch database {} is kept.", scratch.name()));
            return tested;
        }
        let name = scratch.name().to_owned();
        if let Err(error) = drop_unless_stopped(scratch, &mut signals, terminal).await? {
            terminal.warning(&format!(
                "Scratch database {name} could not be dropped: {} Drop it with `schemaward test --cleanup`.",
                error.message
            ));
        }
        tested
    }

    /// Prints the result, where it was not printed step by step.
    fn shown(
        &self,
        tested: Result<(Exit, output::test::Test), Failure>,
        terminal: Terminal,
    ) -> Result<Exit, Failure> {
        let (exit, result) = tested?;
        if self.format.output == Format::Json {
            terminal.results(&output::to_text(&result)?)?;
        }
        Ok(exit)
    }

    fn setup_script(&self, ledger_table: &str) -> Result<Option<Script>, Failure> {
        let Some(path) = &self.setup else {
            return Ok(None);
        };
        let bytes = std::fs::read(path).map_err(|error| {
            Failure::not_done(format!(
                "--setup {} cannot be read: {error}.",
                path.display()
            ))
        })?;
        Script::parse(&bytes, ledger_table)
            .map(Some)
            .map_err(|defects| unusable((path.display().to_string(), defects)))
    }

    /// Refuses, or warns of, statements whose effect outlives the scratch database.
    fn look_beyond(
        &self,
        catalog: &Catalog,
        setup: Option<&Script>,
        ledger_table: &str,
        terminal: Terminal,
    ) -> Result<(), Failure> {
        let mut found = Vec::new();
        let mut look = |file: &str, script: &Script| {
            for statement in round_trip::beyond_the_database(script) {
                let words = words(script.text_of(statement));
                found.push(format!("{file}, {}: {words}", statement.position));
            }
        };
        if let (Some(path), Some(script)) = (&self.setup, setup) {
            look(&path.display().to_string(), script);
        }
        for migration in catalog.iter() {
            for (direction, file) in files(migration) {
                let script = round_trip::script(migration, direction, ledger_table);
                if let Some(script) = script.map_err(unusable)? {
                    look(file, &script);
                }
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let found = found.join("; ");
        if self.allow_global {
            terminal.warning(&format!(
                "These statements reach beyond the scratch database, and what they do stays: {found}."
            ));
            return Ok(());
        }
        Err(Failure::not_done(format!(
            "These statements reach beyond a database, so what they do would stay on the server after the test: \
             {found}. Nothing was run. Test on a server of your own with --allow-global, or keep them out of \
             migrations."
        )))
    }
}

/// The files of a version.
fn files(migration: &Migration) -> impl Iterator<Item = (Direction, &str)> {
    let down = migration.down.as_ref();
    std::iter::once((Direction::Up, migration.up.file.as_str()))
        .chain(down.map(|down| (Direction::Down, down.file.as_str())))
}

fn unusable((file, defects): (String, Vec<ScriptDefect>)) -> Failure {
    Failure {
        exit: Exit::NotDone,
        messages: defects
            .iter()
            .map(|defect| format!("{file}, {defect}"))
            .collect(),
    }
}

/// Drops it. A second signal, those counted that ended the test, does not wait for the server.
///
/// # Errors
/// When that signal came.
async fn drop_unless_stopped(
    scratch: ScratchDatabase,
    signals: &mut Signals,
    terminal: Terminal,
) -> Result<Result<(), DatabaseError>, Failure> {
    let name = scratch.name().to_owned();
    let mut stopping = signals.came().await;
    let mut dropping = pin!(scratch.drop());
    loop {
        tokio::select! {
            dropped = &mut dropping => return Ok(dropped),
            () = signals.next() => {}
        }
        if stopping {
            return Err(Failure::not_done(format!(
                "Stopped without waiting for scratch database {name} to be dropped. If it is left, \
                 `schemaward test --cleanup` drops it."
            )));
        }
        stopping = true;
        terminal.note(&format!(
            "Stopping: scratch database {name} is being dropped. A second signal does not wait for that."
        ));
    }
}

async fn clean_up(settings: &Settings, terminal: Terminal) -> Result<Exit, Failure> {
    let dropped = ScratchDatabase::drop_leftovers(settings)
        .await
        .map_err(|error| trouble(&error))?;
    for name in &dropped {
        terminal.results(&format!("dropped  {name}\n"))?;
    }
    if dropped.is_empty() {
        terminal.note("No scratch database is left, but for those in use or kept.");
    }
    Ok(Exit::Done)
}
