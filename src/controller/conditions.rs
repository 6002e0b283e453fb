//! What has to be so before scripts run and is not in their database: the time, and other objects.

use jiff::Timestamp;
use kube::api::DynamicObject;
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::error::DiscoveryError;
use kube::{Api, Client};

use crate::engine::Conditions;
use crate::engine::hold::{GateNotMet, Hold};
use crate::engine::review::ReviewedScript;

use super::access::{Grantee, gate_denied};
use super::gate::Gate;
use super::window::Windows;

/// The conditions of one run.
pub struct RunConditions<'a> {
    /// When it may run.
    pub windows: &'a Windows,
    /// What other objects have to say.
    pub gates: &'a [Gate],
    /// How these are read.
    pub client: &'a Client,
    /// Where they are.
    pub namespace: &'a str,
    /// Who has to be let.
    pub grantee: &'a Grantee,
}

impl Conditions for RunConditions<'_> {
    async fn hold(&self, scripts: &[ReviewedScript]) -> Option<Box<Hold>> {
        let closed = self.closed(scripts);
        if closed.is_some() {
            return closed;
        }
        let mut unmet = Vec::new();
        let mut is_denied = false;
        for gate in self.gates {
            match self.look(gate).await {
                Ok(why) => unmet.extend(why),
                Err(error) if is_forbidden(&error) => {
                    is_denied = true;
                    // First: somebody has to act.
                    unmet.insert(0, gate_denied(gate, self.namespace, self.grantee));
                }
                Err(error) => {
                    tracing::warn!("{gate} cannot be read: {error}");
                    unmet.push(format!(
                        "{gate} cannot be read, because the API server does not answer or fails; it is tried again"
                    ));
                }
            }
        }
        let unmet = (!unmet.is_empty()).then(|| GateNotMet::new(scripts, unmet, is_denied))?;
        Some(Box::new(Hold::Gate(unmet)))
    }

    fn closed(&self, scripts: &[ReviewedScript]) -> Option<Box<Hold>> {
        self.windows.hold(scripts, Timestamp::now())
    }
}

impl RunConditions<'_> {
    /// Why a gate is not met, as a clause; `None`: it is.
    async fn look(&self, gate: &Gate) -> Result<Option<String>, kube::Error> {
        let kind = GroupVersionKind::gvk(&gate.group, &gate.version, &gate.kind);
        let (resource, abilities) = match pinned_kind(self.client, &kind).await {
            Ok(found) => found,
            Err(error) if is_unknown(&error) => {
                return Ok(Some(format!(
                    "the cluster has no kind {} in {}/{}: install its CRD, or correct the gate",
                    gate.kind, gate.group, gate.version
                )));
            }
            Err(error) => return Err(error),
        };
        if abilities.scope != Scope::Namespaced {
            return Ok(Some(format!(
                "{gate} is of no namespace, and a gate is read in its own alone"
            )));
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), self.namespace, &resource);
        let Some(object) = api.get_opt(&gate.name).await? else {
            return Ok(Some(format!("{gate} is not there")));
        };
        Ok(gate.unmet(&object.data, Timestamp::now()))
    }
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

/// The API server does not serve that kind.
fn is_unknown(error: &kube::Error) -> bool {
    match error {
        // Of a group that is not served the answer is no status.
        kube::Error::Api(status) => status.code == 404,
        kube::Error::Discovery(DiscoveryError::MissingKind(_)) => true,
        _ => false,
    }
}
