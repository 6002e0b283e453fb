//! Schemaward keeps `PostgreSQL` at the schema version that Git says.
//!
//! Modules in reading order; each may use those above it, never those beside or below:
//!
//! - [`migration`] (pure): what a migration is and what must happen.
//! - [`api`] (pure): the Kubernetes contract.
//! - [`engine`]: observe, plan, execute, for the operator and the command line alike.
//! - [`source`], [`postgres`], [`telemetry`]: adapters to the world.
//! - [`aws`]: credentials from Amazon's services, for connections.
//! - [`controller`], [`cli`]: the two drivers.

pub mod api;
pub mod aws;
pub mod cli;
pub mod controller;
pub mod engine;
pub mod migration;
pub mod postgres;
pub mod source;
pub mod telemetry;
