//! Which database a command is about, and how it is reached.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use crate::api::credentials::Credentials;
use crate::postgres::ClientCertificate;
use crate::postgres::{LIVENESS_PERIOD, Origins, Password, Pooler, Settings, Tls, TlsMode};

use super::args::{ExecutionArgs, HistoryArgs, read};
use super::credentials::{CredentialsArgs, Part, complete};
use super::exit::Failure;
use super::server_host::HostArg;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The port of a server that is said nowhere.
const USUAL_PORT: u16 = 5432;

/// Longest file that is read as a password, in bytes.
const PASSWORD_LIMIT: usize = 64 * 1024;

/// Which database, and how it is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    #[command(flatten)]
    host: HostArg,

    /// Port of the server [default: 5432]
    #[arg(
        long,
        value_name = "PORT",
        env = "POSTGRES_PORT",
        hide_env_values = true,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    port: Option<u16>,

    /// Name of the database
    #[arg(
        long = "db",
        alias = "database",
        value_name = "NAME",
        env = "POSTGRES_DB",
        hide_env_values = true,
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    database: Option<String>,

    /// Role to connect as
    #[arg(
        long = "user",
        alias = "username",
        value_name = "ROLE",
        env = "POSTGRES_USER",
        hide_env_values = true
    )]
    user: Option<String>,

    #[command(flatten)]
    credentials: CredentialsArgs,

    /// File whose first line is the password; without it the variable `POSTGRES_PASSWORD` is read
    ///
    /// There is no flag for the password itself: everybody on the machine could read it.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// How far TLS protects the connection [default: verify-full; disable when
    /// the host is loopback and no CA is given]
    #[arg(
        long,
        value_name = "MODE",
        env = "POSTGRES_SSLMODE",
        hide_env_values = true
    )]
    sslmode: Option<SslMode>,

    /// PEM file with the authorities that the server's certificate is checked against, besides the
    /// system's
    #[arg(
        long,
        value_name = "FILE",
        env = "POSTGRES_CA_FILE",
        hide_env_values = true
    )]
    ca_file: Option<PathBuf>,

    /// PEM file with the client certificate to show to the server
    #[arg(
        long,
        value_name = "FILE",
        env = "POSTGRES_SSLCERT",
        hide_env_values = true,
        requires = "ssl_key"
    )]
    ssl_cert: Option<PathBuf>,

    /// PEM file with the key of the client certificate, not encrypted
    #[arg(
        long,
        value_name = "FILE",
        env = "POSTGRES_SSLKEY",
        hide_env_values = true,
        requires = "ssl_cert"
    )]
    ssl_key: Option<PathBuf>,

    /// What stands between here and the server: nothing, or a pooler in session mode
    ///
    /// A pooler in transaction or statement mode cannot be used, and is refused.
    #[arg(
        long,
        value_name = "MODE",
        env = "POSTGRES_POOLER",
        hide_env_values = true,
        default_value = "none"
    )]
    pooler: PoolerMode,
}

/// Poolers on the way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolerMode {
    /// The server itself
    None,
    /// A pooler that keeps one server session for as long as a client is connected, such as PgBouncer with
    /// `pool_mode = session`
    Session,
}

/// The names that libpq gives to its TLS modes. Its weaker ones, which fall back to plain text without
/// a word, are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SslMode {
    /// No TLS
    Disable,
    /// TLS, whoever the server is
    Require,
    /// TLS with a server whose certificate a known authority signed
    VerifyCa,
    /// As verify-ca, and the certificate is for this host
    VerifyFull,
}

impl ConnectionArgs {
    /// Whether somebody said, by option or variable, which database.
    pub(super) fn is_given(&self) -> bool {
        self.host.get().is_some() || self.credentials.is_given()
    }

    /// What the database adapter needs, for a command that runs no scripts.
    ///
    /// # Errors
    /// A file that cannot be read, or options that contradict each other.
    pub(super) async fn settings(&self, history: &HistoryArgs) -> Result<Settings, Failure> {
        if self.credentials.is_in_aws() {
            self.no_password("--aws-secret-id reads the password from the secret")?;
        }
        let document = self.credentials.document().await?;
        let document = document.as_ref();
        self.host.agrees_with(document)?;
        let of_document = |value: fn(&Credentials) -> Option<&String>| document.and_then(value);
        let [host, database, username] = complete([
            Part {
                flag: "--host",
                variable: "POSTGRES_HOST",
                key: "host",
                option: self.host.get(),
                document: of_document(|document| document.host.as_ref()),
            },
            Part {
                flag: "--db",
                variable: "POSTGRES_DB",
                key: "dbname",
                option: self.database.as_ref(),
                document: of_document(|document| document.database.as_ref()),
            },
            Part {
                flag: "--user",
                variable: "POSTGRES_USER",
                key: "username",
                option: self.user.as_ref(),
                document: of_document(|document| Some(&document.username)),
            },
        ])?;
        let tls = self.tls(&host)?;
        let password = if self.credentials.is_by_token() {
            self.no_password("--auth rds-iam takes no password")?;
            Password::Issued(self.credentials.issuer(tls.mode)?)
        } else {
            let of_document = || document.map(|document| document.password.clone());
            self.password()?.or_else(of_document).into()
        };
        Ok(Settings {
            port: self
                .port
                .or(document.and_then(|document| document.port))
                .unwrap_or(USUAL_PORT),
            database,
            username,
            password,
            tls,
            host,
            pooler: match self.pooler {
                PoolerMode::None => Pooler::None,
                PoolerMode::Session => Pooler::Session,
            },
            ledger: history.ledger(),
            role: None,
            search_path: Vec::new(),
            lock_timeout: Duration::from_secs(5),
            statement_timeout: Duration::ZERO,
            application: "cli".to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            liveness_period: LIVENESS_PERIOD,
            origins: Origins::default(),
            guard: None,
        })
    }

    /// What the database adapter needs to run scripts.
    ///
    /// # Errors
    /// As [`Self::settings`].
    pub(super) async fn settings_to_execute(
        &self,
        history: &HistoryArgs,
        execution: &ExecutionArgs,
    ) -> Result<Settings, Failure> {
        Ok(execution.apply_to(self.settings(history).await?))
    }

    /// A password that would silently not be used is a mistake.
    fn no_password(&self, because: &str) -> Result<(), Failure> {
        if self.password()?.is_none() {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "{because}: leave out --password-file and POSTGRES_PASSWORD."
        )))
    }

    fn password(&self) -> Result<Option<SecretString>, Failure> {
        let Some(path) = &self.password_file else {
            let given = std::env::var_os("POSTGRES_PASSWORD").filter(|value| !value.is_empty());
            return given
                .map(|value| value.into_string().map(SecretString::from))
                .transpose()
                .map_err(|_| Failure::usage("POSTGRES_PASSWORD is not valid UTF-8."));
        };
        let bytes = read(path, "--password-file")?;
        if bytes.len() > PASSWORD_LIMIT {
            return Err(Failure::usage(format!(
                "--password-file {} is too large to be a password.",
                path.display()
            )));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            Failure::usage(format!(
                "--password-file {} is not valid UTF-8.",
                path.display()
            ))
        })?;
        Ok(text.lines().next().map(SecretString::from))
    }

    fn tls(&self, host: &str) -> Result<Tls, Failure> {
        // With a CA or a certificate of our own at hand somebody wants TLS, wherever the server is.
        let wants_tls = self.ca_file.is_some() || self.ssl_cert.is_some();
        let wants_tls = wants_tls || self.credentials.is_by_token();
        let unprotected = is_loopback(host) && !wants_tls;
        let usual = if unprotected {
            SslMode::Disable
        } else {
            SslMode::VerifyFull
        };
        let mode = match self.sslmode.unwrap_or(usual) {
            SslMode::Disable => TlsMode::Disable,
            SslMode::Require => TlsMode::Require,
            SslMode::VerifyCa => TlsMode::VerifyCa,
            SslMode::VerifyFull => TlsMode::VerifyFull,
        };
        let ca = match &self.ca_file {
            Some(path) => Some(read(path, "--ca-file")?),
            None => None,
        };
        let client_certificate = match (&self.ssl_cert, &self.ssl_key) {
            (Some(chain), Some(key)) => Some(ClientCertificate {
                chain: read(chain, "--ssl-cert")?,
                key: read(key, "--ssl-key")?.into(),
            }),
            _ => None,
        };
        Ok(Tls {
            mode,
            ca,
            client_certificate,
        })
    }
}

/// Whether the connection does not leave the machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::engine::task::Ledger;

    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(future)
    }

    #[derive(Debug, Parser)]
    struct Sample {
        #[command(flatten)]
        connection: ConnectionArgs,
        #[command(flatten)]
        history: HistoryArgs,
        #[command(flatten)]
        execution: ExecutionArgs,
    }

    fn settings(more: &[&str]) -> Result<Settings, Failure> {
        let least = ["x", "--db=d", "--user=u", "--host=db.example"];
        let sample = Sample::try_parse_from(least.iter().chain(more)).unwrap();
        now(sample
            .connection
            .settings_to_execute(&sample.history, &sample.execution))
    }

    #[test]
    fn the_server_is_verified_unless_it_is_here() {
        let mode = |more: &[&str]| settings(more).unwrap().tls.mode;
        assert_eq!(mode(&[]), TlsMode::VerifyFull);
        assert_eq!(mode(&["--sslmode=require"]), TlsMode::Require);
        let here_by = |host: &str, auth: &str| {
            let least = ["x", "--db=d", "--user=u", "--aws-region=r-1"];
            let sample = least.into_iter().chain([auth, "--host", host]);
            let sample = Sample::try_parse_from(sample).unwrap();
            let settings = now(sample.connection.settings(&sample.history));
            settings.unwrap().tls.mode
        };
        let here = |host: &str| here_by(host, "--auth=password");
        assert_eq!(here("localhost"), TlsMode::Disable);
        assert_eq!(here("127.0.0.2"), TlsMode::Disable);
        assert_eq!(here("::1"), TlsMode::Disable);
        assert_eq!(here("10.0.0.1"), TlsMode::VerifyFull);
        assert_eq!(here("localhost.example"), TlsMode::VerifyFull);
        assert_eq!(here_by("localhost", "--auth=rds-iam"), TlsMode::VerifyFull);
    }

    #[test]
    fn defaults_are_those_of_the_resource() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.port, 5432);
        assert_eq!(settings.lock_timeout, Duration::from_secs(5));
        assert_eq!(settings.statement_timeout, Duration::ZERO);
        assert_eq!(settings.ledger, Ledger::default());
        assert_eq!(settings.search_path, Vec::<String>::new());
    }

    #[test]
    fn a_password_file_gives_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "a secret \r\n").unwrap();
        let option = format!("--password-file={}", path.display());
        let password = settings(&[&option]).unwrap().password;
        assert_eq!(password.fixed(), "a secret ");

        let missing = settings(&["--password-file=/nowhere/password"]).unwrap_err();
        assert_eq!(
            missing.messages,
            [
                "--password-file /nowhere/password cannot be read: No such file or directory (os error 2)."
            ]
        );
    }

    #[test]
    fn a_document_of_credentials_fills_in_what_the_options_leave_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.json");
        let file = format!("--credentials-file={}", path.display());
        let read = |more: &[&str]| {
            let sample = ["x", file.as_str()];
            let sample = Sample::try_parse_from(sample.iter().chain(more)).unwrap();
            now(sample.connection.settings(&sample.history))
        };
        fs::write(
            &path,
            r#"{"username": "u", "password": "sesame", "host": "db.example", "port": "5433", "dbname": "d"}"#,
        )
        .unwrap();
        let all = read(&[]).unwrap();
        let said = (&*all.host, all.port, &*all.database, &*all.username);
        assert_eq!(said, ("db.example", 5433, "d", "u"));
        assert_eq!(all.password.fixed(), "sesame");
        assert_eq!(all.tls.mode, TlsMode::VerifyFull);
        let some = read(&["--host=localhost", "--port=5444", "--user=other"]).unwrap();
        let said = (&*some.host, some.port, &*some.database, &*some.username);
        assert_eq!(said, ("localhost", 5444, "d", "other"));
        assert_eq!(some.tls.mode, TlsMode::Disable);

        for (json, message) in [
            (
                r#"{"username": "u", "password": "canary", "host": "h"}"#,
                "Missing: --db (or POSTGRES_DB, or \"dbname\" in --credentials-file).",
            ),
            (
                r#"{"username": "u", "password": "canary", "host": "/canary", "dbname": "d"}"#,
                "\"host\" in the document of credentials cannot be used: write a host name or an address.",
            ),
        ] {
            fs::write(&path, json).unwrap();
            assert_eq!(read(&[]).unwrap_err().messages, [message]);
        }
        fs::write(&path, "canary").unwrap();
        assert_eq!(
            read(&[]).unwrap_err().messages,
            [format!(
                "--credentials-file {} cannot be used: it is no JSON document (line 1, column 1). Nothing \
                 was connected to.",
                path.display()
            )]
        );
    }

    #[test]
    fn a_search_path_is_parted_by_commas() {
        let settings = settings(&["--search-path=app,public"]).unwrap();
        assert_eq!(settings.search_path, ["app", "public"]);
    }
}
