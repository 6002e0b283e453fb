//! Sending simple Query messages and reading their answers.

use either::Either;
use futures::TryStreamExt;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Executor, raw_sql};

/// How far one simple Query came.
pub struct Answer {
    /// Statements that the server completed.
    pub completed: usize,
    /// The last row that it sent; earlier ones are read and dropped, so memory stays bounded.
    pub last_row: Option<PgRow>,
    /// Statements that were completed before that row came.
    completed_before_row: usize,
    /// The error that ended it.
    pub error: Option<sqlx::Error>,
}

/// Sends `sql`, one or more statements, as one simple Query message.
///
/// `sql` is composed in this module's siblings from quoted parts and the user's own scripts.
pub async fn send(connection: &mut PgConnection, sql: String) -> Answer {
    let (mut last_row, mut completed_before_row) = (None, 0);
    let (completed, error) = rows(connection, sql, |completed, row| {
        (last_row, completed_before_row) = (Some(row), completed);
    })
    .await;
    Answer {
        completed,
        last_row,
        completed_before_row,
        error,
    }
}

/// Sends `sql` as one simple Query message, and hands over each row with the number of its statement, from 0. How many statements the
/// server completed, and the error that ended it.
pub async fn rows(
    connection: &mut PgConnection,
    sql: String,
    mut take: impl FnMut(usize, PgRow),
) -> (usize, Option<sqlx::Error>) {
    let mut completed = 0;
    let mut stream = connection.fetch_many(raw_sql(AssertSqlSafe(sql)));
    loop {
        match stream.try_next().await {
            Ok(Some(Either::Left(_))) => completed += 1,
            Ok(Some(Either::Right(row))) => take(completed, row),
            Ok(None) => return (completed, None),
            Err(error) => return (completed, Some(error)),
        }
    }
}

/// Sends own statements, and hands over each row with the number of its statement, from 0.
pub async fn each_row(
    connection: &mut PgConnection,
    sql: String,
    take: impl FnMut(usize, PgRow),
) -> Result<(), sqlx::Error> {
    match rows(connection, sql, take).await {
        (_, None) => Ok(()),
        (_, Some(error)) => Err(error),
    }
}

/// Sends own statements of which the last row is the answer.
pub async fn last_row(
    connection: &mut PgConnection,
    sql: String,
) -> Result<Option<PgRow>, sqlx::Error> {
    let answer = send(connection, sql).await;
    match answer.error {
        Some(error) => Err(error),
        None => Ok(answer.last_row),
    }
}

/// As [`last_row`], of `sql` alone: `first` is one statement that stands before it, and what that answers
/// does not count.
pub async fn last_row_after(
    connection: &mut PgConnection,
    first: &str,
    sql: &str,
) -> Result<Option<PgRow>, sqlx::Error> {
    let answer = send(connection, format!("{first}; {sql}")).await;
    match answer.error {
        Some(error) => Err(error),
        None => Ok(answer.last_row.filter(|_| answer.completed_before_row > 0)),
    }
}
