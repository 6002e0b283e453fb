//! C: the network.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use schemaward::api::condition::Reason;

use super::scene::{ONE, SLOW, TWO, applied, at_rest, database};
use super::{Attempt, Case, Expected, covered, run};
use crate::pgfault::{Phase, Proxy, Rule, Then, When};

pub const CASES: &[Case] = &[
    run(
        "C1",
        "the connection is reset in the middle of a statement",
        &[Reason::ConnectionLost, Reason::UpToDate],
        reset_in_the_middle,
    ),
    run(
        "C2",
        "the connection ends before the version and its commit are there",
        &[Reason::ConnectionLost, Reason::UpToDate],
        |expected| reset(expected, "c2", Phase::BeforeForward, ""),
    ),
    run(
        "C3",
        "the connection ends when the commit is done and before that is heard",
        &[Reason::ConnectionLost, Reason::UpToDate],
        |expected| reset(expected, "c3", Phase::AfterReply, "001"),
    ),
    covered(
        "C5",
        "the host vanishes without a farewell",
        &["tests/it/engine/interrupted.rs::a_host_that_vanished_is_not_waited_for_forever"],
    ),
    run(
        "C6",
        "a host that takes connections and says nothing",
        &[Reason::DatabaseUnreachable],
        silent_host,
    ),
    run(
        "C7",
        "a server that says a byte a second",
        &[Reason::DatabaseUnreachable],
        slow_host,
    ),
    run(
        "C8",
        "every message comes byte by byte, in both directions",
        &[Reason::UpToDate, Reason::MigrationFailed],
        byte_by_byte,
    ),
    covered(
        "C9",
        "something else at the port, J7",
        &["tests/faults/matrix/driver.rs::every_case_comes_to_what_is_expected"],
    ),
    run(
        "C11",
        "a host name has another address at the second attempt",
        &[],
        other_address,
    ),
    run(
        "C12",
        "a host name has two addresses, and nobody is at the first",
        &[],
        two_addresses,
    ),
    covered(
        "C13",
        "a cancellation comes too late",
        &["tests/it/engine/interrupted.rs::a_run_that_is_cancelled_rolls_back_and_says_so"],
    ),
    run(
        "C14",
        "a server that says an error and keeps the connection",
        &[Reason::TooManyConnections],
        error_and_silence,
    ),
];

/// The connection is reset at the Query that holds version 001 and its commit; `recorded` is what is there then.
fn reset(expected: &mut Expected, name: &str, phase: Phase, recorded: &str) {
    let database = database(name);
    database.exec("CREATE TABLE hits (id int)");
    let script = "INSERT INTO hits VALUES (1);";
    let rule = Rule {
        when: When::query(script),
        phase,
        then: Then::Reset,
    };
    let proxy = Proxy::start(database.server, Some(rule));
    let attempt = Attempt::at(&database, &[("001_hit_UP.sql", script), TWO]).through(proxy.port);
    let verdict = expected.of_attempt(&attempt);
    assert!(proxy.has_struck(), "{}", verdict.message);
    at_rest(&database);
    assert_eq!(applied(&database), recorded);
    expected.of_attempt(&attempt);
    assert_eq!(applied(&database), "001 002");
    assert_eq!(database.query_text("SELECT count(*) FROM hits"), "1");
}

fn reset_in_the_middle(expected: &mut Expected) {
    let database = database("c1");
    let rule = Rule {
        when: When::query("pg_sleep"),
        phase: Phase::AfterForward,
        then: Then::Reset,
    };
    let proxy = Proxy::start(database.server, Some(rule));
    let attempt = Attempt::at(&database, &[SLOW, TWO]).through(proxy.port);
    expected.of_attempt(&attempt);
    // The server notices by itself, and rolls back.
    at_rest(&database);
    assert_eq!(applied(&database), "");
    expected.of_attempt(&attempt);
    assert_eq!(applied(&database), "001 002");
}

/// A server that reads once, answers bit by bit, and then keeps the connection until the client ends it.
fn fake(pieces: Vec<Vec<u8>>, pause: Duration) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        // Whoever hangs up in the middle is served, too.
        let _ = stream.read(&mut [0; 1024]);
        for piece in pieces {
            if stream.write_all(&piece).is_err() {
                return;
            }
            std::thread::sleep(pause);
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    port
}

/// An attempt that ends within the ten seconds that connecting may take, and a little.
fn in_time(attempt: &Attempt, expected: &mut Expected) -> String {
    let began = Instant::now();
    let verdict = expected.of_attempt(attempt);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    verdict.message
}

fn silent_host(expected: &mut Expected) {
    let database = database("c6");
    let port = fake(Vec::new(), Duration::ZERO);
    let message = in_time(&Attempt::at(&database, &[ONE]).through(port), expected);
    assert!(message.contains("no answer within 10 s"), "{message}");
}

fn slow_host(expected: &mut Expected) {
    let database = database("c7");
    // AuthenticationOk, to go on with forever.
    let bytes = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x40application_name\0".map(|byte| vec![byte]);
    let port = fake(bytes.to_vec(), Duration::from_secs(1));
    in_time(&Attempt::at(&database, &[ONE]).through(port), expected);
}

fn error_and_silence(expected: &mut Expected) {
    let database = database("c14");
    let fields = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0";
    let length = u32::try_from(fields.len() + 4).expect("it is short");
    let error = [&b"E"[..], &length.to_be_bytes(), fields].concat();
    let port = fake(vec![error], Duration::ZERO);
    in_time(&Attempt::at(&database, &[ONE]).through(port), expected);
}

/// Runs `schemaward up` where `db.test` has the addresses of `hosts`, a line each; gives the exit code. The names are
/// those of a mount namespace of its own: the machine's own file stays as it is.
fn up_with_hosts(
    database: &crate::harness::Database<'_>,
    folder: &Path,
    hosts: &Path,
) -> Option<i32> {
    let schemaward = database.schemaward();
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"")
        .arg("sh")
        .arg(hosts)
        .arg(schemaward.get_program())
        .args(["up", "--sslmode=disable", "--host=db.test", "--dir"])
        .arg(folder)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    for (name, value) in schemaward.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let output = command.output().expect("unshare is there");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !said.contains("unshare:") && !said.contains("mount:"),
        "{said}"
    );
    output.status.code()
}

fn other_address(_: &mut Expected) {
    let database = database("c11");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(ONE.0), ONE.1).expect("it is writable");
    let hosts = folder.path().join("hosts");
    // Nobody is at the first one.
    std::fs::write(&hosts, "127.0.0.2 db.test\n").expect("it is writable");
    assert_eq!(up_with_hosts(&database, folder.path(), &hosts), Some(3));
    std::fs::write(&hosts, "127.0.0.1 db.test\n").expect("it is writable");
    assert_eq!(up_with_hosts(&database, folder.path(), &hosts), Some(0));
    assert_eq!(applied(&database), "001");
}

fn two_addresses(_: &mut Expected) {
    let database = database("c12");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(ONE.0), ONE.1).expect("it is writable");
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "::1 db.test\n127.0.0.1 db.test\n").expect("it is writable");
    assert_eq!(up_with_hosts(&database, folder.path(), &hosts), Some(0));
    assert_eq!(applied(&database), "001");
}

/// Carries what comes from one side to the other, a byte at a time.
fn trickle(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (
        from.try_clone().expect("a socket"),
        to.try_clone().expect("a socket"),
    );
    to.set_nodelay(true).expect("a socket");
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(from.read(&mut byte), Ok(1)) && to.write_all(&byte).is_ok() {}
        // Whoever hangs up first is no error here.
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn byte_by_byte(expected: &mut Expected) {
    let database = database("c8");
    let server = (database.server.host.clone(), database.server.port);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect((server.0.as_str(), server.1)).expect("it is there");
            trickle(&client, &server);
            trickle(&server, &client);
        }
    });
    let bad = (
        "002_bad_UP.sql",
        "CREATE TABLE effect ();\nSELECT * FROM nowhere;",
    );
    expected.of_attempt(&Attempt::at(&database, &[ONE]).through(port));
    let verdict = expected.of_attempt(&Attempt::at(&database, &[ONE, bad]).through(port));
    assert!(
        verdict.message.contains("line 2, column 15"),
        "{}",
        verdict.message
    );
    assert_eq!(applied(&database), "001");
}
