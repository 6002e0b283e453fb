//! What a role signs in with, and what is said where the server does not take it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::engine::error::{DatabaseError, DatabaseErrorKind};

use super::names::{place, role};
use super::settings::{Password, Settings};

/// How long the password of one connection may take to be issued.
pub const ISSUE_TIMEOUT: Duration = Duration::from_secs(15);

/// The password for one connection; empty: none.
pub async fn for_connection(settings: &Settings) -> Result<SecretString, DatabaseError> {
    match &settings.password {
        Password::None => Ok(SecretString::default()),
        Password::Fixed(password) => Ok(password.clone()),
        // Refused before, by whoever reads the settings; here for whoever forgets it.
        Password::Issued(issuer) if !settings.tls.mode.is_verified() => Err(DatabaseError::new(
            DatabaseErrorKind::TlsRequired,
            format!(
                "No connection to {} as {}: {} is sent over TLS alone that verifies the server. Nothing was \
                 connected to. Set tls.mode to VerifyFull (--sslmode verify-full).",
                place(settings),
                role(settings),
                issuer.name()
            ),
        )),
        Password::Issued(issuer) => tokio::time::timeout(ISSUE_TIMEOUT, issuer.issue(settings))
            .await
            .unwrap_or_else(|_| Err(no_password(settings, issuer.name()))),
    }
}

fn no_password(settings: &Settings, name: &str) -> DatabaseError {
    DatabaseError::new(
        DatabaseErrorKind::IdentityUnavailable,
        format!(
            "No connection to {} as {}: {name} was not there within {} s. Nothing was connected to. See \
             whether the way to the service that gives it is open.",
            place(settings),
            role(settings),
            ISSUE_TIMEOUT.as_secs()
        ),
    )
}

/// What a server says that does not take it, with this SQLSTATE.
pub fn not_accepted(settings: &Settings, code: &str) -> String {
    let has_certificate = settings.tls.client_certificate.is_some();
    // What the server says with it: that it has no rule for us, or wants a certificate.
    let wants = if code == "28000" && !has_certificate {
        " If it wants a client certificate, give one in tls.clientCertificate (--ssl-cert)."
    } else {
        ""
    };
    let correct = "Correct the credentials, or the server's pg_hba.conf.";
    if !has_certificate && has_none(settings) {
        return format!(
            "{} did not accept {} without a password ({code}). Nothing was changed. Give one \
             (connection.password; POSTGRES_PASSWORD or --password-file on the command line), or correct the \
             server's pg_hba.conf.{wants}",
            place(settings),
            role(settings)
        );
    }
    let (shown, remedy) = match &settings.password {
        Password::Issued(issuer) => (issuer.name(), issuer.when_refused().to_owned()),
        Password::None | Password::Fixed(_) if has_certificate => {
            ("its client certificate", correct.to_owned())
        }
        Password::None | Password::Fixed(_) => ("its password", format!("{correct}{wants}")),
    };
    format!(
        "{} did not accept {} and {shown} ({code}). Nothing was changed. {remedy}",
        place(settings),
        role(settings)
    )
}

fn has_none(settings: &Settings) -> bool {
    match &settings.password {
        Password::None => true,
        Password::Fixed(password) => password.expose_secret().is_empty(),
        Password::Issued(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::task::Ledger;
    use crate::postgres::{LIVENESS_PERIOD, Origins, Pooler, Tls};

    #[test]
    fn a_password_that_was_forgotten_is_not_called_wrong() {
        let told = |password| {
            let settings = Settings {
                password,
                ..settings()
            };
            not_accepted(&settings, "28P01")
        };
        let given = |text: &str| Password::Fixed(text.to_owned().into());
        for none in [Password::None, given("")] {
            let message = told(none);
            assert!(message.contains("without a password (28P01)"), "{message}");
            assert!(message.contains("POSTGRES_PASSWORD"), "{message}");
        }
        assert!(told(given("x")).contains("and its password (28P01)"));
    }

    fn settings() -> Settings {
        Settings {
            host: "db.example".to_owned(),
            port: 5432,
            database: "fluxion".to_owned(),
            username: "migrator".to_owned(),
            password: Password::None,
            tls: Tls::default(),
            pooler: Pooler::None,
            ledger: Ledger::default(),
            role: None,
            search_path: Vec::new(),
            lock_timeout: Duration::ZERO,
            statement_timeout: Duration::ZERO,
            application: String::new(),
            connect_timeout: Duration::ZERO,
            liveness_period: LIVENESS_PERIOD,
            origins: Origins::default(),
            guard: None,
        }
    }

    #[test]
    fn a_password_that_does_not_come_is_told_with_server_and_role() {
        let settings = settings();
        assert_eq!(
            no_password(&settings, "its token of RDS IAM").message,
            "No connection to db.example:5432 as role \"migrator\": its token of RDS IAM was not there within 15 s. \
             Nothing was connected to. See whether the way to the service that gives it is open."
        );
    }
}
