//! PostgreSQL servers and databases.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use super::supervisor::{Supervisor, text};
use super::{eventually, run_with_input, schemaward, stdout_of};

/// The PostgreSQL 16 that all tests of the run share.
pub fn postgres() -> &'static Postgres {
    postgres_major(16)
}

/// The shared PostgreSQL of a major version, 14 to 18. It is started when the first test asks for it.
pub fn postgres_major(major: u8) -> &'static Postgres {
    static SERVERS: [OnceLock<Postgres>; 5] = [const { OnceLock::new() }; 5];
    SERVERS[usize::from(major) - 14].get_or_init(|| Postgres::start(major, &[]))
}

/// A running server. The shared ones are never stopped: a test that stops its server starts its own.
#[derive(Debug)]
pub struct Postgres {
    /// Loopback address, for plain and encrypted connections.
    pub host: String,
    /// A name for the same address that the server's certificate also holds.
    pub tls_host: String,
    pub port: u16,
    /// PEM file of the authority that signed the server's certificate.
    pub ca: PathBuf,
    /// The server's log, each line with time, process id and application name.
    pub log: PathBuf,
    pub superuser: String,
    pub password: String,
    psql: PathBuf,
    made: AtomicUsize,
    supervisor: Mutex<Supervisor>,
}

impl Postgres {
    /// Starts a server for one test alone; it ends when the value is dropped. `flags` are further flags of
    /// `tests/harness/servers`, such as `--fsync` or `--set=log_statement=all`.
    pub fn start(major: u8, flags: &[&str]) -> Self {
        let major = major.to_string();
        let (supervisor, report) = Supervisor::start(&[&["--postgres", &major], flags].concat());
        let port = report["postgres"]["port"].as_u64().expect("a port");
        Self {
            host: text(&report, "/postgres/host"),
            tls_host: text(&report, "/postgres/tls_host"),
            port: u16::try_from(port).expect("a port has 16 bits"),
            ca: text(&report, "/postgres/ca").into(),
            log: text(&report, "/postgres/log").into(),
            superuser: text(&report, "/postgres/user"),
            password: text(&report, "/postgres/password"),
            psql: PathBuf::from(text(&report, "/postgres/bin")).join("psql"),
            made: AtomicUsize::new(0),
            supervisor: Mutex::new(supervisor),
        }
    }

    /// A standby of this server, which has been stopped in mode `fast`; it follows once that one runs again.
    pub fn standby(&self, major: u8) -> Self {
        let replicator = format!(
            "--set=primary_conninfo=host={} port={} user={} password={}",
            self.host, self.port, self.superuser, self.password
        );
        let of = format!("--standby-of={}", self.data().display());
        let mut standby = Self::start(major, &[&replicator, &of]);
        standby.password.clone_from(&self.password);
        standby
    }

    /// The folder of its data.
    pub fn data(&self) -> PathBuf {
        self.log.with_file_name("postgres")
    }

    /// A new, empty database, whose owner is a new role that is no superuser. Both bear `name` and a number,
    /// so that tests, and one test's several calls, stay apart.
    pub fn database(&self, name: &str) -> Database<'_> {
        let name = format!("{name}_{}", self.made.fetch_add(1, Ordering::Relaxed));
        let password = format!("password-of-{name}");
        self.admin_exec(&format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
        self.admin_exec(&format!("CREATE DATABASE {name} OWNER {name}"));
        Database {
            server: self,
            user: name.clone(),
            name,
            password,
        }
    }

    /// Runs SQL as superuser in the database `postgres`.
    #[track_caller]
    pub fn admin_exec(&self, sql: &str) -> String {
        stdout_of(&self.try_admin_exec(sql), sql)
    }

    /// Runs SQL as superuser in the database `postgres` and lets it fail.
    pub fn try_admin_exec(&self, sql: &str) -> Output {
        self.psql(self.port, "postgres", &self.superuser, &self.password, sql)
    }

    /// A psql of the superuser in the database `postgres` that does what `sql` says until it is killed.
    pub fn admin_spawn(&self, sql: &str) -> Child {
        use std::io::Write;
        let mut child = self
            .psql_command(self.port, "postgres", &self.superuser, &self.password)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql starts");
        let stdin = child.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{sql}").expect("psql reads");
        child
    }

    /// Stops the server; `mode` is `smart`, `fast` or `immediate`. Not for the shared ones.
    pub fn stop(&self, mode: &str) {
        self.control(&format!("postgres stop {mode}"));
    }

    /// Takes the server down as a crash does: by immediate shutdown, or by SIGKILL where that does not end it.
    pub fn crash(&self) {
        self.supervisor().try_control("postgres stop immediate");
    }

    /// Starts the stopped server on its old port and waits until it accepts connections.
    pub fn start_again(&self) {
        self.control("postgres start");
    }

    fn control(&self, command: &str) {
        self.supervisor().control(command);
    }

    fn supervisor(&self) -> MutexGuard<'_, Supervisor> {
        self.supervisor.lock().expect("no test panics in here")
    }

    /// SQL comes by standard input: each statement on its own, not in one transaction as with `-c`.
    fn psql(&self, port: u16, database: &str, user: &str, password: &str, sql: &str) -> Output {
        let mut psql = self.psql_command(port, database, user, password);
        run_with_input(psql.args(["-f", "-"]), sql)
    }

    fn psql_command(&self, port: u16, database: &str, user: &str, password: &str) -> Command {
        let mut psql = Command::new(&self.psql);
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1"])
            .env_clear()
            .env("PGHOST", &self.host)
            .env("PGPORT", port.to_string())
            .env("PGDATABASE", database)
            .env("PGUSER", user)
            .env("PGPASSWORD", password)
            .env("PGAPPNAME", "test")
            .env("PGCLIENTENCODING", "UTF8");
        psql
    }
}

/// A database of one test.
#[derive(Debug)]
pub struct Database<'a> {
    pub server: &'a Postgres,
    pub name: String,
    /// The owner of the database.
    pub user: String,
    pub password: String,
}

impl Database<'_> {
    /// Runs SQL as the owner.
    #[track_caller]
    pub fn exec(&self, sql: &str) {
        self.query_text(sql);
    }

    /// What the statements give, as `psql -At` prints it: a line a row, columns parted by `|`.
    #[track_caller]
    pub fn query_text(&self, sql: &str) -> String {
        stdout_of(&self.try_exec(sql), sql)
    }

    /// Runs SQL as the owner and lets it fail.
    pub fn try_exec(&self, sql: &str) -> Output {
        self.server.psql(
            self.server.port,
            &self.name,
            &self.user,
            &self.password,
            sql,
        )
    }

    /// Runs SQL in this database as superuser and gives what [`Self::query_text`] would.
    #[track_caller]
    pub fn admin_exec(&self, sql: &str) -> String {
        stdout_of(&self.try_admin_exec(sql), sql)
    }

    /// The same, and lets it fail.
    pub fn try_admin_exec(&self, sql: &str) -> Output {
        let server = self.server;
        let (superuser, password) = (&server.superuser, &server.password);
        server.psql(server.port, &self.name, superuser, password, sql)
    }

    /// The versions in its history, as the superuser sees them, whatever the owner signs in by.
    #[track_caller]
    pub fn applied(&self) -> String {
        self.admin_exec("SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations")
    }

    /// Runs SQL as the owner in another database at another port, such as the console of a pooler.
    #[track_caller]
    pub fn query_at(&self, port: u16, database: &str, sql: &str) -> String {
        let output = self
            .server
            .psql(port, database, &self.user, &self.password, sql);
        stdout_of(&output, sql)
    }

    /// A psql of the owner at this port, still without a task.
    pub fn psql(&self, port: u16) -> Command {
        self.server
            .psql_command(port, &self.name, &self.user, &self.password)
    }

    /// A psql that did what `sql` says and keeps its session, named `application`, open until it is killed.
    pub fn hold(&self, application: &str, sql: &str) -> Child {
        self.hold_at(self.server.port, application, sql)
    }

    /// The same at another port, where a pooler listens.
    pub fn hold_at(&self, port: u16, application: &str, sql: &str) -> Child {
        use std::io::{BufRead, BufReader};
        let mut child = self.session_at(port, application, &format!("{sql}\n\\echo held"));
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let held = stdout
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "held");
        assert!(held, "psql could not run {sql}");
        child
    }

    /// The same, empty and in another encoding.
    pub fn in_encoding(self, encoding: &str) -> Self {
        let (name, user) = (&self.name, &self.user);
        self.server.admin_exec(&format!("DROP DATABASE {name}"));
        self.server.admin_exec(&format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' OWNER {user}"
        ));
        self
    }

    /// A psql that is about to do what `sql` says, in a session named `application` that stays open until it
    /// is killed.
    pub fn session(&self, application: &str, sql: &str) -> Child {
        self.session_at(self.server.port, application, sql)
    }

    fn session_at(&self, port: u16, application: &str, sql: &str) -> Child {
        use std::io::Write;
        let mut child = self
            .psql(port)
            .env("PGAPPNAME", application)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql starts");
        let stdin = child.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{sql}").expect("psql reads");
        child
    }

    /// Waits until no session of ours is in this database, and with it no lock and no transaction that was
    /// prepared.
    #[track_caller]
    pub fn no_session_is_left(&self) {
        self.becomes_empty(&format!(
            "SELECT 'session ' || pid || ' ' || application_name FROM pg_stat_activity
             WHERE datname = '{0}' AND application_name LIKE 'schemaward/%'
             UNION ALL SELECT 'migration lock of ' || pid FROM pg_locks
             WHERE locktype = 'advisory' AND classid = 1935894647
             AND database = (SELECT oid FROM pg_database WHERE datname = '{0}')
             UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = '{0}'",
            self.name
        ));
    }

    /// Waits until nothing of a run is left in this database but what is recorded: no session, no lock, no
    /// transaction that was prepared, no INVALID index.
    #[track_caller]
    pub fn nothing_is_left(&self) {
        self.no_session_is_left();
        self.becomes_empty("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid");
    }

    #[track_caller]
    fn becomes_empty(&self, sql: &str) {
        eventually(Duration::from_secs(30), || {
            match self.admin_exec(sql).as_str() {
                "" => Ok(()),
                left => Err(left.to_owned()),
            }
        });
    }

    /// From now on the server takes the owner only over TLS.
    pub fn require_tls(&self) {
        self.admin_exec(&format!("GRANT tls_only TO {}", self.user));
    }

    /// `schemaward` with the environment that leads to this database.
    pub fn schemaward(&self) -> Command {
        let mut command = schemaward();
        command
            .env("POSTGRES_HOST", &self.server.host)
            .env("POSTGRES_PORT", self.server.port.to_string())
            .env("POSTGRES_DB", &self.name)
            .env("POSTGRES_USER", &self.user)
            .env("POSTGRES_PASSWORD", &self.password);
        command
    }
}
