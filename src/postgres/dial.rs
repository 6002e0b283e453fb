//! Connecting: the driver's options, and how long it may take.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};

use crate::engine::error::{DatabaseError, DatabaseErrorKind};

use super::settings::{Settings, TlsMode};
use super::startup::Startup;
use super::{error, guard};

/// Connects and authenticates.
pub async fn open(settings: &Settings, startup: &Startup) -> Result<PgConnection, DatabaseError> {
    let options = options(settings, startup)?;
    let connected = async {
        guard::admit(settings).await?;
        let connected = options.connect().await;
        connected.map_err(|cause| error::connecting(settings, &cause))
    };
    tokio::time::timeout(settings.connect_timeout, connected)
        .await
        .unwrap_or_else(|_| Err(error::connect_timeout(settings)))
}

/// The driver's options. Its constructors read PG* variables of the environment, so every field is set;
/// those that can only be set and not cleared are kept out of the environment by `main`.
fn options(settings: &Settings, startup: &Startup) -> Result<PgConnectOptions, DatabaseError> {
    let password = settings
        .password
        .as_ref()
        .map_or("", |password| password.expose_secret());
    let options = PgConnectOptions::new_without_pgpass()
        .host(&settings.host)
        .port(settings.port)
        .username(&settings.username)
        .password(password)
        .database(&settings.database)
        .ssl_mode(match settings.tls.mode {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyCa => PgSslMode::VerifyCa,
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
        })
        .application_name(&format!("schemaward/{}", settings.application))
        .disable_statement_logging();
    let packet = startup.packet();
    let options = if packet.is_empty() {
        options.extra_float_digits(None)
    } else {
        options.options(packet.iter().map(|(name, value)| (*name, value)))
    };
    match &settings.tls.ca {
        None => Ok(options),
        Some(pem) => {
            check_pem(pem)?;
            Ok(options.ssl_root_cert_from_pem(pem.clone()))
        }
    }
}

/// The driver reports a CA that is no certificate as an unknown issuer; so it is looked at first.
fn check_pem(pem: &[u8]) -> Result<(), DatabaseError> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    if certificates.is_ok_and(|certificates| !certificates.is_empty()) {
        return Ok(());
    }
    Err(DatabaseError::new(
        DatabaseErrorKind::InvalidCredentials,
        "The CA in tls.ca (--ca-file) holds no PEM certificate. Nothing was sent. Give the server's \
         CA bundle, which begins with BEGIN CERTIFICATE.",
    ))
}
