//! What of ours stands behind a script.

use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::engine::database::Execution;
use crate::engine::error::DatabaseError;

use super::connection::Postgres;
use super::execute::LARGEST_QUERY;
use super::startup::Startup;
use super::{error, record};

/// Own statements that follow the last one of a script.
pub enum Closing {
    /// They are known.
    Said(Vec<String>),
    /// They are being made.
    Made(JoinHandle<Result<Vec<String>, DatabaseError>>),
}

impl Closing {
    /// The statements that `make` makes for `execution`. A long script is packed for its record on another thread, while
    /// the server works on what is sent of it first: that is a good part of a second for 50 MB.
    pub fn made_by(
        make: impl FnOnce(&Execution) -> Result<Vec<String>, DatabaseError> + Send + 'static,
        execution: &Arc<Execution>,
    ) -> Result<Self, DatabaseError> {
        if execution.script.text().len() <= LARGEST_QUERY {
            return make(execution).map(Self::Said);
        }
        let execution = Arc::clone(execution);
        Ok(Self::Made(spawn_blocking(move || make(&execution))))
    }

    /// Everything behind the script, with these statements in it. Where they cannot be made nothing of the script stays.
    pub async fn behind_script(
        self,
        database: &mut Postgres,
        guard: &str,
    ) -> Result<Vec<String>, DatabaseError> {
        match self.statements().await {
            Ok(own) => Ok(around(own, &database.startup, guard)),
            Err(error) => {
                database.roll_back().await;
                Err(error)
            }
        }
    }

    async fn statements(self) -> Result<Vec<String>, DatabaseError> {
        match self {
            Self::Said(statements) => Ok(statements),
            Self::Made(making) => making.await.unwrap_or_else(|_| {
                Err(error::internal(
                    "the record of a script was not made; its transaction was rolled back",
                ))
            }),
        }
    }
}

/// The first of these statements still belongs to the script. Releasing the guard fails when the script ended our
/// transaction.
pub(super) fn around(own: Vec<String>, startup: &Startup, guard: &str) -> Vec<String> {
    // First, under the script's own settings: what waits for the end of the transaction is the script's.
    let mut statements = vec![record::CONSTRAINTS.to_owned()];
    statements.push(format!("RELEASE SAVEPOINT {guard}"));
    statements.extend(startup.after_script());
    statements.extend(own);
    statements.push("COMMIT".to_owned());
    statements
}
