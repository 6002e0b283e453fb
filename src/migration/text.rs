//! Small pieces of the sentences that people read.

use std::fmt::Display;

/// How many items a sentence names before it only counts the rest.
const NAMED: usize = 5;

/// `001`, `001 and 002`, `001, 002, 003, 004, 005 and 12 more`.
pub(super) fn list<T: Display>(items: &[T]) -> String {
    let (named, rest) = items.split_at(items.len().min(NAMED));
    let named: Vec<String> = named.iter().map(ToString::to_string).collect();
    match (named.as_slice(), rest.len()) {
        ([head @ .., last], 0) if !head.is_empty() => format!("{} and {last}", head.join(", ")),
        (named, 0) => named.concat(),
        (named, more) => format!("{} and {more} more", named.join(", ")),
    }
}

/// `one` for a single item, `many` otherwise.
pub(super) fn by_number<T>(count: usize, one: T, many: T) -> T {
    if count == 1 { one } else { many }
}
