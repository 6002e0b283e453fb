//! What a decision did, or why it was not carried out, in the sentences that people read.

use std::fmt;

use super::{Change, NextRun, Refusal, Verdict, Was};
use crate::engine::database::Texts;
use crate::engine::identity::short;
use crate::engine::task::Owner;
use crate::migration::checksum::Checksum;
use crate::migration::version::Version;

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Take {
                version,
                texts,
                was,
            } => taken(f, version, texts, was),
            Self::PutBack {
                version, checksum, ..
            } => write!(
                f,
                "The history table has the checksum of the kept text of {version} again, {}.",
                checksum.short()
            ),
            Self::Forget { version, next } => forgotten(f, version, next),
            Self::AcceptAudit { defect: None } => f.write_str(
                "The audit is accepted as it stands. Its newest rows are as they were written; older ones were not \
                 looked at here, `schemaward audit` names what is wrong in them. What comes after this is verified.",
            ),
            Self::AcceptAudit {
                defect: Some(defect),
            } => write!(
                f,
                "The audit is accepted as it stands, although {defect}. That counts as true from now on; \
                 `schemaward audit` goes on to name what does not fit. What comes after this is verified."
            ),
            Self::Know {
                database, before, ..
            } if database == "new" => write!(
                f,
                "The resource works with the new database from now on; before it was {}.",
                short(*before)
            ),
            Self::Know {
                database, before, ..
            } if *database == short(*before) => write!(
                f,
                "The resource works on with database {database} as it is now."
            ),
            Self::Know {
                database, before, ..
            } => write!(
                f,
                "The resource works with database {database} from now on; before it was {}.",
                short(*before)
            ),
            Self::Claim { from, to } => write!(
                f,
                "The history belongs to {}; it was {}'s.",
                resource(to),
                resource(from)
            ),
            Self::Release { from } => write!(
                f,
                "The history belongs to nobody; it was {}'s. The next resource that manages this database gets it.",
                resource(from)
            ),
            Self::Resolve {
                version,
                statements,
                checksum,
                verdict,
                ..
            } => resolved(f, version, *statements, *checksum, *verdict),
        }
    }
}

/// `Statement 2 of 002 (1dd701f2) counts as done; the next run goes on behind it.`
fn resolved(
    f: &mut fmt::Formatter<'_>,
    version: &Version,
    (first, last): (usize, usize),
    checksum: Checksum,
    verdict: Verdict,
) -> fmt::Result {
    let checksum = checksum.short();
    let what = if first == last {
        format!("Statement {first} of {version} ({checksum})")
    } else {
        format!("What was run from statement {first} to {last} of {version} ({checksum})")
    };
    match verdict {
        Verdict::Applied => write!(f, "{what} counts as done; the next run goes on behind it."),
        Verdict::Retry => write!(f, "{what} counts as not done; the next run sends it again."),
    }
}

/// `The files of 002 are what was applied: UP 55b6b8fc (was 1dd701f2), DOWN 11507a0e.`
fn taken(f: &mut fmt::Formatter<'_>, version: &Version, texts: &Texts, was: &Was) -> fmt::Result {
    write!(f, "The files of {version} are what was applied: ")?;
    script(f, "UP", texts.up_checksum, was.up)?;
    if let Some(down) = texts.down_checksum {
        write!(f, ", ")?;
        script(f, "DOWN", down, was.down)?;
    }
    write!(f, ".")
}

fn forgotten(f: &mut fmt::Formatter<'_>, version: &Version, next: &NextRun) -> fmt::Result {
    write!(
        f,
        "The record of {version} is gone, as its row in the history table was: {version} counts as not applied"
    )?;
    match next {
        NextRun::Applies => f.write_str(", and the next run applies it."),
        NextRun::HasNoFile => f.write_str(", and the set has no file of it."),
        NextRun::IsAbove(target) => {
            write!(f, ", and no run applies it while the target is {target}.")
        }
        NextRun::IsBlocked => {
            f.write_str(". Something else stops the next run first, and its message says what.")
        }
        NextRun::IsBehind(current) => write!(
            f,
            ". No run applies it (out of order): {current}, which comes later, is applied. If what {version} did is \
             still in the database, put its row back into the history table, and the next run takes it over; otherwise \
             renumber {version} above {current}."
        ),
    }
}

fn script(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    now: Checksum,
    was: Option<Checksum>,
) -> fmt::Result {
    write!(f, "{name} {}", now.short())?;
    match was.filter(|was| *was != now) {
        Some(was) => write!(f, " (was {})", was.short()),
        None => Ok(()),
    }
}

fn resource(owner: &Owner) -> String {
    format!("DatabaseSchema {owner}")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotApplied(version) => write!(
                f,
                "{version} is neither applied nor recorded, so there is nothing to accept. Nothing was changed."
            ),
            Self::NoFile(version) => write!(
                f,
                "The set has no file of {version}, so there is no text to accept. Nothing was changed. Bring the file \
                 back first."
            ),
            Self::OtherText { version, named } => write!(
                f,
                "No file of {version} has a checksum that begins with {named}. Nothing was changed. Look at the file \
                 again: it is not the one that was to be accepted."
            ),
            Self::Pinned(version) => write!(
                f,
                "The resource pins another text of {version} than its file has. Nothing was changed. Correct the pin \
                 first, or the file."
            ),
            Self::OtherDatabase { named, present } => write!(
                f,
                "The database that answers is {present}, and {named} was named. Nothing was changed. Look again which \
                 one it is."
            ),
            Self::NotInDoubt(version) => {
                write!(f, "Nothing of {version} is in doubt. Nothing was changed.")
            }
            Self::OtherStatement {
                version,
                named,
                present,
            } => write!(
                f,
                "What is in doubt of {version} has the checksum {}, and {named} was named. Nothing was changed. Look \
                 at the message again: it may be about another statement by now.",
                present.short()
            ),
            Self::NotTheOwner {
                named,
                present: Some(present),
            } => write!(
                f,
                "The history belongs to {} (uid {}), and {named} was named. Nothing was changed. Name the present \
                 owner, if it is to let go.",
                resource(present),
                present.uid
            ),
            Self::NotTheOwner {
                named,
                present: None,
            } => write!(
                f,
                "The history belongs to nobody, and {named} was named. Nothing was changed. The next resource that \
                 manages this database gets it."
            ),
        }
    }
}
