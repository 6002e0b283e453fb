//! What a script would do to a database in use: what each statement changes and locks, and what a reviewer should know.
//!
//! [`judge`] gives an [`Assessment`] of one script. Its two halves are independent of each other:
//!
//! - [`Judged`] is a statement's [`Impact`] and the strongest lock ([`TableLock`]) that it takes on a table, view or index that was there
//!   before. Both are read from the words of the statement by our own lexer, so nothing that is in a file makes them fail; what the
//!   words do not tell is `Unknown`, and never taken for harmless.
//! - [`Finding`]s come from rules ([`Rule`]): those of squawk under squawk's names, and ours. A comment in the script
//!   [waives](Waived) them, with a reason.
//!
//! Everything here is advice about a script. What follows from it (an approval, a refusal) is decided elsewhere.

mod alter;
mod alter_table;
mod assessment;
mod calls;
mod comments;
mod create;
mod created;
mod data;
mod drop;
mod impact;
mod library;
mod loss;
mod nesting;
mod own;
mod rule;
mod shown;
mod strings;
mod waiver;
mod words;

pub use self::assessment::{Assessment, Finding, Impact, Judged, LockMode, TableLock, Waived};
pub use self::library::THREAD;
pub use self::loss::{Loss, Lost, Schemas, TableName, losses};
pub use self::own::claims_idempotence;
pub use self::rule::{Level, Origin, RULES, Rule};
pub use self::shown::shown;

use self::created::Created;
use super::catalog::Migration;
use super::file_name::{Direction, parse_file_name};
use super::script::Script;

/// What a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It applies a version.
    Up {
        /// Whether the version should have a DOWN and has none; see [`lacks_down`].
        lacks_down: bool,
    },
    /// It undoes a version.
    Down,
}

impl Role {
    /// Which way it goes.
    #[must_use]
    pub fn direction(self) -> Direction {
        match self {
            Self::Up { .. } => Direction::Up,
            Self::Down => Direction::Down,
        }
    }
}

/// Whether a version has no DOWN although its file's name could have one: `000_init_schema_migrations.sql` cannot.
#[must_use]
pub fn lacks_down(migration: &Migration) -> bool {
    let is_init = matches!(parse_file_name(&migration.up.file), Ok(Some(name)) if name.is_init());
    migration.down.is_none() && !is_init
}

/// Judges one script. Deterministic, and without effects but a thread for the time of the call. That may be a second for a script
/// of a megabyte, so call it where it keeps nobody waiting; beyond that, the rules of squawk are left out, and a finding says so.
#[must_use]
pub fn judge(script: &Script, role: Role) -> Assessment {
    let statements = impact::judge(script, &mut Created::default());
    let mut findings = library::findings(script, role.direction());
    findings.extend(own::findings(script, role, &statements));
    findings.sort_by_key(|finding| (finding.position, finding.rule.name));
    let (findings, waived) = waiver::apply(script, findings);
    Assessment {
        direction: role.direction(),
        statements,
        findings,
        waived,
    }
}

#[cfg(test)]
mod tests;
