//! The JSON document that AWS Secrets Manager keeps for a database ("JSON structure of AWS Secrets Manager
//! database credential secrets" in its manual): `username`, `password`, `engine`, `host`, `port`, `dbname`. The
//! secrets that Amazon RDS manages by itself have only the first two.
//!
//! No value of it is ever in an error: a document that is wrong may be the wrong one.

use secrecy::SecretString;
use serde_json::{Map, Value};

/// Largest document in bytes: what Secrets Manager itself takes.
pub const MAX_BYTES: usize = 64 * 1024;

/// Servers that speak PostgreSQL, by the names that Secrets Manager gives them.
const ENGINES: [&str; 2] = ["postgres", "aurora-postgresql"];

/// What the document says. Neither names nor the host are judged here.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The role.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// The server.
    pub host: Option<String>,
    /// Its port, from 1.
    pub port: Option<u16>,
    /// The database.
    pub database: Option<String>,
}

/// Why a document cannot be used. It names keys and no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// More than [`MAX_BYTES`].
    #[error("it is larger than 64 KiB")]
    TooLarge,
    /// Not JSON.
    #[error("it is no JSON document (line {line}, column {column})")]
    NotJson {
        /// Where reading ended, counted from 1.
        line: usize,
        /// Where reading ended, counted from 1.
        column: usize,
    },
    /// JSON, but no object.
    #[error("it is JSON, but no object with \"username\" and \"password\"")]
    NotAnObject,
    /// A key that must be there is not, or has nothing in it.
    #[error("its key \"{0}\" is missing or empty")]
    Missing(&'static str),
    /// A text was expected.
    #[error("its key \"{0}\" is no text")]
    NotText(&'static str),
    /// No port.
    #[error("its key \"port\" is not a port number from 1 to 65535")]
    Port,
    /// Another kind of database.
    #[error("its key \"engine\" is neither \"postgres\" nor \"aurora-postgresql\"")]
    Engine,
}

/// Reads a document. Keys that it need not have may be null.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Credentials, CredentialsError> {
    if bytes.len() > MAX_BYTES {
        return Err(CredentialsError::TooLarge);
    }
    let document = serde_json::from_slice(bytes).map_err(|error| CredentialsError::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    let Value::Object(mut fields) = document else {
        return Err(CredentialsError::NotAnObject);
    };
    if let Some(engine) = text(&mut fields, "engine")?
        && !ENGINES.contains(&engine.as_str())
    {
        return Err(CredentialsError::Engine);
    }
    Ok(Credentials {
        username: required(&mut fields, "username")?,
        password: SecretString::from(required(&mut fields, "password")?),
        host: text(&mut fields, "host")?,
        port: port(&mut fields)?,
        database: text(&mut fields, "dbname")?,
    })
}

fn required(
    fields: &mut Map<String, Value>,
    key: &'static str,
) -> Result<String, CredentialsError> {
    text(fields, key)?
        .filter(|text| !text.is_empty())
        .ok_or(CredentialsError::Missing(key))
}

/// Moved out of the document, so that no copy of it stays.
fn text(
    fields: &mut Map<String, Value>,
    key: &'static str,
) -> Result<Option<String>, CredentialsError> {
    match fields.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(CredentialsError::NotText(key)),
    }
}

fn port(fields: &mut Map<String, Value>) -> Result<Option<u16>, CredentialsError> {
    let port = match fields.remove("port") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    port.filter(|port| *port > 0)
        .map(Some)
        .ok_or(CredentialsError::Port)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn read(document: &Value) -> Result<Credentials, CredentialsError> {
        parse(document.to_string().as_bytes())
    }

    #[test]
    fn a_document_of_secrets_manager_is_read() {
        let credentials = read(&json!({
            "username": "fluxion", "password": "p\"w\n", "engine": "postgres", "host": "db.example", "port": 5433,
            "dbname": "shop", "dbInstanceIdentifier": "fluxion-postgres-v2", "masterarn": ["of", {"another": 1}],
        }))
        .unwrap();
        assert_eq!(credentials.username, "fluxion");
        assert_eq!(credentials.password.expose_secret(), "p\"w\n");
        assert_eq!(credentials.host.as_deref(), Some("db.example"));
        assert_eq!(credentials.port, Some(5433));
        assert_eq!(credentials.database.as_deref(), Some("shop"));
        assert!(!format!("{credentials:?}").contains("p\\\"w"));
    }

    #[test]
    fn one_of_rds_has_a_user_and_a_password_only() {
        let least =
            read(&json!({"username": "u", "password": "p", "host": null, "port": null})).unwrap();
        assert_eq!((least.host, least.port, least.database), (None, None, None));
        let aurora = json!({"username": "u", "password": "p", "engine": "aurora-postgresql", "port": "5433"});
        assert_eq!(read(&aurora).unwrap().port, Some(5433));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key_and_never_quoted() {
        use CredentialsError as Error;
        let change = |key: &str, value: Value| {
            let mut document =
                json!({"username": "canary", "password": "canary", "host": "canary"});
            document[key] = value;
            document
        };
        for (document, expected) in [
            (json!([]), Error::NotAnObject),
            (json!("canary"), Error::NotAnObject),
            (json!({"username": "canary"}), Error::Missing("password")),
            (change("username", Value::Null), Error::Missing("username")),
            (change("password", json!("")), Error::Missing("password")),
            (
                change("password", json!(["canary"])),
                Error::NotText("password"),
            ),
            (change("host", json!({"canary": 1})), Error::NotText("host")),
            (change("dbname", json!(7)), Error::NotText("dbname")),
            (change("engine", json!("mysql")), Error::Engine),
            (change("engine", json!(1)), Error::NotText("engine")),
            (change("port", json!(0)), Error::Port),
            (change("port", json!(65_536)), Error::Port),
            (change("port", json!(-1)), Error::Port),
            (change("port", json!(5432.5)), Error::Port),
            (change("port", json!("5432/canary")), Error::Port),
            (change("port", json!(true)), Error::Port),
        ] {
            let error = read(&document).unwrap_err();
            assert_eq!(error, expected, "{document}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn what_is_no_json_is_told_by_its_place() {
        let error = parse(b"{\"username\": \"u\",\n canary").unwrap_err();
        assert_eq!(error, CredentialsError::NotJson { line: 2, column: 2 });
        let large = format!("{{\"username\": \"{}\"}}", "x".repeat(MAX_BYTES));
        assert_eq!(
            parse(large.as_bytes()).unwrap_err(),
            CredentialsError::TooLarge
        );
    }
}
