//! Signing in to Amazon RDS by IAM: the password is a token, a request to `rds-db` signed for this host, port and
//! role ("IAM database authentication for PostgreSQL" in its manual). It is valid for 15 minutes, and asked for at
//! each connection.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use futures::future::BoxFuture;
use secrecy::SecretString;

use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::postgres::{PasswordIssuer, Settings};

use super::Aws;
use super::error::{AwsError, AwsErrorKind};

/// How long a token is valid: the most that RDS takes.
const VALIDITY: Duration = Duration::from_mins(15);

/// The name of the service in a signature.
const SERVICE: &str = "rds-db";

/// Makes tokens for one region.
#[derive(Debug)]
struct RdsIam {
    aws: Arc<Aws>,
    region: String,
}

impl Aws {
    /// What gives a token at each connection to an instance in `region`.
    #[must_use]
    pub fn rds_iam(self: &Arc<Self>, region: &str) -> Arc<dyn PasswordIssuer> {
        Arc::new(RdsIam {
            aws: Arc::clone(self),
            region: region.to_owned(),
        })
    }
}

impl PasswordIssuer for RdsIam {
    fn issue<'a>(
        &'a self,
        settings: &'a Settings,
    ) -> BoxFuture<'a, Result<SecretString, DatabaseError>> {
        Box::pin(async move {
            let credentials = self.aws.credentials().await?;
            token(&credentials, &self.region, settings, SystemTime::now()).ok_or_else(|| {
                DatabaseError::new(
                    DatabaseErrorKind::Internal,
                    "A token of RDS IAM could not be signed. Nothing was connected to. Please report it.",
                )
            })
        })
    }

    fn name(&self) -> &'static str {
        "its token of RDS IAM"
    }

    fn when_refused(&self) -> &'static str {
        "See whether the instance has IAM database authentication, the role is a member of rds_iam, the identity may \
         rds-db:connect as it, host and region are the instance's own, and this clock is right."
    }
}

/// The same bytes as those of Amazon's own tools: without the scheme, the parameters in their order.
fn token(
    credentials: &Credentials,
    region: &str,
    settings: &Settings,
    now: SystemTime,
) -> Option<SecretString> {
    let identity = credentials.clone().into();
    let mut how = SigningSettings::default();
    how.expires_in = Some(VALIDITY);
    how.signature_location = SignatureLocation::QueryParams;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(how)
        .build()
        .ok()?;
    // A name in capitals or with a final dot is the same instance, and its token is for the plain one.
    let host = settings.host.trim_end_matches('.').to_ascii_lowercase();
    let address = format!(
        "{host}:{}/?Action=connect&DBUser={}",
        settings.port,
        percent_encoded(&settings.username)
    );
    let url = format!("https://{address}");
    let nothing = SignableBody::Bytes(&[]);
    let request = SignableRequest::new("GET", &url, std::iter::empty(), nothing).ok()?;
    let (signed, _) = sign(request, &parameters.into()).ok()?.into_parts();
    let (_, mut added) = signed.into_parts();
    added.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name));
    let token = added.iter().fold(address, |token, (name, value)| {
        format!("{token}&{name}={}", percent_encoded(value))
    });
    Some(SecretString::from(token))
}

/// In which order Amazon's own tools put the parameters of a signature.
const ORDER: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
];

/// All but the unreserved characters of RFC 3986.
fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    encoded.collect()
}

impl From<AwsError> for DatabaseError {
    fn from(error: AwsError) -> Self {
        let kind = match error.kind {
            AwsErrorKind::AccessDenied
            | AwsErrorKind::NotFound
            | AwsErrorKind::Unusable
            | AwsErrorKind::Misconfigured => DatabaseErrorKind::AccessDenied,
            AwsErrorKind::Unreachable => DatabaseErrorKind::IdentityUnavailable,
        };
        Self::new(kind, error.message)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::postgres::{LIVENESS_PERIOD, Origins, Password, Pooler, Tls};

    fn settings(host: &str, port: u16, username: &str) -> Settings {
        Settings {
            host: host.to_owned(),
            port,
            database: "fluxion".to_owned(),
            username: username.to_owned(),
            password: Password::None,
            tls: Tls::default(),
            pooler: Pooler::None,
            ledger: crate::engine::task::Ledger::default(),
            role: None,
            search_path: Vec::new(),
            lock_timeout: Duration::ZERO,
            statement_timeout: Duration::ZERO,
            application: "test".to_owned(),
            connect_timeout: Duration::ZERO,
            liveness_period: LIVENESS_PERIOD,
            origins: Origins::default(),
            guard: None,
        }
    }

    /// What botocore 1.44.8 makes of the same (`generate_db_auth_token`).
    const PLAIN: &str = "fluxion.abc.eu-central-1.rds.amazonaws.com:5432/?Action=connect&DBUser=fluxion_migrator\
        &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIATESTS%2F20260102%2Feu-central-1%2Frds-db%2F\
        aws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=\
        20a4d1274d77bbb67eb9d8be7c176b5a84e236aef5c827254d1947d3e0708892";
    const WITH_SESSION: &str = "fluxion.abc.eu-central-1.rds.amazonaws.com:5433/?Action=connect&DBUser=odd%20user%2B\
        %C3%A4%2F%25&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIATESTS%2F20260102%2Feu-central-1%2F\
        rds-db%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
        &X-Amz-Security-Token=session%2Ftoken%2B%3D&X-Amz-Signature=\
        0f169d12736cc66225c91e96c894eedb88ba76a2a247bd49e17ca1b58805b072";

    #[test]
    fn a_token_is_the_one_that_amazons_own_library_makes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let host = "fluxion.abc.eu-central-1.rds.amazonaws.com";
        // botocore signs capitals as small letters, too; of a final dot it knows nothing.
        let capitals = "Fluxion.ABC.eu-central-1.rds.amazonaws.com";
        let with_dot = "fluxion.abc.eu-central-1.rds.amazonaws.com.";
        for (host, key, session, port, user, expected) in [
            (host, "AKIATESTS", None, 5432, "fluxion_migrator", PLAIN),
            (capitals, "AKIATESTS", None, 5432, "fluxion_migrator", PLAIN),
            (with_dot, "AKIATESTS", None, 5432, "fluxion_migrator", PLAIN),
            (
                host,
                "ASIATESTS",
                Some("session/token+=".to_owned()),
                5433,
                "odd user+ä/%",
                WITH_SESSION,
            ),
        ] {
            let credentials = Credentials::new(key, "a/secret+key", session, None, "test");
            let made = token(
                &credentials,
                "eu-central-1",
                &settings(host, port, user),
                now,
            )
            .unwrap();
            assert_eq!(made.expose_secret(), expected);
        }
    }
}
