//! I: TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use schemaward::api::condition::Reason;

use super::scene::{ONE, TWO, applied, database, database_on};
use super::{Attempt, Case, Expected, Why, covered, excluded, run};
use crate::harness::{Database, Postgres};

pub const CASES: &[Case] = &[
    covered(
        "I1",
        "a certificate of another authority",
        &[
            "tests/it/operator_bad_input/server.rs::a_certificate_that_nobody_vouches_for_is_refused_until_the_ca_is_named",
        ],
    ),
    run(
        "I2",
        "a certificate that is over, and one that is not yet good",
        &[Reason::TlsVerificationFailed, Reason::TlsVerificationFailed],
        out_of_time,
    ),
    run(
        "I3",
        "a certificate for another host: VerifyFull refuses it, VerifyCA does not look",
        &[
            Reason::TlsVerificationFailed,
            Reason::TlsVerificationFailed,
            Reason::UpToDate,
        ],
        other_host,
    ),
    covered(
        "I4",
        "a server without TLS",
        &["tests/it/operator_bad_input/server.rs::a_server_without_tls_gets_no_plaintext"],
    ),
    run(
        "I6",
        "the authority is changed, with both in the bundle meanwhile",
        &[
            Reason::UpToDate,
            Reason::UpToDate,
            Reason::UpToDate,
            Reason::TlsVerificationFailed,
        ],
        changed_authority,
    ),
    run(
        "I7",
        "a server that knows TLS up to 1.1 only",
        &[Reason::TlsVerificationFailed],
        old_tls,
    ),
    covered(
        "I8",
        "the server wants a certificate from us",
        &[
            "tests/it/client_certificate.rs::the_operator_signs_in_by_a_certificate_and_takes_a_new_one_without_a_restart",
        ],
    ),
    run(
        "I9",
        "somebody in between answers that there is no TLS, or goes on in plain text",
        &[Reason::TlsRequired, Reason::TlsVerificationFailed],
        downgrade,
    ),
    excluded(
        "I10",
        "channel binding is taken away",
        Why::Decided,
        "the driver has none; verified TLS is the answer, and docs/security.md says so (decision 22)",
    ),
];

/// Runs openssl in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder);
    let output = command.output().expect("openssl is there");
    assert!(output.status.success(), "openssl {arguments}: {output:?}");
}

/// An authority of a test, with a folder for what it signs.
struct Authority {
    folder: tempfile::TempDir,
}

/// Where a certificate and its key are.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        openssl(
            path,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=authority -days 30 \
             -keyout ca.key -out ca.pem -addext basicConstraints=critical,CA:TRUE",
        );
        std::fs::write(path.join("index.txt"), "").expect("the folder is writable");
        std::fs::write(path.join("serial"), "01").expect("the folder is writable");
        std::fs::write(path.join("ca.cnf"), CONFIGURATION).expect("the folder is writable");
        Self { folder }
    }

    fn pem(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("ca.pem")).expect("it was written")
    }

    /// A certificate for names as `DNS:a,IP:1.2.3.4`, good between two times as `20200101000000Z`.
    fn certificate(&self, names: &str, from: &str, until: &str) -> Pair {
        let folder = self.folder.path();
        std::fs::write(
            folder.join("names.cnf"),
            format!("subjectAltName={names}\n"),
        )
        .expect("the folder is writable");
        openssl(
            folder,
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout server.key -out server.csr",
        );
        openssl(
            folder,
            &format!(
                "ca -batch -notext -config ca.cnf -in server.csr -out server.pem -extfile names.cnf -startdate {from} -enddate {until}"
            ),
        );
        Pair {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        }
    }

    fn good(&self, names: &str) -> Pair {
        self.certificate(names, "20200101000000Z", "20990101000000Z")
    }
}

/// What `openssl ca` needs to set both ends of a certificate's time.
const CONFIGURATION: &str = "[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
serial = serial
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
";

const HERE: &str = "DNS:localhost,IP:127.0.0.1";

/// A server whose certificate cases change, one after the other.
fn server() -> MutexGuard<'static, &'static Postgres> {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    static TURN: OnceLock<Mutex<&'static Postgres>> = OnceLock::new();
    let old = ["--set=ssl_min_protocol_version=TLSv1"];
    let turn = TURN.get_or_init(|| Mutex::new(SERVER.get_or_init(|| Postgres::start(16, &old))));
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the server another certificate; connections from now on get it.
fn wear(server: &Postgres, pair: &Pair) {
    let data = server.data();
    // Written into the files that are there, which belong to the server's user.
    for (from, name) in [(&pair.certificate, "server.crt"), (&pair.key, "server.key")] {
        let text = std::fs::read(from).expect("openssl wrote it");
        std::fs::write(data.join(name), text).expect("the harness's own server");
    }
    let before = server.admin_exec("SELECT extract(epoch FROM pg_conf_load_time())");
    server.admin_exec("SELECT pg_reload_conf()");
    crate::harness::eventually(crate::operator_rig::LIMIT, || {
        let now = server.admin_exec("SELECT extract(epoch FROM pg_conf_load_time())");
        if now == before { Err(now) } else { Ok(()) }
    });
}

fn full(database: &Database<'_>, ca: Vec<u8>) -> Attempt {
    let attempt = Attempt::at(database, &[ONE]).host("localhost");
    attempt.tls("VerifyFull", Some(ca))
}

fn out_of_time(expected: &mut Expected) {
    let server = server();
    let database = database_on(&server, "i2");
    let authority = Authority::new();
    for (from, until) in [
        ("20200101000000Z", "20200201000000Z"),
        ("20980101000000Z", "20990101000000Z"),
    ] {
        wear(&server, &authority.certificate(HERE, from, until));
        let verdict = expected.of_attempt(&full(&database, authority.pem()));
        assert!(
            verdict.message.contains("No password was sent."),
            "{}",
            verdict.message
        );
    }
    assert_eq!(applied(&database), "");
}

fn other_host(expected: &mut Expected) {
    let server = server();
    let database = database_on(&server, "i3");
    let authority = Authority::new();
    wear(&server, &authority.good("DNS:db.example"));
    expected.of_attempt(&full(&database, authority.pem()));
    expected.of_attempt(&full(&database, authority.pem()).host("127.0.0.1"));
    let by_authority = Attempt::at(&database, &[ONE]).host("localhost");
    expected.of_attempt(&by_authority.tls("VerifyCA", Some(authority.pem())));
}

fn changed_authority(expected: &mut Expected) {
    let server = server();
    let database = database_on(&server, "i6");
    let (old, new) = (Authority::new(), Authority::new());
    let both = [old.pem(), new.pem()].concat();
    wear(&server, &old.good(HERE));
    expected.of_attempt(&full(&database, old.pem()));
    expected.of_attempt(&full(&database, both.clone()));
    wear(&server, &new.good(HERE));
    let attempt = Attempt::at(&database, &[ONE, TWO]).host("localhost");
    expected.of_attempt(&attempt.tls("VerifyFull", Some(both)));
    assert_eq!(applied(&database), "001 002");
    expected.of_attempt(&full(&database, old.pem()));
}

fn old_tls(expected: &mut Expected) {
    let server = server();
    let database = database_on(&server, "i7");
    let authority = Authority::new();
    wear(&server, &authority.good(HERE));
    server.admin_exec("ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.1'");
    wear(&server, &authority.good(HERE));
    expected.of_attempt(&full(&database, authority.pem()));
    server.admin_exec("ALTER SYSTEM RESET ssl_max_protocol_version");
    wear(&server, &authority.good(HERE));
}

/// A server that answers the request for TLS with this, and keeps what it is sent afterwards.
fn in_between(answer: &'static [u8]) -> (u16, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let mut request = [0; 8];
        stream.read_exact(&mut request).expect("a request for TLS");
        stream.write_all(answer).expect("somebody listens");
        let mut heard = Vec::new();
        // An error is an end, too.
        let _ = stream.read_to_end(&mut heard);
        heard
    });
    (port, heard)
}

fn downgrade(expected: &mut Expected) {
    let database = database("i9");
    let attempt = |port| {
        let attempt = Attempt::at(&database, &[ONE])
            .host("localhost")
            .through(port);
        attempt.tls("VerifyFull", None)
    };
    // "There is no TLS here", and "yes" with an answer in plain text right behind it (CVE-2021-23222).
    for answer in [&b"N"[..], b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"] {
        let (port, heard) = in_between(answer);
        expected.of_attempt(&attempt(port));
        let heard = String::from_utf8_lossy(&heard.join().expect("no panic")).into_owned();
        assert!(
            !heard.contains(&database.user) && !heard.contains("password"),
            "{heard:?}"
        );
    }
}
