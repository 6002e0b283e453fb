//! What makes the operator look at a resource: its own changes, changes of what it refers to, and the
//! beginning of leading.
//!
//! Put together from the parts of kube's `Controller`, because that one does not tell when its cache
//! is filled: its store can be waited for in one place only, and it does that itself.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;

use futures::future::FutureExt;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{self, Action, ReconcileRequest, applier};
use kube::runtime::reflector::{self, ObjectRef, Store, reflector};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::api::v1alpha1::DatabaseSchema;
use crate::telemetry::health::Health;

use super::context::{Context, Identity};
use super::references::{ObjectKind, Reference, references};
use super::{Watched, reconcile, schedule};

/// Requests to look at a resource.
type Requests = BoxStream<'static, Result<ReconcileRequest<Watched>, watcher::Error>>;

/// Reconciles the resources of one namespace, or of all, until the process is asked to stop and what
/// is under way has ended.
pub async fn control(
    client: Client,
    namespace: Option<String>,
    context: Arc<Context>,
    health: Arc<Health>,
    leading: watch::Receiver<bool>,
) {
    let scope = namespace.as_deref();
    let (store, writer) = reflector::store();
    let resources = watcher(scoped(&client, scope), watcher::Config::default());
    let resources = {
        let (store, context) = (store.clone(), Arc::clone(&context));
        let namespace = namespace.clone();
        reflector(writer, resources.default_backoff()).inspect_ok(move |event| match event {
            watcher::Event::InitDone => {
                health.cache_filled();
                forget_missing(&context, namespace.as_deref(), &store);
            }
            watcher::Event::Delete(deleted) => {
                let deleted = Identity::of(deleted);
                forget(&context, |identity| *identity == deleted);
            }
            watcher::Event::Apply(_) | watcher::Event::Init | watcher::Event::InitApply(_) => {}
        })
    };
    let mut requests: Vec<Requests> = vec![
        of_themselves(resources),
        of_all_when_leading(leading, &context, store.clone()),
    ];
    if scope.is_some() {
        // Metadata alone: no content of a Secret comes here or stays in memory.
        let secrets: Api<PartialObjectMeta<Secret>> = scoped(&client, scope);
        let config_maps: Api<PartialObjectMeta<ConfigMap>> = scoped(&client, scope);
        requests.push(of_referrers(secrets, ObjectKind::Secret, store.clone()));
        requests.push(of_referrers(
            config_maps,
            ObjectKind::ConfigMap,
            store.clone(),
        ));
    }
    let mut stopping = context.lifecycle.stopping();
    let requests = stream::select_all(requests).take_until(async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    });
    applier(
        // A task of its own: a slow resource never keeps the others waiting.
        |watched, context| {
            tokio::spawn(reconcile(watched, context)).map(|ended| {
                Ok::<_, Infallible>(
                    ended.unwrap_or_else(|_| Action::requeue(schedule::api_retry())),
                )
            })
        },
        |_, never: &Infallible, _| match *never {},
        context,
        store,
        requests,
        controller::Config::default(),
    )
    .for_each(|result| async {
        match result {
            // Not found: deleted between its event and its turn.
            Ok(_) | Err(controller::Error::ObjectNotFound(_)) => {}
            Err(error) => tracing::warn!("watching: {error}"),
        }
    })
    .await;
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn of_themselves(
    resources: impl Stream<Item = watcher::Result<watcher::Event<Watched>>> + Send + 'static,
) -> Requests {
    resources
        .applied_objects()
        .map_ok(|resource| ObjectRef::from_obj(&resource).into())
        .boxed()
}

/// All resources, whenever this replica begins to lead. What it remembered from an earlier time is of
/// no use then.
fn of_all_when_leading(
    leading: watch::Receiver<bool>,
    context: &Arc<Context>,
    store: Store<Watched>,
) -> Requests {
    stream::unfold(
        (leading, Arc::clone(context), store),
        |(mut leading, context, store)| async move {
            loop {
                leading.changed().await.ok()?;
                if *leading.borrow_and_update() {
                    context.agenda.clear();
                    let all = store.state();
                    let all = all
                        .iter()
                        .map(|resource| Ok(ObjectRef::from_obj(resource.as_ref()).into()));
                    return Some((
                        stream::iter(all.collect::<Vec<_>>()),
                        (leading, context, store),
                    ));
                }
            }
        },
    )
    .flatten()
    .boxed()
}

/// The resources that refer to an object which changed.
fn of_referrers<K>(
    api: Api<PartialObjectMeta<K>>,
    kind: ObjectKind,
    store: Store<Watched>,
) -> Requests
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    watcher(api, watcher::Config::default())
        .default_backoff()
        .touched_objects()
        .map_ok(move |object| {
            let reference = Reference {
                kind,
                name: object.name_any(),
            };
            stream::iter(referrers(&store, &reference).into_iter().map(Ok))
        })
        .try_flatten()
        .boxed()
}

fn referrers(store: &Store<Watched>, reference: &Reference) -> Vec<ReconcileRequest<Watched>> {
    let refers = |resource: &DatabaseSchema| references(&resource.spec).contains(reference);
    let all = store.state();
    all.iter()
        .filter(|watched| watched.0.as_ref().is_ok_and(refers))
        .map(|watched| ObjectRef::from_obj(watched.as_ref()).into())
        .collect()
}

fn forget_missing(context: &Context, namespace: Option<&str>, store: &Store<Watched>) {
    forget(context, |identity| {
        let elsewhere = namespace.is_some_and(|own| own != identity.namespace);
        let key = ObjectRef::new(&identity.name).within(&identity.namespace);
        let found = store.get(&key);
        !elsewhere && found.is_none_or(|found| Identity::of(found.as_ref()) != *identity)
    });
}

fn forget(context: &Context, is_gone: impl Fn(&Identity) -> bool) {
    for (identity, _) in context.agenda.take(is_gone) {
        let metrics = &context.metrics;
        metrics.forget(&identity.namespace, &identity.name);
    }
}
