//! Fetches the objects that a resource refers to, each once, by GET, and picks the keys it asks for.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use secrecy::{ExposeSecret, SecretSlice};

use crate::api::v1alpha1::{
    Certificate, CredentialsSource, DatabaseSchemaSpec, DocumentSource, FieldSource, HostSource,
    KeyReference, PortSource, TextSource,
};

use super::access::{Grantee, access_denied};
use super::attempt::{DereferenceError, DereferenceErrorKind};
use super::aws::AwsAccess;
use super::fingerprint::{Fingerprint, Mark};
use super::references::{ObjectKind, Reference, references};

/// What a resource refers to, as it was when it was fetched.
#[derive(Debug)]
pub struct Dereferenced {
    /// The migration files, `ConfigMap` by `ConfigMap`.
    pub files: Vec<FetchedFile>,
    /// Connection data.
    pub connection: ConnectionData,
}

/// A migration file and where it stands.
#[derive(Debug)]
pub struct FetchedFile {
    /// `ConfigMap NAME`, or `source.inline`.
    pub origin: String,
    /// The file name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Connection data, not judged yet. `None` where the resource gives no place for it.
#[derive(Debug)]
pub struct ConnectionData {
    /// A JSON document with what the others do not say, from a Secret or from AWS.
    pub credentials: Option<Given>,
    /// Host.
    pub host: Option<Given>,
    /// Port.
    pub port: Option<Given>,
    /// Database.
    pub database: Option<Given>,
    /// User.
    pub username: Option<Given>,
    /// Password.
    pub password: Option<Given>,
    /// PEM of the authorities.
    pub ca: Option<Given>,
    /// PEM of a client certificate and of its key.
    pub client_certificate: Option<(Given, Given)>,
}

/// One value.
#[derive(Debug)]
pub enum Given {
    /// Written in the resource.
    Literal(String),
    /// Fetched.
    Fetched {
        /// `key K of Secret S`.
        origin: String,
        /// Whatever stands there; a `ConfigMap`'s value is treated like a Secret's.
        bytes: SecretSlice<u8>,
    },
}

/// A fetched object's keys.
type Keys = BTreeMap<String, SecretSlice<u8>>;

/// Fetches everything that `spec` refers to in `namespace`. The fingerprint says which state of which
/// objects was seen, also when some are missing or may not be read; of those the error names the
/// first one, migrations before connection data. AWS is asked last, and only if all else is there.
pub async fn dereference(
    client: &Client,
    namespace: &str,
    spec: &DatabaseSchemaSpec,
    grantee: &Grantee,
    aws: &AwsAccess<'_>,
) -> (Fingerprint, Result<Dereferenced, DereferenceError>) {
    let wanted = references(spec);
    let fetched = join_all(
        wanted
            .iter()
            .map(|reference| fetch(client, namespace, reference)),
    )
    .await;
    let mut fingerprint = Fingerprint::default();
    let mut objects = Objects::default();
    for (reference, result) in wanted.into_iter().zip(fetched) {
        match result {
            Ok(Some((version, keys))) => {
                fingerprint.set(reference.clone(), Mark::Version(version));
                objects.found.insert(reference, keys);
            }
            Ok(None) => fingerprint.set(reference, Mark::Absent),
            Err(error) => {
                fingerprint.set(reference.clone(), Mark::of_error(&error));
                objects.failed.insert(reference, error);
            }
        }
    }
    let lookup = Lookup {
        objects: &objects,
        namespace,
        grantee,
    };
    let dereferenced = match lookup.pick(spec) {
        Ok(dereferenced) => with_document(dereferenced, spec, aws).await,
        Err(error) => Err(error),
    };
    (fingerprint, dereferenced)
}

/// Adds the document that AWS keeps, if `spec` names one.
async fn with_document(
    mut dereferenced: Dereferenced,
    spec: &DatabaseSchemaSpec,
    aws: &AwsAccess<'_>,
) -> Result<Dereferenced, DereferenceError> {
    let source = spec.connection.credentials_from.as_ref();
    if let Some(DocumentSource::Aws(secret)) = source.and_then(CredentialsSource::get) {
        dereferenced.connection.credentials = Some(aws.document(secret).await?);
    }
    Ok(dereferenced)
}

async fn fetch(
    client: &Client,
    namespace: &str,
    reference: &Reference,
) -> Result<Option<(String, Keys)>, kube::Error> {
    match reference.kind {
        ObjectKind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            Ok(api.get_opt(&reference.name).await?.map(|object| {
                let text = object.data.into_iter().flatten();
                let text = text.map(|(key, value)| (key, SecretSlice::from(value.into_bytes())));
                let binary = object.binary_data.into_iter().flatten();
                let binary = binary.map(|(key, value)| (key, SecretSlice::from(value.0)));
                let version = object.metadata.resource_version.unwrap_or_default();
                (version, text.chain(binary).collect())
            }))
        }
        ObjectKind::Secret => {
            let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
            Ok(api.get_opt(&reference.name).await?.map(|object| {
                let keys = object.data.into_iter().flatten();
                let keys = keys.map(|(key, value)| (key, SecretSlice::from(value.0)));
                let version = object.metadata.resource_version.unwrap_or_default();
                (version, keys.collect())
            }))
        }
    }
}

#[derive(Default)]
struct Objects {
    found: BTreeMap<Reference, Keys>,
    failed: BTreeMap<Reference, kube::Error>,
}

/// What an object is for, which decides the reason when it is missing.
#[derive(Clone, Copy)]
enum Use {
    Migrations,
    Connection,
}

struct Lookup<'a> {
    objects: &'a Objects,
    namespace: &'a str,
    grantee: &'a Grantee,
}

impl Lookup<'_> {
    fn pick(&self, spec: &DatabaseSchemaSpec) -> Result<Dereferenced, DereferenceError> {
        Ok(Dereferenced {
            files: self.files(spec)?,
            connection: self.connection(spec)?,
        })
    }

    fn files(&self, spec: &DatabaseSchemaSpec) -> Result<Vec<FetchedFile>, DereferenceError> {
        let mut files = Vec::new();
        for source in spec.source.config_maps.iter().flatten() {
            let reference = Reference::config_map(&source.name);
            let keys = self.object(&reference, Use::Migrations)?;
            files.extend(keys.iter().map(|(key, value)| FetchedFile {
                origin: reference.to_string(),
                name: key.clone(),
                bytes: value.expose_secret().to_vec(),
            }));
        }
        for (name, text) in spec.source.inline.iter().flatten() {
            files.push(FetchedFile {
                origin: "source.inline".to_owned(),
                name: name.clone(),
                bytes: text.clone().into_bytes(),
            });
        }
        Ok(files)
    }

    fn connection(&self, spec: &DatabaseSchemaSpec) -> Result<ConnectionData, DereferenceError> {
        let connection = &spec.connection;
        let credentials = connection.credentials_from.as_ref();
        let credentials = credentials.and_then(|source| source.secret_ref.as_ref());
        let password = connection.password.as_ref();
        Ok(ConnectionData {
            credentials: credentials.map(|secret| self.secret(secret)).transpose()?,
            host: self.field(connection.host.as_ref().and_then(HostSource::get))?,
            port: self.field(connection.port.as_ref().and_then(PortSource::get))?,
            database: self.field(connection.database.as_ref().and_then(TextSource::get))?,
            username: self.field(connection.username.as_ref().and_then(TextSource::get))?,
            password: password
                .map(|password| self.secret(&password.secret_key_ref))
                .transpose()?,
            client_certificate: connection
                .tls
                .client_certificate
                .as_ref()
                .map(|certificate| self.client_certificate(&certificate.secret_ref.name))
                .transpose()?,
            ca: self.field(connection.tls.ca.as_ref().and_then(Certificate::get))?,
        })
    }

    fn field<T: ToString>(
        &self,
        source: Option<FieldSource<'_, T>>,
    ) -> Result<Option<Given>, DereferenceError> {
        let Some(source) = source else {
            return Ok(None);
        };
        let given = match source {
            FieldSource::Value(value) => Given::Literal(value.to_string()),
            FieldSource::Secret(key) => self.secret(key)?,
            FieldSource::ConfigMap(key) => self.key(&Reference::config_map(&key.name), &key.key)?,
        };
        Ok(Some(given))
    }

    /// The two keys of a Secret of type kubernetes.io/tls.
    fn client_certificate(&self, name: &str) -> Result<(Given, Given), DereferenceError> {
        let secret = Reference::secret(name);
        Ok((self.key(&secret, "tls.crt")?, self.key(&secret, "tls.key")?))
    }

    fn secret(&self, key: &KeyReference) -> Result<Given, DereferenceError> {
        self.key(&Reference::secret(&key.name), &key.key)
    }

    fn key(&self, reference: &Reference, key: &str) -> Result<Given, DereferenceError> {
        let keys = self.object(reference, Use::Connection)?;
        let missing = match keys.get(key) {
            Some(value) if !value.expose_secret().trim_ascii().is_empty() => {
                return Ok(Given::Fetched {
                    origin: format!("key {key} of {reference}"),
                    bytes: value.clone(),
                });
            }
            Some(_) => format!("has nothing in key {key}"),
            None => format!("has no key {key}"),
        };
        Err(DereferenceError {
            kind: DereferenceErrorKind::KeyMissing,
            message: format!(
                "{reference} in namespace {} {missing}. Nothing was connected to. Put the value \
                 there, or correct the reference; it is looked for again by itself.",
                self.namespace
            ),
        })
    }

    fn object(&self, reference: &Reference, for_use: Use) -> Result<&Keys, DereferenceError> {
        if let Some(keys) = self.objects.found.get(reference) {
            return Ok(keys);
        }
        match self.objects.failed.get(reference) {
            None => Err(self.not_found(reference, for_use)),
            Some(kube::Error::Api(status)) if status.is_forbidden() => Err(DereferenceError {
                kind: DereferenceErrorKind::AccessDenied,
                message: access_denied(reference, self.namespace, self.grantee),
            }),
            // A kube error holds no content of an object.
            Some(error) => Err(DereferenceError {
                kind: DereferenceErrorKind::ApiUnavailable,
                message: format!(
                    "{reference} in namespace {} could not be read: {error}. It is tried again by \
                     itself.",
                    self.namespace
                ),
            }),
        }
    }

    fn not_found(&self, reference: &Reference, for_use: Use) -> DereferenceError {
        let (kind, purpose) = match for_use {
            Use::Migrations => (DereferenceErrorKind::SourceNotFound, "the migrations"),
            Use::Connection => (DereferenceErrorKind::SecretNotFound, "connection data"),
        };
        DereferenceError {
            kind,
            message: format!(
                "{reference} with {purpose} does not exist in namespace {}. Nothing was connected \
                 to. Create it, or correct the reference; it is looked for again by itself.",
                self.namespace
            ),
        }
    }
}
