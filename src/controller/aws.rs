//! What of Amazon's services a resource gets. The operator acts with one identity for all namespaces, so its
//! configuration says which of them may have what; nothing else is asked for.

use std::sync::Arc;

use crate::api::v1alpha1::{AuthType, AwsSecret, Connection};
use crate::aws::{Aws, AwsError, AwsErrorKind, SecretAddress};
use crate::postgres::{self, Password, Settings};

use super::attempt::{DereferenceError, DereferenceErrorKind};
use super::configuration::AwsRules;
use super::dereference::Given;

/// The way to AWS for the resources of one namespace.
pub struct AwsAccess<'a> {
    /// The services.
    pub aws: &'a Arc<Aws>,
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
        let allows = |rules: &AwsRules| rules.allow_secret(self.namespace, &address);
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
            Err(error) => Err(self.unread(&error)),
        }
    }

    /// Lets `settings` sign in by tokens, if `connection` says so.
    ///
    /// # Errors
    /// That the namespace may not sign in so.
    pub fn sign_in(
        &self,
        connection: &Connection,
        settings: &mut Settings,
    ) -> Result<(), DereferenceError> {
        let auth = &connection.auth;
        let (AuthType::RdsIam, Some(region)) = (auth.type_, &auth.region) else {
            return Ok(());
        };
        let (host, user) = (&settings.host, &settings.username);
        let allows = |rules: &AwsRules| rules.allow_sign_in(self.namespace, host, user, region);
        if !self.rules.is_none_or(allows) {
            let what = format!(
                "RDS IAM to sign in to {} as {}",
                postgres::place(settings),
                postgres::role(settings)
            );
            let is_shown = settings.origins.host.is_none() && settings.origins.username.is_none();
            let rule = if is_shown {
                format!(
                    "aws.rdsIAM: [{{namespaces: [{}], hosts: [{host}], users: [{user}]}}]",
                    self.namespace
                )
            } else {
                "a rule of aws.rdsIAM with namespaces, hosts and users".to_owned()
            };
            return Err(self.not_allowed(&what, &rule));
        }
        settings.password = Password::Issued(self.aws.rds_iam(region));
        Ok(())
    }

    fn not_allowed(&self, what: &str, rule: &str) -> DereferenceError {
        DereferenceError {
            kind: DereferenceErrorKind::AwsDenied,
            message: format!(
                "Namespace {} may not use {what}: no rule of the operator's configuration allows it. Nothing was \
                 connected to, and AWS was not asked. Whoever runs the operator allows it by {rule}",
                self.namespace
            ),
        }
    }

    fn unread(&self, error: &AwsError) -> DereferenceError {
        let kind = match error.kind {
            AwsErrorKind::AccessDenied | AwsErrorKind::Misconfigured => {
                DereferenceErrorKind::AwsDenied
            }
            AwsErrorKind::NotFound => DereferenceErrorKind::SecretNotFound,
            AwsErrorKind::Unusable => DereferenceErrorKind::Unusable,
            AwsErrorKind::Unreachable => DereferenceErrorKind::AwsUnreachable,
        };
        // Whoever asks in their own name asks once, and what backs off says so by its reason.
        let is_polled = self.rules.is_some() && kind != DereferenceErrorKind::AwsUnreachable;
        let next = if is_polled {
            " It is tried again by itself."
        } else {
            ""
        };
        DereferenceError {
            kind,
            message: format!("{}{next}", error.message),
        }
    }
}
