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

/// How the targets begin that are silent whatever is asked for.
const SILENT: [&str; 2] = ["sqlx", "aws_"];

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
        // A longer target would win over these two.
        let default = targets.default_level();
        let others = targets
            .iter()
            .filter(|(target, _)| !SILENT.iter().any(|silent| target.starts_with(silent)))
            .map(|(target, level)| (target.to_owned(), level));
        let others: Targets = others.collect();
        let silent = SILENT.map(|target| (target, LevelFilter::OFF));
        let targets = others.with_targets(silent);
        Ok(Self(match default {
            Some(level) => targets.with_default(level),
            None => targets,
        }))
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

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn no_directive_makes_driver_or_aws_speak() {
        for text in [
            "trace",
            "info,aws_smithy_runtime=trace,sqlx::query=trace",
            "aws_config::web_identity_token=debug,sqlx=trace,trace",
        ] {
            let LogLevel(targets) = text.parse().unwrap();
            for target in [
                "aws_smithy_runtime",
                "aws_smithy_runtime::client::orchestrator",
                "aws_config::web_identity_token",
                "sqlx::query",
                "sqlx_postgres",
            ] {
                assert!(
                    !targets.would_enable(target, &Level::ERROR),
                    "{text} {target}"
                );
            }
            assert!(targets.would_enable("schemaward", &Level::INFO), "{text}");
        }
        let LogLevel(targets) = "info,kube=debug".parse().unwrap();
        assert!(targets.would_enable("kube::client", &Level::DEBUG));
        assert!(!targets.would_enable("other", &Level::DEBUG));
    }
}
