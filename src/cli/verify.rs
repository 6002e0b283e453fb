//! `schemaward verify`: whether the database is what files and checks say.

use clap::Args;
use clap::builder::styling::AnsiColor;

use crate::engine::check::{Check, Moment};
use crate::engine::task::Task;
use crate::migration::plan::{Plan, Step};
use crate::migration::target::Target;
use crate::migration::version::Version;

use super::args::{ConnectionArgs, HistoryArgs, ScriptPlaceArgs, SourceArgs};
use super::checks::ChecksArgs;
use super::exit::{Exit, Failure};
use super::output::verify::{CheckResult, Finding, FindingStatus, Verify as Results};
use super::output::{self, Format, FormatArgs};
use super::report::with_what_is_begun;
use super::session::{Look, Session};
use super::source::{self, Depth};
use super::table::{self, Cell};
use super::terminal::Terminal;

/// Look whether the database is what the files and the checks say
///
/// Only reads. Compares the history with the folder, and asks the checks that hold for the version that the
/// database is at. Ends with 1 when a version is missing, changed or not applied yet, or when a check
/// fails.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The version that the database should be at [default: the last one in the folder]
    #[arg(long, value_name = "VERSION", value_parser = Version::parse)]
    to: Option<Version>,
    #[command(flatten)]
    checks: ChecksArgs,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    place: ScriptPlaceArgs,
}

impl Verify {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let ledger = self.history.ledger();
        let catalog = source::load(&self.source.dir, &ledger.table, Depth::Hashed, terminal)?;
        let checks = self.checks.load(&self.source.dir)?;
        let settings = self
            .place
            .apply_to(self.connection.settings(&self.history).await?);
        let task = Task {
            target: self.to.map_or(Target::Latest, Target::Version),
            ..Task::of_command_line(catalog, ledger)
        };
        let mut session = Session::open(&settings, terminal).await?;
        let look = session.look(task).await?;
        let found = ask_all(&mut session, checks, &look).await?;
        session.close().await;
        show(&look, found, self.format.output, terminal)
    }
}

async fn ask_all(
    session: &mut Session,
    checks: Vec<Check>,
    look: &Look,
) -> Result<Vec<CheckResult>, Failure> {
    let mut found = Vec::with_capacity(checks.len());
    for check in checks {
        let finding = if let Some(reason) = reason_to_skip(&check, look) {
            Finding::skipped(reason)
        } else {
            let answer = session.ask(&check).await?;
            match check.judge(answer) {
                Ok(()) => Finding::passed(None),
                Err(failure) => Finding::failed(failure.problem.to_string()),
            }
        };
        found.push(CheckResult {
            name: check.name,
            finding,
        });
    }
    Ok(found)
}

/// Why a check is not asked of the database as it stands; `None`: it is.
fn reason_to_skip(check: &Check, look: &Look) -> Option<String> {
    let current = look.history.current();
    if check.is_due(Moment::After, current) {
        return None;
    }
    if let Some(from) = &check.from_version
        && current.is_none_or(|current| current < from)
    {
        return Some(format!("it holds from {from} on"));
    }
    let applies = |plan: &Plan| matches!(plan.steps.first(), Some(Step::Apply { .. }));
    if look.plan.as_ref().is_ok_and(applies) {
        return None;
    }
    Some("it is asked before versions are applied, and none is pending".to_owned())
}

/// Whether the history is as the files say.
fn of_history(look: &Look) -> Finding {
    let plan = match &look.plan {
        Err(blocked) => return Finding::failed(with_what_is_begun(blocked, &look.history)),
        Ok(plan) => plan,
    };
    // A plan begins with the version that is begun.
    let begun = look.history.begun();
    let half_done = begun.map_or_else(String::new, |begun| format!("; {}", begun.seen()));
    let pending: Vec<_> = plan.steps.iter().map(version).collect();
    match (pending.as_slice(), look.history.current()) {
        ([], Some(current)) => Finding::passed(Some(format!("at {current}, as the files say"))),
        ([], None) => Finding::passed(Some("no version is applied, and none is wanted".to_owned())),
        ([only], _) => Finding::failed(format!("{only} is not applied{half_done}")),
        ([first, .., last], _) => Finding::failed(format!(
            "{} versions are not applied: {first} to {last}{half_done}",
            pending.len()
        )),
    }
}

fn version(step: &Step) -> &Version {
    match step {
        Step::Apply { version, .. } | Step::Undo { version, .. } => version,
    }
}

fn show(
    look: &Look,
    checks: Vec<CheckResult>,
    format: Format,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let history = of_history(look);
    let failed = |finding: &Finding| finding.status == FindingStatus::Failed;
    let passed = !failed(&history) && !checks.iter().any(|check| failed(&check.finding));
    let results = Results {
        format: "schemaward.verify/v1",
        database: output::Database::of(&look.server),
        current: look.history.current().map(ToString::to_string),
        passed,
        history,
        checks,
    };
    match format {
        Format::Json => terminal.results(&output::to_text(&results)?)?,
        Format::Text => terminal.results(&text(&results, terminal))?,
    }
    Ok(if passed { Exit::Done } else { Exit::NotDone })
}

/// A line for the history, and one for each check.
fn text(results: &Results, terminal: Terminal) -> String {
    let history = ("history", &results.history);
    let checks = results.checks.iter();
    let lines: Vec<_> = std::iter::once(history)
        .chain(checks.map(|check| (check.name.as_str(), &check.finding)))
        .map(|(name, finding)| {
            let (status, colour) = match finding.status {
                FindingStatus::Passed => ("passed", AnsiColor::Green),
                FindingStatus::Failed => ("failed", AnsiColor::Red),
                FindingStatus::Skipped => ("skipped", AnsiColor::Yellow),
            };
            let mut line = vec![Cell::word(status).in_colour(colour), Cell::word(name)];
            line.extend(finding.message.as_ref().map(|message| Cell::word(message)));
            line
        })
        .collect();
    table::render(&lines, terminal)
}
