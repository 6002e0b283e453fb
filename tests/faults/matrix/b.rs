//! B: the server crashes, restarts, fails over, runs out of room.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use schemaward::api::condition::Reason;

use super::scene::{
    ONE, SLOW, THREE, TWO, applied, at_rest, database, database_on, has, signal, sleeps,
};
use super::{Attempt, Case, Expected, Why, covered, excluded, run, slow};
use crate::harness::{Database, Postgres, eventually};
use crate::operator_rig::LIMIT;
use crate::pgfault::{Phase, Proxy, Rule, Then, When};

pub const CASES: &[Case] = &[
    run(
        "B1",
        "our backend is killed: the server restarts all of them",
        &[Reason::ConnectionLost, Reason::UpToDate],
        our_backend_is_killed,
    ),
    run(
        "B2",
        "another backend is killed; attempts go on while the server recovers",
        &[Reason::ConnectionLost, Reason::UpToDate],
        other_backend_is_killed,
    ),
    run(
        "B3",
        "our session is terminated by an administrator",
        &[Reason::ConnectionLost, Reason::UpToDate],
        terminated,
    ),
    run(
        "B4",
        "the server stops at once when it has the version and its commit",
        &[Reason::ConnectionLost, Reason::UpToDate],
        stopped_at_commit,
    ),
    run(
        "B5",
        "the server is restarted in the middle of a version",
        &[
            Reason::ConnectionLost,
            Reason::DatabaseUnreachable,
            Reason::UpToDate,
        ],
        restarted,
    ),
    covered(
        "B6",
        "the server is down at the start, and comes back",
        &[
            "tests/it/operator_bad_input/server.rs::a_database_that_is_down_is_awaited",
            "tests/it/cli_bad_input.rs::a_database_that_is_down_may_come_back",
        ],
    ),
    run(
        "B7",
        "the server is a standby, then it is promoted",
        &[Reason::UpToDate, Reason::ReadOnlyReplica, Reason::UpToDate],
        standby,
    ),
    slow(
        "B8",
        "a synchronous standby takes over in the middle of a version",
        &[Reason::UpToDate, Reason::ConnectionLost, Reason::UpToDate],
        failover,
    ),
    run(
        "B10",
        "the primary becomes a standby while we are connected",
        &[
            Reason::ConnectionLost,
            Reason::ReadOnlyReplica,
            Reason::UpToDate,
        ],
        demoted,
    ),
    covered(
        "B11",
        "two writable copies behind one name: what one of them lacks is missed",
        &["tests/it/identity.rs::a_database_that_lost_history_is_left_alone_until_it_is_accepted"],
    ),
    covered(
        "B12",
        "another database behind the same name",
        &[
            "tests/it/identity.rs::another_database_under_the_same_address_is_left_alone_until_it_is_accepted",
            "tests/it/identity.rs::an_empty_database_under_the_same_address_is_not_filled_silently",
        ],
    ),
    covered(
        "B14",
        "the history is dropped or emptied by hand",
        &["tests/it/decisions.rs::a_history_that_was_emptied_or_dropped_by_hand_stops_everything"],
    ),
    run(
        "B15",
        "the disk is full",
        &[Reason::DiskFull, Reason::UpToDate],
        disk_full,
    ),
    excluded(
        "B16",
        "the disk of the WAL is full",
        Why::CannotBeRunHere,
        "the server ends itself and needs room to come back; what a client sees of it is B1 and then B6",
    ),
    slow(
        "B18",
        "the server's lock table is too small for a script",
        &[Reason::MigrationFailed],
        too_many_locks,
    ),
    covered(
        "B19",
        "a backend hangs, and its run is gone: the next one is told of it",
        &[
            "tests/it/operator_hung.rs::a_shutdown_leaves_a_hung_server_in_time_and_the_next_run_says_so",
        ],
    ),
    run(
        "B20",
        "the synchronous standby is gone: the commit is on disk and nobody says so",
        &[Reason::UpToDate, Reason::ConnectionLost, Reason::UpToDate],
        commit_hangs,
    ),
    run(
        "B21",
        "a column of our own tables is gone",
        &[Reason::UpToDate, Reason::HistoryUnreadable],
        missing_column,
    ),
    excluded(
        "B22",
        "a server older than PostgreSQL 14, or newer than all that is known",
        Why::CannotBeRunHere,
        "`make parts` brings PostgreSQL 14 to 18, which are supported; the test of every supported server covers the newest",
    ),
    excluded(
        "B24",
        "a minor upgrade of the server",
        Why::CannotBeRunHere,
        "`make parts` brings one minor version of each major one; nothing of ours looks at the minor version",
    ),
];

/// A server that cases may break, one after the other; each leaves it running.
fn breakable() -> MutexGuard<'static, &'static Postgres> {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    static TURN: OnceLock<Mutex<&'static Postgres>> = OnceLock::new();
    // Killed backends are everyday life here: no pause before the server restarts itself.
    let turn =
        TURN.get_or_init(|| Mutex::new(SERVER.get_or_init(|| Postgres::start(16, &["--fsync"]))));
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the server takes connections again.
fn is_back(database: &Database<'_>) {
    eventually(LIMIT, || {
        let output = database.try_exec("SELECT 1");
        if output.status.success() {
            Ok(())
        } else {
            Err(output)
        }
    });
}

fn our_backend_is_killed(expected: &mut Expected) {
    let server = breakable();
    let database = database_on(&server, "b1");
    let attempt = Attempt::at(&database, &[SLOW, TWO]);
    let running = attempt.start();
    signal("KILL", &sleeps(&database));
    expected.of_verdict(running.join().expect("no panic"));
    is_back(&database);
    assert!(!has(&database, "slow"));
    expected.of_attempt(&attempt);
    assert_eq!(applied(&database), "001 002");
    at_rest(&database);
}

fn other_backend_is_killed(expected: &mut Expected) {
    let server = breakable();
    let database = database_on(&server, "b2");
    let attempt = Attempt::at(&database, &[SLOW, TWO]);
    let running = attempt.start();
    sleeps(&database);
    let mut other = database.hold("other", "SELECT 1;");
    let pid = database
        .server
        .admin_exec("SELECT pid FROM pg_stat_activity WHERE application_name = 'other'");
    signal("KILL", &pid);
    expected.of_verdict(running.join().expect("no panic"));
    other.wait().expect("our own child");
    // While the server recovers, whoever comes is told to come again, and nothing else.
    let verdict = loop {
        let verdict = attempt.go();
        match verdict.reason {
            Reason::ConnectionLost | Reason::DatabaseUnreachable => {
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => break verdict,
        }
    };
    expected.of_verdict(verdict);
    assert_eq!(applied(&database), "001 002");
    at_rest(&database);
}

fn terminated(expected: &mut Expected) {
    let database = database("b3");
    let attempt = Attempt::at(&database, &[SLOW, TWO]);
    let running = attempt.start();
    let pid = sleeps(&database);
    database.admin_exec(&format!("SELECT pg_terminate_backend({pid})"));
    let verdict = expected.of_verdict(running.join().expect("no panic"));
    assert!(
        verdict.message.contains("rolled back"),
        "{}",
        verdict.message
    );
    assert_eq!(applied(&database), "");
    expected.of_attempt(&attempt);
    assert_eq!(applied(&database), "001 002");
    at_rest(&database);
}

fn restarted(expected: &mut Expected) {
    let server = breakable();
    let database = database_on(&server, "b5");
    let attempt = Attempt::at(&database, &[SLOW, TWO]);
    let running = attempt.start();
    sleeps(&database);
    server.stop("fast");
    expected.of_verdict(running.join().expect("no panic"));
    expected.of_attempt(&attempt);
    server.start_again();
    assert!(!has(&database, "slow"));
    expected.of_attempt(&attempt);
    assert_eq!(applied(&database), "001 002");
    at_rest(&database);
}

fn stopped_at_commit(expected: &mut Expected) {
    let server = breakable();
    let database = database_on(&server, "b4");
    let rule = Rule {
        when: When::query(ONE.1),
        phase: Phase::AfterForward,
        then: Then::StopServer,
    };
    let proxy = Proxy::start(&server, Some(rule));
    let attempt = Attempt::at(&database, &[ONE, TWO]).through(proxy.port);
    expected.of_attempt(&attempt);
    server.start_again();
    assert_eq!(has(&database, "one"), applied(&database) == "001");
    expected.of_attempt(&attempt);
    assert_eq!(applied(&database), "001 002");
}

/// Makes the server a standby, or the primary again.
fn demote(server: &Postgres, mode: &str) {
    server.stop(mode);
    std::fs::write(server.data().join("standby.signal"), "").expect("the harness's own server");
    server.start_again();
}

fn promote(server: &Postgres) {
    assert_eq!(server.admin_exec("SELECT pg_promote()"), "t");
}

fn standby(expected: &mut Expected) {
    let server = breakable();
    let database = database_on(&server, "b7");
    expected.of_attempt(&Attempt::at(&database, &[ONE]));
    demote(&server, "fast");
    // An advisory lock on a standby is another one than the primary's (D19): none is taken there.
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    let next = Attempt::at(&database, &[ONE, TWO]);
    let verdict = expected.of_attempt(&next);
    assert!(
        verdict.message.contains("Nothing was changed"),
        "{}",
        verdict.message
    );
    assert_eq!(server.admin_exec(locks), "0");
    at_rest(&database);
    promote(&server);
    expected.of_attempt(&next);
    assert_eq!(applied(&database), "001 002");
}

fn demoted(expected: &mut Expected) {
    let server = breakable();
    let database = database_on(&server, "b10");
    let attempt = Attempt::at(&database, &[SLOW, TWO]);
    let running = attempt.start();
    sleeps(&database);
    demote(&server, "immediate");
    expected.of_verdict(running.join().expect("no panic"));
    expected.of_attempt(&attempt);
    assert!(!has(&database, "slow"));
    promote(&server);
    expected.of_attempt(&attempt);
    assert_eq!(applied(&database), "001 002");
    at_rest(&database);
}

/// Waits until a query of the superuser gives this.
fn gives(server: &Postgres, query: &str, result: &str) {
    eventually(LIMIT, || match server.admin_exec(query) {
        seen if seen == result => Ok(()),
        seen => Err(seen),
    });
}

fn failover(expected: &mut Expected) {
    let primary = Postgres::start(16, &["--fsync"]);
    let database = primary.database("b8");
    expected.of_attempt(&Attempt::at(&database, &[ONE]));
    primary.stop("fast");
    let standby = primary.standby(16);
    primary.start_again();
    wait_for_standbys(&primary, "'*'");
    gives(
        &primary,
        "SELECT sync_state FROM pg_stat_replication",
        "sync",
    );

    let way = Way::to(primary.port);
    let attempt = Attempt::at(&database, &[ONE, ("002_slow_UP.sql", SLOW.1), THREE]);
    let attempt = attempt.through(way.port);
    let running = attempt.start();
    sleeps(&database);
    primary.stop("immediate");
    expected.of_verdict(running.join().expect("no panic"));
    promote(&standby);
    way.leads_to(standby.port);
    expected.of_attempt(&attempt);
    let there = Database {
        server: &standby,
        name: database.name.clone(),
        user: database.user.clone(),
        password: database.password.clone(),
    };
    assert_eq!(applied(&there), "001 002 003");
    at_rest(&there);
}

/// One name of a server that may lead to another one tomorrow.
struct Way {
    port: u16,
    target: Arc<AtomicU16>,
}

impl Way {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let way = Self {
            port: listener.local_addr().expect("it is bound").port(),
            target: Arc::new(AtomicU16::new(port)),
        };
        let target = Arc::clone(&way.target);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let port = target.load(Ordering::SeqCst);
                // Where nobody is, the client is turned away.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                    join(&client, &server);
                    join(&server, &client);
                }
            }
        });
        way
    }

    fn leads_to(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }
}

/// Carries what comes from one side to the other, and its end.
fn join(from: &TcpStream, to: &TcpStream) {
    let both = (from.try_clone(), to.try_clone());
    let (Ok(mut from), Ok(mut to)) = both else {
        return;
    };
    std::thread::spawn(move || {
        // An error is an end, too.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// A small file system, as long as this value lives.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` without the right to mount one.
    fn mounted() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs"])
            .arg(folder.path())
            .output()
            .expect("mount is there");
        mounted.status.success().then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever has a file open there keeps it, and it goes with them.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn disk_full(expected: &mut Expected) {
    let Some(disk) = SmallDisk::mounted() else {
        // Where nothing can be mounted, another device that is always full, reached by a role that may write files.
        return full_device(expected);
    };
    let server = breakable();
    let database = database_on(&server, "b15");
    let place = disk.0.path().join("space");
    std::fs::create_dir(&place).expect("a new folder");
    server_owns(&place);
    let name = &database.name;
    let (user, path) = (&database.user, place.display());
    server.admin_exec(&format!(
        "CREATE TABLESPACE {name} LOCATION '{path}'; GRANT CREATE ON TABLESPACE {name} TO {user}"
    ));
    let script = |rows: u32| {
        format!(
            "CREATE TABLE large (t text) TABLESPACE {name};
             INSERT INTO large SELECT repeat(md5(n::text), 30) FROM generate_series(1, {rows}) n;"
        )
    };
    let large = script(60_000);
    let verdict = expected.of_attempt(&Attempt::at(
        &database,
        &[ONE, ("002_large_UP.sql", &large)],
    ));
    assert!(verdict.message.contains("53100"), "{}", verdict.message);
    assert_eq!(applied(&database), "001");
    assert!(!has(&database, "large"));
    let small = script(10);
    expected.of_attempt(&Attempt::at(
        &database,
        &[ONE, ("002_large_UP.sql", &small)],
    ));
    assert_eq!(applied(&database), "001 002");
    at_rest(&database);
    database.exec("DROP TABLE large");
    server.admin_exec(&format!("DROP TABLESPACE {name}"));
}

/// A folder in which the server, who may be another user, can make files.
fn server_owns(folder: &std::path::Path) {
    let user = ["postgres", "nobody"].into_iter().find(|user| {
        let known = Command::new("id").arg(user).output();
        known.is_ok_and(|output| output.status.success())
    });
    let owned = Command::new("chown")
        .arg(user.unwrap_or("nobody"))
        .arg(folder)
        .status();
    assert!(owned.expect("chown is there").success());
}

fn full_device(expected: &mut Expected) {
    let database = database("b15");
    database.admin_exec(&format!("GRANT pg_write_server_files TO {}", database.user));
    let full = "CREATE TABLE large (); COPY (SELECT generate_series(1, 100000)) TO '/dev/full';";
    let attempt = |script| {
        let attempt = Attempt::at(&database, &[ONE, ("002_large_UP.sql", script)]);
        attempt.with("/connection/allowPrivilegedRole", true.into())
    };
    expected.of_attempt(&attempt(full));
    assert_eq!(applied(&database), "001");
    assert!(!has(&database, "large"));
    expected.of_attempt(&attempt("CREATE TABLE large ();"));
}

fn too_many_locks(expected: &mut Expected) {
    let small = [
        "--set=max_locks_per_transaction=10",
        "--set=max_connections=10",
    ];
    let server = Postgres::start(16, &small);
    let database = server.database("b18");
    let many = "CREATE TABLE effect ();
DO $$ BEGIN FOR n IN 1..20000 LOOP EXECUTE format('CREATE TABLE t%s ()', n); END LOOP; END $$;";
    let verdict = expected.of_attempt(&Attempt::at(&database, &[ONE, ("002_many_UP.sql", many)]));
    assert!(verdict.message.contains("53200"), "{}", verdict.message);
    assert_eq!(applied(&database), "001");
    assert!(!has(&database, "effect") && !has(&database, "t1"));
}

fn commit_hangs(expected: &mut Expected) {
    let server = breakable();
    let database = database_on(&server, "b20");
    database.exec("CREATE TABLE hits (id int)");
    expected.of_attempt(&Attempt::at(&database, &[ONE]));
    wait_for_standbys(&server, "'nobody'");
    let hit = ("002_hit_UP.sql", "INSERT INTO hits VALUES (1);");
    let attempt = Attempt::at(&database, &[ONE, hit]);
    let running = attempt.start();
    let pid = eventually(LIMIT, || {
        let waiting = "SELECT max(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()";
        match database.admin_exec(waiting) {
            nobody if nobody.is_empty() => Err(()),
            pid => Ok(pid),
        }
    });
    server.admin_exec(&format!("SELECT pg_terminate_backend({pid})"));
    expected.of_verdict(running.join().expect("no panic"));
    wait_for_standbys(&server, "''");
    // It was never answered, and it is there: the next attempt reads that and runs nothing.
    assert_eq!(applied(&database), "001 002");
    expected.of_attempt(&attempt);
    assert_eq!(database.query_text("SELECT count(*) FROM hits"), "1");
    at_rest(&database);
}

/// Says which standbys a commit waits for.
fn wait_for_standbys(server: &Postgres, standbys: &str) {
    server.admin_exec(&format!(
        "ALTER SYSTEM SET synchronous_standby_names = {standbys}"
    ));
    server.admin_exec("SELECT pg_reload_conf()");
}

fn missing_column(expected: &mut Expected) {
    let database = database("b21");
    expected.of_attempt(&Attempt::at(&database, &[ONE]));
    database.exec("ALTER TABLE schemaward.script DROP COLUMN up_checksum CASCADE");
    let verdict = expected.of_attempt(&Attempt::at(&database, &[ONE, TWO]));
    assert!(
        verdict.message.contains("schemaward"),
        "{}",
        verdict.message
    );
    assert!(!has(&database, "two"));
    assert_eq!(applied(&database), "001");
}
