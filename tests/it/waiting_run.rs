//! A run that waits for a lock, so that something can be done to its sessions meanwhile: its own one, and the second
//! one that looks at it.

use std::time::Duration;

use schemaward::engine::outcome::Outcome;
use tokio::task::JoinHandle;

use crate::engine::Run;
use crate::harness::{Database, eventually};
use crate::operator_rig::LIMIT;
use crate::waiting::{Held, hold};

/// The first version of the run: it waits for the table.
pub const ALTER: (&str, &str) = ("001_note_UP.sql", "ALTER TABLE orders ADD note text;");

/// Sessions of ours.
const OURS: &str = "SELECT pid FROM pg_stat_activity WHERE application_name = 'schemaward/test'";

/// A run that waits for a table which another session has locked.
pub struct WaitingRun {
    holder: Held,
    /// Of the run's own session.
    pid: String,
    under_way: JoinHandle<Outcome>,
}

impl WaitingRun {
    /// Starts `wanted`, whose first version is [`ALTER`], and waits until it waits.
    pub fn start(database: &Database<'_>, mut wanted: Run) -> Self {
        database.admin_exec(&format!(
            "CREATE TABLE orders (id int); ALTER TABLE orders OWNER TO {}",
            database.user
        ));
        wanted.settings.lock_timeout = LIMIT;
        wanted.settings.liveness_period = Duration::from_millis(100);
        let holder = hold(database, "report", "BEGIN; LOCK TABLE orders;");
        let under_way = tokio::spawn(wanted.go());
        let waiting = format!("{OURS} AND wait_event_type = 'Lock'");
        let pid = eventually(LIMIT, || match database.admin_exec(&waiting) {
            pid if pid.is_empty() => Err("it does not wait yet"),
            pid => Ok(pid),
        });
        Self {
            holder,
            pid,
            under_way,
        }
    }

    /// Its own session and the second one are there, and no other.
    pub fn has_both_sessions(database: &Database<'_>) -> Result<(), String> {
        match database.admin_exec(&format!("SELECT count(*) FROM ({OURS}) AS ours")) {
            count if count == "2" => Ok(()),
            count => Err(count),
        }
    }

    /// Ends the second session, if it is there.
    pub fn cut_off_the_second(&self, database: &Database<'_>) {
        let second = format!("{OURS} AND pid <> {}", self.pid);
        database.admin_exec(&format!(
            "SELECT pg_terminate_backend(pid) FROM ({second}) AS second"
        ));
    }

    /// Lets it go on, and gives what it came to.
    pub async fn end(self) -> Outcome {
        drop(self.holder);
        self.under_way.await.expect("no panic")
    }
}
