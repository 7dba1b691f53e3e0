//! Watches the selected workloads of one kind and passes on what is news to a reconcile.
//!
//! Three things about kube-runtime shape this: one failing stream slows every trigger of a `Controller`, so errors are
//! counted and dropped here, behind a back-off of the stream's own; an object that cannot be read ends the list that it
//! is in, so it is passed on as [`Guarded`]; and a `Controller` is not told of deletions in a way that a reconcile could
//! act on, so what is remembered of a workload is forgotten here.

mod outage;

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt as _,
        reflector::store::Writer,
        watcher::{self, Event, watcher},
    },
};
use tracing::debug;

use crate::{
    context::Context,
    count,
    health::{Health, Start, Watch},
    identity::Identity,
    keys,
    metrics::Metrics,
    workload::{Guarded, Workload},
};
use outage::Outage;

/// Objects in one page of the first list. A page is in memory as a whole, with all that is not read of it.
const PAGE: u32 = 50;

/// The selected workloads that are new, or have changed in what a reconcile reads, in one namespace or in all.
pub(crate) fn changes<W: Workload>(
    client: &Client,
    watch: Watch,
    writer: Writer<Guarded<W>>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    context: Arc<Context>,
) -> impl Stream<Item = Result<Guarded<W>, watcher::Error>> + Send + 'static {
    let outage = Arc::new(Outage::new(watch.clone(), Arc::clone(&context.retries)));
    let client = outage.noticed(client);
    let pace = || outage::pace(&watch);
    let quick = watcher(api::<W>(&client, &watch), selected()).backoff(pace());
    let careful = watcher(api::<Guarded<W>>(&client, &watch), selected()).backoff(pace());
    let mut news = News::<W>::new(watch, outage, health, metrics, context);
    // A guard buffers each object in order to read it twice, which nobody should pay who has no odd one.
    quick
        .take_while(|event| std::future::ready(!event.as_ref().is_err_and(is_unreadable)))
        .map(|event| event.map(guarded))
        .chain(careful)
        .reflect(writer)
        .filter_map(move |event| std::future::ready(news.of(event).map(Ok)))
}

/// The objects of a watch, read as such.
pub(crate) fn api<K>(client: &Client, watch: &Watch) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match &watch.1 {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn selected() -> watcher::Config {
    let config = watcher::Config::default();
    config.labels(keys::SELECTOR).page_size(PAGE)
}

/// Whether a watch ended for an object that cannot be read. In a stream, kube takes such a line for a `Status` that says
/// nothing.
fn is_unreadable(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(source) | watcher::Error::WatchFailed(source) => {
            match source {
                kube::Error::SerdeError(_) => true,
                kube::Error::Api(status) => status.code == 0,
                _ => false,
            }
        }
        _ => false,
    }
}

fn guarded<W: Workload>(event: Event<W>) -> Event<Guarded<W>> {
    let read = |workload| DeserializeGuard(Ok(workload));
    match event {
        Event::Apply(workload) => Event::Apply(read(workload)),
        Event::Delete(workload) => Event::Delete(read(workload)),
        Event::Init => Event::Init,
        Event::InitApply(workload) => Event::InitApply(read(workload)),
        Event::InitDone => Event::InitDone,
    }
}

/// Tells news from repetition.
struct News<W> {
    watch: Watch,
    outage: Arc<Outage>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    context: Arc<Context>,
    /// By UID: whose it is, and a hash of what a reconcile reads of it.
    seen: HashMap<Arc<str>, (Identity, u64)>,
    /// Those of a list that is under way.
    listed: HashSet<String>,
    kind: std::marker::PhantomData<fn() -> W>,
}

impl<W: Workload> News<W> {
    fn new(
        watch: Watch,
        outage: Arc<Outage>,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
        context: Arc<Context>,
    ) -> Self {
        metrics.watching(W::KIND);
        Self {
            watch,
            outage,
            health,
            metrics,
            context,
            seen: HashMap::new(),
            listed: HashSet::new(),
            kind: std::marker::PhantomData,
        }
    }

    fn of(&mut self, event: Result<Event<Guarded<W>>, watcher::Error>) -> Option<Guarded<W>> {
        match event {
            Ok(Event::Init) => {
                self.listed.clear();
                None
            }
            Ok(Event::InitApply(object)) => {
                self.listed.extend(object.uid());
                self.changed(object)
            }
            Ok(Event::InitDone) => {
                self.list_done();
                None
            }
            Ok(Event::Apply(object)) => self.changed(object),
            Ok(Event::Delete(object)) => {
                self.gone(&object.uid().unwrap_or_default());
                None
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    /// The object, unless a reconcile has seen all that it would read of it.
    fn changed(&mut self, object: Guarded<W>) -> Option<Guarded<W>> {
        let identity = Identity::guarded(&object);
        self.context.reports.select(&identity);
        self.context.pods.select(&identity);
        if let Ok(workload) = &object.0 {
            count::note(workload, &identity, &self.context);
        }
        let hash = fingerprint(&object);
        let before = self.seen.insert(identity.uid.clone(), (identity, hash));
        (before.map(|(_, before)| before) != Some(hash)).then_some(object)
    }

    fn list_done(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let missing: Vec<_> = self
            .seen
            .keys()
            .filter(|uid| !listed.contains(&***uid))
            .cloned()
            .collect();
        for uid in missing {
            self.gone(&uid);
        }
        debug!(
            kind = W::KIND,
            namespace = self.watch.1,
            workloads = self.seen.len(),
            "listed"
        );
        self.health.note(&self.watch, Start::Synced);
        self.context.budget.listed(&self.watch);
    }

    fn gone(&mut self, uid: &str) {
        if let Some((identity, _)) = self.seen.remove(uid) {
            self.context.forget(&identity);
        }
    }

    fn failed(&self, error: &watcher::Error) {
        self.metrics.watch_error(W::KIND);
        let (text, refused) = described::<W>(error);
        if refused {
            self.health.note(&self.watch, Start::Refused);
            self.context.budget.listed(&self.watch);
        }
        self.outage.failed(&text);
    }
}

/// What an error of a watch means, and whether the API server refuses the kind altogether.
fn described<W: Workload>(error: &watcher::Error) -> (String, bool) {
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
                W::PLURAL
            );
            (format!("forbidden: {missing}"), true)
        }
        kube::Error::Api(status) if status.is_not_found() => {
            (format!("the API server does not know {}", W::PLURAL), true)
        }
        _ => (format!("{verb} failed: {source}"), false),
    }
}

/// A hash of all that a reconcile reads of an object.
fn fingerprint<W: Workload>(object: &Guarded<W>) -> u64 {
    let metadata = object.meta();
    let mut hasher = DefaultHasher::new();
    metadata.generation.hash(&mut hasher);
    metadata.deletion_timestamp.is_some().hash(&mut hasher);
    metadata.annotations.hash(&mut hasher);
    match &object.0 {
        Ok(workload) => workload.body().hash(&mut hasher),
        Err(unreadable) => unreadable.error.hash(&mut hasher),
    }
    hasher.finish()
}
