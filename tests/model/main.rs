//! The model: the step function of the engine, the very code that runs in production, against a
//! simulated database.
//!
//! `exhaustive` and `decided` go through every state that a few runners, and people who decide, come to with crashes and other faults;
//! `random` goes beyond that size, along ways that a seed chooses; `defects` shows that a wrong
//! adapter or a wrong machine does not pass.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::match_wildcard_for_single_variants,
    reason = "the helpers of tests are tests, too, their numbers are shown, and the model is not of all that the engine can do"
)]

mod database;
mod decided;
mod defects;
mod exhaustive;
mod invariants;
mod memory;
mod random;
mod scenario;
mod search;
mod seen;
mod texts;
mod world;
