//! What a person decided by an annotation. Each value is acted on once: what was handled is in memory and
//! in status, and a value that stays in a manifest does nothing more.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use crate::api::condition::ConditionStatus;
use crate::api::decision::Kind;
use crate::api::v1alpha1::{
    APPROVE_ANNOTATION, DatabaseSchema, DatabaseSchemaStatus, RECONCILE_ANNOTATION,
};
use crate::engine::decision::{Decision, InvalidWish, Wish};

use super::status::clip;

/// The values that were acted on, by the name of their annotation.
pub type Handled = BTreeMap<String, String>;

/// What became of the decisions of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// Those that were carried out or refused; none of them is looked at again.
    pub handled: Handled,
    /// Why, of those that were refused.
    pub refused: BTreeMap<Kind, Refused>,
}

impl Decided {
    /// What a status says of it.
    #[must_use]
    pub fn restore(status: &DatabaseSchemaStatus) -> Self {
        let refused = |kind: &Kind| {
            let mut conditions = status.conditions.iter();
            let found = conditions.find(|condition| {
                condition.type_ == kind.refused().as_str()
                    && condition.status == ConditionStatus::True
            })?;
            let refused = Refused {
                why: found.message.clone(),
                generation: found.observed_generation.unwrap_or_default(),
            };
            Some((*kind, refused))
        };
        Self {
            handled: status.last_handled_decisions.clone(),
            refused: Kind::ALL.iter().filter_map(refused).collect(),
        }
    }

    /// What of it stays, where `asked` is what is asked for now: a value whose annotation is gone, or has another one,
    /// may be asked for again.
    #[must_use]
    pub fn still_asked(mut self, asked: &Handled) -> Self {
        self.handled
            .retain(|name, value| asked.get(name) == Some(value));
        self.refused
            .retain(|kind, _| self.handled.contains_key(kind.annotation()));
        self
    }

    /// This, and then `later`.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.refused
            .retain(|kind, _| !later.handled.contains_key(kind.annotation()));
        self.refused.extend(later.refused);
        self.handled.extend(later.handled);
        self
    }
}

/// Why a decision was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// In sentences.
    pub why: String,
    /// `metadata.generation` of the resource by which it was judged.
    pub generation: i64,
}

/// What an attempt has acted on so far: known even when it ends in a panic.
#[derive(Debug, Default)]
pub struct ActedOn(Mutex<Decided>);

impl ActedOn {
    /// Notes that the `value` of an annotation was carried out, or refused.
    pub fn note(&self, kind: Kind, value: String, refused: Option<Refused>) {
        let mut decided = self.lock();
        decided.handled.insert(kind.annotation().to_owned(), value);
        decided.refused.extend(refused.map(|why| (kind, why)));
    }

    /// All of it.
    #[must_use]
    pub fn get(&self) -> Decided {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Decided> {
        // Whole after each change, whoever panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wish(kind: Kind, value: &str) -> Result<Wish, InvalidWish> {
    match kind {
        Kind::Takeover => Wish::takeover(value),
        Kind::Accept => Wish::database(value).unwrap_or_else(|| Wish::accept(value)),
        Kind::Resolve => Wish::resolve(value),
    }
}

/// A decision that was not acted on yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its annotation.
    pub kind: Kind,
    /// The annotation's value, as it is remembered.
    pub value: String,
    /// What it says.
    pub decision: Result<Decision, InvalidWish>,
}

/// The annotations by which a person asks for something, by name: those of [`decided`], and
/// [`RECONCILE_ANNOTATION`].
#[must_use]
pub fn asked(resource: &DatabaseSchema) -> Handled {
    let mut asked = decided(resource);
    asked.extend(named(resource, RECONCILE_ANNOTATION));
    asked
}

/// The annotations by which a person decided something, by name: those of decisions, and
/// [`APPROVE_ANNOTATION`].
#[must_use]
pub fn decided(resource: &DatabaseSchema) -> Handled {
    let decisions = Kind::ALL.iter().map(|kind| kind.annotation());
    let names = decisions.chain([APPROVE_ANNOTATION]);
    names.filter_map(|name| named(resource, name)).collect()
}

fn named(resource: &DatabaseSchema, name: &str) -> Option<(String, String)> {
    let value = resource.annotations().get(name)?;
    Some((name.to_owned(), clip(value)))
}

/// The decisions that are still to be carried out.
#[must_use]
pub fn open(resource: &DatabaseSchema, handled: &Handled) -> Vec<Open> {
    let annotations = resource.annotations();
    let open = |kind: &Kind| {
        let annotation = kind.annotation();
        let value = annotations.get(annotation)?;
        let remembered = clip(value);
        if handled.get(annotation) == Some(&remembered) {
            return None;
        }
        let decision = wish(*kind, value).map(|wish| Decision {
            wish,
            by: Some(who(resource, annotation)),
        });
        Some(Open {
            kind: *kind,
            value: remembered,
            decision,
        })
    };
    Kind::ALL.iter().filter_map(open).collect()
}

/// Who set an annotation, as far as the API server tells: the field manager, such as `kubectl-annotate`.
/// The user is in the API server's own audit log.
pub(super) fn who(resource: &DatabaseSchema, annotation: &str) -> String {
    let field = format!("f:{annotation}");
    let entries = resource.metadata.managed_fields.iter().flatten();
    let manager = entries
        .filter(|entry| {
            let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
            fields.is_some_and(|fields| !fields["f:metadata"]["f:annotations"][&field].is_null())
        })
        .find_map(|entry| entry.manager.as_deref());
    match manager {
        Some(manager) => format!(
            "annotation {annotation}, set by field manager {}",
            clip(manager)
        ),
        None => format!("annotation {annotation}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::v1alpha1::{ACCEPT_ANNOTATION, RESOLVE_ANNOTATION, TAKEOVER_ANNOTATION};

    fn refused(why: &str) -> Refused {
        Refused {
            why: why.to_owned(),
            generation: 1,
        }
    }

    fn resource(annotations: &serde_json::Value) -> DatabaseSchema {
        serde_json::from_value(json!({
            "apiVersion": "schemaward.dev/v1alpha1",
            "kind": "DatabaseSchema",
            "metadata": {
                "name": "shop",
                "annotations": annotations,
                "managedFields": [
                    {"manager": "helm", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
                    {"manager": "kubectl-annotate", "fieldsV1": {
                        "f:metadata": {"f:annotations": {".": {}, "f:schemaward.dev/accept": {}}},
                    }},
                ],
            },
            "spec": {
                "source": {"configMaps": [{"name": "files"}]},
                "connection": {
                    "host": {"value": "db"},
                    "database": {"value": "shop"},
                    "username": {"value": "shop"},
                },
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_value_is_acted_on_once_until_it_changes_or_goes() {
        let asked = resource(&json!({ACCEPT_ANNOTATION: "002", "other": "x"}));
        let first = open(&asked, &Handled::new());
        assert_eq!(first.len(), 1);
        let decision = first[0].decision.clone().unwrap();
        assert_eq!(
            decision.by.as_deref(),
            Some("annotation schemaward.dev/accept, set by field manager kubectl-annotate")
        );
        let acted = Decided {
            handled: [(ACCEPT_ANNOTATION.to_owned(), first[0].value.clone())].into(),
            refused: [(Kind::Accept, refused("no"))].into(),
        };
        assert_eq!(open(&asked, &acted.handled), []);
        assert_eq!(acted.clone().still_asked(&decided(&asked)), acted);
        let changed = resource(&json!({ACCEPT_ANNOTATION: "003"}));
        assert_eq!(open(&changed, &acted.handled).len(), 1);
        for asked in [changed, resource(&json!({}))] {
            let left = acted.clone().still_asked(&decided(&asked));
            assert_eq!(left, Decided::default());
        }
    }

    #[test]
    fn what_was_refused_stands_until_another_value_is_carried_out() {
        let acted = |value: &str, refused: &[(Kind, &str)]| Decided {
            handled: [(ACCEPT_ANNOTATION.to_owned(), value.to_owned())].into(),
            refused: refused
                .iter()
                .map(|(kind, why)| (*kind, self::refused(why)))
                .collect(),
        };
        let refused = acted("1", &[(Kind::Accept, "no")]);
        assert_eq!(refused.clone().and(Decided::default()), refused);
        let again = acted("2", &[(Kind::Accept, "nor that")]);
        assert_eq!(refused.clone().and(again.clone()), again);
        let done = acted("3", &[]);
        assert_eq!(refused.and(done.clone()), done);
    }

    #[test]
    fn whose_history_it_is_comes_first() {
        let both = json!({ACCEPT_ANNOTATION: "002", TAKEOVER_ANNOTATION: "a/b"});
        let open = open(&resource(&both), &Handled::new());
        let order: Vec<_> = open.iter().map(|open| open.kind).collect();
        assert_eq!(order, [Kind::Takeover, Kind::Accept]);
    }

    #[test]
    fn a_value_that_is_no_decision_is_told_and_not_guessed() {
        for (annotation, value) in [
            (ACCEPT_ANNOTATION, "yes"),
            (ACCEPT_ANNOTATION, ""),
            (ACCEPT_ANNOTATION, "002:1d"),
            (TAKEOVER_ANNOTATION, "a/b/c"),
            (TAKEOVER_ANNOTATION, ""),
            (RESOLVE_ANNOTATION, "002=applied"),
            (RESOLVE_ANNOTATION, "002:1dd701f2=done"),
            (RESOLVE_ANNOTATION, "002:1dd701f2"),
        ] {
            let asked = resource(&json!({annotation: value}));
            let open = open(&asked, &Handled::new());
            assert!(open[0].decision.is_err(), "{annotation}={value}");
        }
    }
}
