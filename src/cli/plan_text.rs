//! A plan for people: it reads like a code review, and ends with the one line that counts.

use clap::builder::styling::AnsiColor;

use super::check::json::Level;
use super::output::{Adoption, Direction, Loss, Plan, Statement, StatementClass, Step, TextSource};
use super::table::{self, Cell};
use super::terminal::Terminal;

/// Characters of a statement that are shown: with its line, its class, its impact and its lock it fits into 120 columns.
const WIDTH: usize = 48;

/// Digits of a checksum that are shown.
const SHORT: usize = 8;

/// The plan as lines.
pub(super) fn render(plan: &Plan, terminal: Terminal) -> String {
    let mut text = String::new();
    for adoption in &plan.adopt {
        text.push_str(&adopted(adoption));
    }
    for recorded in &plan.baseline {
        let checksum: String = recorded.checksum.chars().take(SHORT).collect();
        let (version, name) = (&recorded.version, &recorded.name);
        let line = format!("{version} {name}  baseline: recorded, not run  {checksum}\n");
        text.push_str(&line);
    }
    for step in &plan.steps {
        text.push_str(&heading(step, terminal));
        text.push_str(&statements(step, terminal));
        text.push_str(&findings(step, terminal));
        text.push('\n');
    }
    text.push_str(&losses(&plan.losses, terminal));
    text.push_str(&summary(plan));
    text
}

fn adopted(adoption: &Adoption) -> String {
    let how = if adoption.stamp {
        "its row has no checksum and gets the file's"
    } else {
        "its row has the file's checksum"
    };
    format!(
        "{} is taken over from another program: {how}\n",
        adoption.version
    )
}

/// `001 add_historical_inventory  apply  4f1c2d3e`
fn heading(step: &Step, terminal: Terminal) -> String {
    let what = match (step.direction, step.text) {
        (Direction::Up, _) => terminal.paint(AnsiColor::Green, "apply"),
        (Direction::Down, TextSource::Stored) => {
            terminal.paint(AnsiColor::Yellow, "undo, with the DOWN that was stored")
        }
        (Direction::Down, TextSource::File) => {
            terminal.paint(AnsiColor::Yellow, "undo, with the DOWN of the file")
        }
    };
    let checksum: String = step.checksum.chars().take(SHORT).collect();
    format!("{} {}  {what}  {checksum}\n", step.version, step.name)
}

fn statements(step: &Step, terminal: Terminal) -> String {
    let rows: Vec<Vec<Cell>> = step
        .statements
        .iter()
        .map(|statement| {
            let (class, colour) = if statement.done {
                ("done already".to_owned(), Some(AnsiColor::Green))
            } else {
                class(statement)
            };
            let class = Cell::word(&class);
            vec![
                Cell::of(Some(format!("  line {}", statement.line))),
                Cell::of(Some(shorten(&statement.command))),
                match colour {
                    Some(colour) => class.in_colour(colour),
                    None => class,
                },
                in_the_colour_of(statement.impact, Cell::word(statement.impact)),
                Cell::of(Some(format!("lock {}", statement.lock))),
            ]
        })
        .collect();
    table::render(&rows, terminal)
}

/// What loses data, or may, is seen at once.
fn in_the_colour_of(impact: &str, cell: Cell) -> Cell {
    match impact {
        "destructive" => cell.in_colour(AnsiColor::Red),
        "rewrite" | "blocking" | "unknown" => cell.in_colour(AnsiColor::Yellow),
        _ => cell,
    }
}

/// What `check` warns of, line by line.
fn findings(step: &Step, terminal: Terminal) -> String {
    let whole = step.findings.iter().map(|finding| (None, finding));
    let statements = step.statements.iter().flat_map(|statement| {
        let findings = statement.findings.iter();
        findings.map(|finding| (Some(statement.line), finding))
    });
    let shown = whole.chain(statements);
    let shown = shown.filter(|(_, finding)| finding.level >= Level::Warning);
    let rows: Vec<Vec<Cell>> = shown
        .map(|(line, finding)| {
            let place =
                line.map_or_else(|| "  all of it".to_owned(), |line| format!("  line {line}"));
            let level = match finding.level {
                Level::Error => Cell::word("error").in_colour(AnsiColor::Red),
                Level::Warning | Level::Note => Cell::word("warning").in_colour(AnsiColor::Yellow),
            };
            let rule = Cell::word(finding.rule);
            vec![
                Cell::of(Some(place)),
                level,
                rule,
                Cell::word(&finding.message),
            ]
        })
        .collect();
    table::render(&rows, terminal)
}

/// What ways back take away.
fn losses(losses: &[Loss], terminal: Terminal) -> String {
    if losses.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<Cell>> = losses
        .iter()
        .map(|loss| {
            let place = format!("  {} line {}", loss.version, loss.line);
            vec![
                Cell::of(Some(place)),
                Cell::word(&loss.what),
                Cell::word(&loss.amount).in_colour(AnsiColor::Red),
            ]
        })
        .collect();
    format!("Going back loses:\n{}\n", table::render(&rows, terminal))
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

/// How a statement runs; and whose record it is, which of another version deserves a second look.
fn class(statement: &Statement) -> (String, Option<AnsiColor>) {
    match (statement.class, statement.records.as_slice()) {
        (StatementClass::Transactional, []) => ("in its transaction".to_owned(), None),
        (StatementClass::Transactional, records) => (
            format!("{}, in its transaction", whose(records)),
            Some(AnsiColor::Yellow),
        ),
        (StatementClass::NonTransactional, _) => {
            ("outside of a transaction".to_owned(), Some(AnsiColor::Red))
        }
        (StatementClass::SelfRecord, _) => ("its own record, in its transaction".to_owned(), None),
    }
}

/// `record of 005`, `records of 005 and 2 others`
fn whose(records: &[String]) -> String {
    match records {
        [] => String::new(),
        [only] => format!("record of {only}"),
        [first, _] => format!("records of {first} and 1 other"),
        [first, others @ ..] => format!("records of {first} and {} others", others.len()),
    }
}

/// `2 versions to apply, 13 statements: from 000 to 002`
fn summary(plan: &Plan) -> String {
    if plan.steps.is_empty() && plan.adopt.is_empty() && plan.baseline.is_empty() {
        return match &plan.current {
            Some(current) => format!("Nothing to do: the database is at {current}.\n"),
            None => "Nothing to do: no version is applied, and none is wanted.\n".to_owned(),
        };
    }
    let count = |direction| {
        let steps = plan.steps.iter();
        steps.filter(|step| step.direction == direction).count()
    };
    let counted = |class: Option<StatementClass>| {
        let all = plan.steps.iter().flat_map(|step| &step.statements);
        all.filter(|statement| class == Some(statement.class) || class.is_none())
            .count()
    };
    let mut parts = Vec::new();
    let mut add = |n: usize, one: &str, many: &str| match n {
        0 => {}
        1 => parts.push(format!("1 {one}")),
        n => parts.push(format!("{n} {many}")),
    };
    add(plan.adopt.len(), "row to take over", "rows to take over");
    add(
        plan.baseline.len(),
        "version to record",
        "versions to record",
    );
    add(
        count(Direction::Down),
        "version to undo",
        "versions to undo",
    );
    add(
        count(Direction::Up),
        "version to apply",
        "versions to apply",
    );
    add(counted(None), "statement", "statements");
    add(
        counted(Some(StatementClass::NonTransactional)),
        "of them outside of a transaction",
        "of them outside of a transaction",
    );
    let name = |version: &Option<String>| version.clone().unwrap_or_else(|| "nothing".to_owned());
    format!(
        "{}: from {} to {}.\n",
        parts.join(", "),
        name(&plan.current),
        name(&plan.target)
    )
}
