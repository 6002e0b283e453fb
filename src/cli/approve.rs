//! `schemaward approve`: names the plan of a `DatabaseSchema` that may run.

use std::fmt::Write;
use std::io::{IsTerminal, stdin};

use clap::Args;

use crate::api::condition::{ConditionType, Reason};
use crate::api::v1alpha1::{
    DatabaseSchema, LossKind, MigrationDirection, PlanStatus, PlannedFinding, PlannedLoss,
    PlannedScript, PlannedStatement,
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

    /// Asks the person at the terminal, who cannot say yes to what was not shown.
    fn ask(&self, plan: &PlanStatus, terminal: Terminal) -> Result<(), Failure> {
        let statements = left_out(plan.statement_count, plan.statements.len());
        if statements > 0 {
            return Err(Failure::usage(format!(
                "{statements} more statements are not shown, so nothing was approved. Read the scripts themselves. \
                 To approve exactly this then: `schemaward approve {} --plan {}`.",
                self.resource, plan.hash
            )));
        }
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
    let mut others: Vec<&PlannedStatement> = plan.statements.iter().collect();
    for script in &plan.scripts {
        text.push_str(&heading(script, terminal));
        for finding in &script.findings {
            text.push_str(&table::render(&[about_all(finding)], terminal));
        }
        let (its, rest) = others
            .into_iter()
            .partition(|statement| is_of(script, statement));
        others = rest;
        let its: Vec<&PlannedStatement> = its;
        let rows: Vec<Vec<Cell>> = its.into_iter().map(row).collect();
        text.push_str(&table::render(&rows, terminal));
        text.push('\n');
    }
    let more = left_out(plan.script_count, plan.scripts.len());
    if more > 0 {
        let _ = writeln!(text, "and {more} more scripts");
        let rows: Vec<Vec<Cell>> = others.into_iter().map(row_with_version).collect();
        text.push_str(&table::render(&rows, terminal));
        text.push('\n');
    }
    let more = left_out(plan.statement_count, plan.statements.len());
    if more > 0 {
        let _ = writeln!(text, "{more} more statements are not shown");
    }
    text.push_str(&losses(plan, terminal));
    let summary = format!(
        "plan {}: scripts {}, statements {}, of them destructive {}\n",
        plan.hash, plan.script_count, plan.statement_count, plan.destructive_count
    );
    text.push_str(&summary);
    text
}

/// What ways back take away.
fn losses(plan: &PlanStatus, terminal: Terminal) -> String {
    if plan.losses.is_empty() {
        return String::new();
    }
    let row = |loss: &PlannedLoss| {
        let what = match loss.kind {
            LossKind::Table => "table ",
            LossKind::Rows => "all rows of ",
            LossKind::Column => "column ",
            LossKind::Schema => "all tables of schema ",
            LossKind::Unknown => "whatever it takes: ",
        };
        vec![
            Cell::of(Some(format!("  {} line {}", loss.version, loss.line))),
            Cell::of(Some(format!("{what}{}", loss.object))),
            Cell::of(Some(loss.amount.clone())),
        ]
    };
    let rows: Vec<Vec<Cell>> = plan.losses.iter().map(row).collect();
    let mut text = format!("Going back loses:\n{}", table::render(&rows, terminal));
    let more = left_out(plan.loss_count.unwrap_or_default(), plan.losses.len());
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    text.push('\n');
    text
}

/// How many of `count` status does not list.
fn left_out(count: i64, shown: usize) -> i64 {
    count.saturating_sub(i64::try_from(shown).unwrap_or(i64::MAX))
}

/// A version that is undone and applied again has two scripts. An older operator did not say whose a statement is.
fn is_of(script: &PlannedScript, statement: &PlannedStatement) -> bool {
    let direction = statement.direction.unwrap_or(script.direction);
    statement.version == script.version && direction == script.direction
}

fn heading(script: &PlannedScript, terminal: Terminal) -> String {
    let what = match script.direction {
        MigrationDirection::Up => "apply",
        MigrationDirection::Down => "undo, with the DOWN that was stored",
    };
    let checksum: String = script.checksum.chars().take(8).collect();
    let named = format!("{} {}", script.version, script.name);
    let cells = [named.as_str(), what, &checksum].map(Cell::word);
    table::render(&[cells.to_vec()], terminal)
}

/// A finding about a script as a whole.
fn about_all(finding: &PlannedFinding) -> Vec<Cell> {
    vec![
        Cell::word("  all of it"),
        Cell::of(Some(finding.rule.clone())),
        Cell::of(finding.message.clone()),
    ]
}

/// A statement of a script that is not shown itself.
fn row_with_version(statement: &PlannedStatement) -> Vec<Cell> {
    let mut cells = vec![Cell::of(Some(format!("  {}", statement.version)))];
    cells.extend(row(statement));
    cells
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(statement_count: i64) -> PlanStatus {
        let statement = |version: &str, direction: &str, line: i64, words: &str| {
            json!({"version": version, "direction": direction, "line": line, "statement": words,
                "class": "Transactional", "impact": "destructive", "lock": "ACCESS EXCLUSIVE"})
        };
        let script = |direction: &str, findings: &Value| {
            json!({"version": "002", "name": "a\u{202e}b", "direction": direction, "checksum": "0123456789",
                "findings": findings})
        };
        let finding =
            json!([{"rule": "not-linted", "action": "Warn", "message": "nobody could read it"}]);
        let plan = json!({
            "hash": "4f1c", "direction": "Down", "scriptCount": 3, "statementCount": statement_count,
            "destructiveCount": 3, "lossCount": 22,
            "losses": [{"version": "002", "line": 1, "kind": "Table", "object": "public.back",
                "estimatedRows": 7, "amount": "about 7 rows"}],
            "scripts": [script("Down", &json!([])), script("Up", &finding)],
            "statements": [
                statement("002", "Down", 1, "DROP TABLE back"),
                statement("002", "Up", 3, "DROP TABLE \u{202e}forth"),
                statement("077", "Up", 9, "DROP TABLE far"),
            ],
        });
        serde_json::from_value(plan).unwrap()
    }

    #[test]
    fn all_that_is_known_of_a_plan_is_shown_once_and_what_is_not_is_said() {
        assert_eq!(
            in_words(&plan(60), Terminal::plain()),
            "002 a\u{fffd}b  undo, with the DOWN that was stored  01234567
  line 1  DROP TABLE back  destructive  lock ACCESS EXCLUSIVE  -

002 a\u{fffd}b  apply  01234567
  all of it  not-linted  nobody could read it
  line 3  DROP TABLE \u{fffd}forth  destructive  lock ACCESS EXCLUSIVE  -

and 1 more scripts
  077    line 9  DROP TABLE far  destructive  lock ACCESS EXCLUSIVE  -

57 more statements are not shown
Going back loses:
  002 line 1  table public.back  about 7 rows
  and 21 more

plan 4f1c: scripts 3, statements 60, of them destructive 3
"
        );
        assert!(!in_words(&plan(3), Terminal::plain()).contains("not shown"));
    }

    #[test]
    fn nobody_says_yes_to_what_was_not_shown() {
        let approve = Approve {
            resource: ResourceName::parse("dbs/shop").unwrap(),
            plan: None,
            cluster: ClusterArgs::default(),
        };
        let refused = approve.ask(&plan(60), Terminal::plain()).unwrap_err();
        assert_eq!(
            refused.messages,
            [
                "57 more statements are not shown, so nothing was approved. Read the scripts themselves. To approve \
              exactly this then: `schemaward approve databaseschema/shop --plan 4f1c`."
            ]
        );
    }
}
