//! Checks of the live database: what is asked, when, and what the answer means. Pure.

use std::fmt;
use std::time::Duration;

use crate::api::v1alpha1::CheckMoment;
use crate::migration::query::Query;
use crate::migration::version::Version;

mod read;

pub use read::{MAX_EQUALS, read};

/// A question to the database that has one right answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it is called in messages.
    pub name: String,
    /// The SELECT that answers one value.
    pub query: Query,
    /// That value as text.
    pub equals: String,
    /// When it is asked.
    pub when: CheckMoment,
    /// The version from which on it holds.
    pub from_version: Option<Version>,
    /// Whether the value that was found may be shown.
    pub show_value: bool,
    /// How long it may take.
    pub timeout: Duration,
}

/// Where a run is when it asks checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Versions are to be applied, and none is yet.
    Before,
    /// The database stands at the target.
    After,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckAnswer {
    /// The value as text, cut behind the longest that a check can expect; `None`: NULL or no row.
    Value(Option<String>),
    /// The server could not answer.
    Failed {
        /// The server's SQLSTATE.
        sqlstate: String,
        /// Its message, sanitised.
        message: String,
    },
    /// It took longer than it may.
    TimedOut,
}

/// A check that failed. Displayed as a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFailure {
    /// The check.
    pub name: String,
    /// Why.
    pub problem: CheckProblem,
}

/// Why a check failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckProblem {
    /// Another value was found, which may not be shown.
    Hidden,
    /// Another value was found.
    Shown {
        /// The right one.
        expected: String,
        /// What was found; `None`: NULL or no row.
        found: Option<String>,
    },
    /// The server could not answer.
    Failed {
        /// The server's SQLSTATE.
        sqlstate: String,
        /// Its message, sanitised.
        message: String,
    },
    /// It took longer than this.
    TimedOut(Duration),
}

/// Checks that failed at one moment of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChecksFailed {
    /// When they were asked.
    pub moment: Moment,
    /// Each that failed; never empty.
    pub failures: Vec<CheckFailure>,
    /// How many were asked.
    pub asked: usize,
}

impl Check {
    /// Whether it is to be asked at `moment`, of a database that stands at `current`.
    #[must_use]
    pub fn is_due(&self, moment: Moment, current: Option<&Version>) -> bool {
        let holds = match (&self.from_version, current) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(from), Some(current)) => current >= from,
        };
        let is_now = match self.when {
            CheckMoment::Both => true,
            CheckMoment::Before => moment == Moment::Before,
            CheckMoment::After => moment == Moment::After,
        };
        holds && is_now
    }

    /// What an answer means.
    ///
    /// # Errors
    /// When it is not the right one.
    pub fn judge(&self, answer: CheckAnswer) -> Result<(), CheckFailure> {
        let problem = match answer {
            CheckAnswer::Value(Some(found)) if found == self.equals => return Ok(()),
            CheckAnswer::Value(found) if self.show_value => CheckProblem::Shown {
                expected: self.equals.clone(),
                found,
            },
            CheckAnswer::Value(_) => CheckProblem::Hidden,
            CheckAnswer::Failed { sqlstate, message } => CheckProblem::Failed { sqlstate, message },
            CheckAnswer::TimedOut => CheckProblem::TimedOut(self.timeout),
        };
        Err(CheckFailure {
            name: self.name.clone(),
            problem,
        })
    }
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

impl fmt::Display for CheckProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden => {
                f.write_str("the answer is not the expected one (showValue: true would show it)")
            }
            Self::Shown {
                expected,
                found: None,
            } => write!(
                f,
                "the answer is NULL or has no row, and {} is expected",
                shown(expected)
            ),
            Self::Shown {
                expected,
                found: Some(found),
            } => write!(
                f,
                "the answer is {}, and {} is expected",
                shown(found),
                shown(expected)
            ),
            Self::Failed { sqlstate, message } => {
                write!(f, "the server cannot answer: {message} ({sqlstate})")
            }
            Self::TimedOut(limit) if limit.subsec_millis() == 0 => {
                write!(f, "no answer within {} s", limit.as_secs())
            }
            Self::TimedOut(limit) => write!(f, "no answer within {} ms", limit.as_millis()),
        }
    }
}

/// Longest part of a value that a sentence shows, in characters.
const SHOWN: usize = 100;

/// A value in quotes: control characters escaped, cut when it is long.
fn shown(value: &str) -> String {
    let mut escaped = value.escape_debug();
    let head: String = escaped.by_ref().take(SHOWN).collect();
    let more = if escaped.next().is_some() { "…" } else { "" };
    format!("\"{head}{more}\"")
}

/// Checks whose failures a sentence tells; the rest is counted.
const TOLD: usize = 3;

impl ChecksFailed {
    /// The failures, and what they mean for the data by `stands`, a clause that says what was run and where
    /// the database stands.
    pub(super) fn message(&self, stands: &str) -> String {
        let told: Vec<_> = self
            .failures
            .iter()
            .take(TOLD)
            .map(ToString::to_string)
            .collect();
        let more = match self.failures.len() - told.len() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let counted = match (self.failures.len(), self.asked) {
            (1, 1) => "The check failed".to_owned(),
            (1, asked) => format!("1 of {asked} checks failed"),
            (failed, asked) => format!("{failed} of {asked} checks failed"),
        };
        let way_out = match self.moment {
            Moment::Before => "Mend what is checked, or correct the check, and let it run again.",
            Moment::After => {
                "Mend what is checked, or correct the check. Nothing is undone by itself."
            }
        };
        format!("{counted}. {}{more}. {stands}. {way_out}", told.join("; "))
    }
}

#[cfg(test)]
mod tests;
