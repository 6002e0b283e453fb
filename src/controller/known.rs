//! Scripts that were judged before: a file whose checksum is among them is hashed, not parsed
//! (decision 8).

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::migration::catalog::Catalog;
use crate::migration::checksum::Checksum;

/// At most this many are remembered, some 5 MB; beyond it the memory starts anew.
const CAPACITY: usize = 50_000;

/// Checksums of scripts without a defect. A script is judged with the name of the history table in
/// mind (its self-record), so that name belongs to the key.
#[derive(Debug, Default)]
pub struct KnownScripts(Mutex<HashSet<(String, Checksum)>>);

impl KnownScripts {
    /// True when this script was judged before for a history table of this name.
    #[must_use]
    pub fn contains(&self, ledger_table: &str, checksum: &Checksum) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&(ledger_table.to_owned(), *checksum))
    }

    /// Remembers the scripts of a catalog, which has no defects.
    pub fn remember(&self, ledger_table: &str, catalog: &Catalog) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for migration in catalog.iter() {
            let down = migration.down.as_ref().map(|down| down.checksum);
            for checksum in std::iter::once(migration.up.checksum).chain(down) {
                if known.len() >= CAPACITY {
                    known.clear();
                }
                known.insert((ledger_table.to_owned(), checksum));
            }
        }
    }
}
