//! Logs on stderr, as lines for people or as JSON, and what a panic may say.

use std::cell::RefCell;
use std::io;
use std::panic;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Lines for people.
    Text,
}

/// What is logged: a level for our own lines, or directives.
#[derive(Debug, Clone)]
pub struct LogLevel(Targets);

impl FromStr for LogLevel {
    type Err = String;

    /// A level is for our own lines; libraries then only get to say warnings. Directives such as
    /// `info,kube=debug` are taken as they are. The database driver never says anything, because it
    /// logs statements and the server's notices, and neither do the libraries of AWS, which log requests
    /// and answers; what went wrong is in our own lines.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let targets = match text.parse::<LevelFilter>() {
            Ok(level) => Targets::new()
                .with_default(LevelFilter::WARN.min(level))
                .with_target("schemaward", level),
            Err(_) => text
                .parse::<Targets>()
                .map_err(|_| "write error, warn, info, debug, trace, or directives".to_owned())?,
        };
        let silent = ["sqlx", "aws_"].map(|target| (target, LevelFilter::OFF));
        Ok(Self(targets.with_targets(silent)))
    }
}

/// Starts logging.
///
/// # Errors
/// When a logger was installed before.
pub fn init(format: LogFormat, level: &LogLevel) -> Result<(), TryInitError> {
    let registry = tracing_subscriber::registry().with(level.0.clone());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false);
    match format {
        LogFormat::Json => registry
            .with(layer.json().flatten_event(true).with_span_list(false))
            .try_init(),
        LogFormat::Text => registry.with(layer.with_ansi(false)).try_init(),
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes a panic say where it happened and nothing else: a panic message can hold any value, and so
/// a secret.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map_or_else(
            || "an unknown place".to_owned(),
            |location| format!("{}:{}", location.file(), location.line()),
        );
        tracing::error!(location, "a panic: this is a bug in Schemaward");
        LAST_PANIC.with(|last| *last.borrow_mut() = Some(location));
    }));
}

/// Where the last panic on this thread happened, once. For whoever caught it.
#[must_use]
pub fn take_panic_location() -> Option<String> {
    LAST_PANIC.with(|last| last.borrow_mut().take())
}
