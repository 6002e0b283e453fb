//! Writing: results to standard output, messages to standard error, colours only for eyes.

use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};

use super::exit::{Exit, Failure};

/// What is known about where the output goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    results: Results,
    messages_in_colour: bool,
    shows_progress: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Results {
    Plain,
    InColour,
    /// Not at all: the caller puts them in another form.
    Mute,
}

impl Terminal {
    /// Looks at both streams, at `NO_COLOR` (<https://no-color.org>) and at `TERM`.
    pub(super) fn detect() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let to_eyes = io::stderr().is_terminal() && !dumb;
        Self {
            results: if io::stdout().is_terminal() && !dumb && !plain {
                Results::InColour
            } else {
                Results::Plain
            },
            messages_in_colour: to_eyes && !plain,
            shows_progress: to_eyes,
        }
    }

    /// For texts that are compared.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self {
            results: Results::Plain,
            messages_in_colour: false,
            shows_progress: false,
        }
    }

    /// The same, that writes messages and no results.
    pub(super) fn mute(self) -> Self {
        Self {
            results: Results::Mute,
            ..self
        }
    }

    /// Whether a line that is written over again can be seen as such.
    pub(super) fn shows_progress(self) -> bool {
        self.shows_progress
    }

    /// Whether results may hold colours.
    pub(super) fn results_in_colour(self) -> bool {
        self.results == Results::InColour
    }

    /// Whether messages may hold colours.
    pub(super) fn messages_in_colour(self) -> bool {
        self.messages_in_colour
    }

    /// A part of a result, in a colour when that is seen.
    pub(super) fn paint(self, colour: AnsiColor, text: &str) -> String {
        paint(self.results_in_colour(), colour, text)
    }

    /// Writes results. A reader that has seen enough (`list | head -1`) is no error.
    ///
    /// # Errors
    /// When the results cannot be written for another reason, such as a full disk.
    pub(super) fn results(self, text: &str) -> Result<(), Failure> {
        if self.results == Results::Mute {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::not_done(format!(
                "The results cannot be written to standard output: {error}."
            ))),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A message that the reader does not have to act on.
    pub(super) fn note(self, text: &str) {
        let label = paint(self.messages_in_colour, AnsiColor::Green, "note");
        write_error(&format!("{label}: {text}\n"));
    }

    /// Something to look at, although the command goes on.
    pub(super) fn warning(self, text: &str) {
        let label = paint(self.messages_in_colour, AnsiColor::Yellow, "warning");
        write_error(&format!("{label}: {text}\n"));
    }

    /// Why the command did not do what it should.
    pub(super) fn error(self, text: &str) {
        let label = paint(self.messages_in_colour, AnsiColor::Red, "error");
        write_error(&format!("{label}: {text}\n"));
    }

    /// Prints a failure and gives its exit code.
    pub(super) fn fail(self, failure: &Failure) -> Exit {
        for message in &failure.messages {
            self.error(message);
        }
        failure.exit
    }
}

/// Writes to standard error. When nobody reads that either, there is nobody left to tell.
pub(super) fn write_error(text: &str) {
    let mut stream = io::stderr().lock();
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}

fn paint(coloured: bool, colour: AnsiColor, text: &str) -> String {
    if coloured {
        let style = Style::new().fg_color(Some(colour.into())).bold();
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}
