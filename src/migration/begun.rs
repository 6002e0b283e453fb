//! A version that was begun and is not recorded yet, as the journal has it.

use super::checksum::Checksum;
use super::classify::is_session_setting;
use super::evidence::Evidence;
use super::file_name::Direction;
use super::script::Script;
use super::version::Version;

/// A version of which a part was run, and which is not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The version.
    pub version: Version,
    /// Whether its UP or its DOWN was begun.
    pub direction: Direction,
    /// Its parts in the journal, in the order of the file.
    pub entries: Vec<Entry>,
}

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of its first statement in the file, from 1.
    pub first: usize,
    /// The number of its last one.
    pub last: usize,
    /// [`Script::checksum_of`] these statements.
    pub checksum: Checksum,
    /// How far it came.
    pub state: EntryState,
    /// What the catalog showed before it was started; `None` for a transaction.
    pub before: Option<Evidence>,
}

/// What is known of a version that is begun without the migration lock: whoever began it may be at it now.
pub const BEGUN: &str = "is begun and not recorded";

/// How far a part came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryState {
    /// A statement outside of a transaction was about to be sent. Whether it is done, the catalog tells.
    Started,
    /// It is done.
    Done,
    /// The script ended the transaction that it ran in: what it did cannot be told.
    Escaped,
}

impl EntryState {
    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Done => "done",
            Self::Escaped => "escaped",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Started, Self::Done, Self::Escaped]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

impl Entry {
    fn covers(&self, number: usize) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

impl Begun {
    /// The number of the last statement that is done, 0 when none is.
    #[must_use]
    pub fn last_done(&self) -> usize {
        let done = self.of(EntryState::Done).map(|entry| entry.last);
        done.max().unwrap_or(0)
    }

    /// Whether the statement of this number is one of those that are done.
    #[must_use]
    pub fn covers(&self, number: usize) -> bool {
        self.of(EntryState::Done).any(|entry| entry.covers(number))
    }

    /// The statement whose end is not known.
    #[must_use]
    pub fn started(&self) -> Option<&Entry> {
        self.of(EntryState::Started).next()
    }

    /// The part that ended its transaction by itself.
    #[must_use]
    pub fn escaped(&self) -> Option<&Entry> {
        self.of(EntryState::Escaped).next()
    }

    /// ` (annotation …)`: how a resource says what became of what is in doubt; `None`: nothing is.
    #[must_use]
    pub fn resolve_annotation(&self) -> Option<String> {
        let entry = self.escaped().or_else(|| self.started())?;
        Some(format!(
            " (annotation schemaward.dev/resolve={0}:{1}=applied, or with =retry at its end)",
            self.version,
            entry.checksum.short()
        ))
    }

    fn of(&self, state: EntryState) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.state == state)
    }

    /// What was begun: `002`, `the DOWN of 002`.
    #[must_use]
    pub fn script(&self) -> String {
        match self.direction {
            Direction::Up => self.version.to_string(),
            Direction::Down => format!("the DOWN of {}", self.version),
        }
    }

    /// How far it came, in words: `statements 1 to 3 are done, 4 was started`.
    #[must_use]
    pub fn progress(&self) -> String {
        let done = match self.last_done() {
            0 => None,
            1 => Some("statement 1 is done".to_owned()),
            last => Some(format!("statements 1 to {last} are done")),
        };
        if self.escaped().is_some() {
            let escape =
                "it ended the transaction that it ran in, so a part of it may be in the database";
            return done.map_or_else(
                || escape.to_owned(),
                |done| format!("{done}; then {escape}"),
            );
        }
        match (done, self.started()) {
            (Some(done), Some(entry)) => format!("{done}, {} was started", entry.first),
            (Some(done), None) => done,
            (None, Some(entry)) => format!("statement {} was started", entry.first),
            (None, None) => "nothing of it is known to be done".to_owned(),
        }
    }

    /// That it is begun, as a sentence: `The DOWN of 002 is begun and not recorded: statement 1 is done.` `how` is what
    /// is known of it, such as [`BEGUN`].
    #[must_use]
    pub fn sentence(&self, how: &str) -> String {
        let clause = format!("{} {how}: {}.", self.script(), self.progress());
        match clause.strip_prefix("the") {
            Some(rest) => format!("The{rest}"),
            None => clause,
        }
    }

    /// The same as a clause, of whoever looks without the migration lock.
    #[must_use]
    pub fn seen(&self) -> String {
        format!("{} {BEGUN}: {}", self.script(), self.progress())
    }

    /// The first entry that is not, at its place, what `script` says now; `None`: what was begun is still the
    /// beginning of the script.
    #[must_use]
    pub fn contradiction(&self, script: &Script) -> Option<&Entry> {
        let changed = self.entries.iter().find(|entry| {
            let place = |number| {
                let statements = script.statements();
                statements
                    .binary_search_by_key(&number, |statement| statement.number)
                    .ok()
            };
            match (place(entry.first), place(entry.last)) {
                (Some(first), Some(last)) if first <= last => {
                    script.checksum_of(first..last + 1) != entry.checksum
                }
                _ => true,
            }
        });
        changed.or_else(|| self.slipped_in(script))
    }

    /// A statement that stands before the last one that was begun, and was not there then.
    fn slipped_in(&self, script: &Script) -> Option<&Entry> {
        let last_begun = self.entries.iter().map(|entry| entry.last).max();
        let is_begun = |number| self.entries.iter().any(|entry| entry.covers(number));
        let number = script
            .statements()
            .iter()
            .take_while(|statement| Some(statement.number) <= last_begun)
            .filter(|statement| !statement.is_self_record)
            .filter(|statement| !is_session_setting(script.text_of(statement)))
            .map(|statement| statement.number)
            .find(|number| !is_begun(*number))?;
        self.entries.iter().find(|entry| entry.first > number)
    }
}

#[cfg(test)]
mod tests;
