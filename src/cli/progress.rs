//! What a run shows while it goes on: a line per finished version as a result, waits as messages, and
//! on a terminal one line that tells what is under way and for how long.

use std::time::{Duration, Instant};

use clap::builder::styling::AnsiColor;

use crate::engine::Progress;
use crate::engine::database::Recorded;
use crate::migration::file_name::Direction;
use crate::migration::version::Version;

use super::exit::Failure;
use super::terminal::{Terminal, write_error};

/// From when on the line that is written over again appears, so that it does not flicker.
const SHOWN_FROM: Duration = Duration::from_millis(300);

/// Shows a run.
#[derive(Debug)]
pub(super) struct Display {
    terminal: Terminal,
    /// The version whose script runs on the server.
    running: Option<String>,
    /// What the line says, and since when.
    under_way: Option<(String, Instant)>,
    line_is_shown: bool,
    holder: Option<String>,
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
            Progress::Planned(_) => self.enter(None, None),
            Progress::WaitingForLock { holder } => {
                let holder =
                    holder.map_or_else(|| "another session".to_owned(), ToString::to_string);
                self.wait_for_lock(holder);
            }
            Progress::Started {
                version,
                name,
                direction,
            } => {
                let doing = match direction {
                    Direction::Up => "applying",
                    Direction::Down => "undoing",
                };
                self.enter(
                    Some(format!("{version} {name}")),
                    Some(format!("{doing} {version} {name}")),
                );
            }
            Progress::Finished {
                version,
                name,
                direction,
                recorded,
            } => {
                self.enter(None, None);
                self.result(version, name, *direction, *recorded);
            }
            Progress::Retrying {
                version,
                attempt,
                attempts,
                blockers,
                wait,
            } => {
                self.enter(None, None);
                let held = blockers.first().map_or_else(
                    || "a lock that was not free".to_owned(),
                    ToString::to_string,
                );
                self.terminal.note(&format!(
                    "{version} waits for {held}. It was rolled back. Attempt {attempt} of {attempts} in {} s.",
                    wait.as_secs()
                ));
            }
        }
    }

    /// Writes the line that tells what is under way over again.
    pub(super) fn tick(&mut self) {
        let Some((what, since)) = &self.under_way else {
            return;
        };
        let elapsed = since.elapsed();
        if self.terminal.shows_progress() && elapsed >= SHOWN_FROM {
            write_error(&format!("\r\x1b[K{what} … {} s", elapsed.as_secs()));
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
    fn wait_for_lock(&mut self, holder: String) {
        if self.holder.as_ref() == Some(&holder) {
            return;
        }
        self.enter(None, Some("waiting for the other run".to_owned()));
        self.terminal.note(&format!(
            "Another run migrates this database; waiting for it. The migration lock is held by {holder}."
        ));
        self.holder = Some(holder);
    }

    fn result(&mut self, version: &Version, name: &str, direction: Direction, recorded: Recorded) {
        let done = match direction {
            Direction::Up => self.terminal.paint(AnsiColor::Green, "applied"),
            Direction::Down => self.terminal.paint(AnsiColor::Yellow, "undone"),
        };
        let line = format!(
            "{version}  {done}  {name}  {} ms\n",
            recorded.execution_time_ms
        );
        if let Err(failure) = self.terminal.results(&line) {
            self.failure.get_or_insert(failure);
        }
    }
}
