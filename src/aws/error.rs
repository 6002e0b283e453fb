//! Why something could not be had from AWS, as data and in sentences. Services answer with identifiers and never
//! with a secret's value; what they say is shown in one line and cut.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ConnectorError, ProvideErrorMetadata, SdkError};

use crate::migration::display::plain;

use super::http::Http;

/// Longest text of a service that is shown, in characters.
const MAX_SAID: usize = 300;

/// Something could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AwsError {
    /// What class of trouble it is.
    pub kind: AwsErrorKind,
    /// Stands alone: what happened, what it means, what to do.
    pub message: String,
}

/// Classes of [`AwsError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AwsErrorKind {
    /// AWS does not let us, or does not know who we are.
    AccessDenied,
    /// There is no such secret.
    NotFound,
    /// The secret is there and holds no text.
    Unusable,
    /// No answer; the same may succeed later.
    Unreachable,
    /// What is said by environment or files about AWS contradicts itself or is malformed.
    Misconfigured,
}

/// There is nobody that we are.
pub(super) fn of_identity(error: &CredentialsError, http: &Http) -> AwsError {
    let said = said(error);
    let (kind, message) = match error {
        CredentialsError::CredentialsNotLoaded(_) => (
            AwsErrorKind::AccessDenied,
            "There is no AWS identity to act with: neither the environment nor a profile, a web identity token or \
             container credentials give one, and the instance's own role is never used. Nothing was connected \
             to. Give the operator's service account one (IAM roles for service accounts, or EKS Pod Identity); \
             at the command line, sign in to AWS."
                .to_owned(),
        ),
        CredentialsError::InvalidConfiguration(_) => (
            AwsErrorKind::Misconfigured,
            format!(
                "The AWS identity cannot be used as it is configured: {said}. Nothing was connected to. Correct \
                 the profile, or the variables that begin with AWS_."
            ),
        ),
        error if was_unreachable(error) => (
            AwsErrorKind::Unreachable,
            format!(
                "The service that gives the AWS identity was not reached: {said}. Nothing was connected to. See \
                 whether the way to it is open (AWS STS, or the agent of EKS Pod Identity).{}",
                http.hint()
            ),
        ),
        _ => (
            AwsErrorKind::AccessDenied,
            format!(
                "AWS did not give an identity: {said}. Nothing was connected to. See whether the role trusts this \
                 service account or user, and whether the token file is there."
            ),
        ),
    };
    AwsError { kind, message }
}

/// What the service said, or that it did not answer. `what` is what was asked for, `grant` what has to be allowed.
pub(super) fn of_service<E>(error: &SdkError<E>, what: &str, grant: &str, http: &Http) -> AwsError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let Some(refusal) = error.as_service_error() else {
        return AwsError {
            kind: AwsErrorKind::Unreachable,
            message: format!(
                "{what} could not be read: {}. Nothing was connected to. See whether the way to the service is \
                 open (network policy, VPC endpoint, region).{}",
                said(error),
                http.hint()
            ),
        };
    };
    let status = error
        .raw_response()
        .map_or(0, |answer| answer.status().as_u16());
    let code = refusal
        .code()
        .map_or_else(|| format!("HTTP {status}"), line);
    let text = refusal.message().map(|text| format!(": {}", line(text)));
    let text = text.unwrap_or_default();
    match code.as_str() {
        "ResourceNotFoundException" => AwsError {
            kind: AwsErrorKind::NotFound,
            message: format!(
                "{what} does not exist ({code}). Nothing was connected to. Create it, or correct its name and \
                 region."
            ),
        },
        code if status >= 500 || code == "ThrottlingException" => AwsError {
            kind: AwsErrorKind::Unreachable,
            message: format!(
                "{what} could not be read now ({code}{text}). Nothing was connected to."
            ),
        },
        "InvalidRequestException" | "InvalidParameterException" | "ValidationException" => {
            AwsError {
                kind: AwsErrorKind::NotFound,
                message: format!(
                    "{what} cannot be read ({code}{text}). Nothing was connected to. See whether it is marked for \
                 deletion, or correct its name."
                ),
            }
        }
        _ => AwsError {
            kind: AwsErrorKind::AccessDenied,
            message: format!(
                "{what} may not be read ({code}{text}). Nothing was connected to. {grant}"
            ),
        },
    }
}

fn was_unreachable(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::ProviderTimedOut(_))
        || causes(error).any(<dyn Error>::is::<ConnectorError>)
}

/// The innermost cause, which is the one that says something.
fn said(error: &(dyn Error + 'static)) -> String {
    let innermost = causes(error).last();
    line(&innermost.map_or_else(String::new, ToString::to_string))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        (*error).source()
    })
}

/// One line of limited length, without a full stop at its end.
fn line(text: &str) -> String {
    let cut: String = plain(text).chars().take(MAX_SAID).collect();
    cut.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_is_one_short_line_that_commands_no_terminal() {
        for (said, shown) in [
            ("no such role.\n", "no such role"),
            ("a\u{1b}[2Jb\u{9b}c", "a [2Jb c"),
            // Characters that reorder the text around them.
            ("role \u{202e}nimda\u{2069}", "role  nimda"),
            ("", ""),
        ] {
            assert_eq!(line(said), shown);
        }
        assert_eq!(line(&"ä".repeat(1000)).chars().count(), MAX_SAID);
    }
}
