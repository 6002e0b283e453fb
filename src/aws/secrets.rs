//! Secrets of AWS Secrets Manager.

use std::fmt;

use aws_sdk_secretsmanager::Client;
use secrecy::SecretSlice;
use tokio::time::timeout;

use super::error::{self, AwsError, AwsErrorKind};
use super::{Aws, SECRET_TIMEOUT};

/// Which secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretAddress {
    /// Its name or ARN.
    pub id: String,
    /// The region that it is in.
    pub region: String,
}

impl SecretAddress {
    /// The region that an ARN names, empty if it is cut short; a name has none.
    #[must_use]
    pub fn region_of(id: &str) -> Option<&str> {
        let parts = id.strip_prefix("arn:")?;
        Some(parts.split(':').nth(2).unwrap_or_default())
    }
}

impl fmt::Display for SecretAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "secret {} of AWS Secrets Manager in {}",
            self.id, self.region
        )
    }
}

impl Aws {
    /// The text that a secret holds now (its version AWSCURRENT).
    ///
    /// # Errors
    /// Why it could not be read. No error holds a part of it.
    pub async fn secret(&self, address: &SecretAddress) -> Result<SecretSlice<u8>, AwsError> {
        let read = timeout(SECRET_TIMEOUT, self.read(address)).await;
        read.unwrap_or_else(|_| {
            Err(AwsError {
                kind: AwsErrorKind::Unreachable,
                message: format!(
                    "{address} was not read within {} s. Nothing was connected to. See whether the way to AWS is open \
                     (network policy, VPC endpoint, region).",
                    SECRET_TIMEOUT.as_secs()
                ),
            })
        })
    }

    async fn read(&self, address: &SecretAddress) -> Result<SecretSlice<u8>, AwsError> {
        let http = self.http().await?;
        let config = self.config(&address.region).await?;
        let asked = Client::new(&config)
            .get_secret_value()
            .secret_id(&address.id);
        let answer = asked.send().await.map_err(|cause| {
            let grant = "Allow the role secretsmanager:GetSecretValue on it, and kms:Decrypt on its key where that is \
                         not AWS' own.";
            error::of_service(&cause, &address.to_string(), grant, http)
        })?;
        match answer.secret_string {
            Some(text) => Ok(SecretSlice::from(text.into_bytes())),
            None => Err(AwsError {
                kind: AwsErrorKind::Unusable,
                message: format!(
                    "{address} holds binary data and no text. Nothing was connected to. Put a JSON document with \
                     the credentials there."
                ),
            }),
        }
    }
}
