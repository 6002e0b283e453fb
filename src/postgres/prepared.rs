//! The statements of the record, prepared once a session.
//!
//! Every version is recorded by the same statements. To parse and plan them anew was more than half of
//! what a version cost the server besides its script. `PREPARE` and `EXECUTE` are SQL, so all of it still goes
//! in the version's own Query, and the first version's carries the `PREPARE`s, behind its script.
//!
//! There are two records: the [whole one](record), and from the second version on a [short one](short_record) for
//! those whose script leaves the history alone.

use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::engine::database::Execution;
use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;
use crate::migration::file_name::Direction;

use super::record::{self, Also, CONSTRAINTS, Checked, MILLISECONDS, Packed, Values};
use super::short_record::{self, Behind};

/// Statements of one direction for one session.
#[derive(Debug, Clone)]
pub struct Prepared {
    direction: Direction,
    writes: Statement,
    checks: Statement,
    /// Whether the session has these two.
    is_sent: bool,
    /// The short record, for a way up.
    short: Option<Short>,
}

#[derive(Debug, Clone)]
struct Short {
    statement: Statement,
    /// Whether the session has it.
    is_sent: bool,
    /// What the last record left, for the next one.
    behind: Option<Behind>,
}

#[derive(Debug, Clone)]
struct Statement {
    /// With a random part, so that no script prepares or deallocates one by chance.
    name: String,
    /// Of its parameters.
    types: &'static str,
    sql: String,
}

impl Prepared {
    /// What records versions of `direction` in `ledger`.
    pub fn new(direction: Direction, ledger: &Ledger) -> Self {
        let random = Uuid::new_v4().simple();
        let named = |what: &str, types, sql| Statement {
            name: format!("schemaward_{what}_{random}"),
            types,
            sql,
        };
        let (values, of_values) = values(direction);
        let (checked, of_checked) = checked(direction);
        let (also, short) = match direction {
            Direction::Up => {
                let sql = short_record::statement(ledger);
                let short = Short {
                    statement: named("record", short_record::TYPES, sql),
                    is_sent: false,
                    behind: None,
                };
                (short_record::behind(ledger), Some(short))
            }
            Direction::Down => (Also::default(), None),
        };
        let write = record::write(ledger, &values, MILLISECONDS);
        let check = record::check(ledger, &checked, MILLISECONDS, &also);
        Self {
            direction,
            writes: named("write", of_values, write),
            checks: named("check", of_checked, check),
            is_sent: false,
            short,
        }
    }

    /// Whether it is for this direction.
    pub fn is_for(&self, direction: Direction) -> bool {
        self.direction == direction
    }

    /// What records `execution` in its transaction, after the script; the last statement answers as that of
    /// [`record::statements`]. What the session has not prepared yet it does first. What is
    /// prepared outlives a rollback, and stands under the `search_path` that it is executed under: with another
    /// one the server would resolve the operators again.
    pub fn record(&self, execution: &Execution) -> Result<Vec<String>, DatabaseError> {
        let mut all = Vec::with_capacity(8);
        if !self.is_sent {
            all.extend([self.writes.prepare(), self.checks.prepare()]);
        }
        all.extend(PLANNING.map(str::to_owned));
        let values = given_values(Values::of(execution)?);
        all.push(self.writes.execute(&values));
        all.push(CONSTRAINTS.to_owned());
        let checked = given_checked(Checked::of(execution));
        all.push(self.checks.execute(&checked));
        Ok(all)
    }

    /// The same by the short record; `None` where that is not for `execution`.
    pub fn short_record(
        &self,
        ledger: &Ledger,
        execution: &Execution,
    ) -> Result<Option<Vec<String>>, DatabaseError> {
        if !execution.may_repeat || short_record::is_about(ledger, &execution.script) {
            return Ok(None);
        }
        let Some(short) = &self.short else {
            return Ok(None);
        };
        let Some(behind) = &short.behind else {
            return Ok(None);
        };
        let Some(parameters) = short_record::parameters(execution, behind)? else {
            return Ok(None);
        };
        let mut all = Vec::with_capacity(6);
        if !short.is_sent {
            all.push(short.statement.prepare());
        }
        // What was deferred anew when what the script deferred was run.
        all.push(CONSTRAINTS.to_owned());
        all.extend(PLANNING.map(str::to_owned));
        all.push(short.statement.execute(&parameters));
        Ok(Some(all))
    }

    /// Takes in what the record answered that committed, and whether short ones may follow.
    pub fn recorded(&mut self, answered: Option<&PgRow>, is_short: bool) -> bool {
        self.is_sent |= !is_short;
        let Some(short) = &mut self.short else {
            return false;
        };
        short.is_sent |= is_short;
        short.behind = answered.and_then(|row| Behind::read(row, short.behind.as_ref()));
        short.behind.is_some()
    }

    /// No short record any more. Whether the session has it is not known.
    pub fn drop_short(&mut self) {
        self.short = None;
    }
}

impl Statement {
    fn prepare(&self) -> String {
        format!("PREPARE {} ({}) AS {}", self.name, self.types, self.sql)
    }

    fn execute(&self, parameters: &[String]) -> String {
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
    let (texts, types) = match direction {
        Direction::Up => (
            Some(Packed {
                up_checksum,
                up,
                down_checksum,
                down,
            }),
            "text, text, text, text, bytea, text, bytea",
        ),
        Direction::Down => (None, "text, text, text"),
    };
    let values = Values {
        version,
        name,
        actor,
        texts,
    };
    (values, types)
}

fn given_values(values: Values) -> Vec<String> {
    let mut all = vec![values.version, values.name, values.actor];
    if let Some(texts) = values.texts {
        all.extend([texts.up_checksum, texts.up, texts.down_checksum, texts.down]);
    }
    all
}

/// The parameters of what checks, and their types, in the order of [`given_checked`].
fn checked(direction: Direction) -> (Checked, &'static str) {
    let (checksum, types) = match direction {
        Direction::Up => (Some("$4".to_owned()), "text, text[], boolean, text"),
        Direction::Down => (None, "text, text[], boolean"),
    };
    let checked = Checked {
        version: "$1".to_owned(),
        spellings: "$2".to_owned(),
        checksum,
        may_flush_later: "$3".to_owned(),
    };
    (checked, types)
}

fn given_checked(checked: Checked) -> Vec<String> {
    let mut all = vec![checked.version, checked.spellings, checked.may_flush_later];
    all.extend(checked.checksum);
    all
}
