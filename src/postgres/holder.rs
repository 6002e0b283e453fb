//! Who holds the migration lock, and whom that waits for: the session that a person may have to end is at the end of
//! the chain, and seldom the run itself.

use serde_json::from_str;
use sqlx::postgres::PgRow;

use crate::engine::database::{Blocker, Holder};
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::sessions::LockOwner;

use super::activity::{self, Seen, WAITING};
use super::connection::{Postgres, column};
use super::fields::given;
use super::{error, sanitize, session};

/// So many sessions that wait for each other are followed.
const MOST_LINKS: usize = 5;

impl Postgres {
    /// Who holds the migration lock, and whom it waits for as far as our role may see that.
    pub(super) async fn lock_holder(&mut self) -> Result<Option<Holder>, DatabaseError> {
        let Some(row) = self.own(session::lock_holder()).await? else {
            return Ok(None);
        };
        let mut holder = holder(&row)?;
        if column(&row, "may_wait")? {
            holder.waits_for = self.chain(holder.pid).await?;
        }
        Ok(Some(holder))
    }

    /// What `pid` waits for, what that waits for, and so on.
    async fn chain(&mut self, pid: i32) -> Result<Vec<Vec<Blocker>>, DatabaseError> {
        let mut followed = vec![pid];
        let mut chain = Vec::new();
        while let Some(last) = followed.last().filter(|_| chain.len() < MOST_LINKS) {
            let blockers = self.blockers(*last).await?;
            let next = blockers.first().and_then(waiting);
            if blockers.is_empty() {
                break;
            }
            chain.push(blockers);
            match next {
                Some(next) if !followed.contains(&next) => followed.push(next),
                Some(_) | None => break,
            }
        }
        Ok(chain)
    }

    /// What `pid` waits for; nothing where the role may not ask, because the message does without.
    async fn blockers(&mut self, pid: i32) -> Result<Vec<Blocker>, DatabaseError> {
        match self.own(activity::query_of(pid)).await {
            Ok(Some(row)) => {
                let seen = from_str::<Seen>(given(&row, 0)?);
                let seen = seen.map_err(|_| {
                    error::internal("whom a session waits for was answered by no document")
                })?;
                Ok(seen.waits_for())
            }
            Ok(None) => Ok(Vec::new()),
            Err(error) if error.kind == DatabaseErrorKind::PermissionDenied => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// The process id of a session that waits itself, or may: our role may not see what others do.
fn waiting(blocker: &Blocker) -> Option<i32> {
    match &blocker.owner {
        LockOwner::Session { pid, state, .. } => {
            let may_wait = state.as_ref().is_none_or(|state| state == WAITING);
            may_wait.then_some(*pid)
        }
        LockOwner::PreparedTransaction { .. } => None,
    }
}

/// The row of [`session::lock_holder`].
fn holder(row: &PgRow) -> Result<Holder, DatabaseError> {
    let state: Option<String> = column(row, "state")?;
    let state_seconds: Option<i64> = column(row, "state_seconds")?;
    Ok(Holder {
        pid: column(row, "pid")?,
        application_name: sanitize::name(&column::<String, _>(row, "application_name")?),
        user: sanitize::name(&column::<String, _>(row, "role")?),
        connected_seconds: column(row, "connected_seconds")?,
        state: state.zip(state_seconds),
        is_same_identity: column(row, "is_same_identity")?,
        waits_for: Vec::new(),
    })
}
