//! Sets the annotation that approves a plan.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::api::v1alpha1::APPROVE_ANNOTATION;
use crate::cli::exit::Failure;

use super::{ANSWER_TIMEOUT, Cluster, ResourceName, trouble};

/// Longest field manager that an API server takes, in characters.
const MAX_MANAGER: usize = 128;

impl Cluster {
    /// Approves the plan with this hash. The field manager says who it was, for the audit.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub(in crate::cli) async fn approve(
        &self,
        resource: &ResourceName,
        hash: &str,
    ) -> Result<(), Failure> {
        let approving = async {
            let parameters = PatchParams {
                field_manager: Some(self.manager().await),
                ..PatchParams::default()
            };
            let patch = json!({"metadata": {"annotations": {APPROVE_ANNOTATION: hash}}});
            let api = self.resources();
            api.patch(resource.name(), &parameters, &Patch::Merge(&patch))
                .await
                .map(|_| ())
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, approving).await {
            Ok(answer) => answer.map_err(|error| self.explain(resource, &error)),
            Err(_) => Err(trouble::silent(&self.server, ANSWER_TIMEOUT)),
        }
    }

    /// `schemaward-approve`, and the user as the API server knows him, where it tells.
    async fn manager(&self) -> String {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let asked = reviews
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await;
        let review = asked.ok().and_then(|review| review.status);
        let user = review
            .and_then(|status| status.user_info?.username)
            .map_or_else(String::new, |name| format!(" by {name}"));
        let manager = format!("schemaward-approve{user}");
        manager
            .chars()
            .map(|c| {
                if c.is_ascii_graphic() || c == ' ' {
                    c
                } else {
                    '?'
                }
            })
            .take(MAX_MANAGER)
            .collect()
    }
}
