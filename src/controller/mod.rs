//! The operator. [`reconcile`] is a list of steps, a file each:
//!
//! | step | file | needs |
//! |---|---|---|
//! | is there anything to do? | [`agenda`], [`fingerprint`] | API server (metadata) |
//! | fetch what the resource refers to | [`dereference`], [`aws`] | API server, AWS where it is named |
//! | judge it | [`validate`], [`rules`], [`settings`], [`approval`] | nothing |
//! | what a person decided | [`decisions`], [`decide`] | database |
//! | migrate | [`migrate`], [`permit`], [`conditions`], [`window`], [`gate`] | database |
//! | what it means | [`verdict`], [`policy`], [`memory`], [`status`] | nothing |
//! | say so | [`settle`], [`report`], [`progress`], [`told`], [`news`], [`events`] | API server |
//!
//! [`runtime`] starts and ends it all, [`watches`] calls reconcile, [`lease`] keeps a second replica
//! from doing the same.
//!
//! **Invariant:** deleting a resource, its namespace or the operator changes no database: there is
//! no finalizer and no reconcile of a deleted resource.

pub mod access;
pub mod agenda;
pub mod approval;
pub mod attempt;
pub mod aws;
pub mod conditions;
pub mod configuration;
pub mod context;
pub mod decide;
pub mod decisions;
pub mod dereference;
pub mod election;
pub mod events;
pub mod fingerprint;
pub mod gate;
pub mod identity;
pub mod known;
pub mod lease;
pub mod lifecycle;
pub mod lint;
pub mod lost;
pub mod memory;
pub mod migrate;
pub mod news;
pub mod permit;
pub mod policy;
pub mod progress;
pub mod references;
pub mod report;
pub mod rules;
pub mod runtime;
pub mod schedule;
pub mod settings;
pub mod settle;
pub mod status;
pub mod step_script;
pub mod told;
pub mod turns;
pub mod validate;
pub mod verdict;
pub mod watches;
pub mod window;
pub mod wording;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::api::v1alpha1::DatabaseSchema;
use crate::engine::task::{Mode, Patience};
use crate::telemetry::logging::take_panic_location;

use self::agenda::{Entry, annotation};
use self::attempt::Attempt;
use self::context::{Context, Identity};
use self::decisions::{ActedOn, Decided};
use self::fingerprint::Fingerprint;
use self::memory::Memory;
use self::migrate::Run;
use self::report::Report;
use self::settle::{Attempted, settle};
use self::turns::{Place, Turn};

/// A resource as the watch delivers it: one that cannot be read must not hide the others.
pub type Watched = DeserializeGuard<DatabaseSchema>;

/// Brings the database of one resource to where it should be, if there is anything to do, and says
/// when to look again. Whatever goes wrong is in status, or tried again.
pub async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Action {
    if !context.lifecycle.may_start() {
        return Action::await_change();
    }
    let identity = Identity::of(watched.as_ref());
    let span = tracing::info_span!(
        "reconcile",
        namespace = identity.namespace,
        name = identity.name
    );
    let wait = rest_or_work(&watched, identity, &context)
        .instrument(span)
        .await;
    wait.map_or_else(Action::await_change, Action::requeue)
}

async fn rest_or_work(
    watched: &Watched,
    identity: Identity,
    context: &Context,
) -> Option<Duration> {
    let resource = match &watched.0 {
        Ok(resource) => resource,
        Err(unreadable) => {
            // The error names fields; a resource holds no secret that it could quote.
            tracing::error!("the resource cannot be read by this version: {unreadable}");
            return None;
        }
    };
    let entry = context.agenda.get(&identity);
    if let Some(entry) = &entry
        && let Some(wait) = rest(resource, &identity, entry, context).await
    {
        return wait;
    }
    work(identity, entry, context).await
}

/// How long a resource goes on resting; `None` when there is something to do. Costs nothing but a
/// look at the metadata of what it refers to.
async fn rest(
    resource: &DatabaseSchema,
    identity: &Identity,
    entry: &Entry,
    context: &Context,
) -> Option<Option<Duration>> {
    let Some(wait) = entry.rest(resource, Instant::now()) else {
        tracing::debug!("due, or changed");
        return None;
    };
    // The semaphore is never closed; if it were, the look would only be one too many.
    let _look = context.looks.acquire().await;
    let changed = entry
        .fingerprint
        .has_changed(&context.client, &identity.namespace);
    if changed.await {
        tracing::debug!("an object that it refers to changed");
        return None;
    }
    Some(schedule::next_look(
        wait,
        context.source_poll,
        &entry.fingerprint,
    ))
}

/// One attempt: read the resource, try, report. Says when to look again.
async fn work(identity: Identity, entry: Option<Entry>, context: &Context) -> Option<Duration> {
    let mut turn = None;
    loop {
        // On the heap: the future of an attempt is large.
        match Box::pin(work_in_turn(&identity, entry.as_ref(), turn, context)).await {
            Worked::Over(wait) => return wait,
            // Everything is read anew then: it may have changed.
            Worked::Occupied(place) => turn = wait_for_turn(place, context).await,
        }
    }
}

/// What became of [`work`].
enum Worked {
    /// It is over; when to look again.
    Over(Option<Duration>),
    /// Another run of this process is at the database. Nothing was told.
    Occupied(Place),
}

/// Waits as long as a run waits for the migration lock, and keeps no run of another database waiting.
async fn wait_for_turn(place: Place, context: &Context) -> Option<Turn> {
    let mut stopping = context.lifecycle.stopping();
    let patience = Patience::default().lock_wait;
    tokio::select! {
        turn = context.turns.wait(place, patience) => Some(turn),
        _ = stopping.wait_for(|stop| *stop) => None,
    }
}

async fn work_in_turn(
    identity: &Identity,
    entry: Option<&Entry>,
    turn: Option<Turn>,
    context: &Context,
) -> Worked {
    // Waited for before anything is read: what was read may be old when a place is free.
    let _slot = context.slots.acquire().await;
    if !context.lifecycle.may_start() {
        return Worked::Over(None);
    }
    let api = context.resources(&identity.namespace);
    let resource = match api.get_opt(&identity.name).await {
        Ok(Some(resource)) if is_alive(&resource, identity) => Arc::new(resource),
        Ok(_) => return Worked::Over(None),
        Err(error) => {
            tracing::warn!("the resource cannot be read, it is tried again: {error}");
            return Worked::Over(Some(schedule::api_retry()));
        }
    };
    let mut report = Report::about(Arc::clone(&resource), context);
    let memory = match entry {
        Some(entry) if report.seen() > entry.seen => {
            entry.memory.clone().or_failed_in(report.last())
        }
        Some(entry) => entry.memory.clone(),
        None => Memory::restore(report.last()),
    };
    let acted_on = ActedOn::default();
    let asked = Asked {
        resource: &resource,
        identity,
        memory: &memory,
        acted_on: &acted_on,
    };
    let attempt = attempt(asked, &mut report, turn, context);
    let attempted = match contain(Box::pin(attempt), &acted_on).await {
        Ok(attempted) => attempted,
        Err(place) => return Worked::Occupied(place),
    };
    let identity = identity.clone();
    Worked::Over(settle(&resource, identity, &memory, report, attempted, context).await)
}

fn is_alive(resource: &DatabaseSchema, identity: &Identity) -> bool {
    resource.metadata.uid.as_deref() == Some(&identity.uid)
        && resource.metadata.deletion_timestamp.is_none()
}

/// Keeps a panic within the attempt: its resource says so, all others go on.
async fn contain(
    attempt: impl Future<Output = Result<Attempted, Place>>,
    acted_on: &ActedOn,
) -> Result<Attempted, Place> {
    let contained = AssertUnwindSafe(attempt).catch_unwind().await;
    contained.unwrap_or_else(|_| {
        let place = take_panic_location().unwrap_or_else(|| "an unknown place".to_owned());
        Ok(Attempted {
            attempt: Attempt::Bug(place),
            mode: Mode::Migrate,
            decided: acted_on.get(),
            fingerprint: Fingerprint::default(),
            catalog: None,
        })
    })
}

/// What an attempt is about.
#[derive(Clone, Copy)]
struct Asked<'a> {
    resource: &'a DatabaseSchema,
    identity: &'a Identity,
    memory: &'a Memory,
    /// Takes what becomes of the decisions of a person.
    acted_on: &'a ActedOn,
}

/// The attempt itself: dereference, validate, migrate. An error: another run of this process is at the
/// database, and no `turn` there was waited for.
async fn attempt(
    asked: Asked<'_>,
    report: &mut Report,
    turn: Option<Turn>,
    context: &Context,
) -> Result<Attempted, Place> {
    let Asked {
        resource,
        identity,
        memory,
        acted_on,
    } = asked;
    let spec = &resource.spec;
    let mode = memory.mode(report.generation(), annotation(resource));
    let mut attempted = Attempted {
        attempt: Attempt::Suspended,
        mode: mode.clone(),
        decided: Decided::default(),
        fingerprint: Fingerprint::default(),
        catalog: None,
    };
    if spec.suspend {
        return Ok(attempted);
    }
    if let Err(invalid) = validate::validate_spec(spec) {
        attempted.attempt = Attempt::Invalid(invalid);
        return Ok(attempted);
    }
    let (fingerprint, dereferenced) = dereference::dereference(
        &context.client,
        &identity.namespace,
        spec,
        &context.grantee,
        &context.aws_access(&identity.namespace),
    )
    .await;
    attempted.fingerprint = fingerprint;
    let dereferenced = match dereferenced {
        Ok(dereferenced) => dereferenced,
        Err(error) => {
            attempted.attempt = Attempt::Waiting(error);
            return Ok(attempted);
        }
    };
    let table = &spec.history.table;
    let is_known = |checksum: &_| context.known.contains(table, checksum);
    let mut run = match validate::validate(context.owner(identity), spec, dereferenced, &is_known) {
        Ok(run) => run,
        Err(invalid) => {
            attempted.attempt = Attempt::Invalid(invalid);
            return Ok(attempted);
        }
    };
    run.settings.guard = Some(context.guard(&identity.namespace));
    let aws = context.aws_access(&identity.namespace);
    if let Err(error) = aws.sign_in(&spec.connection, &mut run.settings) {
        attempted.attempt = Attempt::Waiting(error);
        return Ok(attempted);
    }
    context.known.remember(table, &run.task.catalog);
    let place = Place::of(&run.settings);
    let waited_for = turn.filter(|turn| turn.is_at(&place));
    let Some(turn) = waited_for.or_else(|| context.turns.try_take(&place)) else {
        return Err(place);
    };
    run.task.patience.waited_before = turn.waited();
    if !turn.is_ours() {
        // It was waited for long enough: what is left is to say who has the lock.
        run.task.patience.lock_wait = Duration::ZERO;
    }
    attempted.catalog = Some(run.task.catalog.clone());
    let (news, coming) = mpsc::unbounded_channel();
    let run = Run {
        validated: &run,
        resource,
        read_at: report.read_at(),
        identity,
        memory,
        context,
        known: identity::known(report.last(), spec),
        acted_on,
        news,
    };
    let work = Box::pin(in_turn(run, turn, mode, report));
    let telling = news::tell_all(resource, &context.events, coming);
    (attempted.attempt, attempted.mode) = news::beside(work, telling).await;
    attempted.decided = acted_on.get();
    Ok(attempted)
}

/// What a person decided, and then the run: what it came to, and how far it could go.
async fn in_turn(mut run: Run<'_>, turn: Turn, mode: Mode, report: &mut Report) -> (Attempt, Mode) {
    let decisions = Box::pin(run.decide()).await;
    // What a person decided may be what the last run failed for.
    let mode = if decisions.any { Mode::Migrate } else { mode };
    if decisions.database_accepted {
        run.known = None;
    }
    match decisions.stopped {
        Some(stopped) => stopped,
        None => run.carry_out(mode, report, turn).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::decision::Kind;
    use crate::telemetry::logging::install_panic_hook;

    #[tokio::test]
    async fn a_panic_is_contained_and_only_its_place_is_told() {
        install_panic_hook();
        let acted_on = ActedOn::default();
        let attempt = async {
            acted_on.note(Kind::Resolve, "002:retry".to_owned(), None);
            panic!("a secret value")
        };
        let attempted = contain(attempt, &acted_on).await;
        let attempted = attempted.expect("no other run");
        let Attempt::Bug(place) = attempted.attempt else {
            panic!("{:?}", attempted.attempt);
        };
        assert!(place.starts_with("src/controller/mod.rs:"), "{place}");
        assert!(!place.contains("secret"));
        // What was carried out before it is not forgotten, and so not carried out again.
        assert_eq!(attempted.decided, acted_on.get());
        assert!(
            attempted
                .decided
                .handled
                .contains_key(Kind::Resolve.annotation())
        );
    }
}
