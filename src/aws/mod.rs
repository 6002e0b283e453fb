//! Credentials from Amazon's services: a secret of AWS Secrets Manager, and tokens to sign in to RDS with.
//!
//! Nothing here is touched before somebody asks for it: no file, no variable and no address.
//!
//! **Invariant:** the instance metadata service is never asked. The node's role belongs to whatever runs on the
//! node, and whoever may write a resource would act with it.

mod error;
mod http;
mod identity;
mod rds;
mod secrets;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use tokio::sync::OnceCell;

pub use self::error::{AwsError, AwsErrorKind};
pub use self::secrets::SecretAddress;

use self::http::Http;
use self::identity::Identity;

/// How long a TCP connection to a service may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long one attempt may take, all in all.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call may take with its repetitions.
const CALL_TIMEOUT: Duration = Duration::from_secs(12);

/// Attempts for one call.
const ATTEMPTS: u32 = 3;

/// How long a secret may take to be read, with the question who we are.
const SECRET_TIMEOUT: Duration = Duration::from_secs(15);

/// The way to Amazon's services, one for a process.
#[derive(Debug, Default)]
pub struct Aws {
    /// The region of this process where it is not that of the environment.
    region: Option<String>,
    http: OnceCell<Http>,
    identity: Identity,
}

impl Aws {
    /// The way of a process whose own region is this one, whatever its environment says.
    #[must_use]
    pub fn in_region(region: &str) -> Self {
        Self {
            region: Some(region.to_owned()),
            ..Self::default()
        }
    }

    /// Who we are to AWS.
    async fn credentials(&self) -> Result<Credentials, AwsError> {
        let http = self.http().await?;
        self.identity.credentials(http, self.own_region()).await
    }

    /// The region of this process. What a resource names is the region of a secret or an instance, and never this
    /// one.
    fn own_region(&self) -> Option<String> {
        let names = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let found = names
            .into_iter()
            .filter_map(|name| std::env::var(name).ok());
        let mut all = self.region.clone().into_iter().chain(found);
        all.find(|region| !region.is_empty())
    }

    async fn http(&self) -> Result<&Http, AwsError> {
        self.http.get_or_try_init(|| async { Http::new() }).await
    }

    /// What the clients of services are made from: `AWS_ENDPOINT_URL` and its kin are read for each.
    async fn config(&self, region: &str) -> Result<SdkConfig, AwsError> {
        let credentials = self.credentials().await?;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .http_client(self.http().await?.client())
            .timeout_config(timeouts())
            .retry_config(retries())
            .credentials_provider(credentials);
        Ok(config.load().await)
    }
}

fn timeouts() -> TimeoutConfig {
    let attempts = attempt_timeouts().into_builder();
    attempts.operation_timeout(CALL_TIMEOUT).build()
}

/// The limits of one attempt, for a call whose end is somebody else's.
fn attempt_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS)
}
