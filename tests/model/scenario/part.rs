//! One runner's part of a scenario.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use schemaward::engine::task::{Actor, Ledger, Mode, Patience, Task};
use schemaward::migration::catalog::{Catalog, SourceFile};
use schemaward::migration::target::{Policy, Rollback, Target};

use super::owner;
use crate::texts;

/// What a catalog is made of: versions with their texts, those without a DOWN, zeros.
type Made = HashMap<(Vec<(usize, usize)>, Vec<usize>, u8), Catalog>;

thread_local! {
    static CATALOGS: RefCell<Made> = RefCell::default();
}

/// A runner's part of a scenario.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its versions, with the text of each.
    pub versions: Vec<(usize, usize)>,
    /// Versions without a DOWN.
    pub without_down: Vec<usize>,
    /// Zeros in front of its versions.
    pub zeros: u8,
    /// Where it wants the database.
    pub target: Target,
    /// Whether it may go back.
    pub rollback: Rollback,
    /// Who it is: an index of owners, or the command line.
    pub owner: Option<u8>,
}

impl Part {
    /// All versions up to one, from the command line.
    pub fn up_to(count: usize) -> Self {
        Self {
            versions: (1..=count).map(|number| (number, 0)).collect(),
            without_down: Vec::new(),
            zeros: 0,
            target: Target::Latest,
            rollback: Rollback::Deny,
            owner: None,
        }
    }

    /// The same with another text of one version.
    pub fn with(mut self, number: usize, variant: usize) -> Self {
        self.versions[number - 1].1 = variant;
        self
    }

    /// The same, back to a version.
    pub fn back_to(self, number: usize) -> Self {
        let version = texts::version(number, self.zeros);
        Self {
            target: Target::Version(version),
            rollback: Rollback::Allow,
            ..self
        }
    }

    /// The same, as a resource.
    pub fn owned_by(self, owner: u8) -> Self {
        Self {
            owner: Some(owner),
            ..self
        }
    }

    /// Hashing is most of what making a catalog takes, and a hundred thousand runs need but a few
    /// hundred.
    fn catalog(&self) -> Catalog {
        let key = (self.versions.clone(), self.without_down.clone(), self.zeros);
        CATALOGS.with_borrow_mut(|made| made.entry(key).or_insert_with(|| self.made()).clone())
    }

    fn made(&self) -> Catalog {
        let files: Vec<SourceFile> = self
            .versions
            .iter()
            .flat_map(|(number, variant)| {
                let with_down = !self.without_down.contains(number);
                texts::files(*number, self.zeros, *variant, with_down)
            })
            .collect();
        Catalog::from_files(files, "schema_migrations", &|_| true).expect("a sound set")
    }

    /// The task of it.
    pub fn task(&self) -> Task {
        Task {
            catalog: self.catalog(),
            target: self.target.clone(),
            policy: Policy {
                rollback: self.rollback,
                ..Policy::default()
            },
            mode: Mode::Migrate,
            ledger: Ledger::default(),
            actor: self
                .owner
                .map_or(Actor::CommandLine, |index| Actor::Resource(owner(index))),
            patience: Patience {
                lock_wait: Duration::from_secs(2),
                lock_retries: 1,
                ..Patience::default()
            },
            allow_privileged_role: false,
            known: None,
            review: None,
            checks: Vec::new(),
            is_scratch: false,
        }
    }
}
