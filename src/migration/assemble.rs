//! From files to migrations, with every defect of every file.

use std::collections::BTreeMap;

use super::catalog::{Defect, DefectKind, Migration, ScriptFile, SourceFile};
use super::checksum::Checksum;
use super::file_name::{Direction, FileName, InvalidFileName, parse_file_name};
use super::script::{Script, ScriptDefect};
use super::text::list;
use super::version::Version;

/// A file by itself: its name read, its bytes hashed and judged.
#[derive(Debug)]
pub struct Examined(Result<Found, InvalidFileName>);

/// A file of the set, with what its name says.
#[derive(Debug)]
struct Found {
    name: FileName,
    script: ScriptFile,
    defects: Vec<ScriptDefect>,
}

impl Examined {
    fn file(&self) -> &str {
        match &self.0 {
            Ok(found) => &found.script.file,
            Err(invalid) => &invalid.file,
        }
    }
}

/// The files of one version; each kind should hold one.
#[derive(Default)]
struct Files {
    ups: Vec<Found>,
    downs: Vec<Found>,
}

/// See [`SourceFile::examine`].
pub(super) fn examine(
    file: SourceFile,
    ledger_table: &str,
    is_known: &dyn Fn(&Checksum) -> bool,
) -> Option<Examined> {
    let name = match parse_file_name(&file.name).transpose()? {
        Ok(name) => name,
        Err(invalid) => return Some(Examined(Err(invalid))),
    };
    let script = ScriptFile {
        checksum: Checksum::of(&file.bytes),
        file: file.name,
        bytes: file.bytes.into(),
    };
    let defects = if is_known(&script.checksum) {
        Vec::new()
    } else {
        let parsed = Script::parse(&script.bytes, ledger_table);
        parsed.err().unwrap_or_default()
    };
    Some(Examined(Ok(Found {
        name,
        script,
        defects,
    })))
}

/// The migrations that the files make up, as far as they do, and all defects in the order of the files.
pub(super) fn assemble(mut files: Vec<Examined>) -> (BTreeMap<Version, Migration>, Vec<Defect>) {
    files.sort_by(|a, b| a.file().cmp(b.file()));
    let mut defects = Defects::default();
    let mut versions: BTreeMap<Version, Files> = BTreeMap::new();
    for Examined(file) in files {
        let found = match file {
            Ok(found) => found,
            Err(invalid) => {
                defects.add(
                    &invalid.file,
                    DefectKind::InvalidSource,
                    invalid.to_string(),
                );
                continue;
            }
        };
        defects.add_script(&found.script.file, &found.defects);
        let of_version = versions.entry(found.name.version.clone()).or_default();
        match found.name.direction {
            Direction::Up => of_version.ups.push(found),
            Direction::Down => of_version.downs.push(found),
        }
    }
    let migrations = versions
        .into_values()
        .filter_map(|files| pair(files, &mut defects))
        .map(|migration| (migration.version.clone(), migration))
        .collect();
    (migrations, defects.in_order())
}

/// The migration of one version: one UP and at most one DOWN of the same name.
fn pair(Files { ups, downs }: Files, defects: &mut Defects) -> Option<Migration> {
    only_one(&ups, defects);
    only_one(&downs, defects);
    let Some(up) = ups.into_iter().next() else {
        for down in &downs {
            let FileName { version, name, .. } = &down.name;
            let message = format!(
                "{}: there is no UP of this version; add {version}_{name}_UP.sql or remove the file",
                down.script.file
            );
            defects.add(&down.script.file, DefectKind::InvalidSource, message);
        }
        return None;
    };
    let down = downs.into_iter().next();
    if let Some(down) = &down
        && (down.name.version.as_str(), &down.name.name)
            != (up.name.version.as_str(), &up.name.name)
    {
        // A DOWN that was written for another migration would destroy what this one made, or worse.
        let message = format!(
            "{}: it is the DOWN of {} but is named otherwise; name both alike or remove it",
            down.script.file, up.script.file
        );
        defects.add(&down.script.file, DefectKind::InvalidSource, message);
    }
    Some(Migration {
        version: up.name.version,
        name: up.name.name,
        up: up.script,
        down: down.map(|down| down.script),
        pin: None,
    })
}

fn only_one(found: &[Found], defects: &mut Defects) {
    let [first, _, ..] = found else { return };
    let files: Vec<&str> = found
        .iter()
        .map(|found| found.script.file.as_str())
        .collect();
    let message = format!(
        "{} are {} files of the same version {}; give each migration a version of its own (1 and 001 are the same)",
        list(&files),
        first.name.direction,
        first.name.version
    );
    defects.add(&first.script.file, DefectKind::DuplicateVersion, message);
}

/// Defects, each of a file.
#[derive(Default)]
struct Defects(Vec<Defect>);

impl Defects {
    fn add(&mut self, file: &str, kind: DefectKind, message: String) {
        self.0.push(Defect::of_file(file, kind, message));
    }

    fn add_script(&mut self, file: &str, found: &[ScriptDefect]) {
        let defects = found.iter().map(|defect| Defect::of_script(file, defect));
        self.0.extend(defects);
    }

    fn in_order(mut self) -> Vec<Defect> {
        // The sort is stable: what one file has stays in its order.
        self.0.sort_by(|a, b| a.file().cmp(&b.file()));
        self.0
    }
}
