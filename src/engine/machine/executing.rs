//! The part of a run that sends one script with its record.

use std::sync::Arc;

use crate::migration::checksum::Checksum;
use crate::migration::file_name::Direction;
use crate::migration::history::{Applied, Stored};
use crate::migration::new_tables::Outlook;
use crate::migration::plan::{DownSource, Step};
use crate::migration::script::Script;
use crate::migration::version::Version;

use super::{Machine, State};
use crate::engine::database::{Blocker, Execution, Record, Recorded, Request};
use crate::engine::error::{
    DatabaseError, DatabaseErrorKind, LockTimeout, ScriptFailure, ScriptFailureKind,
};
use crate::engine::event::{Next, Pause};
use crate::engine::judgement::texts;
use crate::engine::outcome::{Done, Stop};

/// A stored DOWN text that is not what was recorded.
pub(super) fn other_text(version: &Version) -> Stop {
    Stop::Database(DatabaseError::new(
        DatabaseErrorKind::HistoryUnreadable,
        format!(
            "The stored DOWN text of {version} does not have its recorded checksum. Nothing \
             of {version} was undone this time. Restore schema \"schemaward\" from a backup."
        ),
    ))
}

/// A stored DOWN text that is recorded and not there.
pub(super) fn no_text(version: &Version) -> Stop {
    Stop::Database(DatabaseError::new(
        DatabaseErrorKind::HistoryUnreadable,
        format!(
            "The stored DOWN text of {version} is recorded and not there. Nothing of {version} was \
             undone this time. Restore schema \"schemaward\" from a backup."
        ),
    ))
}

impl Machine {
    /// The text of the way back that is next is gone, although nobody else can have undone it.
    pub(super) fn no_text_to_run(&mut self) -> Next {
        match self.steps.front().cloned() {
            Some(Step::Undo { version, .. } | Step::Apply { version, .. }) => {
                self.stop(no_text(&version))
            }
            None => self.impossible("a DOWN text is missing that nobody wanted"),
        }
    }

    pub(super) fn begin_apply(&mut self, version: &Version) -> Next {
        let Some(migration) = self.task.catalog.get(version) else {
            return self.impossible("the plan names a version that is not known");
        };
        let (version, name) = (migration.version.clone(), migration.name.clone());
        let (bytes, record) = (migration.up.bytes.clone(), Record::Apply(texts(migration)));
        self.begin(version, name, &bytes, record)
    }

    pub(super) fn down_loaded(&mut self, bytes: &[u8]) -> Next {
        let Some(Step::Undo {
            version,
            name,
            down: DownSource::Stored(expected),
        }) = self.steps.front().cloned()
        else {
            return self.impossible("a DOWN text was loaded that nobody wanted");
        };
        if Checksum::of(bytes) != expected {
            return self.stop(other_text(&version));
        }
        let version = self.as_recorded(&version);
        self.begin(version, name, bytes, Record::Undo)
    }

    pub(super) fn begin(
        &mut self,
        version: Version,
        name: String,
        bytes: &[u8],
        record: Record,
    ) -> Next {
        let direction = record.direction();
        let ahead = self.ahead.take().filter(|(known, _)| *known == version);
        let script = match ahead {
            Some((_, script)) if direction == Direction::Up => Ok(script),
            _ => Script::parse(bytes, &self.task.ledger.table),
        };
        let script = match script {
            Ok(script) => script,
            Err(defects) => {
                return self.stop(Stop::Unusable {
                    version,
                    direction,
                    defects,
                });
            }
        };
        let outlook = self.new_tables.take_in(&script);
        let followed_by = match &record {
            Record::Apply(texts) if outlook == Outlook::MomentsAlone => self.that_follow(texts),
            Record::Apply(_) | Record::Undo => None,
        };
        let may_flush_later = followed_by.is_some() || self.may_flush_later(&record);
        let execution = Execution {
            version,
            name,
            script,
            record,
            actor: self.actor(),
            followed_by,
            may_flush_later,
        };
        let begun = match self.begun_of(&execution) {
            Ok(begun) => begun,
            Err(blocked) => return self.stop(Stop::Blocked(blocked)),
        };
        if begun.is_some() || execution.script.has_parts() {
            return self.begin_parts(execution, begun.as_ref());
        }
        self.running = Some(Arc::new(execution));
        self.execute(1)
    }

    /// The next version, of which nobody has to be asked any more because it was sent along with the one before.
    pub(super) fn go_on_with(&mut self, execution: Arc<Execution>) -> Next {
        let is_next = matches!(self.steps.front(), Some(Step::Apply { version, .. }) if *version == execution.version);
        if !is_next {
            return self.impossible("a version was sent along that is not the next one");
        }
        self.new_tables.take_in(&execution.script);
        self.running = Some(execution);
        self.execute(1)
    }

    pub(super) fn execute(&mut self, attempt: u32) -> Next {
        match self.running.clone() {
            Some(execution) => self.ask(State::Executing { attempt }, Request::Execute(execution)),
            None => self.impossible("nothing to execute"),
        }
    }

    pub(super) fn lock_not_available(&mut self, attempt: u32, blockers: Vec<Blocker>) -> Next {
        let Some(execution) = &self.running else {
            return self.impossible("nothing was executing");
        };
        let attempts = self.task.patience.lock_retries + 1;
        if attempt >= attempts {
            let timeout = LockTimeout {
                version: execution.version.clone(),
                name: execution.name.clone(),
                attempts,
                blockers,
            };
            return self.stop(Stop::LockTimeout(timeout));
        }
        let version = execution.version.clone();
        self.state = State::PausedBeforeRetry { attempt };
        Next::Pause(Pause::BeforeRetry {
            is_under_way: false,
            version,
            attempt: attempt + 1,
            attempts,
            blockers,
            remains: None,
        })
    }

    pub(super) fn executed(&mut self, recorded: Recorded) -> Next {
        match self.running.take() {
            Some(execution) => self.committed(execution, recorded),
            None => self.impossible("nothing was executing"),
        }
    }

    /// A version is there with its record, and stays. False: there was no look at the history.
    pub(super) fn recorded(&mut self, execution: &Execution, recorded: Recorded) -> bool {
        let Some(history) = &mut self.outcome.history else {
            return false;
        };
        match &execution.record {
            Record::Apply(texts) => history.insert(Applied {
                version: execution.version.clone(),
                name: execution.name.clone(),
                applied_at: Some(recorded.at),
                execution_time_ms: Some(recorded.execution_time_ms),
                checksum: Some(texts.up_checksum.to_string()),
                stored: Some(Stored {
                    up: texts.up_checksum,
                    down: texts.down_checksum,
                }),
            }),
            Record::Undo => history.remove(&execution.version),
        }
        history.set_begun(None);
        self.outcome.done.push(Done {
            version: execution.version.clone(),
            name: execution.name.clone(),
            direction: execution.record.direction(),
            at: recorded.at,
            execution_time_ms: recorded.execution_time_ms,
        });
        if let Some(entries) = &mut self.outcome.audit_entries {
            *entries += 1;
        }
        true
    }

    pub(super) fn script_failed(&mut self, failure: ScriptFailure) -> Next {
        let escaped = failure.kind == ScriptFailureKind::TransactionEscaped;
        let reason = Stop::Script(Box::new(failure));
        match &self.running {
            Some(execution) if escaped => {
                let execution = Arc::clone(execution);
                self.note_escape(execution, reason)
            }
            _ => self.stop(reason),
        }
    }
}
