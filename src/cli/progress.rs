//! What a run shows while it goes on: a line per finished version as a result, waits as messages, and
//! on a terminal one line that tells what is under way and for how long.

use std::fmt::Write;
use std::time::{Duration, Instant};

use clap::builder::styling::AnsiColor;

use crate::engine::Progress;
use crate::engine::loss::DataLoss;
use crate::engine::outcome::Done;
use crate::engine::sessions::{Activity, Holder, waited_for};
use crate::migration::file_name::Direction;

use super::exit::Failure;
use super::terminal::{Terminal, write_error};

/// From when on the line that is written over again appears, so that it does not flicker.
const SHOWN_FROM: Duration = Duration::from_millis(300);

/// Losses that are shown before a run; a plan shows more of them.
const MAX_LOSSES: usize = 50;

/// Whether a line goes on in the next one at the terminal's edge (DECAWM): of a line that does, only the
/// end would be written over again.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// What is about to be lost, a line each.
fn lost(losses: &[DataLoss]) -> String {
    let named = losses.iter().take(MAX_LOSSES);
    let mut text = "Going back loses:\n".to_owned();
    text.extend(named.map(|loss| format!("  {loss}\n")));
    if let Some(more @ 1..) = losses.len().checked_sub(MAX_LOSSES) {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}

/// Shows a run.
#[derive(Debug)]
pub(super) struct Display {
    terminal: Terminal,
    /// The version whose script runs on the server.
    running: Option<String>,
    /// What the line says, and since when.
    under_way: Option<(String, Instant)>,
    line_is_shown: bool,
    /// Who was said to hold the migration lock, with whom that waits for; inside, nobody: an unknown session.
    holder: Option<Vec<i32>>,
    failure: Option<Failure>,
}

impl Display {
    pub(super) fn new(terminal: Terminal) -> Self {
        Self {
            terminal,
            running: None,
            under_way: None,
            line_is_shown: false,
            holder: None,
            failure: None,
        }
    }

    /// The version whose script runs on the server, if one does.
    pub(super) fn running(&self) -> Option<&str> {
        self.running.as_deref()
    }

    /// Results that could not be written.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// Shows what the engine tells.
    pub(super) fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Planned(announcement) => {
                self.enter(None, None);
                if !announcement.losses.is_empty() {
                    write_error(&lost(&announcement.losses));
                }
            }
            Progress::WaitingForLock { holder } => {
                self.wait_for_lock(*holder);
            }
            Progress::Baselined { version, name } => {
                let recorded = self.terminal.paint(AnsiColor::Green, "baseline");
                self.line(&format!("{version}  {recorded}  {name}\n"));
            }
            Progress::Adopted(adopted) => self.note(&adopted.to_string()),
            Progress::Recovered(recovery) => self.note(&recovery.to_string()),
            Progress::Checking { name } => self.enter(
                Some(format!("check {name}")),
                Some(format!("asking check {name}")),
            ),
            Progress::Started {
                version,
                name,
                direction,
                up_to,
            } => {
                let along =
                    up_to.map_or_else(String::new, |last| format!(" and those up to {last}"));
                let doing = match direction {
                    Direction::Up => "applying",
                    Direction::Down => "undoing",
                };
                self.enter(
                    Some(format!("{version} {name}{along}")),
                    Some(format!("{doing} {version} {name}{along}")),
                );
            }
            Progress::Finished(done) => {
                self.enter(None, None);
                self.result(done);
            }
            Progress::Retrying {
                version,
                attempt,
                attempts,
                blockers,
                remains,
                wait,
            } => {
                self.enter(None, None);
                let held = waited_for(blockers);
                let left = remains.unwrap_or("Nothing of it is kept");
                self.terminal.note(&format!(
                    "{version} waits for {held}. {left}. Attempt {attempt} of {attempts} in {} s.",
                    wait.as_secs()
                ));
            }
        }
    }

    /// Writes the line that tells what is under way over again; `activity` is what the server shows of it.
    pub(super) fn tick(&mut self, activity: Option<&Activity>) {
        let Some((what, since)) = &self.under_way else {
            return;
        };
        let elapsed = since.elapsed();
        if self.terminal.shows_progress() && elapsed >= SHOWN_FROM {
            let line = line(what, elapsed, activity);
            write_error(&format!("\r\x1b[K{NO_WRAP}{line}{WRAP}"));
            self.line_is_shown = true;
        }
    }

    /// Takes that line away, before anything else is written.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.line_is_shown) {
            write_error("\r\x1b[K");
        }
    }

    fn enter(&mut self, running: Option<String>, under_way: Option<String>) {
        self.clear();
        self.running = running;
        self.under_way = under_way.map(|what| (what, Instant::now()));
    }

    /// Tells once who holds the lock, and again when somebody else has it.
    /// Says who holds the lock, and again only when that is another one or waits for others: the times alone change
    /// from look to look.
    fn wait_for_lock(&mut self, holder: Option<&Holder>) {
        let holding = holder.map(Holder::pids).unwrap_or_default();
        if self.holder.as_ref() == Some(&holding) {
            return;
        }
        let holder = holder.map_or_else(|| "another session".to_owned(), ToString::to_string);
        self.enter(None, Some("waiting for the other run".to_owned()));
        self.terminal.note(&format!(
            "Another run migrates this database; waiting for it. The migration lock is held by {holder}."
        ));
        self.holder = Some(holding);
    }

    fn result(&mut self, version: &Done) {
        let done = match version.direction {
            Direction::Up => self.terminal.paint(AnsiColor::Green, "applied"),
            Direction::Down => self.terminal.paint(AnsiColor::Yellow, "undone"),
        };
        let line = format!(
            "{}  {done}  {}  {} ms\n",
            version.version, version.name, version.execution_time_ms
        );
        self.line(&line);
    }

    fn note(&mut self, text: &str) {
        self.clear();
        self.terminal.note(text);
    }

    fn line(&mut self, line: &str) {
        if let Err(failure) = self.terminal.results(line) {
            self.failure.get_or_insert(failure);
        }
    }
}

/// `applying 018 add_index … 40 s: building index: scanning table, 43 %`
fn line(what: &str, elapsed: Duration, activity: Option<&Activity>) -> String {
    let seconds = elapsed.as_secs();
    let build = activity
        .and_then(|activity| activity.index_build.as_ref())
        .map(ToString::to_string);
    let waiting = activity
        .filter(|activity| !activity.waits_for.is_empty())
        .map(|activity| format!("waits for {}", waited_for(&activity.waits_for)));
    match waiting.or(build) {
        None => format!("{what} … {seconds} s"),
        Some(at) => format!("{what} … {seconds} s: {at}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::engine::sessions::{Blocker, IndexBuild, LockOwner};

    use super::*;

    #[test]
    fn the_line_says_how_far_it_is_and_for_whom_it_waits() {
        let activity = |waits_for, index_build| Activity {
            since: Timestamp::UNIX_EPOCH,
            waits_for,
            index_build,
        };
        let build = |percent, lockers| IndexBuild {
            phase: "a phase".to_owned(),
            percent,
            lockers,
            current_locker: None,
        };
        let blocker = Blocker {
            owner: LockOwner::Session {
                pid: 4711,
                application_name: "report".to_owned(),
                state: Some("idle in transaction".to_owned()),
            },
            user: "crm".to_owned(),
            held_seconds: Some(720),
            relation: Some("public.orders".to_owned()),
        };
        let waits = "applying 018 x … 40 s: waits for a lock on public.orders held for 12 min by pid 4711 \
                     (app \"report\", role \"crm\", idle in transaction)";
        for (activity, expected) in [
            (None, "applying 018 x … 40 s"),
            (Some(activity(Vec::new(), None)), "applying 018 x … 40 s"),
            (
                Some(activity(Vec::new(), Some(build(Some(43), None)))),
                "applying 018 x … 40 s: a phase, 43 %",
            ),
            (
                Some(activity(vec![blocker], Some(build(None, Some((0, 1)))))),
                waits,
            ),
        ] {
            let seconds = Duration::from_secs(40);
            assert_eq!(line("applying 018 x", seconds, activity.as_ref()), expected);
        }
    }
}
