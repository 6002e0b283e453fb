//! pgfault: a proxy before a real PostgreSQL that understands message framing, lets one fault strike at one
//! message, and counts what went over the wire.
//!
//! Connections are plain: a request for encryption is declined, as a server without TLS does.

mod frame;
mod link;
mod rule;
#[cfg(test)]
mod tests;

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::harness::Postgres;

use frame::Frame;
use link::Link;
use rule::Armed;
pub use rule::{Phase, Rule, Then, When};

/// How long a server stays down that is started again.
const DOWN_TIME: Duration = Duration::from_secs(1);

/// A listening proxy; it and its connections end with this value.
#[derive(Debug)]
pub struct Proxy {
    /// On 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
    listener: AbortHandle,
}

/// What a proxy has counted on its first connection, the one of the run. Later ones look from aside, or cancel, and
/// when they come is a matter of time.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The messages of clients, Terminate aside, in the order in which they came.
    pub frontend: Vec<String>,
    /// Answers awaited by clients after authentication.
    pub round_trips: usize,
    /// SQLSTATEs of the server's errors.
    pub errors: Vec<String>,
}

/// What all connections of a proxy share.
#[derive(Debug)]
struct Shared {
    server: &'static Postgres,
    armed: Mutex<Armed>,
    record: Mutex<Record>,
    /// The program under test, once it is started.
    runner: OnceLock<u32>,
    connections: Mutex<Vec<AbortHandle>>,
}

impl Proxy {
    /// A proxy before `server` that lets `rule` strike once.
    pub fn start(server: &'static Postgres, rule: Option<Rule>) -> Self {
        let shared = Arc::new(Shared {
            server,
            armed: Mutex::new(Armed::new(rule)),
            record: Mutex::default(),
            runner: OnceLock::new(),
            connections: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("a socket of ours");
        let task = runtime().spawn(accept(listener, shared.clone()));
        Self {
            port,
            shared,
            listener: task.abort_handle(),
        }
    }

    /// Says which process [`Then::KillRunner`] kills; the fault waits for it.
    pub fn runner_is(&self, pid: u32) {
        self.shared.runner.set(pid).ok();
    }

    /// Whether the fault has struck.
    pub fn has_struck(&self) -> bool {
        lock(&self.shared.armed).struck
    }

    /// What went through so far.
    pub fn record(&self) -> Record {
        lock(&self.shared.record).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        for connection in lock(&self.shared.connections).drain(..) {
            connection.abort();
        }
    }
}

impl Shared {
    fn frontend(&self, connection: usize, frame: &Frame) -> Option<(Phase, Then)> {
        if connection == 0 {
            lock(&self.record).frontend.push(frame.name());
        }
        lock(&self.armed).frontend(connection, frame)
    }

    fn backend(
        &self,
        connection: usize,
        frame: &Frame,
        ready_before: bool,
    ) -> Option<(Phase, Then)> {
        if connection == 0 {
            let mut record = lock(&self.record);
            record.errors.extend(frame.sqlstate());
            record.round_trips += usize::from(ready_before && frame.is_ready());
        }
        lock(&self.armed).backend(connection, frame)
    }

    /// Kills the program under test, which may be about to be started.
    async fn kill_runner(self: &Arc<Self>) {
        let shared = self.clone();
        blocking(move || kill(*shared.runner.wait())).await;
    }

    async fn terminate(self: &Arc<Self>, pid: u32) {
        let server = self.server;
        let sql = format!("SELECT pg_terminate_backend({pid}, 5000)");
        blocking(move || server.admin_exec(&sql)).await;
    }

    async fn stop_server(self: &Arc<Self>) {
        let server = self.server;
        blocking(move || server.crash()).await;
    }

    /// Starts the stopped server after a while; connections go on meanwhile.
    fn start_server_again(&self) {
        let server = self.server;
        tokio::spawn(async move {
            sleep(DOWN_TIME).await;
            blocking(move || server.start_again()).await;
        });
    }
}

/// SIGKILL.
pub fn kill(pid: u32) {
    Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status()
        .expect("kill is there");
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) {
    tokio::task::spawn_blocking(work)
        .await
        .expect("what a fault does works");
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a runtime is there");
    for number in 0.. {
        let (client, _) = listener.accept().await.expect("loopback accepts");
        let task = tokio::spawn(serve(number, client, shared.clone()));
        lock(&shared.connections).push(task.abort_handle());
    }
}

/// One connection, from its first message to its end. They are numbered from 0 on.
async fn serve(number: usize, client: TcpStream, shared: Arc<Shared>) {
    // Without a server there is nobody to connect to: the client is turned away as a closed port does.
    match TcpStream::connect((shared.server.host.as_str(), shared.server.port)).await {
        Ok(server) => Link::new(number, client, server, shared).run().await,
        Err(_) => {
            client.set_zero_linger().ok();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the proxies of this process live.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
    })
}
