//! One `kube_runtime::Controller` for each kind and scope: what its reconciles share, and what starts them.

mod apply;
mod context;
mod decision;
mod error;
mod informer;
mod objects;
mod reconciler;
mod requeue;

use std::{future, sync::Arc};

use futures::{Stream, StreamExt as _};
use kube::runtime::{
    PredicateConfig, WatchStreamExt as _,
    controller::{Config, Controller},
    reflector::store::Writer,
    watcher::{self, watcher},
};

pub(crate) use self::{context::Context, objects::Objects};
use self::{
    context::KindContext,
    informer::Informer,
    reconciler::{error_policy, reconcile},
};
use crate::{
    constants,
    server::health::Health,
    workload::{Kind, Object, Watch},
};

/// Reconciles at once. Only one that rolls out waits for anything, and what it waits for is shared with others.
const CONCURRENCY: u16 = 128;

/// Objects in one page of a list.
const PAGE: u32 = 100;

/// Runs the controller of one kind in one scope until the context is stopped, and what was begun has ended.
pub(crate) async fn run(
    kind: Kind,
    watch: Watch,
    health: Arc<Health>,
    context: Arc<Context>,
    recovered: impl Stream<Item = ()> + Send + 'static,
) {
    let api = informer::api(&context.rollouts.client, kind, &watch);
    let config = watcher::Config::default()
        .labels(constants::SELECTOR)
        .page_size(PAGE);
    let triggers = context.triggers.subscribe(kind, &watch);
    let writer = Writer::<Object>::new(kind);
    let store = writer.as_reader();
    context.objects.add(kind, &watch, store.clone());
    let mut informer = Informer::new(kind, watch, health, Arc::clone(&context));
    let fingerprint = informer.fingerprint();
    let outage = informer.outage();
    let changes = watcher(api, config)
        .backoff(informer::backoff())
        .inspect(move |event| informer.observe(event))
        .modify(Object::detach)
        .reflect(writer)
        .applied_objects()
        // Its errors are reported by the informer, and the watcher tries again by itself.
        .filter(|object| future::ready(object.is_ok()))
        .predicate_filter(fingerprint, PredicateConfig::default());
    let stop = context.rollouts.stop.clone();
    let shared = Arc::clone(&context);
    // A watch that goes on where it was shows nothing until something happens.
    let recovered = recovered
        .inspect(move |()| outage.ended())
        .filter(move |()| future::ready(shared.rollouts.states.recovered()));
    let context = Arc::new(KindContext { kind, context });
    Controller::for_stream_with(changes, store, kind)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(triggers)
        .reconcile_all_on(recovered)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, error_policy, context)
        // Each result was reported by the reconcile itself.
        .for_each(|_| future::ready(()))
        .await;
}
