//! `schemaward history`: what changed, when, by whom, and how long it took.

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::migration::version::Version;
use crate::postgres::{By, Changes, ChangesWanted, RecordedChange};

use super::args::{ConnectionArgs, HistoryArgs};
use super::exit::{Exit, Failure};
use super::output::history::History;
use super::output::{self, Format, FormatArgs};
use super::session::Session;
use super::table::{self, Cell};
use super::terminal::Terminal;

/// Show what changed, when, by whom, and how long it took
///
/// Only reads. One line for each version that was applied or undone, and for each decision of a person (accept,
/// resolve, takeover), oldest first. A version that another program applied has no author. `list` shows where each
/// version stands now; `audit` verifies the record that this is read from.
#[derive(Debug, Args)]
pub(super) struct HistoryCommand {
    /// What became of this version alone
    #[arg(long, value_name = "VERSION", value_parser = Version::parse)]
    version: Option<Version>,
    /// From this time on: `2026-11-26`, or RFC 3339 as `2026-11-26T10:00:00Z`; a day begins at midnight UTC
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// How many lines to show, the newest last
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
}

impl HistoryCommand {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let settings = self.connection.settings(&self.history).await?;
        let wanted = ChangesWanted {
            version: self.version,
            since: self.since,
            limit: self.limit,
        };
        let mut session = Session::open(&settings, terminal).await?;
        let changes = session.changes(&wanted).await;
        session.close().await;
        let changes = changes?;
        match self.format.output {
            Format::Text => terminal.results(&text(&changes, terminal))?,
            Format::Json => terminal.results(&output::to_text(&History::of(&changes))?)?,
        }
        if changes.has_more {
            terminal.note("There is more before that; --limit shows it.");
        }
        Ok(Exit::Done)
    }
}

/// A day, or a moment.
fn time(text: &str) -> Result<Timestamp, String> {
    let day = text.parse::<Date>();
    let day = day.ok().filter(|_| !text.contains(['T', 't', ' ']));
    match day {
        Some(day) => day
            .to_zoned(TimeZone::UTC)
            .map(|start| start.timestamp())
            .map_err(|error| error.to_string()),
        None => text
            .parse()
            .map_err(|_| "neither a day nor a time with its zone".to_owned()),
    }
}

fn text(changes: &Changes, terminal: Terminal) -> String {
    let header = ["AT", "ACTION", "VERSION", "MS", "BY", "DETAIL"];
    let mut lines = vec![header.map(Cell::word).to_vec()];
    lines[0][3] = Cell::word("MS").aligned_right();
    lines.extend(changes.changes.iter().map(line));
    table::render(&lines, terminal)
}

fn line(change: &RecordedChange) -> Vec<Cell> {
    let at = change.at;
    vec![
        Cell::of(at.map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())),
        Cell::word(&change.action),
        Cell::of(change.version.as_ref()),
        Cell::of(change.execution_time_ms).aligned_right(),
        Cell::of(Some(
            change
                .by
                .as_ref()
                .map_or_else(|| "another program".to_owned(), by),
        )),
        Cell::word(&change.detail),
    ]
}

/// `command line, role deploy`
fn by(by: &By) -> String {
    format!("{}, role {}", by.actor, by.database_role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_or_a_moment() {
        for (text, expected) in [
            ("2026-11-26", Some("2026-11-26T00:00:00Z")),
            ("2026-11-26T10:00:00Z", Some("2026-11-26T10:00:00Z")),
            ("2026-11-26T10:00:00+02:00", Some("2026-11-26T08:00:00Z")),
            ("2026-11-26T10:00:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            let found = time(text).ok().map(|time| time.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
