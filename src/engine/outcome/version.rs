//! The sentences about a version that was under way when the run ended.

use super::{Outcome, Stop};
use crate::engine::check::Moment;
use crate::engine::error::{
    DatabaseError, DatabaseErrorKind, InDoubt, ScriptFailure, ScriptFailureKind,
};
use crate::migration::begun::{BEGUN, Begun};
use crate::migration::blocked::Blocked;
use crate::migration::file_name::Direction;
use crate::migration::version::Version;

impl Outcome {
    /// What this run did before checks failed, and where the database stands, as a clause that starts a
    /// sentence.
    pub(super) fn was_run(&self, moment: Moment) -> String {
        let stands_at = self.stands_at();
        match (moment, self.what_was_done()) {
            (Moment::Before, _) => {
                format!("Asked before the first version, so nothing was changed; {stands_at}")
            }
            (Moment::After, None) => format!("Nothing was run; {stands_at}"),
            (Moment::After, Some(done)) => {
                let recorded = if self.done.len() == 1 { "is" } else { "are" };
                format!("{done} and {recorded} recorded; {stands_at}")
            }
        }
    }

    /// What this run did before it was held, and where the database stands, as a clause that starts a sentence.
    pub(super) fn so_far(&self) -> String {
        let begun = self.history.as_ref().and_then(|history| history.begun());
        match begun {
            _ if !self.done.is_empty() => self.was_run(Moment::After),
            None => format!("Nothing was changed; {}", self.stands_at()),
            Some(begun) => format!(
                "Nothing was changed in this run; {} {} ({}); {}",
                begun.script(),
                self.how_begun("an earlier one"),
                begun.progress(),
                self.stands_at()
            ),
        }
    }

    /// A sentence, after a blank, about a version that another run began and this one did not go on with: a
    /// message that nothing was changed is not all that is to be known. Empty when there is none.
    pub(super) fn half_done(&self) -> String {
        let begun = self.history.as_ref().and_then(|history| history.begun());
        match begun {
            // What became of it in this run is told already.
            _ if self.remains.is_some() => String::new(),
            None => String::new(),
            Some(begun) => format!(" {}", begun.sentence(&self.how_begun("an earlier run"))),
        }
    }

    /// What is known of a version that is begun. Without the lock, whoever began it may be at it now.
    fn how_begun(&self, by: &str) -> String {
        if self.is_locked {
            format!("was begun by {by} and is not finished")
        } else {
            BEGUN.to_owned()
        }
    }

    pub(super) fn interrupted_message(&self) -> String {
        if self.history.is_none() {
            return "Stopped on request before the database was looked at. Nothing was changed."
                .to_owned();
        }
        let Some(remains) = &self.remains else {
            return format!(
                "Stopped between versions on request; {}. The rest runs next time.",
                self.stands_at()
            );
        };
        format!(
            "Stopped on request. {remains}, and {}. The rest runs next time.",
            self.stands_at()
        )
    }

    /// Trouble with the database, with what it was at, and what that means for a version that does not run in
    /// one transaction, and for those that nothing was told of.
    pub(super) fn database_message(&self, error: &DatabaseError) -> String {
        let is = |kind| error.kind == kind;
        let message = match (&self.remains, &self.under_way) {
            (Some(remains), _) => format!("{error} {remains}, and {}.", self.stands_at()),
            (None, Some(under_way)) if is(DatabaseErrorKind::ConnectionLost) => {
                let along = under_way.up_to.as_ref().map_or_else(String::new, |last| {
                    format!(", and those up to {last} may have been sent along with it")
                });
                format!(
                    "{error} The version under way was {under_way}{along}{}.",
                    self.before_it()
                )
            }
            (None, Some(under_way)) if is(DatabaseErrorKind::Cancelled) => format!(
                "{error} {}{}. The rest runs next time.",
                self.left_of(&under_way.version, under_way.direction),
                self.and_stands_at()
            ),
            (None, Some(under_way)) if is(DatabaseErrorKind::LockLost) => format!(
                "{error} {} was not begun; those before it stay.",
                under_way.version
            ),
            (None, None) if is(DatabaseErrorKind::LockLost) && self.unflushed.is_empty() => {
                format!("{error} Nothing was changed.")
            }
            (None, _) => error.to_string(),
        };
        message + &self.untold()
    }

    /// A sentence about versions of this run that nothing was told of.
    fn untold(&self) -> String {
        match self.unflushed.as_slice() {
            [] => String::new(),
            [only] => format!(
                " {only} was committed in this run; only a crash of the server can have taken it back."
            ),
            [first, .., last] => format!(
                " {first} to {last} were committed in this run; only a crash of the server can have taken them back."
            ),
        }
    }

    pub(super) fn script_message(&self, failure: &ScriptFailure) -> String {
        let version = &failure.version;
        if failure.kind == ScriptFailureKind::TransactionEscaped {
            let annotation = self.resolve_annotation();
            return format!(
                "{failure}. A part of {version} may be in the database, and it is not recorded; {}. \
                 Look at the objects it names, then say what is true: `schemaward resolve {version} \
                 applied`, or, when nothing of it is left, `schemaward resolve {version} retry`{annotation}.",
                self.stands_at()
            );
        }
        format!(
            "{failure}. {}; {}. {}{}",
            self.left_of(version, failure.direction),
            self.stands_at(),
            remedy(failure, self.remains.is_some()),
            self.baseline_advice(failure)
        )
    }

    /// An empty history, and something that is there already: the database may be older than its history.
    fn baseline_advice(&self, failure: &ScriptFailure) -> String {
        let is_fresh = self.remains.is_none()
            && self
                .history
                .as_ref()
                .is_some_and(|history| !history.was_used());
        let code = failure.sqlstate.as_deref();
        let is_there = code.is_some_and(|code| ALREADY_THERE.contains(&code));
        if failure.direction == Direction::Down || !is_fresh || !is_there {
            return String::new();
        }
        format!(
            " If all of {0} was in the database before, record it instead of running it, by spec.baseline \
             or `schemaward up --baseline {0}`.",
            failure.version
        )
    }

    fn resolve_annotation(&self) -> String {
        let begun = self.history.as_ref().and_then(|history| history.begun());
        begun
            .and_then(Begun::resolve_annotation)
            .unwrap_or_default()
    }

    pub(super) fn in_doubt_message(&self, doubt: &InDoubt) -> String {
        let version = &doubt.version;
        let remains = self
            .remains
            .as_ref()
            .map_or_else(|| format!("{version} is not recorded"), Clone::clone);
        format!(
            "{doubt}: whether it was done cannot be told. It runs outside of a transaction, {}. {remains}; {}. \
             Look whether it took effect, then say so: `schemaward resolve {version} applied` or \
             `schemaward resolve {version} retry`{}.",
            doubt.why,
            self.stands_at(),
            self.resolve_annotation()
        )
    }

    /// What is there of a version that is not recorded, as a clause that starts a sentence.
    pub(super) fn left_of(&self, version: &Version, direction: Direction) -> String {
        match (&self.remains, direction) {
            (Some(remains), _) => remains.clone(),
            (None, Direction::Up) => format!("Nothing of {version} was applied"),
            (None, Direction::Down) => format!("Nothing of {version} was undone"),
        }
    }
}

/// Whether the message about it says what there is of a version that was begun.
pub(super) fn tells_what_is_half_done(stop: &Stop) -> bool {
    match stop {
        Stop::Held(_)
        | Stop::Script(_)
        | Stop::InDoubt(_)
        | Stop::Blocked(Blocked::Begun { .. }) => true,
        Stop::Blocked(_)
        | Stop::Database(_)
        | Stop::Claimed(_)
        | Stop::Refused(_)
        | Stop::DoesNotFit(_)
        | Stop::LockHeld(_)
        | Stop::PreviousRunStillActive(_)
        | Stop::LockTimeout(_)
        | Stop::ChecksFailed(_)
        | Stop::Unusable { .. } => false,
    }
}

/// SQLSTATEs of an object that exists: a column, schema, table, function or any other.
const ALREADY_THERE: [&str; 5] = ["42701", "42P06", "42P07", "42723", "42710"];

/// What to do about a script that failed; `is_begun`: the statements before the failed one are done.
fn remedy(failure: &ScriptFailure, is_begun: bool) -> String {
    let version = &failure.version;
    if let Some(command) = &failure.by_hand {
        return format!(
            "Run it by hand, as a role that may (a superuser, where the index is in schema pg_toast): `{command}`. \
             Then let {version} run again."
        );
    }
    if failure.kind == ScriptFailureKind::InvalidIndex {
        return format!(
            "Drop or rebuild it, or give it another name, and let {version} run again."
        );
    }
    if failure.direction == Direction::Down {
        let or = if is_begun {
            "and let it run again".to_owned()
        } else {
            format!("or set the target back to {version}")
        };
        return format!("Remove what the DOWN script stumbles on, {or}.");
    }
    let correct = match failure.statement {
        Some(statement) if is_begun => {
            format!("correct {version} from statement {statement} on and commit")
        }
        _ => format!("correct {version} and commit"),
    };
    match failure.kind {
        ScriptFailureKind::Failed
        | ScriptFailureKind::TransactionEscaped
        | ScriptFailureKind::InvalidIndex => correct.replacen('c', "C", 1) + ".",
        ScriptFailureKind::PermissionDenied => format!("Grant the role that right, or {correct}."),
        ScriptFailureKind::LockTableFull => format!(
            "The server's lock table is full: raise max_locks_per_transaction there, or split {version} into \
             versions that touch fewer objects each, and commit."
        ),
        ScriptFailureKind::OutOfMemory => format!(
            "Give the server more memory (work_mem and maintenance_work_mem count), or split {version} and commit."
        ),
        ScriptFailureKind::StatementTimeout => format!(
            "Raise execution.statementTimeout (--statement-timeout), or split {version} and commit."
        ),
    }
}
