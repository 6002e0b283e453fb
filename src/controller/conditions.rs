//! What has to be so before scripts run and is not in their database: the time, and other objects.

use std::time::Duration;

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

/// How long the gates of one run may take to be read, all of them together: others wait for the migration lock.
const READING: Duration = Duration::from_secs(20);

/// What is not met.
#[derive(Debug, Default)]
struct Unmet {
    /// Each as a clause that names its object.
    clauses: Vec<String>,
    /// One of the objects may not be read.
    is_denied: bool,
}

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
        let unmet = self.unmet(READING).await;
        let is_denied = unmet.is_denied;
        let unmet = (!unmet.clauses.is_empty())
            .then(|| GateNotMet::new(scripts, unmet.clauses, is_denied))?;
        Some(Box::new(Hold::Gate(unmet)))
    }

    fn closed(&self, scripts: &[ReviewedScript]) -> Option<Box<Hold>> {
        self.windows.hold(scripts, Timestamp::now())
    }
}

impl RunConditions<'_> {
    /// What is not met of all gates, as far as it could be read within `limit`.
    async fn unmet(&self, limit: Duration) -> Unmet {
        let mut unmet = Unmet::default();
        let reading = tokio::time::timeout(limit, self.read(&mut unmet)).await;
        if reading.is_err() {
            let limit = limit.as_secs();
            unmet.clauses.push(format!(
                "the API server did not answer for all of them within {limit} s; it is tried again"
            ));
        }
        unmet
    }

    /// Reads one gate after the other, up to the first for which the API server fails: it would for the others.
    async fn read(&self, unmet: &mut Unmet) {
        for gate in self.gates {
            match self.look(gate).await {
                Ok(why) => unmet.clauses.extend(why),
                Err(error) if is_forbidden(&error) => {
                    unmet.is_denied = true;
                    let denied = gate_denied(gate, self.namespace, self.grantee);
                    // First: somebody has to act.
                    unmet.clauses.insert(0, denied);
                }
                Err(error) => {
                    tracing::warn!("{gate} cannot be read: {error}");
                    unmet.clauses.push(format!(
                        "{gate} cannot be read, because the API server does not answer or fails; it is tried again"
                    ));
                    return;
                }
            }
        }
    }

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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use kube::Config;

    use super::*;
    use crate::api::v1alpha1::GateSpec;
    use crate::controller::gate::gates;

    fn three() -> Vec<Gate> {
        let spec = |name: &str| -> GateSpec {
            serde_json::from_value(serde_json::json!({
                "apiVersion": "postgresql.cnpg.io/v1",
                "kind": "Backup",
                "name": name,
                "jsonPath": ".status.phase",
            }))
            .unwrap()
        };
        gates(&["a", "b", "c"].map(spec)).unwrap()
    }

    /// What is unmet at this server.
    async fn unmet_at(server: &TcpListener, limit: Duration) -> Vec<String> {
        let url = format!("http://{}", server.local_addr().unwrap());
        let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
        let conditions = RunConditions {
            windows: &Windows::default(),
            gates: &three(),
            client: &client,
            namespace: "shop",
            grantee: &Grantee {
                user: None,
                cluster_role: "schemaward-tenant".to_owned(),
            },
        };
        conditions.unmet(limit).await.clauses
    }

    #[tokio::test]
    async fn the_first_gate_that_cannot_be_read_is_the_last_one_asked_for() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let accepting = server.try_clone().unwrap();
        // Hangs up.
        std::thread::spawn(move || accepting.incoming().for_each(drop));
        let unmet = unmet_at(&server, READING).await;
        assert_eq!(
            unmet,
            [
                "Backup a cannot be read, because the API server does not answer or fails; it is tried again"
            ]
        );
    }

    #[tokio::test]
    async fn all_gates_together_have_one_limit() {
        // The system accepts; nobody answers.
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let unmet = unmet_at(&server, Duration::from_millis(50)).await;
        assert_eq!(
            unmet,
            ["the API server did not answer for all of them within 0 s; it is tried again"]
        );
    }
}
