//! Credentials in one JSON document, in the shape of AWS Secrets Manager: from a file, from the variable that
//! ECS puts a secret into, or from AWS Secrets Manager itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretSlice};

use crate::api::credentials::{self, Credentials};
use crate::aws::{Aws, AwsError, AwsErrorKind, SecretAddress};
use crate::postgres::{PasswordIssuer, TlsMode};

use super::args::{host, read};
use super::exit::{Exit, Failure};

/// The variable that holds the document itself.
const VARIABLE: &str = "POSTGRES_CREDENTIALS";

/// Where the document is.
#[derive(Debug, Args)]
pub(super) struct CredentialsArgs {
    /// File with a JSON document in the shape of AWS Secrets Manager, for what the other options leave out;
    /// without it the variable `POSTGRES_CREDENTIALS` is read, which holds such a document itself
    ///
    /// It has "username" and "password", and may have "host", "port" and "dbname".
    #[arg(
        long,
        value_name = "FILE",
        env = "POSTGRES_CREDENTIALS_FILE",
        hide_env_values = true
    )]
    credentials_file: Option<PathBuf>,

    /// Secret of AWS Secrets Manager, by name or ARN, that holds such a document
    ///
    /// It is read with the identity that the AWS tools find, too: of the environment, of a profile, by a web
    /// identity token or from the container's agent; not of the instance.
    #[arg(
        long,
        value_name = "ID",
        env = "POSTGRES_AWS_SECRET_ID",
        hide_env_values = true,
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    aws_secret_id: Option<String>,

    /// How the role signs in
    #[arg(
        long,
        value_name = "WAY",
        env = "POSTGRES_AUTH",
        hide_env_values = true,
        default_value = "password"
    )]
    auth: AuthWay,

    /// Region of AWS that the secret, or the instance for rds-iam, is in
    #[arg(
        long,
        value_name = "REGION",
        env = "AWS_REGION",
        hide_env_values = true
    )]
    aws_region: Option<String>,
}

/// Ways to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AuthWay {
    /// By the password, or as the server wants it otherwise
    Password,
    /// To Amazon RDS by a token of IAM, signed for each connection; over verified TLS alone
    RdsIam,
}

impl CredentialsArgs {
    /// Whether tokens take the place of a password.
    pub(super) fn is_by_token(&self) -> bool {
        self.auth == AuthWay::RdsIam
    }

    /// What gives the token for each connection.
    ///
    /// # Errors
    /// No region, or TLS that does not tell who the server is.
    pub(super) fn issuer(&self, tls: TlsMode) -> Result<Arc<dyn PasswordIssuer>, Failure> {
        if !tls.is_verified() {
            return Err(Failure::usage(
                "--auth rds-iam needs --sslmode verify-full or verify-ca: whoever gets a token can use it. Nothing \
                 was connected to.",
            ));
        }
        let region = self.region("the instance is in")?;
        Ok(Arc::new(Aws::in_region(&region)).rds_iam(&region))
    }

    fn region(&self, what: &str) -> Result<String, Failure> {
        let region = self.aws_region.clone().filter(|given| !given.is_empty());
        let usual = || std::env::var("AWS_DEFAULT_REGION").ok();
        let region = region.or_else(|| usual().filter(|given| !given.is_empty()));
        region.ok_or_else(|| {
            Failure::usage(format!(
                "Missing: --aws-region (or AWS_REGION), the region that {what}."
            ))
        })
    }

    /// Whether the document is a secret of AWS.
    pub(super) fn is_in_aws(&self) -> bool {
        self.aws_secret_id.is_some()
    }

    /// Whether there is a document.
    pub(super) fn is_given(&self) -> bool {
        self.credentials_file.is_some() || self.aws_secret_id.is_some() || variable().is_some()
    }

    fn address(&self, id: &str) -> Result<SecretAddress, Failure> {
        let region = self.region("the secret is in")?;
        if SecretAddress::region_of(id).is_some_and(|named| named != region) {
            return Err(Failure::usage(
                "--aws-region (or AWS_REGION) is not the region that the ARN in --aws-secret-id names. Nothing was \
                 connected to. Give that one.",
            ));
        }
        Ok(SecretAddress {
            id: id.to_owned(),
            region,
        })
    }

    /// What the document says; `None`: there is none.
    ///
    /// # Errors
    /// A file or a secret that cannot be read, or a document that is malformed. None of it shows what stands
    /// in it.
    pub(super) async fn document(&self) -> Result<Option<Credentials>, Failure> {
        let (origin, bytes) = match (&self.credentials_file, &self.aws_secret_id, variable()) {
            (Some(_), Some(_), _) | (None, Some(_), Some(_)) => {
                return Err(Failure::usage(format!(
                    "--aws-secret-id (or POSTGRES_AWS_SECRET_ID) is given beside --credentials-file (or {VARIABLE}): \
                     give one of them."
                )));
            }
            (None, Some(id), None) => {
                let address = self.address(id)?;
                let secret = Aws::in_region(&address.region).secret(&address).await;
                let secret = secret.map_err(of_aws)?;
                (address.to_string(), secret)
            }
            (Some(path), None, _) => (
                format!("--credentials-file {}", path.display()),
                SecretSlice::from(read(path, "--credentials-file")?),
            ),
            (None, None, Some(value)) => (
                VARIABLE.to_owned(),
                SecretSlice::from(value.into_encoded_bytes()),
            ),
            (None, None, None) => return Ok(None),
        };
        let parsed = credentials::parse(bytes.expose_secret());
        parsed.map(Some).map_err(|error| {
            Failure::usage(format!(
                "{origin} cannot be used: {error}. Nothing was connected to."
            ))
        })
    }
}

fn variable() -> Option<OsString> {
    std::env::var_os(VARIABLE).filter(|value| !value.is_empty())
}

fn of_aws(error: AwsError) -> Failure {
    let exit = match error.kind {
        AwsErrorKind::Unreachable => Exit::Retry,
        AwsErrorKind::AccessDenied
        | AwsErrorKind::NotFound
        | AwsErrorKind::Unusable
        | AwsErrorKind::Misconfigured => Exit::NotDone,
    };
    Failure {
        exit,
        messages: vec![error.message],
    }
}

/// One thing that a connection needs, and where it may come from: the option goes before the document.
pub(super) struct Part<'a> {
    pub(super) flag: &'static str,
    pub(super) variable: &'static str,
    /// Its key in the document.
    pub(super) key: &'static str,
    pub(super) option: Option<&'a String>,
    pub(super) document: Option<&'a String>,
}

/// The values of the parts.
///
/// # Errors
/// All that are missing, or the first that the document has and that cannot be used.
pub(super) fn complete<const N: usize>(parts: [Part<'_>; N]) -> Result<[String; N], Failure> {
    let missing: Vec<String> = parts
        .iter()
        .filter(|part| part.option.or(part.document).is_none())
        .map(|part| {
            format!(
                "{} (or {}, or \"{}\" in --credentials-file)",
                part.flag, part.variable, part.key
            )
        })
        .collect();
    if !missing.is_empty() {
        return Err(Failure::usage(format!("Missing: {}.", missing.join("; "))));
    }
    let mut values = [const { String::new() }; N];
    for (value, part) in values.iter_mut().zip(parts) {
        *value = part.value()?;
    }
    Ok(values)
}

impl Part<'_> {
    fn value(&self) -> Result<String, Failure> {
        let text = self.option.or(self.document).cloned().unwrap_or_default();
        let checked = match self.option {
            None if self.key == "host" => host(&text),
            None if text.is_empty() || text.contains(char::is_control) => {
                Err("it is no name".to_owned())
            }
            // The options' own parsers have looked at what they gave.
            _ => Ok(text),
        };
        checked.map_err(|why| {
            Failure::usage(format!(
                "\"{}\" in the document of credentials cannot be used: {why}.",
                self.key
            ))
        })
    }
}
