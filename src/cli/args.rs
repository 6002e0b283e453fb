//! The options that commands share.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::engine::task::Ledger;
use crate::postgres::Settings;

use super::duration;
use super::exit::Failure;

pub(super) use super::connection::ConnectionArgs;

/// Where the migrations are.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Folder with the migration files, `NNN_name_UP.sql` and `NNN_name_DOWN.sql`
    #[arg(long, value_name = "FOLDER", default_value = "migrations")]
    pub(super) dir: PathBuf,
}

/// Where the history is.
#[derive(Debug, Args)]
#[command(next_help_heading = "History")]
pub(super) struct HistoryArgs {
    /// Schema of the history table
    #[arg(long, value_name = "SCHEMA", default_value = "public")]
    history_schema: String,

    /// The history table
    #[arg(long, value_name = "TABLE", default_value = "schema_migrations")]
    history_table: String,
}

impl HistoryArgs {
    pub(super) fn ledger(&self) -> Ledger {
        Ledger {
            schema: self.history_schema.clone(),
            table: self.history_table.clone(),
        }
    }
}

/// As whom scripts run, and where they find names.
#[derive(Debug, Args)]
#[command(next_help_heading = "Execution")]
pub(super) struct ScriptPlaceArgs {
    /// Role that scripts run as (SET ROLE); what they create belongs to it
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,

    /// Schemas that scripts find and create unqualified names in, parted by commas
    #[arg(long, value_name = "SCHEMAS", value_delimiter = ',')]
    search_path: Vec<String>,
}

impl ScriptPlaceArgs {
    /// These settings, with scripts and checks run so.
    pub(super) fn apply_to(&self, settings: Settings) -> Settings {
        Settings {
            role: self.role.clone(),
            search_path: self.search_path.clone(),
            ..settings
        }
    }
}

/// How scripts run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Execution")]
pub(super) struct ExecutionArgs {
    #[command(flatten)]
    place: ScriptPlaceArgs,

    /// How long a statement waits for a lock before its version is rolled back and tried again; 0: as
    /// long as it takes
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    lock_timeout: Duration,

    /// How long a statement may run; 0: as long as it takes
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration::parse)]
    statement_timeout: Duration,

    #[command(flatten)]
    pub(super) lock_wait: LockWaitArgs,
}

/// How long another run is waited for.
#[derive(Debug, Args)]
pub(super) struct LockWaitArgs {
    /// How long to wait while another run migrates this database
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration::parse)]
    pub(super) lock_wait: Duration,
}

impl ExecutionArgs {
    /// These settings, with scripts run so.
    pub(super) fn apply_to(&self, settings: Settings) -> Settings {
        Settings {
            lock_timeout: self.lock_timeout,
            statement_timeout: self.statement_timeout,
            ..self.place.apply_to(settings)
        }
    }
}

/// Names and addresses only. libpq would take a path for the folder of a Unix socket.
pub(super) fn host(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty".to_owned()),
        _ if text.contains('/') => Err("write a host name or an address".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

pub(super) fn read(path: &Path, option: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        Failure::not_done(format!(
            "{option} {} cannot be read: {error}.",
            path.display()
        ))
    })
}
