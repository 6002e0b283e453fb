//! `schemaward doctor databaseschema/NAME`: the operator's own way from the resource to its database, gone with
//! the rights of whoever asks.

use std::sync::Arc;

use crate::api::condition::{ConditionStatus, ConditionType};
use crate::api::v1alpha1::DatabaseSchema;
use crate::aws::Aws;
use crate::cli::cluster::{Cluster, ClusterArgs, ResourceName};
use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;
use crate::controller::access::Grantee;
use crate::controller::attempt::DereferenceErrorKind;
use crate::controller::aws::AwsAccess;
use crate::controller::dereference::dereference;
use crate::controller::validate::{ValidatedRun, validate, validate_spec};
use crate::engine::task::Owner;
use crate::postgres::{Check, Settings};

use super::{Subject, Wanted, row};

/// Says what the status of the resource says, and examines what it names.
pub(super) async fn examine(
    name: &ResourceName,
    cluster: &ClusterArgs,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let cluster = cluster.connect().await?;
    let resource = cluster.get(name).await?;
    let standing = standing(&resource);
    let seen = match &standing {
        Ok(seen) | Err(seen) => seen,
    };
    row(terminal, "status", standing.is_ok(), seen)?;
    let subject = match subject(&resource, &cluster).await {
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
async fn subject(resource: &DatabaseSchema, cluster: &Cluster) -> Result<Subject, String> {
    let spec = &resource.spec;
    validate_spec(spec).map_err(|invalid| invalid.message)?;
    let nobody = Grantee {
        user: None,
        cluster_role: String::new(),
    };
    let own = AwsAccess {
        aws: &Arc::new(Aws::default()),
        rules: None,
        namespace: &cluster.namespace,
    };
    let (_, fetched) = dereference(cluster.client(), &cluster.namespace, spec, &nobody, &own).await;
    let fetched = fetched.map_err(|error| match error.kind {
        DereferenceErrorKind::AccessDenied => format!(
            "You may not read the Secrets or ConfigMaps that the resource names: grant yourself get on them in \
             namespace {}, or ask somebody who has it.",
            cluster.namespace
        ),
        _ => error.message,
    })?;
    let owner = Owner {
        cluster: String::new(),
        namespace: cluster.namespace.clone(),
        name: resource.metadata.name.clone().unwrap_or_default(),
        uid: resource.metadata.uid.clone().unwrap_or_default(),
    };
    let mut run = validate(owner, spec, fetched, &|_| false).map_err(|invalid| invalid.message)?;
    own.sign_in(&spec.connection, &mut run.settings)
        .map_err(|error| error.message)?;
    Ok(of(run))
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
