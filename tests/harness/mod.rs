//! Real servers for the tests: one PostgreSQL of each major version and one Kubernetes API server serve the
//! whole run of a test binary. Each starts when the first test asks for it and ends with the process, whatever
//! ends that (`tests/harness/servers` watches its standard input).
//!
//! Tests stay apart by a database and a namespace each: [`Postgres::database`], [`Api::namespace`].

mod api;
mod external_secrets;
mod moto;
mod pgbouncer;
mod postgres;
mod supervisor;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub use api::{Api, Namespace, api};
pub use external_secrets::ExternalSecrets;
pub use moto::Moto;
pub use pgbouncer::PgBouncer;
pub use postgres::{Database, Postgres, postgres, postgres_major};

/// The built program, in an environment that holds nothing of the developer's own.
pub fn schemaward() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_schemaward"));
    command.env_clear();
    command
}

/// The path of a part, by the variable that `parts/env` prints for it, such as `HELM` or `KSTATUS`.
///
/// # Panics
/// When the part has not been brought yet.
pub fn part(variable: &str) -> PathBuf {
    let env = Path::new(env!("CARGO_MANIFEST_DIR")).join("parts/env");
    let script = format!(
        "eval \"$({})\" && printf %s \"${{{variable}-}}\"",
        env.display()
    );
    let output = Command::new("bash").args(["-c", &script]).output();
    let path = stdout_of(&output.expect("bash starts"), "parts/env");
    assert!(
        !path.is_empty(),
        "{variable} is not here yet: run `make parts`"
    );
    path.into()
}

/// A loopback port for a server that cannot be asked for any free one.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Calls `probe` until it gives `Ok`, and returns that. `Err` carries what was seen instead.
///
/// # Panics
/// After `limit`, with the last thing seen.
#[track_caller]
pub fn eventually<T, E: Debug>(limit: Duration, mut probe: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + limit;
    loop {
        match probe() {
            Ok(value) => return value,
            Err(seen) => assert!(
                Instant::now() < end,
                "not so within {limit:?}; last seen: {seen:#?}"
            ),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The standard output of a command that must succeed, without the last line feed.
#[track_caller]
pub fn stdout_of(output: &Output, what: &str) -> String {
    assert!(
        output.status.success(),
        "{what} failed with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}

/// Runs a command with `input` as its standard input.
fn run_with_input(command: &mut Command, input: &str) -> Output {
    use std::io::Write;
    use std::process::Stdio;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    std::thread::scope(|scope| {
        // A program that fails early closes its input; what it says is in the output.
        scope.spawn(move || stdin.write_all(input.as_bytes()).ok());
        child
            .wait_with_output()
            .expect("the child can be waited for")
    })
}
