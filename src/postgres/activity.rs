//! What the server shows of our own session: since when it works, whom it waits for, how far an index is.
//! Reads only, from a second connection.

use jiff::Timestamp;
use serde::Deserialize;

use crate::engine::database::Observation;
use crate::engine::sessions::{Activity, Blocker, IndexBuild, LockOwner};

use super::facts::Session;
use super::quote::literal;
use super::{sanitize, session};

/// Blockers that are read at the most.
const MOST_BLOCKERS: usize = 10;

/// The state of a session that waits for a lock itself.
pub const WAITING: &str = "waiting for a lock";

/// What one of our own sessions does: see [`of`].
pub fn query(session: &Session) -> String {
    let began = literal(&session.began);
    of(&format!(
        "a.pid = {} AND a.backend_start::pg_catalog.text = {began}",
        session.pid
    ))
}

/// What any session does, as far as our role may see it: see [`of`].
pub fn query_of(pid: i32) -> String {
    of(&format!("a.pid = {pid}"))
}

/// The query about the session `a` that is `which`. No row: the session is gone. Otherwise one row and column, the JSON of [`Seen`].
///
/// Who blocks is asked only of a session that waits for a lock: `pg_blocking_pids` stops the server's
/// lock manager for a moment. It counts sessions that stand before ours in the queue, too; who holds the
/// lock comes first. Texts of queries are not read.
fn of(which: &str) -> String {
    let target = "w.locktype, w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, \
                  w.classid, w.objid, w.objsubid";
    let held = target.replace("w.", "h.");
    format!(
        "BEGIN READ ONLY; {search_path}; \
         WITH me AS MATERIALIZED (SELECT * FROM pg_catalog.pg_stat_activity a WHERE {which}), \
         locks AS MATERIALIZED (SELECT * FROM pg_catalog.pg_locks \
            WHERE (SELECT {may_wait} FROM me)), \
         build AS MATERIALIZED (SELECT p.* FROM pg_catalog.pg_stat_progress_create_index p \
            JOIN me ON me.pid = p.pid WHERE p.phase IS NOT NULL), \
         wanted AS MATERIALIZED (SELECT w.*, COALESCE(w.relation, \
            (SELECT t.relation FROM locks t WHERE t.pid = w.pid AND t.locktype = 'tuple' LIMIT 1), \
            (SELECT build.relid FROM build)) AS subject \
            FROM locks w JOIN me ON me.pid = w.pid WHERE NOT w.granted LIMIT 1), \
         holding AS MATERIALIZED (SELECT h.pid, h.virtualtransaction FROM locks h, wanted w WHERE h.granted \
            AND ROW({held}) IS NOT DISTINCT FROM ROW({target})), \
         blocker AS (\
            SELECT b.pid, NULL::pg_catalog.text AS gid, s.application_name, s.usename::pg_catalog.text AS role, \
                CASE WHEN s.backend_type <> 'client backend' THEN s.backend_type \
                    WHEN s.wait_event_type = 'Lock' THEN {waiting} ELSE s.state END AS state, \
                s.xact_start AS since, EXISTS (SELECT 1 FROM holding h WHERE h.pid = b.pid) AS holds \
            FROM (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS pid FROM wanted w) b \
            LEFT JOIN pg_catalog.pg_stat_activity s ON s.pid = b.pid WHERE b.pid <> 0 \
            UNION ALL \
            SELECT 0, p.gid, NULL, p.owner::pg_catalog.text, NULL, p.prepared, true \
            FROM holding h JOIN locks x ON x.virtualtransaction = h.virtualtransaction \
                AND x.locktype = 'transactionid' AND x.granted \
            JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid WHERE h.pid IS NULL) \
         SELECT pg_catalog.json_build_object(\
            'since', (EXTRACT(epoch FROM LEAST(me.xact_start, me.query_start)) * 1000000)::pg_catalog.int8, \
            'relation_schema', n.nspname, 'relation', c.relname, \
            'blockers', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
                'pid', b.pid, 'gid', b.gid, 'application_name', b.application_name, 'role', b.role, \
                'state', b.state, 'held_seconds', EXTRACT(epoch FROM \
                    pg_catalog.clock_timestamp() - b.since)::pg_catalog.int8) ORDER BY b.holds DESC, b.since) \
                FROM (SELECT * FROM blocker ORDER BY holds DESC, since LIMIT {MOST_BLOCKERS}) b), \
            'build', (SELECT pg_catalog.row_to_json(build) FROM build)\
         )::pg_catalog.text \
         FROM me LEFT JOIN wanted ON true \
         LEFT JOIN pg_catalog.pg_class c ON c.oid = wanted.subject \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace; COMMIT",
        search_path = session::OWN_SEARCH_PATH,
        may_wait = session::may_wait("me"),
        waiting = literal(WAITING),
    )
}

/// What one look saw.
#[derive(Debug, Deserialize)]
pub struct Seen {
    /// Microseconds since 1970.
    since: Option<i64>,
    relation_schema: Option<String>,
    relation: Option<String>,
    blockers: Option<Vec<SeenBlocker>>,
    build: Option<SeenBuild>,
}

#[derive(Debug, Deserialize)]
struct SeenBlocker {
    pid: i32,
    gid: Option<String>,
    application_name: Option<String>,
    role: Option<String>,
    state: Option<String>,
    held_seconds: Option<i64>,
}

/// Columns of `pg_stat_progress_create_index` (PostgreSQL manual, "Progress Reporting").
#[derive(Debug, Deserialize)]
struct SeenBuild {
    phase: String,
    lockers_total: i64,
    lockers_done: i64,
    current_locker_pid: i64,
    blocks_total: i64,
    blocks_done: i64,
    tuples_total: i64,
    tuples_done: i64,
}

impl Seen {
    /// As the engine knows it; `None` when the session does nothing.
    pub fn activity(mut self) -> Option<Activity> {
        let since = Timestamp::from_microsecond(self.since?).ok()?;
        let index_build = self.build.take().map(SeenBuild::index_build);
        Some(Activity {
            since,
            waits_for: self.waits_for(),
            index_build,
        })
    }

    /// What holds the lock that the session waits for; who holds it comes first.
    pub fn waits_for(self) -> Vec<Blocker> {
        let relation = self
            .relation_schema
            .zip(self.relation)
            .map(|(schema, name)| format!("{}.{}", sanitize::name(&schema), sanitize::name(&name)));
        let blockers = self.blockers.unwrap_or_default().into_iter();
        blockers
            .map(|blocker| blocker.blocker(relation.clone()))
            .collect()
    }
}

impl SeenBlocker {
    fn blocker(self, relation: Option<String>) -> Blocker {
        let is_server_process = self.role.is_none();
        Blocker {
            owner: match self.gid {
                Some(gid) => LockOwner::PreparedTransaction {
                    gid: sanitize::name(&gid),
                },
                None => LockOwner::Session {
                    pid: self.pid,
                    application_name: sanitize::name(&self.application_name.unwrap_or_default()),
                    // What kind of process it is, only a role that reads all statistics may see.
                    state: self.state.or_else(|| {
                        is_server_process
                            .then(|| "a process of the server, such as autovacuum".to_owned())
                    }),
                },
            },
            user: sanitize::name(&self.role.unwrap_or_default()),
            held_seconds: self.held_seconds,
            relation,
        }
    }
}

impl SeenBuild {
    fn index_build(self) -> IndexBuild {
        let waits = self.phase.starts_with("waiting for ");
        let percent = match (self.blocks_total, self.tuples_total) {
            _ if waits || self.phase.contains("sorting") => None,
            (1.., _) => per_cent(self.blocks_done, self.blocks_total),
            (_, 1..) => per_cent(self.tuples_done, self.tuples_total),
            _ => None,
        };
        IndexBuild {
            phase: sanitize::name(&self.phase),
            percent,
            lockers: (waits && self.lockers_total > 0)
                .then_some((self.lockers_done, self.lockers_total)),
            current_locker: i32::try_from(self.current_locker_pid)
                .ok()
                .filter(|pid| waits && *pid > 0),
        }
    }
}

/// `None` when all is done: while the server reads the first block it counts all of them as read
/// (`heapam_scan_get_blocks_done` in its sources), and a table may grow under it.
fn per_cent(done: i64, total: i64) -> Option<u8> {
    let per_cent = u8::try_from((done.saturating_mul(100) / total).max(0)).ok()?;
    (per_cent < 100).then_some(per_cent)
}

/// A version that did not get its locks, with who held them when it was looked at last.
pub fn explained(observation: Observation, seen: Option<&Activity>) -> Observation {
    match (observation, seen) {
        (Observation::LockNotAvailable(_), Some(seen)) => {
            Observation::LockNotAvailable(seen.waits_for.clone())
        }
        (observation, _) => observation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(
        phase: &str,
        blocks: (i64, i64),
        tuples: (i64, i64),
        lockers: (i64, i64),
    ) -> IndexBuild {
        SeenBuild {
            phase: phase.to_owned(),
            lockers_done: lockers.0,
            lockers_total: lockers.1,
            current_locker_pid: 4711,
            blocks_done: blocks.0,
            blocks_total: blocks.1,
            tuples_done: tuples.0,
            tuples_total: tuples.1,
        }
        .index_build()
    }

    #[test]
    fn a_phase_counts_what_it_works_on() {
        let none = (0, 0);
        for (phase, blocks, tuples, percent) in [
            ("initializing", none, none, None),
            ("building index: scanning table", (43, 100), none, Some(43)),
            ("building index: scanning table", (101, 100), none, None),
            // What an earlier phase counted is still there.
            ("building index: sorting live tuples", none, (5, 10), None),
            (
                "building index: loading tuples in tree",
                none,
                (5, 10),
                Some(50),
            ),
            ("waiting for old snapshots", (10, 10), (10, 10), None),
        ] {
            assert_eq!(
                build(phase, blocks, tuples, none).percent,
                percent,
                "{phase}"
            );
        }
    }

    #[test]
    fn only_a_phase_that_waits_names_whom_for() {
        let waiting = build("waiting for writers before build", (0, 0), (0, 0), (0, 1));
        assert_eq!(
            (waiting.lockers, waiting.current_locker),
            (Some((0, 1)), Some(4711))
        );
        let working = build("building index: scanning table", (0, 0), (0, 0), (1, 1));
        assert_eq!((working.lockers, working.current_locker), (None, None));
    }

    #[test]
    fn what_our_role_may_not_see_is_left_out() {
        let json = r#"{"since": 0, "relation_schema": "public", "relation": "orders", "build": null,
            "blockers": [{"pid": 9, "gid": null, "application_name": "", "role": null, "state": null,
            "held_seconds": null}]}"#;
        let seen: Seen = serde_json::from_str(json).unwrap();
        let blockers = seen.activity().unwrap().waits_for;
        assert_eq!(
            blockers[0].to_string(),
            "a lock on public.orders held by pid 9 (a process of the server, such as autovacuum)"
        );
    }
}
