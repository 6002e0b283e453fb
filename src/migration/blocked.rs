//! Why there is no plan.

use std::fmt;

use super::begun::Begun;
use super::file_name::Direction;
use super::history::AuditDefect;
use super::mismatch::{self, Mismatch};
use super::text::{NAMED, by_number, list};
use super::version::Version;

/// Why there is no plan. Displayed as the sentences that a person reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Texts that are not what was applied, or not what the resource pins.
    ChecksumMismatch(Vec<Mismatch>),
    /// Applied versions below the target that are no longer in the set.
    VersionMissing(Vec<Version>),
    /// Versions that are not applied while one above them is.
    OutOfOrder {
        /// The versions that came too late.
        pending: Vec<Version>,
        /// The highest applied version up to the target.
        current: Version,
    },
    /// The database is above the target, and going back is denied.
    DatabaseAhead {
        /// The versions above the target, lowest first.
        applied: Vec<Version>,
        /// `None`: the target is a database that nothing is applied to.
        target: Option<Version>,
    },
    /// Versions that would have to be undone and have no DOWN.
    DownMissing(Vec<Version>),
    /// Our record without a ledger row, or a ledger checksum that differs from our record.
    HistoryTampered(Vec<Version>),
    /// The audit is not as it was written.
    AuditTampered(AuditDefect),
    /// The target is not a version of the set.
    UnknownTarget(Version),
    /// A baseline is wanted for a history that is in use, or was, and does not have it.
    NotEmpty {
        /// The version that was to be the baseline.
        baseline: Version,
        /// The highest applied version; `None`: all were undone.
        current: Option<Version>,
    },
    /// The baseline is not a version of the set, or is above the target.
    BaselineOutOfReach {
        /// The version that was to be the baseline.
        baseline: Version,
        /// The target; `None` when the set has no such version.
        target: Option<Version>,
    },
    /// Versions that a baseline recorded would have to be undone.
    BelowBaseline(Vec<Version>),
    /// A version was begun and cannot be gone on with.
    Begun {
        /// How far it came.
        begun: Begun,
        /// Why not.
        problem: BegunProblem,
    },
}

/// Why a version that was begun cannot be gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BegunProblem {
    /// Its file is no longer in the set.
    Gone,
    /// This version, which is not applied either, comes before it.
    Behind(Version),
    /// The target does not ask for it.
    NotWanted,
    /// What was begun is no longer what the file says, from this statement on.
    Changed {
        /// Its number in the file, from 1.
        statement: usize,
    },
    /// It ended the transaction that it ran in, so what it did cannot be told.
    Escaped,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChecksumMismatch(mismatches) => mismatch::sentences(f, mismatches),
            Self::VersionMissing(versions) => {
                let (are, their) = by_number(versions.len(), ("is", "its"), ("are", "their"));
                write!(
                    f,
                    "{} {are} applied, but {their} files are no longer in the set, which goes on above. \
                     The database was not changed. Bring the files back.",
                    list(versions)
                )
            }
            Self::OutOfOrder { pending, current } => {
                let (are, them) = by_number(pending.len(), ("is", "it"), ("are", "them"));
                write!(
                    f,
                    "{} {are} not applied, but {current}, which comes later, is. The database was not changed. \
                     Renumber {them} above {current}.",
                    list(pending)
                )
            }
            Self::DatabaseAhead { applied, target } => database_ahead(f, applied, target.as_ref()),
            Self::DownMissing(versions) => {
                let (was, files) = by_number(
                    versions.len(),
                    ("it was", "a DOWN file for it"),
                    ("they were", "DOWN files for them"),
                );
                write!(
                    f,
                    "{} cannot be undone: no DOWN was kept when {was} applied, and the set has none. The database \
                     was not changed. Add {files}, or keep the target where the database is.",
                    list(versions)
                )
            }
            Self::HistoryTampered(versions) => write!(
                f,
                "The history of {} was changed by another program: the row in the history table is gone, or its \
                 checksum is not the one that was recorded. The database was not changed. Find out who did it, and \
                 put the row back as it was; or accept the history as it stands, {}: a version without a row counts \
                 as not applied then.",
                list(versions),
                acceptance(versions)
            ),
            Self::AuditTampered(defect) => write!(
                f,
                "The audit was changed by another program: {defect}. The database was not changed. Find out who did \
                 it, and restore schema schemaward from a backup; or, once you have seen by `schemaward audit` what is \
                 wrong in it, accept the audit as it stands, by annotation schemaward.dev/accept=audit or by \
                 `schemaward accept --audit`: then that counts as true."
            ),
            Self::UnknownTarget(version) => write!(
                f,
                "The target {version} is not a version of the set. The database was not changed. Choose one that \
                 is, or add its file."
            ),
            Self::NotEmpty { baseline, current } => not_empty(f, baseline, current.as_ref()),
            Self::BaselineOutOfReach { baseline, target } => {
                out_of_reach(f, baseline, target.as_ref())
            }
            Self::BelowBaseline(versions) => {
                let (was, files) = by_number(
                    versions.len(),
                    (
                        "was in the database before its history, so it was",
                        "its DOWN file is right for what is there, accept it",
                    ),
                    (
                        "were in the database before its history, so they were",
                        "their DOWN files are right for what is there, accept them",
                    ),
                );
                write!(
                    f,
                    "{} {was} never run here and cannot be undone from here. The database was not changed. Keep the \
                     target at the baseline or above it; or, if {files}, {}.",
                    list(versions),
                    acceptance(versions)
                )
            }
            Self::Begun { begun, problem } => begun_problem(f, begun, problem),
        }
    }
}

fn not_empty(
    f: &mut fmt::Formatter<'_>,
    baseline: &Version,
    current: Option<&Version>,
) -> fmt::Result {
    match current {
        Some(current) => write!(
            f,
            "The history is at {current} and does not have the baseline {baseline}."
        )?,
        None => write!(
            f,
            "The history is empty because its versions were undone, the baseline {baseline} too."
        )?,
    }
    f.write_str(
        " The database was not changed: a baseline is only for a database whose history was never used. Take it away \
         (spec.baseline, --baseline), and what is missing is applied.",
    )
}

fn out_of_reach(
    f: &mut fmt::Formatter<'_>,
    baseline: &Version,
    target: Option<&Version>,
) -> fmt::Result {
    match target {
        Some(target) => write!(f, "The baseline {baseline} is above the target {target}."),
        None => write!(f, "The baseline {baseline} is not a version of the set."),
    }?;
    f.write_str(" The database was not changed. Choose a version of the set up to the target.")
}

fn begun_problem(f: &mut fmt::Formatter<'_>, begun: &Begun, problem: &BegunProblem) -> fmt::Result {
    let (script, version) = (begun.script(), &begun.version);
    if *problem == BegunProblem::Escaped {
        return write!(
            f,
            "{script} ended the transaction that it ran in, so a part of it may be in the database, and it \
             is not recorded. Nothing is run until a person looked at the objects that it names. Then say what is \
             true: `schemaward resolve {version} applied`, or, when nothing of it is left, `schemaward resolve \
             {version} retry`{}.",
            begun.resolve_annotation().unwrap_or_default()
        );
    }
    write!(
        f,
        "{script} was begun and is not finished ({}), ",
        begun.progress()
    )?;
    match problem {
        BegunProblem::Gone => write!(
            f,
            "and its file is no longer in the set. The database was not changed. Bring the file back; what is \
             not done of it may be corrected or taken out."
        ),
        BegunProblem::Behind(lower) => write!(
            f,
            "but {lower}, which comes before it, is not applied. The database was not changed. Renumber {lower} \
             above {version}."
        ),
        BegunProblem::NotWanted => match begun.direction {
            Direction::Up => write!(
                f,
                "and the target is below it. The database was not changed: there is no way back from a version \
                 that is not recorded. Let {version} finish first (correct what fails, or take it out of the \
                 file), and then undo it."
            ),
            Direction::Down => write!(
                f,
                "and the target asks for {version}. The database was not changed. Let the way back finish first \
                 (a target below {version}), and then apply {version} again."
            ),
        },
        BegunProblem::Changed { statement } => write!(
            f,
            "but the file is no longer what was begun, from statement {statement} on. The database was not \
             changed. Restore the statements that were begun; those behind them may be corrected."
        ),
        BegunProblem::Escaped => Ok(()),
    }
}

/// How a person accepts these: in a cluster, and from a terminal.
pub(super) fn acceptance<T: fmt::Display>(accepted: &[T]) -> String {
    if accepted.len() > NAMED {
        return "by annotation schemaward.dev/accept or by `schemaward accept`, with the versions"
            .to_owned();
    }
    let all: Vec<String> = accepted.iter().map(ToString::to_string).collect();
    format!(
        "by annotation schemaward.dev/accept={} or by `schemaward accept {}`",
        all.join(","),
        all.join(" ")
    )
}

fn database_ahead(
    f: &mut fmt::Formatter<'_>,
    applied: &[Version],
    target: Option<&Version>,
) -> fmt::Result {
    let versions = list(applied);
    let Some(target) = target else {
        return write!(
            f,
            "{versions} {} applied, but the set holds no migrations. The database was not changed: an empty set is \
             never taken as the wish to undo everything. Bring the files back.",
            by_number(applied.len(), "is", "are")
        );
    };
    let newest = applied.iter().max().unwrap_or(target);
    write!(
        f,
        "The database is at {newest}, above the target {target}, and going back is not allowed. The database was not \
         changed. To stay, keep {newest} in the set and as the target; to undo {versions}, allow it \
         (spec.rollback.policy: Allow, or `schemaward down --to {target}`)."
    )
}

impl std::error::Error for Blocked {}

#[cfg(test)]
mod tests;
