//! Credentials in one JSON document, in the shape of AWS Secrets Manager: from a file, or from the variable that
//! ECS puts a secret into.

use std::path::PathBuf;

use clap::Args;

use crate::api::credentials::{self, Credentials};

use super::args::{host, read};
use super::exit::Failure;

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
}

impl CredentialsArgs {
    /// Whether there is a document.
    pub(super) fn is_given(&self) -> bool {
        self.credentials_file.is_some()
            || std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty())
    }

    /// What the document says; `None`: there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or a document that is malformed. Neither shows what stands in it.
    pub(super) fn document(&self) -> Result<Option<Credentials>, Failure> {
        let (origin, bytes) = match &self.credentials_file {
            Some(path) => (
                format!("--credentials-file {}", path.display()),
                read(path, "--credentials-file")?,
            ),
            None => match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
                Some(value) => (VARIABLE.to_owned(), value.into_encoded_bytes()),
                None => return Ok(None),
            },
        };
        credentials::parse(&bytes).map(Some).map_err(|error| {
            Failure::usage(format!(
                "{origin} cannot be used: {error}. Nothing was connected to."
            ))
        })
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
