//! The fault rig: real programs and a real PostgreSQL, with a proxy between them that lets faults strike at every
//! message, and oracles that ask the server what became of it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the rig is tests, too, although its functions do not bear #[test]"
)]

#[path = "../harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness offers what the next tests need, not only what these use"
)]
mod harness;

#[path = "../it/operator_rig.rs"]
#[allow(
    dead_code,
    reason = "it offers what the integration tests need, not only what these use"
)]
mod operator_rig;

mod canary;
mod case;
mod defects;
mod events;
mod kfault;
mod matrix;
mod operator;
mod oracle;
mod pgfault;
mod point;
mod runner;
mod scenario;
mod seen;
mod site;
mod sweep;
mod wire;
