//! A plan for people: it reads like a code review, and ends with the one line that counts.

use clap::builder::styling::AnsiColor;

use super::output::{Adoption, Direction, Plan, StatementClass, Step, TextSource};
use super::table::{self, Cell};
use super::terminal::Terminal;

/// Characters of a statement that are shown: with its line and its class it fits into 120 columns.
const WIDTH: usize = 84;

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
        text.push('\n');
    }
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
                ("done already", Some(AnsiColor::Green))
            } else {
                class(statement.class)
            };
            let class = Cell::word(class);
            vec![
                Cell::of(Some(format!("  line {}", statement.line))),
                Cell::of(Some(shorten(&statement.command))),
                match colour {
                    Some(colour) => class.in_colour(colour),
                    None => class,
                },
            ]
        })
        .collect();
    table::render(&rows, terminal)
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

fn class(class: StatementClass) -> (&'static str, Option<AnsiColor>) {
    match class {
        StatementClass::Transactional => ("in its transaction", None),
        StatementClass::NonTransactional => ("outside of a transaction", Some(AnsiColor::Red)),
        StatementClass::SelfRecord => ("its own record, in its transaction", None),
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
