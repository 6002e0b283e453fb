//! How to reach a database and under which settings to run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{SecretSlice, SecretString};

use crate::engine::error::DatabaseError;
use crate::engine::task::Ledger;

use super::guard::Guard;

/// The usual pause between two looks whether a busy session is still there: short enough to end a run on
/// a host that vanished within minutes, long enough that most runs are never looked at.
pub const LIVENESS_PERIOD: Duration = Duration::from_secs(30);

/// Everything a connection needs. Structured fields only: no URL, no free option string.
#[derive(Debug, Clone)]
pub struct Settings {
    /// DNS name or IP address; never a socket path.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database name.
    pub database: String,
    /// Role to log in as.
    pub username: String,
    /// Its password.
    pub password: Password,
    /// Encryption and whom to trust.
    pub tls: Tls,
    /// What stands between us and the server, by the user's word.
    pub pooler: Pooler,
    /// The history table.
    pub ledger: Ledger,
    /// Role that scripts run as (`SET ROLE`); bookkeeping stays with the login role.
    pub role: Option<String>,
    /// `search_path` of scripts; empty: the server's own default.
    pub search_path: Vec<String>,
    /// `lock_timeout` of every statement.
    pub lock_timeout: Duration,
    /// `statement_timeout` of every statement; zero switches it off.
    pub statement_timeout: Duration,
    /// Shown in `pg_stat_activity` as `schemaward/<application>`.
    pub application: String,
    /// How long connecting and authenticating may take together.
    pub connect_timeout: Duration,
    /// While an answer is awaited, how often a second connection asks whether the session is still
    /// there; see [`LIVENESS_PERIOD`].
    pub liveness_period: Duration,
    /// Where values came from that no message may show.
    pub origins: Origins,
    /// Where the connection may go; `None`: anywhere, since whoever runs the command line is there already.
    pub guard: Option<Guard>,
}

/// What a role signs in with.
#[derive(Debug, Clone, Default)]
pub enum Password {
    /// Nothing: the server trusts the client otherwise.
    #[default]
    None,
    /// The same at each connection.
    Fixed(SecretString),
    /// Another one at each connection. It goes over verified TLS alone, because whoever gets it can use it.
    Issued(Arc<dyn PasswordIssuer>),
}

impl From<Option<SecretString>> for Password {
    fn from(password: Option<SecretString>) -> Self {
        password.map_or(Self::None, Self::Fixed)
    }
}

#[cfg(test)]
impl Password {
    /// The one that is the same at each connection.
    #[must_use]
    pub fn fixed(&self) -> &str {
        use secrecy::ExposeSecret;
        match self {
            Self::Fixed(password) => password.expose_secret(),
            Self::None | Self::Issued(_) => "not fixed",
        }
    }
}

/// Gives a password for one connection.
pub trait PasswordIssuer: fmt::Debug + Send + Sync {
    /// A password for `settings`, as they are now.
    ///
    /// # Errors
    /// Why there is none: of a kind that says nothing about the server, which was not asked.
    fn issue<'a>(
        &'a self,
        settings: &'a Settings,
    ) -> BoxFuture<'a, Result<SecretString, DatabaseError>>;

    /// What it gives, for the message that the server refuses it: `its token of …`.
    fn name(&self) -> &'static str;

    /// What to do then, a sentence.
    fn when_refused(&self) -> &'static str;
}

/// Where the values of a connection were fetched from, for those that came out of a Secret. A message
/// names the place instead of the value, because the place may be the wrong one: the key of the password,
/// for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// Of the host, such as `key host of Secret fluxion-db`.
    pub host: Option<String>,
    /// Of the database's name.
    pub database: Option<String>,
    /// Of the role's name.
    pub username: Option<String>,
}

/// A connection pooler on the way to the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pooler {
    /// The server itself is connected to; a pooler is refused.
    #[default]
    None,
    /// A pooler that keeps one server session for as long as we are connected.
    Session,
}

/// Encryption of the connection.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// What is demanded.
    pub mode: TlsMode,
    /// PEM certificates to trust beside the system's.
    pub ca: Option<Vec<u8>>,
    /// What we show of ourselves.
    pub client_certificate: Option<ClientCertificate>,
}

/// A client certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// PEM: the certificate, and those between it and its authority.
    pub chain: Vec<u8>,
    /// PEM: its private key, not encrypted.
    pub key: SecretSlice<u8>,
}

/// What is demanded of TLS, as libpq's `sslmode` of the same names (PostgreSQL manual, "SSL
/// Support"). There is no mode that falls back to plaintext.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// No encryption.
    Disable,
    /// Encryption without knowing who is on the other side.
    Require,
    /// The certificate must come from a trusted authority; the host name is not compared.
    VerifyCa,
    /// The certificate must come from a trusted authority and name the host.
    #[default]
    VerifyFull,
}

impl TlsMode {
    /// True when it is known who the server is.
    #[must_use]
    pub fn is_verified(self) -> bool {
        match self {
            Self::Disable | Self::Require => false,
            Self::VerifyCa | Self::VerifyFull => true,
        }
    }
}
