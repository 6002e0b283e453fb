//! Which objects a resource refers to. Pure.

use std::collections::BTreeSet;
use std::fmt;

use crate::api::v1alpha1::{
    Certificate, DatabaseSchemaSpec, FieldSource, HostSource, PortSource, TextSource,
};

/// The kinds that can be referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A `ConfigMap`.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// An object of the resource's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
}

impl Reference {
    /// A `ConfigMap`.
    #[must_use]
    pub fn config_map(name: &str) -> Self {
        Self {
            kind: ObjectKind::ConfigMap,
            name: name.to_owned(),
        }
    }

    /// A Secret.
    #[must_use]
    pub fn secret(name: &str) -> Self {
        Self {
            kind: ObjectKind::Secret,
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Every object that `spec` refers to, once.
#[must_use]
pub fn references(spec: &DatabaseSchemaSpec) -> BTreeSet<Reference> {
    let connection = &spec.connection;
    let sources = spec.source.config_maps.iter().flatten();
    let fields = [
        of_field(connection.host.as_ref().and_then(HostSource::get)),
        of_field(connection.port.as_ref().and_then(PortSource::get)),
        of_field(connection.database.as_ref().and_then(TextSource::get)),
        of_field(connection.username.as_ref().and_then(TextSource::get)),
        of_field(connection.tls.ca.as_ref().and_then(Certificate::get)),
        connection
            .password
            .as_ref()
            .map(|password| Reference::secret(&password.secret_key_ref.name)),
        connection
            .tls
            .client_certificate
            .as_ref()
            .map(|certificate| Reference::secret(&certificate.secret_ref.name)),
        connection
            .credentials_from
            .as_ref()
            .and_then(|credentials| credentials.secret_ref.as_ref())
            .map(|secret| Reference::secret(&secret.name)),
    ];
    sources
        .map(|config_map| Reference::config_map(&config_map.name))
        .chain(fields.into_iter().flatten())
        .collect()
}

fn of_field<T>(source: Option<FieldSource<'_, T>>) -> Option<Reference> {
    match source? {
        FieldSource::Value(_) => None,
        FieldSource::Secret(key) => Some(Reference::secret(&key.name)),
        FieldSource::ConfigMap(key) => Some(Reference::config_map(&key.name)),
    }
}
