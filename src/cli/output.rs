//! The JSON of `-o json`. Stable: fields are added, never renamed, removed or given another meaning
//! without a new number in `format`. `docs/output.md` documents it, and `docs/schema/` holds the JSON
//! Schemas that are made from these types.

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::database::Server;
use crate::engine::loss::{self, DataLoss};
use crate::migration::blocked::{BegunProblem, Blocked};
use crate::migration::history::History;
use crate::migration::overview::{Row, VersionState};

use super::check::json::Level;
use super::exit::Failure;

pub mod history;
pub mod test;
pub mod verify;

/// How results are printed.
#[derive(Debug, Args)]
pub(super) struct FormatArgs {
    /// Form of the results
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub(super) output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs; docs/output.md describes it
    Json,
}

/// The JSON text of a result, with a line feed at its end.
pub(super) fn to_text(result: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(result)
        .map_err(|error| Failure::not_done(format!("The results have no JSON form: {error}.")))?;
    Ok(text + "\n")
}

/// What `schemaward list -o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct List {
    /// Always `schemaward.list/v1`.
    format: &'static str,
    database: Database,
    /// The highest applied version; null when none is applied.
    current: Option<String>,
    /// Every version that is applied or in the folder, lowest first.
    versions: Vec<Entry>,
    /// Why `schemaward up` would do nothing; null when nothing stands in its way.
    problem: Option<Problem>,
}

/// What `schemaward plan -o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Always `schemaward.plan/v1`.
    pub(super) format: &'static str,
    pub(super) database: Database,
    /// The highest applied version; null when none is applied.
    pub(super) current: Option<String>,
    /// The version that the database would be at afterwards; null when that is none, or there is no plan.
    pub(super) target: Option<String>,
    /// Rows of the history that another program wrote and that are taken over first.
    pub(super) adopt: Vec<Adoption>,
    /// Versions that were in the database before its history, and are recorded without being run.
    pub(super) baseline: Vec<Baselined>,
    /// What would run, in this order. Empty when there is nothing to do, and when there is no plan.
    pub(super) steps: Vec<Step>,
    /// The data that the ways back among the steps would take away, that with the most rows first.
    pub(super) losses: Vec<Loss>,
    /// Why there is no plan; null when there is one. The exit code is 1 then.
    pub(super) problem: Option<Problem>,
}

/// The database that was asked.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// Its name.
    name: String,
    /// Version of the server, such as `16.15`.
    server_version: String,
}

/// One version.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The digits, as they are written in the history or in the file's name.
    version: String,
    status: Status,
    /// Its name in the history; of a version that is not applied, in the file's name.
    name: String,
    /// When it was applied, RFC 3339; null when it is not, or when the history does not say.
    applied_at: Option<String>,
    /// How long that took on the server, in milliseconds; null as above.
    execution_time_ms: Option<i64>,
    /// SHA-256 of the applied UP text as the history has it, and of the file when the version is not
    /// applied: 64 hexadecimal digits.
    checksum: Option<String>,
}

/// Where a version stands.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Applied, and its files are what was applied.
    Applied,
    /// In the folder and not applied.
    Pending,
    /// Some of its statements are done and the rest is not.
    Begun,
    /// Applied, and above the last version in the folder.
    Ahead,
    /// Applied, and no longer in the folder.
    Missing,
    /// Applied, and its files are no longer what was applied.
    Changed,
}

/// Why nothing can be done.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// One word, the same that a DatabaseSchema has as its reason.
    reason: &'static str,
    /// Sentences for a person.
    message: String,
}

/// A row of the history that is taken over.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// The version.
    pub(super) version: String,
    /// Whether the row has no checksum and gets the file's.
    pub(super) stamp: bool,
}

/// A version that is recorded without being run.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baselined {
    /// The version.
    pub(super) version: String,
    /// Its name.
    pub(super) name: String,
    /// SHA-256 of its UP file, 64 hexadecimal digits.
    pub(super) checksum: String,
}

/// One script that would run.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub(super) direction: Direction,
    /// The version.
    pub(super) version: String,
    /// Its name.
    pub(super) name: String,
    /// Where the text comes from.
    pub(super) text: TextSource,
    /// SHA-256 of that text, 64 hexadecimal digits.
    pub(super) checksum: String,
    /// Its statements in order, without a BEGIN and COMMIT around them.
    pub(super) statements: Vec<Statement>,
    /// What `schemaward check` reports of the script as a whole.
    pub(super) findings: Vec<Finding>,
}

/// Data that a way back would take away.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// The version that would be undone.
    pub(super) version: String,
    /// The line of its DOWN, from 1.
    pub(super) line: usize,
    kind: LossKind,
    /// The table or column with its schema; of `unknown` the leading words of the statement.
    object: String,
    /// Whether what depends on it goes too.
    cascades: bool,
    /// How many rows, estimated from the server's statistics and never counted; of a column those with a
    /// value in it, where that is known. Null when nobody knows.
    estimated_rows: Option<u64>,
    /// The same in words, and why there is no number.
    pub(super) amount: String,
    /// What it is in words.
    #[serde(skip)]
    pub(super) what: String,
}

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LossKind {
    /// A table.
    Table,
    /// All rows of a table that stays.
    Rows,
    /// A column.
    Column,
    /// A schema in which no table was found.
    Schema,
    /// The words of the statement do not tell.
    Unknown,
}

/// What `schemaward check` reports.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule, as docs/lint.md has it.
    pub(super) rule: &'static str,
    pub(super) level: Level,
    /// What was found.
    pub(super) message: String,
}

/// Which way a script goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// It applies the version.
    Up,
    /// It undoes the version.
    Down,
}

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TextSource {
    /// The file in the folder.
    File,
    /// The text that was stored in the database when the version was applied.
    Stored,
}

/// One statement.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Its number in the text, from 1; a BEGIN counts.
    pub(super) number: usize,
    /// The line where it starts, from 1.
    pub(super) line: usize,
    /// The column where it starts, from 1, in characters.
    pub(super) column: usize,
    /// Its leading key words and names, never a value: `CREATE TABLE widgets`.
    pub(super) command: String,
    pub(super) class: StatementClass,
    /// The versions whose rows in the history table it writes or takes out, where it does nothing else and its
    /// words tell all of them; empty for any other statement.
    pub(super) records: Vec<String>,
    /// What it does to a database in use: none, additive, definition, data change, incompatible, blocking,
    /// rewrite, destructive, or unknown where its words do not tell.
    pub(super) impact: &'static str,
    /// The strongest lock that it takes on a table that was there before, in the words of PostgreSQL; none,
    /// or unknown where its words do not tell.
    pub(super) lock: String,
    /// What `schemaward check` reports of it.
    pub(super) findings: Vec<Finding>,
    /// Whether it is done already: its version was begun by an earlier run.
    pub(super) done: bool,
}

/// How a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StatementClass {
    /// In the version's transaction, or, in a file that has statements outside of one, in that of its part.
    Transactional,
    /// Outside of a transaction, since PostgreSQL refuses it inside one.
    NonTransactional,
    /// The version's own row in the history table and nothing else, in its transaction.
    SelfRecord,
}

impl Loss {
    pub(super) fn of(loss: &DataLoss) -> Self {
        Self {
            version: loss.version.to_string(),
            line: loss.line,
            kind: match loss.kind {
                loss::LossKind::Table => LossKind::Table,
                loss::LossKind::Rows => LossKind::Rows,
                loss::LossKind::Column => LossKind::Column,
                loss::LossKind::Schema => LossKind::Schema,
                loss::LossKind::Untold => LossKind::Unknown,
            },
            object: loss.object.clone(),
            cascades: loss.cascades,
            estimated_rows: loss.rows.number(),
            amount: loss.how_much(),
            what: loss.what(),
        }
    }
}

impl Database {
    pub(super) fn of(server: &Server) -> Self {
        Self {
            name: server.database.clone(),
            server_version: server.version.clone(),
        }
    }
}

impl List {
    pub(super) fn new(
        server: &Server,
        history: &History,
        rows: &[Row],
        blocked: Option<&Blocked>,
    ) -> Self {
        Self {
            format: "schemaward.list/v1",
            database: Database::of(server),
            current: history.current().map(ToString::to_string),
            versions: rows.iter().map(Entry::of).collect(),
            problem: blocked.map(Problem::of),
        }
    }
}

impl Entry {
    fn of(row: &Row) -> Self {
        Self {
            version: row.version.to_string(),
            status: match row.state {
                VersionState::Applied => Status::Applied,
                VersionState::Pending => Status::Pending,
                VersionState::Begun => Status::Begun,
                VersionState::Ahead => Status::Ahead,
                VersionState::Missing => Status::Missing,
                VersionState::Changed => Status::Changed,
            },
            name: row.name.clone(),
            applied_at: row.applied_at.map(|at| at.to_string()),
            execution_time_ms: row.execution_time_ms,
            checksum: row.checksum.clone(),
        }
    }
}

impl Problem {
    pub(super) fn of(blocked: &Blocked) -> Self {
        Self {
            reason: match blocked {
                Blocked::ChecksumMismatch(_) => "ChecksumMismatch",
                Blocked::VersionMissing(_) => "VersionMissing",
                Blocked::OutOfOrder { .. } => "OutOfOrder",
                Blocked::DatabaseAhead { .. } => "DatabaseAhead",
                Blocked::DownMissing(_) | Blocked::BelowBaseline(_) => "DownMissing",
                Blocked::HistoryTampered(_) | Blocked::AuditTampered(_) => "HistoryTampered",
                Blocked::UnknownTarget(_) | Blocked::BaselineOutOfReach { .. } => "InvalidSpec",
                Blocked::NotEmpty { .. } => "NotEmpty",
                Blocked::Begun { problem, .. } => match problem {
                    BegunProblem::Gone => "VersionMissing",
                    BegunProblem::Behind(_) => "OutOfOrder",
                    BegunProblem::NotWanted => "DatabaseAhead",
                    BegunProblem::Changed { .. } => "ChecksumMismatch",
                    BegunProblem::Escaped => "TransactionEscaped",
                },
            },
            message: blocked.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use schemars::generate::SchemaSettings;

    use super::*;

    /// The schemas in `docs/schema/` are what these types say. `UPDATE_GOLDEN=1 cargo test` writes them.
    #[test]
    fn the_documented_schemas_are_up_to_date() {
        let schema_of = || {
            SchemaSettings::draft2020_12()
                .for_serialize()
                .into_generator()
        };
        let schemas = [
            ("list.json", schema_of().into_root_schema_for::<List>()),
            ("plan.json", schema_of().into_root_schema_for::<Plan>()),
            (
                "verify.json",
                schema_of().into_root_schema_for::<verify::Verify>(),
            ),
            (
                "test.json",
                schema_of().into_root_schema_for::<test::Test>(),
            ),
            (
                "history.json",
                schema_of().into_root_schema_for::<history::History>(),
            ),
            (
                "check.json",
                schema_of().into_root_schema_for::<super::super::check::json::Check>(),
            ),
        ];
        for (name, schema) in schemas {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("docs/schema")
                .join(name);
            let text = to_text(&schema).unwrap();
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let documented = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(
                documented, text,
                "docs/schema/{name}: run with UPDATE_GOLDEN=1"
            );
        }
    }
}
