//! Everything that is wrong with a set of files, and what the rules find in the scripts that can be read, all at once.

use std::collections::HashSet;

use super::catalog::{Catalog, Defect, SourceFile};
use super::file_name::{Direction, FileName, parse_file_name};
use super::lint::{self, Assessment, Role};
use super::script::{Script, ScriptDefect};
use super::version::Version;

/// What a set of files comes to.
#[derive(Debug)]
pub struct Report {
    /// The files that are scripts of ours, in the order of their names.
    pub files: Vec<Checked>,
    /// What is wrong with names and versions. Defects of the scripts themselves are with them.
    pub set: Vec<Defect>,
}

/// One file.
#[derive(Debug)]
pub struct Checked {
    /// Its name.
    pub file: String,
    /// Its version.
    pub version: Version,
    /// Which way it goes.
    pub direction: Direction,
    /// What it holds, or why it cannot be run.
    pub script: Result<Script, Vec<ScriptDefect>>,
    /// What the rules say; `None` when it cannot be run, or nobody asked.
    pub assessment: Option<Assessment>,
}

/// Checks a set of files. The rules are asked about the versions that `is_asked` names; an applied script cannot be changed any more.
#[must_use]
pub fn check(
    files: Vec<SourceFile>,
    ledger_table: &str,
    is_asked: &dyn Fn(&Version) -> bool,
) -> Report {
    let mut named: Vec<(FileName, &SourceFile)> = files
        .iter()
        .filter_map(|file| Some((parse_file_name(&file.name).ok()??, file)))
        .collect();
    named.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let undone: HashSet<&Version> = named
        .iter()
        .filter(|(name, _)| name.direction == Direction::Down)
        .map(|(name, _)| &name.version)
        .collect();
    let checked = named
        .iter()
        .map(|(name, file)| {
            let script = Script::parse(&file.bytes, ledger_table);
            let role = match name.direction {
                Direction::Up => Role::Up {
                    lacks_down: !name.is_init() && !undone.contains(&name.version),
                },
                Direction::Down => Role::Down,
            };
            let asked = script.as_ref().ok().filter(|_| is_asked(&name.version));
            Checked {
                file: file.name.clone(),
                version: name.version.clone(),
                direction: name.direction,
                assessment: asked.map(|script| lint::judge(script, role)),
                script,
            }
        })
        .collect();
    // The scripts are judged above, one by one.
    let set = Catalog::from_files(files, ledger_table, &|_| true).err();
    Report {
        files: checked,
        set: set.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> SourceFile {
        SourceFile {
            name: name.to_owned(),
            bytes: text.into(),
        }
    }

    #[test]
    fn everything_is_said_at_once() {
        let files = vec![
            file("README.md", "no"),
            file("002_b_UP.sql", "DROP TABLE t;"),
            file("002_b_DOWN.sql", "COMMIT;"),
            file("001_a_UP.sql", "SELECT 1;"),
            file("01_c_UP.sql", "\\i x"),
            file("3-x.sql", "SELECT 1;"),
        ];
        let report = check(files, "schema_migrations", &|version| {
            version.as_str() != "001"
        });
        let names: Vec<_> = report
            .files
            .iter()
            .map(|checked| checked.file.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "001_a_UP.sql",
                "002_b_DOWN.sql",
                "002_b_UP.sql",
                "01_c_UP.sql"
            ]
        );
        let defects: Vec<_> = report
            .files
            .iter()
            .map(|checked| checked.script.as_ref().err().map_or(0, Vec::len))
            .collect();
        assert_eq!(defects, [0, 1, 0, 1]);
        let findings: Vec<Vec<_>> = report
            .files
            .iter()
            .filter_map(|checked| checked.assessment.as_ref())
            .map(|assessment| {
                assessment
                    .at_least(lint::Level::Note)
                    .map(|finding| finding.rule.name)
                    .collect()
            })
            .collect();
        assert_eq!(findings, [["ban-drop-table"]]);
        let set: Vec<_> = report
            .set
            .iter()
            .map(|defect| defect.file().unwrap_or_default())
            .collect();
        assert_eq!(set, ["001_a_UP.sql", "3-x.sql"]);
    }

    #[test]
    fn a_version_without_a_way_back_is_found_and_the_first_file_is_none() {
        let files = vec![
            file("000_init_schema_migrations.sql", "SELECT 1;"),
            file("001_a_UP.sql", "SELECT 1;"),
        ];
        let report = check(files, "schema_migrations", &|_| true);
        let found: Vec<_> = report
            .files
            .iter()
            .filter_map(|checked| checked.assessment.as_ref())
            .map(|assessment| assessment.findings.len())
            .collect();
        assert_eq!(found, [0, 1]);
    }
}
