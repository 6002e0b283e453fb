//! The session: the migration lock, and what scripts run under.

use super::quote::identifier;
use super::settings::Settings;

/// The two keys of the advisory lock. The space of two-integer locks is per database, so one
/// database is one lock, whatever the number of ledgers in it. The first key is the word "schw" in
/// ASCII, to stay clear of applications' own locks.
const LOCK: (i32, i32) = (0x7363_6877, 1);

/// Names that nobody can shadow (CVE-2018-1058).
pub const OWN_SEARCH_PATH: &str = "SET LOCAL search_path TO pg_catalog, pg_temp";

/// The same outside of a transaction, until a script's own takes its place.
pub const OWN_SEARCH_PATH_OF_SESSION: &str = "SET search_path TO pg_catalog, pg_temp";

/// Tries once; true when the lock is now this session's.
pub fn try_lock() -> String {
    format!(
        "SELECT pg_catalog.pg_try_advisory_lock({}, {})",
        LOCK.0, LOCK.1
    )
}

/// Fails with [`super::error::LOCK_LOST`] unless this very session holds the lock; outside of a transaction, where
/// [`begin_locked`] has nothing to take it for.
pub fn lock_check() -> String {
    let held = format!(
        "EXISTS (SELECT 1 FROM {} AND l.pid = pg_catalog.pg_backend_pid())",
        held_locks()
    );
    format!("SELECT {}", unless_lost(&held))
}

/// Takes the lock for the transaction, and checks that this very session has it; fails with
/// [`super::error::LOCK_LOST`] where it has not. Behind a pooler that switched sessions the first is what holds.
///
/// `pg_locks` would say whose the lock is, and reads the locks of all sessions for it. Only the session that
/// has a lock can release it, so that is asked instead: once the transaction has the lock, nobody else can
/// get what is released and taken again at once.
///
/// An expression that is safe under any `search_path`.
pub fn fence() -> String {
    let (one, two) = LOCK;
    unless_lost(&format!(
        "CASE WHEN NOT pg_catalog.pg_try_advisory_xact_lock({one}, {two}) THEN false \
         WHEN NOT pg_catalog.pg_advisory_unlock({one}, {two}) THEN false \
         ELSE pg_catalog.pg_try_advisory_lock({one}, {two}) END"
    ))
}

/// A square root of -1 where `held` is false: no other statement of ours can fail with that SQLSTATE.
fn unless_lost(held: &str) -> String {
    format!("pg_catalog.sqrt(CASE WHEN {held} THEN 1 ELSE -1 END)")
}

/// How every transaction of ours that writes begins: under names that nobody can shadow, the lock checked and
/// taken once more.
pub fn begin_locked() -> [String; 3] {
    [
        "BEGIN".to_owned(),
        OWN_SEARCH_PATH.to_owned(),
        format!("SELECT {}", fence()),
    ]
}

/// Who holds the lock: pid, `application_name`, role, for how long it is connected, its state and for how
/// long it has it, whether it is of our own identity, and whether it waits for a lock or our role may not see that.
pub fn lock_holder() -> String {
    let seconds_since = |time: &str| {
        format!("EXTRACT(epoch FROM pg_catalog.clock_timestamp() - {time})::pg_catalog.int8")
    };
    format!(
        "SELECT a.pid, COALESCE(a.application_name, '') AS application_name, \
         COALESCE(a.usename::pg_catalog.text, '') AS role, \
         {connected} AS connected_seconds, a.state, {state} AS state_seconds, \
         COALESCE(a.application_name = pg_catalog.current_setting('application_name') \
            AND a.usename = SESSION_USER, false) AS is_same_identity, {may_wait} AS may_wait \
         FROM pg_catalog.pg_stat_activity a WHERE a.pid IN (SELECT l.pid FROM {locks} \
         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d \
         WHERE d.datname = pg_catalog.current_database())) LIMIT 1",
        connected = seconds_since("a.backend_start"),
        state = seconds_since("a.state_change"),
        may_wait = may_wait("a"),
        locks = held_locks(),
    )
}

/// Whether a row of `pg_stat_activity` is of a session that waits for a lock. Of others' sessions our role may not see
/// that, as it sees nothing else: then it may.
pub fn may_wait(row: &str) -> String {
    format!("COALESCE({row}.wait_event_type = 'Lock', {row}.backend_start IS NULL)")
}

/// `FROM` and `WHERE` of the granted locks with our key, in any database.
fn held_locks() -> String {
    format!(
        "pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 \
         AND l.classid = {}::pg_catalog.oid AND l.objid = {}::pg_catalog.oid",
        LOCK.0, LOCK.1
    )
}

/// What a script runs under, inside the transaction: the wanted role and `search_path`.
pub fn script_settings(settings: &Settings, scope: Scope) -> Vec<String> {
    let local = match scope {
        Scope::Transaction => "LOCAL ",
        Scope::Session => "",
    };
    let path = if settings.search_path.is_empty() {
        "DEFAULT".to_owned()
    } else {
        let quoted: Vec<_> = settings.search_path.iter().map(|s| identifier(s)).collect();
        quoted.join(", ")
    };
    let role = settings
        .role
        .iter()
        .map(|role| format!("SET {local}ROLE {}", identifier(role)));
    std::iter::once(format!("SET {local}search_path TO {path}"))
        .chain(role)
        .collect()
}

/// How long a setting lasts.
#[derive(Clone, Copy)]
pub enum Scope {
    /// `SET LOCAL`.
    Transaction,
    /// `SET`.
    Session,
}
