//! Watches the selected workloads of one kind, and notes what comes and goes.

mod outage;

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

use self::outage::Outage;
use super::Context;
use crate::{
    server::health::{Health, Start},
    workload::{Kind, Object, Watch, identity::Identity, interner::Names},
};

/// After so long without an error, the next one is the first.
const FORGIVEN: Duration = Duration::from_secs(60);

/// The objects of a watch.
pub(super) fn api(client: &Client, kind: Kind, watch: &Watch) -> Api<Object> {
    match &watch.1 {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    }
}

/// How soon a watch that fails is tried again, and at the latest: what happens is learnt no sooner after an outage.
pub(super) fn backoff() -> ResetTimerBackoff<ExponentialBackoff> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(10))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times();
    ResetTimerBackoff::new(ExponentialBackoff::from(backoff), FORGIVEN)
}

/// Notes what a watch shows.
pub(super) struct Informer {
    kind: Kind,
    watch: Watch,
    outage: Arc<Outage>,
    health: Arc<Health>,
    context: Arc<Context>,
    /// The selected workloads.
    known: HashSet<Identity>,
    /// Those of a list that is under way.
    listed: HashSet<Identity>,
    namespaces: Names,
}

impl Informer {
    pub(super) fn new(
        kind: Kind,
        watch: Watch,
        health: Arc<Health>,
        context: Arc<Context>,
    ) -> Self {
        context.reporter.watching(kind.name());
        Self {
            kind,
            outage: Arc::new(Outage::new(watch.clone())),
            watch,
            health,
            context,
            known: HashSet::default(),
            listed: HashSet::default(),
            namespaces: Names::default(),
        }
    }

    /// A hash of all that a reconcile reads of an object, and of why it may be waited for: an update that changes none of it
    /// needs no reconcile. After a conflict, each later object is waited for.
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

    /// What is logged of its failures.
    pub(super) fn outage(&self) -> Arc<Outage> {
        Arc::clone(&self.outage)
    }

    pub(super) fn observe(&mut self, event: &watcher::Result<Event<Object>>) {
        match event {
            Ok(event) => {
                if !matches!(event, Event::Init) {
                    self.outage.ended();
                }
                self.noted(event);
            }
            Err(error) => self.failed(error),
        }
    }

    fn noted(&mut self, event: &Event<Object>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                let identity = self.selected(object);
                self.known.insert(identity.clone());
                self.listed.insert(identity);
            }
            Event::InitDone => self.list_done(),
            Event::Apply(object) => {
                let identity = self.selected(object);
                self.known.insert(identity);
            }
            Event::Delete(object) => {
                let identity = self.identity(object);
                if self.known.remove(&identity) {
                    self.context.forget(&identity);
                }
            }
        }
    }

    fn identity(&mut self, object: &Object) -> Identity {
        let known = self.known.get(object.uid()).cloned();
        known.unwrap_or_else(|| {
            Identity::of(self.kind, object.meta(), object.uid(), &mut self.namespaces)
        })
    }

    /// An object is shown: if it is a rollout of ours that is in flight, it has a slot.
    fn selected(&mut self, object: &Object) -> Identity {
        let identity = self.identity(object);
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
        let listed = std::mem::take(&mut self.listed);
        for gone in self.known.difference(&listed) {
            self.context.forget(gone);
        }
        debug!(
            kind = self.kind.name(),
            namespace = self.watch.1,
            workloads = listed.len(),
            "listed"
        );
        self.known = listed;
        self.health.note(&self.watch, Start::Synced);
        self.context.budget.listed(&self.watch);
    }

    fn failed(&mut self, error: &watcher::Error) {
        self.context.reporter.watch_failed(self.kind.name());
        let (text, refused) = described(self.kind, error);
        if refused {
            self.health.note(&self.watch, Start::Refused);
            self.context.budget.listed(&self.watch);
        }
        self.outage.failed(&text);
    }
}

/// What an error of a watch means, and whether the API server refuses the kind altogether.
fn described(kind: Kind, error: &watcher::Error) -> (String, bool) {
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
