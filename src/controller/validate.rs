//! From the resource and what it refers to, to the one input of a run. Pure.

use std::collections::BTreeMap;

use crate::api::v1alpha1::{DatabaseSchemaSpec, RollbackPolicy, VersionSpec};
use crate::engine::task::{Actor, Ledger, Mode, Owner, Patience, Task};
use crate::migration::catalog::{Catalog, Defect, DefectKind, Listed, Pin, SourceFile};
use crate::migration::checksum::Checksum;
use crate::migration::target::{Policy, Rollback, Target};
use crate::migration::version::Version;
use crate::postgres;

use super::attempt::{Invalid, InvalidKind};
use super::dereference::{Dereferenced, FetchedFile};
use super::gate::Gate;
use super::rules;
use super::settings::settings;
use super::window::Windows;

/// Defects that a message lists; the rest is counted.
const DEFECTS_LISTED: usize = 5;

/// A set without a migration is a mistake, such as files that are named for another tool.
const NO_MIGRATION: &str = "The source has no migration: none of its files is named like \
    001_create_orders_UP.sql (digits, a name, UP or DOWN). Nothing was connected to. Name the files so \
    and commit.";

/// Everything that a run needs, judged.
#[derive(Debug)]
pub struct ValidatedRun {
    /// How to reach the database.
    pub settings: postgres::Settings,
    /// What to do there.
    pub task: Task,
    /// When scripts may run.
    pub windows: Windows,
    /// What other objects have to say before.
    pub gates: Vec<Gate>,
}

/// Judges what the resource says by itself, before anything is fetched.
///
/// # Errors
/// `InvalidSpec` with all that is wrong.
pub fn validate_spec(spec: &DatabaseSchemaSpec) -> Result<(), Invalid> {
    let defects = rules::defects(spec);
    if defects.is_empty() {
        return Ok(());
    }
    Err(invalid_spec(&defects))
}

/// Judges all of it. `is_known` says which scripts were judged before (decision 8).
///
/// # Errors
/// What cannot be used, and why.
pub fn validate(
    owner: Owner,
    spec: &DatabaseSchemaSpec,
    dereferenced: Dereferenced,
    is_known: &dyn Fn(&Checksum) -> bool,
) -> Result<ValidatedRun, Invalid> {
    validate_spec(spec)?;
    let Dereferenced { files, connection } = dereferenced;
    let ledger = Ledger {
        schema: spec.history.schema.clone(),
        table: spec.history.table.clone(),
    };
    let catalog = catalog(spec, files, &ledger, is_known)?;
    let application = format!("operator {}/{}", owner.namespace, owner.name);
    Ok(ValidatedRun {
        settings: settings(spec, connection, ledger.clone(), application)?,
        task: Task {
            catalog,
            target: target(spec)?,
            policy: Policy {
                rollback: match spec.rollback.policy {
                    RollbackPolicy::Allow => Rollback::Allow,
                    RollbackPolicy::Deny => Rollback::Deny,
                },
                baseline: baseline(spec)?,
            },
            mode: Mode::Migrate,
            ledger,
            actor: Actor::Resource(owner),
            patience: Patience {
                lock_retries: u32::try_from(spec.execution.lock_retries).unwrap_or_default(),
                ..Patience::default()
            },
            allow_privileged_role: spec.connection.allow_privileged_role,
            known: None,
            review: None,
            checks: rules::checks(spec).map_err(|defects| invalid_spec(&defects))?,
            is_scratch: false,
        },
        windows: rules::windows(spec).map_err(|defects| invalid_spec(&defects))?,
        gates: rules::gates(spec).map_err(|defects| invalid_spec(&defects))?,
    })
}

pub(super) fn invalid_spec(defects: &[String]) -> Invalid {
    Invalid {
        kind: InvalidKind::InvalidSpec,
        message: format!(
            "The resource cannot be: {}. Nothing was connected to. Correct it.",
            list(defects)
        ),
    }
}

fn list(defects: &[String]) -> String {
    let mut listed: Vec<String> = defects
        .iter()
        .take(DEFECTS_LISTED)
        .map(|defect| defect.trim_end_matches('.').to_owned())
        .collect();
    let more = defects.len() - listed.len();
    if more > 0 {
        listed.push(format!("and {more} more"));
    }
    listed.join("; ")
}

fn target(spec: &DatabaseSchemaSpec) -> Result<Target, Invalid> {
    match &spec.target_version {
        None => Ok(Target::Latest),
        Some(text) => Version::parse(text)
            .map(Target::Version)
            .map_err(|error| invalid_spec(&[format!("spec.targetVersion: {error}")])),
    }
}

fn baseline(spec: &DatabaseSchemaSpec) -> Result<Option<Version>, Invalid> {
    let parse = |text: &String| {
        Version::parse(text).map_err(|error| invalid_spec(&[format!("spec.baseline: {error}")]))
    };
    spec.baseline.as_ref().map(parse).transpose()
}

fn catalog(
    spec: &DatabaseSchemaSpec,
    files: Vec<FetchedFile>,
    ledger: &Ledger,
    is_known: &dyn Fn(&Checksum) -> bool,
) -> Result<Catalog, Invalid> {
    let listed = match &spec.versions {
        Some(versions) => Some(listed(versions)?),
        None => None,
    };
    let files = unite(files)?;
    let catalog = Catalog::from_files(files, &ledger.table, is_known)
        .and_then(|catalog| match listed {
            Some(listed) => catalog.select(&listed),
            None => Ok(catalog),
        })
        .map_err(|defects| invalid_source(&defects))?;
    if catalog.is_empty() {
        return Err(Invalid {
            kind: InvalidKind::InvalidSource,
            message: NO_MIGRATION.to_owned(),
        });
    }
    Ok(catalog)
}

/// One set of files out of all sources.
fn unite(files: Vec<FetchedFile>) -> Result<Vec<SourceFile>, Invalid> {
    let mut origins: BTreeMap<String, String> = BTreeMap::new();
    let mut twice = Vec::new();
    let mut united = Vec::with_capacity(files.len());
    for FetchedFile {
        origin,
        name,
        bytes,
    } in files
    {
        if let Some(first) = origins.get(&name) {
            twice.push(format!("{name} is in {first} and in {origin}"));
            continue;
        }
        origins.insert(name.clone(), origin);
        united.push(SourceFile { name, bytes });
    }
    if twice.is_empty() {
        return Ok(united);
    }
    Err(Invalid {
        kind: InvalidKind::DuplicateVersion,
        message: unusable(&twice),
    })
}

fn unusable(defects: &[String]) -> String {
    format!(
        "The migrations cannot be used: {}. Nothing was connected to. Correct the files and commit.",
        list(defects)
    )
}

/// The reason is the first defect's; the message has them all.
fn invalid_source(defects: &[Defect]) -> Invalid {
    let kind = match defects.first().map(Defect::kind) {
        Some(DefectKind::DuplicateVersion) => InvalidKind::DuplicateVersion,
        Some(DefectKind::TransactionControl) => InvalidKind::TransactionControl,
        Some(DefectKind::UnsupportedStatement) => InvalidKind::UnsupportedStatement,
        Some(DefectKind::InvalidList) => InvalidKind::InvalidSpec,
        Some(DefectKind::InvalidSource) | None => InvalidKind::InvalidSource,
    };
    let defects: Vec<String> = defects.iter().map(ToString::to_string).collect();
    Invalid {
        kind,
        message: unusable(&defects),
    }
}

fn listed(versions: &[VersionSpec]) -> Result<Vec<Listed>, Invalid> {
    let mut defects = Vec::new();
    let mut listed = Vec::new();
    for spec in versions {
        match listed_version(spec) {
            Ok(version) => listed.push(version),
            Err(defect) => defects.push(format!("spec.versions, {}: {defect}", spec.version)),
        }
    }
    if defects.is_empty() {
        Ok(listed)
    } else {
        Err(invalid_spec(&defects))
    }
}

fn listed_version(spec: &VersionSpec) -> Result<Listed, String> {
    let checksum = |text: &str| Checksum::parse(text).map_err(|error| format!("checksum: {error}"));
    let pin = match &spec.checksum {
        None => None,
        Some(pin) => Some(Pin {
            up: checksum(&pin.up)?,
            down: pin.down.as_deref().map(checksum).transpose()?,
        }),
    };
    Ok(Listed {
        version: Version::parse(&spec.version).map_err(|error| error.to_string())?,
        name: spec.name.clone(),
        pin,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::SecretSlice;
    use serde_json::json;

    use super::*;
    use crate::controller::dereference::{ConnectionData, Given};
    use crate::migration::target::Target;

    fn spec() -> DatabaseSchemaSpec {
        let spec = json!({
            "source": {"configMaps": [{"name": "files"}]},
            "connection": {
                "host": {"secretKeyRef": {"name": "db", "key": "host"}},
                "port": {"secretKeyRef": {"name": "db", "key": "port"}},
                "database": {"value": "shop"},
                "username": {"secretKeyRef": {"name": "db", "key": "username"}},
                "password": {"secretKeyRef": {"name": "db", "key": "password"}},
            },
        });
        serde_json::from_value(spec).unwrap()
    }

    fn fetched(key: &str, value: &str) -> Given {
        Given::Fetched {
            origin: format!("key {key} of Secret db"),
            bytes: SecretSlice::from(value.as_bytes().to_vec()),
        }
    }

    fn data() -> ConnectionData {
        ConnectionData {
            host: Some(fetched("host", "db.example\n")),
            port: Some(fetched("port", " 5433\r\n")),
            database: Some(Given::Literal("shop".to_owned())),
            username: Some(fetched("username", "shop")),
            password: Some(fetched("password", "sesame\n")),
            credentials: None,
            ca: None,
            client_certificate: None,
        }
    }

    fn file(origin: &str, name: &str, text: &str) -> FetchedFile {
        FetchedFile {
            origin: origin.to_owned(),
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
        }
    }

    fn files() -> Vec<FetchedFile> {
        vec![
            file("ConfigMap files", "001_a_UP.sql", "CREATE TABLE a ();"),
            file("ConfigMap files", "002_b_UP.sql", "CREATE TABLE b ();"),
            file("ConfigMap files", "README.md", "no migration"),
        ]
    }

    fn judge(
        spec: &DatabaseSchemaSpec,
        files: Vec<FetchedFile>,
        connection: ConnectionData,
    ) -> Result<ValidatedRun, Invalid> {
        let owner = Owner {
            cluster: "c".to_owned(),
            namespace: "n".to_owned(),
            name: "shop".to_owned(),
            uid: "u".to_owned(),
        };
        validate(owner, spec, Dereferenced { files, connection }, &|_| false)
    }

    #[test]
    fn blanks_around_a_fetched_value_are_not_part_of_it() {
        let run = judge(&spec(), files(), data()).unwrap();
        assert_eq!(run.settings.host, "db.example");
        assert_eq!(run.settings.port, 5433);
        assert_eq!(run.settings.password.fixed(), "sesame");
        assert_eq!(run.settings.application, "operator n/shop");
        assert_eq!(run.settings.tls.mode, postgres::TlsMode::VerifyFull);
        assert_eq!(run.task.target, Target::Latest);
        assert_eq!(run.task.policy.rollback, Rollback::Deny);
        assert_eq!(run.task.catalog.len(), 2);
    }

    #[test]
    fn a_set_without_a_migration_is_a_mistake() {
        for files in [
            vec![],
            vec![
                file("ConfigMap files", "V001__a.sql", "SELECT 1"),
                file("ConfigMap files", "init.sql", "SELECT 1"),
            ],
        ] {
            let invalid = judge(&spec(), files, data()).unwrap_err();
            assert_eq!(invalid.kind, InvalidKind::InvalidSource);
            let form = "001_create_orders_UP.sql";
            assert!(invalid.message.contains(form), "{}", invalid.message);
        }
    }

    #[test]
    fn defects_are_told_at_once_and_the_first_is_the_reason() {
        let bad = vec![
            file(
                "ConfigMap files",
                "001_a_UP.sql",
                "SELECT 1; COMMIT; SELECT 2;",
            ),
            file("ConfigMap files", "002_b_UP.sql", ""),
        ];
        let invalid = judge(&spec(), bad, data()).unwrap_err();
        assert_eq!(invalid.kind, InvalidKind::TransactionControl);
        assert!(
            invalid.message.contains("001_a_UP.sql"),
            "{}",
            invalid.message
        );
        assert!(
            invalid.message.contains("002_b_UP.sql"),
            "{}",
            invalid.message
        );

        let many: Vec<_> = (1..=9)
            .map(|n| file("ConfigMap files", &format!("{n}_a_UP.sql"), ""))
            .collect();
        let invalid = judge(&spec(), many, data()).unwrap_err();
        assert_eq!(invalid.kind, InvalidKind::InvalidSource);
        assert!(
            invalid.message.contains("; and 4 more. Nothing"),
            "{}",
            invalid.message
        );
    }

    #[test]
    fn the_list_says_what_belongs_and_in_which_order() {
        let mut spec = spec();
        let listed = |versions: serde_json::Value| serde_json::from_value(versions).unwrap();
        spec.versions = listed(json!([{"version": "001", "name": "a"}]));
        assert_eq!(judge(&spec, files(), data()).unwrap().task.catalog.len(), 1);
        for (versions, kind, said) in [
            (
                json!([{"version": "002"}, {"version": "001"}]),
                InvalidKind::InvalidSpec,
                "001",
            ),
            (
                json!([{"version": "1"}, {"version": "001"}]),
                InvalidKind::DuplicateVersion,
                "001",
            ),
            (
                json!([{"version": "003"}]),
                InvalidKind::InvalidSource,
                "003",
            ),
            (
                json!([{"version": "001", "checksum": {"up": "no"}}]),
                InvalidKind::InvalidSpec,
                "checksum",
            ),
        ] {
            spec.versions = listed(versions.clone());
            let invalid = judge(&spec, files(), data()).unwrap_err();
            assert_eq!(invalid.kind, kind, "{versions}: {}", invalid.message);
            assert!(invalid.message.contains(said), "{}", invalid.message);
        }
    }

    #[test]
    fn known_scripts_are_not_parsed_again() {
        let bad = vec![file("ConfigMap files", "001_a_UP.sql", "COPY a FROM STDIN")];
        let checksum = Checksum::of(b"COPY a FROM STDIN");
        let owner = judge(&spec(), files(), data()).unwrap().task.actor;
        let Actor::Resource(owner) = owner else {
            panic!("a resource acts");
        };
        let dereferenced = Dereferenced {
            files: bad,
            connection: data(),
        };
        let run = validate(owner, &spec(), dereferenced, &|known| *known == checksum).unwrap();
        let bytes: &Arc<[u8]> = &run.task.catalog.iter().next().unwrap().up.bytes;
        assert_eq!(&bytes[..], b"COPY a FROM STDIN");
    }
}
