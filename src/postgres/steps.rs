//! The steps of a version that does not run in one transaction.

use sqlx::postgres::PgRow;

use crate::engine::database::{Execution, Observation};
use crate::engine::error::DatabaseError;
use crate::engine::step::{Finished, StepAction, StepObservation, StepRequest};
use crate::migration::begun::EntryState;
use crate::migration::evidence::Evidence;
use crate::migration::part::{Part, Rest};
use crate::migration::statement::Statement;

use super::audit::{self, Entry};
use super::closing::Closing;
use super::connection::Postgres;
use super::execute::{Committed, Transaction, not_prepared, recorded};
use super::quote::literal;
use super::{error, journal, outside, query, record, session};

/// How often own statements are sent again that a late cancellation hit: it was meant for the script.
pub(super) const CANCELLED_RETRIES: usize = 3;

/// Does one step.
pub async fn perform(
    database: &mut Postgres,
    request: &StepRequest,
) -> Result<Observation, DatabaseError> {
    let execution = &*request.execution;
    match &request.action {
        StepAction::Run(part) => run(database, execution, part).await,
        StepAction::Start(part) => {
            let evidence = match outside::look(database, execution, part).await? {
                Ok(evidence) => evidence,
                Err(failed) => return Ok(failed),
            };
            start(database, execution, part, &evidence).await?;
            Ok(Observation::Step(StepObservation::Evidence(evidence)))
        }
        StepAction::Execute(part) => outside::execute(database, execution, part).await,
        StepAction::Look(part) => Ok(match outside::look(database, execution, part).await? {
            Ok(evidence) => Observation::Step(StepObservation::Evidence(evidence)),
            Err(failed) => failed,
        }),
        StepAction::Repair(part, repair) => {
            outside::repair(database, execution, part, repair).await
        }
        StepAction::Finish(part, finished) => finish(database, execution, part, finished).await,
        StepAction::Withdraw(part) => {
            let statement = journal::withdraw(&database.settings.ledger, execution, part);
            database.keep(vec![statement]).await.map(|_| journaled())
        }
        StepAction::NoteEscape(part) => {
            let ledger = &database.settings.ledger;
            let statement =
                journal::insert(ledger, execution, part, EntryState::Escaped, None, "NULL")?;
            database.keep(vec![statement]).await.map(|_| journaled())
        }
        StepAction::Record(rest) => record_version(database, execution, rest).await,
    }
}

fn journaled() -> Observation {
    Observation::Step(StepObservation::Journaled)
}

/// A transactional part, and its row.
async fn run(
    database: &mut Postgres,
    execution: &Execution,
    part: &Part,
) -> Result<Observation, DatabaseError> {
    database.go_on()?;
    let row = journal::insert(
        &database.settings.ledger,
        execution,
        part,
        EntryState::Done,
        None,
        record::MILLISECONDS,
    )?;
    let transaction = Transaction {
        fence: None,
        is_prepared: false,
        is_part: true,
        said_first: execution.script.settings_before(part.statements.start),
        statements: part.statements.clone(),
        closing: Closing::Said(vec![row]),
    };
    Ok(match transaction.run(database, execution).await? {
        Committed::Yes(_) => journaled(),
        Committed::No(observation) => observation,
        Committed::Deallocated => return Err(not_prepared()),
    })
}

async fn start(
    database: &mut Postgres,
    execution: &Execution,
    part: &Part,
    before: &Evidence,
) -> Result<(), DatabaseError> {
    database.go_on()?;
    let row = journal::insert(
        &database.settings.ledger,
        execution,
        part,
        EntryState::Started,
        Some(before),
        "NULL",
    )?;
    database.keep(vec![row]).await.map(|_| ())
}

/// The statement is done. What a later run proved goes to the audit, because nobody saw it happen.
async fn finish(
    database: &mut Postgres,
    execution: &Execution,
    part: &Part,
    finished: &Finished,
) -> Result<Observation, DatabaseError> {
    let ledger = &database.settings.ledger;
    let statements = match finished {
        Finished::Executed { began } => vec![journal::finish(
            ledger,
            execution,
            part,
            &format!(
                "((EXTRACT(epoch FROM pg_catalog.clock_timestamp()) - {}::pg_catalog.numeric) * 1000)\
                 ::pg_catalog.int8",
                literal(began)
            ),
        )],
        Finished::Proved => vec![
            journal::finish(ledger, execution, part, "NULL"),
            audited(
                database,
                execution,
                "prove",
                &format!("statement {} was found done in the catalog", part.first),
            ),
        ],
    };
    database.keep(statements).await.map(|_| journaled())
}

/// The rest of the script, the version's record, and the end of its journal rows, in one transaction.
async fn record_version(
    database: &mut Postgres,
    execution: &Execution,
    rest: &Rest,
) -> Result<Observation, DatabaseError> {
    let script = &execution.script;
    let own_records = rest.own_records.iter();
    let own_records = own_records.filter_map(|place| script.statements().get(*place));
    let said_first: Vec<&Statement> = script
        .settings_before(rest.statements.start)
        .into_iter()
        .chain(own_records)
        .collect();
    // With nothing of the script left there is nothing that a cancellation is meant for.
    let mut retries = if rest.statements.is_empty() {
        CANCELLED_RETRIES
    } else {
        database.go_on()?;
        0
    };
    loop {
        let ledger = &database.settings.ledger;
        let milliseconds = journal::milliseconds(ledger, execution, record::MILLISECONDS);
        let mut closing = record::statements(ledger, execution, &milliseconds)?;
        closing.push(journal::clear(ledger, execution));
        let transaction = Transaction {
            fence: None,
            is_prepared: false,
            is_part: true,
            said_first: said_first.clone(),
            statements: rest.statements.clone(),
            closing: Closing::Said(closing),
        };
        return match transaction.run(database, execution).await {
            Err(error) if retries > 0 && error::is_cancellation(&error) => {
                retries -= 1;
                continue;
            }
            Err(error) => Err(error),
            Ok(Committed::No(observation)) => Ok(observation),
            Ok(Committed::Deallocated) => Err(not_prepared()),
            Ok(Committed::Yes(row)) => recorded(row.as_ref()),
        };
    }
}

/// A row of the audit about a version under way.
pub(super) fn audited(
    database: &Postgres,
    execution: &Execution,
    action: &str,
    detail: &str,
) -> String {
    audit::append(
        &database.settings.ledger,
        &Entry {
            action,
            version: Some(execution.version.as_str()),
            detail,
            checksum: None,
            actor: &execution.actor,
            execution_time_ms: "NULL",
        },
    )
}

impl Postgres {
    /// Runs own statements in a transaction under the lock. A cancellation that comes now is too late for the
    /// script, so it must not stop what is kept of it.
    pub(super) async fn keep(
        &mut self,
        statements: Vec<String>,
    ) -> Result<Option<PgRow>, DatabaseError> {
        let mut all = self.startup.begin_fenced().to_vec();
        all.extend(self.startup.as_it_began());
        all.push(session::OWN_SEARCH_PATH.to_owned());
        all.extend(statements);
        all.push("COMMIT".to_owned());
        self.despite_cancelling(&all.join(";\n"), true).await
    }

    /// As [`Postgres::own`], and again when a cancellation hit it.
    pub(super) async fn own_despite_cancelling(
        &mut self,
        sql: &str,
    ) -> Result<Option<PgRow>, DatabaseError> {
        self.despite_cancelling(sql, false).await
    }

    async fn despite_cancelling(
        &mut self,
        sql: &str,
        is_fenced: bool,
    ) -> Result<Option<PgRow>, DatabaseError> {
        let mut retries = CANCELLED_RETRIES;
        loop {
            let ended = if is_fenced {
                self.own_fenced(sql.to_owned()).await
            } else {
                self.own(sql.to_owned()).await
            };
            match ended {
                Err(error) if retries > 0 && error::is_cancellation(&error) => retries -= 1,
                ended => return ended,
            }
        }
    }

    /// Nothing of the script begins once the run was cancelled.
    pub(super) fn go_on(&self) -> Result<(), DatabaseError> {
        if self.is_cancelled() {
            Err(error::cancelled())
        } else {
            Ok(())
        }
    }

    /// Sends statements of a script's session: ours that make it new, the script's own settings before
    /// `place`, and `last`. Outside of a transaction, so that the settings stay. `Err`: a setting failed.
    pub(super) async fn say(
        &mut self,
        execution: &Execution,
        place: usize,
        last: &[String],
    ) -> Result<Result<Option<PgRow>, Observation>, DatabaseError> {
        let mut own = self.startup.again();
        own.push(session::OWN_SEARCH_PATH_OF_SESSION.to_owned());
        own.push(session::lock_check());
        own.extend(session::script_settings(
            &self.settings,
            session::Scope::Session,
        ));
        let settings = execution.script.settings_before(place);
        let texts = settings.iter().map(|setting| {
            // A line of its own: a setting may end in a comment.
            format!("{}\n", execution.script.text_of(setting))
        });
        let sql: Vec<String> = own
            .iter()
            .cloned()
            .chain(texts)
            .chain(last.iter().cloned())
            .collect();
        let answer = query::send(&mut self.connection, sql.join(";\n")).await;
        let Some(cause) = &answer.error else {
            return Ok(Ok(answer.last_row));
        };
        let failed = answer
            .completed
            .checked_sub(own.len())
            .and_then(|number| settings.get(number));
        let ended = match failed {
            Some(setting) => outside::judge(self, execution, setting, 0, cause).map(Err),
            None => Err(self.explain(cause)),
        };
        self.roll_back().await;
        ended
    }
}
