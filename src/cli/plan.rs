//! `schemaward plan`: what would run, to be read before it does.

use clap::Args;

use crate::engine::task::Task;
use crate::migration::begun::Begun;
use crate::migration::catalog::Catalog;
use crate::migration::history::History;
use crate::migration::plan::{DownSource, Plan, Step};
use crate::migration::script::Script;
use crate::migration::statement::{Statement, StatementClass};
use crate::migration::target::{Policy, Rollback, Target};
use crate::migration::version::Version;

use super::args::{ConnectionArgs, HistoryArgs, SourceArgs};
use super::exit::{Exit, Failure};
use super::output::{self, Format, FormatArgs};
use super::plan_text;
use super::session::{Look, Session};
use super::source::{self, Depth};
use super::terminal::Terminal;
use crate::migration::statement_words::words;

/// Show what `up` would run, statement by statement
///
/// Only reads. With --to a version below the current one it shows the way back, as `down --to` would
/// go. Of a statement only its key words and names are shown, never a value.
#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    /// The version to end at [default: the last one in the folder]
    #[arg(long, value_name = "VERSION", value_parser = Version::parse)]
    to: Option<Version>,
    /// Show what `up` with the same option would record without running it
    #[arg(long, value_name = "VERSION", value_parser = Version::parse)]
    baseline: Option<Version>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
}

impl PlanCommand {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let ledger = self.history.ledger();
        let catalog = source::load(&self.source.dir, &ledger.table, Depth::Judged, terminal)?;
        let settings = self.connection.settings(&self.history).await?;
        let task = Task {
            policy: Policy {
                // Who names a version may mean the way back; nobody means it by a file that is gone.
                rollback: if self.to.is_some() {
                    Rollback::Allow
                } else {
                    Rollback::Deny
                },
                baseline: self.baseline,
            },
            target: self.to.map_or(Target::Latest, Target::Version),
            ..Task::of_command_line(catalog.clone(), ledger.clone())
        };
        let mut session = Session::open(&settings, terminal).await?;
        let look = session.look(task).await?;
        let steps = match &look.plan {
            Ok(plan) => {
                describe(plan, &catalog, &look.history, &ledger.table, &mut session).await?
            }
            Err(_) => Vec::new(),
        };
        session.close().await;
        show(&look, steps, self.format.output, terminal)
    }
}

fn show(
    look: &Look,
    steps: Vec<output::Step>,
    format: Format,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let plan = look.plan.as_ref();
    let result = output::Plan {
        format: "schemaward.plan/v1",
        database: output::Database::of(&look.server),
        current: look.history.current().map(ToString::to_string),
        target: plan
            .ok()
            .and_then(|plan| plan.target.as_ref())
            .map(ToString::to_string),
        adopt: plan.map_or_else(|_| Vec::new(), adoptions),
        baseline: plan.map_or_else(|_| Vec::new(), baselined),
        steps,
        problem: plan.err().map(output::Problem::of),
    };
    match (format, plan) {
        (Format::Json, _) => terminal.results(&output::to_text(&result)?)?,
        (Format::Text, Ok(_)) => terminal.results(&plan_text::render(&result, terminal))?,
        (Format::Text, Err(_)) => {}
    }
    match plan {
        Ok(_) => Ok(Exit::Done),
        Err(blocked) => Err(Failure::not_done(blocked.to_string())),
    }
}

fn adoptions(plan: &Plan) -> Vec<output::Adoption> {
    let adopt = plan.adopt.iter();
    adopt
        .map(|adoption| output::Adoption {
            version: adoption.version.to_string(),
            stamp: adoption.stamp,
        })
        .collect()
}

fn baselined(plan: &Plan) -> Vec<output::Baselined> {
    let baseline = plan.baseline.iter();
    baseline
        .map(|recorded| output::Baselined {
            version: recorded.version.to_string(),
            name: recorded.name.clone(),
            checksum: recorded.checksum.to_string(),
        })
        .collect()
}

/// The steps with their statements. Texts of ways back are read from the database.
async fn describe(
    plan: &Plan,
    catalog: &Catalog,
    history: &History,
    ledger_table: &str,
    session: &mut Session,
) -> Result<Vec<output::Step>, Failure> {
    let mut steps = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        steps.push(match step {
            Step::Apply {
                version,
                name,
                checksum,
            } => {
                let up = catalog.get(version).map(|migration| &migration.up);
                output::Step {
                    direction: output::Direction::Up,
                    version: version.to_string(),
                    name: name.clone(),
                    text: output::TextSource::File,
                    checksum: checksum.to_string(),
                    statements: up.map_or_else(Vec::new, |up| {
                        statements(&up.bytes, ledger_table, begun(history, version))
                    }),
                }
            }
            Step::Undo {
                version,
                name,
                down,
            } => {
                let (text, checksum, bytes) = match down {
                    DownSource::File(checksum) => {
                        let migration = catalog.get(version);
                        let file = migration.and_then(|migration| migration.down.as_ref());
                        let bytes = file.map_or_else(Vec::new, |file| file.bytes.to_vec());
                        (output::TextSource::File, checksum, bytes)
                    }
                    DownSource::Stored(checksum) => {
                        let applied = history.get(version);
                        let recorded = applied.map_or(version, |applied| &applied.version);
                        let bytes = session.stored_down(recorded).await?;
                        (output::TextSource::Stored, checksum, bytes)
                    }
                };
                output::Step {
                    direction: output::Direction::Down,
                    version: version.to_string(),
                    name: name.clone(),
                    text,
                    checksum: checksum.to_string(),
                    statements: statements(&bytes, ledger_table, begun(history, version)),
                }
            }
        });
    }
    Ok(steps)
}

/// How far `version` came, when it was begun. Its direction is the plan's: no other plan starts with it.
fn begun<'a>(history: &'a History, version: &Version) -> Option<&'a Begun> {
    history.begun().filter(|begun| begun.version == *version)
}

/// A text that does not parse was refused before, or will be by the run; it has no statements to show.
fn statements(bytes: &[u8], ledger_table: &str, begun: Option<&Begun>) -> Vec<output::Statement> {
    let Ok(script) = Script::parse(bytes, ledger_table) else {
        return Vec::new();
    };
    script
        .statements()
        .iter()
        .map(|statement| output::Statement {
            number: statement.number,
            line: statement.position.line,
            column: statement.position.column,
            command: words(&script.text()[statement.range.clone()]),
            class: class(statement),
            done: begun.is_some_and(|begun| begun.covers(statement.number)),
        })
        .collect()
}

fn class(statement: &Statement) -> output::StatementClass {
    match statement.class {
        StatementClass::NonTransactional(_) => output::StatementClass::NonTransactional,
        _ if statement.is_self_record => output::StatementClass::SelfRecord,
        // The other two classes do not get past the judgement of a script.
        StatementClass::Transactional
        | StatementClass::TransactionControl
        | StatementClass::Refused(_) => output::StatementClass::Transactional,
    }
}
