//! What the fields of a row say, all of which a simple Query is answered as text.

use std::str::FromStr;

use jiff::Timestamp;
use sqlx::postgres::{PgColumn, PgRow};
use sqlx::{Column, Row};

use crate::engine::error::DatabaseError;

use super::error;

/// The bytes of a field as the server wrote them; `None`: NULL.
pub fn bytes(row: &PgRow, index: usize) -> Result<Option<&[u8]>, DatabaseError> {
    let value = row.try_get_raw(index).map_err(|_| unexpected(row, index))?;
    // The driver has no other way to ask for a NULL of whatever type.
    if sqlx::ValueRef::is_null(&value) {
        return Ok(None);
    }
    value
        .as_bytes()
        .map(Some)
        .map_err(|_| unexpected(row, index))
}

/// A field; `None`: NULL.
pub fn text(row: &PgRow, index: usize) -> Result<Option<&str>, DatabaseError> {
    let bytes = bytes(row, index)?;
    let text = bytes.map(str::from_utf8).transpose();
    text.map_err(|_| unexpected(row, index))
}

/// A field that is never NULL.
pub fn given(row: &PgRow, index: usize) -> Result<&str, DatabaseError> {
    text(row, index)?.ok_or_else(|| unexpected(row, index))
}

/// The name of a role or whatever else all databases share, never NULL: one that was made from a database of another
/// encoding may be no UTF-8. It is to be shown; nothing is to be told apart by it.
pub fn shared_name(row: &PgRow, index: usize) -> Result<String, DatabaseError> {
    let name = bytes(row, index)?.ok_or_else(|| unexpected(row, index))?;
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// A field that is a number, or whatever else has a text; `None`: NULL.
pub fn parsed<T: FromStr>(row: &PgRow, index: usize) -> Result<Option<T>, DatabaseError> {
    let value = text(row, index)?.map(str::parse).transpose();
    value.map_err(|_| unexpected(row, index))
}

/// The same of a field that is never NULL.
pub fn given_as<T: FromStr>(row: &PgRow, index: usize) -> Result<T, DatabaseError> {
    parsed(row, index)?.ok_or_else(|| unexpected(row, index))
}

/// A boolean; NULL is false.
pub fn flag(row: &PgRow, index: usize) -> Result<bool, DatabaseError> {
    match text(row, index)? {
        Some("t") => Ok(true),
        Some("f") | None => Ok(false),
        Some(_) => Err(unexpected(row, index)),
    }
}

/// A field that is `EXTRACT(epoch FROM …)`; `None`: NULL, or no time that there is (`infinity`).
pub fn time(row: &PgRow, index: usize) -> Result<Option<Timestamp>, DatabaseError> {
    let microseconds = text(row, index)?.and_then(microseconds);
    Ok(microseconds.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}

/// Microseconds of a number of seconds, which the server writes with six decimals; `None`: it is none.
fn microseconds(epoch: &str) -> Option<i64> {
    let (is_negative, digits) = match epoch.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, epoch),
    };
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let unit = 10_i64.checked_pow(6_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?)?;
    let whole = seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?;
    let micros = whole.checked_add(fraction.parse::<i64>().ok()?.checked_mul(unit)?)?;
    Some(if is_negative { -micros } else { micros })
}

/// Says which field of which table, by its OID: a row knows no more of it.
fn unexpected(row: &PgRow, index: usize) -> DatabaseError {
    let column = row.columns().get(index);
    let name = column.map_or("nothing", Column::name);
    let table = match column.and_then(PgColumn::relation_id) {
        Some(table) => format!("of the relation with the OID {}", table.0),
        None => "an expression".to_owned(),
    };
    error::internal(&format!(
        "field {} of an own query, {name} ({table}), is not what it should be",
        index + 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_read_to_the_microsecond() {
        for (epoch, expected) in [
            ("1795714894.849002", Some(1_795_714_894_849_002)),
            ("0.000000", Some(0)),
            ("-0.500000", Some(-500_000)),
            ("-62135596800.000001", Some(-62_135_596_800_000_001)),
            ("17.5", Some(17_500_000)),
            ("17", Some(17_000_000)),
            ("Infinity", None),
            ("-Infinity", None),
            ("NaN", None),
            ("99999999999999999.0", None),
            ("1.0000001", None),
        ] {
            assert_eq!(microseconds(epoch), expected, "{epoch}");
        }
    }
}
