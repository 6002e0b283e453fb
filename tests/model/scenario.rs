//! What a model run is about: who runs what, on which database, and which faults may come.

use schemaward::engine::error::ScriptFailureKind;
use schemaward::engine::outcome::Stop;
use schemaward::engine::task::{Owner, Task};
use schemaward::migration::blocked::Blocked;

use super::database::{Committed, Row, Stored};
use super::texts;

mod part;
pub mod people;

pub use part::Part;

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
    /// What a person does when a run stops for one: a task, and the task of the person. Then it must go on.
    pub helps: Vec<(usize, usize)>,
    /// What was approved in the beginning, for those that need it: versions, their texts, whether undone.
    pub approved: Vec<(usize, usize, bool)>,
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
        Stop::Claimed(_)
        | Stop::InDoubt(_)
        | Stop::Refused(_)
        | Stop::Held(_)
        | Stop::ChecksFailed(_) => true,
        Stop::Script(failure) => failure.kind == ScriptFailureKind::TransactionEscaped,
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
    /// Somebody else makes wrong what the checks ask for, or right again.
    pub spoils: u8,
    /// The server crashes.
    pub outages: u8,
    /// The window closes, and opens again.
    pub closings: u8,
}

impl Faults {
    /// Whether each kind may come at least as often.
    pub fn covers(self, other: Self) -> bool {
        self.crashes >= other.crashes
            && self.losses >= other.losses
            && self.refusals >= other.refusals
            && self.failures >= other.failures
            && self.interrupts >= other.interrupts
            && self.spoils >= other.spoils
            && self.outages >= other.outages
            && self.closings >= other.closings
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
    /// The same for a decision alone.
    OldDecision,
    /// A pooler hands one session to two clients in turn, and both have its lock.
    Pooler,
    /// What is sent outside of a transaction is not written into the journal before.
    NoIntent,
    /// A look at the catalog shows what was there before the statement.
    OldEvidence,
    /// That a script ended its transaction by itself is not written into the journal.
    NoEscapeNote,
    /// A look does not show what the journal has.
    JournalUnread,
    /// The server says that something is on its disk when it is not.
    EarlyWord,
    /// What was sent along with a version that failed is run all the same.
    RunsOn,
    /// A check is answered from what the session saw first.
    OldAnswer,
    /// A driver approves whatever plan there is.
    ApprovesWhatItSees,
    /// A driver lets a version begin although the window is closed.
    WindowUnread,
    /// Nobody counts how often a version was undone, so that a plan is the same the second time.
    UndoneForgotten,
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
