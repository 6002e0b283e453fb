//! The round trip under way: each step, and the catalog after it.

use clap::builder::styling::AnsiColor;

use super::{Test, unusable};
use crate::cli::exit::{Exit, Failure};
use crate::cli::report::{self, Context};
use crate::cli::session::{Ended, Session};
use crate::cli::terminal::Terminal;
use crate::cli::up::patience;
use crate::engine::task::{Mode, Task};
use crate::migration::catalog::{Catalog, Migration};
use crate::migration::file_name::Direction;
use crate::migration::round_trip::{self, Step, Traits};
use crate::migration::script::Script;
use crate::migration::snapshot::Snapshot;
use crate::migration::target::{Policy, Rollback, Target};
use crate::migration::version::Version;
use crate::postgres::Settings;

/// The round trip under way.
pub(super) struct RoundTrip<'a> {
    test: &'a Test,
    terminal: Terminal,
    catalog: Catalog,
    traits: Vec<Traits>,
    /// The catalog of the database by how many versions are applied, as it was first.
    snapshots: Vec<Snapshot>,
    steps: usize,
    differences: usize,
}

/// Why it ended before its last step; told already.
struct Stopped(Exit);

impl<'a> RoundTrip<'a> {
    /// One of these versions, that has not begun.
    pub(super) fn new(
        test: &'a Test,
        terminal: Terminal,
        catalog: Catalog,
        traits: Vec<Traits>,
    ) -> Self {
        Self {
            test,
            terminal,
            catalog,
            traits,
            snapshots: Vec::new(),
            steps: 0,
            differences: 0,
        }
    }

    /// Makes it in the database that `settings` lead to, and says how it went.
    ///
    /// # Errors
    /// Trouble with that database, or a signal.
    pub(super) async fn carry_out(
        mut self,
        settings: &Settings,
        setup: Option<&Script>,
    ) -> Result<Exit, Failure> {
        let mut session = Session::open(settings, self.terminal).await?;
        let ended = self.go(&mut session, setup).await;
        session.close().await;
        match ended? {
            Err(Stopped(exit)) => Ok(exit),
            Ok(()) => Ok(self.conclude()),
        }
    }

    async fn go(
        &mut self,
        session: &mut Session,
        setup: Option<&Script>,
    ) -> Result<Result<(), Stopped>, Failure> {
        if let Some(script) = setup {
            let what = "the set-up".to_owned();
            if let Err(stopped) = self.run_unrecorded(session, script, &what).await? {
                return Ok(Err(stopped));
            }
        }
        let task = Task {
            mode: Mode::Initialize,
            ..self.task(Target::Latest)
        };
        if let Err(stopped) = self.run(session, task).await? {
            return Ok(Err(stopped));
        }
        self.snapshots.push(session.snapshot().await?);
        for step in round_trip::steps(&self.traits) {
            if let Err(stopped) = self.step(session, step).await? {
                return Ok(Err(stopped));
            }
            self.steps += 1;
            self.compare(session, step.applied()).await?;
        }
        Ok(Ok(()))
    }

    async fn step(
        &mut self,
        session: &mut Session,
        step: Step,
    ) -> Result<Result<(), Stopped>, Failure> {
        match step {
            Step::Up(version) => {
                let to = Target::Version(self.version(version)?.clone());
                self.run(session, self.task(to)).await
            }
            Step::Down(version) => {
                let to = match version.checked_sub(1) {
                    Some(below) => Some(self.version(below)?.clone()),
                    None => None,
                };
                self.run(session, self.task(Target::DownTo(to))).await
            }
            Step::UpAgain(version) => self.again(session, version, Direction::Up).await,
            Step::DownAgain(version) => self.again(session, version, Direction::Down).await,
        }
    }

    fn migration(&self, version: usize) -> Result<&Migration, Failure> {
        let found = self.catalog.iter().nth(version);
        found.ok_or_else(|| Failure::not_done("A step names no version. Please report it."))
    }

    fn version(&self, version: usize) -> Result<&Version, Failure> {
        Ok(&self.migration(version)?.version)
    }

    fn task(&self, target: Target) -> Task {
        Task {
            target,
            policy: Policy {
                rollback: Rollback::Allow,
                ..Policy::default()
            },
            mode: Mode::Migrate,
            patience: patience(self.test.execution.lock_wait.lock_wait),
            ..Task::of_command_line(self.catalog.clone(), self.test.history.ledger())
        }
    }

    /// One run of the engine, as `up` and `down` make it.
    async fn run(&self, session: &mut Session, task: Task) -> Result<Result<(), Stopped>, Failure> {
        let ledger_table = task.ledger.table.clone();
        let ended = session.run(task, |_| true).await?;
        if let Ended::Run(outcome) = &ended
            && report::is_done(outcome)
        {
            return Ok(Ok(()));
        }
        let context = Context {
            terminal: self.terminal,
            catalog: &self.catalog,
            folder: &self.test.source.dir,
            ledger_table: &ledger_table,
            refused: "",
        };
        let exit = match report::conclude(session, &ended, context).await {
            Exit::Done => Exit::NotDone,
            exit => exit,
        };
        Ok(Err(Stopped(exit)))
    }

    /// Runs a script once more that says it may.
    async fn again(
        &self,
        session: &mut Session,
        version: usize,
        direction: Direction,
    ) -> Result<Result<(), Stopped>, Failure> {
        let migration = self.migration(version)?;
        let table = self.test.history.ledger().table;
        let script = round_trip::script(migration, direction, &table).map_err(unusable)?;
        let Some(script) = script else {
            return Ok(Ok(()));
        };
        let (number, name) = (&migration.version, &migration.name);
        let what = format!("{number} {name} ({direction}), run a second time as it says it may,");
        let ended = self.run_unrecorded(session, &script, &what).await?;
        if ended.is_ok() {
            let again = self.terminal.paint(AnsiColor::Green, "again");
            self.terminal
                .results(&format!("{number}  {again}  {name}  {direction}\n"))?;
        }
        Ok(ended)
    }

    async fn run_unrecorded(
        &self,
        session: &mut Session,
        script: &Script,
        what: &str,
    ) -> Result<Result<(), Stopped>, Failure> {
        let Some(failed) = session.run_unrecorded(script).await? else {
            return Ok(Ok(()));
        };
        self.terminal.error(&format!(
            "{what} failed in the statement at {}: {} ({}). The rest was not tried.",
            failed.position, failed.message, failed.sqlstate
        ));
        Ok(Err(Stopped(Exit::NotDone)))
    }

    /// Looks at the catalog; compares it where it was looked at with as many versions before.
    async fn compare(&mut self, session: &mut Session, applied: usize) -> Result<(), Failure> {
        let now = session.snapshot().await?;
        let Some(before) = self.snapshots.get(applied) else {
            self.snapshots.push(now);
            return Ok(());
        };
        for difference in before.differences(&now) {
            self.differences += 1;
            let differs = self.terminal.paint(AnsiColor::Red, "differs");
            self.terminal
                .results(&format!("     {differs}  {difference}\n"))?;
        }
        Ok(())
    }

    fn conclude(&self) -> Exit {
        let without: Vec<_> = self
            .catalog
            .iter()
            .filter(|migration| migration.down.is_none())
            .map(|migration| migration.version.to_string())
            .collect();
        if !without.is_empty() {
            self.terminal.warning(&format!(
                "Without a DOWN, and so not undone: {}.",
                without.join(", ")
            ));
        }
        let versions = match self.catalog.len() {
            1 => "1 version".to_owned(),
            count => format!("{count} versions"),
        };
        match self.differences {
            0 => {
                self.terminal.note(&format!(
                    "{versions}, {} steps; the catalog was after each what it had been before.",
                    self.steps
                ));
                Exit::Done
            }
            count => {
                let objects = if count == 1 { "object" } else { "objects" };
                self.terminal.error(&format!(
                    "{versions}, {} steps; {count} {objects} differed from what they had been with as many versions \
                     applied. A way back has to leave nothing behind and take nothing else away.",
                    self.steps
                ));
                Exit::NotDone
            }
        }
    }
}
