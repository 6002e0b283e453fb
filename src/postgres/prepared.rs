//! The statements of the record, prepared once a session.
//!
//! Every version is recorded by the same few statements. To parse and plan them anew was more than half of
//! what a version cost the server besides its script. `PREPARE` and `EXECUTE` are SQL, so all of it still goes
//! in the version's own Query, and the first version's carries the `PREPARE`s, behind its script.

use uuid::Uuid;

use crate::engine::database::Execution;
use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;
use crate::migration::file_name::Direction;

use super::record::{self, CONSTRAINTS, MILLISECONDS, Packed, Values};

/// Statements of one direction for one session.
#[derive(Debug, Clone)]
pub struct Prepared {
    direction: Direction,
    /// Those that write, and the check as the last one.
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    /// With a random part, so that no script prepares or deallocates one by chance.
    name: String,
    sql: String,
}

impl Prepared {
    /// What records versions of `direction` in `ledger`.
    pub fn new(direction: Direction, ledger: &Ledger) -> Self {
        let random = Uuid::new_v4().simple();
        let (writing, check) = record::of_values(ledger, &parameters(direction), MILLISECONDS);
        let all = writing.into_iter().chain([check]).enumerate();
        Self {
            direction,
            statements: all
                .map(|(number, sql)| Statement {
                    name: format!("schemaward_{random}_{number}"),
                    sql,
                })
                .collect(),
        }
    }

    /// Whether it is for this direction.
    pub fn is_for(&self, direction: Direction) -> bool {
        self.direction == direction
    }

    /// What records `execution` in its transaction, after the script; the last statement answers as that of
    /// [`record::statements`]. `is_new`: the session has not prepared it yet, and does so first. What is
    /// prepared outlives a rollback, and stands under the `search_path` that it is executed under: with another
    /// one the server would resolve the operators again.
    pub fn record(
        &self,
        execution: &Execution,
        is_new: bool,
    ) -> Result<Vec<String>, DatabaseError> {
        let values = Values::of(execution)?.into_parameters();
        let prepare = self.statements.iter().filter(|_| is_new);
        let mut all: Vec<_> = prepare.map(Statement::prepare).collect();
        all.push(GENERIC_PLAN.to_owned());
        let execute = self.statements.iter();
        all.extend(execute.map(|statement| statement.execute(&values)));
        all.insert(all.len() - 1, CONSTRAINTS.to_owned());
        Ok(all)
    }
}

impl Statement {
    fn prepare(&self) -> String {
        format!("PREPARE {} ({TYPES}) AS {}", self.name, self.sql)
    }

    /// A script's text is long: only values that the statement uses are sent with it.
    fn execute(&self, values: &[String; PARAMETERS]) -> String {
        let given: Vec<_> = values
            .iter()
            .zip(NAMES)
            .map(|(value, parameter)| {
                let is_used = self.sql.contains(parameter);
                if is_used { value.as_str() } else { "NULL" }
            })
            .collect();
        format!("EXECUTE {} ({})", self.name, given.join(", "))
    }
}

/// The server would plan the first five executions for their values, which have nothing to say here.
const GENERIC_PLAN: &str = "SET LOCAL plan_cache_mode TO force_generic_plan";

/// Values that a record has at the most.
const PARAMETERS: usize = 8;

/// The parameters, in the order of [`Values::into_parameters`].
const NAMES: [&str; PARAMETERS] = ["$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8"];

/// Their types.
const TYPES: &str = "pg_catalog.text, pg_catalog.text[], pg_catalog.text, pg_catalog.text, \
     pg_catalog.text, pg_catalog.bytea, pg_catalog.text, pg_catalog.bytea";

fn parameters(direction: Direction) -> Values {
    let [
        version,
        spellings,
        name,
        actor,
        up_checksum,
        up,
        down_checksum,
        down,
    ] = NAMES.map(str::to_owned);
    Values {
        version,
        spellings,
        name,
        actor,
        texts: (direction == Direction::Up).then_some(Packed {
            up_checksum,
            up,
            down_checksum,
            down,
        }),
    }
}

impl Values {
    fn into_parameters(self) -> [String; PARAMETERS] {
        let none = || "NULL".to_owned();
        let texts = self.texts.unwrap_or_else(|| Packed {
            up_checksum: none(),
            up: none(),
            down_checksum: none(),
            down: none(),
        });
        [
            self.version,
            self.spellings,
            self.name,
            self.actor,
            texts.up_checksum,
            texts.up,
            texts.down_checksum,
            texts.down,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_sent_the_values_that_it_uses() {
        let values = NAMES.map(|name| format!("value of {name}"));
        let statement = Statement {
            name: "s".to_owned(),
            sql: "SELECT $6, $1".to_owned(),
        };
        assert_eq!(
            statement.execute(&values),
            "EXECUTE s (value of $1, NULL, NULL, NULL, NULL, value of $6, NULL, NULL)"
        );
    }
}
