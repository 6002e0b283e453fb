//! What the catalog shows of what a statement acts on, and what that proves.
//!
//! A statement outside of a transaction commits by itself, at times in several transactions. Whether it was done is
//! never taken from its answer alone, nor from a lost connection: the catalog before it is compared with the catalog
//! after it. The table of conclusions is in docs/adr/0016.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::subject::{ObjectKind, Subject};

/// What the catalog shows at one moment. As JSON it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// There is nothing to look at.
    Nothing,
    /// The indexes that the statement is about or can leave behind.
    Indexes(Vec<IndexSeen>),
    /// A table as a partition of another.
    Partition {
        /// It is one.
        attached: bool,
        /// Its detaching was begun and is not finished.
        pending: bool,
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
}

impl fmt::Display for IndexSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
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
    /// It left something that has to be put right first.
    Repair(Repair),
    /// It did not do what it says: an invalid index that it did not make is in its place.
    InvalidIndex(IndexSeen),
    /// The server skipped it, because something that is no index has the name.
    Skipped,
    /// Nobody can say.
    Unknown,
}

/// What puts right what a statement left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Drop these invalid indexes.
    DropIndexes(Vec<IndexSeen>),
    /// Finish the detaching of a partition.
    FinishDetach,
}

/// What follows from the catalog before a statement and now.
#[must_use]
pub fn conclude(subject: &Subject, before: &Evidence, now: &Evidence, ended: Ended) -> Conclusion {
    use Evidence::{Indexes, Object, Partition};
    match (subject, before, now) {
        (Subject::CreateIndex { name, unique, .. }, Indexes(before), Indexes(now)) => match name {
            Some(_) => named_index(*unique, before.first(), now.first(), ended),
            None => unnamed_index(*unique, before, now, ended),
        },
        (Subject::DropIndex { .. }, Indexes(before), Indexes(now)) => {
            dropped_index(before, now, ended)
        }
        (Subject::Reindex(_), Indexes(before), Indexes(now)) => {
            let leftovers: Vec<_> = now
                .iter()
                .filter(|index| !before.contains(index))
                .cloned()
                .collect();
            if leftovers.is_empty() {
                repeatable(ended)
            } else {
                Conclusion::Repair(Repair::DropIndexes(leftovers))
            }
        }
        (
            Subject::DetachPartition { .. },
            Partition {
                attached: was,
                pending: was_pending,
            },
            Partition { attached, pending },
        ) => match (was, attached, pending) {
            (true, false, _) => Conclusion::Done,
            (_, true, true) if !was_pending => Conclusion::Repair(Repair::FinishDetach),
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

fn named_index(
    unique: bool,
    before: Option<&IndexSeen>,
    now: Option<&IndexSeen>,
    ended: Ended,
) -> Conclusion {
    match (before, now) {
        (None, None) if ended == Ended::Succeeded => Conclusion::Skipped,
        (None, None) => NOT_DONE,
        (None, Some(new)) => made(unique, new, ended),
        (Some(old), Some(found)) if old.oid == found.oid && !found.valid => {
            Conclusion::InvalidIndex(found.clone())
        }
        // The name was taken: with IF NOT EXISTS that is success, without it the server refuses.
        (Some(old), Some(found)) if old.oid == found.oid => repeatable(ended),
        // Somebody else had a hand in it.
        (Some(_), _) => unprovable(ended),
    }
}

fn unnamed_index(
    unique: bool,
    before: &[IndexSeen],
    now: &[IndexSeen],
    ended: Ended,
) -> Conclusion {
    let is_new = |index: &&IndexSeen| !before.iter().any(|known| known.oid == index.oid);
    match now.iter().filter(is_new).collect::<Vec<_>>().as_slice() {
        [] => by_answer(ended),
        // Without a name it may be somebody else's: between two runs nobody held the lock.
        [new] if new.valid && ended == Ended::Unheard => Conclusion::Unknown,
        [new] => made(unique, new, ended),
        several if several.iter().all(|index| index.valid) => unprovable(ended),
        _ => Conclusion::Unknown,
    }
}

/// An index that was not there before the statement.
fn made(unique: bool, new: &IndexSeen, ended: Ended) -> Conclusion {
    if !new.valid {
        Conclusion::Repair(Repair::DropIndexes(vec![new.clone()]))
    } else if ended == Ended::Failed {
        // A build that failed leaves no valid index; this one is somebody else's.
        NOT_DONE
    } else if new.unique == unique {
        Conclusion::Done
    } else {
        Conclusion::Unknown
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
