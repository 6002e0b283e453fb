//! `schemaward plan`: what would run, to be read before it does.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;

use crate::engine::loss::{DataLoss, Estimate, MAX_ASKED, data_losses, is_in_catalog};
use crate::engine::task::Task;
use crate::migration::begun::Begun;
use crate::migration::catalog::Catalog;
use crate::migration::history::History;
use crate::migration::lint::{self, Assessment, Level, Loss, Role, judge, lacks_down};
use crate::migration::plan::{DownSource, Plan, Step};
use crate::migration::script::Script;
use crate::migration::statement::{Statement, StatementClass};
use crate::migration::target::{Policy, Rollback, Target};
use crate::migration::version::Version;

use super::args::{ConnectionArgs, HistoryArgs, SourceArgs};
use super::check::json;
use super::exit::{Exit, Failure};
use super::output::{self, Format, FormatArgs};
use super::plan_text;
use super::report::with_what_is_begun;
use super::session::{Look, Session};
use super::source::{self, Depth};
use super::terminal::Terminal;
use crate::migration::statement_words::words;

/// Show what `up` would run, statement by statement
///
/// Of each statement: how it runs, what it does to a database in use, the strongest lock that it takes, and what
/// `check` reports of it. Of a way back also which tables and columns it takes away, with an estimate of their
/// rows. Only reads. With --to a version below the current one it shows the way back, as `down --to` would
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
        let described = match &look.plan {
            Ok(plan) => {
                let (history, table) = (&look.history, &ledger.table);
                describe(plan, &catalog, history, table, &mut session, terminal).await?
            }
            Err(_) => Described::default(),
        };
        session.close().await;
        show(&look, described, self.format.output, terminal)
    }
}

fn show(
    look: &Look,
    described: Described,
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
        steps: described.steps,
        losses: described.losses.iter().map(output::Loss::of).collect(),
        problem: plan.err().map(output::Problem::of),
    };
    match (format, plan) {
        (Format::Json, _) => terminal.results(&output::to_text(&result)?)?,
        (Format::Text, Ok(_)) => terminal.results(&plan_text::render(&result, terminal))?,
        (Format::Text, Err(_)) => {}
    }
    match plan {
        Ok(_) => Ok(Exit::Done),
        Err(blocked) => Err(Failure::not_done(with_what_is_begun(
            blocked,
            &look.history,
        ))),
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

/// What would run.
#[derive(Debug, Default)]
struct Described {
    steps: Vec<output::Step>,
    /// What its ways back take away.
    losses: Vec<DataLoss>,
}

/// The steps with their statements, and what they take away. Texts of ways back are read from the database.
async fn describe(
    plan: &Plan,
    catalog: &Catalog,
    history: &History,
    ledger_table: &str,
    session: &mut Session,
    terminal: Terminal,
) -> Result<Described, Failure> {
    let kept: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| stored_version(step, history))
        .collect();
    let mut kept = session.stored_downs(&kept).await?.into_iter();
    let mut steps = Vec::with_capacity(plan.steps.len());
    let mut losses: Vec<(Version, Loss)> = Vec::new();
    for step in &plan.steps {
        let (direction, version, name, checksum) = match step {
            Step::Apply {
                version,
                name,
                checksum,
            } => (output::Direction::Up, version, name, checksum),
            Step::Undo {
                version,
                name,
                down: DownSource::File(checksum) | DownSource::Stored(checksum),
            } => (output::Direction::Down, version, name, checksum),
        };
        let (text, bytes) = text(step, catalog, &mut kept);
        // A text that does not parse was refused before, or will be by the run; it has no statements to show.
        let script = Script::parse(&bytes, ledger_table).ok();
        let assessment = script
            .as_ref()
            .map(|script| judge(script, role(step, catalog)));
        let all = script.as_ref().zip(assessment.as_ref());
        if let (output::Direction::Down, Some(script)) = (direction, &script) {
            let taken = lint::losses(script).into_iter();
            losses.extend(taken.map(|loss| (version.clone(), loss)));
        }
        let mut findings = assessment.as_ref().map(findings).unwrap_or_default();
        steps.push(output::Step {
            direction,
            version: version.to_string(),
            name: name.clone(),
            text,
            checksum: checksum.to_string(),
            findings: findings.remove(&None).unwrap_or_default(),
            statements: all.map_or_else(Vec::new, |(script, assessment)| {
                statements(
                    version,
                    script,
                    assessment,
                    findings,
                    begun(history, version),
                )
            }),
        });
    }
    let losses = estimated(&losses, session, terminal).await?;
    Ok(Described { steps, losses })
}

/// The version, as the history spells it, whose stored text a step would run.
fn stored_version(step: &Step, history: &History) -> Option<Version> {
    match step {
        Step::Undo {
            version,
            down: DownSource::Stored(_),
            ..
        } => {
            let applied = history.get(version);
            Some(applied.map_or(version, |applied| &applied.version).clone())
        }
        Step::Undo { .. } | Step::Apply { .. } => None,
    }
}

/// The text that a step would run, and where it comes from; `kept` has the stored ones of the steps that are left.
fn text(
    step: &Step,
    catalog: &Catalog,
    kept: &mut impl Iterator<Item = Vec<u8>>,
) -> (output::TextSource, Vec<u8>) {
    let file = match step {
        Step::Undo {
            down: DownSource::Stored(_),
            ..
        } => return (output::TextSource::Stored, kept.next().unwrap_or_default()),
        Step::Undo { version, .. } => catalog.get(version).and_then(|known| known.down.as_ref()),
        Step::Apply { version, .. } => catalog.get(version).map(|known| &known.up),
    };
    let bytes = file.map_or_else(Vec::new, |file| file.bytes.to_vec());
    (output::TextSource::File, bytes)
}

fn role(step: &Step, catalog: &Catalog) -> Role {
    match step {
        Step::Apply { version, .. } => Role::Up {
            lacks_down: catalog.get(version).is_some_and(lacks_down),
        },
        Step::Undo { .. } => Role::Down,
    }
}

/// What is lost, with how many rows. The catalog is asked only when there is something to ask for, and a plan is
/// shown also when it does not answer: the numbers are for a person to read, and nothing depends on them.
async fn estimated(
    losses: &[(Version, Loss)],
    session: &mut Session,
    terminal: Terminal,
) -> Result<Vec<DataLoss>, Failure> {
    let asked = losses.iter().take(MAX_ASKED);
    let asked: Arc<[Loss]> = asked.map(|(_, loss)| loss.clone()).collect();
    let found = if asked.iter().any(is_in_catalog) {
        session.estimate(asked).await?.unwrap_or_else(|error| {
            terminal.warning(&format!(
                "How many rows it would lose is not known: {}",
                error.message
            ));
            Estimate::default()
        })
    } else {
        Estimate::default()
    };
    let losses = losses.iter().map(|(version, loss)| (version, loss));
    Ok(data_losses(losses, &found))
}

/// How far `version` came, when it was begun. Its direction is the plan's: no other plan starts with it.
fn begun<'a>(history: &'a History, version: &Version) -> Option<&'a Begun> {
    history.begun().filter(|begun| begun.version == *version)
}

fn statements(
    version: &Version,
    script: &Script,
    assessment: &Assessment,
    mut findings: BTreeMap<Option<usize>, Vec<output::Finding>>,
    begun: Option<&Begun>,
) -> Vec<output::Statement> {
    let statements = script.statements().iter().zip(&assessment.statements);
    statements
        .map(|(statement, judged)| {
            let recorded = script.recorded_by(statement);
            output::Statement {
                number: statement.number,
                line: statement.position.line,
                column: statement.position.column,
                command: words(&script.text()[statement.range.clone()]),
                class: class(statement, version, &recorded),
                records: recorded.iter().map(ToString::to_string).collect(),
                impact: judged.impact.name(),
                lock: judged.lock.to_string(),
                findings: findings.remove(&Some(statement.number)).unwrap_or_default(),
                done: begun.is_some_and(|begun| begun.covers(statement.number)),
            }
        })
        .collect()
}

/// Those that no comment waives and that `check` reports, by the number of their statement.
fn findings(assessment: &Assessment) -> BTreeMap<Option<usize>, Vec<output::Finding>> {
    let mut findings: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for finding in assessment.at_least(Level::Note) {
        let found = output::Finding {
            rule: finding.rule.name,
            level: json::Level::of(finding.level),
            message: finding.message.clone(),
        };
        findings.entry(finding.statement).or_default().push(found);
    }
    findings
}

/// `recorded`: the versions whose rows the statement is about. It is the own record of `version` alone.
fn class(statement: &Statement, version: &Version, recorded: &[Version]) -> output::StatementClass {
    let is_own = !recorded.is_empty() && recorded.iter().all(|recorded| recorded == version);
    match statement.class {
        StatementClass::NonTransactional(_) => output::StatementClass::NonTransactional,
        _ if is_own => output::StatementClass::SelfRecord,
        // The other two classes do not get past the judgement of a script.
        StatementClass::Transactional
        | StatementClass::TransactionControl
        | StatementClass::Refused(_) => output::StatementClass::Transactional,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_versions_own_record_that_does_nothing_else_is_called_that() {
        use output::StatementClass::{NonTransactional, SelfRecord, Transactional};
        let text = "INSERT INTO schema_migrations (version, name) VALUES ('1', 'a');\n\
                    INSERT INTO schema_migrations (version, name) VALUES ('002', 'b');\n\
                    INSERT INTO schema_migrations (version, name) VALUES ('001', 'a'), ('002', 'b');\n\
                    INSERT INTO schema_migrations (version, name) VALUES (DEFAULT, 'b');\n\
                    INSERT INTO schema_migrations SELECT * FROM archive;\n\
                    DELETE FROM schema_migrations;\nCREATE INDEX CONCURRENTLY i ON t (a);";
        let script = Script::parse(text.as_bytes(), "schema_migrations").unwrap();
        let version = Version::parse("001").unwrap();
        let class =
            |statement: &Statement| class(statement, &version, &script.recorded_by(statement));
        let classes: Vec<_> = script.statements().iter().map(class).collect();
        let (own, other, outside) = (SelfRecord, Transactional, NonTransactional);
        let expected = [own, other, other, other, other, other, outside];
        assert_eq!(classes, expected);
    }
}
