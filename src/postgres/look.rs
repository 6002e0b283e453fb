//! One look at the database: two queries that write nothing.

use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::engine::database::Inspection;
use crate::engine::error::DatabaseError;

use super::connection::Postgres;
use super::facts::Facts;
use super::facts::read::Answers;
use super::fields::flag;
use super::flushed::Unflushed;
use super::history::{self, Content};
use super::steps::CANCELLED_RETRIES;
use super::{error, facts_query, journal, pooler, query, session};

impl Postgres {
    /// The facts of a look, unjudged.
    pub(super) async fn look_at_facts(&mut self) -> Result<Facts, DatabaseError> {
        let questions = facts_query::questions(&self.settings);
        let (about, queries): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
        let answers = self
            .read_rows(&queries, |answers: &mut Answers, number, row| {
                answers.take(about[number], row)
            })
            .await?;
        answers.facts(&self.settings)
    }

    /// What the engine decides from. Nothing of it goes with a crash of the server.
    pub(super) async fn inspect(&mut self) -> Result<Inspection, DatabaseError> {
        let (inspection, unflushed) = self.look().await?;
        if let Some(unflushed) = unflushed {
            self.wait_for_disk(&unflushed).await?;
        }
        Ok(inspection)
    }

    /// The same after a commit of ours that was flushed, with what may not have been before it: nobody else commits
    /// while we have the lock.
    pub(super) async fn look(&mut self) -> Result<(Inspection, Option<Unflushed>), DatabaseError> {
        let facts = self.look_at_facts().await?;
        if self.session.get().is_none() {
            facts
                .session
                .judge(&self.settings, self.dialled.elapsed())?;
        }
        self.session.get_or_init(|| facts.session.clone());
        self.startup.meets(facts.version_number);
        facts.judge(&self.settings.ledger)?;
        facts.judge_reading(&self.settings)?;
        let content = self.content(&facts).await?;
        let installation = content.installation()?;
        if installation.is_some_and(|found| !found.is_outdated) && !facts.journal_exists {
            return Err(journal::missing());
        }
        let inspection = Inspection {
            server: facts.server(),
            server_seen: content.server()?,
            ledger_exists: facts.ledger_exists,
            limits: facts.limits(),
            installation,
            claim: content.claim()?,
            history: content.history()?,
            missing_grants: facts.missing_grants(&self.settings),
            privileges: facts.privileges(),
        };
        self.facts = Some(facts);
        Ok((inspection, content.unflushed()?))
    }

    /// What stands in the tables, and which server it is. On a database without tables the latter is asked for under
    /// the lock alone, where it is about to be written down: most looks at such a one take one query.
    async fn content(&mut self, facts: &Facts) -> Result<Content, DatabaseError> {
        let has_tables = facts.ledger_exists || facts.installed;
        let reads_server = facts.may_read_server_identity && (has_tables || self.is_locked);
        match self.ask_for_content(facts, reads_server).await {
            Err(error) if reads_server && error::is_untold(&error) => {
                self.ask_for_content(facts, false).await
            }
            asked => asked,
        }
    }

    async fn ask_for_content(
        &mut self,
        facts: &Facts,
        reads_server: bool,
    ) -> Result<Content, DatabaseError> {
        let questions = history::questions(facts, &self.settings.ledger, reads_server);
        let (about, queries): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
        self.read_rows(&queries, |content: &mut Content, number, row| {
            content.take(about[number], row);
            Ok(())
        })
        .await
    }

    /// Runs read-only queries on one snapshot, again when a cancellation hit them, and gives what `take` makes of all
    /// their rows, each with the number of its query.
    async fn read_rows<T: Default>(
        &mut self,
        queries: &[String],
        take: impl Fn(&mut T, usize, PgRow) -> Result<(), DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let mut retries = CANCELLED_RETRIES;
        loop {
            let mut all = T::default();
            let asked = self.read_each(queries, |number, row| take(&mut all, number, row));
            match asked.await {
                Err(error) if retries > 0 && error::is_cancellation(&error) => retries -= 1,
                asked => return asked.map(|()| all),
            }
        }
    }

    /// Runs read-only queries on one snapshot, and hands over each of their rows with the number of its query.
    pub(super) async fn read_each(
        &mut self,
        queries: &[String],
        mut take: impl FnMut(usize, PgRow) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        if queries.is_empty() {
            return Ok(());
        }
        let question = self.startup.question();
        // The transaction's one snapshot is taken by its first query, so it begins before the session is asked for. The
        // question answers a row for another session and does not fail: a failure leaves the transaction open, and a
        // pooler that allows no transactions then answers with its own error in place of ours.
        let before = [
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            session::OWN_SEARCH_PATH,
            &question,
        ];
        let queries = queries.iter().map(String::as_str);
        let all = before.into_iter().chain(queries).chain(["COMMIT"]);
        let sql = all.collect::<Vec<_>>().join("; ");
        let (mut is_ours, mut taken) = (Ok(true), Ok(()));
        let asked = query::each_row(&mut self.connection, sql, |statement, row| match statement
            .checked_sub(before.len())
        {
            None => is_ours = flag(&row, 0),
            Some(number) if taken.is_ok() => taken = take(number, row),
            Some(_) => {}
        });
        let asked = asked.await.map_err(|cause| self.explain(&cause));
        if asked.is_err() {
            self.roll_back().await;
        }
        if !is_ours? {
            return Err(pooler::another_session(&self.settings));
        }
        asked.and(taken)
    }

    /// Runs one read-only query that answers one JSON document.
    pub(super) async fn read_json<T: DeserializeOwned>(
        &mut self,
        sql: String,
    ) -> Result<T, DatabaseError> {
        self.read_json_after(&[], sql).await
    }

    /// The same, with other statements before it in its transaction.
    pub(super) async fn read_json_after<T: DeserializeOwned>(
        &mut self,
        before: &[String],
        sql: String,
    ) -> Result<T, DatabaseError> {
        json(&self.read_row(before, sql).await?, 0)
    }

    /// Runs one read-only query that answers one row, with other statements before it in its transaction.
    async fn read_row(&mut self, before: &[String], sql: String) -> Result<PgRow, DatabaseError> {
        let begin = ["BEGIN READ ONLY"].into_iter();
        let all = begin.chain(before.iter().map(String::as_str));
        let all = all.chain([session::OWN_SEARCH_PATH, &sql, "COMMIT"]);
        let sql = all.collect::<Vec<_>>().join("; ");
        self.own_despite_cancelling(&sql)
            .await?
            .ok_or_else(|| error::internal("no answer to a look at the catalog"))
    }
}

/// A JSON document of an answer.
pub(super) fn json<T, I>(row: &PgRow, index: I) -> Result<T, DatabaseError>
where
    T: DeserializeOwned,
    I: sqlx::ColumnIndex<PgRow>,
{
    let value = row.try_get_raw(index);
    let text = value
        .ok()
        .and_then(|value| value.as_str().ok())
        .ok_or_else(|| error::internal("a look at the catalog was answered by no document"))?;
    serde_json::from_str(text).map_err(|cause| {
        error::internal(&format!(
            "a look at the catalog cannot be read, {:?} at line {}",
            cause.classify(),
            cause.line()
        ))
    })
}
