//! The round trip of a set of versions on a scratch database: what is run in which order, so that every way
//! there and back is gone, and each script that says it may run twice is run twice.

use super::catalog::{Catalog, Migration};
use super::classify::words;
use super::file_name::Direction;
use super::lexer::Tokens;
use super::lint::claims_idempotence;
use super::script::{Script, ScriptDefect};
use super::statement::{NonTransactional, Statement, StatementClass};

/// One version, as far as the order depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// It can be undone.
    pub has_down: bool,
    /// Its UP says that it may run again.
    pub up_is_idempotent: bool,
    /// Its DOWN does.
    pub down_is_idempotent: bool,
}

/// One step. A version is a place in the set, from 0; after it the catalog has to be what it was when as many
/// versions were applied before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Apply it.
    Up(usize),
    /// Run its UP once more.
    UpAgain(usize),
    /// Undo it.
    Down(usize),
    /// Run its DOWN once more.
    DownAgain(usize),
}

impl Step {
    /// How many versions are applied afterwards.
    #[must_use]
    pub fn applied(self) -> usize {
        match self {
            Self::Up(version) | Self::UpAgain(version) => version + 1,
            Self::Down(version) | Self::DownAgain(version) => version,
        }
    }
}

/// All up; down one by one, as far as there is a way; up again. A version below one without a DOWN is not
/// reached that way, and so goes down and up on the first way.
#[must_use]
pub fn steps(versions: &[Traits]) -> Vec<Step> {
    let mut steps = Vec::new();
    let up = |steps: &mut Vec<Step>, version: usize| steps.push(Step::Up(version));
    let down = |steps: &mut Vec<Step>, version: usize| {
        steps.push(Step::Down(version));
        if versions[version].down_is_idempotent {
            steps.push(Step::DownAgain(version));
        }
    };
    // Versions from here on can all be undone.
    let reached = versions
        .iter()
        .rposition(|version| !version.has_down)
        .map_or(0, |last| last + 1);
    for (version, traits) in versions.iter().enumerate() {
        up(&mut steps, version);
        if traits.up_is_idempotent {
            steps.push(Step::UpAgain(version));
        }
        if traits.has_down && version < reached {
            down(&mut steps, version);
            up(&mut steps, version);
        }
    }
    (reached..versions.len())
        .rev()
        .for_each(|version| down(&mut steps, version));
    (reached..versions.len()).for_each(|version| up(&mut steps, version));
    steps
}

/// What the order needs to know of each version of `catalog`.
///
/// # Errors
/// What is wrong with a script, with the name of its file.
pub fn traits(
    catalog: &Catalog,
    ledger_table: &str,
) -> Result<Vec<Traits>, (String, Vec<ScriptDefect>)> {
    catalog
        .iter()
        .map(|migration| {
            let up = script(migration, Direction::Up, ledger_table)?;
            let down = script(migration, Direction::Down, ledger_table)?;
            Ok(Traits {
                has_down: down.is_some(),
                up_is_idempotent: up.is_some_and(|up| claims_idempotence(&up)),
                down_is_idempotent: down.is_some_and(|down| claims_idempotence(&down)),
            })
        })
        .collect()
}

/// The parsed UP or DOWN of a version; `None`: it has no DOWN.
///
/// # Errors
/// What is wrong with it, with the name of its file.
pub fn script(
    migration: &Migration,
    direction: Direction,
    ledger_table: &str,
) -> Result<Option<Script>, (String, Vec<ScriptDefect>)> {
    let file = match direction {
        Direction::Up => Some(&migration.up),
        Direction::Down => migration.down.as_ref(),
    };
    let Some(file) = file else {
        return Ok(None);
    };
    Script::parse(&file.bytes, ledger_table)
        .map(Some)
        .map_err(|defects| (file.file.clone(), defects))
}

/// Statements that reach beyond the database they run in: roles, tablespaces, other databases, other servers.
/// What they do outlives a scratch database. Dynamic SQL is not seen.
#[must_use]
pub fn beyond_the_database(script: &Script) -> Vec<&Statement> {
    script
        .statements()
        .iter()
        .filter(|statement| reaches_beyond(script.text_of(statement), statement.class))
        .collect()
}

/// Words that are read of a GRANT, whose ON may come late.
const MOST_WORDS: usize = 64;

fn reaches_beyond(sql: &str, class: StatementClass) -> bool {
    use NonTransactional as Nt;
    if let StatementClass::NonTransactional(
        Nt::CreateDatabase
        | Nt::DropDatabase
        | Nt::AlterDatabaseSetTablespace
        | Nt::CreateTablespace
        | Nt::DropTablespace
        | Nt::AlterSystem
        | Nt::CreateSubscription
        | Nt::AlterSubscription
        | Nt::DropSubscription,
    ) = class
    {
        return true;
    }
    let words = words(Tokens::new(sql).take(MOST_WORDS));
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        ["CREATE" | "ALTER" | "DROP", "USER", "MAPPING", ..] => false,
        [
            "CREATE" | "ALTER" | "DROP",
            "ROLE" | "USER" | "GROUP" | "DATABASE" | "TABLESPACE" | "SUBSCRIPTION",
            ..,
        ]
        | [
            "COMMENT",
            "ON",
            "ROLE" | "DATABASE" | "TABLESPACE" | "SUBSCRIPTION",
            ..,
        ]
        | ["REASSIGN" | "DROP", "OWNED", ..] => true,
        ["GRANT" | "REVOKE", rest @ ..] => match rest.iter().position(|word| *word == "ON") {
            // Membership in a role.
            None => true,
            Some(on) => matches!(
                rest.get(on + 1),
                Some(&("DATABASE" | "TABLESPACE" | "PARAMETER"))
            ),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Step::{Down, DownAgain, Up, UpAgain};
    use super::*;

    fn versions(letters: &str) -> Vec<Traits> {
        // d: has a DOWN, -: has none; capital: both scripts say that they are idempotent.
        let version = |letter: char| Traits {
            has_down: letter.eq_ignore_ascii_case(&'d'),
            up_is_idempotent: letter.is_uppercase(),
            down_is_idempotent: letter == 'D',
        };
        letters.chars().map(version).collect()
    }

    #[test]
    fn every_way_is_gone_there_back_and_there_again() {
        for (letters, expected) in [
            ("", vec![]),
            ("d", vec![Up(0), Down(0), Up(0)]),
            ("-", vec![Up(0)]),
            ("D", vec![Up(0), UpAgain(0), Down(0), DownAgain(0), Up(0)]),
            ("dd", vec![Up(0), Up(1), Down(1), Down(0), Up(0), Up(1)]),
            (
                "-dd",
                vec![Up(0), Up(1), Up(2), Down(2), Down(1), Up(1), Up(2)],
            ),
            (
                "d-d",
                vec![Up(0), Down(0), Up(0), Up(1), Up(2), Down(2), Up(2)],
            ),
        ] {
            assert_eq!(steps(&versions(letters)), expected, "{letters}");
        }
    }

    #[test]
    fn statements_that_outlive_the_database_are_seen() {
        for (sql, expected) in [
            ("CREATE ROLE app", true),
            ("create user app password 'x'", true),
            ("CREATE USER MAPPING FOR app SERVER s", false),
            ("ALTER ROLE app SET search_path TO x", true),
            ("DROP GROUP IF EXISTS app", true),
            ("ALTER DATABASE shop SET work_mem TO '1MB'", true),
            ("CREATE TABLESPACE t LOCATION '/x'", true),
            ("ALTER SYSTEM SET work_mem TO '1MB'", true),
            ("GRANT reader TO app", true),
            ("GRANT SELECT (a, b), UPDATE ON TABLE t TO app", false),
            ("GRANT CONNECT ON DATABASE shop TO app", true),
            ("REVOKE ALL ON SCHEMA public FROM PUBLIC", false),
            ("COMMENT ON ROLE app IS 'x'", true),
            ("COMMENT ON COLUMN t.role IS 'x'", false),
            ("REASSIGN OWNED BY app TO other", true),
            ("DROP OWNED BY app", true),
            ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", true),
            ("CREATE TABLE role (id int)", false),
            (
                "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app",
                false,
            ),
        ] {
            let script = Script::parse(sql.as_bytes(), "schema_migrations").expect("a script");
            assert_eq!(!beyond_the_database(&script).is_empty(), expected, "{sql}");
        }
    }
}
