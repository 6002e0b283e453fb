//! The operator's configuration file (`schemaward run --config`): what those who run the operator allow those who
//! write resources. Read once, at the start, and strictly: a rule that is misspelled must not be one that is not
//! there.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::api::v1alpha1::{PolicyAction, RequiredApproval};
use crate::aws::SecretAddress;
use crate::migration::statement_policy::{StatementPolicy, UnknownName};
use crate::postgres::{ApiServer, Guard, HostPattern};

use super::approval;

/// All of the file. Empty: nothing is allowed or denied beyond what always is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    /// Which servers may be connected to.
    pub hosts: Hosts,
    /// What of AWS may be used with the operator's own identity.
    pub aws: AwsRules,
    /// What no resource goes below in its own policy.
    pub policy: PolicyBound,
    /// What no resource goes below in its own approval.
    pub approval: ApprovalBound,
}

/// The least that follows from a rule or an impact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, PolicyAction>")]
pub struct PolicyBound(pub StatementPolicy);

impl TryFrom<BTreeMap<String, PolicyAction>> for PolicyBound {
    type Error = UnknownName;

    fn try_from(entries: BTreeMap<String, PolicyAction>) -> Result<Self, Self::Error> {
        approval::policy(&entries).map(Self)
    }
}

/// The least approval that is required.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalBound {
    /// As in a resource; without it, a resource may ask for none.
    pub required: Option<RequiredApproval>,
}

/// What of AWS may be used, and for which namespaces: nothing, unless a rule says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AwsRules {
    /// Secrets of AWS Secrets Manager that may be read.
    secrets: Vec<AllowedSecrets>,
    /// Instances and roles that may be signed in to by RDS IAM.
    #[serde(rename = "rdsIAM")]
    rds_iam: Vec<AllowedSignIns>,
}

/// Roles that some namespaces may sign in as, and where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowedSignIns {
    namespaces: Vec<NamePattern>,
    /// By name alone: a token is for a name.
    hosts: Vec<HostName>,
    users: Vec<NamePattern>,
    #[serde(default)]
    regions: Regions,
}

/// Hosts by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct HostName(HostPattern);

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let pattern: HostPattern = text.parse().map_err(|error| format!("{error}"))?;
        match pattern {
            HostPattern::Network(..) => Err(format!(
                "{text:?} is an address, and a token is for a name: write one (db.example.com), or names below one \
                 (*.example.com)"
            )),
            HostPattern::Any | HostPattern::Name(_) | HostPattern::Below(_) => Ok(Self(pattern)),
        }
    }
}

/// Secrets that some namespaces may use. Here the namespaces have to be said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowedSecrets {
    namespaces: Vec<NamePattern>,
    /// Names or ARNs, as resources write them.
    ids: Vec<NamePattern>,
    #[serde(default)]
    regions: Regions,
}

/// Regions of AWS that a rule is for; without any, it is for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
struct Regions(Option<Vec<NamePattern>>);

impl Regions {
    fn contain(&self, region: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|patterns| matches(patterns, region))
    }
}

impl AwsRules {
    /// True when the resources of a namespace may have what this secret holds.
    #[must_use]
    pub fn allow_secret(&self, namespace: &str, secret: &SecretAddress) -> bool {
        self.secrets.iter().any(|rule| {
            matches(&rule.namespaces, namespace)
                && matches(&rule.ids, &secret.id)
                && rule.regions.contain(&secret.region)
        })
    }

    /// True when the resources of a namespace may sign in there as this user, by a token.
    #[must_use]
    pub fn allow_sign_in(&self, namespace: &str, host: &str, user: &str, region: &str) -> bool {
        self.rds_iam.iter().any(|rule| {
            matches(&rule.namespaces, namespace)
                && rule.hosts.iter().any(|pattern| pattern.0.names(host))
                && matches(&rule.users, user)
                && rule.regions.contain(region)
        })
    }
}

fn matches(patterns: &[NamePattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

/// Which servers may be connected to. Loopback, link-local and multicast addresses, services of the cloud and the
/// API server never are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hosts {
    /// Never connected to.
    deny: Vec<Host>,
    /// When given, nothing else is connected to.
    allow: Option<Vec<AllowedHosts>>,
}

/// Hosts that some namespaces may use.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowedHosts {
    #[serde(default)]
    namespaces: Namespaces,
    hosts: Vec<Host>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Host(HostPattern);

impl TryFrom<String> for Host {
    type Error = <HostPattern as std::str::FromStr>::Err;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

/// Namespaces that a rule is for; without any, it is for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Namespaces(Option<Vec<NamePattern>>);

impl Namespaces {
    /// True when the rule is for this namespace.
    #[must_use]
    pub fn contain(&self, namespace: &str) -> bool {
        match &self.0 {
            None => true,
            Some(patterns) => matches(patterns, namespace),
        }
    }
}

/// One name, or with `*` at its end every name that begins so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NamePattern {
    beginning: String,
    is_whole: bool,
}

impl NamePattern {
    /// True when it is this name, or its beginning.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.is_whole {
            name == self.beginning
        } else {
            name.starts_with(&self.beginning)
        }
    }
}

impl TryFrom<String> for NamePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let beginning = text.strip_suffix('*');
        let pattern = Self {
            is_whole: beginning.is_none(),
            beginning: beginning.unwrap_or(&text).to_owned(),
        };
        if text.is_empty() || pattern.beginning.contains('*') {
            return Err(format!(
                "{text:?} is no name: write one, or its beginning with * at the end"
            ));
        }
        Ok(pattern)
    }
}

impl Configuration {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        // A file of comments alone says nothing.
        let read: Option<Self> = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        Ok(read.unwrap_or_default())
    }
}

impl Hosts {
    /// What the resources of a namespace may connect to.
    #[must_use]
    pub fn guard(
        &self,
        namespace: &str,
        allows_loopback: bool,
        api_server: Option<&ApiServer>,
    ) -> Guard {
        let allowed = |rules: &Vec<AllowedHosts>| {
            let rules = rules
                .iter()
                .filter(|rule| rule.namespaces.contain(namespace));
            rules
                .flat_map(|rule| rule.hosts.iter().map(|host| host.0.clone()))
                .collect()
        };
        Guard {
            allows_loopback,
            api_server: api_server.cloned(),
            denied: self.deny.iter().map(|host| host.0.clone()).collect(),
            allowed: self.allow.as_ref().map(allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "
# What the platform team allows.
hosts:
  deny: [10.0.0.0/24]
  allow:
  - hosts: ['*.shared.example']
  - namespaces: [fluxion, team-*]
    hosts: [db.example, 10.1.0.0/16]
";

    #[test]
    fn what_a_namespace_may_use_is_what_any_rule_for_it_names() {
        let hosts = Configuration::parse(WHOLE).unwrap().hosts;
        let allowed = |namespace: &str| {
            let guard = hosts.guard(namespace, false, None);
            let allowed = guard.allowed.unwrap();
            allowed.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(allowed("other"), ["*.shared.example"]);
        let all = ["*.shared.example", "db.example", "10.1.0.0/16"];
        assert_eq!(allowed("fluxion"), all);
        assert_eq!(allowed("team-a"), all);
        assert_eq!(allowed("fluxion-2"), ["*.shared.example"]);
    }

    #[test]
    fn a_secret_is_for_the_namespaces_that_a_rule_names_and_for_no_others() {
        let text = "
aws:
  secrets:
  - {namespaces: [fluxion, team-*], ids: [fluxion/postgres, 'shared/*']}
  - {namespaces: [fluxion], ids: [near], regions: [eu-central-1, us-*]}
  - {namespaces: ['*'], ids: ['arn:aws:secretsmanager:eu-central-1:1:secret:open-*']}
";
        let rules = Configuration::parse(text).unwrap().aws;
        let secret = |id: &str, region: &str| SecretAddress {
            id: id.to_owned(),
            region: region.to_owned(),
        };
        for (namespace, id, allowed) in [
            ("fluxion", "fluxion/postgres", true),
            ("team-a", "shared/db", true),
            ("fluxion", "fluxion/postgres2", false),
            ("fluxion-2", "fluxion/postgres", false),
            ("other", "shared/db", false),
            (
                "other",
                "arn:aws:secretsmanager:eu-central-1:1:secret:open-a",
                true,
            ),
            ("other", "open-a", false),
        ] {
            let secret = secret(id, "eu-west-1");
            assert_eq!(
                rules.allow_secret(namespace, &secret),
                allowed,
                "{namespace} {id}"
            );
            assert!(!AwsRules::default().allow_secret(namespace, &secret));
        }
        for (region, allowed) in [
            ("eu-central-1", true),
            ("us-east-2", true),
            ("eu-west-1", false),
        ] {
            let near = secret("near", region);
            assert_eq!(rules.allow_secret("fluxion", &near), allowed, "{region}");
        }
    }

    #[test]
    fn a_sign_in_is_for_namespace_host_and_user_together() {
        let text = "
aws:
  rdsIAM:
  - {namespaces: [fluxion], hosts: ['*.rds.amazonaws.com'], users: [migrator, 'shop_*']}
  - {namespaces: [other], hosts: [db.example], users: ['*']}
  - {namespaces: [near], hosts: ['*'], users: ['*'], regions: [eu-central-1]}
";
        let rules = Configuration::parse(text).unwrap().aws;
        for (namespace, host, user, allowed) in [
            ("fluxion", "a.rds.amazonaws.com", "migrator", true),
            ("fluxion", "A.rds.amazonaws.com", "shop_1", true),
            ("fluxion", "a.rds.amazonaws.com", "postgres", false),
            ("fluxion", "db.example", "migrator", false),
            ("other", "a.rds.amazonaws.com", "migrator", false),
            ("other", "db.example", "postgres", true),
        ] {
            let found = rules.allow_sign_in(namespace, host, user, "eu-west-1");
            assert_eq!(found, allowed, "{namespace} {host} {user}");
            let nothing = AwsRules::default();
            assert!(!nothing.allow_sign_in(namespace, host, user, "eu-west-1"));
        }
        assert!(rules.allow_sign_in("near", "db.example", "a", "eu-central-1"));
        assert!(!rules.allow_sign_in("near", "db.example", "a", "eu-west-1"));
    }

    #[test]
    fn a_file_that_says_nothing_allows_what_is_usual() {
        for text in ["", "# later\n", "{}", "hosts: {}"] {
            let configuration = Configuration::parse(text).unwrap();
            assert_eq!(configuration, Configuration::default(), "{text}");
            assert_eq!(configuration.hosts.guard("any", false, None).allowed, None);
        }
    }

    #[test]
    fn what_is_misspelled_is_refused_with_its_line() {
        for (text, line, said) in [
            ("hosts:\n  alow: []\n", 2, "alow"),
            ("hosts:\n  deny:\n  - 10.0.0.0/40\n", 3, "10.0.0.0/40"),
            (
                "hosts:\n  allow:\n  - namespaces: [a*b]\n    hosts: []\n",
                3,
                "a*b",
            ),
            ("hosts:\n  allow:\n  - namespaces: [a]\n", 3, "hosts"),
            ("host: {}\n", 1, "host"),
            ("hosts: [\n", 1, "hosts"),
            ("aws:\n  secrets:\n  - ids: [a]\n", 3, "namespaces"),
            (
                "aws:\n  rdsIAM:\n  - {namespaces: [a], hosts: [10.0.0.1], users: [a]}\n",
                3,
                "10.0.0.1",
            ),
            ("policy: {ban-drop-colum: Deny}\n", 1, "ban-drop-colum"),
            ("approval: {required: Sometimes}\n", 1, "Sometimes"),
        ] {
            let error = Configuration::parse(text).unwrap_err();
            assert!(error.contains(said), "{error}");
            assert!(error.contains(&format!("line {line}")), "{error}");
        }
    }
}
