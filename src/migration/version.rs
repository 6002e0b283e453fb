//! The version of a migration.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use thiserror::Error;

use super::text::quoted;

/// A version: ASCII digits, any number of them. The text is kept (`007` stays `007`); equality, order and
/// hash are those of the number (`1` equals `001`).
#[derive(Debug, Clone)]
pub struct Version(String);

/// A text that is not a version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} is not a version: a version is one or more of the digits 0 to 9", quoted(.text))]
pub struct InvalidVersion {
    /// The text as it was given.
    pub text: String,
}

impl Version {
    /// Reads a version.
    ///
    /// # Errors
    /// When the text is empty or holds anything but the digits 0 to 9.
    pub fn parse(text: &str) -> Result<Self, InvalidVersion> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidVersion {
                text: text.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// The text as it was written, leading zeros included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits that carry the number: no leading zeros, empty for zero.
    fn significant(&self) -> &str {
        let zeros = self.0.bytes().take_while(|byte| *byte == b'0').count();
        &self.0[zeros..]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.significant() == other.significant()
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.significant().hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of as many digits the order of texts is that of the numbers: so nearly all are compared, thousands of times.
        if self.0.len() == other.0.len() {
            return self.0.cmp(&other.0);
        }
        let (this, that) = (self.significant(), other.significant());
        // Without leading zeros the longer text is the larger number.
        this.len().cmp(&that.len()).then_with(|| this.cmp(that))
    }
}

#[cfg(test)]
mod tests;
