//! Observe, plan, execute: one engine for the operator and the command line.
//!
//! The deciding part ([`machine`]) is a pure step function from (state, what was just observed) to
//! (state, next request). The doing part is behind [`database::Database`], whose real form is the
//! PostgreSQL adapter. [`review`] says what a person has to know of a plan, [`loss`] what it would take away, [`hold`] why it waits and [`recovery`] what was left of earlier runs; what no database knows (the time, other objects) the caller answers. [`step`] are the requests about a version that does not run in one transaction. [`run`] ties both together and is the only place that waits.
//!
//! **Invariant:** only this module constructs an [`outcome::Outcome`], and it does so from what the
//! database answered, never from what was intended.

pub mod check;
pub mod database;
pub mod decision;
pub mod error;
pub mod event;
pub mod hold;
pub mod identity;
mod judgement;
pub mod loss;
pub mod machine;
pub mod outcome;
pub mod recovery;
pub mod review;
mod run;
pub mod server_identity;
pub mod sessions;
pub mod step;
mod stepwise;
pub mod task;

pub use run::{Conditions, Progress, Unconditional, run, run_under};

#[cfg(test)]
mod tests;
