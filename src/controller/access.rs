//! Who we are to the API server, and what to say when it denies us an object.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::{Api, Client};

use super::gate::Gate;
use super::references::Reference;

/// Whom a grant is for, and what is granted.
#[derive(Debug, Clone)]
pub struct Grantee {
    /// Our user name, such as `system:serviceaccount:schemaward:schemaward`; `None` when unknown.
    pub user: Option<String>,
    /// The `ClusterRole` that a tenant binds.
    pub cluster_role: String,
}

impl Grantee {
    /// Us, as a flag of `kubectl create rolebinding`.
    fn subject(&self) -> String {
        match self.user.as_deref() {
            Some(user) => match user.strip_prefix("system:serviceaccount:") {
                Some(account) => format!("--serviceaccount={account}"),
                None => format!("--user={user}"),
            },
            None => "--serviceaccount=NAMESPACE:NAME".to_owned(),
        }
    }
}

/// Our user name at the API server.
///
/// # Errors
/// When the API server does not answer; every authenticated user may ask.
pub async fn own_user(client: &Client) -> Result<Option<String>, kube::Error> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = api
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    Ok(review
        .status
        .and_then(|status| status.user_info)
        .and_then(|user| user.username))
}

/// The message for an object that we may not read, with the command that grants it.
#[must_use]
pub fn access_denied(reference: &Reference, namespace: &str, grantee: &Grantee) -> String {
    let role = &grantee.cluster_role;
    let subject = grantee.subject();
    format!(
        "The operator may not read {reference} in namespace {namespace}. Nothing was connected to. \
         Grant it: kubectl create rolebinding {role} --namespace={namespace} --clusterrole={role} \
         {subject}"
    )
}

/// The clause for the object of a gate that we may not read, with what grants it.
#[must_use]
pub fn gate_denied(gate: &Gate, namespace: &str, grantee: &Grantee) -> String {
    let (role, group) = (&grantee.cluster_role, &gate.group);
    format!(
        "the operator may not read {gate} in namespace {namespace}: let ClusterRole {role} get the resources of {} in \
         API group {group} (the chart's value rbac.gateRules), and bind it: kubectl create rolebinding {role} \
         --namespace={namespace} --clusterrole={role} {}",
        gate.kind,
        grantee.subject()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_the_operator_s_own_account() {
        let denied = |user: Option<&str>| {
            access_denied(
                &Reference::secret("db"),
                "shop",
                &Grantee {
                    user: user.map(str::to_owned),
                    cluster_role: "schemaward-tenant".to_owned(),
                },
            )
        };
        assert_eq!(
            denied(Some("system:serviceaccount:ops:schemaward")),
            "The operator may not read Secret db in namespace shop. Nothing was connected to. Grant \
             it: kubectl create rolebinding schemaward-tenant --namespace=shop \
             --clusterrole=schemaward-tenant --serviceaccount=ops:schemaward"
        );
        assert!(denied(Some("jane")).ends_with("--user=jane"));
    }
}
