//! Whether the files of a version are what was applied and what is pinned.

use super::catalog::{Migration, ScriptFile};
use super::checksum::Checksum;
use super::file_name::Direction;
use super::history::Applied;
use super::mismatch::{Against, LineEnds, Mismatch};

/// Every text of a version that is not the expected one. A DOWN that is gone is none, the stored one runs; nor is one
/// that was added after the version was applied.
pub(super) fn mismatches(migration: &Migration, applied: Option<&Applied>) -> Vec<Mismatch> {
    let file = |direction| match direction {
        Direction::Up => Some(&migration.up),
        Direction::Down => migration.down.as_ref(),
    };
    let mut expectations = Vec::new();
    if let Some(applied) = applied {
        expectations.extend(recorded(applied));
    }
    if let Some(pin) = migration.pin {
        expectations.push((Direction::Up, Some(pin.up), Against::Pin));
        expectations.extend(
            pin.down
                .map(|down| (Direction::Down, Some(down), Against::Pin)),
        );
    }
    expectations
        .into_iter()
        .filter_map(|(direction, expected, against)| {
            let file: &ScriptFile = file(direction)?;
            (expected != Some(file.checksum)).then(|| Mismatch {
                version: migration.version.clone(),
                direction,
                expected,
                found: file.checksum,
                against,
                wanted_line_ends: expected
                    .and_then(|expected| LineEnds::that_make(&file.bytes, &expected)),
            })
        })
        .collect()
}

/// What is known of the applied texts, our own record before the ledger. `None` as the checksum: the ledger's text is
/// no SHA-256, and so equals no file's.
fn recorded(applied: &Applied) -> Vec<(Direction, Option<Checksum>, Against)> {
    match (&applied.stored, &applied.checksum) {
        (Some(stored), _) => {
            let down = stored
                .down
                .map(|down| (Direction::Down, Some(down), Against::Recorded));
            let up = (Direction::Up, Some(stored.up), Against::Recorded);
            std::iter::once(up).chain(down).collect()
        }
        (None, Some(text)) => vec![(Direction::Up, Checksum::parse(text).ok(), Against::Ledger)],
        (None, None) => Vec::new(),
    }
}
