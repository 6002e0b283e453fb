//! Durations as Kubernetes users write them: `5s`, `10m`, `1h30m`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the API server accepts; [`GoDuration::get`] accepts the same.
const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// Longest text of a duration, in characters.
const MAX_LENGTH: usize = 32;

/// A duration in the syntax of Go's `time.ParseDuration`, kept as it was written.
///
/// Reading a resource never fails on a malformed duration, because one bad resource must not hide
/// the others of a list; [`GoDuration::get`] says what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GoDuration(String);

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a duration; write it like 5s, 10m or 1h30m (units: ms, s, m, h)")]
pub struct InvalidDuration(String);

impl GoDuration {
    /// Keeps `text`, which may be anything.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The duration itself.
    ///
    /// # Errors
    /// When the text is not a duration, or one too long to count in milliseconds.
    pub fn get(&self) -> Result<Duration, InvalidDuration> {
        parse(&self.0).ok_or_else(|| InvalidDuration(self.0.chars().take(MAX_LENGTH).collect()))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "GoDuration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": PATTERN,
            "maxLength": MAX_LENGTH,
        })
    }
}

fn parse(text: &str) -> Option<Duration> {
    if text.is_empty() || text.len() > MAX_LENGTH {
        return None;
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        total = total.checked_add(scale(number, unit)?)?;
        rest = tail;
    }
    Some(total)
}

/// `number` times `unit`, to the millisecond.
fn scale(number: &str, unit: &str) -> Option<Duration> {
    let unit: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    // More digits than nine change nothing at a resolution of a millisecond.
    let digits = &fraction[..fraction.len().min(9)];
    let power = 10_u64.pow(u32::try_from(digits.len()).ok()?);
    let part = digits.parse::<u64>().ok()? * unit / power;
    Some(Duration::from_millis(whole.checked_add(part)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, milliseconds) in [
            ("0s", 0),
            ("5s", 5_000),
            ("500ms", 500),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("0.25s", 250),
            ("1h0m0.001s", 3_600_001),
        ] {
            assert_eq!(
                GoDuration::new(text).get(),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_the_rest_without_failing_to_read_the_resource() {
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "5d",
            "1..5s",
            ".5s",
            "5.s",
            "1h30",
            "5S",
            "５s",
            "99999999999999999999h",
            "1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h",
        ] {
            let read: GoDuration = serde_json::from_value(text.into()).expect("any text is read");
            assert!(read.get().is_err(), "{text}");
        }
    }
}
