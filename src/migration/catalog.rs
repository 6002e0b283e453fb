//! The judged set of known migrations.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use super::assemble::Examined;
use super::assemble::{assemble, examine};
use super::checksum::Checksum;
use super::script::{Script, ScriptDefect, ScriptDefectKind};
use super::select::select;
use super::version::Version;

/// A file as a source delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, without folders.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl SourceFile {
    /// Reads the file's name, hashes its bytes, and judges them unless their checksum `is_known`: then they were judged
    /// before. `None`: it does not start with a digit, so it is none of ours.
    ///
    /// Takes no other file to do, so that it can be done by whoever reads the file, for several at once.
    #[must_use]
    pub fn examine(
        self,
        ledger_table: &str,
        is_known: &dyn Fn(&Checksum) -> bool,
    ) -> Option<Examined> {
        examine(self, ledger_table, is_known)
    }
}

/// A file of a migration: judged, not kept parsed. [`Script::parse`](super::script::Script::parse) its bytes when it is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFile {
    /// Its name.
    pub file: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Over those bytes.
    pub checksum: Checksum,
}

impl ScriptFile {
    /// What is wrong with its text.
    #[must_use]
    pub fn defects(&self, ledger_table: &str) -> Vec<Defect> {
        let found = Script::parse(&self.bytes, ledger_table).err();
        let found = found.unwrap_or_default().into_iter();
        found
            .map(|defect| Defect::of_script(&self.file, &defect))
            .collect()
    }
}

/// One version of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The version, as the UP file writes it.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// What applies it.
    pub up: ScriptFile,
    /// What undoes it, if anything does.
    pub down: Option<ScriptFile>,
    /// The checksums that the resource asks for.
    pub pin: Option<Pin>,
}

/// Checksums that a version must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Of the UP file.
    pub up: Checksum,
    /// Of the DOWN file; required when there is one.
    pub down: Option<Checksum>,
}

/// A version as the resource lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The version.
    pub version: Version,
    /// The name that it must have.
    pub name: Option<String>,
    /// The checksums that it must have.
    pub pin: Option<Pin>,
}

/// One defect of a set of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    kind: DefectKind,
    file: Option<String>,
    message: String,
}

/// What a defect is about, for whoever must choose a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefectKind {
    /// Two files, or two entries of the list, are one version.
    DuplicateVersion,
    /// BEGIN, COMMIT and their like where they cannot be folded.
    TransactionControl,
    /// A statement that is never sent to a server, or that cannot run where it stands.
    UnsupportedStatement,
    /// Anything else about a file: its name, encoding, emptiness, a missing UP.
    InvalidSource,
    /// The list of versions contradicts itself or the source.
    InvalidList,
}

impl DefectKind {
    /// What a defect of one script is about.
    #[must_use]
    pub fn of(defect: &ScriptDefectKind) -> Self {
        match defect {
            ScriptDefectKind::TransactionControl { .. } => Self::TransactionControl,
            ScriptDefectKind::Refused(_) | ScriptDefectKind::InTransaction(_) => {
                Self::UnsupportedStatement
            }
            ScriptDefectKind::Empty
            | ScriptDefectKind::InvalidUtf8 { .. }
            | ScriptDefectKind::Nul { .. }
            | ScriptDefectKind::Unterminated(_) => Self::InvalidSource,
        }
    }
}

impl Defect {
    pub(super) fn new(kind: DefectKind, message: String) -> Self {
        Self {
            kind,
            file: None,
            message,
        }
    }

    pub(super) fn of_file(file: &str, kind: DefectKind, message: String) -> Self {
        Self {
            kind,
            file: Some(file.to_owned()),
            message,
        }
    }

    pub(super) fn of_script(file: &str, defect: &ScriptDefect) -> Self {
        let separator = if defect.position.is_some() { "," } else { ":" };
        let message = format!("{file}{separator} {defect}");
        Self::of_file(file, DefectKind::of(&defect.kind), message)
    }

    /// The name of the file that it is about, or the first of them; `None`: it is about the list of versions.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> DefectKind {
        self.kind
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Defect {}

/// The migrations that can be applied, in numeric order. Who clones it shares them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    migrations: Arc<BTreeMap<Version, Migration>>,
}

impl Catalog {
    /// A catalog of all migrations among these files; files that do not start with a digit are ignored.
    /// Files whose checksum `is_known` were judged before: they are hashed, not parsed.
    ///
    /// # Errors
    /// Every defect of every file at once, sorted by file.
    pub fn from_files(
        files: Vec<SourceFile>,
        ledger_table: &str,
        is_known: &dyn Fn(&Checksum) -> bool,
    ) -> Result<Self, Vec<Defect>> {
        let files = files.into_iter();
        Self::from_examined(files.filter_map(|file| file.examine(ledger_table, is_known)))
    }

    /// The same, of files that were examined already.
    ///
    /// # Errors
    /// As [`Self::from_files`].
    pub fn from_examined(files: impl IntoIterator<Item = Examined>) -> Result<Self, Vec<Defect>> {
        let (catalog, defects) = Self::as_far_as_usable(files);
        if defects.is_empty() {
            Ok(catalog)
        } else {
            Err(defects)
        }
    }

    /// What there is of a set for who only looks, and every defect as of [`Self::from_files`]. A file without a usable
    /// name is not in it; of two files of one version the first is.
    #[must_use]
    pub fn as_far_as_usable(files: impl IntoIterator<Item = Examined>) -> (Self, Vec<Defect>) {
        let (migrations, defects) = assemble(files.into_iter().collect());
        (Self::of(migrations), defects)
    }

    /// Only the listed versions, in numeric order, with their pins.
    ///
    /// # Errors
    /// An order that is not numeric, duplicates, names that differ and versions without a file, all at once.
    pub fn select(self, listed: &[Listed]) -> Result<Self, Vec<Defect>> {
        select(Arc::unwrap_or_clone(self.migrations), listed).map(Self::of)
    }

    fn of(migrations: BTreeMap<Version, Migration>) -> Self {
        Self {
            migrations: Arc::new(migrations),
        }
    }

    /// The catalog without migrations.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The migration of a version.
    #[must_use]
    pub fn get(&self, version: &Version) -> Option<&Migration> {
        self.migrations.get(version)
    }

    /// All migrations, lowest version first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Migration> {
        self.migrations.values()
    }

    /// The highest version.
    #[must_use]
    pub fn latest(&self) -> Option<&Version> {
        self.migrations.last_key_value().map(|(version, _)| version)
    }

    /// How many migrations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.migrations.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty()
    }
}

#[cfg(test)]
mod tests;
