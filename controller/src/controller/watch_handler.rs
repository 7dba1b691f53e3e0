//! Handles the events of a watch, which show the workloads that are selected.

mod outage_log;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use ahash::HashSet;
use backon::ExponentialBuilder;
use kube::{
    Api, Client, Resource as _,
    runtime::{
        utils::ResetTimerBackoff,
        watcher::{self, Event, ExponentialBackoff},
    },
};
use tracing::debug;

use self::outage_log::OutageLog;
use super::Context;
use crate::{
    server::health::{Health, WatchPhase},
    workload::{Kind, Object, Watch, identity::Identity, interner::StringInterner},
};

/// The backoff is reset after this time without an error.
const RESET: Duration = Duration::from_secs(60);

/// The API that a watch lists and watches.
pub(super) fn api(client: &Client, kind: Kind, watch: &Watch) -> Api<Object> {
    match &watch.1 {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    }
}

/// The backoff of a failed watch. Its maximum bounds how late changes are noticed after an outage.
pub(super) fn backoff() -> ResetTimerBackoff<ExponentialBackoff> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(10))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times();
    ResetTimerBackoff::new(ExponentialBackoff::from(backoff), RESET)
}

/// Handles the events of one watch, and keeps which workloads it has selected.
pub(super) struct WatchHandler {
    kind: Kind,
    watch: Watch,
    outage_log: Arc<OutageLog>,
    health: Arc<Health>,
    context: Arc<Context>,
    /// The workloads that are selected now.
    selected: HashSet<Identity>,
    /// The workloads of the list in progress.
    listed: HashSet<Identity>,
    /// A list was completed.
    has_listed: bool,
    namespaces: StringInterner,
}

impl WatchHandler {
    pub(super) fn new(
        kind: Kind,
        watch: Watch,
        health: Arc<Health>,
        context: Arc<Context>,
    ) -> Self {
        context.reporter.metrics.watching(kind.name());
        Self {
            kind,
            outage_log: Arc::new(OutageLog::new(watch.clone())),
            watch,
            health,
            context,
            selected: HashSet::default(),
            listed: HashSet::default(),
            has_listed: false,
            namespaces: StringInterner::default(),
        }
    }

    /// The predicate of the controller: a hash of the fields that a reconcile reads, so that other updates trigger none. A
    /// workload with a conflict waits for its next version, so the hash then covers its `resourceVersion`.
    pub(super) fn fingerprint(&self) -> impl Fn(&Object) -> Option<u64> + Send + use<> {
        let (kind, context) = (self.kind, Arc::clone(&self.context));
        move |object| {
            let mut hasher = DefaultHasher::new();
            object.fingerprint(kind, &mut hasher);
            let (selection, in_conflict) = context.rollouts.states.selection(object.uid())?;
            selection.hash(&mut hasher);
            if in_conflict {
                object.resource_version().hash(&mut hasher);
            }
            Some(hasher.finish())
        }
    }

    /// The log of its failures.
    pub(super) fn outage_log(&self) -> Arc<OutageLog> {
        Arc::clone(&self.outage_log)
    }

    /// Handles an event of the watch, before the store and the controller do.
    pub(super) fn handle(&mut self, event: &watcher::Result<Event<Object>>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => return self.failed(error),
        };
        if !matches!(event, Event::Init) {
            self.outage_log.ended();
        }
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                let identity = self.select(object);
                self.listed.insert(identity);
            }
            Event::InitDone => self.list_done(),
            Event::Apply(object) => {
                self.select(object);
            }
            Event::Delete(object) => {
                if let Some(identity) = self.selected.take(object.uid()) {
                    self.context.forget(&identity);
                }
            }
        }
    }

    /// Selects the workload. If a rollout of ours is in flight, it takes a slot.
    fn select(&mut self, object: &Object) -> Identity {
        let known = self.selected.get(object.uid()).cloned();
        let identity = known.unwrap_or_else(|| {
            Identity::of(self.kind, object.meta(), object.uid(), &mut self.namespaces)
        });
        self.selected.insert(identity.clone());
        let context = &self.context;
        context.select(&identity);
        if let Some((rolled_out, progress)) =
            object.rollout(self.kind, context.rollouts.restarted_at)
        {
            let in_flight = progress.is_in_flight();
            context.budget.seen(&identity, rolled_out, in_flight);
        }
        identity
    }

    fn list_done(&mut self) {
        // The store had none of these objects while their requests were processed, unless it was empty: the controller waits
        // for the first list.
        if self.has_listed {
            self.context.triggers.send(&self.listed);
        }
        self.has_listed = true;
        let listed = std::mem::take(&mut self.listed);
        for gone in self.selected.difference(&listed) {
            self.context.forget(gone);
        }
        debug!(
            kind = self.kind.name(),
            namespace = self.watch.1,
            workloads = listed.len(),
            "listed"
        );
        self.selected = listed;
        self.health.note(&self.watch, WatchPhase::Synced);
        self.context.budget.listed(&self.watch);
    }

    fn failed(&mut self, error: &watcher::Error) {
        let metrics = &self.context.reporter.metrics;
        metrics.watch_error(self.kind.name());
        let (text, refused) = describe(self.kind, error);
        if refused {
            self.health.note(&self.watch, WatchPhase::Refused);
            self.context.budget.listed(&self.watch);
        }
        self.outage_log.failed(&text);
    }
}

/// Describes an error of a watch, and whether the API server refuses the kind altogether.
fn describe(kind: Kind, error: &watcher::Error) -> (String, bool) {
    let (verb, source) = match error {
        watcher::Error::InitialListFailed(source) => ("list", source),
        watcher::Error::WatchStartFailed(source) | watcher::Error::WatchFailed(source) => {
            ("watch", source)
        }
        watcher::Error::WatchError(status) => {
            return (format!("watch ended: {}", status.message), false);
        }
        watcher::Error::NoResourceVersion => {
            return ("the list has no resourceVersion".to_owned(), false);
        }
    };
    match source {
        kube::Error::Api(status) if status.is_forbidden() => {
            let missing = format!(
                "add the verb {verb} on {} to the role of the controller",
                kind.plural()
            );
            (format!("forbidden: {missing}"), true)
        }
        kube::Error::Api(status) if status.is_not_found() => (
            format!("the API server does not know {}", kind.plural()),
            true,
        ),
        _ => (format!("{verb} failed: {source}"), false),
    }
}
