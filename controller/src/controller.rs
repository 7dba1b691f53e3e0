//! Runs a [`Controller`] for each kind and scope.

mod apply;
mod context;
mod decision;
mod reconciler;
mod requeue;
mod stores;
mod watch_handler;

use std::{future, sync::Arc};

use futures::{Stream, StreamExt as _};
use kube::runtime::{
    PredicateConfig, WatchStreamExt as _,
    controller::{Config, Controller},
    reflector::store::Writer,
    watcher::{self, watcher},
};

pub(crate) use self::{context::Context, stores::Stores};
use self::{
    context::KindContext,
    reconciler::{error_policy, reconcile},
    watch_handler::WatchHandler,
};
use crate::{
    constants,
    observe::pods,
    rollout::patch,
    server::health::Health,
    workload::{Kind, Object, Unreadable, Watch},
};

/// Concurrent reconciles. Only rollouts await anything, and what they await is shared.
const CONCURRENCY: u16 = 128;

/// Objects in one page of a list.
const PAGE: u32 = 100;

/// A reconcile failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The workload's pods cannot be read.
    #[error(transparent)]
    Observe(#[from] pods::Error),
    /// The patch failed.
    #[error(transparent)]
    Patch(#[from] patch::Error),
    /// The API server's object is not a workload that this version can read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A bug in the controller.
    #[error("the reconcile panicked")]
    Panicked,
}

/// Runs the controller of one kind in one scope until the context is stopped, then drains in-flight reconciles.
pub(crate) async fn run(
    kind: Kind,
    watch: Watch,
    health: Arc<Health>,
    context: Arc<Context>,
    recovered: impl Stream<Item = ()> + Send + 'static,
) {
    let api = watch_handler::api(&context.rollouts.client, kind, &watch);
    let config = watcher::Config::default()
        .labels(constants::SELECTOR)
        .page_size(PAGE);
    let triggers = context.triggers.subscribe(kind, &watch);
    let writer = Writer::<Object>::new(kind);
    let store = writer.as_reader();
    context.stores.add(kind, &watch, store.clone());
    let mut handler = WatchHandler::new(kind, watch, health, Arc::clone(&context));
    let fingerprint = handler.fingerprint();
    let outages = handler.outage_log();
    let changes = watcher(api, config)
        .backoff(watch_handler::backoff())
        .inspect(move |event| handler.handle(event))
        .modify(Object::detach)
        .reflect(writer)
        .applied_objects()
        // The handler reports errors, and the watcher retries by itself.
        .filter(|object| future::ready(object.is_ok()))
        .predicate_filter(fingerprint, PredicateConfig::default());
    let stop = context.rollouts.stop.clone();
    let shared = Arc::clone(&context);
    // A watch that resumes without a new list yields no event until an object changes.
    let recovered = recovered
        .inspect(move |()| outages.ended())
        .filter(move |()| future::ready(shared.rollouts.states.reset_backoff()));
    let context = Arc::new(KindContext { kind, context });
    Controller::for_stream_with(changes, store, kind)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(triggers)
        .reconcile_all_on(recovered)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, error_policy, context)
        // Each reconcile reports its own result.
        .for_each(|_| future::ready(()))
        .await;
}
