//! A server on which points are run: its sampler, and a prepared database of each scenario to copy from.

use std::collections::HashMap;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tempfile::TempDir;

use crate::harness::{Database, Postgres, eventually, postgres};
use crate::runner::{self, LIMIT};
use crate::scenario::Scenario;

/// A server and what belongs to it.
#[derive(Debug)]
pub struct Site {
    pub server: &'static Postgres,
    templates: Mutex<HashMap<&'static str, Template>>,
    sampler: Mutex<Sampler>,
    made: AtomicUsize,
}

#[derive(Debug, Clone)]
struct Template {
    database: String,
    user: String,
    password: String,
}

/// A database of its own for one run of a scenario, and the folder with its files. Both go with this value.
#[derive(Debug)]
pub struct Case<'s> {
    pub scenario: &'s Scenario,
    pub database: Database<'static>,
    pub folder: TempDir,
}

/// What makes the oracles' part of a database.
pub const ORACLE: &str = include_str!("oracle.sql");

/// The site on the server that all tests share, for faults that leave it up.
pub fn shared() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| Site::new(postgres()))
}

impl Site {
    pub fn new(server: &'static Postgres) -> Self {
        Self {
            server,
            templates: Mutex::default(),
            sampler: Mutex::new(Sampler::start(server)),
            made: AtomicUsize::new(0),
        }
    }

    /// A fresh database for `scenario`.
    pub fn case<'s>(&self, scenario: &'s Scenario) -> Case<'s> {
        let template = {
            let mut templates = self
                .templates
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let made = templates
                .entry(scenario.name)
                .or_insert_with(|| prepare(self.server, scenario));
            made.clone()
        };
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}_copy_{number}", template.database);
        self.server.admin_exec(&format!(
            "CREATE DATABASE {name} TEMPLATE {} OWNER {}",
            template.database, template.user
        ));
        let folder = tempfile::tempdir().expect("a temporary folder");
        scenario.write_files(folder.path(), scenario.versions.len());
        Case {
            scenario,
            database: Database {
                server: self.server,
                name,
                user: template.user,
                password: template.password,
            },
            folder,
        }
    }

    /// Two of our sessions that wrote at the same time to this database, as the sampler saw them.
    pub fn met(&self, database: &str) -> Vec<String> {
        let sql = format!("SELECT DISTINCT sessions FROM sampled WHERE database = '{database}'");
        let seen = self.server.admin_exec(&sql);
        seen.lines().map(str::to_owned).collect()
    }

    /// After a fault that ends every session of the server: waits until it is up again, and starts what ended with it.
    pub fn recover(&self) {
        let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        // The sampler's session tells that the server has noticed.
        eventually(LIMIT, || {
            sampler.has_ended().then_some(()).ok_or("the server is up")
        });
        eventually(LIMIT, || {
            let answered = self.server.try_admin_exec("SELECT 1");
            if answered.status.success() {
                Ok(())
            } else {
                Err(answered)
            }
        });
        *sampler = Sampler::start(self.server);
    }
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.database.name);
        // A server that a fault has left down keeps it; that ends with the test.
        self.database.server.try_admin_exec(&sql);
    }
}

/// Makes the database of a scenario as it is before the run that is looked at.
fn prepare(server: &'static Postgres, scenario: &Scenario) -> Template {
    let database = server.database(&scenario.name.replace('-', "_"));
    // Few iterations: it is not the password that is under test, and each point logs in several times.
    let password = format!("canary p@ss/word+{}", database.name);
    server.admin_exec(&format!(
        "SET scram_iterations = 1; ALTER ROLE {} PASSWORD '{password}'",
        database.user
    ));
    database.admin_exec(ORACLE);
    database.admin_exec(&format!(
        "GRANT USAGE ON SCHEMA oracle TO {user}; GRANT INSERT ON oracle.mark TO {user}",
        user = database.user
    ));
    let database = Database {
        password,
        ..database
    };
    if let Some(count) = scenario.applied_before {
        let folder = tempfile::tempdir().expect("a temporary folder");
        scenario.write_files(folder.path(), count);
        runner::up(&database, folder.path());
    }
    Template {
        database: database.name,
        user: database.user,
        password: database.password,
    }
}

/// A session that looks, 20 times a second, whether two sessions of ours write to one database.
#[derive(Debug)]
struct Sampler(Child);

/// A transaction that has written has an id; one that looks or waits for the lock has none.
const SAMPLE: &str = "SET client_connection_check_interval = '1s'; DO $$ BEGIN LOOP
  INSERT INTO sampled
    SELECT datname, string_agg(pid || ' ' || application_name || ' ' || state, ', ')
    FROM pg_stat_activity
    WHERE application_name LIKE 'schemaward/%' AND backend_xid IS NOT NULL
    GROUP BY datname HAVING count(*) > 1;
  COMMIT;
  PERFORM pg_sleep(0.05);
END LOOP; END $$;";

impl Sampler {
    fn start(server: &Postgres) -> Self {
        server.admin_exec("CREATE TABLE IF NOT EXISTS sampled (database text, sessions text)");
        Self(server.admin_spawn(SAMPLE))
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
