//! The operator's driver.

pub mod attempt;
pub mod lint;
pub mod memory;
pub mod policy;
pub mod status;
pub mod verdict;
pub mod wording;
