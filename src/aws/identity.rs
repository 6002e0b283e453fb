//! Who we are to AWS: what the environment gives, a profile, a web identity token (IAM roles for service
//! accounts), or container credentials (EKS Pod Identity, ECS). Not the instance metadata service.

use std::time::{Duration, SystemTime};

use aws_config::Region;
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

use super::error::{self, AwsError};
use super::http::Http;
use super::{retries, timeouts};

/// Credentials that end sooner than this are replaced: whatever is made of them has to last for a while.
const LEAST_LIFE: Duration = Duration::from_mins(5);

/// Credentials, kept as long as they last.
#[derive(Debug, Default)]
pub(super) struct Identity(Mutex<Option<Credentials>>);

impl Identity {
    /// The credentials of this process. `region` is where a token service is asked if the environment names none.
    pub(super) async fn credentials(
        &self,
        http: &Http,
        region: &str,
    ) -> Result<Credentials, AwsError> {
        // Held over the question: who comes in between waits for its answer.
        let mut kept = self.0.lock().await;
        if let Some(credentials) = kept.as_ref().filter(|kept| lasts(kept)) {
            return Ok(credentials.clone());
        }
        let found = chain(http, region).provide_credentials().await;
        let credentials = found.map_err(|cause| error::of_identity(&cause, http))?;
        // Those without an end cost nothing to read again, and may have been changed.
        *kept = Some(credentials.clone()).filter(|new| new.expiry().is_some());
        Ok(credentials)
    }
}

fn lasts(credentials: &Credentials) -> bool {
    let end = credentials.expiry();
    end.is_some_and(|end| end > SystemTime::now() + LEAST_LIFE)
}

fn chain(http: &Http, region: &str) -> CredentialsProviderChain {
    let own = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let mut own = own.into_iter().filter_map(|name| std::env::var(name).ok());
    let own = own.find(|region| !region.is_empty());
    let region = own.unwrap_or_else(|| region.to_owned());
    let config = ProviderConfig::without_region()
        .with_region(Some(Region::new(region)))
        .with_http_client(http.client())
        .with_timeout_config(timeouts())
        .with_retry_config(retries());
    let profile = ProfileFileCredentialsProvider::builder()
        .configure(&config)
        .with_custom_provider("Ec2InstanceMetadata", NoInstanceMetadata)
        .build();
    let web_identity = WebIdentityTokenCredentialsProvider::builder()
        .configure(&config)
        .build();
    let container = EcsCredentialsProvider::builder().configure(&config).build();
    CredentialsProviderChain::first_try(
        "Environment",
        EnvironmentVariableCredentialsProvider::new(),
    )
    .or_else("Profile", profile)
    .or_else("WebIdentityToken", web_identity)
    .or_else("Container", container)
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
