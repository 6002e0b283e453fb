//! `schemaward check`: everything that is wrong with the migrations, before they run.
//!
//! [`findings`] makes one list of what the sources of findings say, [`text`], [`json`] and [`sarif`] print it, and [`database`] asks a
//! database what would run.

mod database;
mod findings;
pub mod json;
mod sarif;
mod text;

use clap::{Args, ValueEnum};

use crate::migration::check;
use crate::migration::lint::{Level, Rule};
use crate::migration::version::Version;
use crate::source::directory;

use super::args::{ConnectionArgs, HistoryArgs, SourceArgs};
use super::exit::{Exit, Failure};
use super::terminal::Terminal;

use self::database::Asked;
use self::findings::Findings;

/// Say everything that is wrong with the migrations, or risky, at once
///
/// Without a database: names, statements that cannot run, versions without a way back, and what the rules of
/// docs/lint.md find. A comment `-- schemaward: allow RULE because REASON` waives a rule. When a connection is
/// given, by flags or by `POSTGRES_HOST`, the database is asked, too: whether the applied versions are still what
/// was applied, and what `up` would run. The rules then leave applied versions alone, since their files can't change.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Form of the results
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
    /// The least grave finding that makes the command fail
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    fail_on: LevelArg,
    /// The least grave finding that is printed as text
    #[arg(long, value_name = "LEVEL", default_value = "warning")]
    show: LevelArg,
    /// How grave a rule is here: off, note, warning or error; may be given several times
    #[arg(long = "rule", value_name = "RULE=LEVEL", value_parser = rule_level)]
    rules: Vec<(&'static Rule, Level)>,
    /// The first version that the rules look at; what was applied long ago cannot change
    #[arg(long, value_name = "VERSION", value_parser = Version::parse)]
    from: Option<Version>,
    /// Do not ask a database, even when a connection is given
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
}

/// How the findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// For programs; docs/output.md describes it
    Json,
    /// For tools that show findings in a code review: SARIF 2.1.0
    Sarif,
}

/// A level that findings can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LevelArg {
    /// Worth knowing
    Note,
    /// Likely to hurt a database in use
    Warning,
    /// Wrong, or never meant
    Error,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Note => Self::Note,
            LevelArg::Warning => Self::Warning,
            LevelArg::Error => Self::Error,
        }
    }
}

impl Check {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let table = self.history.ledger().table;
        let files = directory::read(&self.source.dir, |file| file)
            .map_err(|error| Failure::not_done(error.to_string()))?;
        if files.is_empty() {
            return Err(Failure::not_done(format!(
                "{} holds no migrations; their files are called NNN_name_UP.sql and NNN_name_DOWN.sql. Name the folder with --dir, or \
                 write the first with `schemaward new NAME`.",
                self.source.dir.display()
            )));
        }
        let asked = if self.offline || !self.connection.is_given() {
            Ok(None)
        } else {
            database::ask(&files, &self.connection, &self.history, terminal).await
        };
        let database = asked.as_ref().ok().and_then(Option::as_ref);
        let is_asked = |version: &Version| {
            self.from.as_ref().is_none_or(|from| version >= from)
                && database.is_none_or(|asked| !asked.is_applied(version))
        };
        let report = check::check(files, &table, &is_asked);
        let findings = Findings::of(&report, &self.source.dir, &self.rules);
        self.print(&findings, database, terminal)?;
        let failed = findings.worst() >= Some(self.fail_on.into())
            || database.is_some_and(Asked::is_blocked);
        // What the files are was said; then, that the database could not be asked.
        asked?;
        Ok(if failed { Exit::NotDone } else { Exit::Done })
    }

    fn print(
        &self,
        findings: &Findings,
        database: Option<&Asked>,
        terminal: Terminal,
    ) -> Result<(), Failure> {
        let text = match self.output {
            Form::Text => text::render(findings, self.show.into(), database, terminal),
            Form::Json => super::output::to_text(&json::Check::new(findings, database))?,
            Form::Sarif => super::output::to_text(&sarif::log(findings))?,
        };
        terminal.results(&text)?;
        if let Some(problem) = database.and_then(Asked::problem) {
            terminal.error(problem);
        }
        Ok(())
    }
}

fn rule_level(text: &str) -> Result<(&'static Rule, Level), String> {
    let (name, level) = text
        .split_once('=')
        .ok_or("write RULE=LEVEL, such as ban-drop-table=error")?;
    let rule = Rule::named(name)
        .ok_or_else(|| format!("there is no rule {name}; docs/lint.md lists them"))?;
    let level = [Level::Off, Level::Note, Level::Warning, Level::Error]
        .into_iter()
        .find(|known| known.name() == level)
        .ok_or("a level is off, note, warning or error")?;
    Ok((rule, level))
}
