//! Who we are to AWS: what the environment gives, a profile, a web identity token (IAM roles for service
//! accounts), or container credentials (EKS Pod Identity, ECS). Not the instance metadata service.

use std::time::{Duration, SystemTime};

use aws_config::Region;
use aws_config::default_provider::use_fips::use_fips_provider;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::error::{self, AwsError};
use super::http::Http;
use super::{CALL_TIMEOUT, attempt_timeouts, retries};

/// Credentials that end sooner than this are replaced: whatever is made of them has to last for a while.
const LEAST_LIFE: Duration = Duration::from_mins(5);

/// How long a failure is handed to whoever asks, instead of asking again: those who waited for the same answer must
/// not each wait for another one.
const FAILURE_LIFE: Duration = Duration::from_secs(10);

/// Credentials, kept as long as they last, or why there were none.
#[derive(Debug, Default)]
pub(super) struct Identity(Mutex<Option<Kept>>);

/// What the last question came to.
#[derive(Debug)]
enum Kept {
    Credentials(Credentials),
    Failure(AwsError, Instant),
}

impl Identity {
    /// The credentials of this process. `region` is its own, where a token service is asked.
    pub(super) async fn credentials(
        &self,
        http: &Http,
        region: Option<String>,
    ) -> Result<Credentials, AwsError> {
        let question = async {
            let chain = chain(http, region).await;
            let found = timeout(CALL_TIMEOUT, chain.provide_credentials()).await;
            let found =
                found.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(CALL_TIMEOUT)));
            found.map_err(|cause| error::of_identity(&cause, http))
        };
        self.kept_or(question).await
    }

    /// What is kept, or else the answer to the question.
    async fn kept_or(
        &self,
        question: impl Future<Output = Result<Credentials, AwsError>>,
    ) -> Result<Credentials, AwsError> {
        // Held over the question: who comes in between waits for its answer.
        let mut kept = self.0.lock().await;
        match kept.as_ref() {
            Some(Kept::Credentials(credentials)) if lasts(credentials) => {
                return Ok(credentials.clone());
            }
            Some(Kept::Failure(failure, since)) if since.elapsed() < FAILURE_LIFE => {
                return Err(failure.clone());
            }
            _ => {}
        }
        let answer = question.await;
        *kept = match &answer {
            // Those without an end cost nothing to read again, and may have been changed.
            Ok(credentials) if credentials.expiry().is_none() => None,
            Ok(credentials) => Some(Kept::Credentials(credentials.clone())),
            Err(failure) => Some(Kept::Failure(failure.clone(), Instant::now())),
        };
        answer
    }
}

fn lasts(credentials: &Credentials) -> bool {
    let end = credentials.expiry();
    end.is_some_and(|end| end > SystemTime::now() + LEAST_LIFE)
}

async fn chain(http: &Http, region: Option<String>) -> CredentialsProviderChain {
    let config = ProviderConfig::without_region()
        .with_region(region.clone().map(Region::new))
        .with_http_client(http.client())
        .with_timeout_config(attempt_timeouts())
        .with_retry_config(retries());
    let use_fips = use_fips_provider(&config).await;
    let config = config.with_use_fips(use_fips);
    let profile = ProfileFileCredentialsProvider::builder()
        .configure(&config)
        .with_custom_provider("Ec2InstanceMetadata", NoInstanceMetadata)
        .build();
    let web_identity = WebIdentityTokenCredentialsProvider::builder()
        .configure(&config)
        .build();
    let container = EcsCredentialsProvider::builder().configure(&config).build();
    let first = CredentialsProviderChain::first_try(
        "Environment",
        EnvironmentVariableCredentialsProvider::new(),
    )
    .or_else("Profile", profile);
    let has_token = std::env::var_os(TOKEN_FILE).is_some_and(|file| !file.is_empty());
    let second = if has_token && region.is_none() {
        first.or_else("WebIdentityToken", NoRegion)
    } else {
        first.or_else("WebIdentityToken", web_identity)
    };
    second.or_else("Container", container)
}

/// The variable that names the file of the web identity token.
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// A web identity token goes to the token service of our own region, and there is none. The region of a resource is
/// no answer: whoever writes one would decide where the token goes.
#[derive(Debug)]
struct NoRegion;

impl ProvideCredentials for NoRegion {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::invalid_configuration(
            "the web identity token is for AWS STS in this process' own region, and none is set: set AWS_REGION (the \
             operator's chart has aws.region)",
        )))
    }
}

/// A profile may name the instance metadata service as its source.
#[derive(Debug)]
struct NoInstanceMetadata;

impl ProvideCredentials for NoInstanceMetadata {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::invalid_configuration(
            "the profile names the instance metadata service, which is never asked",
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::task::yield_now;

    use super::super::error::AwsErrorKind;
    use super::*;

    #[tokio::test]
    async fn who_waited_for_a_failure_is_told_it_and_does_not_ask_again() {
        let (identity, asked) = (Identity::default(), AtomicUsize::new(0));
        let callers = (0..20).map(|_| {
            identity.kept_or(async {
                asked.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
                Err(AwsError {
                    kind: AwsErrorKind::Unreachable,
                    message: "away".to_owned(),
                })
            })
        });
        for answer in join_all(callers).await {
            assert_eq!(answer.unwrap_err().message, "away");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
