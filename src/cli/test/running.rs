//! The round trip under way: each step, and the catalog after it.

use clap::builder::styling::AnsiColor;

use super::{Format, Test, unusable};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::test::{Difference, TestFailure, TestStep};
use crate::cli::output::{self, Direction as OutputDirection};
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
    /// For messages, and for results as text.
    terminal: Terminal,
    catalog: Catalog,
    traits: Vec<Traits>,
    /// The catalog of the database by how many versions are applied, as it was first.
    snapshots: Vec<Snapshot>,
    /// Those that were begun.
    steps: Vec<TestStep>,
    server_version: Option<String>,
}

/// Why it ended before its last step; told already.
struct Stopped {
    exit: Exit,
    message: String,
}

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
            terminal: match test.format.output {
                Format::Text => terminal,
                Format::Json => terminal.mute(),
            },
            catalog,
            traits,
            snapshots: Vec::new(),
            steps: Vec::new(),
            server_version: None,
        }
    }

    /// Makes it in the database that `settings` lead to, and says how it went, in words and as a result.
    ///
    /// # Errors
    /// Trouble with that database, or a signal.
    pub(super) async fn carry_out(
        mut self,
        settings: &Settings,
        setup: Option<&Script>,
    ) -> Result<(Exit, output::test::Test), Failure> {
        let mut session = Session::open(settings, self.terminal).await?;
        let ended = self.go(&mut session, setup).await;
        session.close().await;
        let (exit, failure) = match ended? {
            Err(Stopped { exit, message }) => (exit, Some(TestFailure { message })),
            Ok(()) => (self.conclude(), None),
        };
        Ok((exit, self.result(exit, failure)))
    }

    /// What is printed as JSON.
    fn result(self, exit: Exit, failure: Option<TestFailure>) -> output::test::Test {
        output::test::Test {
            format: "schemaward.test/v1",
            passed: exit == Exit::Done,
            without_down: self.without_down(),
            server_version: self.server_version,
            steps: self.steps,
            failure,
        }
    }

    fn without_down(&self) -> Vec<String> {
        let without = self.catalog.iter().filter(|known| known.down.is_none());
        without.map(|known| known.version.to_string()).collect()
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
            let begun = self.begun(step)?;
            self.steps.push(begun);
            if let Err(stopped) = self.step(session, step).await? {
                return Ok(Err(stopped));
            }
            self.compare(session, step.applied()).await?;
        }
        Ok(Ok(()))
    }

    fn begun(&self, step: Step) -> Result<TestStep, Failure> {
        let (version, direction, again) = match step {
            Step::Up(version) => (version, OutputDirection::Up, false),
            Step::UpAgain(version) => (version, OutputDirection::Up, true),
            Step::Down(version) => (version, OutputDirection::Down, false),
            Step::DownAgain(version) => (version, OutputDirection::Down, true),
        };
        let migration = self.migration(version)?;
        Ok(TestStep {
            version: migration.version.to_string(),
            name: migration.name.clone(),
            direction,
            again,
            differences: Vec::new(),
        })
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
            is_scratch: true,
            ..Task::of_command_line(self.catalog.clone(), self.test.history.ledger())
        }
    }

    /// One run of the engine, as `up` and `down` make it.
    async fn run(
        &mut self,
        session: &mut Session,
        task: Task,
    ) -> Result<Result<(), Stopped>, Failure> {
        let ledger_table = task.ledger.table.clone();
        let ended = session.run(task, |_| true).await?;
        let message = match &ended {
            Ended::Run(outcome) => {
                self.server_version = outcome.server().map(|server| server.version.clone());
                if report::is_done(outcome) {
                    return Ok(Ok(()));
                }
                report::message(outcome)
            }
            Ended::Refused => String::new(),
        };
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
        Ok(Err(Stopped { exit, message }))
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
        let message = format!(
            "{what} failed in the statement at {}: {} ({}). The rest was not tried.",
            failed.position, failed.message, failed.sqlstate
        );
        self.terminal.error(&message);
        Ok(Err(Stopped {
            exit: Exit::NotDone,
            message,
        }))
    }

    /// Looks at the catalog; compares it where it was looked at with as many versions before.
    async fn compare(&mut self, session: &mut Session, applied: usize) -> Result<(), Failure> {
        let now = session.snapshot().await?;
        let Some(before) = self.snapshots.get(applied) else {
            self.snapshots.push(now);
            return Ok(());
        };
        let found: Vec<_> = before
            .differences(&now)
            .iter()
            .map(Difference::of)
            .collect();
        for difference in &found {
            let differs = self.terminal.paint(AnsiColor::Red, "differs");
            self.terminal
                .results(&format!("     {differs}  {}\n", difference.message()))?;
        }
        if let Some(step) = self.steps.last_mut() {
            step.differences = found;
        }
        Ok(())
    }

    fn conclude(&self) -> Exit {
        let without = self.without_down();
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
        let steps = self.steps.len();
        match self.steps.iter().map(|step| step.differences.len()).sum() {
            0 => {
                self.terminal.note(&format!(
                    "{versions}, {steps} steps; the catalog was after each what it had been before."
                ));
                Exit::Done
            }
            count => {
                let count: usize = count;
                let objects = if count == 1 { "object" } else { "objects" };
                self.terminal.error(&format!(
                    "{versions}, {steps} steps; {count} {objects} differed from what they had been with as many versions \
                     applied. A way back has to leave nothing behind and take nothing else away."
                ));
                Exit::NotDone
            }
        }
    }
}
