//! What the cases share: looks at a database, and an operator behind `kfault`.

use std::cell::RefCell;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, Database, Namespace, Postgres, eventually, postgres};
use crate::kfault::{Kfault, Rule, Standing};
use crate::operator_rig::{LIMIT, Operator, Tenant, install, tenant};
use crate::site::ORACLE;

pub const ONE: (&str, &str) = ("001_one_UP.sql", "CREATE TABLE one (id int);");
pub const TWO: (&str, &str) = ("002_two_UP.sql", "CREATE TABLE two (id int);");
pub const THREE: (&str, &str) = ("003_three_UP.sql", "CREATE TABLE three (id int);");
/// Long enough to do something to it; [`sleeps`] waits until it runs.
pub const SLOW: (&str, &str) = (
    "001_slow_UP.sql",
    "CREATE TABLE slow (id int); SELECT pg_sleep(3);",
);

thread_local! {
    /// The databases of the case that this thread runs.
    static WATCHED: RefCell<Vec<(&'static Postgres, String)>> = const { RefCell::new(Vec::new()) };
}

/// A database of the case, which the oracles look at when the case is over.
pub fn database(name: &str) -> Database<'static> {
    database_on(postgres(), name)
}

/// As [`database`], on another server.
pub fn database_on(server: &'static Postgres, name: &str) -> Database<'static> {
    let database = server.database(name);
    database.admin_exec(ORACLE);
    WATCHED.with_borrow_mut(|watched| watched.push((server, database.name.clone())));
    database
}

/// What is to be asked of the case's databases once it is over.
pub fn watched() -> Vec<(&'static Postgres, String)> {
    WATCHED.take()
}

/// Asks the server what has to hold after every case: nothing was made twice (O1), and no session, lock, prepared
/// transaction or invalid index of ours is left (O7).
#[track_caller]
pub fn oracles(server: &Postgres, name: &str) {
    let database = Database {
        server,
        name: name.to_owned(),
        user: name.to_owned(),
        password: String::new(),
    };
    eventually(LIMIT, || {
        match database.admin_exec("SELECT oracle.leftovers()").as_str() {
            "" => Ok(()),
            left => Err(left.to_owned()),
        }
    });
    let twice = "SELECT identity FROM oracle.ddl WHERE identity NOT LIKE 'pg_temp%' GROUP BY identity
                 HAVING count(*) FILTER (WHERE tag LIKE 'CREATE%') > 1 + count(*) FILTER (WHERE tag LIKE 'DROP%')";
    assert_eq!(database.admin_exec(twice), "", "made twice");
}

/// The versions that the history has, parted by blanks; empty, too, when there is no history.
pub fn applied(database: &Database<'_>) -> String {
    let there = "SELECT to_regclass('public.schema_migrations') IS NOT NULL";
    if database.admin_exec(there) != "t" {
        return String::new();
    }
    database.admin_exec(
        "SELECT coalesce(string_agg(version, ' ' ORDER BY version::numeric), '') FROM public.schema_migrations",
    )
}

/// Waits until the history has just these versions, given as [`applied`] does.
#[track_caller]
pub fn has_applied(database: &Database<'_>, versions: &str) {
    eventually(2 * LIMIT, || match applied(database) {
        seen if seen == versions => Ok(()),
        seen => Err(seen),
    });
}

/// Waits until a fault struck.
#[track_caller]
pub fn has_struck(trouble: &Standing) {
    eventually(LIMIT, || match trouble.hits() {
        0 => Err("it did not strike"),
        _ => Ok(()),
    });
}

/// Whether a table is there.
pub fn has(database: &Database<'_>, table: &str) -> bool {
    database.admin_exec(&format!("SELECT to_regclass('{table}') IS NOT NULL")) == "t"
}

/// Sessions of ours, of which `condition` holds.
fn sessions(database: &Database<'_>, condition: &str) -> String {
    // Asked in another database, so that the look itself needs nothing of this one.
    database.server.admin_exec(&format!(
        "SELECT coalesce(string_agg(pid::text, ' '), '') FROM pg_stat_activity
         WHERE datname = '{}' AND application_name LIKE 'schemaward/%' AND {condition}",
        database.name
    ))
}

/// Waits until a script is in its `pg_sleep`; gives the pid of its session.
#[track_caller]
pub fn sleeps(database: &Database<'_>) -> String {
    eventually(LIMIT, || {
        let pids = sessions(database, "wait_event = 'PgSleep'");
        if pids.is_empty() || pids.contains(' ') {
            Err(pids)
        } else {
            Ok(pids)
        }
    })
}

/// Waits until a script waits for a lock.
#[track_caller]
pub fn waits_for_a_lock(database: &Database<'_>) {
    eventually(LIMIT, || {
        match sessions(database, "wait_event_type = 'Lock'").as_str() {
            "" => Err(()),
            _ => Ok(()),
        }
    });
}

/// Waits until nothing of ours is left in the server: no session, no lock, no prepared transaction (oracle O7).
#[track_caller]
pub fn at_rest(database: &Database<'_>) {
    eventually(LIMIT, || match sessions(database, "true").as_str() {
        "" => Ok(()),
        pids => Err(pids.to_owned()),
    });
    let left = database.server.admin_exec(&format!(
        "SELECT (SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE d.datname = '{0}' AND l.locktype = 'advisory' AND l.classid = 1935894647),
                (SELECT count(*) FROM pg_prepared_xacts WHERE database = '{0}')",
        database.name
    ));
    assert_eq!(left, "0|0", "locks and prepared transactions");
}

/// A signal to a process.
pub fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), pid])
        .status();
    assert!(sent.expect("kill is there").success(), "kill -{name} {pid}");
}

/// A cluster with the chart's default install, and one operator that reaches it through `kfault`.
pub struct Cluster {
    pub api: Api,
    pub kfault: Kfault,
    pub operator: Operator,
}

impl Cluster {
    /// One for a case that breaks more than its own namespace.
    pub fn start() -> Self {
        let api = Api::start();
        let kfault = Kfault::before(&install(&api, "schemaward", &[]));
        let operator = operator(&kfault);
        Self {
            api,
            kfault,
            operator,
        }
    }

    /// The one that cases share which keep to their namespace.
    pub fn shared() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(Self::start)
    }

    /// The one for cases that break more than their own namespace, one after the other, and mend it.
    pub fn to_break() -> MutexGuard<'static, Self> {
        static CLUSTER: OnceLock<Mutex<Cluster>> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| Mutex::new(Self::start()));
        cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A namespace whose objects the operator may read.
    pub fn tenant(&self, name: &str) -> Namespace<'_> {
        tenant(&self.api, name)
    }
}

/// A cluster taken apart, so that its operator can end and another one come while a case is at work in it.
pub struct Parts<'a> {
    pub api: &'a Api,
    pub kfault: &'a Kfault,
    pub operator: &'a mut Operator,
    /// A namespace of the case, with the Secret of its database.
    pub namespace: Namespace<'a>,
    pub database: Database<'static>,
}

impl<'a> Parts<'a> {
    /// With a namespace and a database of this name.
    pub fn of(cluster: &'a mut Cluster, name: &str) -> Self {
        let Cluster {
            api,
            kfault,
            operator,
        } = cluster;
        let namespace = tenant(api, name);
        let database = database(name);
        namespace.secret(&database);
        Self {
            api,
            kfault,
            operator,
            namespace,
            database,
        }
    }
}

/// An operator that says all that it can.
pub fn operator(kfault: &Kfault) -> Operator {
    let flags = ["--log-level=trace,kube=trace", "--source-poll-interval=1s"];
    let operator = Operator::start_logging(&kfault.kubeconfig, &flags);
    operator.is_ready();
    operator
}

/// Ends an operator as the kernel would; another one comes in its place, and leads.
pub fn replace(running: &mut Operator, kfault: &Kfault) {
    running.kill();
    *running = operator(kfault);
    running.leads();
}

/// Writes of the status of a namespace's resource, `shop`.
pub fn status_writes(namespace: &Namespace<'_>) -> Rule {
    let path = format!("/namespaces/{}/databaseschemas/shop/status", namespace.name);
    Rule::on(Method::PATCH, path)
}

/// Writes of a namespace's Events.
pub fn event_writes(namespace: &Namespace<'_>) -> Rule {
    Rule::on(
        Method::POST,
        format!("/namespaces/{}/events", namespace.name),
    )
}

/// A merge patch that makes these files the inline source.
pub fn source(files: &[(&str, &str)]) -> Value {
    json!({"spec": {"source": crate::operator_rig::inline(files)}})
}

/// The most memory that a process had so far, in MiB.
pub fn peak_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

/// For what is only seen by its absence: nothing happened in this time.
pub fn a_while() {
    std::thread::sleep(Duration::from_secs(3));
}
