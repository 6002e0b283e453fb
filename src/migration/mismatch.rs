//! A file that is not what was applied, or not what is pinned.

use std::fmt;

use super::blocked::acceptance;
use super::checksum::Checksum;
use super::file_name::Direction;
use super::text::clauses;
use super::version::Version;

/// A text that is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The version.
    pub version: Version,
    /// Its UP or its DOWN.
    pub direction: Direction,
    /// What was expected; `None`: the ledger's text is not a SHA-256 checksum.
    pub expected: Option<Checksum>,
    /// What the file has.
    pub found: Checksum,
    /// Where the expectation comes from.
    pub against: Against,
    /// The line ends that make the file the expected one; `None`: more than line ends differs.
    pub wanted_line_ends: Option<LineEnds>,
}

/// Where an expected checksum comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Our own record of the applied text.
    Recorded,
    /// The pin in the resource.
    Pin,
    /// The ledger row that another program wrote.
    Ledger,
}

/// What the lines of a text end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnds {
    /// A line feed.
    Lf,
    /// A carriage return before it, as on Windows.
    CrLf,
}

impl LineEnds {
    /// Those with which `bytes` have the checksum `expected`; `None`: with neither.
    #[must_use]
    pub fn that_make(bytes: &[u8], expected: &Checksum) -> Option<Self> {
        [Self::Lf, Self::CrLf]
            .into_iter()
            .find(|line_ends| Checksum::of(&line_ends.of(bytes)) == *expected)
    }

    /// The text with these line ends. A CR that no LF follows stays.
    fn of(self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                None => text.extend_from_slice(line),
                Some(line) => {
                    text.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                    text.extend_from_slice(self.bytes());
                }
            }
        }
        text
    }

    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }

    /// As a clause behind what differs.
    fn instead(self) -> &'static str {
        match self {
            Self::Lf => "CR LF instead of LF",
            Self::CrLf => "LF instead of CR LF",
        }
    }
}

impl Mismatch {
    fn was(&self) -> String {
        match (self.against, &self.expected) {
            (Against::Recorded, Some(expected)) => {
                format!("was {} when it was applied", expected.short())
            }
            (Against::Pin, Some(expected)) => format!("is pinned to {}", expected.short()),
            (Against::Ledger, Some(expected)) => {
                format!("is {} in the history table", expected.short())
            }
            (_, None) => "has a checksum in the history table that is not SHA-256".to_owned(),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            direction,
            found,
            ..
        } = self;
        write!(
            f,
            "{direction} of {version} {}, the file is {}",
            self.was(),
            found.short()
        )?;
        match self.wanted_line_ends {
            Some(wanted) => write!(
                f,
                " and differs only in its line ends ({})",
                wanted.instead()
            ),
            None => Ok(()),
        }
    }
}

/// How to get back the line ends that are wanted, and to keep them. Each file may come from a checkout that converted
/// it, from a commit, or from a ConfigMap that was made of either.
const CONVERT: &str = "where they come from (a checkout, a commit, a ConfigMap), and put `*.sql -text` into \
                       .gitattributes, so that Git leaves them as they are";

/// All of them, what that means for the database, and what to do.
pub(super) fn sentences(f: &mut fmt::Formatter<'_>, mismatches: &[Mismatch]) -> fmt::Result {
    write!(f, "{}. The database was not changed. ", clauses(mismatches))?;
    let mut wanted = mismatches.iter().map(|mismatch| mismatch.wanted_line_ends);
    let first = wanted.next().flatten();
    if let Some(line_ends) = first.filter(|first| wanted.all(|other| other == Some(*first))) {
        return convert(f, line_ends, mismatches);
    }
    let is_converted = |mismatch: &Mismatch| mismatch.wanted_line_ends.is_some();
    if mismatches.iter().any(is_converted) {
        write!(
            f,
            "Where only line ends differ, Git or an editor converted them: convert those files back {CONVERT}. "
        )?;
    }
    restore(f, mismatches)
}

/// Nothing but these line ends is wanted. Where they are CR LF, what is said must not convert other files, which may be
/// right with LF.
fn convert(f: &mut fmt::Formatter<'_>, wanted: LineEnds, mismatches: &[Mismatch]) -> fmt::Result {
    let these = match wanted {
        LineEnds::Lf => "these files back to LF",
        LineEnds::CrLf => "these files, and no others, back to CR LF",
    };
    write!(
        f,
        "Git or an editor converted the line ends. Convert {these} {CONVERT}"
    )?;
    match (wanted, Pinned::of(mismatches)) {
        (LineEnds::CrLf, Pinned::None) => write!(
            f,
            "; or accept the files as they are, {}.",
            acceptance(&accepted_texts(mismatches))
        ),
        (LineEnds::CrLf, Pinned::All) => f.write_str("; or correct the pins."),
        (LineEnds::Lf, _) | (LineEnds::CrLf, Pinned::Some) => f.write_str("."),
    }
}

/// Somebody changed a text.
fn restore(f: &mut fmt::Formatter<'_>, mismatches: &[Mismatch]) -> fmt::Result {
    match Pinned::of(mismatches) {
        Pinned::None => write!(
            f,
            "Restore the text that was applied, and make the change in a new version; or accept the file as it is, \
             {}.",
            acceptance(&accepted_texts(mismatches))
        ),
        Pinned::All => f.write_str("Correct the file or the pin."),
        Pinned::Some => f.write_str(
            "Restore the text that was applied or pinned, and make the change in a new version.",
        ),
    }
}

/// How many of them are not what is pinned.
enum Pinned {
    None,
    Some,
    All,
}

impl Pinned {
    fn of(mismatches: &[Mismatch]) -> Self {
        let is_pin = |mismatch: &&Mismatch| mismatch.against == Against::Pin;
        match mismatches.iter().filter(is_pin).count() {
            0 => Self::None,
            pins if pins == mismatches.len() => Self::All,
            _ => Self::Some,
        }
    }
}

/// Each version once, with the checksum of the text that somebody may accept.
fn accepted_texts(mismatches: &[Mismatch]) -> Vec<String> {
    let mut texts = mismatches.to_vec();
    texts.dedup_by(|second, first| second.version == first.version);
    let text = |mismatch: &Mismatch| format!("{}:{}", mismatch.version, mismatch.found.short());
    texts.iter().map(text).collect()
}

#[cfg(test)]
mod tests;
