//! The database and how to sign in: structured fields only, no URL and no free options, so that no
//! text from a resource becomes a connection option.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The database, and how to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.credentialsFrom) || (has(self.host) && has(self.database) && has(self.username))")
        .message("host, database and username must be given, or credentialsFrom a JSON document that has them"),
    validation = Rule::new("self.auth.type != 'RDSIAM' || self.tls.mode in ['VerifyFull', 'VerifyCA']")
        .message("auth.type RDSIAM needs tls.mode VerifyFull or VerifyCA: whoever gets a token can use it"),
    validation = Rule::new("self.auth.type != 'RDSIAM' || !has(self.password)")
        .message("password must not be given with auth.type RDSIAM: the token takes its place")
)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// One JSON document with the credentials, in the shape that AWS Secrets Manager gives to those of a
    /// database: {"username": "…", "password": "…", "engine": "postgres", "host": "…", "port": 5432,
    /// "dbname": "…"}, at most 64 KiB. username and password are required in it; port may be a number or a
    /// text; engine, if it is there, must be postgres or aurora-postgresql; any other key is ignored. What the
    /// fields beside it say (host, port, database, username, password) goes before what stands in the document.
    /// It is read anew for each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_from: Option<CredentialsSource>,

    /// DNS name or IP address of the server. A name is resolved anew for each connection. Required unless
    /// credentialsFrom has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostSource>,

    /// TCP port. Default: the one that credentialsFrom has, else 5432.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortSource>,

    /// The database; it must exist. Required unless credentialsFrom has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("!has(self.value) || size(self.value) <= 63")
            .message("a database name has at most 63 characters")
    )]
    pub database: Option<TextSource>,

    /// The user (role) to sign in as. It needs no superuser rights: CREATE on the database the first
    /// time, and what the scripts need. Required unless credentialsFrom has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("!has(self.value) || size(self.value) <= 63")
            .message("a user name has at most 63 characters")
    )]
    pub username: Option<TextSource>,

    /// The password, always from a Secret. Read anew for each connection, so that a rotated one is
    /// used at once. Default: the one that credentialsFrom has, else none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordSource>,

    /// How the user signs in. Default: type Password.
    #[serde(default)]
    pub auth: Auth,

    /// Encryption of the connection. Default: mode VerifyFull.
    #[serde(default)]
    pub tls: Tls,

    /// None (default): host is the server itself; a pooler there is refused with PoolerDetected, because
    /// the lock and the scripts would be on different server sessions. Session: host is a pooler that
    /// keeps one server session for as long as a client is connected, such as PgBouncer with
    /// pool_mode = session; what it does is checked before each version.
    #[serde(default)]
    pub pooler: Pooler,

    /// True: the user may be a superuser, or a member of pg_execute_server_program,
    /// pg_read_server_files or pg_write_server_files, or have CREATEROLE up to PostgreSQL 15. Then whoever may change a script can run programs
    /// on the database server. Default: false, such a user is refused with PrivilegedRole.
    #[serde(default)]
    pub allow_privileged_role: bool,
}

/// How the user signs in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("(self.type == 'RDSIAM') == has(self.region)")
        .message("region must be given with type RDSIAM, and with no other")
)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Password (default): by the password, or as the server wants it otherwise. RDSIAM: to Amazon RDS by a
    /// token of IAM, which the operator signs for each connection with its own identity; no password is read.
    /// Its configuration (aws.rdsIAM) must allow host and user to this namespace.
    #[serde(rename = "type", default)]
    pub type_: AuthType,

    /// The region that the instance is in, such as eu-central-1. Only with RDSIAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z]+(-[a-z0-9]+)+$"), length(min = 1, max = 32))]
    pub region: Option<String>,
}

/// Ways to sign in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the field explains both")]
pub enum AuthType {
    #[default]
    Password,
    #[serde(rename = "RDSIAM")]
    RdsIam,
}

/// What stands between the operator and the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the field explains both")]
pub enum Pooler {
    #[default]
    None,
    Session,
}

/// A key of a Secret or ConfigMap of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyReference {
    /// Name of the object, which is in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Key of the value in it. Blanks and line ends around the value are not part of it.
    #[schemars(regex(pattern = r"^[-._a-zA-Z0-9]+$"), length(min = 1, max = 253))]
    pub key: String,
}

/// Where a JSON document with credentials stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.secretRef) != has(self.awsSecretsManager)")
        .message("exactly one of secretRef and awsSecretsManager must be given")
)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsSource {
    /// A Secret's key that holds the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeyReference>,

    /// A secret of AWS Secrets Manager that holds the document. The operator reads it with an identity of its
    /// own, so its configuration (aws.secrets) must allow it to this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_secrets_manager: Option<AwsSecret>,
}

/// A secret of AWS Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsSecret {
    /// Its name, or its ARN, which must name the same region.
    #[schemars(
        regex(pattern = r"^[-A-Za-z0-9/_+=.@!:]+$"),
        length(min = 1, max = 2048)
    )]
    pub secret_id: String,

    /// The region that it is in, such as eu-central-1.
    #[schemars(regex(pattern = r"^[a-z]+(-[a-z0-9]+)+$"), length(min = 1, max = 32))]
    pub region: String,
}

/// Where a document stands: exactly one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentSource<'a> {
    /// In a Secret.
    Secret(&'a KeyReference),
    /// In AWS Secrets Manager.
    Aws(&'a AwsSecret),
}

impl CredentialsSource {
    /// Where the document stands; `None` unless exactly one place is given.
    #[must_use]
    pub fn get(&self) -> Option<DocumentSource<'_>> {
        match (&self.secret_ref, &self.aws_secrets_manager) {
            (Some(secret), None) => Some(DocumentSource::Secret(secret)),
            (None, Some(secret)) => Some(DocumentSource::Aws(secret)),
            _ => None,
        }
    }
}

/// Where a field's value stands: exactly one of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldSource<'a, T> {
    /// In the resource itself.
    Value(&'a T),
    /// In a Secret.
    Secret(&'a KeyReference),
    /// In a ConfigMap.
    ConfigMap(&'a KeyReference),
}

/// Declares a field that is given by value, by a Secret's key or by a ConfigMap's key.
///
/// The structs differ in the value's type and limits alone, and the CRD has no generics.
macro_rules! field_source {
    ($(#[$outer:meta])* $name:ident, $(#[$inner:meta])* $value:ty) => {
        $(#[$outer])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
        #[x_kube(
            validation = Rule::new("[has(self.value), has(self.secretKeyRef), has(self.configMapKeyRef)].filter(given, given).size() == 1")
                .message("exactly one of value, secretKeyRef and configMapKeyRef must be given")
        )]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $(#[$inner])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub value: Option<$value>,

            /// The value is in a Secret.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub secret_key_ref: Option<KeyReference>,

            /// The value is in a ConfigMap.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub config_map_key_ref: Option<KeyReference>,
        }

        impl $name {
            /// Where the value stands; `None` unless exactly one place is given.
            #[must_use]
            pub fn get(&self) -> Option<FieldSource<'_, $value>> {
                match (&self.value, &self.secret_key_ref, &self.config_map_key_ref) {
                    (Some(value), None, None) => Some(FieldSource::Value(value)),
                    (None, Some(secret), None) => Some(FieldSource::Secret(secret)),
                    (None, None, Some(config_map)) => Some(FieldSource::ConfigMap(config_map)),
                    _ => None,
                }
            }
        }
    };
}

field_source! {
    /// A DNS name or IP address, given by value, by a Secret's key or by a ConfigMap's key.
    HostSource,
    /// The DNS name or IP address itself, without port, scheme or brackets.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new(r"self.matches('^[A-Za-z0-9_.:-]+$')")
            .message("must be one DNS name or IP address: no slash, no URL, no list")
    )]
    String
}

field_source! {
    /// A TCP port, given by value, by a Secret's key or by a ConfigMap's key.
    PortSource,
    /// The port itself, from 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    i32
}

field_source! {
    /// A text, given by value, by a Secret's key or by a ConfigMap's key.
    TextSource,
    /// The text itself.
    #[schemars(length(min = 1, max = 253))]
    String
}

/// A password, which is never written into the resource itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordSource {
    /// The password is in a Secret.
    pub secret_key_ref: KeyReference,
}

/// Encryption of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!has(self.ca) || !(self.mode in ['Disable', 'Require'])")
        .message("ca is only used with mode VerifyCA or VerifyFull: Require checks no certificate"),
    validation = Rule::new("!has(self.clientCertificate) || self.mode != 'Disable'")
        .message("clientCertificate is shown over TLS alone: mode must not be Disable")
)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// VerifyFull (default): encrypted, the certificate comes from a trusted authority and is for
    /// this host. VerifyCA: the same, for any host name. Require: encrypted, but whoever answers is
    /// believed. Disable: not encrypted; password and data can be read on the way.
    #[serde(default)]
    pub mode: TlsMode,

    /// The certificate authorities (PEM) that the server's certificate must come from, in addition to
    /// those of the operator's image, which has none. Amazon RDS publishes its own as
    /// global-bundle.pem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Certificate>,

    /// The certificate that the user shows to the server, for the authentication method cert or the option
    /// clientcert of pg_hba.conf. Read anew for each run. Default: none is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
}

/// A client certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificate {
    /// A Secret of type kubernetes.io/tls, as cert-manager makes it: the certificate, with what is between it
    /// and its authority, in key tls.crt, and the private key, not encrypted, in key tls.key.
    pub secret_ref: SecretReference,
}

/// A Secret of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How far the server's certificate is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the field explains all four")]
pub enum TlsMode {
    Disable,
    Require,
    #[serde(rename = "VerifyCA")]
    VerifyCa,
    #[default]
    VerifyFull,
}

/// PEM certificates in a Secret's or a ConfigMap's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.secretKeyRef) != has(self.configMapKeyRef)")
        .message("exactly one of secretKeyRef and configMapKeyRef must be given")
)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The certificates are in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyReference>,

    /// The certificates are in a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyReference>,
}

impl Certificate {
    /// Where the certificates stand; `None` unless exactly one place is given.
    #[must_use]
    pub fn get(&self) -> Option<FieldSource<'_, String>> {
        match (&self.secret_key_ref, &self.config_map_key_ref) {
            (Some(secret), None) => Some(FieldSource::Secret(secret)),
            (None, Some(config_map)) => Some(FieldSource::ConfigMap(config_map)),
            _ => None,
        }
    }
}
