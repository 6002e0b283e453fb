//! What the CRD says in CEL and schema, said again: an API server without CEL, or one whose CRD is of
//! another version, must not lead to another behaviour. Pure. The texts are the CRD's own; a test
//! holds both equal.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::api::duration::GoDuration;
use crate::api::v1alpha1::{
    AuthType, Connection, CredentialsSource, DatabaseSchemaSpec, Execution, Source, TlsMode,
};
use crate::aws::SecretAddress;
use crate::engine::check::{self, Check};
use crate::migration::version::Version;

use super::approval;
use super::gate::{self, Gate};
use super::window::Windows;

const TARGET_AMONG_VERSIONS: &str =
    "targetVersion must be one of versions, written as it stands there";
const BASELINE_AMONG_VERSIONS: &str =
    "baseline must be one of versions, written as it stands there";
const BASELINE_WITHIN_TARGET: &str = "baseline must not be above targetVersion";
const ONE_SOURCE: &str = "exactly one of configMaps and inline must be given";
const INLINE_SIZE: &str =
    "the files may have 262144 characters in all; put larger ones into ConfigMaps";
/// For a field that is given by value or by reference.
pub const ONE_FIELD_SOURCE: &str =
    "exactly one of value, secretKeyRef and configMapKeyRef must be given";
const COMPLETE_CONNECTION: &str =
    "host, database and username must be given, or credentialsFrom a JSON document that has them";
const ONE_DOCUMENT_SOURCE: &str = "exactly one of secretRef and awsSecretsManager must be given";
const ONE_CERTIFICATE_SOURCE: &str =
    "exactly one of secretKeyRef and configMapKeyRef must be given";
/// For a host.
pub const HOST_FORM: &str = "must be one DNS name or IP address: no slash, no URL, no list";
/// For a database.
pub const DATABASE_LENGTH: &str = "a database name has at most 63 characters";
/// For a user.
pub const USERNAME_LENGTH: &str = "a user name has at most 63 characters";
const TOKEN_MODE: &str =
    "auth.type RDSIAM needs tls.mode VerifyFull or VerifyCA: whoever gets a token can use it";
const TOKEN_PASSWORD: &str =
    "password must not be given with auth.type RDSIAM: the token takes its place";
const TOKEN_REGION: &str = "region must be given with type RDSIAM, and with no other";
const CA_MODE: &str =
    "ca is only used with mode VerifyCA or VerifyFull: Require checks no certificate";
const CLIENT_CERTIFICATE_MODE: &str =
    "clientCertificate is shown over TLS alone: mode must not be Disable";
const INTERVAL: &str = "must be at least 1s";
const LOCK_TIMEOUT: &str = "must be from 1ms to 10m";
const STATEMENT_TIMEOUT: &str = "must be at most 168h";

/// Longest name of a database or a role, in characters.
pub const MAX_IDENTIFIER: usize = 63;
/// Longest host name (RFC 1035), in characters.
const MAX_HOST: usize = 253;
/// Longest name of a region.
const MAX_REGION: usize = 32;
/// Longest ARN.
const MAX_SECRET_ID: usize = 2048;
const MAX_INLINE: usize = 262_144;
const MAX_LOCK_RETRIES: i32 = 100;
const MAX_CONFIG_MAPS: usize = 20;
const MAX_INLINE_FILES: usize = 200;
const MAX_VERSIONS: usize = 1000;
const MAX_VERSION: usize = 32;
const MAX_VERSION_NAME: usize = 200;
const MAX_POLICIES: usize = 100;
const MAX_SEARCH_PATH: usize = 16;

const VERSION_FORM: &str = "must be 1 to 32 digits, written as in the file name";
const NAME_FORM: &str = "must be 1 to 200 letters, digits, dots, dashes and underscores";
const REGION_FORM: &str = "must be a region of AWS, such as eu-central-1";
const SECRET_ID_FORM: &str = "must be the name or the ARN of a secret of AWS Secrets Manager";
const ARN_REGION: &str = "region must be the one that the secret's ARN names";
const IDENTIFIER_LENGTH: &str = "must be a name of 1 to 63 characters";

/// True for one DNS name or IP address.
#[must_use]
pub fn is_host(text: &str) -> bool {
    (1..=MAX_HOST).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
}

/// It becomes a part of a host's name.
fn is_region(text: &str) -> bool {
    (1..=MAX_REGION).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.contains('-')
        && text.split('-').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

fn is_secret_id(text: &str) -> bool {
    (1..=MAX_SECRET_ID).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-/_+=.@!:".contains(&byte))
}

/// Everything that `spec` says and that cannot be, each as `field: why`.
#[must_use]
pub fn defects(spec: &DatabaseSchemaSpec) -> Vec<String> {
    let mut found = Defects(Vec::new());
    found.versions(spec);
    found.source(&spec.source);
    found.connection(spec);
    found.execution(&spec.execution);
    found.0.extend(checks(spec).err().into_iter().flatten());
    found.0.extend(windows(spec).err().into_iter().flatten());
    found.0.extend(gates(spec).err().into_iter().flatten());
    if let Err(unknown) = approval::policy(&spec.policy) {
        found.unless(false, "policy", &unknown.to_string());
    }
    found.unless(
        spec.policy.len() <= MAX_POLICIES,
        "policy",
        "must name at most 100 rules and impacts",
    );
    for (field, name) in [
        ("history.schema", &spec.history.schema),
        ("history.table", &spec.history.table),
    ] {
        found.unless(is_plain_identifier(name), field, "must be a name of letters, digits, _ and $ that does not start with a digit, of at most 63 characters");
    }
    let second = Duration::from_secs(1);
    found.duration("interval", &spec.interval, second..=Duration::MAX, INTERVAL);
    found.0
}

/// The windows that `spec` lists.
///
/// # Errors
/// What is wrong with them, each as `field: why`.
pub fn windows(spec: &DatabaseSchemaSpec) -> Result<Windows, Vec<String>> {
    let specs = spec.windows.as_deref();
    specs.map_or_else(|| Ok(Windows::default()), Windows::new)
}

/// The gates that `spec` lists.
///
/// # Errors
/// What is wrong with them, each as `field: why`.
pub fn gates(spec: &DatabaseSchemaSpec) -> Result<Vec<Gate>, Vec<String>> {
    let specs = spec.gates.as_deref();
    specs.map_or_else(|| Ok(Vec::new()), gate::gates)
}

/// The checks that `spec` lists.
///
/// # Errors
/// What is wrong with them, each as `field: why`.
pub fn checks(spec: &DatabaseSchemaSpec) -> Result<Vec<Check>, Vec<String>> {
    let Some(specs) = &spec.checks else {
        return Ok(Vec::new());
    };
    check::read(specs).map_err(|defects| {
        let of_spec = |defect| format!("spec.checks, {defect}");
        defects.into_iter().map(of_spec).collect()
    })
}

fn is_plain_identifier(name: &str) -> bool {
    let first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    (1..=MAX_IDENTIFIER).contains(&name.len())
        && name.as_bytes().first().is_some_and(first)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte))
}

/// Any name that PostgreSQL takes in quotes.
fn is_identifier(name: &str) -> bool {
    (1..=MAX_IDENTIFIER).contains(&name.chars().count())
}

fn is_version(text: &str) -> bool {
    (1..=MAX_VERSION).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_version_name(text: &str) -> bool {
    (1..=MAX_VERSION_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

struct Defects(Vec<String>);

impl Defects {
    fn unless(&mut self, holds: bool, field: &str, why: &str) {
        if !holds {
            self.0.push(format!("spec.{field}: {why}"));
        }
    }

    fn duration(
        &mut self,
        field: &str,
        text: &GoDuration,
        range: std::ops::RangeInclusive<Duration>,
        why: &str,
    ) {
        match text.get() {
            Ok(duration) => self.unless(range.contains(&duration), field, why),
            Err(error) => self.unless(false, field, &error.to_string()),
        }
    }

    fn versions(&mut self, spec: &DatabaseSchemaSpec) {
        if let Some(target) = &spec.target_version {
            self.unless(is_version(target), "targetVersion", VERSION_FORM);
        }
        if let Some(versions) = &spec.versions {
            let few = (1..=MAX_VERSIONS).contains(&versions.len());
            self.unless(few, "versions", "must be 1 to 1000 versions");
            for listed in versions {
                self.unless(
                    is_version(&listed.version),
                    "versions.version",
                    VERSION_FORM,
                );
                let name = listed.name.as_deref();
                self.unless(name.is_none_or(is_version_name), "versions.name", NAME_FORM);
            }
        }
        if let (Some(target), Some(versions)) = (&spec.target_version, &spec.versions) {
            let listed = versions.iter().any(|listed| listed.version == *target);
            self.unless(listed, "targetVersion", TARGET_AMONG_VERSIONS);
        }
        if let Some(baseline) = &spec.baseline {
            self.baseline(spec, baseline);
        }
    }

    fn baseline(&mut self, spec: &DatabaseSchemaSpec, baseline: &str) {
        self.unless(is_version(baseline), "baseline", VERSION_FORM);
        let listed = spec.versions.as_ref().is_none_or(|versions| {
            let mut versions = versions.iter();
            versions.any(|listed| listed.version == baseline)
        });
        self.unless(listed, "baseline", BASELINE_AMONG_VERSIONS);
        let number = |text: &str| Version::parse(text).ok();
        let target = spec.target_version.as_deref().and_then(number);
        let above = number(baseline)
            .zip(target)
            .is_some_and(|(baseline, target)| baseline > target);
        self.unless(!above, "baseline", BASELINE_WITHIN_TARGET);
    }

    fn source(&mut self, source: &Source) {
        let one = source.config_maps.is_some() != source.inline.is_some();
        self.unless(one, "source", ONE_SOURCE);
        if let Some(config_maps) = &source.config_maps {
            let few = (1..=MAX_CONFIG_MAPS).contains(&config_maps.len());
            self.unless(few, "source.configMaps", "must be 1 to 20 ConfigMaps");
            let names: BTreeSet<&str> = config_maps.iter().map(|map| &*map.name).collect();
            let distinct = names.len() == config_maps.len();
            self.unless(
                distinct,
                "source.configMaps",
                "no ConfigMap may be named twice",
            );
        }
        if let Some(inline) = &source.inline {
            let few = (1..=MAX_INLINE_FILES).contains(&inline.len());
            self.unless(few, "source.inline", "must be 1 to 200 files");
            let size: usize = inline.values().map(|text| text.chars().count()).sum();
            self.unless(size <= MAX_INLINE, "source.inline", INLINE_SIZE);
        }
    }

    fn connection(&mut self, spec: &DatabaseSchemaSpec) {
        let connection = &spec.connection;
        let (host, port) = (connection.host.as_ref(), connection.port.as_ref());
        let (database, username) = (connection.database.as_ref(), connection.username.as_ref());
        let complete = host.is_some() && database.is_some() && username.is_some();
        self.unless(
            complete || connection.credentials_from.is_some(),
            "connection",
            COMPLETE_CONNECTION,
        );
        if let Some(document) = &connection.credentials_from {
            self.document(document);
        }
        self.auth(connection);
        for (field, given) in [
            ("connection.host", host.map(|host| host.get().is_some())),
            ("connection.port", port.map(|port| port.get().is_some())),
            (
                "connection.database",
                database.map(|database| database.get().is_some()),
            ),
            (
                "connection.username",
                username.map(|username| username.get().is_some()),
            ),
        ] {
            self.unless(given != Some(false), field, ONE_FIELD_SOURCE);
        }
        if let Some(host) = host.and_then(|host| host.value.as_ref()) {
            self.unless(is_host(host), "connection.host.value", HOST_FORM);
        }
        for (field, name, why) in [
            ("connection.database", database, DATABASE_LENGTH),
            ("connection.username", username, USERNAME_LENGTH),
        ] {
            let name = name.and_then(|name| name.value.as_ref());
            let fits = |name: &String| name.chars().count() <= MAX_IDENTIFIER;
            self.unless(name.is_none_or(fits), field, why);
        }
        let plain = connection.tls.mode == TlsMode::Disable;
        self.unless(
            !plain || connection.tls.client_certificate.is_none(),
            "connection.tls",
            CLIENT_CERTIFICATE_MODE,
        );
        if let Some(ca) = &connection.tls.ca {
            let checked = matches!(connection.tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
            self.unless(checked, "connection.tls", CA_MODE);
            self.unless(
                ca.get().is_some(),
                "connection.tls.ca",
                ONE_CERTIFICATE_SOURCE,
            );
        }
    }

    fn auth(&mut self, connection: &Connection) {
        let auth = &connection.auth;
        let by_token = auth.type_ == AuthType::RdsIam;
        let has_region = auth.region.is_some();
        self.unless(by_token == has_region, "connection.auth", TOKEN_REGION);
        let region = auth.region.as_deref();
        self.unless(
            region.is_none_or(is_region),
            "connection.auth.region",
            REGION_FORM,
        );
        let verified = matches!(connection.tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
        self.unless(!by_token || verified, "connection", TOKEN_MODE);
        let alone = connection.password.is_none();
        self.unless(!by_token || alone, "connection", TOKEN_PASSWORD);
    }

    fn document(&mut self, document: &CredentialsSource) {
        let field = "connection.credentialsFrom";
        self.unless(document.get().is_some(), field, ONE_DOCUMENT_SOURCE);
        if let Some(secret) = &document.aws_secrets_manager {
            self.unless(is_region(&secret.region), field, REGION_FORM);
            self.unless(is_secret_id(&secret.secret_id), field, SECRET_ID_FORM);
            let named = SecretAddress::region_of(&secret.secret_id);
            let is_there = named.is_none_or(|region| region == secret.region);
            self.unless(is_there, field, ARN_REGION);
        }
    }

    fn execution(&mut self, execution: &Execution) {
        self.duration(
            "execution.lockTimeout",
            &execution.lock_timeout,
            Duration::from_millis(1)..=Duration::from_mins(10),
            LOCK_TIMEOUT,
        );
        self.duration(
            "execution.statementTimeout",
            &execution.statement_timeout,
            Duration::ZERO..=Duration::from_hours(168),
            STATEMENT_TIMEOUT,
        );
        let role = execution.role.as_deref();
        self.unless(
            role.is_none_or(is_identifier),
            "execution.role",
            IDENTIFIER_LENGTH,
        );
        if let Some(path) = &execution.search_path {
            let few = (1..=MAX_SEARCH_PATH).contains(&path.len());
            self.unless(few, "execution.searchPath", "must be 1 to 16 schemas");
            let names = path.iter().all(|schema| is_identifier(schema));
            self.unless(names, "execution.searchPath", IDENTIFIER_LENGTH);
        }
        let retries = (0..=MAX_LOCK_RETRIES).contains(&execution.lock_retries);
        self.unless(retries, "execution.lockRetries", "must be from 0 to 100");
    }
}

#[cfg(test)]
mod tests;
