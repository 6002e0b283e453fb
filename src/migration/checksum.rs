//! The checksum that names a text exactly.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// SHA-256 over the exact bytes of a file (a byte order mark and line ends included).
/// Displayed as 64 lower-case hexadecimal digits; in this form it stands in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum([u8; 32]);

/// A text that is not a SHA-256 checksum.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "this is not a SHA-256 checksum: 64 hexadecimal digits are expected, after an optional \"sha256:\""
)]
pub struct InvalidChecksum;

impl Checksum {
    /// The checksum of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits in any letter case, with or without `sha256:` before them.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidChecksum> {
        let digits = match text.split_at_checked("sha256:".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("sha256:") => rest,
            _ => text,
        };
        let digits = digits.as_bytes();
        let mut bytes = [0_u8; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(InvalidChecksum);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Ok(Self(bytes))
    }

    /// The first eight hexadecimal digits, enough for a person to tell two texts apart.
    #[must_use]
    pub fn short(&self) -> String {
        let mut hex = self.to_string();
        hex.truncate(8);
        hex
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Stands in [`DIGITS`] for what is no digit.
const NO_DIGIT: u8 = u8::MAX;

/// What each byte is worth as a hexadecimal digit. A look parses some thousands of checksums, whose digits no branch
/// predictor foresees.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

fn hex_digit(byte: u8) -> Result<u8, InvalidChecksum> {
    match DIGITS[usize::from(byte)] {
        NO_DIGIT => Err(InvalidChecksum),
        value => Ok(value),
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

#[cfg(test)]
mod tests;
