//! What the operator tells machines and people while it runs: logs, metrics, health.
//!
//! **Invariant:** nothing here takes a secret, row data or SQL. Logs carry names, versions, reasons
//! and messages that the engine made for people; metric labels are `namespace`, `name`, `reason`.

pub mod health;
pub mod http;
pub mod logging;
pub mod metrics;
