//! Whether it is the database that the caller knows, and a role that may work on it: what is judged of a look
//! before anything else. Pure.
//!
//! Behind one name there may be another database tomorrow: a restored backup, a standby that was behind, the
//! database of another environment. The random identity tells another one. The same one that went back in time
//! has fewer entries in its audit than were seen before, since each version, undone ones included, adds one.

use uuid::Uuid;

use crate::migration::version::Version;

use super::database::{Inspection, Installation};
use super::decision::Wish;
use super::error::{DatabaseError, DatabaseErrorKind};
use super::outcome::Stop;
use super::task::{Actor, Mode, Task};

/// What is known of a database from before, such as from a resource's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its identity.
    pub database_id: Uuid,
    /// How many entries its audit had at least; `None`: not known.
    pub audit_entries: Option<i64>,
    /// Versions that were applied.
    pub applied: Vec<Version>,
}

/// Lets a run on, or says why it must not even judge what it saw.
pub(super) fn admit(task: &Task, seen: &Inspection) -> Result<(), Stop> {
    judge_role(task, seen)?;
    if accepts_any_database(&task.mode) {
        return Ok(());
    }
    judge_identity(task, seen)
}

fn accepts_any_database(mode: &Mode) -> bool {
    matches!(mode, Mode::Decide(decision) if matches!(decision.wish, Wish::Database(_)))
}

/// Whoever may change a script would run programs on the database server. At the command line that is the
/// person who holds the password.
fn judge_role(task: &Task, seen: &Inspection) -> Result<(), Stop> {
    let is_allowed = task.allow_privileged_role || task.actor == Actor::CommandLine;
    if is_allowed || seen.privileges.is_empty() {
        return Ok(());
    }
    Err(Stop::Database(DatabaseError::new(
        DatabaseErrorKind::PrivilegedRole,
        format!(
            "Role \"{}\" may do more on the database server than a migration needs: {}. Whoever may change a \
             script could run programs there, or read and write its files. Nothing was changed. Sign in as a \
             role without that, or allow it with connection.allowPrivilegedRole: true.",
            seen.server.user,
            seen.privileges.join("; ")
        ),
    )))
}

/// Stops where another database answers than the known one, or the same one that lost a part of its history.
pub(super) fn judge_identity(task: &Task, seen: &Inspection) -> Result<(), Stop> {
    let Some(known) = &task.known else {
        return Ok(());
    };
    let Some((kind, what)) = difference(known, seen) else {
        return Ok(());
    };
    Err(Stop::Database(DatabaseError::new(
        kind,
        format!("{what} Nothing was changed.{}", way_out(task, seen)),
    )))
}

fn difference(known: &Known, seen: &Inspection) -> Option<(DatabaseErrorKind, String)> {
    let Some(installation) = seen.installation else {
        return Some((
            DatabaseErrorKind::HistoryRegressed,
            format!(
                "Database \"{}\" has no schema \"schemaward\", and it had one: the database with identity {} \
                 was here. An empty database, or a backup from before the first migration, took its place, \
                 or somebody dropped the schema.",
                seen.server.database,
                short(known.database_id)
            ),
        ));
    };
    if installation.database_id != known.database_id {
        return Some((
            DatabaseErrorKind::IdentityChanged,
            format!(
                "Another database answers under the same address: its identity is {}, and it was {}.",
                short(installation.database_id),
                short(known.database_id)
            ),
        ));
    }
    lost_history(known, &installation, seen).map(|what| (DatabaseErrorKind::HistoryRegressed, what))
}

/// What the database lost, if it lost something.
fn lost_history(known: &Known, installation: &Installation, seen: &Inspection) -> Option<String> {
    let before = known.audit_entries?;
    let now = installation.audit_entries;
    let missing: Vec<_> = known
        .applied
        .iter()
        .filter(|version| seen.history.get(version).is_none())
        // A row that is gone beside its record is tampering, which is judged with the history.
        .filter(|version| !seen.history.orphans().contains(version))
        .map(ToString::to_string)
        .collect();
    if now < before {
        let versions = if missing.is_empty() {
            String::new()
        } else {
            format!("; not applied any more: {}", missing.join(", "))
        };
        return Some(format!(
            "The database went back in time: its audit has {now} entries, and it had {before}{versions}. A backup \
             was restored, or a standby that was behind became the primary."
        ));
    }
    // Later entries may have undone it, from the command line.
    if now > before || missing.is_empty() {
        return None;
    }
    Some(format!(
        "The history lost what was applied ({}), and the audit has no entry that undid it. Somebody changed the \
         tables by hand.",
        missing.join(", ")
    ))
}

/// The command by which a person says that it is right so.
fn way_out(task: &Task, seen: &Inspection) -> String {
    match &task.actor {
        Actor::CommandLine => String::new(),
        Actor::Resource(owner) => format!(
            " If that is how it should be, accept it; what is not applied there is applied then: `kubectl -n {} \
             annotate --overwrite databaseschema {} schemaward.dev/accept=database:{}`. Otherwise bring the \
             right database back.",
            owner.namespace,
            owner.name,
            present(seen.installation.as_ref())
        ),
    }
}

/// How a person names the database that is there: the beginning of its identity, or `new` without one.
pub(super) fn present(installation: Option<&Installation>) -> String {
    installation.map_or_else(
        || "new".to_owned(),
        |installation| short(installation.database_id),
    )
}

/// The first eight digits of an identity.
pub(super) fn short(id: Uuid) -> String {
    id.simple().to_string().chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use crate::engine::database::{LedgerLimits, Server};
    use crate::engine::decision::{AcceptedDatabase, Decision};
    use crate::engine::server_identity::ServerSeen;
    use crate::engine::task::{Ledger, Owner, Patience};
    use crate::migration::catalog::Catalog;
    use crate::migration::history::{Applied, History};
    use crate::migration::target::{Policy, Target};

    use super::*;

    const ONE: Uuid = Uuid::from_u128(0x1dd7_01f2 << 96);
    const OTHER: Uuid = Uuid::from_u128(0x55b6_b8fc << 96);

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn seen(id: Option<Uuid>, entries: i64, applied: &[&str]) -> Inspection {
        let row = |text: &&str| Applied {
            version: version(text),
            name: "t".to_owned(),
            applied_at: None,
            execution_time_ms: None,
            checksum: None,
            stored: None,
        };
        Inspection {
            server_seen: ServerSeen::default(),
            server: Server {
                version: "16".to_owned(),
                database: "shop".to_owned(),
                user: "shop".to_owned(),
            },
            ledger_exists: id.is_some(),
            limits: LedgerLimits::default(),
            installation: id.map(|database_id| Installation {
                database_id,
                audit_entries: entries,
                is_outdated: false,
            }),
            claim: None,
            history: History::new(applied.iter().map(row).collect(), Vec::new()).unwrap(),
            missing_grants: Vec::new(),
            privileges: Vec::new(),
        }
    }

    fn task(known: Option<Known>) -> Task {
        Task {
            catalog: Catalog::default(),
            target: Target::Latest,
            policy: Policy::default(),
            mode: Mode::Migrate,
            ledger: Ledger::default(),
            actor: Actor::Resource(Owner {
                cluster: "c".to_owned(),
                namespace: "web".to_owned(),
                name: "shop".to_owned(),
                uid: "1".to_owned(),
            }),
            patience: Patience::default(),
            allow_privileged_role: false,
            review: None,
            known,
            checks: Vec::new(),
            is_scratch: false,
        }
    }

    /// Status knows database [`ONE`] at 002 with five entries.
    fn known() -> Known {
        Known {
            database_id: ONE,
            audit_entries: Some(5),
            applied: vec![version("001"), version("002")],
        }
    }

    fn error(task: &Task, seen: &Inspection) -> Option<DatabaseError> {
        match admit(task, seen) {
            Ok(()) => None,
            Err(Stop::Database(error)) => Some(error),
            Err(stop) => panic!("{stop:?}"),
        }
    }

    #[test]
    fn the_database_is_the_known_one_or_the_run_stops() {
        use DatabaseErrorKind::{HistoryRegressed as Regressed, IdentityChanged as Changed};
        let both = ["001", "002"];
        let table = [
            (seen(Some(ONE), 5, &both), None, "as it was"),
            (seen(Some(ONE), 9, &both), None, "audited since"),
            (
                seen(Some(ONE), 6, &["001"]),
                None,
                "undone from the command line",
            ),
            (seen(Some(OTHER), 5, &both), Some(Changed), "another one"),
            (
                seen(Some(OTHER), 99, &[]),
                Some(Changed),
                "another one, without versions",
            ),
            (seen(None, 0, &[]), Some(Regressed), "an empty one"),
            (seen(None, 0, &both), Some(Regressed), "our schema dropped"),
            (
                seen(Some(ONE), 4, &["001"]),
                Some(Regressed),
                "a standby that was behind",
            ),
            (seen(Some(ONE), 4, &both), Some(Regressed), "an entry lost"),
            (
                seen(Some(ONE), 5, &["001"]),
                Some(Regressed),
                "rows deleted by hand",
            ),
        ];
        for (seen, expected, case) in table {
            let found = error(&task(Some(known())), &seen).map(|error| error.kind);
            assert_eq!(found, expected, "{case}");
            assert_eq!(error(&task(None), &seen), None, "{case}, and nothing known");
        }
        let mut older = task(Some(known()));
        if let Some(known) = &mut older.known {
            known.audit_entries = None;
        }
        assert_eq!(
            error(&older, &seen(Some(ONE), 1, &[])),
            None,
            "entries not known"
        );
    }

    #[test]
    fn a_message_has_the_command_that_accepts_the_database() {
        let changed = error(&task(Some(known())), &seen(Some(OTHER), 5, &[])).unwrap();
        assert_eq!(
            changed.message,
            "Another database answers under the same address: its identity is 55b6b8fc, and it was 1dd701f2. \
             Nothing was changed. If that is how it should be, accept it; what is not applied there is applied \
             then: `kubectl -n web annotate --overwrite databaseschema shop \
             schemaward.dev/accept=database:55b6b8fc`. Otherwise bring the right database back."
        );
        let empty = error(&task(Some(known())), &seen(None, 0, &[])).unwrap();
        assert!(empty.message.contains("accept=database:new`"), "{empty}");
        let behind = error(&task(Some(known())), &seen(Some(ONE), 4, &["001"])).unwrap();
        let words = "its audit has 4 entries, and it had 5; not applied any more: 002.";
        assert!(behind.message.contains(words), "{behind}");
    }

    #[test]
    fn only_the_decision_about_the_database_passes_by_it() {
        let mut task = task(Some(known()));
        let decide = |wish| Mode::Decide(Box::new(Decision { wish, by: None }));
        task.mode = decide(Wish::accept("002").unwrap());
        assert!(admit(&task, &seen(Some(OTHER), 5, &[])).is_err());
        let accepted = AcceptedDatabase::parse("database").unwrap().unwrap();
        task.mode = decide(Wish::Database(accepted));
        assert!(admit(&task, &seen(Some(OTHER), 5, &[])).is_ok());
    }

    #[test]
    fn a_privileged_role_is_for_people_and_for_those_who_say_so() {
        let mut seen = seen(Some(ONE), 5, &[]);
        seen.privileges = vec!["it is a superuser".to_owned()];
        let mut task = task(None);
        let refused = error(&task, &seen).unwrap();
        assert_eq!(refused.kind, DatabaseErrorKind::PrivilegedRole);
        assert!(
            refused.message.contains("it is a superuser. Whoever"),
            "{refused}"
        );
        task.allow_privileged_role = true;
        assert_eq!(error(&task, &seen), None);
        task.allow_privileged_role = false;
        task.actor = Actor::CommandLine;
        assert_eq!(error(&task, &seen), None);
    }
}
