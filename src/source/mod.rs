//! Where scripts come from. A source only fetches bytes; [`crate::migration::catalog`] judges them.

pub mod directory;
