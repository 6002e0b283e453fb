//! `schemaward doctor databaseschema/NAME`: the operator's own way from the resource to its database, gone with
//! the rights of whoever asks.

use std::sync::Arc;

use crate::api::condition::{ConditionStatus, ConditionType};
use crate::api::v1alpha1::{
    AuthType, Connection, CredentialsSource, DatabaseSchema, DocumentSource, FieldSource,
    HostSource,
};
use crate::aws::{Aws, SecretAddress};
use crate::cli::cluster::{Cluster, ClusterArgs, ResourceName};
use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;
use crate::controller::access::Grantee;
use crate::controller::attempt::{DereferenceError, DereferenceErrorKind};
use crate::controller::aws::AwsAccess;
use crate::controller::configuration::AwsRules;
use crate::controller::dereference::dereference;
use crate::controller::validate::{ValidatedRun, validate, validate_spec};
use crate::engine::task::Owner;
use crate::postgres::{Check, Settings};

use super::{Subject, Wanted, row};

/// Whose identity AWS sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nobody's: AWS is not asked.
    Nobody,
    /// That of whoever asks, who said so.
    Own,
}

impl Identity {
    pub(super) fn new(is_own: bool) -> Self {
        if is_own { Self::Own } else { Self::Nobody }
    }
}

/// Says what the status of the resource says, and examines what it names.
pub(super) async fn examine(
    name: &ResourceName,
    cluster: &ClusterArgs,
    identity: Identity,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let cluster = cluster.connect().await?;
    let resource = cluster.get(name).await?;
    let standing = standing(&resource);
    let seen = match &standing {
        Ok(seen) | Err(seen) => seen,
    };
    row(terminal, "status", standing.is_ok(), seen)?;
    let wanted = wanted_of_aws(&resource.spec.connection);
    if let (Identity::Own, Some(wanted)) = (identity, &wanted) {
        let seen = format!("is asked with your own identity for {wanted}");
        row(terminal, "AWS", true, &seen)?;
    }
    let subject = match subject(&resource, &cluster, identity).await {
        Ok(subject) => subject,
        Err(message) => {
            row(terminal, "references", false, "")?;
            let unmade = Check::ALL.map(Check::name).join(", ");
            return Err(Failure::not_done(format!(
                "{message} Not looked at: {unmade}."
            )));
        }
    };
    row(terminal, "references", true, "all that it names is there")?;
    subject.examine(terminal).await?;
    match standing {
        Ok(_) => Ok(Exit::Done),
        Err(message) => Err(Failure::not_done(format!(
            "Nothing is wrong on the way to the database. What the resource says: {message}"
        ))),
    }
}

/// What status says: at best that the resource is Ready, or goes there by itself.
fn standing(resource: &DatabaseSchema) -> Result<String, String> {
    let conditions = resource.status.iter().flat_map(|status| &status.conditions);
    let find = |type_: ConditionType| {
        let mut found = conditions
            .clone()
            .filter(|found| found.type_ == type_.as_str());
        found.next()
    };
    let Some(ready) = find(ConditionType::Ready) else {
        return Err("the operator has not looked at it yet: see whether it runs, and whether it watches this \
                    namespace"
            .to_owned());
    };
    let said = format!("{}: {}", ready.reason, ready.message);
    let is_well =
        ready.status == ConditionStatus::True || find(ConditionType::Reconciling).is_some();
    if is_well { Ok(said) } else { Err(said) }
}

/// What the operator would connect to, and what it would compare the history with.
async fn subject(
    resource: &DatabaseSchema,
    cluster: &Cluster,
    identity: Identity,
) -> Result<Subject, String> {
    let spec = &resource.spec;
    validate_spec(spec).map_err(|invalid| invalid.message)?;
    let nobody = Grantee {
        user: None,
        cluster_role: String::new(),
    };
    // Whoever wrote the resource could have us fetch what they may not have, and send it to them.
    let nothing = AwsRules::default();
    let own = AwsAccess {
        aws: &Arc::new(Aws::default()),
        rules: match identity {
            Identity::Nobody => Some(&nothing),
            Identity::Own => None,
        },
        namespace: &cluster.namespace,
    };
    let (_, fetched) = dereference(cluster.client(), &cluster.namespace, spec, &nobody, &own).await;
    let in_own_words = |error: DereferenceError| match error.kind {
        DereferenceErrorKind::AccessDenied => format!(
            "You may not read the Secrets or ConfigMaps that the resource names: grant yourself get on them in \
             namespace {}, or ask somebody who has it.",
            cluster.namespace
        ),
        DereferenceErrorKind::AwsDenied if identity == Identity::Nobody => {
            not_asked(&spec.connection)
        }
        _ => error.message,
    };
    let fetched = fetched.map_err(in_own_words)?;
    let owner = Owner {
        cluster: String::new(),
        namespace: cluster.namespace.clone(),
        name: resource.metadata.name.clone().unwrap_or_default(),
        uid: resource.metadata.uid.clone().unwrap_or_default(),
    };
    let mut run = validate(owner, spec, fetched, &|_| false).map_err(|invalid| invalid.message)?;
    own.sign_in(&spec.connection, &mut run.settings)
        .map_err(in_own_words)?;
    Ok(of(run))
}

fn not_asked(connection: &Connection) -> String {
    let wanted = wanted_of_aws(connection).unwrap_or_default();
    format!(
        "AWS was not asked and nothing was connected to: the resource wants {wanted}. It would be had with your own \
         AWS identity, and whoever wrote the resource may not be allowed to have it. If it may go there, add \
         --use-my-aws-identity."
    )
}

/// What a resource would have of AWS, and which host gets it.
fn wanted_of_aws(connection: &Connection) -> Option<String> {
    let document = connection.credentials_from.as_ref();
    let secret = match document.and_then(CredentialsSource::get) {
        Some(DocumentSource::Aws(secret)) => {
            let id = secret.secret_id.clone();
            let region = secret.region.clone();
            Some(SecretAddress { id, region }.to_string())
        }
        Some(DocumentSource::Secret(_)) | None => None,
    };
    let token = match connection.auth.type_ {
        AuthType::RdsIam => Some("a token of RDS IAM".to_owned()),
        AuthType::Password => None,
    };
    let wanted: Vec<String> = secret.into_iter().chain(token).collect();
    let host = match connection.host.as_ref().and_then(HostSource::get) {
        Some(FieldSource::Value(host)) => format!("to host {host}"),
        Some(FieldSource::Secret(key)) => {
            format!("to the host in key {} of Secret {}", key.key, key.name)
        }
        Some(FieldSource::ConfigMap(key)) => {
            format!("to the host in key {} of ConfigMap {}", key.key, key.name)
        }
        None => "to the host that the document of credentials names".to_owned(),
    };
    let wanted = Some(wanted.join(" and ")).filter(|wanted| !wanted.is_empty())?;
    Some(format!("{wanted}, to sign in {host}"))
}

fn of(run: ValidatedRun) -> Subject {
    Subject {
        settings: Settings {
            application: "cli".to_owned(),
            ..run.settings
        },
        wanted: Some(Wanted {
            catalog: run.task.catalog,
            target: run.task.target,
            policy: run.task.policy,
        }),
    }
}
