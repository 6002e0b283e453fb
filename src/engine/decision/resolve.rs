//! `resolve`: what became of a statement, where neither the server nor the catalog can tell.

use std::fmt;
use std::str::FromStr;

use crate::migration::version::Version;

use super::accept::AcceptedText;
use super::{Change, InvalidWish, Refusal};
use crate::engine::database::Inspection;

/// A version in doubt, and what is true of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The version.
    pub version: Version,
    /// The beginning of the checksum of the statement meant; `None`: the one that is in doubt.
    pub checksum: Option<String>,
    /// What is true.
    pub verdict: Verdict,
}

/// What is true of what is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is done.
    Applied,
    /// Nothing of it is there, so that it may run again.
    Retry,
}

impl Verdict {
    /// The word on the command line and in the annotation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Retry => "retry",
        }
    }
}

impl FromStr for Verdict {
    type Err = InvalidWish;

    fn from_str(text: &str) -> Result<Self, InvalidWish> {
        [Self::Applied, Self::Retry]
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
            .ok_or_else(|| InvalidWish(format!("{text:?} is neither applied nor retry")))
    }
}

impl Resolution {
    /// Reads `002:1dd701f2=applied`. The checksum must be there: a text that stays in a manifest must not
    /// decide about another statement one day.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidWish> {
        let shape = || InvalidWish("it is not like 002:1dd701f2=applied or =retry".to_owned());
        let (named, verdict) = text.trim().split_once('=').ok_or_else(shape)?;
        let AcceptedText { version, checksum } = AcceptedText::parse(named)?;
        if checksum.is_none() {
            return Err(shape());
        }
        Ok(Self {
            version,
            checksum,
            verdict: verdict.parse()?,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What resolving changes.
pub(super) fn resolve(seen: &Inspection, resolution: &Resolution) -> Result<Change, Refusal> {
    let Resolution {
        version,
        checksum,
        verdict,
    } = resolution;
    let begun = seen.history.begun();
    let in_doubt = begun
        .filter(|begun| begun.version == *version)
        .and_then(|begun| Some((begun, begun.escaped().or_else(|| begun.started())?)));
    let Some((begun, entry)) = in_doubt else {
        return Err(Refusal::NotInDoubt(version.clone()));
    };
    if let Some(named) = checksum
        && !entry.checksum.to_string().starts_with(named)
    {
        return Err(Refusal::OtherStatement {
            version: version.clone(),
            named: named.clone(),
            present: entry.checksum,
        });
    }
    Ok(Change::Resolve {
        version: begun.version.clone(),
        direction: begun.direction,
        statements: (entry.first, entry.last),
        checksum: entry.checksum,
        verdict: *verdict,
    })
}

#[cfg(test)]
mod tests;
