//! From connection data to how a database is reached. Pure.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::api::credentials::{self, Credentials};
use crate::api::duration::GoDuration;
use crate::api::v1alpha1::{AuthType, DatabaseSchemaSpec, Pooler, TlsMode};
use crate::engine::task::Ledger;
use crate::postgres;

use super::attempt::{Invalid, InvalidKind};
use super::dereference::{ConnectionData, Given};
use super::rules;
use super::validate::invalid_spec;

/// How long connecting and signing in may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest value of connection data other than certificates, in bytes.
const MAX_VALUE: usize = 64 * 1024;
/// The port of a server that is said nowhere.
const USUAL_PORT: u16 = 5432;

/// How to reach the database of `spec`, by what it refers to.
///
/// # Errors
/// What cannot be used, and why.
pub fn settings(
    spec: &DatabaseSchemaSpec,
    data: ConnectionData,
    ledger: Ledger,
    application: String,
) -> Result<postgres::Settings, Invalid> {
    let execution = &spec.execution;
    let duration = |text: &GoDuration| {
        text.get()
            .map_err(|error| invalid_spec(&[error.to_string()]))
    };
    let document = data.credentials.as_ref().map(document).transpose()?;
    let document = document.as_ref();
    let host = pick("host", data.host, document, |document| {
        document.host.as_deref()
    })?;
    let database = pick("database", data.database, document, |document| {
        document.database.as_deref()
    })?;
    let username = match (data.username, document) {
        (None, Some(document)) => document.text("username", &document.credentials.username),
        (given, _) => text("username", given)?,
    };
    let origins = postgres::Origins {
        host: host.secret_origin(),
        database: database.secret_origin(),
        username: username.secret_origin(),
    };
    Ok(postgres::Settings {
        host: host.filter_valid(rules::is_host, rules::HOST_FORM)?,
        port: port(data.port, document)?,
        database: database.filter_valid(is_name, rules::DATABASE_LENGTH)?,
        username: username.filter_valid(is_name, rules::USERNAME_LENGTH)?,
        password: match spec.connection.auth.type_ {
            AuthType::Password => password(data.password, document)?.into(),
            // What issues tokens is added by whoever has it, if this is allowed.
            AuthType::RdsIam => postgres::Password::None,
        },
        tls: tls(spec.connection.tls.mode, data.ca, data.client_certificate),
        pooler: match spec.connection.pooler {
            Pooler::None => postgres::Pooler::None,
            Pooler::Session => postgres::Pooler::Session,
        },
        ledger,
        role: execution.role.clone(),
        search_path: execution.search_path.clone().unwrap_or_default(),
        lock_timeout: duration(&execution.lock_timeout)?,
        statement_timeout: duration(&execution.statement_timeout)?,
        application,
        connect_timeout: CONNECT_TIMEOUT,
        liveness_period: postgres::LIVENESS_PERIOD,
        origins,
        // Where it may go is said by whoever runs the operator.
        guard: None,
    })
}

fn tls(
    mode: TlsMode,
    ca: Option<Given>,
    client_certificate: Option<(Given, Given)>,
) -> postgres::Tls {
    postgres::Tls {
        mode: match mode {
            TlsMode::Disable => postgres::TlsMode::Disable,
            TlsMode::Require => postgres::TlsMode::Require,
            TlsMode::VerifyCa => postgres::TlsMode::VerifyCa,
            TlsMode::VerifyFull => postgres::TlsMode::VerifyFull,
        },
        ca: ca.map(|ca| bytes(ca).expose_secret().to_vec()),
        client_certificate: client_certificate.map(|(chain, key)| postgres::ClientCertificate {
            chain: bytes(chain).expose_secret().to_vec(),
            key: bytes(key),
        }),
    }
}

fn bytes(given: Given) -> SecretSlice<u8> {
    match given {
        Given::Literal(text) => SecretSlice::from(text.into_bytes()),
        Given::Fetched { bytes, .. } => bytes,
    }
}

// ---- the JSON document ---------------------------------------------------------------------------

/// A document of credentials and where it stands.
struct Document {
    origin: String,
    credentials: Credentials,
}

impl Document {
    /// What stands in the document under `key`.
    fn text(&self, key: &str, value: &str) -> Text {
        Text {
            origin: format!("{key} in {}", self.origin),
            is_secret: true,
            value: value.to_owned(),
        }
    }
}

fn document(given: &Given) -> Result<Document, Invalid> {
    let (origin, parsed) = match given {
        Given::Literal(text) => (
            "spec.connection.credentialsFrom".to_owned(),
            credentials::parse(text.as_bytes()),
        ),
        Given::Fetched { origin, bytes } => {
            (origin.clone(), credentials::parse(bytes.expose_secret()))
        }
    };
    match parsed {
        Ok(credentials) => Ok(Document {
            origin,
            credentials,
        }),
        Err(error) => Err(malformed(&origin, &error.to_string())),
    }
}

/// The field of the resource, else what the document says.
fn pick(
    field: &str,
    given: Option<Given>,
    document: Option<&Document>,
    of_document: impl Fn(&Credentials) -> Option<&str>,
) -> Result<Text, Invalid> {
    let Some(document) = document.filter(|_| given.is_none()) else {
        return text(field, given);
    };
    let key = if field == "database" { "dbname" } else { field };
    match of_document(&document.credentials) {
        Some(value) => Ok(document.text(key, value)),
        None => Err(malformed(
            &document.origin,
            &format!("it has no key \"{key}\", and spec.connection.{field} is not given"),
        )),
    }
}

// ---- single values -------------------------------------------------------------------------------

fn is_name(text: &str) -> bool {
    (1..=rules::MAX_IDENTIFIER).contains(&text.chars().count())
        && !text.chars().any(char::is_control)
}

/// A text and where it came from, not judged yet.
struct Text {
    origin: String,
    is_secret: bool,
    value: String,
}

impl Text {
    fn filter_valid(self, is_valid: impl Fn(&str) -> bool, why: &str) -> Result<String, Invalid> {
        if is_valid(&self.value) {
            Ok(self.value)
        } else {
            Err(malformed(&self.origin, why))
        }
    }

    /// Where it was fetched from, if no message may show it.
    fn secret_origin(&self) -> Option<String> {
        self.is_secret.then(|| self.origin.clone())
    }
}

/// The value itself is never in the message: it may be the wrong key of a Secret.
fn malformed(origin: &str, why: &str) -> Invalid {
    Invalid {
        kind: InvalidKind::InvalidCredentials,
        message: format!(
            "Connection data is malformed: {origin}: {why}. Nothing was connected to. Mend it; it is \
             read again by itself."
        ),
    }
}

/// Blanks and line ends around a fetched value are not part of it.
fn text(field: &str, given: Option<Given>) -> Result<Text, Invalid> {
    match given {
        None => Err(invalid_spec(&[format!(
            "spec.connection.{field}: {}",
            rules::ONE_FIELD_SOURCE
        )])),
        Some(Given::Literal(text)) => Ok(Text {
            origin: format!("spec.connection.{field}"),
            is_secret: false,
            value: text,
        }),
        Some(Given::Fetched { origin, bytes }) => {
            let bytes = bytes.expose_secret().trim_ascii();
            if bytes.len() > MAX_VALUE {
                return Err(malformed(&origin, "larger than 64 KiB"));
            }
            match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Text {
                    is_secret: origin.contains(" of Secret "),
                    origin,
                    value: text.to_owned(),
                }),
                Err(_) => Err(malformed(&origin, "not UTF-8 text")),
            }
        }
    }
}

fn port(given: Option<Given>, document: Option<&Document>) -> Result<u16, Invalid> {
    if given.is_none() {
        let of_document = document.and_then(|document| document.credentials.port);
        return Ok(of_document.unwrap_or(USUAL_PORT));
    }
    let Text { origin, value, .. } = text("port", given)?;
    value
        .parse::<u16>()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| malformed(&origin, "not a port number from 1 to 65535"))
}

fn password(
    given: Option<Given>,
    document: Option<&Document>,
) -> Result<Option<SecretString>, Invalid> {
    let Some(given) = given else {
        return Ok(document.map(|document| document.credentials.password.clone()));
    };
    let password = text("password", Some(given))?;
    Ok(Some(SecretString::from(password.value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> DatabaseSchemaSpec {
        let spec = json!({"source": {"inline": {}}, "connection": {}});
        serde_json::from_value(spec).unwrap()
    }

    fn fetched(key: &str, value: &str) -> Given {
        Given::Fetched {
            origin: format!("key {key} of Secret db"),
            bytes: SecretSlice::from(value.as_bytes().to_vec()),
        }
    }

    fn data() -> ConnectionData {
        ConnectionData {
            credentials: None,
            host: Some(fetched("host", "db.example\n")),
            port: Some(fetched("port", " 5433\r\n")),
            database: Some(Given::Literal("shop".to_owned())),
            username: Some(fetched("username", "shop")),
            password: Some(fetched("password", "sesame\n")),
            ca: None,
            client_certificate: None,
        }
    }

    /// A document alone.
    fn document(json: &str) -> ConnectionData {
        ConnectionData {
            credentials: Some(fetched("credentials", json)),
            host: None,
            port: None,
            database: None,
            username: None,
            password: None,
            ca: None,
            client_certificate: None,
        }
    }

    fn judge(
        spec: &DatabaseSchemaSpec,
        data: ConnectionData,
    ) -> Result<postgres::Settings, Invalid> {
        settings(spec, data, Ledger::default(), "test".to_owned())
    }

    #[test]
    fn a_malformed_value_is_named_and_never_quoted() {
        let bad = "canary/canary";
        for (field, connection) in [
            (
                "host",
                ConnectionData {
                    host: Some(fetched("host", bad)),
                    ..data()
                },
            ),
            (
                "port",
                ConnectionData {
                    port: Some(fetched("port", bad)),
                    ..data()
                },
            ),
            (
                "port",
                ConnectionData {
                    port: Some(fetched("port", "0")),
                    ..data()
                },
            ),
            (
                "username",
                ConnectionData {
                    username: Some(fetched("username", "a\nb")),
                    ..data()
                },
            ),
            (
                "password",
                ConnectionData {
                    password: Some(fetched("password", &"x".repeat(70_000))),
                    ..data()
                },
            ),
        ] {
            let invalid = judge(&spec(), connection).unwrap_err();
            assert_eq!(invalid.kind, InvalidKind::InvalidCredentials, "{field}");
            let start = format!("Connection data is malformed: key {field} of Secret db: ");
            assert!(invalid.message.starts_with(&start), "{}", invalid.message);
            assert!(!invalid.message.contains("canary"), "{}", invalid.message);
        }
    }

    const WHOLE: &str = r#"{"username": "fluxion", "password": "sesame", "engine": "postgres",
        "host": "db.example", "port": "5433", "dbname": "shop", "dbInstanceIdentifier": "fluxion-v2"}"#;

    #[test]
    fn a_document_says_all_of_it() {
        let settings = judge(&spec(), document(WHOLE)).unwrap();
        assert_eq!(settings.host, "db.example");
        assert_eq!(settings.port, 5433);
        assert_eq!(settings.database, "shop");
        assert_eq!(settings.username, "fluxion");
        assert_eq!(settings.password.fixed(), "sesame");
        let origin = |key: &str| Some(format!("{key} in key credentials of Secret db"));
        assert_eq!(settings.origins.host, origin("host"));
        assert_eq!(settings.origins.database, origin("dbname"));
        assert_eq!(settings.origins.username, origin("username"));
    }

    #[test]
    fn fields_go_before_the_document_and_complete_it() {
        let least = r#"{"username": "master", "password": "sesame"}"#;
        let literal = |text: &str| Some(Given::Literal(text.to_owned()));
        let settings = judge(
            &spec(),
            ConnectionData {
                host: literal("other.example"),
                database: literal("ledger"),
                username: literal("migrator"),
                ..document(least)
            },
        )
        .unwrap();
        assert_eq!(settings.host, "other.example");
        assert_eq!(settings.port, 5432);
        assert_eq!(settings.database, "ledger");
        assert_eq!(settings.username, "migrator");
        assert_eq!(settings.password.fixed(), "sesame");
        assert_eq!(settings.origins, postgres::Origins::default());

        let settings = judge(
            &spec(),
            ConnectionData {
                port: literal("5444"),
                password: Some(fetched("password", "other")),
                ..document(WHOLE)
            },
        )
        .unwrap();
        assert_eq!(settings.port, 5444);
        assert_eq!(settings.password.fixed(), "other");
    }

    #[test]
    fn a_document_that_cannot_be_used_is_named_and_never_quoted() {
        for (json, why) in [
            ("canary", "it is no JSON document (line 1, column 1)"),
            (
                r#"{"username": "canary"}"#,
                "its key \"password\" is missing or empty",
            ),
            (
                r#"{"username": "canary", "password": "canary"}"#,
                "it has no key \"host\", and spec.connection.host is not given",
            ),
            (
                r#"{"username": "canary", "password": "canary", "host": "h"}"#,
                "it has no key \"dbname\", and spec.connection.database is not given",
            ),
        ] {
            let invalid = judge(&spec(), document(json)).unwrap_err();
            assert_eq!(invalid.kind, InvalidKind::InvalidCredentials);
            assert_eq!(
                invalid.message,
                format!(
                    "Connection data is malformed: key credentials of Secret db: {why}. Nothing was \
                     connected to. Mend it; it is read again by itself."
                )
            );
        }
        let socket = r#"{"username": "u", "password": "p", "host": "/canary", "dbname": "d"}"#;
        let invalid = judge(&spec(), document(socket)).unwrap_err();
        assert!(
            invalid.message.starts_with(
                "Connection data is malformed: host in key credentials of Secret db: must be one"
            ),
            "{}",
            invalid.message
        );
        assert!(!invalid.message.contains("canary"), "{}", invalid.message);
    }
}
