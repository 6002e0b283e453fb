//! What of Amazon's services a resource gets. The operator acts with one identity for all namespaces, so its
//! configuration says which of them may have what; nothing else is asked for.

use crate::api::v1alpha1::AwsSecret;
use crate::aws::{Aws, AwsError, AwsErrorKind, SecretAddress};

use super::attempt::{DereferenceError, DereferenceErrorKind};
use super::configuration::AwsRules;
use super::dereference::Given;

/// The way to AWS for the resources of one namespace.
pub struct AwsAccess<'a> {
    /// The services.
    pub aws: &'a Aws,
    /// What is allowed; `None`: whoever asks acts in their own name.
    pub rules: Option<&'a AwsRules>,
    /// The namespace.
    pub namespace: &'a str,
}

impl AwsAccess<'_> {
    /// The document that a secret holds.
    ///
    /// # Errors
    /// That the namespace may not have it, before anything is asked; or why it cannot be read.
    pub async fn document(&self, secret: &AwsSecret) -> Result<Given, DereferenceError> {
        let address = SecretAddress {
            id: secret.secret_id.clone(),
            region: secret.region.clone(),
        };
        let allows = |rules: &AwsRules| rules.allow_secret(self.namespace, &secret.secret_id);
        if !self.rules.is_none_or(allows) {
            return Err(self.not_allowed(
                &address.to_string(),
                &format!(
                    "aws.secrets: [{{namespaces: [{}], ids: [{}]}}]",
                    self.namespace, secret.secret_id
                ),
            ));
        }
        match self.aws.secret(&address).await {
            Ok(bytes) => Ok(Given::Fetched {
                origin: address.to_string(),
                bytes,
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn not_allowed(&self, what: &str, rule: &str) -> DereferenceError {
        DereferenceError {
            kind: DereferenceErrorKind::AccessDenied,
            message: format!(
                "Namespace {} may not use {what}: no rule of the operator's configuration allows it. Nothing was \
                 connected to, and AWS was not asked. Whoever runs the operator allows it by {rule}",
                self.namespace
            ),
        }
    }
}

impl From<AwsError> for DereferenceError {
    fn from(error: AwsError) -> Self {
        let kind = match error.kind {
            AwsErrorKind::AccessDenied | AwsErrorKind::Misconfigured => {
                DereferenceErrorKind::AccessDenied
            }
            AwsErrorKind::NotFound => DereferenceErrorKind::SecretNotFound,
            AwsErrorKind::Unusable => DereferenceErrorKind::Unusable,
            AwsErrorKind::Unreachable => DereferenceErrorKind::AwsUnreachable,
        };
        Self {
            kind,
            message: format!("{} It is tried again by itself.", error.message),
        }
    }
}
