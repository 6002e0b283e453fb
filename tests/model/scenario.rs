//! What a model run is about: who runs what, on which database, and which faults may come.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use schemaward::engine::outcome::Stop;
use schemaward::engine::task::{Actor, Ledger, Mode, Owner, Patience, Task};
use schemaward::migration::blocked::Blocked;
use schemaward::migration::catalog::{Catalog, SourceFile};
use schemaward::migration::target::{Policy, Rollback, Target};

use super::database::{Committed, Row, Stored};
use super::texts;

/// The whole of one.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// For a person.
    pub name: &'static str,
    /// The tasks.
    pub tasks: Vec<Task>,
    /// For each runner the index of its task.
    pub runners: Vec<usize>,
    /// How often each runner begins a run.
    pub starts: u8,
    /// What is there at first.
    pub database: Committed,
    /// Which faults may come, and how often.
    pub faults: Faults,
    /// What is wrong on purpose.
    pub defect: Option<Defect>,
    /// Whether a run that nothing disturbs must reach its target from wherever the others stopped;
    /// otherwise a documented stop is as good.
    pub must_reach: bool,
    /// Whether orders that lead to the same states are tried, too.
    pub every_order: bool,
}

impl Scenario {
    /// Whether each runner declares the first versions without a gap, as the database has them.
    pub fn declares_all(&self) -> bool {
        let database = self.database.applied().count() == self.database.top();
        database
            && self.tasks.iter().all(|task| {
                let last = task.catalog.latest().map_or(0, texts::number);
                task.catalog.len() == last
            })
    }
}

/// Whether a run that nothing disturbs may end so: something stands in the way that a person has to
/// judge.
pub fn is_for_a_person(stop: &Stop) -> bool {
    match stop {
        Stop::Blocked(blocked) => !matches!(blocked, Blocked::HistoryTampered(_)),
        Stop::Claimed(_) | Stop::InDoubt(_) => true,
        _ => false,
    }
}

/// How often each kind of fault may still come, in all runners together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// A runner is killed, or its session on the server is.
    pub crashes: u8,
    /// A client takes its connection for lost, while the session lives on.
    pub losses: u8,
    /// A version does not get its locks.
    pub refusals: u8,
    /// A script fails, or the server cannot go on.
    pub failures: u8,
    /// A caller wants the run to end, or cancels what it executes.
    pub interrupts: u8,
}

impl Faults {
    /// Whether each kind may come at least as often.
    pub fn covers(self, other: Self) -> bool {
        self.crashes >= other.crashes
            && self.losses >= other.losses
            && self.refusals >= other.refusals
            && self.failures >= other.failures
            && self.interrupts >= other.interrupts
    }
}

/// What is wrong on purpose, to see that the invariants notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Everybody gets the lock.
    LockIsShared,
    /// The lock is held by another connection than the one that runs the scripts, so it goes with the
    /// client while the statement goes on.
    LockElsewhere,
    /// The record is committed after the effects, in a transaction of its own.
    RecordApart,
    /// A version whose answer was lost is sent again on a new connection, without a look.
    BlindRetry,
    /// What is seen under the lock is what the session saw first.
    OldSnapshot,
    /// A pooler hands one session to two clients in turn, and both have its lock.
    Pooler,
    /// What is sent outside of a transaction is not written into the journal before.
    NoIntent,
    /// A look at the catalog shows what was there before the statement.
    OldEvidence,
}

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
            },
            allow_privileged_role: false,
            known: None,
            review: None,
            checks: Vec::new(),
        }
    }
}

/// An owner by its index. Two of a pair, such as 0 and 1, are the same resource with another uid.
pub fn owner(index: u8) -> Owner {
    Owner {
        cluster: "c".to_owned(),
        namespace: "n".to_owned(),
        name: format!("r{}", index / 2),
        uid: index.to_string(),
    }
}

/// A database with these versions applied, each with the text it has here; with our records, or as another
/// program left it.
pub fn migrated(versions: &[(usize, usize)], ours: bool) -> Committed {
    let mut database = Committed {
        ledger: !versions.is_empty(),
        installed: ours,
        ..Committed::default()
    };
    for (number, variant) in versions {
        let fate = &mut database.versions[number - 1];
        let variant_of_row = u8::try_from(*variant).expect("few texts");
        fate.has_effects_of(*variant);
        fate.row = Some(Row {
            zeros: 0,
            checksum: ours.then_some(variant_of_row),
            stored: ours.then_some(Stored {
                variant: variant_of_row,
                down: true,
            }),
        });
    }
    database
}
