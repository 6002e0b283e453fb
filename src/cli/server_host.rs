//! The host of the server, and who said it: an option was written for this command, a variable maybe not.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::api::credentials::Credentials;

use super::args::host;
use super::exit::Failure;

/// The option as clap reads it.
#[derive(Debug, Args)]
struct Given {
    /// Host name or address of the PostgreSQL server
    #[arg(long, value_name = "HOST", env = "POSTGRES_HOST", hide_env_values = true, value_parser = host)]
    host: Option<String>,
}

/// The host that an option or a variable gives.
#[derive(Debug)]
pub(super) struct HostArg {
    host: Option<String>,
    is_of_environment: bool,
}

impl HostArg {
    /// The host, if one is given.
    pub(super) fn get(&self) -> Option<&String> {
        self.host.as_ref()
    }

    /// A variable that was left over from elsewhere must not lead the credentials of a document to another
    /// server than theirs.
    ///
    /// # Errors
    /// The variable and the document name two hosts.
    pub(super) fn agrees_with(&self, document: Option<&Credentials>) -> Result<(), Failure> {
        let of_document = document.and_then(|document| document.host.as_ref());
        match (&self.host, of_document) {
            (Some(given), Some(other))
                if self.is_of_environment && !given.eq_ignore_ascii_case(other) =>
            {
                Err(Failure::usage(format!(
                    "POSTGRES_HOST says {given}, and the document of credentials names another host. Nothing was \
                     connected to. Unset POSTGRES_HOST to connect to the document's host, or give --host to send \
                     its credentials elsewhere."
                )))
            }
            _ => Ok(()),
        }
    }
}

impl FromArgMatches for HostArg {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Given { host } = Given::from_arg_matches(matches)?;
        Ok(Self {
            host,
            is_of_environment: matches.value_source("host") == Some(ValueSource::EnvVariable),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for HostArg {
    fn augment_args(command: Command) -> Command {
        Given::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Given::augment_args_for_update(command)
    }
}
