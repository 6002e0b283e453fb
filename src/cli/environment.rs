//! What is read of the environment besides options: who runs the program. And what is kept from it: settings
//! of the database driver that nobody gave us.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::exit::Failure;

/// What sqlx 0.9 reads from the environment in every constructor of its connection options: the
/// variables of libpq. A developer's `PGOPTIONS` or `PGSSLMODE` would change how migrations run, and
/// the operator must not have hidden inputs.
const READ_BY_SQLX: [&str; 13] = [
    "PGAPPNAME",
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGUSER",
];

/// Starts this program anew without those variables when any is set. (Removing a variable from the
/// own environment is unsafe in Rust, since another thread may be reading it.)
///
/// # Errors
/// When the program cannot be started anew.
pub(super) fn shed_libpq_variables() -> Result<(), Failure> {
    if !READ_BY_SQLX.iter().any(|name| is_set(OsStr::new(name))) {
        return Ok(());
    }
    let program = std::env::current_exe().map_err(|error| cannot_start(&error))?;
    let mut command = Command::new(program);
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    for name in READ_BY_SQLX {
        command.env_remove(name);
    }
    Err(cannot_start(&command.exec()))
}

/// Longest name of a user that is recorded.
const USER_LIMIT: usize = 64;

/// Who runs the program, as far as the environment says; for the audit, which has the database role as
/// well.
pub(super) fn user() -> Option<String> {
    let name = ["USER", "LOGNAME"].iter().find_map(std::env::var_os)?;
    let name = name.into_string().ok()?;
    let plain = |c: &char| c.is_alphanumeric() || "._-@".contains(*c);
    let name: String = name.chars().filter(plain).take(USER_LIMIT).collect();
    (!name.is_empty()).then_some(name)
}

fn is_set(name: &OsStr) -> bool {
    std::env::var_os(name).is_some()
}

fn cannot_start(error: &std::io::Error) -> Failure {
    Failure::not_done(format!(
        "The program cannot start itself without the variables of libpq that are set ({error}). \
         Unset {} and try again.",
        READ_BY_SQLX
            .iter()
            .filter(|name| is_set(OsStr::new(name)))
            .copied()
            .collect::<Vec<_>>()
            .join(", ")
    ))
}
