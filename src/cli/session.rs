//! Drives one run of the engine: connects, shows progress, and ends well on SIGINT and SIGTERM.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::engine;
use crate::engine::Progress;
use crate::engine::check::{Check, CheckAnswer};
use crate::engine::database::{Database, MOST_DOWNS_AT_ONCE, Observation, Request, Server};
use crate::engine::error::DatabaseError;
use crate::engine::loss::Estimate;
use crate::engine::outcome::{End, Outcome, Stop};
use crate::engine::task::{Mode, Task};
use crate::migration::blocked::Blocked;
use crate::migration::history::History;
use crate::migration::lint::Loss;
use crate::migration::plan::Plan;
use crate::migration::script::Script;
use crate::migration::snapshot::Snapshot;
use crate::migration::version::Version;
use crate::postgres::{
    AuditReport, Canceller, Changes, ChangesWanted, Postgres, Settings, StatementFailure,
};

use super::exit::{Failure, exit_for, exit_for_database};
use super::progress::Display;
use super::report;
use super::signals::Signals;
use super::terminal::Terminal;
use super::wording::with_advice;

/// How often the progress line is written, and a signal's effect is looked for.
const TICK: Duration = Duration::from_millis(200);

/// How often a cancel request is sent until the run ends: one that arrives between two parts of a
/// script finds nothing to cancel.
const CANCEL_EVERY: Duration = Duration::from_secs(1);

/// How a run came to its end.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself, or at the next chance after a signal.
    Run(Box<Outcome>),
    /// The plan was not what the caller had seen before; nothing of it ran.
    Refused,
}

/// What a look at the database showed.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) server: Server,
    pub(super) history: History,
    /// The way to the target, or why there is none.
    pub(super) plan: Result<Plan, Blocked>,
}

pub(super) fn trouble(error: &DatabaseError) -> Failure {
    let exit = exit_for_database(error.kind);
    Failure {
        exit,
        messages: vec![with_advice(&error.message, exit)],
    }
}

fn down_is_gone(version: &Version) -> Failure {
    Failure::not_done(format!(
        "The stored DOWN text of {version} is gone: the version was undone meanwhile. Nothing was changed here. Start \
         again to see what is left."
    ))
}

fn stopped(outcome: &Outcome) -> Failure {
    Failure {
        exit: exit_for(outcome),
        messages: vec![report::message(outcome)],
    }
}

/// A connection, and the signals that may end its use.
pub(super) struct Session {
    terminal: Terminal,
    database: Postgres,
    signals: Signals,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// When the database cannot be reached, or a signal comes first.
    pub(super) async fn open(settings: &Settings, terminal: Terminal) -> Result<Session, Failure> {
        let mut signals = Signals::listen()?;
        let database = tokio::select! {
            connected = Postgres::connect(settings) => connected.map_err(|error| trouble(&error))?,
            () = signals.next() => {
                return Err(Failure::not_done("Stopped before the database was reached."));
            }
        };
        Ok(Session {
            terminal,
            database,
            signals,
        })
    }

    /// The DOWN texts that were stored when these versions were applied, in their order; as many as are short together
    /// are asked for at once. The versions as the history spells them.
    ///
    /// # Errors
    /// When the database does not give one of them, or a signal comes first.
    pub(super) async fn stored_downs(
        &mut self,
        versions: &[Version],
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let mut texts = Vec::with_capacity(versions.len());
        while let Some(left) = versions.get(texts.len()..).filter(|left| !left.is_empty()) {
            let asked = left.iter().take(MOST_DOWNS_AT_ONCE).cloned();
            let request = Request::LoadDowns(asked.collect());
            let answer = tokio::select! {
                answer = self.database.perform(&request) => answer.map_err(|error| trouble(&error))?,
                () = self.signals.next() => return Err(Failure::not_done("Stopped on request.")),
            };
            let read = match answer {
                Observation::DownsLoaded(read) if !read.is_empty() => read,
                _ => {
                    return Err(Failure::not_done(
                        "The stored DOWN texts were asked for and something else was answered. Please report it.",
                    ));
                }
            };
            for (version, text) in left.iter().zip(read) {
                texts.push(text.ok_or_else(|| down_is_gone(version))?);
            }
        }
        Ok(texts)
    }

    /// What the catalog has of `losses`; inside, why it does not say.
    ///
    /// # Errors
    /// When a signal comes first.
    pub(super) async fn estimate(
        &mut self,
        losses: Arc<[Loss]>,
    ) -> Result<Result<Estimate, DatabaseError>, Failure> {
        let request = Request::Estimate(losses);
        tokio::select! {
            answer = self.database.perform(&request) => match answer {
                Ok(Observation::Estimated(found)) => Ok(Ok(found)),
                Ok(_) => Err(Failure::not_done(
                    "What would be lost was asked and something else was answered. Please report it.",
                )),
                Err(error) => Ok(Err(error)),
            },
            () = self.signals.next() => Err(Failure::not_done("Stopped on request.")),
        }
    }

    /// Asks one check.
    ///
    /// # Errors
    /// When the database does not answer, or a signal comes first.
    pub(super) async fn ask(&mut self, check: &Check) -> Result<CheckAnswer, Failure> {
        let request = Request::Check(Box::new(check.clone()));
        tokio::select! {
            answer = self.database.perform(&request) => match answer {
                Ok(Observation::Checked(answer)) => Ok(answer),
                Ok(_) => Err(Failure::not_done(format!(
                    "Check {} was asked and something else was answered. Please report it.",
                    check.name
                ))),
                Err(error) => Err(trouble(&error)),
            },
            () = self.signals.next() => Err(Failure::not_done("Stopped on request.")),
        }
    }

    /// The catalog of the database.
    ///
    /// # Errors
    /// When the database does not give it, or a signal comes first.
    pub(super) async fn snapshot(&mut self) -> Result<Snapshot, Failure> {
        tokio::select! {
            snapshot = self.database.snapshot() => snapshot.map_err(|error| trouble(&error)),
            () = self.signals.next() => Err(Failure::not_done("Stopped on request.")),
        }
    }

    /// Runs a script without a record; `None`: it came to its end.
    ///
    /// # Errors
    /// Trouble with the database, or a signal that came first.
    pub(super) async fn run_unrecorded(
        &mut self,
        script: &Script,
    ) -> Result<Option<StatementFailure>, Failure> {
        tokio::select! {
            ended = self.database.run_unrecorded(script) => ended.map_err(|error| trouble(&error)),
            () = self.signals.next() => Err(Failure::not_done("Stopped on request.")),
        }
    }

    /// The audit, all of it verified; `None`: there is none yet.
    ///
    /// # Errors
    /// When the database does not give it, or a signal comes first.
    pub(super) async fn audit(&mut self, newest: u32) -> Result<Option<AuditReport>, Failure> {
        tokio::select! {
            report = self.database.audit(newest) => report.map_err(|error| trouble(&error)),
            () = self.signals.next() => Err(Failure::not_done("Stopped on request.")),
        }
    }

    /// What was changed, when, by whom and how long it took.
    ///
    /// # Errors
    /// When the database does not give it, or a signal comes first.
    pub(super) async fn changes(&mut self, wanted: &ChangesWanted) -> Result<Changes, Failure> {
        tokio::select! {
            changes = self.database.changes(wanted) => changes.map_err(|error| trouble(&error)),
            () = self.signals.next() => Err(Failure::not_done("Stopped on request.")),
        }
    }

    /// Runs a task. `accept` sees the plan while the migration lock is held, before its first version.
    ///
    /// # Errors
    /// When results cannot be written; the run itself always comes to an [`Ended`].
    pub(super) async fn run(
        &mut self,
        task: Task,
        accept: impl Fn(&Plan) -> bool,
    ) -> Result<Ended, Failure> {
        let canceller = self.database.canceller();
        let activity = self.database.activity();
        let display = RefCell::new(Display::new(self.terminal));
        let halt = Halt::default();
        let mut run = pin!(engine::run(
            &mut self.database,
            task,
            || !halt.is_wanted(),
            |progress| {
                if let Progress::Planned(announcement) = &progress
                    && !accept(&announcement.plan)
                {
                    halt.refuse();
                    return;
                }
                display.borrow_mut().show(&progress);
            },
        ));
        let mut ticks = tokio::time::interval(TICK);
        let ended = loop {
            tokio::select! {
                outcome = &mut run => break Ended::Run(Box::new(outcome)),
                () = self.signals.next() => {
                    display.borrow_mut().clear();
                    halt.signal(display.borrow().running(), &canceller, self.terminal);
                }
                _ = ticks.tick() => display.borrow_mut().tick(activity.borrow().as_ref()),
            }
        };
        halt.over();
        display.borrow_mut().clear();
        match display.borrow_mut().take_failure() {
            Some(failure) => Err(failure),
            None if halt.is_refused() => Ok(Ended::Refused),
            None => Ok(ended),
        }
    }

    /// Looks at the database and plans, without the lock and without writing.
    ///
    /// # Errors
    /// When there is no history to go by, for any other reason than that there is no way to the target.
    pub(super) async fn look(&mut self, task: Task) -> Result<Look, Failure> {
        let task = Task {
            mode: Mode::Plan,
            ..task
        };
        let outcome = match self.run(task, |_| true).await? {
            Ended::Run(outcome) => outcome,
            Ended::Refused => return Err(Failure::not_done("The plan was refused.")),
        };
        let plan = match (outcome.end(), outcome.plan()) {
            (End::Planned, Some(plan)) => Ok(plan.clone()),
            (End::Stopped(Stop::Blocked(blocked)), _) => Err(blocked.clone()),
            _ => return Err(stopped(&outcome)),
        };
        match (outcome.server(), outcome.history()) {
            (Some(server), Some(history)) => Ok(Look {
                server: server.clone(),
                history: history.clone(),
                plan,
            }),
            _ => Err(stopped(&outcome)),
        }
    }

    /// Ends the connection.
    pub(super) async fn close(self) {
        self.database.close().await;
    }
}

/// Whether and why a run is to stop.
#[derive(Debug, Default)]
struct Halt {
    refused: Cell<bool>,
    signalled: Cell<bool>,
    cancelling: RefCell<Option<JoinHandle<()>>>,
}

impl Halt {
    fn is_wanted(&self) -> bool {
        self.refused.get() || self.signalled.get()
    }

    fn is_refused(&self) -> bool {
        self.refused.get()
    }

    fn refuse(&self) {
        self.refused.set(true);
    }

    /// First signal: no new version, and the running statement is cancelled. Second: out, at once.
    fn signal(&self, running: Option<&str>, canceller: &Canceller, terminal: Terminal) {
        if self.signalled.replace(true) {
            terminal.error(
                "Stopped without waiting for the server, which rolls back what was not committed.",
            );
            std::process::exit(1);
        }
        let Some(version) = running else {
            return terminal.note("Stopping. A second signal does not wait for the server.");
        };
        terminal.note(&format!(
            "Stopping: the running statement of {version} is being cancelled. A second signal stops \
             without waiting for that."
        ));
        let canceller = canceller.clone();
        let cancelling = tokio::spawn(async move {
            loop {
                // A request that did not get through is followed by another.
                let _ = canceller.cancel().await;
                tokio::time::sleep(CANCEL_EVERY).await;
            }
        });
        *self.cancelling.borrow_mut() = Some(cancelling);
    }

    /// The run is over: nothing is left to cancel.
    fn over(&self) {
        if let Some(cancelling) = self.cancelling.take() {
            cancelling.abort();
        }
    }
}
