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

/// The way to Amazon's services, one for a process.
#[derive(Debug, Default)]
pub struct Aws {
    http: OnceCell<Http>,
    identity: Identity,
}

impl Aws {
    /// Who we are to AWS.
    async fn credentials(&self, region: &str) -> Result<Credentials, AwsError> {
        let http = self.http().await?;
        self.identity.credentials(http, region).await
    }

    async fn http(&self) -> Result<&Http, AwsError> {
        self.http.get_or_try_init(|| async { Http::new() }).await
    }

    /// What the clients of services are made from: `AWS_ENDPOINT_URL` and its kin are read for each.
    async fn config(&self, region: &str) -> Result<SdkConfig, AwsError> {
        let credentials = self.credentials(region).await?;
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
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS)
}
