//! Every line of SQL in the product, and its only use of the driver.
//!
//! One connection serves one run. All own SQL is fully qualified and goes as simple Query messages,
//! so that one version costs one round trip: reset, lock check, BEGIN, fence, guard savepoint,
//! script, record and COMMIT travel together (decisions 6 and 7).

mod activity;
mod audit;
mod audit_check;
mod audit_report;
mod changes;
mod check;
mod closing;
mod connection;
mod decide;
mod dial;
mod doctor;
mod doubtful;
mod envelope;
mod error;
mod estimate;
mod execute;
mod facts;
mod facts_query;
mod fields;
mod flushed;
mod guard;
mod history;
mod holder;
mod journal;
mod look;
mod names;
mod outside;
mod password;
mod pooler;
mod prepare;
mod prepared;
mod probe;
mod query;
mod quote;
mod record;
mod rows;
mod sanitize;
mod scratch;
mod session;
mod settings;
mod snapshot;
mod startup;
mod steps;
mod stored_text;
mod together;
mod wal;
mod watch;

pub use audit_report::{AuditReport, AuditRow};
pub use changes::{By, Changes, ChangesWanted, RecordedChange};
pub use connection::{Canceller, Postgres};
pub use doctor::{Check, Finding, Trouble, examine, in_time};
pub use guard::{ApiServer, Guard, HostPattern};
pub use names::{place, role};
pub use scratch::{Fate, ScratchDatabase, StatementFailure};
pub use settings::{
    ClientCertificate, LIVENESS_PERIOD, Origins, Password, PasswordIssuer, Pooler, Settings, Tls,
    TlsMode,
};
