//! One statement of a script, and what it means for the way the script is run.

use std::fmt;
use std::ops::Range;

/// A place in a file: line and column, both from 1, in characters. CR LF is one line end, a lone CR too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// How a statement may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementClass {
    /// Inside our transaction. Also everything that is not known here: the server judges it, inside the guard.
    Transactional,
    /// PostgreSQL refuses it inside a transaction block.
    NonTransactional(NonTransactional),
    /// Begins or ends a transaction. (SAVEPOINT, RELEASE and ROLLBACK TO do not.)
    TransactionControl,
    /// Never sent to a server.
    Refused(Refusal),
}

/// The statements that PostgreSQL refuses inside a transaction block, as far as their text tells
/// (`PreventInTransactionBlock` in the sources of PostgreSQL 14 to 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonTransactional {
    /// `CREATE [UNIQUE] INDEX CONCURRENTLY`
    CreateIndexConcurrently,
    /// `DROP INDEX CONCURRENTLY`
    DropIndexConcurrently,
    /// `REINDEX … CONCURRENTLY` of any kind
    ReindexConcurrently,
    /// `REINDEX SCHEMA`, `DATABASE` or `SYSTEM`
    Reindex,
    /// `VACUUM`
    Vacuum,
    /// `CLUSTER` without a table
    ClusterAll,
    /// `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`
    DetachPartitionConcurrently,
    /// `CREATE DATABASE`
    CreateDatabase,
    /// `DROP DATABASE`
    DropDatabase,
    /// `ALTER DATABASE … SET TABLESPACE`
    AlterDatabaseSetTablespace,
    /// `CREATE TABLESPACE`
    CreateTablespace,
    /// `DROP TABLESPACE`
    DropTablespace,
    /// `ALTER SYSTEM`
    AlterSystem,
    /// `CREATE SUBSCRIPTION` that makes a replication slot
    CreateSubscription,
    /// `ALTER SUBSCRIPTION` that refreshes, or sets `failover` or `two_phase`
    AlterSubscription,
    /// `DROP SUBSCRIPTION`
    DropSubscription,
}

impl fmt::Display for NonTransactional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CreateIndexConcurrently => "CREATE INDEX CONCURRENTLY",
            Self::DropIndexConcurrently => "DROP INDEX CONCURRENTLY",
            Self::ReindexConcurrently => "REINDEX CONCURRENTLY",
            Self::Reindex => "REINDEX SCHEMA, DATABASE or SYSTEM",
            Self::Vacuum => "VACUUM",
            Self::ClusterAll => "CLUSTER without a table",
            Self::DetachPartitionConcurrently => "ALTER TABLE DETACH PARTITION CONCURRENTLY",
            Self::CreateDatabase => "CREATE DATABASE",
            Self::DropDatabase => "DROP DATABASE",
            Self::AlterDatabaseSetTablespace => "ALTER DATABASE SET TABLESPACE",
            Self::CreateTablespace => "CREATE TABLESPACE",
            Self::DropTablespace => "DROP TABLESPACE",
            Self::AlterSystem => "ALTER SYSTEM",
            Self::CreateSubscription => "CREATE SUBSCRIPTION",
            Self::AlterSubscription => "ALTER SUBSCRIPTION",
            Self::DropSubscription => "DROP SUBSCRIPTION",
        })
    }
}

/// Why a statement is never sent to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A command of psql (`\i`, `\copy`, `\restrict`, …): only psql understands it.
    MetaCommand,
    /// `COPY … FROM STDIN`: its data cannot be told from SQL by anything but psql.
    CopyFromStdin,
    /// `COPY … TO STDOUT`: nobody reads what it sends.
    CopyToStdout,
    /// A `SET` that changes how the text after it is read.
    ReaderSetting,
    /// `DISCARD ALL`: it would release the lock that keeps a second run away.
    DiscardAll,
    /// A statement outside of a transaction about a name in `U&"…"`: what it left could not be looked up.
    UnicodeName,
    /// Its end cannot be found: servers read a number that runs into a quote in two ways.
    NoEnd,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MetaCommand => "a backslash starts a psql meta-command, which only psql can run; write it as SQL",
            Self::CopyFromStdin => "COPY FROM STDIN needs psql to send its data; write the rows as INSERT",
            Self::CopyToStdout => "COPY TO STDOUT has nobody to read what it sends; remove it",
            Self::ReaderSetting => {
                "this SET would change how PostgreSQL reads the text after it; remove it (every session has \
                 standard_conforming_strings on and client_encoding UTF8)"
            }
            Self::DiscardAll => "DISCARD ALL would release the lock that keeps a second run away; remove it",
            Self::UnicodeName => {
                "what this statement leaves behind could not be looked up, because it writes a name as U&\"…\"; \
                 write the name in plain quotes"
            }
            Self::NoEnd => "a number runs into a quote here, so the end of the statement cannot be found; put a space between them",
        })
    }
}

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its number in the file, from 1; BEGIN and COMMIT count.
    pub number: usize,
    /// Its bytes in [`Script::text`](super::script::Script::text), comments before it and the `;` excluded.
    pub range: Range<usize>,
    /// Where it starts.
    pub position: Position,
    /// How it may be run.
    pub class: StatementClass,
    /// Whether it is the file's own record: an `INSERT INTO` or `DELETE FROM` the ledger.
    pub is_self_record: bool,
    /// Whether it is such a record that can do nothing else, so that nobody need review it: literals into the ledger, or
    /// one version out of it.
    pub is_plain_record: bool,
}
