//! One statement that cannot run inside a transaction: before it, itself, and what it left.

use crate::engine::database::{Execution, Observation};
use crate::engine::error::{DatabaseError, ScriptFailure};
use crate::engine::step::StepObservation;
use crate::migration::evidence::{Evidence, IndexSeen, Repair};
use crate::migration::part::Part;
use crate::migration::statement::Statement;
use crate::migration::subject::Subject;

use super::connection::{Postgres, column};
use super::envelope::failure;
use super::{error, journal, probe, query, sanitize, session, steps};

/// The statement of a part, and what it acts on.
fn statement<'e>(
    execution: &'e Execution,
    part: &Part,
) -> Result<(&'e Statement, Subject), DatabaseError> {
    let found = execution.script.outside(part);
    found.ok_or_else(|| error::internal("a part has no statement of its own"))
}

/// What the catalog shows of what the statement acts on. `Err`: a setting of the script failed.
pub async fn look(
    database: &mut Postgres,
    execution: &Execution,
    part: &Part,
) -> Result<Result<Evidence, Observation>, DatabaseError> {
    let (_, subject) = statement(execution, part)?;
    let names = probe::names(&subject);
    let mut oids = Vec::with_capacity(names.len());
    if !names.is_empty() {
        let resolve = probe::resolve(&names);
        let row = match database
            .say(execution, part.statements.start, &[resolve])
            .await?
        {
            Ok(row) => row.ok_or_else(|| error::internal("names were not resolved"))?,
            Err(failed) => return Ok(Err(failed)),
        };
        for number in 0..names.len() {
            oids.push(column::<Option<String>, _>(&row, number)?);
        }
    }
    let ledger = &database.settings.ledger;
    let known = journal::known_indexes(ledger, execution, part);
    match probe::query(&subject, &oids, &known) {
        None => Ok(Ok(Evidence::Nothing)),
        Some(sql) => {
            let again = database.startup.again().join("; ");
            database.own_despite_cancelling(&again).await?;
            database.read_json(sql).await.map(Ok)
        }
    }
}

/// Runs the statement by itself.
pub async fn execute(
    database: &mut Postgres,
    execution: &Execution,
    part: &Part,
) -> Result<Observation, DatabaseError> {
    database.go_on()?;
    let (statement, _) = statement(execution, part)?;
    let clock =
        "SELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp())::pg_catalog.text".to_owned();
    let began: String = match database
        .say(execution, part.statements.start, &[clock])
        .await?
    {
        Ok(Some(row)) => column(&row, 0)?,
        Ok(None) => return Err(error::internal("the server does not tell the time")),
        Err(failed) => return Ok(failed),
    };
    let text = execution.script.text_of(statement).to_owned();
    let answer = query::send(&mut database.connection, text).await;
    match answer.error {
        None => Ok(Observation::Step(StepObservation::Executed { began })),
        Some(cause) => {
            let before = execution.script.text()[..statement.range.start]
                .chars()
                .count();
            judge(database, execution, statement, before, &cause)
        }
    }
}

/// Puts right one thing that the statement left.
pub async fn repair(
    database: &mut Postgres,
    execution: &Execution,
    part: &Part,
    repair: &Repair,
) -> Result<Observation, DatabaseError> {
    database.go_on()?;
    let (statement, subject) = statement(execution, part)?;
    let done = match repair {
        Repair::DropIndex(index) => match drop_index(database, execution, part, index).await? {
            Dropping::Dropped => Some(repair.clone()),
            Dropping::NotNeeded => None,
            Dropping::Ended(ended) => return Ok(ended),
        },
        Repair::FinishDetach => {
            let sql = probe::finish_detach(&subject)
                .ok_or_else(|| error::internal("there is nothing to detach"))?;
            let mend = Mend {
                sql,
                detail: format!("statement {}: finished the detaching", statement.number),
            };
            if let Some(ended) = mend.run(database, execution, part).await? {
                return Ok(ended);
            }
            Some(repair.clone())
        }
    };
    Ok(Observation::Step(StepObservation::Repaired(done)))
}

/// What came of an invalid index that was to be dropped.
enum Dropping {
    /// It is dropped, and the audit says so.
    Dropped,
    /// It was gone, or valid, already.
    NotNeeded,
    /// It could not be done.
    Ended(Observation),
}

/// Drops one index if it is there and still invalid.
async fn drop_index(
    database: &mut Postgres,
    execution: &Execution,
    part: &Part,
    index: &IndexSeen,
) -> Result<Dropping, DatabaseError> {
    let sql = format!(
        "BEGIN READ ONLY; {}; {}; COMMIT",
        session::OWN_SEARCH_PATH,
        probe::leftover(index.oid)
    );
    let Some(row) = database.own_despite_cancelling(&sql).await? else {
        return Ok(Dropping::NotNeeded);
    };
    if column::<bool, _>(&row, 1)? {
        return Ok(Dropping::Ended(Observation::LockNotAvailable(Vec::new())));
    }
    let name: String = column(&row, 0)?;
    let mend = Mend {
        sql: format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"),
        detail: format!("statement {}: dropped INVALID index {name}", part.first),
    };
    let ended = mend.run(database, execution, part).await?;
    Ok(ended.map_or(Dropping::Dropped, Dropping::Ended))
}

/// One statement that puts something right, and what the audit says about it.
struct Mend {
    sql: String,
    detail: String,
}

impl Mend {
    /// Runs it with the rights of the script, under our own time limits; `Some`: it could not be done.
    async fn run(
        self,
        database: &mut Postgres,
        execution: &Execution,
        part: &Part,
    ) -> Result<Option<Observation>, DatabaseError> {
        let limits = [
            // Not RESET: behind a pooler the session began with the server's own.
            format!(
                "SET lock_timeout TO {}",
                database.settings.lock_timeout.as_millis()
            ),
            "SET statement_timeout TO 0".to_owned(),
        ];
        let (statement, _) = statement(execution, part)?;
        if let Err(failed) = database
            .say(execution, part.statements.start, &limits)
            .await?
        {
            return Ok(Some(failed));
        }
        let answer = query::send(&mut database.connection, self.sql.clone()).await;
        if let Some(cause) = answer.error {
            let observation = judge(database, execution, statement, 0, &cause)?;
            return Ok(Some(match observation {
                Observation::Failed(failure) => Observation::Failed(ScriptFailure {
                    message: format!("what it left could not be put right: {}", failure.message),
                    position: Some(statement.position),
                    by_hand: Some(format!("{};", self.sql)),
                    ..failure
                }),
                other => other,
            }));
        }
        let row = steps::audited(database, execution, "repair", &self.detail);
        database.keep(vec![row]).await.map(|_| None)
    }
}

/// What an error of a statement outside of a transaction means. `before` is how many characters of the script
/// stand before it.
pub fn judge(
    database: &Postgres,
    execution: &Execution,
    statement: &Statement,
    before: usize,
    cause: &sqlx::Error,
) -> Result<Observation, DatabaseError> {
    let Some(server) = error::server_error(cause) else {
        return Err(database.lost());
    };
    let code = server.code();
    if database.is_cancelled() && code == error::QUERY_CANCELED {
        return Err(error::cancelled_outside());
    }
    if error::is_lock_trouble(code) {
        return Ok(Observation::LockNotAvailable(Vec::new()));
    }
    if error::is_about_the_environment(server, true) {
        return Err(database.explain(cause));
    }
    let position = match server.position() {
        Some(sqlx::postgres::PgErrorPosition::Original(position)) if before > 0 => {
            execution.script.position_of_char(before + position)
        }
        _ => statement.position,
    };
    Ok(Observation::Failed(failure(
        execution,
        error::script_failure_kind(
            code,
            server.hint(),
            !database.settings.statement_timeout.is_zero(),
        ),
        Some(statement),
        Some(position),
        Some(code),
        sanitize::message(code, server.message()),
        true,
    )))
}
