//! The statements around a script, prepared once a session.
//!
//! Every version is fenced and recorded by the same statements. To parse and plan them anew was more than half of
//! what a version cost the server besides its script. `PREPARE` and `EXECUTE` are SQL, so all of it still goes
//! in the version's own Query, and the first version's carries the `PREPARE`s, behind its script.

use uuid::Uuid;

use crate::engine::database::Execution;
use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;
use crate::migration::file_name::Direction;

use super::record::{self, Began, CONSTRAINTS, Checked, MILLISECONDS, Packed, Values};
use super::startup::Startup;

/// Statements of one direction for one session.
#[derive(Debug, Clone)]
pub struct Prepared {
    direction: Direction,
    fences: Statement,
    writes: Statement,
    checks: Statement,
    /// Whether the session has these three.
    is_sent: bool,
}

#[derive(Debug, Clone)]
struct Statement {
    /// With a random part, so that no script prepares or deallocates one by chance.
    name: String,
    /// Of its parameters, in parentheses if there are any.
    types: &'static str,
    sql: String,
}

impl Prepared {
    fn new(direction: Direction, ledger: &Ledger, startup: &Startup) -> Self {
        let random = Uuid::new_v4().simple();
        let named = |what: &str, types, sql| Statement {
            name: format!("schemaward_{what}_{random}"),
            types,
            sql,
        };
        let (values, of_values) = values(direction);
        let (checked, of_checked) = checked(direction);
        let write = record::write(ledger, &values, MILLISECONDS);
        let check = record::check(ledger, &checked, MILLISECONDS);
        Self {
            direction,
            fences: named("fence", "", startup.fence()),
            writes: named("write", of_values, write),
            checks: named("check", of_checked, check),
            is_sent: false,
        }
    }

    /// What records `execution`: what the session has, where that is for its direction.
    pub fn serving(
        known: Option<Self>,
        execution: &Execution,
        ledger: &Ledger,
        startup: &Startup,
    ) -> Self {
        let direction = execution.record.direction();
        known
            .filter(|known| known.direction == direction)
            .unwrap_or_else(|| Self::new(direction, ledger, startup))
    }

    /// The session has them.
    pub fn sent(&mut self) {
        self.is_sent = true;
    }

    /// What checks the session and takes the lock for the transaction of the version at this place of its Query, if it is prepared by
    /// then; see [`Startup::fence`].
    pub fn fence(&self, place: usize) -> Option<String> {
        (self.is_sent || place > 0).then(|| self.fences.execute(&[]))
    }

    /// What records `execution` in its transaction, after the script; the last statement answers as that of
    /// [`record::statements`]. `place` is that of the version in its Query: what the session has not prepared yet the first
    /// one does. What is prepared outlives a rollback, and stands under the `search_path` that it is executed under: with another
    /// one the server would resolve the operators again.
    pub fn record(
        &self,
        execution: &Execution,
        place: usize,
    ) -> Result<Vec<String>, DatabaseError> {
        let follows = place > 0;
        let mut all = Vec::with_capacity(8);
        if !self.is_sent && !follows {
            let statements = [&self.fences, &self.writes, &self.checks];
            all.extend(statements.map(Statement::prepare));
        }
        all.extend(PLANNING.map(str::to_owned));
        let values = given_values(Values::of(execution)?, follows);
        all.push(self.writes.execute(&values));
        all.push(CONSTRAINTS.to_owned());
        let checked = given_checked(Checked::of(execution), follows);
        all.push(self.checks.execute(&checked));
        Ok(all)
    }
}

impl Statement {
    fn prepare(&self) -> String {
        format!("PREPARE {}{} AS {}", self.name, self.types, self.sql)
    }

    fn execute(&self, parameters: &[String]) -> String {
        if parameters.is_empty() {
            return format!("EXECUTE {}", self.name);
        }
        format!("EXECUTE {} ({})", self.name, parameters.join(", "))
    }
}

/// Without the first, the server would plan the first five executions for their values, which have nothing to say
/// here. A plan is made while the tables are empty, and then kept: one that reads a whole table would take longer
/// with every version. Where there is no index it has to, and costs so much on paper that the server would compile
/// it first.
const PLANNING: [&str; 3] = [
    "SET LOCAL plan_cache_mode TO force_generic_plan",
    "SET LOCAL enable_seqscan TO off",
    "SET LOCAL jit TO off",
];

/// The parameters of what writes, and their types, in the order of [`given_values`].
fn values(direction: Direction) -> (Values, &'static str) {
    let [version, name, actor, up_checksum, up, down_checksum, down] =
        ["$1", "$2", "$3", "$4", "$5", "$6", "$7"].map(str::to_owned);
    let (texts, began, types) = match direction {
        Direction::Up => (
            Some(Packed {
                up_checksum,
                up,
                down_checksum,
                down,
            }),
            Began::Behind("$8".to_owned()),
            "(text, text, text, text, bytea, text, bytea, boolean)",
        ),
        Direction::Down => (None, Began::WithTransaction, "(text, text, text)"),
    };
    let values = Values {
        version,
        name,
        actor,
        texts,
        began,
    };
    (values, types)
}

fn given_values(values: Values, follows: bool) -> Vec<String> {
    let mut all = vec![values.version, values.name, values.actor];
    if let Some(texts) = values.texts {
        all.extend([texts.up_checksum, texts.up, texts.down_checksum, texts.down]);
        all.push(follows.to_string());
    }
    all
}

/// The parameters of what checks, and their types, in the order of [`given_checked`].
fn checked(direction: Direction) -> (Checked, &'static str) {
    let (checksum, began, types) = match direction {
        Direction::Up => (
            Some("$4".to_owned()),
            Began::Behind("$5".to_owned()),
            "(text, text[], boolean, text, boolean)",
        ),
        Direction::Down => (None, Began::WithTransaction, "(text, text[], boolean)"),
    };
    let checked = Checked {
        version: "$1".to_owned(),
        spellings: "$2".to_owned(),
        checksum,
        may_flush_later: "$3".to_owned(),
        began,
    };
    (checked, types)
}

fn given_checked(checked: Checked, follows: bool) -> Vec<String> {
    let mut all = vec![checked.version, checked.spellings, checked.may_flush_later];
    if let Some(checksum) = checked.checksum {
        all.extend([checksum, follows.to_string()]);
    }
    all
}
