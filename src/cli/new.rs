//! `schemaward new`: the two files of the next version.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use clap::Args;

use crate::migration::file_name::parse_file_name;
use crate::migration::version::Version;

use super::args::SourceArgs;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Digits of the first version in an empty folder.
const WIDTH: usize = 3;

/// Write the UP and DOWN files of the next version
///
/// The number is the one after the highest in the folder, with as many digits; in an empty folder 001. The
/// files hold comments that say what to write, and no statement yet, so that `check` and `up` refuse them.
/// Prints their paths. Nothing is ever written over.
#[derive(Debug, Args)]
pub(super) struct New {
    /// What the version does, such as `add_widgets`: letters a to z, digits, _, - and single dots
    name: String,
    #[command(flatten)]
    source: SourceArgs,
}

impl New {
    pub(super) fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        if let Err(invalid) = parse_file_name(&format!("001_{}_UP.sql", self.name)) {
            return Err(Failure::usage(format!(
                "{invalid}. Nothing was written. A name is made of letters a to z, digits, _, - and single dots, such as add_widgets."
            )));
        }
        let folder = &self.source.dir;
        fs::create_dir_all(folder).map_err(|error| cannot("create", folder, &error))?;
        let version = next(folder)?;
        let texts = [
            ("UP", up(&version, &self.name)),
            ("DOWN", down(&version, &self.name)),
        ];
        let mut paths = String::new();
        for (suffix, text) in &texts {
            let path = folder.join(format!("{version}_{}_{suffix}.sql", self.name));
            // Never over a file that somebody else made meanwhile.
            File::create_new(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(|error| cannot("write", &path, &error))?;
            let _ = writeln!(paths, "{}", path.display());
        }
        terminal.results(&paths)?;
        Ok(Exit::Done)
    }
}

/// The number after the highest one in the folder, as many digits wide.
fn next(folder: &Path) -> Result<String, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, &error))?;
    let mut highest: Option<Version> = None;
    for entry in entries {
        let entry = entry.map_err(|error| cannot("read", folder, &error))?;
        let name = parse_file_name(&entry.file_name().to_string_lossy());
        let version = name.ok().flatten().map(|name| name.version);
        highest = highest.max(version);
    }
    Ok(match highest {
        None => format!("{:0WIDTH$}", 1),
        Some(version) => successor(version.as_str()),
    })
}

/// The next number in digits, however many there are.
fn successor(digits: &str) -> String {
    let kept = digits.trim_end_matches('9');
    let zeros = "0".repeat(digits.len() - kept.len());
    match kept.as_bytes().split_last() {
        Some((last, head)) => {
            let head = String::from_utf8_lossy(head);
            format!("{head}{}{zeros}", char::from(last + 1))
        }
        None => format!("1{zeros}"),
    }
}

fn up(version: &str, name: &str) -> String {
    format!(
        "-- {version} {name}: what this version changes, and why.\n\
         --\n\
         -- It runs in one transaction together with its row in the history, so leave BEGIN and COMMIT out.\n\
         -- `schemaward check` says what is wrong with it or risky, `schemaward plan` what it would do.\n\
         -- Once it is applied it must not change any more: what comes next is a new version.\n\n"
    )
}

fn down(version: &str, name: &str) -> String {
    format!(
        "-- {version} {name}, the way back: undoes what the UP does, in the opposite order.\n\
         --\n\
         -- It is stored in the database when the version is applied, and run from there.\n\
         -- DROP ... IF EXISTS works on a database that has only half of it, too. Where there is no way back, remove this file.\n\n"
    )
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    let exists = error.kind() == ErrorKind::AlreadyExists;
    let advice = if exists {
        " Somebody else made it meanwhile; run the command again."
    } else {
        ""
    };
    Failure::not_done(format!(
        "Cannot {what} {}: {error}.{advice}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(folder: &Path, name: &str) -> Result<Exit, Failure> {
        let command = New {
            name: name.to_owned(),
            source: SourceArgs {
                dir: folder.to_owned(),
            },
        };
        command.carry_out(Terminal::plain())
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn numbers_go_on_with_the_same_width() {
        for (digits, expected) in [
            ("000", "001"),
            ("009", "010"),
            ("1", "2"),
            ("9", "10"),
            ("999", "1000"),
            ("20261126074110", "20261126074111"),
        ] {
            assert_eq!(successor(digits), expected);
        }
    }

    #[test]
    fn a_pair_is_written_and_nothing_else_touched() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        create(&folder, "add_widgets").unwrap();
        assert_eq!(
            names(&folder),
            ["001_add_widgets_DOWN.sql", "001_add_widgets_UP.sql"]
        );
        fs::write(folder.join("0042_x_UP.sql"), "SELECT 1;").unwrap();
        fs::write(folder.join("9999.txt"), "").unwrap();
        create(&folder, "more").unwrap();
        assert_eq!(
            names(&folder)[2..5],
            ["0042_x_UP.sql", "0043_more_DOWN.sql", "0043_more_UP.sql"]
        );
        let text = fs::read_to_string(folder.join("0043_more_UP.sql")).unwrap();
        assert!(text.starts_with("-- 0043 more: "), "{text}");
        // It is refused until somebody writes a statement.
        assert!(crate::migration::script::Script::parse(text.as_bytes(), "x").is_err());
    }

    #[test]
    fn names_that_do_not_fit_are_refused_with_the_grammar() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "add widgets", "../x", "ñ", "a..b", "a/b"] {
            let failure = create(folder.path(), name).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{name}");
            assert!(
                failure.messages[0].contains("letters a to z"),
                "{failure:?}"
            );
        }
        assert_eq!(names(folder.path()), [""; 0]);
    }
}
