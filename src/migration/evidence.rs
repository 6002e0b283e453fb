//! What the catalog shows of what a statement acts on, and what that proves.
//!
//! A statement outside of a transaction commits by itself, at times in several transactions. Whether it was done is
//! never taken from its answer alone, nor from a lost connection: the catalog before it is compared with the catalog
//! after it. The table of conclusions is in docs/adr/0016.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::display::plain;
use super::subject::{ObjectKind, Subject};

/// What the catalog shows at one moment. As JSON it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// There is nothing to look at.
    Nothing,
    /// The indexes that the statement is about or can leave behind.
    Indexes(Vec<IndexSeen>),
    /// The indexes of the table that a new one is for, or what bears the new one's name.
    IndexesOn {
        /// The table's `oid`; `None`: there is none of its name.
        table: Option<u32>,
        /// The indexes.
        indexes: Vec<IndexSeen>,
    },
    /// A table as a partition of another.
    Partition {
        /// It is one.
        attached: bool,
        /// Its detaching was begun and is not finished.
        pending: bool,
        /// The `oid` of the partitioned table; `None`: there is none of its name.
        parent: Option<u32>,
        /// The `oid` of the partition.
        partition: Option<u32>,
    },
    /// Whether an object of that name exists.
    Object(bool),
}

/// One index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSeen {
    /// Its `oid`.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// False for one that queries do not use.
    pub valid: bool,
    /// Whether it is unique.
    pub unique: bool,
    /// The `oid` of its table.
    #[serde(default)]
    pub table: u32,
}

impl fmt::Display for IndexSeen {
    /// For a person to read: a quoted name may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", plain(&self.schema), plain(&self.name))
    }
}

/// How a statement ended, as far as its sender knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The server said that it is done.
    Succeeded,
    /// The server said that it failed.
    Failed,
    /// Nobody heard: the connection was lost, or the run that sent it died.
    Unheard,
}

/// What the catalog proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// The statement is done.
    Done,
    /// It is not done, and can be run again.
    NotDone {
        /// What it left, which running it again takes care of.
        leftover: Option<IndexSeen>,
    },
    /// It left something, one thing or more, that has to be put right first.
    Repair(Vec<Repair>),
    /// It did not do what it says: an invalid index that it did not make is in its place.
    InvalidIndex(IndexSeen),
    /// The server skipped it, because something that is no index of its table has the name.
    Skipped,
    /// Nobody can say.
    Unknown,
}

/// What puts right one thing that a statement left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Drop this invalid index.
    DropIndex(IndexSeen),
    /// Finish the detaching of a partition.
    FinishDetach,
}

/// What follows from the catalog before a statement and now.
#[must_use]
pub fn conclude(subject: &Subject, before: &Evidence, now: &Evidence, ended: Ended) -> Conclusion {
    use Evidence::{Indexes, IndexesOn, Object, Partition};
    match (subject, before, now) {
        (
            Subject::CreateIndex { name, unique, .. },
            IndexesOn {
                table: was,
                indexes: before,
            },
            IndexesOn {
                table,
                indexes: now,
            },
        ) => match table {
            _ if leads_elsewhere(*was, *table) => unprovable(ended),
            None => by_answer(ended),
            Some(table) => {
                let (table, unique) = (*table, *unique);
                let index = NewIndex { table, unique };
                match name {
                    Some(_) => index.named(before.first(), now.first(), ended),
                    None => index.unnamed(before, now, ended),
                }
            }
        },
        (Subject::DropIndex { .. }, Indexes(before), Indexes(now)) => {
            dropped_index(before, now, ended)
        }
        (Subject::Reindex(_), Indexes(before), Indexes(now)) => {
            let leftovers: Vec<_> = now
                .iter()
                .filter(|index| !is_among(before, index))
                .map(|index| Repair::DropIndex(index.clone()))
                .collect();
            if leftovers.is_empty() {
                repeatable(ended)
            } else {
                Conclusion::Repair(leftovers)
            }
        }
        (
            Subject::DetachPartition { .. },
            Partition {
                attached: was,
                pending: was_pending,
                parent: old_parent,
                partition: old_partition,
            },
            Partition {
                attached,
                pending,
                parent,
                partition,
            },
        ) => match (was, attached, pending) {
            _ if leads_elsewhere(*old_parent, *parent)
                || leads_elsewhere(*old_partition, *partition) =>
            {
                unprovable(ended)
            }
            (true, false, _) => Conclusion::Done,
            (_, true, true) if !was_pending => Conclusion::Repair(vec![Repair::FinishDetach]),
            // With IF EXISTS no such table is success, without it the server refuses.
            (false, false, _) => repeatable(ended),
            _ => by_answer(ended),
        },
        (Subject::Object { kind, creates, .. }, Object(before), Object(now)) => {
            object(*kind, *creates, *before, *now, ended)
        }
        (Subject::Repeatable, _, _) => repeatable(ended),
        _ => unprovable(ended),
    }
}

/// Running it again does no harm.
fn repeatable(ended: Ended) -> Conclusion {
    match ended {
        Ended::Succeeded => Conclusion::Done,
        Ended::Failed | Ended::Unheard => NOT_DONE,
    }
}

/// The catalog says that it is not done; a server that says otherwise is contradicted.
fn by_answer(ended: Ended) -> Conclusion {
    match ended {
        Ended::Succeeded => Conclusion::Unknown,
        Ended::Failed | Ended::Unheard => NOT_DONE,
    }
}

/// The catalog says nothing; the server's word is all there is.
fn unprovable(ended: Ended) -> Conclusion {
    match ended {
        Ended::Succeeded => Conclusion::Done,
        Ended::Failed => NOT_DONE,
        Ended::Unheard => Conclusion::Unknown,
    }
}

const NOT_DONE: Conclusion = Conclusion::NotDone { leftover: None };

/// True when a name leads to another relation than before the statement, or to none. What the catalog shows
/// of that one proves nothing.
fn leads_elsewhere(before: Option<u32>, now: Option<u32>) -> bool {
    before.is_some() && before != now
}

fn is_among(known: &[IndexSeen], index: &IndexSeen) -> bool {
    known.iter().any(|known| known.oid == index.oid)
}

/// An index that a statement makes.
struct NewIndex {
    /// The `oid` of its table.
    table: u32,
    unique: bool,
}

impl NewIndex {
    fn named(
        &self,
        before: Option<&IndexSeen>,
        now: Option<&IndexSeen>,
        ended: Ended,
    ) -> Conclusion {
        let is_ours = |index: &&IndexSeen| index.table == self.table;
        match (before.filter(is_ours), now.filter(is_ours)) {
            // An index of another table that has the name is in the way, and no business of ours.
            (None, None) if ended == Ended::Succeeded => Conclusion::Skipped,
            (None, None) => NOT_DONE,
            (None, Some(new)) => self.made(new, ended),
            (Some(old), Some(found)) if old.oid == found.oid && !found.valid => {
                Conclusion::InvalidIndex(found.clone())
            }
            // The name was taken: with IF NOT EXISTS that is success, without it the server refuses.
            (Some(old), Some(found)) if old.oid == found.oid => repeatable(ended),
            // Somebody else had a hand in it.
            (Some(_), _) => unprovable(ended),
        }
    }

    fn unnamed(&self, before: &[IndexSeen], now: &[IndexSeen], ended: Ended) -> Conclusion {
        let new = now.iter().filter(|index| !is_among(before, index));
        match new.collect::<Vec<_>>().as_slice() {
            [] => by_answer(ended),
            // Without a name it may be somebody else's: between two runs nobody held the lock.
            [new] if new.valid && ended == Ended::Unheard => Conclusion::Unknown,
            [new] => self.made(new, ended),
            several if several.iter().all(|index| index.valid) => unprovable(ended),
            _ => Conclusion::Unknown,
        }
    }

    /// An index that was not there before the statement.
    fn made(&self, new: &IndexSeen, ended: Ended) -> Conclusion {
        if !new.valid {
            Conclusion::Repair(vec![Repair::DropIndex(new.clone())])
        } else if ended == Ended::Failed {
            // A build that failed leaves no valid index; this one is somebody else's.
            NOT_DONE
        } else if new.unique == self.unique {
            Conclusion::Done
        } else {
            Conclusion::Unknown
        }
    }
}

fn dropped_index(before: &[IndexSeen], now: &[IndexSeen], ended: Ended) -> Conclusion {
    let Some(old) = before.first() else {
        // With IF EXISTS nothing to drop is success, without it the server refuses.
        return repeatable(ended);
    };
    match now.iter().find(|index| index.oid == old.oid) {
        None => Conclusion::Done,
        Some(_) if ended == Ended::Succeeded => Conclusion::Unknown,
        Some(found) => Conclusion::NotDone {
            leftover: (!found.valid).then(|| found.clone()),
        },
    }
}

fn object(kind: ObjectKind, creates: bool, before: bool, now: bool, ended: Ended) -> Conclusion {
    match (creates, before, now) {
        // What is there although the server refused to make it is somebody else's.
        (true, false, true) if ended == Ended::Failed => NOT_DONE,
        (true, false, true) | (false, true, false) => Conclusion::Done,
        // With IF [NOT] EXISTS nothing to do is success, without it the server refuses.
        (true, true, _) | (false, false, false) => repeatable(ended),
        // The publisher may have a replication slot of it all the same.
        (true, false, false) if kind == ObjectKind::Subscription && ended == Ended::Unheard => {
            Conclusion::Unknown
        }
        (true, false, false) | (false, _, true) => by_answer(ended),
    }
}

#[cfg(test)]
mod tests;
