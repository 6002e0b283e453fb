//! Status while a run is in the middle of it.

use jiff::Timestamp;

use crate::api::condition::Reason;
use crate::api::time::Time;
use crate::api::v1alpha1::{DatabaseSchemaStatus, Failure, VersionProgress};
use crate::engine::sessions::waits_for;
use crate::migration::plan::Step;

use super::super::attempt::Running;
use super::super::policy::State;
use super::super::verdict::{of_direction, under_way};
use super::super::wording;
use super::{Shown, Subject, clip, clip_name, show_pending};

/// Fills in `next` and says what the conditions show.
pub(super) fn show_running(
    next: &mut DatabaseSchemaStatus,
    previous: &DatabaseSchemaStatus,
    subject: &Subject<'_>,
    running: &Running,
    now: Timestamp,
) -> Shown {
    let Running { plan, finished, .. } = running;
    next.target_version = plan.target.as_ref().map(ToString::to_string);
    show_pending(next, plan, *finished);
    if let Some(Step::Apply { version, .. }) = finished
        .checked_sub(1)
        .and_then(|last| plan.steps.get(last))
    {
        next.current_version = Some(version.to_string());
    }
    next.progress = progress(running);
    // Forgotten only when the run is over: an operator that takes over must not begin to count anew.
    let lost = previous.failure.as_ref();
    next.failure = lost
        .filter(|failure| failure.connections_lost.is_some())
        .cloned();
    let (Some(waiting), Some((version, name, direction))) =
        (wording::waiting(running), &running.current)
    else {
        return Shown {
            state: State::Reconciling,
            reason: under_way(plan, *finished),
            message: clip(&wording::running(running)),
        };
    };
    let reason = Reason::LockTimeout;
    let before = previous.failure.as_ref();
    let first_time = before
        .filter(|before| before.reason == reason.as_str())
        .map_or(Time::new(now), |before| before.first_time);
    next.failure = Some(Failure {
        reason: reason.to_string(),
        message: clip(&waiting),
        observed_generation: Some(subject.generation),
        first_time,
        attempts: None,
        next_retry_time: None,
        version: Some(version.to_string()),
        name: Some(clip_name(name)),
        direction: Some(of_direction(*direction)),
        checksum: None,
        statement: None,
        line: None,
        column: None,
        sql_state: None,
        connections_lost: None,
    });
    Shown {
        state: State::Reconciling,
        reason,
        message: clip(&waiting),
    }
}

/// What the server shows of the version under way, once it runs for a while.
fn progress(running: &Running) -> Option<VersionProgress> {
    let activity = running.activity.as_ref()?;
    let (version, ..) = running.current.as_ref()?;
    let build = activity.index_build.as_ref();
    Some(VersionProgress {
        version: version.to_string(),
        start_time: Time::new(activity.since),
        phase: build.map(|build| clip(&build.phase_with_lockers())),
        percent: build.and_then(|build| build.percent).map(i32::from),
        waits_for: waits_for(&activity.waits_for).as_deref().map(clip),
    })
}
