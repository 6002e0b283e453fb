//! `accept database`: the database that answers now is the right one.

use super::{Change, InvalidWish, Refusal};
use crate::engine::database::Inspection;
use crate::engine::identity::{judge_identity, present};
use crate::engine::task::Task;

/// The word that says what is accepted.
const WORD: &str = "database";
/// What a database without an identity is called.
const NEW: &str = "new";
/// Least length of the beginning of an identity.
const SHORTEST: usize = 8;

/// Which database is accepted: the beginning of its identity, `new`, or nothing for whichever answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedDatabase(Option<String>);

impl AcceptedDatabase {
    /// Reads `database`, `database:new` or `database:1dd701f2`; `None` when it is about something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, InvalidWish>> {
        let rest = text.trim().strip_prefix(WORD)?;
        if rest.is_empty() {
            return Some(Ok(Self(None)));
        }
        let name = rest
            .strip_prefix(':')?
            .to_ascii_lowercase()
            .replace('-', "");
        let is_identity =
            name.len() >= SHORTEST && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(if name == NEW || is_identity {
            Ok(Self(Some(name)))
        } else {
            Err(InvalidWish(format!(
                "what follows {WORD}: is neither {NEW} nor the beginning of an identity, 8 hexadecimal digits"
            )))
        })
    }
}

/// What accepting the database changes; `None`: it is the one that is known.
pub(super) fn accept(
    task: &Task,
    seen: &Inspection,
    accepted: &AcceptedDatabase,
) -> Result<Option<Change>, Refusal> {
    let Some(known) = &task.known else {
        return Ok(None);
    };
    if judge_identity(task, seen).is_ok() {
        return Ok(None);
    }
    let database = present(seen.installation.as_ref());
    if let Some(named) = accepted.0.as_ref().filter(|named| !is_named(named, seen)) {
        return Err(Refusal::OtherDatabase {
            named: named.clone(),
            present: database,
        });
    }
    Ok(Some(Change::Know {
        database,
        before: known.database_id,
        entries_before: known.audit_entries,
        entries: seen.installation.map_or(0, |found| found.audit_entries),
    }))
}

fn is_named(name: &str, seen: &Inspection) -> bool {
    match seen.installation {
        None => name == NEW,
        Some(found) => found.database_id.simple().to_string().starts_with(name),
    }
}
