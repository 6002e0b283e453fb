//! What a run is asked to do.

use std::fmt;
use std::time::Duration;

use crate::migration::catalog::Catalog;
use crate::migration::display::plain;
use crate::migration::target::{Policy, Target};

use super::check::Check;
use super::decision::Decision;
use super::identity::Known;
use super::review::Review;

/// The whole input of a run besides the database itself.
#[derive(Debug, Clone)]
pub struct Task {
    /// The known migrations, already narrowed to the versions that the caller lists.
    pub catalog: Catalog,
    /// Where the database shall end.
    pub target: Target,
    /// What the caller allows on the way there.
    pub policy: Policy,
    /// How far the run may go.
    pub mode: Mode,
    /// Where the history stands in the database.
    pub ledger: Ledger,
    /// In whose name the run acts.
    pub actor: Actor,
    /// How long the run waits and how often it tries again.
    pub patience: Patience,
    /// Whether a resource's role may be able to run programs on the server, read its files or write them.
    pub allow_privileged_role: bool,
    /// What the caller knows of the database from before; a run stops when it is not so any more.
    pub known: Option<Known>,
    /// What is asked of a plan before it may run; `None`: nothing, whoever called has seen to it.
    pub review: Option<Review>,
    /// What is asked of the database before versions are applied, and at the target.
    pub checks: Vec<Check>,
    /// Whether the database is one that was made to try the migrations in, which messages then say.
    pub is_scratch: bool,
}

impl Task {
    /// A look from the command line, at all of the catalog: it allows nothing and asks for nothing more. What runs
    /// something names its mode and its policy beside it.
    #[must_use]
    pub fn of_command_line(catalog: Catalog, ledger: Ledger) -> Self {
        Self {
            catalog,
            target: Target::Latest,
            policy: Policy::default(),
            mode: Mode::Plan,
            ledger,
            actor: Actor::CommandLine,
            patience: Patience::default(),
            allow_privileged_role: false,
            known: None,
            review: None,
            checks: Vec::new(),
            is_scratch: false,
        }
    }
}

/// The history table: `schema_migrations` in schema `public` unless the user says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// Schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            schema: "public".to_owned(),
            table: "schema_migrations".to_owned(),
        }
    }
}

/// How far a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Look and plan. Takes no lock and writes nothing.
    Plan,
    /// Create the history table and schema `schemaward`, and nothing else.
    Initialize,
    /// Bring the database to the target.
    Migrate,
    /// Carry out what a person decided, and nothing else. Runs no script.
    Decide(Box<Decision>),
}

/// In whose name a run acts: it decides who may claim a database and what the audit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A `DatabaseSchema` resource; it claims the database for itself.
    Resource(Owner),
    /// A person or a pipeline at the command line; it passes a claim and is audited.
    CommandLine,
}

impl fmt::Display for Actor {
    /// As it stands in the audit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(owner) => write!(f, "DatabaseSchema {owner}"),
            Self::CommandLine => write!(f, "command line"),
        }
    }
}

/// The resource that a database belongs to (decision 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The uid of namespace `kube-system`, which stands for the cluster.
    pub cluster: String,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// The resource's uid; a new uid under the same name goes on silently.
    pub uid: String,
}

impl Owner {
    /// Whether namespace and name are such as Kubernetes gives. What is read from a database may be anything, and
    /// must not stand in a command that a person pastes.
    #[must_use]
    pub fn has_plain_names(&self) -> bool {
        is_label(&self.namespace) && self.name.len() <= 253 && self.name.split('.').all(is_label)
    }

    /// True when both name the same resource; the uid does not count.
    #[must_use]
    pub fn is_same_resource(&self, other: &Self) -> bool {
        (&self.cluster, &self.namespace, &self.name)
            == (&other.cluster, &other.namespace, &other.name)
    }
}

impl fmt::Display for Owner {
    /// For a person to read: what is read from a database may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", plain(&self.namespace), plain(&self.name))
    }
}

/// A DNS label (RFC 1123).
fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 63
        && text.bytes().all(|byte| plain(byte) || byte == b'-')
        && text.bytes().next().is_some_and(plain)
        && text.bytes().last().is_some_and(plain)
}

/// Waiting and retrying within one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long to wait for the migration lock before the run gives up.
    pub lock_wait: Duration,
    /// How long the caller waited for others before the run, which a message counts.
    pub waited_before: Duration,
    /// How often one version is tried again after SQLSTATE 55P03 (`lock_not_available`) or 40P01
    /// (`deadlock_detected`).
    pub lock_retries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lock_wait: Duration::from_secs(15),
            waited_before: Duration::ZERO,
            lock_retries: 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_kubernetes_gives_are_plain() {
        let longest = "a".repeat(63);
        for (namespace, name, plain) in [
            ("web", "shop", true),
            ("web-1", "shop.example.com", true),
            (longest.as_str(), longest.as_str(), true),
            ("", "shop", false),
            ("web", "", false),
            ("web", "--all", false),
            ("web", "shop;reboot", false),
            ("web", "$(reboot)", false),
            ("web", "shop`reboot`", false),
            ("web", "shop\nreboot", false),
            ("web --all", "shop", false),
            ("web.eu", "shop", false),
            ("Web", "shop", false),
            ("web", "shop..example", false),
            (&"a".repeat(64), "shop", false),
        ] {
            let owner = Owner {
                cluster: String::new(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid: String::new(),
            };
            assert_eq!(owner.has_plain_names(), plain, "{namespace}/{name}");
        }
    }
}
