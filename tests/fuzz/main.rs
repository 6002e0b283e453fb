//! Whatever comes in gets an answer: scripts, files and resources that nobody in his right mind would
//! write. Bounded here; `PROPTEST_CASES=100000` tries more.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests are tests, too"
)]

mod files;
mod growth;
mod resource;
mod script;
