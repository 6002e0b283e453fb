//! The part of a run that looks through a plan before it may run.

use std::sync::Arc;

use crate::migration::blocked::Blocked;
use crate::migration::checksum::Checksum;
use crate::migration::lint::Loss;
use crate::migration::plan::{DownSource, Plan, Step, plan};
use crate::migration::target::{Policy, Rollback};
use crate::migration::version::Version;

use super::checking::Then;
use super::executing::{no_text, other_text};
use super::{Machine, State};
use crate::engine::database::{MOST_DOWNS_AT_ONCE, Request};
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::event::{Announcement, Next};
use crate::engine::hold::Hold;
use crate::engine::judgement::Judgement;
use crate::engine::loss::{Estimate, MAX_ASKED, is_in_catalog};
use crate::engine::outcome::{End, Stop};
use crate::engine::review::{ReviewedScript, ScriptText, hold, is_approved_anew, reviewed};
use crate::engine::task::Mode;

/// Which look a plan is from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// The first one, without the lock.
    Looked,
    /// The second one, under the lock.
    Locked,
    /// The one after what was missing was created.
    Prepared,
}

/// A text that is read.
#[derive(Debug, Clone)]
pub(super) struct ReadDown {
    version: Version,
    checksum: Checksum,
}

/// What follows once a plan was looked through.
#[derive(Debug, Clone)]
pub(super) enum Reviewed {
    /// It runs, unless somebody wants it to wait.
    Run(Stage, Box<Judgement>),
    /// The run stops, because nobody allows this way back.
    Denied(Plan, Box<Stop>),
}

impl Reviewed {
    fn plan(&self) -> &Plan {
        match self {
            Self::Run(_, judgement) => &judgement.plan,
            Self::Denied(plan, _) => plan,
        }
    }
}

impl Machine {
    /// Stops; where going back is denied, finds out before what that would take away.
    pub(super) fn denied(&mut self, stop: Stop) -> Next {
        let (Some(_), Some(history), Stop::Blocked(Blocked::DatabaseAhead { .. })) =
            (&self.task.review, &self.outcome.history, &stop)
        else {
            return self.stop(stop);
        };
        let allowed = Policy {
            rollback: Rollback::Allow,
            ..self.task.policy.clone()
        };
        match plan(&self.task.catalog, history, &self.task.target, &allowed) {
            Ok(plan) => {
                self.steps = plan.steps.clone().into();
                self.look_through(Reviewed::Denied(plan, Box::new(stop)))
            }
            Err(_) => self.stop(stop),
        }
    }

    /// Looks through a plan, once all of its texts are read and the catalog told what they take away. Without a review
    /// the run goes on at once.
    pub(super) fn look_through(&mut self, then: Reviewed) -> Next {
        let of = self.unread();
        if !of.is_empty() {
            let versions = of.iter().map(|of| self.as_recorded(&of.version));
            let request = Request::LoadDowns(versions.collect());
            let then = Box::new(then);
            return self.ask(State::ReadingDowns { of, then }, request);
        }
        let unjudged = self.unjudged(then.plan());
        if !unjudged.is_empty() {
            self.state = State::Judging(Box::new(then));
            return Next::Judge(unjudged);
        }
        self.review(then.plan());
        if let Some(losses) = self.unestimated() {
            let request = Request::Estimate(Arc::clone(&losses));
            let then = Box::new(then);
            return self.ask(State::Estimating { losses, then }, request);
        }
        match then {
            Reviewed::Run(at, judgement) => self.may_run(at, judgement),
            Reviewed::Denied(_, stop) => {
                let reviewed = self.outcome.reviewed.take();
                self.outcome.denied = reviewed.map_or_else(Vec::new, |plan| plan.losses);
                self.stop(*stop)
            }
        }
    }

    /// Goes on with a plan that was looked through, unless somebody wants it to wait.
    fn may_run(&mut self, at: Stage, judgement: Box<Judgement>) -> Next {
        if let Some(stop) = self.held() {
            return self.stop(stop);
        }
        // What was created meanwhile changes no answer of the caller's.
        let is_asked = !matches!(at, Stage::Prepared) && self.task.mode == Mode::Migrate;
        if !is_asked || self.left().is_empty() {
            return self.go_on(at, *judgement);
        }
        self.state = State::BeforePlan { at, judgement };
        Next::MayRun
    }

    /// What follows from a look, once its plan may run.
    pub(super) fn go_on(&mut self, at: Stage, judgement: Judgement) -> Next {
        let idle = judgement.nothing_to_do();
        match at {
            Stage::Looked if self.task.mode == Mode::Plan => self.end(End::Planned),
            Stage::Looked if idle => self.check_after(),
            Stage::Looked => {
                self.is_optional = judgement.only_notes_the_server();
                self.ask(State::TryingLock, Request::TryLock)
            }
            Stage::Locked => match judgement.preparation {
                Some(preparation) => self.check_before(Then::Prepare(
                    Box::new(preparation),
                    judgement.server_change,
                )),
                None => self.check_before(Then::Begin),
            },
            Stage::Prepared
                if judgement
                    .preparation
                    .is_some_and(|preparation| preparation.is_essential) =>
            {
                self.impossible("the preparation did not last")
            }
            Stage::Prepared => self.checkpoint(),
        }
    }

    pub(super) fn announcement(&self) -> Option<Announcement> {
        let reviewed = self.outcome.reviewed.as_ref();
        Some(Announcement {
            plan: self.outcome.plan.clone()?,
            losses: reviewed.map_or_else(Vec::new, |plan| plan.losses.clone()),
        })
    }

    /// The scripts of the plan that was looked through which did not run yet; none without a review.
    #[must_use]
    pub fn left(&self) -> &[ReviewedScript] {
        let scripts = self.outcome.reviewed.as_ref().map(|plan| &plan.scripts);
        scripts
            .and_then(|scripts| scripts.get(self.ran()..))
            .unwrap_or_default()
    }

    /// How many scripts of the plan ran.
    fn ran(&self) -> usize {
        self.outcome.done.len() + self.unflushed.len()
    }

    /// The caller wants what is left to wait.
    pub(super) fn hold(&mut self, hold: Hold) -> Next {
        let review = self.task.review.as_ref();
        let reviewed = review.zip(self.outcome.reviewed.as_ref());
        let is_approved_anew =
            reviewed.is_some_and(|(review, plan)| is_approved_anew(review, plan, self.ran()));
        let hold = if is_approved_anew {
            hold.approved_anew()
        } else {
            hold
        };
        self.end(End::Stopped(Stop::Held(Box::new(hold))))
    }

    /// What would run is not known, and cannot be found out.
    pub(super) fn unread_because(&mut self, then: Reviewed, why: Stop) -> Next {
        self.stop(match then {
            Reviewed::Run(..) => why,
            Reviewed::Denied(_, stop) => *stop,
        })
    }

    pub(super) fn estimated(
        &mut self,
        losses: Arc<[Loss]>,
        estimate: Estimate,
        then: Reviewed,
    ) -> Next {
        self.estimated = Some((losses, estimate));
        self.look_through(then)
    }

    /// An estimate is for a person to read, and no run depends on it: what it would have said is not known. Where the
    /// session may be gone, or is not ours, there is nothing to go on with.
    pub(super) fn not_estimated(
        &mut self,
        losses: Arc<[Loss]>,
        then: Reviewed,
        error: DatabaseError,
    ) -> Next {
        let has_session = match error.kind {
            DatabaseErrorKind::Cancelled
            | DatabaseErrorKind::LockLost
            | DatabaseErrorKind::PoolerDetected => false,
            DatabaseErrorKind::ConnectionLost => error.sqlstate.is_some(),
            _ => true,
        };
        if has_session {
            self.estimated(losses, Estimate::default(), then)
        } else {
            self.unread_because(then, Stop::Database(error))
        }
    }

    /// Takes in the texts of the first of the versions that were asked for; the others are asked for next.
    pub(super) fn downs_read(
        &mut self,
        of: &[ReadDown],
        texts: &[Option<Vec<u8>>],
        then: Reviewed,
    ) -> Next {
        if texts.is_empty() {
            return self.impossible("nothing was read of the texts that were asked for");
        }
        for (of, text) in of.iter().zip(texts) {
            let Some(bytes) = text else {
                return self.down_missing(of, then);
            };
            if Checksum::of(bytes) != of.checksum {
                return self.unread_because(then, other_text(&of.version));
            }
            self.scripts.keep(of.checksum, bytes);
        }
        self.look_through(then)
    }

    /// The text is gone. Without the lock somebody else may have undone the version since the look, so it is looked
    /// again; a text that is missing twice is missing.
    fn down_missing(&mut self, of: &ReadDown, then: Reviewed) -> Next {
        let is_news = self.missed.as_ref() != Some(&of.version);
        if matches!(then, Reviewed::Run(Stage::Looked, _)) && is_news {
            self.missed = Some(of.version.clone());
            return self.ask(State::Looking, Request::Inspect);
        }
        self.unread_because(then, no_text(&of.version))
    }

    /// Looks through a plan that somebody wants to know of, and keeps what it found for the outcome.
    fn review(&mut self, plan: &Plan) {
        self.outcome.reviewed = None;
        let (Some(review), Some(history)) = (&self.task.review, &self.outcome.history) else {
            return;
        };
        if plan.steps.is_empty() {
            return;
        }
        let table = &self.task.ledger.table;
        let mut scripts = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let catalog = &self.task.catalog;
            let script = self
                .scripts
                .look_through(step, catalog, &review.policy, table);
            scripts.push(script);
        }
        let estimate = self.estimated.as_ref();
        let estimate = estimate
            .map(|(_, estimate)| estimate.clone())
            .unwrap_or_default();
        self.outcome.reviewed = Some(reviewed(review, plan, history, scripts, &estimate));
    }

    /// The scripts of a plan that somebody wants to know of, as far as they were not judged yet.
    fn unjudged(&self, plan: &Plan) -> Vec<ScriptText> {
        if self.task.review.is_none() {
            return Vec::new();
        }
        let (catalog, table) = (&self.task.catalog, &self.task.ledger.table);
        let steps = plan.steps.iter();
        steps
            .filter_map(|step| self.scripts.unjudged(step, catalog, table))
            .collect()
    }

    /// What the plan's ways back would take away, when the catalog has something to say of it and was not asked.
    fn unestimated(&self) -> Option<Arc<[Loss]>> {
        let plan = self.outcome.reviewed.as_ref()?;
        let losses = plan.script_losses().take(MAX_ASKED);
        let losses: Arc<[Loss]> = losses.map(|(_, loss)| loss.clone()).collect();
        let asked = self.estimated.as_ref().map(|(asked, _)| asked);
        let is_new = asked.is_none_or(|asked| *asked != losses);
        (is_new && losses.iter().any(is_in_catalog)).then_some(losses)
    }

    /// Why the plan may not run, if it may not.
    fn held(&self) -> Option<Stop> {
        if self.task.mode != Mode::Migrate {
            return None;
        }
        let review = self.task.review.as_ref()?;
        let plan = self.outcome.reviewed.as_ref()?;
        let hold = hold(review, plan, &self.task.actor)?;
        Some(Stop::Held(Box::new(hold)))
    }

    /// The ways back whose stored texts were not read yet, when somebody wants to know what they do.
    fn unread(&self) -> Vec<ReadDown> {
        if self.task.review.is_none() {
            return Vec::new();
        }
        let unread = self.steps.iter().filter_map(|step| match step {
            Step::Undo {
                version,
                down: DownSource::Stored(checksum),
                ..
            } if self.scripts.down(*checksum).is_none() => Some(ReadDown {
                version: version.clone(),
                checksum: *checksum,
            }),
            Step::Undo { .. } | Step::Apply { .. } => None,
        });
        unread.take(MOST_DOWNS_AT_ONCE).collect()
    }

    /// The text of the way back that is next, when it was read before.
    pub(super) fn read_already(&self) -> Option<Arc<[u8]>> {
        match self.steps.front()? {
            Step::Undo {
                down: DownSource::Stored(checksum),
                ..
            } => self.scripts.down(*checksum).cloned(),
            Step::Undo { .. } | Step::Apply { .. } => None,
        }
    }

    /// In whose name a version runs, who approved it, and what it can be restored to, for the audit.
    pub(super) fn actor(&self) -> String {
        let actor = &self.task.actor;
        let approved = self.outcome.reviewed.as_ref().and_then(|plan| {
            let approved = plan.approved.as_ref()?;
            Some(format!(
                ", plan {} approved by {}",
                approved.plan.short(),
                approved.by
            ))
        });
        let review = self.task.review.as_ref();
        let wal = review
            .and_then(|review| review.wal_position.as_ref())
            .map(|position| format!(", WAL before the run at {position}"));
        format!(
            "{actor}{}{}",
            approved.unwrap_or_default(),
            wal.unwrap_or_default()
        )
    }
}
