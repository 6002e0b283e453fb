//! PgBouncer in front of a database of one test.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{Database, eventually, free_port, part};

/// A running PgBouncer; it ends when the value is dropped, and with the test's thread.
#[derive(Debug)]
pub struct PgBouncer {
    pub port: u16,
    pool: String,
    folder: TempDir,
    child: Child,
}

impl PgBouncer {
    /// Starts one in front of the server of `database`, for its owner. `pool_mode` is `session`, `transaction`
    /// or `statement`; `settings` are further lines of its configuration.
    pub fn start(database: &Database<'_>, pool_mode: &str, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let port = free_port();
        let pool = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\nlogfile = {}\n{}\n",
            database.server.host,
            database.server.port,
            path("users").display(),
            path("log").display(),
            settings.join("\n"),
        );
        let users = format!("\"{}\" \"{}\"\n", database.user, database.password);
        for (name, content) in [("users", users.as_str()), ("log", ""), ("ini", "")] {
            fs::write(path(name), content).expect("the folder is writable");
            let mode = fs::Permissions::from_mode(0o666);
            fs::set_permissions(path(name), mode).expect("our own file");
        }
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("our own folder");
        configure(folder.path(), &pool, pool_mode);
        let child = command(&path("ini")).spawn().expect("setpriv starts");
        let bouncer = Self {
            port,
            pool,
            folder,
            child,
        };
        eventually(Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", port)).map_err(|error| {
                let log = fs::read_to_string(bouncer.folder.path().join("log"));
                (error.to_string(), log)
            })
        });
        bouncer
    }

    /// Switches to another mode while clients are connected, as an administrator's RELOAD does.
    pub fn switch_to(&self, pool_mode: &str) {
        configure(self.folder.path(), &self.pool, pool_mode);
        let before = self.log().matches("re-reading config").count();
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -HUP");
        eventually(Duration::from_secs(10), || {
            let log = self.log();
            let reloads = log.to_lowercase().matches("re-reading config").count();
            if reloads > before { Ok(()) } else { Err(log) }
        });
    }

    /// Clients of the pool of `database` that wait for a server session. Its owner has to be among
    /// `admin_users`.
    pub fn waiting(&self, database: &Database<'_>) -> usize {
        let pools = database.query_at(self.port, "pgbouncer", "SHOW POOLS;");
        let waiting = pools
            .lines()
            .map(|pool| pool.split('|').collect::<Vec<_>>())
            .find(|pool| pool[0] == database.name)
            .and_then(|pool| pool[3].parse().ok());
        waiting.unwrap_or_default()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("its log")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn configure(folder: &Path, pool: &str, pool_mode: &str) {
    let content = format!("{pool}pool_mode = {pool_mode}\n");
    fs::write(folder.join("ini"), content).expect("the folder is writable");
}

/// It refuses to run as root. `setpriv` ends it with our thread; that is set after the user, whose change would
/// clear it.
fn command(configuration: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if is_root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    command
        .arg("--")
        .arg(part("SCHEMAWARD_PGBOUNCER"))
        .arg(configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
