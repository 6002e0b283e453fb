//! What the CRD says in CEL and schema, said again: an API server without CEL, or one whose CRD is of
//! another version, must not lead to another behaviour. Pure. The texts are the CRD's own; a test
//! holds both equal.

use std::time::Duration;

use crate::api::duration::GoDuration;
use crate::api::v1alpha1::{DatabaseSchemaSpec, Execution, Source, TlsMode};

const TARGET_AMONG_VERSIONS: &str =
    "targetVersion must be one of versions, written as it stands there";
const ONE_SOURCE: &str = "exactly one of configMaps and inline must be given";
const INLINE_SIZE: &str =
    "the files may have 262144 characters in all; put larger ones into ConfigMaps";
/// For a field that is given by value or by reference.
pub const ONE_FIELD_SOURCE: &str =
    "exactly one of value, secretKeyRef and configMapKeyRef must be given";
const ONE_CERTIFICATE_SOURCE: &str =
    "exactly one of secretKeyRef and configMapKeyRef must be given";
/// For a host.
pub const HOST_FORM: &str = "must be one DNS name or IP address: no slash, no URL, no list";
/// For a database.
pub const DATABASE_LENGTH: &str = "a database name has at most 63 characters";
/// For a user.
pub const USERNAME_LENGTH: &str = "a user name has at most 63 characters";
const CA_MODE: &str =
    "ca is only used with mode VerifyCA or VerifyFull: Require checks no certificate";
const INTERVAL: &str = "must be at least 1s";
const LOCK_TIMEOUT: &str = "must be from 1ms to 10m";
const STATEMENT_TIMEOUT: &str = "must be at most 168h";

/// Longest name of a database or a role, in characters.
pub const MAX_IDENTIFIER: usize = 63;
/// Longest host name (RFC 1035), in characters.
const MAX_HOST: usize = 253;
const MAX_INLINE: usize = 262_144;
const MAX_LOCK_RETRIES: i32 = 100;

/// True for one DNS name or IP address.
#[must_use]
pub fn is_host(text: &str) -> bool {
    (1..=MAX_HOST).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
}

/// Everything that `spec` says and that cannot be, each as `field: why`.
#[must_use]
pub fn defects(spec: &DatabaseSchemaSpec) -> Vec<String> {
    let mut found = Defects(Vec::new());
    found.versions(spec);
    found.source(&spec.source);
    found.connection(spec);
    found.execution(&spec.execution);
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

fn is_plain_identifier(name: &str) -> bool {
    let first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    (1..=MAX_IDENTIFIER).contains(&name.len())
        && name.as_bytes().first().is_some_and(first)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte))
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
        if let (Some(target), Some(versions)) = (&spec.target_version, &spec.versions) {
            let listed = versions.iter().any(|listed| listed.version == *target);
            self.unless(listed, "targetVersion", TARGET_AMONG_VERSIONS);
        }
    }

    fn source(&mut self, source: &Source) {
        let one = source.config_maps.is_some() != source.inline.is_some();
        self.unless(one, "source", ONE_SOURCE);
        if let Some(inline) = &source.inline {
            let size: usize = inline.values().map(|text| text.chars().count()).sum();
            self.unless(size <= MAX_INLINE, "source.inline", INLINE_SIZE);
        }
    }

    fn connection(&mut self, spec: &DatabaseSchemaSpec) {
        let connection = &spec.connection;
        for (field, given) in [
            ("connection.host", connection.host.get().is_some()),
            ("connection.port", connection.port.get().is_some()),
            ("connection.database", connection.database.get().is_some()),
            ("connection.username", connection.username.get().is_some()),
        ] {
            self.unless(given, field, ONE_FIELD_SOURCE);
        }
        if let Some(host) = &connection.host.value {
            self.unless(is_host(host), "connection.host.value", HOST_FORM);
        }
        for (field, name, why) in [
            (
                "connection.database",
                &connection.database.value,
                DATABASE_LENGTH,
            ),
            (
                "connection.username",
                &connection.username.value,
                USERNAME_LENGTH,
            ),
        ] {
            let fits = |name: &String| name.chars().count() <= MAX_IDENTIFIER;
            self.unless(name.as_ref().is_none_or(fits), field, why);
        }
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
        let retries = (0..=MAX_LOCK_RETRIES).contains(&execution.lock_retries);
        self.unless(retries, "execution.lockRetries", "must be from 0 to 100");
    }
}
