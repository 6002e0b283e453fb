//! Attempts for tests: real outcomes of the real engine on a database that is only played. Used by
//! `tests/status/` and by `tests/it/clients.rs`, so that both judge the same cases.
#![allow(
    clippy::expect_used,
    dead_code,
    reason = "the helpers of tests are tests, too, and not each test uses all of them"
)]

use std::time::Duration;

use jiff::Timestamp;
use schemaward::api::v1alpha1::{
    Auth, ChecksumPin, ConfigMapSource, Connection, DatabaseSchemaSpec, HostSource, Source,
    TextSource, VersionSpec,
};
use schemaward::controller::attempt::{
    Attempt, DereferenceError, DereferenceErrorKind, Invalid, InvalidKind,
};
use schemaward::engine::check::{Check, CheckAnswer};
use schemaward::engine::database::{
    Blocker, Holder, Inspection, Installation, LedgerLimits, Observation, Recorded, Request, Server,
};
use schemaward::engine::error::{
    DatabaseError, DatabaseErrorKind, ScriptFailure, ScriptFailureKind,
};
use schemaward::engine::event::{Event, Next};
use schemaward::engine::loss::Estimate;
use schemaward::engine::machine::Machine;
use schemaward::engine::outcome::Outcome;
use schemaward::engine::review::{Judgements, ScriptText};
use schemaward::engine::server_identity::ServerSeen;
use schemaward::engine::sessions::LockOwner;
use schemaward::engine::step::{StepAction, StepObservation};
use schemaward::engine::task::{Actor, Ledger, Mode, Owner, Patience, Task};
use schemaward::migration::begun::{Begun, Entry, EntryState};
use schemaward::migration::catalog::{Catalog, Listed, SourceFile};
use schemaward::migration::checksum::Checksum;
use schemaward::migration::evidence::Evidence;
use schemaward::migration::file_name::Direction;
use schemaward::migration::history::{Applied, History, Stored};
use schemaward::migration::statement::Position;
use schemaward::migration::target::{Policy, Rollback, Target};
use schemaward::migration::version::Version;
use uuid::Uuid;

mod attempts;

pub use attempts::attempts;

/// A moment all tests agree on, and seconds after it.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_772_366_400 + seconds).expect("a time")
}

/// A spec with these versions listed.
pub fn spec(versions: &[&str]) -> DatabaseSchemaSpec {
    let text = |value: &str| TextSource {
        value: Some(value.to_owned()),
        secret_key_ref: None,
        config_map_key_ref: None,
    };
    DatabaseSchemaSpec {
        source: Source {
            config_maps: Some(vec![ConfigMapSource {
                name: "ledger-migrations".to_owned(),
            }]),
            inline: None,
        },
        connection: Connection {
            credentials_from: None,
            host: Some(HostSource {
                value: Some("db".to_owned()),
                secret_key_ref: None,
                config_map_key_ref: None,
            }),
            port: None,
            database: Some(text("ledger")),
            username: Some(text("ledger")),
            password: None,
            auth: Auth::default(),
            tls: schemaward::api::v1alpha1::Tls::default(),
            pooler: schemaward::api::v1alpha1::Pooler::None,
            allow_privileged_role: false,
        },
        target_version: None,
        baseline: None,
        versions: Some(
            versions
                .iter()
                .map(|version| VersionSpec {
                    version: (*version).to_owned(),
                    name: None,
                    checksum: None::<ChecksumPin>,
                })
                .collect(),
        ),
        history: schemaward::api::v1alpha1::HistoryTable::default(),
        rollback: schemaward::api::v1alpha1::Rollback::default(),
        approval: schemaward::api::v1alpha1::ApprovalSpec::default(),
        policy: std::collections::BTreeMap::new(),
        windows: None,
        gates: None,
        execution: schemaward::api::v1alpha1::Execution::default(),
        checks: None,
        suspend: false,
        interval: schemaward::api::duration::GoDuration::new("10m"),
    }
}

/// What the played database does.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Everything works.
    Works,
    /// The look fails.
    Error(DatabaseErrorKind),
    /// Scripts fail with this statement error.
    Fails(ScriptFailureKind),
    /// The migration lock is held by somebody else.
    LockHeld,
    /// The migration lock is held by a session of the same resource.
    PreviousRunStillActive,
    /// Scripts never get their locks.
    NoLocks,
    /// The connection is lost while a script is executed.
    Loses,
}

/// A run and what it meets. Versions are digits; the name of a version is `v` and its digits, its
/// UP text is `SELECT <digits>` unless `texts` says otherwise.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Versions in the source.
    pub files: Vec<&'static str>,
    /// Versions in the source without a DOWN.
    pub without_down: Vec<&'static str>,
    /// Versions in the ledger, taken from the files as they are by default.
    pub applied: Vec<&'static str>,
    /// Versions that only our own records have.
    pub orphans: Vec<&'static str>,
    /// UP texts that differ from the default.
    pub texts: Vec<(&'static str, &'static str)>,
    /// Wanted version; the last one otherwise.
    pub target: Option<&'static str>,
    /// Whether a way back is allowed.
    pub rollback: Rollback,
    /// How far the run goes.
    pub mode: Mode,
    /// What the database does.
    pub answer: Answer,
    /// Characters that the ledger's column `name` takes.
    pub name_limit: Option<usize>,
    /// The ledger belongs to somebody else.
    pub claimed: bool,
    /// GRANTs that are missing.
    pub missing_grants: Vec<String>,
    /// A version whose first statement an earlier run began, and how far that came.
    pub begun: Option<(&'static str, EntryState)>,
    /// What is asked of the database.
    pub checks: Vec<Check>,
    /// What it answers to each.
    pub check_answer: CheckAnswer,
}

/// A session that holds the migration lock.
fn holder(application: &str, is_same_identity: bool) -> Holder {
    Holder {
        pid: 4711,
        application_name: format!("schemaward/{application}"),
        user: "ledger".to_owned(),
        connected_seconds: Some(730),
        state: Some(("active".to_owned(), 720)),
        is_same_identity,
        waits_for: Vec::new(),
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            files: vec!["041", "042", "043", "044"],
            without_down: Vec::new(),
            applied: vec!["041"],
            orphans: Vec::new(),
            texts: Vec::new(),
            target: None,
            rollback: Rollback::Deny,
            mode: Mode::Migrate,
            answer: Answer::Works,
            name_limit: None,
            claimed: false,
            missing_grants: Vec::new(),
            begun: None,
            checks: Vec::new(),
            check_answer: CheckAnswer::Value(Some("true".to_owned())),
        }
    }
}

/// A version from its digits.
pub fn version(text: &str) -> Version {
    Version::parse(text).expect("digits")
}

fn owner(name: &str) -> Owner {
    Owner {
        cluster: "c".to_owned(),
        namespace: "billing".to_owned(),
        name: name.to_owned(),
        uid: "u".to_owned(),
    }
}

impl Scene {
    fn up(&self, digits: &str) -> String {
        let own = self.texts.iter().find(|(version, _)| *version == digits);
        own.map_or_else(
            || format!("SELECT {digits}"),
            |(_, text)| (*text).to_owned(),
        )
    }

    /// The migrations of the source.
    pub fn catalog(&self) -> Catalog {
        let up = self.files.iter().map(|digits| SourceFile {
            name: format!("{digits}_v{digits}_UP.sql"),
            bytes: self.up(digits).into_bytes(),
        });
        let with_down = self
            .files
            .iter()
            .filter(|file| !self.without_down.contains(file));
        let down = with_down.map(|digits| SourceFile {
            name: format!("{digits}_v{digits}_DOWN.sql"),
            bytes: format!("SELECT -{digits}").into_bytes(),
        });
        let listed: Vec<Listed> = self
            .files
            .iter()
            .map(|digits| Listed {
                version: version(digits),
                name: None,
                pin: None,
            })
            .collect();
        Catalog::from_files(up.chain(down).collect(), "schema_migrations", &|_| false)
            .and_then(|catalog| catalog.select(&listed))
            .expect("a set without defects")
    }

    /// As the scripts were when they were applied: with the default texts.
    fn history(&self) -> History {
        let rows = self.applied.iter().map(|digits| {
            let up = Checksum::of(format!("SELECT {digits}").as_bytes());
            let down = (!self.without_down.contains(digits))
                .then(|| Checksum::of(format!("SELECT -{digits}").as_bytes()));
            Applied {
                version: version(digits),
                name: format!("v{digits}"),
                applied_at: Some(at(-3600)),
                execution_time_ms: Some(12),
                checksum: Some(up.to_string()),
                stored: Some(Stored { up, down }),
            }
        });
        let orphans = self.orphans.iter().map(|digits| version(digits)).collect();
        History::new(rows.collect(), orphans).expect("a history")
    }

    /// What the journal has: the first statement of the begun version.
    fn journal(&self) -> Option<Begun> {
        let (digits, state) = self.begun?;
        Some(Begun {
            version: version(digits),
            direction: Direction::Up,
            entries: vec![Entry {
                first: 1,
                last: 1,
                checksum: Checksum::of(self.up(digits).as_bytes()),
                state,
                before: Some(Evidence::Nothing),
            }],
        })
    }

    fn task(&self) -> Task {
        Task {
            catalog: self.catalog(),
            target: self
                .target
                .map_or(Target::Latest, |target| Target::Version(version(target))),
            policy: Policy {
                rollback: self.rollback,
                ..Policy::default()
            },
            mode: self.mode.clone(),
            ledger: Ledger::default(),
            actor: Actor::Resource(owner("ledger")),
            patience: Patience {
                lock_wait: Duration::from_secs(15),
                lock_retries: 2,
                ..Patience::default()
            },
            allow_privileged_role: false,
            known: None,
            review: None,
            checks: self.checks.clone(),
            is_scratch: false,
        }
    }

    fn inspection(&self) -> Inspection {
        Inspection {
            server_seen: ServerSeen::default(),
            server: Server {
                version: "16.15".to_owned(),
                database: "ledger".to_owned(),
                user: "ledger".to_owned(),
            },
            ledger_exists: true,
            limits: LedgerLimits {
                name: self.name_limit,
                ..LedgerLimits::default()
            },
            installation: Some(Installation {
                database_id: Uuid::from_u128(7),
                audit_entries: 1,
                is_outdated: false,
            }),
            claim: Some(owner(if self.claimed { "other" } else { "ledger" })),
            history: self.history().with_begun(self.journal()),
            missing_grants: self.missing_grants.clone(),
            privileges: Vec::new(),
        }
    }

    fn answer(&self, request: &Request) -> Result<Observation, DatabaseError> {
        Ok(match (request, &self.answer) {
            (Request::Inspect, Answer::Error(kind)) => {
                return Err(DatabaseError::new(*kind, "Something is wrong. Mend it."));
            }
            (Request::Inspect | Request::Prepare(_) | Request::Decide(_), _) => {
                Observation::Inspected(Box::new(self.inspection()))
            }
            (Request::TryLock, Answer::LockHeld) => {
                Observation::LockHeld(Some(holder("cli", false)))
            }
            (Request::TryLock, Answer::PreviousRunStillActive) => {
                Observation::LockHeld(Some(holder("operator billing/ledger", true)))
            }
            (Request::TryLock, _) => Observation::Locked,
            (Request::Flush, _) => Observation::Flushed,
            (Request::Check(_), _) => Observation::Checked(self.check_answer.clone()),
            (Request::LoadDowns(versions), _) => {
                let text = |version| Some(format!("SELECT -{version}").into_bytes());
                Observation::DownsLoaded(versions.iter().map(text).collect())
            }
            (Request::Estimate(_), _) => Observation::Estimated(Estimate::default()),
            (Request::Execute(_), Answer::Loses) => {
                return Err(DatabaseError::new(
                    DatabaseErrorKind::ConnectionLost,
                    "The connection to db:5432 was lost.",
                ));
            }
            (Request::Execute(_), Answer::NoLocks) => {
                Observation::LockNotAvailable(vec![Blocker {
                    owner: LockOwner::Session {
                        pid: 4711,
                        application_name: "report".to_owned(),
                        state: Some("idle in transaction".to_owned()),
                    },
                    user: "ledger".to_owned(),
                    held_seconds: Some(720),
                    relation: Some("public.orders".to_owned()),
                }])
            }
            (Request::Execute(execution), Answer::Fails(kind)) => {
                Observation::Failed(ScriptFailure {
                    kind: *kind,
                    version: execution.version.clone(),
                    name: execution.name.clone(),
                    direction: match execution.record {
                        schemaward::engine::database::Record::Apply(_) => Direction::Up,
                        schemaward::engine::database::Record::Undo => Direction::Down,
                    },
                    statement: Some(3),
                    position: Some(Position { line: 7, column: 1 }),
                    sqlstate: Some("42P01".to_owned()),
                    message: "relation \"nowhere\" does not exist".to_owned(),
                    outside_transaction: false,
                    by_hand: None,
                })
            }
            (Request::Execute(_), _) => Observation::Done(Recorded {
                at: at(-1),
                execution_time_ms: 5,
                is_flushed: true,
                next_is_answered: false,
            }),
            (Request::Step(step), _) => match step.action {
                StepAction::Look(_) | StepAction::Start(_) => {
                    Observation::Step(StepObservation::Evidence(Evidence::Nothing))
                }
                _ => Observation::Step(StepObservation::Journaled),
            },
        })
    }

    /// The outcome of the run.
    pub fn outcome(&self) -> Outcome {
        let mut machine = Machine::new(self.task());
        let mut event = Event::Begin;
        loop {
            event = match machine.step(event) {
                Next::Ask(request) => match self.answer(&request) {
                    Ok(observation) => Event::Observed(Box::new(observation)),
                    Err(error) => Event::Failed(error),
                },
                Next::Pause(_) => Event::Waited(Duration::from_mins(1)),
                Next::MayRun | Next::Checkpoint(_) => Event::Continue,
                Next::Judge(scripts) => {
                    let judge = |script: ScriptText| {
                        let judged = Judgements::default().of(&script);
                        (script.key, judged)
                    };
                    Event::Judged(scripts.into_iter().map(judge).collect())
                }
                Next::Done(outcome) => return *outcome,
            };
        }
    }

    /// The attempt that the run is.
    pub fn attempt(&self) -> Attempt {
        Attempt::Ran(Box::new(self.outcome()))
    }
}
