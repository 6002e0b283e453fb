//! What a migration is and what has to happen: files in, plan out.
//!
//! Pure code (the lowest layer): no async, clock, environment, logging, database driver or Kubernetes client.
//! In reading order: a [`version::Version`] and a [`checksum::Checksum`] name a text exactly,
//! [`file_name`] says which files are ours, [`script::Script`] is one file split into classified
//! [`statement::Statement`]s, [`catalog::Catalog`] is the judged set of files,
//! [`part`] cuts a script that does not run in one transaction, [`subject`] and [`evidence`] prove what became of a
//! statement outside of one,
//! [`history::History`] is what the database says was applied and [`begun::Begun`] what it says was begun, and [`plan::plan`] compares the two
//! against a [`target::Target`] and answers with a [`plan::Plan`] or with why there is none
//! ([`blocked::Blocked`]). [`overview::overview`] shows the same comparison, a row per version.

mod baseline;
pub mod begun;
pub mod blocked;
pub mod catalog;
pub mod check;
pub mod checksum;
mod defect;
pub mod display;
pub mod evidence;
pub mod file_name;
pub mod history;
pub mod lint;
pub mod mismatch;
pub mod new_tables;
pub mod overview;
pub mod part;
pub mod plan;
pub mod plan_hash;
pub mod query;
pub mod round_trip;
pub mod script;
pub mod snapshot;
pub mod statement;
pub mod statement_policy;
pub mod statement_words;
pub mod subject;
pub mod target;
pub mod version;

mod assemble;
mod classify;
mod compare;
mod fold;
mod lexer;
mod position;
mod select;
mod split;
mod text;

#[cfg(test)]
mod tests;
