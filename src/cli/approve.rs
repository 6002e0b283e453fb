//! `schemaward approve`: names the plan of a `DatabaseSchema` that may run.

use std::io::{IsTerminal, stdin};

use clap::Args;

use crate::api::condition::{ConditionType, Reason};
use crate::api::v1alpha1::{
    DatabaseSchema, MigrationDirection, PlanStatus, PlannedScript, PlannedStatement,
};
use crate::migration::checksum::Checksum;

use super::cluster::{ClusterArgs, ResourceName};
use super::exit::{Exit, Failure};
use super::table::{self, Cell};
use super::terminal::Terminal;

/// Approve what a `DatabaseSchema` waits to run
///
/// Shows the plan, and sets the annotation schemaward.dev/approve to its hash: what runs is that plan or
/// nothing. On a terminal it asks first; elsewhere --plan names the hash that was reviewed. Needs get and
/// patch on databaseschemas, and nothing of the database.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The resource, as for kubectl
    #[arg(value_name = "databaseschema/NAME", value_parser = ResourceName::parse)]
    resource: ResourceName,

    /// The whole hash of the plan that was reviewed; another one is not approved
    #[arg(long, value_name = "HASH", value_parser = hash)]
    plan: Option<Checksum>,

    #[command(flatten)]
    cluster: ClusterArgs,
}

fn hash(text: &str) -> Result<Checksum, String> {
    Checksum::parse(text).map_err(|_| "write all of its 64 hexadecimal digits".to_owned())
}

impl Approve {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let cluster = self.cluster.connect().await?;
        let resource = cluster.get(&self.resource).await?;
        let plan = waiting(&resource).map_err(|why| {
            Failure::not_done(format!(
                "{} waits for no approval: {why} Nothing was approved.",
                self.resource
            ))
        })?;
        terminal.results(&in_words(plan, terminal))?;
        match self.plan {
            Some(named) if named.to_string() != plan.hash => {
                return Err(Failure::not_done(format!(
                    "The plan is {} now, and not {named}: it changed. Nothing was approved. Review it, and name \
                     its hash.",
                    plan.hash
                )));
            }
            Some(_) => {}
            None => self.ask(plan, terminal)?,
        }
        cluster.approve(&self.resource, &plan.hash).await?;
        terminal.note(&format!(
            "Approved plan {} of {}. `schemaward wait {}` waits for its end.",
            plan.hash, self.resource, self.resource
        ));
        Ok(Exit::Done)
    }

    /// Asks the person at the terminal.
    fn ask(&self, plan: &PlanStatus, terminal: Terminal) -> Result<(), Failure> {
        if !stdin().is_terminal() {
            return Err(Failure::usage(format!(
                "Nobody can be asked here, so nothing was approved. To approve exactly this: `schemaward approve {} \
                 --plan {}`.",
                self.resource, plan.hash
            )));
        }
        terminal.note("Type yes to approve exactly this.");
        let mut answer = String::new();
        let read = stdin().read_line(&mut answer);
        if read.is_ok() && answer.trim() == "yes" {
            return Ok(());
        }
        Err(Failure::not_done("Nothing was approved."))
    }
}

/// The plan that waits for an approval; else what the resource says.
fn waiting(resource: &DatabaseSchema) -> Result<&PlanStatus, String> {
    let status = resource
        .status
        .as_ref()
        .ok_or("no operator has looked at it yet.")?;
    if status.observed_generation != resource.metadata.generation {
        return Err("the operator has not looked at its present generation yet.".to_owned());
    }
    let ready = ConditionType::Ready.as_str();
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == ready);
    let ready = ready.ok_or("no operator has looked at it yet.")?;
    let plan = status.plan.as_ref();
    plan.filter(|_| ready.reason == Reason::AwaitingApproval.as_str())
        .ok_or_else(|| format!("{}: {}", ready.reason, ready.message))
}

fn in_words(plan: &PlanStatus, terminal: Terminal) -> String {
    let mut text = String::new();
    for script in &plan.scripts {
        text.push_str(&heading(script));
        let statements = plan.statements.iter();
        let rows: Vec<Vec<Cell>> = statements
            .filter(|statement| statement.version == script.version)
            .map(row)
            .collect();
        text.push_str(&table::render(&rows, terminal));
        text.push('\n');
    }
    let shown = i64::try_from(plan.scripts.len()).unwrap_or(i64::MAX);
    if plan.script_count > shown {
        let more = format!("and {} more scripts\n\n", plan.script_count - shown);
        text.push_str(&more);
    }
    let summary = format!(
        "plan {}: scripts {}, statements {}, of them destructive {}\n",
        plan.hash, plan.script_count, plan.statement_count, plan.destructive_count
    );
    text.push_str(&summary);
    text
}

fn heading(script: &PlannedScript) -> String {
    let what = match script.direction {
        MigrationDirection::Up => "apply",
        MigrationDirection::Down => "undo, with the DOWN that was stored",
    };
    let checksum: String = script.checksum.chars().take(8).collect();
    format!("{} {}  {what}  {checksum}\n", script.version, script.name)
}

fn row(statement: &PlannedStatement) -> Vec<Cell> {
    let findings = statement.findings.iter();
    let rules: Vec<&str> = findings.map(|finding| finding.rule.as_str()).collect();
    vec![
        Cell::of(Some(format!("  line {}", statement.line))),
        Cell::of(Some(statement.statement.clone())),
        Cell::of(Some(statement.impact.clone())),
        Cell::of(Some(format!("lock {}", statement.lock))),
        Cell::of(Some(rules.join(", "))),
    ]
}
