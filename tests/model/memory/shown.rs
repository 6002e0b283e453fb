//! What a database shows to a run that looks at it.

use jiff::Timestamp;
use schemaward::engine::database::{Inspection, Installation, LedgerLimits, Request, Server};
use schemaward::engine::server_identity::ServerSeen;
use schemaward::migration::begun::{Begun, Entry, EntryState};
use schemaward::migration::evidence::{Evidence, IndexSeen};
use schemaward::migration::file_name::Direction;
use schemaward::migration::history::{self, Applied, History};
use schemaward::migration::version::Version;
use uuid::Uuid;

use super::execution;
use crate::database::{self, Committed, Seen, Whole};
use crate::scenario::{Defect, Scenario, owner};
use crate::texts::{self, STATEMENTS, VERSIONS};

/// What the catalog shows of the statement that a request is about.
pub fn evidence(request: &Request, seen: Seen) -> Evidence {
    let execution = execution(request);
    let number = texts::number(&execution.version);
    evidence_of(number, execution.record.direction(), seen)
}

/// The table of all indexes, and of all partitions.
const TABLE: u32 = 7;

fn evidence_of(number: usize, direction: Direction, seen: Seen) -> Evidence {
    let index = |oid, name: String, valid| IndexSeen {
        oid,
        schema: "public".to_owned(),
        name,
        valid,
        unique: false,
        table: TABLE,
    };
    match seen {
        Seen::Nothing => Evidence::Nothing,
        Seen::Leftovers(count) => {
            let left = (0..u32::from(count)).map(|oid| {
                let name = format!("i{number}_ccnew{oid}");
                index(100 + oid, name, false)
            });
            Evidence::Indexes(left.collect())
        }
        Seen::Partition { attached, pending } => Evidence::Partition {
            attached,
            pending,
            parent: Some(TABLE),
            partition: Some(TABLE + 1),
        },
        Seen::Index(seen) => {
            let seen = seen.map(|seen| index(seen.oid.into(), format!("i{number}"), seen.valid));
            let indexes = seen.into_iter().collect();
            match direction {
                Direction::Up => Evidence::IndexesOn {
                    table: Some(TABLE),
                    indexes,
                },
                Direction::Down => Evidence::Indexes(indexes),
            }
        }
    }
}

/// The journal of a database.
fn begun(journal: database::Begun) -> Begun {
    let (number, variant) = (usize::from(journal.number), usize::from(journal.variant));
    if let Some(whole) = journal.whole {
        return Begun {
            version: texts::version(number, journal.zeros),
            direction: Direction::Up,
            entries: vec![whole_script(number, variant, whole)],
        };
    }
    let checksums = texts::journal_checksums(number, variant, journal.down);
    let entry = |place: usize, state, before| Entry {
        first: place + 1,
        last: place + 1,
        checksum: checksums[place],
        state,
        before,
    };
    let direction = if journal.down {
        Direction::Down
    } else {
        Direction::Up
    };
    let first = journal.first.then(|| entry(0, EntryState::Done, None));
    let middle = match journal.middle {
        database::Entry::None => None,
        database::Entry::Started(before) => {
            let before = evidence_of(number, direction, before);
            Some(entry(1, EntryState::Started, Some(before)))
        }
        database::Entry::Done => Some(entry(1, EntryState::Done, Some(Evidence::Nothing))),
    };
    Begun {
        version: texts::version(number, journal.zeros),
        direction,
        entries: first.into_iter().chain(middle).collect(),
    }
}

fn whole_script(number: usize, variant: usize, whole: Whole) -> Entry {
    Entry {
        first: 1,
        last: STATEMENTS,
        checksum: texts::whole_checksum(number, variant),
        state: match whole {
            Whole::Escaped => EntryState::Escaped,
            Whole::Done => EntryState::Done,
        },
        before: None,
    }
}

/// What a look at a database shows.
pub fn inspection(scenario: &Scenario, committed: &Committed) -> Inspection {
    Inspection {
        server_seen: ServerSeen::default(),
        server: Server {
            version: "16".to_owned(),
            database: "d".to_owned(),
            user: "u".to_owned(),
        },
        ledger_exists: committed.ledger,
        limits: LedgerLimits::default(),
        installation: committed.installed.then_some(Installation {
            database_id: Uuid::from_u128(7),
            audit_entries: 1,
            is_outdated: false,
        }),
        claim: committed.claim.map(owner),
        history: match scenario.defect {
            Some(Defect::UndoneForgotten) => history(committed).with_undone([]),
            Some(Defect::JournalUnread) => history(committed).with_begun(None),
            _ => history(committed),
        },
        missing_grants: Vec::new(),
        privileges: Vec::new(),
    }
}

/// The history of a database.
pub fn history(committed: &Committed) -> History {
    let rows = committed.applied().map(|number| {
        let row = committed.fate(number).row.expect("it is applied");
        Applied {
            version: texts::version(number, row.zeros),
            name: "v".to_owned(),
            applied_at: Some(Timestamp::UNIX_EPOCH),
            execution_time_ms: Some(1),
            checksum: row
                .checksum
                .map(|variant| texts::up_checksum_text(number, usize::from(variant))),
            stored: row.stored.map(|stored| history::Stored {
                up: texts::up_checksum(number, usize::from(stored.variant)),
                down: stored
                    .down
                    .then(|| texts::down_checksum(number, usize::from(stored.variant))),
            }),
        }
    });
    History::new(rows.collect(), Vec::new())
        .expect("each version is there once")
        .with_begun(committed.begun.map(begun))
        .with_undone(undone(committed))
}

fn undone(committed: &Committed) -> impl Iterator<Item = (Version, u64)> {
    let counts = (1..=VERSIONS).map(|number| (number, committed.fate(number).undone));
    counts
        .filter(|(_, undone)| *undone > 0)
        .map(|(number, undone)| (texts::version(number, 0), undone.into()))
}
