//! The set of migrations in a folder, or everything that is wrong with it.

use std::path::Path;

use crate::migration::catalog::{Catalog, Defect, Examined, SourceFile};
use crate::source::directory;

use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// How closely files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Names and checksums: for commands that run no file.
    Hashed,
    /// Every statement, so that a script which cannot run is refused before connecting.
    Judged,
}

/// Reads the folder.
///
/// # Errors
/// A folder that cannot be read, or all defects of its files.
pub(super) fn load(
    folder: &Path,
    ledger_table: &str,
    depth: Depth,
    terminal: Terminal,
) -> Result<Catalog, Failure> {
    let files = examined(folder, ledger_table, depth)?;
    let catalog = Catalog::from_examined(files).map_err(|defects| Failure {
        exit: Exit::NotDone,
        messages: defects.iter().map(ToString::to_string).collect(),
    })?;
    if catalog.is_empty() {
        let empty = holds_none(folder);
        // A command that goes by the files must not take a wrong folder for an empty history.
        if depth == Depth::Judged {
            return Err(Failure::not_done(format!(
                "{empty} Nothing was changed. Name the folder with --dir."
            )));
        }
        terminal.warning(&empty);
    }
    Ok(catalog)
}

/// Reads the folder for who only looks: what there is of a set, and what is wrong with names and versions.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn look(
    folder: &Path,
    ledger_table: &str,
    terminal: Terminal,
) -> Result<(Catalog, Vec<Defect>), Failure> {
    let files = examined(folder, ledger_table, Depth::Hashed)?;
    let (catalog, defects) = Catalog::as_far_as_usable(files);
    if catalog.is_empty() {
        terminal.warning(&holds_none(folder));
    }
    Ok((catalog, defects))
}

fn examined(folder: &Path, ledger_table: &str, depth: Depth) -> Result<Vec<Examined>, Failure> {
    let examine = |file: SourceFile| file.examine(ledger_table, &|_| depth == Depth::Hashed);
    let files =
        directory::read(folder, examine).map_err(|error| Failure::not_done(error.to_string()))?;
    Ok(files.into_iter().flatten().collect())
}

fn holds_none(folder: &Path) -> String {
    format!(
        "{} holds no migrations; their files are called NNN_name_UP.sql and NNN_name_DOWN.sql.",
        folder.display()
    )
}
