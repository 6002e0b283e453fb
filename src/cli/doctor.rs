//! `schemaward doctor`: the first thing that is wrong on the way to a migration, and what mends it.

use std::path::Path;

use clap::Args;
use clap::builder::styling::AnsiColor;

use crate::engine::database::Inspection;
use crate::migration::blocked::Blocked;
use crate::migration::catalog::Catalog;
use crate::migration::plan::{judge_history, plan};
use crate::migration::target::{Policy, Target};
use crate::postgres::{Check, Finding, Postgres, Settings, Trouble, examine, in_time};

use super::args::{ConnectionArgs, HistoryArgs, SourceArgs};
use super::audit::BUT_FOR;
use super::cluster::{ClusterArgs, ResourceName};
use super::exit::{Exit, Failure, exit_for_database};
use super::report::with_what_is_begun;
use super::source::{self, Depth};
use super::terminal::Terminal;

mod resource;

/// Find the first thing that is wrong, and what mends it
///
/// Looks, in this order, at DNS, TCP, TLS, login, privileges, pooler, standby, version, locks and history, from
/// where it runs. Says what each look saw, and stops at the first thing that is wrong. Only reads. With
/// `databaseschema/NAME` it takes the connection from the resource, whose Secrets and `ConfigMaps` you must be
/// allowed to read. Of AWS it asks nothing then unless you say so.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// A resource, as for kubectl; without it, the database that the connection options name
    #[arg(value_name = "databaseschema/NAME", value_parser = ResourceName::parse)]
    resource: Option<ResourceName>,

    /// Read the secret of AWS that the resource names, or sign a token of RDS IAM, with your own AWS identity
    ///
    /// What comes of it is sent to the host that the resource names. Whoever wrote the resource may not be allowed
    /// to have it: see first what goes where.
    #[arg(long, requires = "resource")]
    use_my_aws_identity: bool,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// What is examined, and what the history is compared with.
struct Subject {
    settings: Settings,
    /// The versions that are wanted; none: there is nothing to compare with.
    wanted: Option<Wanted>,
}

struct Wanted {
    catalog: Catalog,
    target: Target,
    policy: Policy,
}

impl Doctor {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        match &self.resource {
            Some(name) => {
                let identity = resource::Identity::new(self.use_my_aws_identity);
                resource::examine(name, &self.cluster, identity, terminal).await
            }
            None => self.subject(terminal).await?.examine(terminal).await,
        }
    }

    async fn subject(&self, terminal: Terminal) -> Result<Subject, Failure> {
        let settings = self.connection.settings(&self.history).await?;
        Ok(Subject {
            wanted: wanted(&self.source.dir, &settings, terminal)?,
            settings,
        })
    }
}

/// The set in a folder, if there is one.
fn wanted(
    folder: &Path,
    settings: &Settings,
    terminal: Terminal,
) -> Result<Option<Wanted>, Failure> {
    if !folder.exists() {
        return Ok(None);
    }
    let table = &settings.ledger.table;
    Ok(Some(Wanted {
        catalog: source::load(folder, table, Depth::Hashed, terminal)?,
        target: Target::Latest,
        policy: Policy::default(),
    }))
}

impl Subject {
    /// Makes all checks, and tells of each.
    ///
    /// # Errors
    /// The first thing that is wrong.
    async fn examine(&self, terminal: Terminal) -> Result<Exit, Failure> {
        let mut unwritten = Ok(());
        let mut tell = |finding: Finding| {
            let told = row(terminal, finding.check.name(), true, &finding.seen);
            if unwritten.is_ok() {
                unwritten = told;
            }
        };
        let examined = examine(&self.settings, &mut tell).await;
        unwritten?;
        let (mut database, inspection) = match examined {
            Ok(examined) => examined,
            Err(trouble) => return Err(tell_trouble(terminal, trouble)?),
        };
        let judged = self.judge_history(&mut database, &inspection).await;
        database.close().await;
        match judged {
            Ok(seen) => {
                row(terminal, Check::History.name(), true, &seen)?;
                Ok(Exit::Done)
            }
            Err(failure) => {
                row(terminal, Check::History.name(), false, "")?;
                Err(failure)
            }
        }
    }

    /// Whether the history is whole, and leads to what is wanted.
    async fn judge_history(
        &self,
        database: &mut Postgres,
        seen: &Inspection,
    ) -> Result<String, Failure> {
        let stops =
            |blocked: Blocked| Failure::not_done(with_what_is_begun(&blocked, &seen.history));
        let auditing = in_time(&self.settings, "the audit", database.audit(0));
        let Some(audit) = auditing.await.map_err(|error| {
            let exit = exit_for_database(error.kind);
            Failure {
                exit,
                messages: vec![error.message],
            }
        })?
        else {
            return Ok("there is none yet; the first run makes it".to_owned());
        };
        judge_history(&seen.history).map_err(stops)?;
        if let Some(defect) = audit.defect {
            return Err(stops(Blocked::AuditTampered(defect)));
        }
        if let Some(wanted) = &self.wanted {
            plan(
                &wanted.catalog,
                &seen.history,
                &wanted.target,
                &wanted.policy,
            )
            .map_err(stops)?;
        }
        let at = seen.history.current();
        let at = at.map_or_else(|| "no version".to_owned(), ToString::to_string);
        let begun = seen.history.begun();
        let begun = begun.map_or_else(String::new, |begun| format!("{}; ", begun.seen()));
        let accepted = audit.accepted;
        let accepted =
            accepted.map_or_else(String::new, |accepted| format!(" {BUT_FOR}{accepted}"));
        Ok(format!(
            "at {at}; {begun}{} rows of the audit are as they were written{accepted}",
            audit.rows
        ))
    }
}

/// Tells which check failed; gives what the command ends with.
fn tell_trouble(terminal: Terminal, trouble: Trouble) -> Result<Failure, Failure> {
    row(terminal, trouble.check.name(), false, "")?;
    let exit = trouble.kind.map_or(Exit::Retry, exit_for_database);
    let mut message = trouble.message;
    if let Some(remedy) = trouble.remedy {
        message = format!("{message}\n  {remedy}");
    }
    Ok(Failure {
        exit,
        messages: vec![message],
    })
}

/// One line of the result.
fn row(terminal: Terminal, name: &str, passed: bool, seen: &str) -> Result<(), Failure> {
    let (word, colour) = if passed {
        ("ok", AnsiColor::Green)
    } else {
        ("failed", AnsiColor::Red)
    };
    let gap = " ".repeat(8usize.saturating_sub(word.len()));
    let line = format!("{name:<12}{}{gap}{seen}", terminal.paint(colour, word));
    terminal.results(&format!("{}\n", line.trim_end()))
}
