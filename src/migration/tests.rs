//! Catalogs and histories for the tests of plan and overview, from a short notation.

use super::catalog::{Catalog, Pin, SourceFile};
use super::checksum::Checksum;
use super::history::{Applied, History, Stored};
use super::version::Version;

pub(super) fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// The checksum of the text that [`catalog`] gives the UP (`"2"`) or DOWN (`"2-"`) of a version.
pub(super) fn checksum(text: &str) -> Checksum {
    Checksum::of(text.as_bytes())
}

/// A set from words: `2` has an UP, `2-` a DOWN as well, `2!` an UP with another text, `2-!` a DOWN with another text,
/// `2p` an UP that a wrong checksum is pinned for.
pub(super) fn catalog(notation: &str) -> Catalog {
    let file = |name: String, text: String| SourceFile {
        name,
        bytes: text.into_bytes(),
    };
    let mut files = Vec::new();
    let mut pinned = Vec::new();
    for word in notation.split_whitespace() {
        let number = word.trim_end_matches(['-', '!', 'p']);
        let up = if word.ends_with('!') && !word.contains('-') {
            "changed"
        } else {
            ""
        };
        files.push(file(format!("{number}_n_UP.sql"), format!("{number}{up}")));
        if word.contains('-') {
            let down = if word.ends_with('!') { "changed" } else { "" };
            files.push(file(
                format!("{number}_n_DOWN.sql"),
                format!("{number}-{down}"),
            ));
        }
        if word.ends_with('p') {
            pinned.push(version(number));
        }
    }
    let catalog = Catalog::from_files(files, "schema_migrations", &|_| true).unwrap();
    let listed: Vec<_> = catalog
        .iter()
        .map(|migration| super::catalog::Listed {
            version: migration.version.clone(),
            name: None,
            pin: pinned.contains(&migration.version).then_some(Pin {
                up: checksum("pin"),
                down: None,
            }),
        })
        .collect();
    catalog.select(&listed).unwrap()
}

/// A history from words: `2` is recorded without, `2-` with a DOWN; `2?` is another program's row without a checksum,
/// `2=` one with the right checksum, `2x` one with a wrong checksum, `2t` one with a text that is none; `2#` is recorded
/// but its ledger row has another checksum; `2o` is an orphan.
pub(super) fn history(notation: &str) -> History {
    let mut rows = Vec::new();
    let mut orphans = Vec::new();
    for word in notation.split_whitespace() {
        let number = word.trim_end_matches(['-', '?', '=', 'x', 't', '#', 'o']);
        let up = checksum(number);
        let (in_ledger, stored) = match &word[number.len()..] {
            "" => (Some(up.to_string()), Some(Stored { up, down: None })),
            "-" => (
                Some(up.to_string()),
                Some(Stored {
                    up,
                    down: Some(checksum(&format!("{number}-"))),
                }),
            ),
            "?" => (None, None),
            "=" => (Some(up.to_string().to_uppercase()), None),
            "x" => (Some(checksum("other").to_string()), None),
            "t" => (Some("an\u{1b}y text".to_owned()), None),
            "#" => (
                Some(checksum("other").to_string()),
                Some(Stored { up, down: None }),
            ),
            "o" => {
                orphans.push(version(number));
                continue;
            }
            other => panic!("{other}"),
        };
        rows.push(Applied {
            version: version(number),
            name: format!("name{number}"),
            applied_at: None,
            execution_time_ms: Some(7),
            checksum: in_ledger,
            stored,
        });
    }
    History::new(rows, orphans).unwrap()
}
