//! The part of a run that looks through a plan before it may run.

use std::sync::Arc;

use crate::migration::checksum::Checksum;
use crate::migration::plan::{DownSource, Step};
use crate::migration::version::Version;

use super::executing::{no_text, other_text};
use super::{Machine, State};
use crate::engine::database::Request;
use crate::engine::event::Next;
use crate::engine::judgement::Judgement;
use crate::engine::outcome::Stop;
use crate::engine::review::{ReviewedScript, hold, reviewed};
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

impl Machine {
    /// Looks through the plan of a judgement, once all of its texts are read, and goes on unless somebody
    /// wants it to wait. Without a review it goes on at once.
    pub(super) fn look_through(&mut self, at: Stage, judgement: Judgement) -> Next {
        if let Some(of) = self.unread() {
            let request = Request::LoadDown(self.as_recorded(&of.version));
            let state = State::ReadingDown {
                of: Box::new(of),
                at,
                judgement: Box::new(judgement),
            };
            return self.ask(state, request);
        }
        if let Some(stop) = self.held(&judgement) {
            return self.stop(stop);
        }
        // What was created meanwhile changes no answer of the caller's.
        let is_asked = !matches!(at, Stage::Prepared) && self.task.mode == Mode::Migrate;
        if !is_asked || self.left().is_empty() {
            return self.go_on(at, judgement);
        }
        self.state = State::BeforePlan {
            at,
            judgement: Box::new(judgement),
        };
        Next::MayRun
    }

    /// The scripts of the plan that was looked through which did not run yet; none without a review.
    #[must_use]
    pub fn left(&self) -> &[ReviewedScript] {
        let scripts = self.outcome.reviewed.as_ref().map(|plan| &plan.scripts);
        let ran = self.outcome.done.len() + self.unflushed.len();
        scripts
            .and_then(|scripts| scripts.get(ran..))
            .unwrap_or_default()
    }

    pub(super) fn down_read(
        &mut self,
        of: &ReadDown,
        bytes: &[u8],
        at: Stage,
        judgement: Judgement,
    ) -> Next {
        if Checksum::of(bytes) != of.checksum {
            return self.stop(other_text(&of.version));
        }
        self.scripts.keep(of.checksum, bytes);
        self.look_through(at, judgement)
    }

    /// The text is gone. Without the lock somebody else may have undone the version since the look, so it is looked
    /// again; a text that is missing twice is missing.
    pub(super) fn down_missing(&mut self, of: &ReadDown, at: Stage) -> Next {
        let is_news = self.missed.as_ref() != Some(&of.version);
        if matches!(at, Stage::Looked) && is_news {
            self.missed = Some(of.version.clone());
            return self.ask(State::Looking, Request::Inspect);
        }
        self.stop(no_text(&of.version))
    }

    /// Why the plan may not run, if it may not. Keeps what it found for the outcome.
    fn held(&mut self, judgement: &Judgement) -> Option<Stop> {
        let review = self.task.review.as_ref()?;
        let history = self.outcome.history.as_ref()?;
        let plan = &judgement.plan;
        self.outcome.reviewed = None;
        if plan.steps.is_empty() {
            return None;
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
        let looked_through = reviewed(review, plan, history, scripts);
        let looked_through = self.outcome.reviewed.insert(looked_through);
        if self.task.mode != Mode::Migrate {
            return None;
        }
        let hold = hold(review, looked_through, &self.task.actor)?;
        Some(Stop::Held(Box::new(hold)))
    }

    /// The first way back whose stored text was not read yet, when somebody wants to know what it does.
    fn unread(&self) -> Option<ReadDown> {
        self.task.review.as_ref()?;
        self.steps.iter().find_map(|step| match step {
            Step::Undo {
                version,
                down: DownSource::Stored(checksum),
                ..
            } if self.scripts.down(*checksum).is_none() => Some(ReadDown {
                version: version.clone(),
                checksum: *checksum,
            }),
            Step::Undo { .. } | Step::Apply { .. } => None,
        })
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
