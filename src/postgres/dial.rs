//! Connecting: the driver's options, and how long it may take.

use std::future::poll_fn;
use std::task::Poll;

use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};

use crate::engine::error::{DatabaseError, DatabaseErrorKind};

use super::settings::{ClientCertificate, Settings, TlsMode};
use super::startup::Startup;
use super::{error, guard, password};

/// Connects and authenticates.
pub async fn open(settings: &Settings, startup: &Startup) -> Result<PgConnection, DatabaseError> {
    // Its time is not the server's, and its failure says nothing about the server.
    let password = password::for_connection(settings).await?;
    let options = options(settings, startup, password.expose_secret())?;
    let connected = async {
        guard::admit(settings).await?;
        let connected = eagerly(options.connect()).await;
        connected.map_err(|cause| error::connecting(settings, &cause))
    };
    tokio::time::timeout(settings.connect_timeout, connected)
        .await
        .unwrap_or_else(|_| Err(error::connect_timeout(settings)))
}

/// How often in a row a future is polled that is not ready.
const POLLS: usize = 32;

/// Polls a future several times before it waits. While the driver proves the password it gives way to others 820
/// times, each after a microsecond's work, and each time a runtime with nothing else to do asks the kernel for news.
async fn eagerly<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    poll_fn(|context| {
        let mut polls = (0..POLLS).map(|_| future.as_mut().poll(context));
        polls.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// The driver's options. Its constructors read PG* variables of the environment, so every field is set;
/// those that can only be set and not cleared are kept out of the environment by `main`.
fn options(
    settings: &Settings,
    startup: &Startup,
    password: &str,
) -> Result<PgConnectOptions, DatabaseError> {
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
    let options = match &settings.tls.ca {
        None => options,
        Some(pem) => {
            check_pem(pem)?;
            options.ssl_root_cert_from_pem(pem.clone())
        }
    };
    Ok(match &settings.tls.client_certificate {
        None => options,
        Some(certificate) => {
            check_client_certificate(certificate)?;
            options
                .ssl_client_cert_from_pem(&certificate.chain)
                .ssl_client_key_from_pem(certificate.key.expose_secret())
        }
    })
}

/// The driver tells nobody which of the two is wrong, and not before it has begun to connect.
fn check_client_certificate(certificate: &ClientCertificate) -> Result<(), DatabaseError> {
    let chain = CertificateDer::pem_slice_iter(&certificate.chain).collect::<Result<Vec<_>, _>>();
    let wrong = match (
        chain,
        PrivateKeyDer::from_pem_slice(certificate.key.expose_secret()),
    ) {
        (Err(_), _) => "its certificate (tls.crt, --ssl-cert) is no PEM certificate",
        (Ok(chain), _) if chain.is_empty() => {
            "its certificate (tls.crt, --ssl-cert) is no PEM certificate"
        }
        (_, Err(_)) => "its key (tls.key, --ssl-key) is no PEM private key without a passphrase",
        (Ok(chain), Ok(key)) => {
            match CertifiedKey::from_der(chain, key, &ring::default_provider()) {
                Ok(_) => return Ok(()),
                Err(rustls::Error::InconsistentKeys(_)) => {
                    "its key (tls.key, --ssl-key) is not the one of its certificate (tls.crt, --ssl-cert)"
                }
                Err(_) => {
                    "its certificate is not of X.509 version 3, or its key is of a kind that is not supported"
                }
            }
        }
    };
    Err(DatabaseError::new(
        DatabaseErrorKind::InvalidCredentials,
        format!("The client certificate cannot be used: {wrong}. Nothing was sent. Mend it."),
    ))
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_gives_way_often_is_seldom_taken_at_its_word() {
        let outer = Cell::new(0);
        let gives_way = async {
            for _ in 0..10 * POLLS {
                tokio::task::yield_now().await;
            }
            "done"
        };
        let mut future = pin!(eagerly(gives_way));
        let counted = poll_fn(|context| {
            outer.set(outer.get() + 1);
            future.as_mut().poll(context)
        });
        assert_eq!(counted.await, "done");
        assert!(outer.get() <= 11, "{}", outer.get());
    }

    #[tokio::test]
    async fn who_waits_for_something_waits() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn(eagerly(told));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        tell.send(7).unwrap();
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert_eq!(waited.expect("it is woken").unwrap(), Ok(7));
    }
}
