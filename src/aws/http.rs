//! The HTTP client that all calls share, and whom it trusts.

use std::path::{Path, PathBuf};

use aws_sdk_secretsmanager::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::error::{AwsError, AwsErrorKind};

/// The variable that names a file of authorities, as for Amazon's own tools.
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// The client, and whether it trusts anybody.
#[derive(Debug)]
pub(super) struct Http {
    client: SharedHttpClient,
    has_roots: bool,
}

impl Http {
    /// The client of this process: it trusts the authorities of `AWS_CA_BUNDLE`, or those of the system.
    pub(super) fn new() -> Result<Self, AwsError> {
        let bundle = std::env::var_os(BUNDLE).filter(|path| !path.is_empty());
        let (trusted, has_roots) = match bundle {
            Some(path) => (bundled(&PathBuf::from(path))?, true),
            None if system_has_roots() => (TrustStore::default(), true),
            None => (TrustStore::empty(), false),
        };
        let context = TlsContext::builder().with_trust_store(trusted).build();
        let context = context.map_err(|_| unusable("the authorities that it trusts"))?;
        let client = Builder::new()
            .tls_provider(Provider::rustls(CryptoMode::Ring))
            .tls_context(context)
            .build_https();
        Ok(Self { client, has_roots })
    }

    pub(super) fn client(&self) -> SharedHttpClient {
        self.client.clone()
    }

    /// What to add where a call was not answered.
    pub(super) fn hint(&self) -> &'static str {
        if self.has_roots {
            ""
        } else {
            " This machine or image has no certificate authorities, so that no service of AWS can be \
             recognised: name a PEM file of them in AWS_CA_BUNDLE."
        }
    }
}

/// The client would only ever complain in its log.
fn system_has_roots() -> bool {
    !rustls_native_certs::load_native_certs().certs.is_empty()
}

/// The client panics over a certificate that it cannot use; so each is tried first.
fn bundled(path: &Path) -> Result<TrustStore, AwsError> {
    let place = format!("{BUNDLE} {}", path.display());
    let pem = std::fs::read(path).map_err(|error| AwsError {
        kind: AwsErrorKind::Misconfigured,
        message: format!("{place} cannot be read: {error}. Nothing was connected to."),
    })?;
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let usable = certificates.is_ok_and(|certificates| {
        !certificates.is_empty() && certificates.into_iter().all(|one| store.add(one).is_ok())
    });
    if usable {
        Ok(TrustStore::empty().with_pem_certificate(pem))
    } else {
        Err(unusable(&place))
    }
}

fn unusable(what: &str) -> AwsError {
    AwsError {
        kind: AwsErrorKind::Misconfigured,
        message: format!(
            "{what} cannot be used: it holds no PEM certificates, or one that is no certificate of an authority. \
             Nothing was connected to. Give a bundle of authorities."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_would_make_the_client_panic_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.pem");
        let missing = bundled(&path).unwrap_err();
        assert!(missing.message.contains("cannot be read"), "{missing}");
        let broken = "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n";
        for pem in ["", "canary", broken] {
            std::fs::write(&path, pem).unwrap();
            let error = bundled(&path).unwrap_err();
            assert_eq!(error.kind, AwsErrorKind::Misconfigured);
            assert!(
                error.message.contains("holds no PEM certificates"),
                "{error}"
            );
            assert!(!error.message.contains("canary"), "{error}");
        }
    }
}
