//! Cases that are nothing but files: what they come to, what is said, and what is in the database afterwards.

use super::scene::{applied, database};
use super::{Attempt, Expected};
use crate::harness::Database;

/// Files for a database of their own.
pub struct Content {
    /// What a superuser does in the database first; `{user}` is its owner.
    pub before: &'static str,
    /// The files.
    pub files: &'static [(&'static str, &'static [u8])],
    /// Fields of the spec: JSON pointer and JSON.
    pub spec: &'static [(&'static str, &'static str)],
    /// What the message holds.
    pub says: &'static [&'static str],
    /// What the message does not hold.
    pub hides: &'static [&'static str],
    /// The versions that are recorded afterwards.
    pub applied: &'static str,
    /// A query afterwards, and what it gives.
    pub after: (&'static str, &'static str),
}

impl Content {
    /// What most cases have: nothing before, and nothing of a table `effect` afterwards.
    pub const PLAIN: Self = Self {
        before: "",
        files: &[],
        spec: &[],
        says: &[],
        hides: &[],
        applied: "",
        after: ("SELECT to_regclass('effect') IS NULL", "t"),
    };
}

/// Runs the files and compares.
pub fn check(id: &str, content: &Content, expected: &mut Expected) {
    let database: Database<'static> = database(&id.to_lowercase());
    if !content.before.is_empty() {
        database.admin_exec(&content.before.replace("{user}", &database.user));
    }
    let mut attempt = Attempt::with_bytes(&database, content.files);
    for (pointer, value) in content.spec {
        let value = serde_json::from_str(value).expect("JSON");
        attempt = attempt.with(pointer, value);
    }
    let verdict = expected.of_attempt(&attempt);
    let message = &verdict.message;
    for part in content.says {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    for part in content.hides {
        assert!(!message.contains(part), "{part:?} in: {message}");
    }
    assert!(
        !message.chars().any(char::is_control),
        "a control character in: {message:?}"
    );
    assert_eq!(applied(&database), content.applied, "{message}");
    let (query, result) = content.after;
    assert_eq!(database.admin_exec(query), result, "{query}: {message}");
}
