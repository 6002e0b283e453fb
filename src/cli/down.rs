//! `schemaward down`: undoes versions.

use clap::{ArgGroup, Args};

use crate::engine::review::Review;
use crate::engine::task::{Mode, Task};
use crate::migration::begun::BEGUN;
use crate::migration::blocked::Blocked;
use crate::migration::history::History;
use crate::migration::plan::{Plan, Step};
use crate::migration::target::{Policy, Rollback, Target};
use crate::migration::version::Version;

use super::args::{ConnectionArgs, ExecutionArgs, HistoryArgs, SourceArgs};
use super::checks::ChecksArgs;
use super::exit::{Exit, Failure};
use super::report::{self, Context};
use super::session::{Look, Session};
use super::source::{self, Depth};
use super::terminal::Terminal;
use super::up::patience;

/// Undo a version, or all above one, newest first
///
/// What runs is the DOWN text that was stored when the version was applied, so that the file may be
/// gone by now. Before it runs, the tables and columns that it takes away are named, with an estimate of
/// their rows. Each version is undone in one transaction together with its row in the history table.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true))]
pub(super) struct Down {
    /// The version to undo; it must be the newest one applied
    #[arg(id = "undo", value_name = "VERSION", value_parser = Version::parse, group = "what")]
    version: Option<Version>,
    /// Undo every version above this one, which stays
    #[arg(long, value_name = "VERSION", value_parser = Version::parse, group = "what")]
    to: Option<Version>,
    #[command(flatten)]
    checks: ChecksArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    execution: ExecutionArgs,
}

impl Down {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let ledger = self.history.ledger();
        let catalog = source::load(&self.source.dir, &ledger.table, Depth::Hashed, terminal)?;
        let checks = self.checks.load(&self.source.dir)?;
        let settings = self
            .connection
            .settings_to_execute(&self.history, &self.execution)
            .await?;
        let mut task = Task {
            target: Target::DownTo(self.to),
            policy: Policy {
                rollback: Rollback::Allow,
                ..Policy::default()
            },
            mode: Mode::Migrate,
            patience: patience(self.execution.lock_wait.lock_wait),
            checks,
            review: Some(Review::of_command_line()),
            ..Task::of_command_line(catalog.clone(), ledger)
        };
        let mut session = Session::open(&settings, terminal).await?;
        if let Some(version) = &self.version {
            let look = session.look(task.clone()).await?;
            let below = below(version, &look.history);
            let below = below.map_err(|refused| with_what_is_begun(refused, version, &look))?;
            task.target = Target::DownTo(below);
        }
        // Between that look and the lock somebody else may have applied more.
        let ended = session
            .run(task, |plan| undoes_only(plan, self.version.as_ref()))
            .await?;
        let context = Context {
            terminal,
            catalog: &catalog,
            folder: &self.source.dir,
            ledger_table: &settings.ledger.table,
            refused: "Another run changed the history meanwhile. Nothing was undone. Look at \
                      `schemaward list` and try again.",
        };
        let exit = report::conclude(&mut session, &ended, context).await;
        session.close().await;
        Ok(exit)
    }
}

/// Whether a plan is no more than the way back from `version`, when one is named.
fn undoes_only(plan: &Plan, version: Option<&Version>) -> bool {
    version.is_none_or(|wanted| match plan.steps.as_slice() {
        [Step::Undo { version, .. }] => version == wanted,
        _ => false,
    })
}

/// The version that the database is at once `version` is undone; `None`: it was the only one.
///
/// # Errors
/// When `version` is not the newest one applied; the message says what `down --to` would undo.
fn below(version: &Version, history: &History) -> Result<Option<Version>, Failure> {
    let Some(current) = history.current() else {
        return Err(Failure::not_done(format!(
            "{version} is not applied, nor is any other version. Nothing was undone."
        )));
    };
    if history.get(version).is_none() {
        return Err(Failure::not_done(format!(
            "{version} is not applied; the database is at {current}. Nothing was undone."
        )));
    }
    let below = history
        .iter()
        .rev()
        .map(|applied| &applied.version)
        .find(|applied| *applied < version);
    if current == version {
        return Ok(below.cloned());
    }
    let above: Vec<_> = history
        .iter()
        .rev()
        .take_while(|applied| applied.version >= *version)
        .map(|applied| format!("{} {}", applied.version, applied.name))
        .collect();
    let way = match below {
        Some(below) => format!(
            "`schemaward down --to {below}` undoes, in this order: {}.",
            above.join(", ")
        ),
        None => format!(
            "To get there, undo one after the other: {}.",
            above.join(", ")
        ),
    };
    Err(Failure::not_done(format!(
        "{version} is not the newest version applied, {current} is. Nothing was undone. {way}"
    )))
}

/// The refusal with what is half done: of the version itself it is all there is to say.
fn with_what_is_begun(mut refused: Failure, version: &Version, look: &Look) -> Failure {
    let Some(begun) = look.history.begun() else {
        return refused;
    };
    match &look.plan {
        Err(blocked @ Blocked::Begun { .. }) if begun.version == *version => {
            return Failure::not_done(blocked.to_string());
        }
        Ok(_) | Err(_) => {}
    }
    for message in &mut refused.messages {
        message.push(' ');
        message.push_str(&begun.sentence(BEGUN));
    }
    refused
}

#[cfg(test)]
mod tests {
    use crate::migration::history::Applied;

    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn history(versions: &[&str]) -> History {
        let rows = versions.iter().map(|text| Applied {
            version: version(text),
            name: format!("name_{text}"),
            applied_at: None,
            execution_time_ms: None,
            checksum: None,
            stored: None,
        });
        History::new(rows.collect(), Vec::new()).unwrap()
    }

    fn refusal(wanted: &str, applied: &[&str]) -> String {
        below(&version(wanted), &history(applied))
            .unwrap_err()
            .messages
            .join("\n")
    }

    #[test]
    fn the_newest_version_goes_to_the_one_below() {
        let below = |wanted: &str, applied: &[&str]| below(&version(wanted), &history(applied));
        assert_eq!(below("003", &["001", "003"]), Ok(Some(version("001"))));
        assert_eq!(below("3", &["001", "003"]), Ok(Some(version("001"))));
        assert_eq!(below("001", &["001"]), Ok(None));
    }

    #[test]
    fn any_other_version_is_refused_with_what_would_work() {
        assert_eq!(
            refusal("002", &["001", "002", "003"]),
            "002 is not the newest version applied, 003 is. Nothing was undone. `schemaward down --to \
             001` undoes, in this order: 003 name_003, 002 name_002."
        );
        assert_eq!(
            refusal("001", &["001", "002"]),
            "001 is not the newest version applied, 002 is. Nothing was undone. To get there, undo one \
             after the other: 002 name_002, 001 name_001."
        );
        assert_eq!(
            refusal("004", &["001"]),
            "004 is not applied; the database is at 001. Nothing was undone."
        );
        assert_eq!(
            refusal("001", &[]),
            "001 is not applied, nor is any other version. Nothing was undone."
        );
    }

    #[test]
    fn a_plan_that_became_another_one_is_refused() {
        let undo = |text: &str| Step::Undo {
            version: version(text),
            name: String::new(),
            down: crate::migration::plan::DownSource::Stored(
                crate::migration::checksum::Checksum::of(b""),
            ),
        };
        let plan = |steps: Vec<Step>| Plan {
            steps,
            ..Plan::default()
        };
        let wanted = version("002");
        assert!(undoes_only(&plan(vec![undo("002")]), Some(&wanted)));
        assert!(!undoes_only(
            &plan(vec![undo("003"), undo("002")]),
            Some(&wanted)
        ));
        assert!(!undoes_only(&plan(vec![]), Some(&wanted)));
        assert!(undoes_only(&plan(vec![undo("003"), undo("002")]), None));
    }
}
