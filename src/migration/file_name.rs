//! The grammar of file names: `NNN_name_UP.sql`, `NNN_name_DOWN.sql`.

use std::fmt;

use thiserror::Error;

use super::version::Version;

/// Which way a script goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Applies a version.
    Up,
    /// Undoes it.
    Down,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "UP",
            Self::Down => "DOWN",
        })
    }
}

/// What the name of a migration file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// The digits in front.
    pub version: Version,
    /// What stands between the version and the suffix; never empty.
    pub name: String,
    /// The suffix.
    pub direction: Direction,
}

impl FileName {
    /// Whether it is the one file without a suffix, which has no DOWN: what it makes cannot be undone.
    #[must_use]
    pub fn is_init(&self) -> bool {
        is_init(&self.version, &self.name)
    }
}

/// A file that starts like a migration and does not fit the grammar.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {problem}", .file.escape_debug())]
pub struct InvalidFileName {
    /// The name as it was given.
    pub file: String,
    /// What does not fit.
    pub problem: FileNameProblem,
}

/// What does not fit in the name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FileNameProblem {
    /// Digits that are not ASCII.
    #[error("the version is written with other digits than 0 to 9")]
    OtherDigits,
    /// Not `.sql`.
    #[error(
        "a file that starts with a digit is a migration, and its name must end in _UP.sql or _DOWN.sql"
    )]
    Suffix,
    /// `001__UP.sql`, `001_UP.sql`.
    #[error("the name between the version and the suffix is empty")]
    EmptyName,
    /// No `_` after the digits.
    #[error("the version must be followed by _ and a name")]
    NoName,
    /// A character that is not allowed.
    #[error("the name may only hold letters a to z, digits, _, - and single dots")]
    Character,
}

/// The one file without a suffix: the first user's table of versions, which cannot be undone.
const INIT: &str = "init_schema_migrations";

/// Reads the name of a file (without folders). `Ok(None)`: it is not one of ours, it does not start with a digit.
///
/// `NNN_name_UP.sql` and `NNN_name_DOWN.sql`, suffix and extension in any letter case; the name is made of ASCII
/// letters, digits, `_`, `-` and `.` (not `..`). `000_init_schema_migrations.sql` (any number of zeros) is an UP.
///
/// # Errors
/// When the file starts with a digit, of any script, and does not fit the grammar.
pub fn parse_file_name(file: &str) -> Result<Option<FileName>, InvalidFileName> {
    if !file.starts_with(char::is_numeric) {
        return Ok(None);
    }
    parse_migration(file)
        .map(Some)
        .map_err(|problem| InvalidFileName {
            file: file.to_owned(),
            problem,
        })
}

fn parse_migration(file: &str) -> Result<FileName, FileNameProblem> {
    let digits = file.len() - file.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (version, rest) = file.split_at(digits);
    if version.is_empty() || rest.starts_with(char::is_numeric) {
        return Err(FileNameProblem::OtherDigits);
    }
    let version = Version::parse(version).map_err(|_| FileNameProblem::OtherDigits)?;
    let stem = strip_suffix(rest, ".sql").ok_or(FileNameProblem::Suffix)?;
    let without_suffix = stem
        .strip_prefix('_')
        .is_some_and(|name| is_init(&version, name));
    let (name, direction) = if without_suffix {
        (stem, Direction::Up)
    } else if let Some(name) = strip_suffix(stem, "_up") {
        (name, Direction::Up)
    } else if let Some(name) = strip_suffix(stem, "_down") {
        (name, Direction::Down)
    } else {
        return Err(FileNameProblem::Suffix);
    };
    let name = match name.strip_prefix('_') {
        None if !name.is_empty() => return Err(FileNameProblem::NoName),
        None | Some("") => return Err(FileNameProblem::EmptyName),
        Some(name) => name,
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !name.bytes().all(allowed) || name.contains("..") {
        return Err(FileNameProblem::Character);
    }
    Ok(FileName {
        version,
        name: name.to_owned(),
        direction,
    })
}

fn is_init(version: &Version, name: &str) -> bool {
    name == INIT && version.as_str().bytes().all(|byte| byte == b'0')
}

/// `text` without `suffix` at its end, ASCII letters compared in any case.
fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

#[cfg(test)]
mod tests;
