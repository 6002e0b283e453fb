//! What a person may decide: the wish, what follows from it in the database, and why it may not be.
//!
//! A decision is a run of its own ([`super::task::Mode::Decide`]): it looks, takes the migration lock, looks
//! again, and writes what [`weigh`] says in one transaction with its rows in the audit. No script runs. Both
//! drivers come here, the command line from its arguments and the operator from an annotation, so that a
//! text of the annotation and an argument mean the same.

use std::fmt;

use uuid::Uuid;

use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::history::AuditDefect;
use crate::migration::version::Version;

use super::database::Texts;
use super::server_identity::ServerIdentity;
use super::task::Owner;

mod accept;
mod database;
mod resolve;
mod takeover;
mod weigh;
mod words;

pub use accept::AcceptedText;
pub use database::AcceptedDatabase;
pub use resolve::{Resolution, Verdict};
pub use takeover::PresentOwner;
pub(super) use weigh::{Weighed, weigh};

/// What somebody decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What it is.
    pub wish: Wish,
    /// Who it was, where that is known: for the audit, which has the actor of the run and the database
    /// role besides.
    pub by: Option<String>,
}

/// What a person may wish for. A new one needs a text ([`Wish`]'s constructors), a judgement (`weigh.rs`)
/// and, if it changes something new, a [`Change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// The present files of these versions are the truth about what was applied; or, where the history
    /// lost a version, the history is.
    Accept(Vec<AcceptedText>),
    /// The audit is taken as it stands; from here on it is verified again.
    AcceptAudit,
    /// The database that answers now is the right one, although a resource knew another one, or this one
    /// with more history.
    Database(AcceptedDatabase),
    /// The history is let go by this owner: a resource takes it for itself, the command line leaves it to
    /// the next one that comes.
    Takeover(PresentOwner),
    /// What became of a statement that is in doubt.
    Resolve(Resolution),
}

/// A text that is no decision. Displayed as a clause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidWish(String);

impl Wish {
    /// Reads what is to be accepted: `audit`, or versions parted by commas or blanks, each alone (`002`) or
    /// with the checksum of its text (`002:1dd701f2`).
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn accept(text: &str) -> Result<Self, InvalidWish> {
        if text.trim() == "audit" {
            return Ok(Self::AcceptAudit);
        }
        let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
        let mut texts: Vec<AcceptedText> = Vec::new();
        for part in parts {
            let accepted = AcceptedText::parse(part)?;
            if texts.iter().any(|text| text.version == accepted.version) {
                let version = accepted.version;
                return Err(InvalidWish(format!("it names {version} more than once")));
            }
            texts.push(accepted);
        }
        if texts.is_empty() {
            return Err(InvalidWish("it names no version".to_owned()));
        }
        Ok(Self::Accept(texts))
    }

    /// Reads which database is accepted: `database`, or `database:1dd701f2` with the beginning of its
    /// identity (`new` where it has none). `None` when the text is about something else.
    #[must_use]
    pub fn database(text: &str) -> Option<Result<Self, InvalidWish>> {
        AcceptedDatabase::parse(text).map(|accepted| accepted.map(Self::Database))
    }

    /// Reads whose history is taken over: `namespace/name`, or the uid of the resource.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn takeover(text: &str) -> Result<Self, InvalidWish> {
        PresentOwner::parse(text).map(Self::Takeover)
    }

    /// Reads what became of a statement: `002:1dd701f2=applied` or `=retry`.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn resolve(text: &str) -> Result<Self, InvalidWish> {
        Resolution::parse(text).map(Self::Resolve)
    }
}

/// What one decision does to the database, in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// What changes, each with a row in the audit.
    pub changes: Vec<Change>,
    /// The server, where the audit does not have it yet.
    pub server: Option<ServerIdentity>,
    /// Who decided, for the audit.
    pub actor: String,
}

/// One change that a person decided. Displayed as the sentence that says what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Ledger row and record of an applied version get the file's texts.
    Take {
        /// The version as it stands in the ledger.
        version: Version,
        /// The texts. Without a DOWN the kept one stays.
        texts: Texts,
        /// What was there, for the audit and for the person.
        was: Was,
    },
    /// The ledger row of an applied version gets back the checksum of the text that was kept.
    PutBack {
        /// The version as it stands in the ledger.
        version: Version,
        /// The checksum of the kept UP text.
        checksum: Checksum,
        /// The text that stood in the ledger instead.
        ledger: Option<String>,
    },
    /// The ledger lost the row of a version; our record of it goes, too.
    Forget {
        /// The version as it stands in our records.
        version: Version,
        /// What follows from that.
        next: NextRun,
    },
    /// The audit gets a row by which it is taken as it stands.
    AcceptAudit {
        /// What the look found in it; older rows may have more.
        defect: Option<AuditDefect>,
    },
    /// A resource works on with this database.
    Know {
        /// How a person names it.
        database: String,
        /// The identity of the one that was known.
        before: Uuid,
        /// How many entries the audit of that had at least.
        entries_before: Option<i64>,
        /// How many it has here.
        entries: i64,
    },
    /// The ledger passes from one resource to another.
    Claim {
        /// Who had it.
        from: Owner,
        /// Who has it now.
        to: Owner,
    },
    /// The ledger belongs to nobody until the next resource comes.
    Release {
        /// Who had it.
        from: Owner,
    },
    /// The journal row of statements in doubt says that they are done, or goes.
    Resolve {
        /// The version as it stands in the journal.
        version: Version,
        /// Whether its UP or its DOWN was begun.
        direction: Direction,
        /// The numbers of the first and the last of them.
        statements: (usize, usize),
        /// Over their texts.
        checksum: Checksum,
        /// What is true.
        verdict: Verdict,
    },
}

/// What the next run makes of a version that counts as not applied from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextRun {
    /// It applies it.
    Applies,
    /// It stops, because this version, which comes later, is applied.
    IsBehind(Version),
    /// It does not go that far: this is the target.
    IsAbove(Version),
    /// The set has no such version.
    HasNoFile,
    /// Something else stands in its way first.
    IsBlocked,
}

/// The checksums before a text was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Was {
    /// What the ledger had, whatever it was.
    pub ledger: Option<String>,
    /// Of the kept UP text.
    pub up: Option<Checksum>,
    /// Of the kept DOWN text.
    pub down: Option<Checksum>,
}

/// Why a decision is not carried out. Displayed as the sentences that a person reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The version is neither applied nor recorded.
    NotApplied(Version),
    /// The set has no file of the version, and nothing else is in doubt.
    NoFile(Version),
    /// The version has no text with the checksum that was named.
    OtherText {
        /// The version.
        version: Version,
        /// The beginning of the checksum that was named.
        named: String,
    },
    /// The resource pins another text.
    Pinned(Version),
    /// Another database than the named one answers.
    OtherDatabase {
        /// How the person named it.
        named: String,
        /// How the one that answers is named.
        present: String,
    },
    /// Nothing of the version is in doubt.
    NotInDoubt(Version),
    /// Another statement of the version is in doubt than was named.
    OtherStatement {
        /// The version.
        version: Version,
        /// The beginning of the checksum that was named.
        named: String,
        /// The checksum of what is in doubt.
        present: Checksum,
    },
    /// The history belongs to somebody else than was named, or to nobody.
    NotTheOwner {
        /// Whom the person named.
        named: String,
        /// Whom it belongs to.
        present: Option<Owner>,
    },
}

impl std::error::Error for Refusal {}

impl fmt::Display for Decision {
    /// As it stands in the audit behind the actor: empty, or `, decided by …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Some(by) => write!(f, ", decided by {by}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
