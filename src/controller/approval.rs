//! What the resource asks of a plan before it runs, and what somebody approved. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::api::condition::Reason;
use crate::api::v1alpha1::{APPROVE_ANNOTATION, DatabaseSchema, PolicyAction, RequiredApproval};
use crate::engine::hold::Hold;
use crate::engine::outcome::Outcome;
use crate::engine::review::{self, Approval, Judgements, Review};
use crate::engine::task::Owner;
use crate::migration::checksum::Checksum;
use crate::migration::plan_hash::PlanContext;
use crate::migration::statement_policy::{Action, StatementPolicy, UnknownName};
use crate::migration::version::Version;

use super::configuration::Configuration;
use super::decisions::{Handled, who};
use super::identity::address;
use super::status::clip;

/// What is asked of each plan for `resource`. `handled` says which approval was carried out already.
#[must_use]
pub fn review(
    resource: &DatabaseSchema,
    owner: &Owner,
    handled: &Handled,
    configuration: &Configuration,
) -> Review {
    let required = required(resource.spec.approval.required);
    let least = configuration.approval.required.map(self::required);
    Review {
        context: context(resource, owner),
        required: least.map_or(required, |least| required.max(least)),
        // Names that nobody knows were refused with the spec.
        policy: policy(&resource.spec.policy)
            .unwrap_or_default()
            .bounded_by(&configuration.policy.0),
        approval: approval(resource, handled),
        wal_position: None,
        judgements: Judgements::default(),
    }
}

fn required(asked: RequiredApproval) -> review::RequiredApproval {
    match asked {
        RequiredApproval::Always => review::RequiredApproval::Always,
        RequiredApproval::Destructive => review::RequiredApproval::Destructive,
        RequiredApproval::Down => review::RequiredApproval::Down,
        RequiredApproval::Never => review::RequiredApproval::Never,
    }
}

/// The policy that these entries of a resource, or of the operator's configuration, make.
///
/// # Errors
/// At a name that is not known.
pub fn policy(entries: &BTreeMap<String, PolicyAction>) -> Result<StatementPolicy, UnknownName> {
    let entries = entries.iter().map(|(name, action)| {
        let action = match action {
            PolicyAction::Deny => Action::Deny,
            PolicyAction::RequireApproval => Action::RequireApproval,
            PolicyAction::Warn => Action::Warn,
            PolicyAction::Ignore => Action::Ignore,
        };
        (name.as_str(), action)
    });
    StatementPolicy::new(entries)
}

/// The resource, where its database is, and what changes the meaning of a script. The uid is left out: a
/// resource that is made anew from the same manifest is the same.
fn context(resource: &DatabaseSchema, owner: &Owner) -> PlanContext {
    let spec = &resource.spec;
    let address = address(spec);
    let path = spec.execution.search_path.iter().flatten();
    let role = spec.execution.role.as_deref().unwrap_or_default();
    let fields = [
        owner.cluster.as_str(),
        &owner.namespace,
        &owner.name,
        &address,
        &spec.history.schema,
        &spec.history.table,
        role,
    ];
    PlanContext::new(fields.into_iter().chain(path.map(String::as_str)))
}

/// The reason for Ready of a plan that waits.
#[must_use]
pub fn held(hold: &Hold) -> Reason {
    match hold {
        Hold::Approval(_) => Reason::AwaitingApproval,
        Hold::Policy(_) => Reason::PolicyDenied,
        Hold::Window(_) => Reason::OutsideWindow,
        Hold::Gate(unmet) if unmet.is_denied => Reason::AccessDenied,
        Hold::Gate(_) => Reason::GateNotMet,
    }
}

/// Concerns that a warning names.
const NAMED: usize = 5;

/// What the policy warns of in the versions that ran; `None`: nothing.
#[must_use]
pub fn warning(outcome: &Outcome) -> Option<String> {
    let plan = outcome.reviewed()?;
    let ran = |version: &Version| outcome.done().iter().any(|done| done.version == *version);
    let concerns: Vec<String> = plan
        .concerns()
        .filter(|(version, ..)| ran(version))
        .map(|(version, line, concern)| match line {
            Some(line) => format!("{version} line {line}: {}", concern.name),
            None => format!("{version}: {}", concern.name),
        })
        .collect();
    let named = concerns.iter().take(NAMED).cloned().collect::<Vec<_>>();
    let more = match concerns.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = named.join(", ");
    (!concerns.is_empty()).then(|| format!("What ran has what the policy warns of: {named}{more}."))
}

fn approval(resource: &DatabaseSchema, handled: &Handled) -> Option<Approval> {
    let value = resource.annotations().get(APPROVE_ANNOTATION)?;
    Some(Approval {
        plan: Checksum::parse(value.trim()).ok(),
        by: who(resource, APPROVE_ANNOTATION),
        is_used: handled.get(APPROVE_ANNOTATION) == Some(&clip(value)),
    })
}

/// What is remembered of the approval once its plan was carried out.
#[must_use]
pub fn used(resource: &DatabaseSchema) -> Option<(String, String)> {
    let value = resource.annotations().get(APPROVE_ANNOTATION)?;
    Some((APPROVE_ANNOTATION.to_owned(), clip(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resource(spec: &Value, annotation: Option<&str>) -> DatabaseSchema {
        let mut resource = json!({
            "apiVersion": "schemaward.dev/v1alpha1",
            "kind": "DatabaseSchema",
            "metadata": {"name": "shop", "annotations": {APPROVE_ANNOTATION: annotation}},
            "spec": {
                "source": {"configMaps": [{"name": "files"}]},
                "connection": {
                    "host": {"value": "db"},
                    "database": {"value": "shop"},
                    "username": {"value": "shop"},
                },
            },
        });
        for (key, value) in spec.as_object().expect("fields") {
            resource["spec"][key] = value.clone();
        }
        if annotation.is_none() {
            resource["metadata"]["annotations"] = json!({});
        }
        serde_json::from_value(resource).unwrap()
    }

    fn owner() -> Owner {
        Owner {
            cluster: "c".to_owned(),
            namespace: "n".to_owned(),
            name: "shop".to_owned(),
            uid: "1".to_owned(),
        }
    }

    fn reviewed(resource: &DatabaseSchema, owner: &Owner, handled: &Handled) -> Review {
        review(resource, owner, handled, &Configuration::default())
    }

    #[test]
    fn a_resource_may_be_stricter_than_the_operator_and_not_laxer() {
        use review::RequiredApproval::{Always, Destructive, Down};
        let configuration =
            Configuration::parse("approval: {required: Down}\npolicy: {rewrite: Deny}").unwrap();
        let of = |spec: Value| {
            let resource = resource(&spec, None);
            review(&resource, &owner(), &Handled::new(), &configuration)
        };
        let never = of(json!({"approval": {"required": "Never"}, "policy": {"rewrite": "Ignore"}}));
        assert_eq!(never.required, Down);
        let rewrite = never
            .policy
            .of_impact(crate::migration::lint::Impact::Rewrite);
        assert_eq!(rewrite, Some(("rewrite", Action::Deny)));
        assert_eq!(
            of(json!({"approval": {"required": "Always"}})).required,
            Always
        );
        let free = reviewed(&resource(&json!({}), None), &owner(), &Handled::new());
        assert_eq!(free.required, Destructive);
    }

    fn of(spec: &Value) -> PlanContext {
        reviewed(&resource(spec, None), &owner(), &Handled::new()).context
    }

    #[test]
    fn what_changes_the_meaning_of_a_script_is_in_the_context() {
        let plain = of(&json!({}));
        for spec in [
            json!({"execution": {"role": "boss"}}),
            json!({"execution": {"searchPath": ["boss"]}}),
            json!({"execution": {"searchPath": ["public", "boss"]}}),
            json!({"history": {"schema": "audit", "table": "schema_migrations"}}),
            json!({"connection": {
                "host": {"value": "elsewhere"},
                "database": {"value": "shop"},
                "username": {"value": "shop"},
            }}),
        ] {
            assert_ne!(of(&spec), plain, "{spec}");
        }
        // How it is waited or tried again is none of it.
        for spec in [
            json!({"execution": {"lockTimeout": "1s"}}),
            json!({"approval": {"required": "Always"}}),
            json!({"interval": "1m"}),
            json!({"rollback": {"policy": "Allow"}}),
        ] {
            assert_eq!(of(&spec), plain, "{spec}");
        }
        let other = Owner {
            cluster: "elsewhere".to_owned(),
            ..owner()
        };
        let elsewhere = reviewed(&resource(&json!({}), None), &other, &Handled::new());
        assert_ne!(elsewhere.context, plain);
    }

    #[test]
    fn an_approval_names_a_whole_hash_and_is_for_one_run() {
        let hash = Checksum::of(b"a plan");
        let given = |value: &str, handled: &Handled| {
            let resource = resource(&json!({}), Some(value));
            reviewed(&resource, &owner(), handled).approval.unwrap()
        };
        for value in [
            hash.to_string(),
            format!("sha256:{hash}"),
            format!(" {hash}\n"),
        ] {
            let approval = given(&value, &Handled::new());
            assert_eq!(approval.plan, Some(hash), "{value}");
            assert!(!approval.is_used);
        }
        // The beginning of a hash can be met by trying.
        for value in ["", "yes", &hash.short()] {
            assert_eq!(given(value, &Handled::new()).plan, None, "{value}");
        }
        let value = hash.to_string();
        let used = used(&resource(&json!({}), Some(&value)))
            .into_iter()
            .collect();
        assert!(given(&value, &used).is_used);
    }
}
