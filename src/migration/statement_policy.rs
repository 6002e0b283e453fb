//! What follows from what is known of a statement: a policy names rules and impacts. Pure.

use std::collections::BTreeMap;

use super::lint::{Finding, Impact, Level, Origin, RULES, Rule};

/// What follows from a finding or an impact, the strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing.
    Ignore,
    /// It is shown with the plan.
    Warn,
    /// The plan waits for an approval.
    RequireApproval,
    /// The plan does not run.
    Deny,
}

impl Action {
    /// As the resource writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ignore => "Ignore",
            Self::Warn => "Warn",
            Self::RequireApproval => "RequireApproval",
            Self::Deny => "Deny",
        }
    }
}

/// The impacts that a policy may name.
const IMPACTS: [(&str, Impact); 5] = [
    ("blocking", Impact::Blocking),
    ("destructive", Impact::Destructive),
    ("incompatible", Impact::Incompatible),
    ("rewrite", Impact::Rewrite),
    ("unknown", Impact::Unknown),
];

/// Rules that say nothing of what runs: a policy ignores them by default.
const FOR_AUTHORS: [&str; 3] = ["down-empty", "down-missing", "waiver-unused"];

/// Found in place of what squawk's rules would have.
const UNSEEN: [&str; 2] = ["not-linted", "not-understood"];

/// Actions by the name of a rule or an impact; what is not named has its default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatementPolicy {
    named: BTreeMap<&'static str, Action>,
    /// Not gone below, whatever is named and whatever the default is.
    least: BTreeMap<&'static str, Action>,
}

/// A name that is neither a rule nor an impact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither the name of a rule nor one of blocking, destructive, incompatible, rewrite and unknown"
)]
pub struct UnknownName(String);

/// The name as it is known here; `None`: neither a rule nor an impact.
fn known(name: &str) -> Option<&'static str> {
    let impact = IMPACTS.iter().map(|(known, _)| *known);
    let impact = impact.into_iter().find(|known| *known == name);
    impact.or_else(|| Rule::named(name).map(|rule| rule.name))
}

impl StatementPolicy {
    /// The policy that these entries make.
    ///
    /// # Errors
    /// At the first name that is not known.
    pub fn new<'a>(
        entries: impl IntoIterator<Item = (&'a str, Action)>,
    ) -> Result<Self, UnknownName> {
        let entries = entries.into_iter().map(|(name, action)| {
            known(name)
                .map(|name| (name, action))
                .ok_or_else(|| UnknownName(name.to_owned()))
        });
        let named = entries.collect::<Result<_, _>>()?;
        Ok(Self {
            named,
            least: BTreeMap::new(),
        })
    }

    /// What follows from a finding. By default one that is likely to hurt is shown; matters of style are for
    /// whoever writes the file.
    #[must_use]
    pub fn of_finding(&self, finding: &Finding) -> Action {
        let default = match finding.level {
            _ if FOR_AUTHORS.contains(&finding.rule.name) => Action::Ignore,
            Level::Off | Level::Note => Action::Ignore,
            Level::Warning | Level::Error => Action::Warn,
        };
        let unseen = may_hold(finding, &self.named).max(may_hold(finding, &self.least));
        self.named(finding.rule.name, default.max(unseen))
    }

    /// What follows from a finding that a comment in the script waives: a waiver goes as far as the policy of the
    /// resource does, and not below the bound.
    #[must_use]
    pub fn of_waived(&self, finding: &Finding) -> Action {
        let least = self.least.get(finding.rule.name).copied();
        let least = least.unwrap_or(Action::Ignore);
        least.max(may_hold(finding, &self.least))
    }

    /// What follows from an impact, and the name that a policy has for it; `None`: no policy names it.
    #[must_use]
    pub fn of_impact(&self, impact: Impact) -> Option<(&'static str, Action)> {
        let (name, _) = IMPACTS.iter().find(|(_, known)| *known == impact)?;
        let default = match impact {
            Impact::Destructive | Impact::Rewrite | Impact::Blocking | Impact::Unknown => {
                Action::Warn
            }
            Impact::None
            | Impact::Additive
            | Impact::Definition
            | Impact::DataChange
            | Impact::Incompatible => Action::Ignore,
        };
        Some((name, self.named(name, default)))
    }

    /// The same, with `bound` as what may not be gone below, name by name.
    #[must_use]
    pub fn bounded_by(mut self, bound: &Self) -> Self {
        self.least.clone_from(&bound.named);
        self
    }

    fn named(&self, name: &str, default: Action) -> Action {
        let action = self.named.get(name).copied().unwrap_or(default);
        let least = self.least.get(name).copied();
        least.map_or(action, |least| action.max(least))
    }
}

/// The strictest of squawk's rules here, where the finding is that they could not look: such a script gets away with no
/// less than what it may hold.
fn may_hold(finding: &Finding, actions: &BTreeMap<&'static str, Action>) -> Action {
    if !UNSEEN.contains(&finding.rule.name) {
        return Action::Ignore;
    }
    let rules = RULES.iter().filter(|rule| rule.origin == Origin::Squawk);
    let actions = rules.filter_map(|rule| actions.get(rule.name).copied());
    actions.max().unwrap_or(Action::Ignore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_impacts_are_named_and_all_else_is_refused() {
        let names = ["ban-drop-column", "destructive", "rewrite"];
        let policy = StatementPolicy::new(names.map(|name| (name, Action::Deny))).unwrap();
        assert_eq!(
            policy.of_impact(Impact::Destructive),
            Some(("destructive", Action::Deny))
        );
        for wrong in ["ban-drop-colum", "data change", ""] {
            assert!(
                StatementPolicy::new([(wrong, Action::Warn)]).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_loses_data_or_locks_for_long_is_shown_by_default() {
        let policy = StatementPolicy::default();
        for (impact, expected) in [
            (Impact::Destructive, Some(("destructive", Action::Warn))),
            (Impact::Rewrite, Some(("rewrite", Action::Warn))),
            (Impact::Blocking, Some(("blocking", Action::Warn))),
            (Impact::Incompatible, Some(("incompatible", Action::Ignore))),
            (Impact::Unknown, Some(("unknown", Action::Warn))),
            (Impact::Additive, None),
        ] {
            assert_eq!(policy.of_impact(impact), expected);
        }
    }

    #[test]
    fn a_bound_can_only_be_gone_above() {
        let policy = |entries: &[(&'static str, Action)]| {
            StatementPolicy::new(entries.iter().copied()).unwrap()
        };
        let bound = policy(&[("rewrite", Action::RequireApproval)]);
        for (given, expected) in [
            (Action::Ignore, Action::RequireApproval),
            (Action::RequireApproval, Action::RequireApproval),
            (Action::Deny, Action::Deny),
        ] {
            let bounded = policy(&[("rewrite", given)]).bounded_by(&bound);
            assert_eq!(
                bounded.of_impact(Impact::Rewrite),
                Some(("rewrite", expected))
            );
        }
        // A bound that is laxer than the default does not weaken it.
        let lax = policy(&[("rewrite", Action::Ignore)]);
        assert_eq!(
            StatementPolicy::default()
                .bounded_by(&lax)
                .of_impact(Impact::Rewrite),
            Some(("rewrite", Action::Warn))
        );
    }

    fn finding(rule: &str) -> Finding {
        Finding {
            rule: Rule::named(rule).unwrap(),
            level: Level::Warning,
            position: None,
            statement: None,
            message: String::new(),
            help: None,
        }
    }

    #[test]
    fn a_waiver_does_not_go_below_the_bound() {
        let denied = StatementPolicy::new([("ban-drop-column", Action::Deny)]).unwrap();
        assert_eq!(
            denied.of_waived(&finding("ban-drop-column")),
            Action::Ignore
        );
        let bounded = StatementPolicy::default().bounded_by(&denied);
        assert_eq!(bounded.of_waived(&finding("ban-drop-column")), Action::Deny);
        assert_eq!(
            bounded.of_waived(&finding("ban-drop-table")),
            Action::Ignore
        );
    }

    #[test]
    fn what_squawk_cannot_look_at_is_as_bad_as_what_it_may_hold() {
        let denied = StatementPolicy::new([("ban-drop-column", Action::Deny)]).unwrap();
        let own = StatementPolicy::new([("drop-cascade", Action::Deny)]).unwrap();
        for unseen in ["not-linted", "not-understood"].map(finding) {
            assert_eq!(StatementPolicy::default().of_finding(&unseen), Action::Warn);
            assert_eq!(own.of_finding(&unseen), Action::Warn);
            assert_eq!(denied.of_finding(&unseen), Action::Deny);
            assert_eq!(denied.of_waived(&unseen), Action::Ignore);
            let bounded = StatementPolicy::default().bounded_by(&denied);
            assert_eq!(bounded.of_finding(&unseen), Action::Deny);
            assert_eq!(bounded.of_waived(&unseen), Action::Deny);
        }
        let named = StatementPolicy::new([
            ("ban-drop-column", Action::Deny),
            ("not-linted", Action::Warn),
        ]);
        assert_eq!(
            named.unwrap().of_finding(&finding("not-linted")),
            Action::Warn
        );
    }

    #[test]
    fn actions_go_from_lax_to_strict() {
        use Action::{Deny, Ignore, RequireApproval, Warn};
        assert!(Ignore < Warn && Warn < RequireApproval && RequireApproval < Deny);
    }
}
