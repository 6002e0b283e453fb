//! Findings for people.

use clap::builder::styling::AnsiColor;

use crate::migration::display::is_control;
use crate::migration::lint::Level;
use crate::migration::statement::Position;

use super::super::snippet::{self, Place, Said};
use super::super::terminal::Terminal;
use super::database::Asked;
use super::findings::{Findings, Found};

/// The findings from a level on, one line about all of them, and what the database says.
pub(super) fn render(
    findings: &Findings,
    show: Level,
    database: Option<&Asked>,
    terminal: Terminal,
) -> String {
    let mut text: String = findings
        .standing()
        .filter(|found| found.level >= show)
        .map(|found| one(found, terminal))
        .collect();
    text.push_str(&summary(findings, show));
    if let Some(asked) = database {
        text.push_str(&would_run(asked));
    }
    text
}

fn one(found: &Found, terminal: Terminal) -> String {
    // A file's name may be anything.
    let path: String = found
        .path
        .display()
        .to_string()
        .chars()
        .map(|c| if is_control(c) { '\u{FFFD}' } else { c })
        .collect();
    let said = Said {
        level: found.level,
        rule: found.rule,
        message: &found.message,
        help: found.help.as_deref(),
    };
    match (found.position, &found.line) {
        (Some(position), Some(line)) => {
            let place = Place {
                path: &path,
                position,
                line,
            };
            snippet::render_finding(said, place, terminal.results_in_colour())
        }
        (position, _) => without_line(found, position, &path, terminal),
    }
}

/// A finding about a whole file, or about a text that cannot be read and so is not shown.
fn without_line(
    found: &Found,
    position: Option<Position>,
    path: &str,
    terminal: Terminal,
) -> String {
    let colour = match found.level {
        Level::Error => AnsiColor::Red,
        Level::Warning => AnsiColor::Yellow,
        Level::Note | Level::Off => AnsiColor::Green,
    };
    let label = terminal.paint(colour, &format!("{}[{}]", found.level, found.rule));
    let place = position.map_or_else(String::new, |at| format!(":{}:{}", at.line, at.column));
    let help = found
        .help
        .as_ref()
        .map_or_else(String::new, |help| format!("  = help: {help}\n"));
    format!("{label}: {}\n --> {path}{place}\n{help}\n", found.message)
}

/// `4 files: 1 error, 2 warnings, 3 notes (--show note), 1 waived.`
fn summary(findings: &Findings, show: Level) -> String {
    let count = |level: Level| {
        findings
            .standing()
            .filter(|found| found.level == level)
            .count()
    };
    let mut parts = Vec::new();
    for (level, one, many) in [
        (Level::Error, "error", "errors"),
        (Level::Warning, "warning", "warnings"),
        (Level::Note, "note", "notes"),
    ] {
        let number = count(level);
        if number > 0 {
            let hidden = if level < show {
                format!(" (--show {level})")
            } else {
                String::new()
            };
            parts.push(format!(
                "{number} {}{hidden}",
                if number == 1 { one } else { many }
            ));
        }
    }
    let waived = findings.found.len() - findings.standing().count();
    if waived > 0 {
        parts.push(format!("{waived} waived"));
    }
    if parts.is_empty() {
        parts.push("nothing found".to_owned());
    }
    let files = if findings.files == 1 { "file" } else { "files" };
    format!("{} {files}: {}.\n", findings.files, parts.join(", "))
}

/// `fluxion_production is at 001; up would apply 002 add_limits.`
fn would_run(asked: &Asked) -> String {
    let current = asked.current.as_deref().unwrap_or("no version");
    let pending: Vec<_> = asked
        .pending()
        .into_iter()
        .map(|(version, name)| format!("{version} {name}"))
        .collect();
    let would = if asked.is_blocked() {
        "up would do nothing, for the reason on standard error".to_owned()
    } else if pending.is_empty() {
        "up would apply nothing".to_owned()
    } else {
        format!("up would apply {}", pending.join(", "))
    };
    format!("{} is at {current}; {would}.\n", asked.server.database)
}
