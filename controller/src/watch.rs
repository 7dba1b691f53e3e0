//! Watches the selected workloads of one kind and passes on what is news to a reconcile.
//!
//! Three things about kube-runtime shape this: an error in its queue of what to reconcile says nothing, so errors are
//! counted and told here, behind a back-off of the stream's own; an object that cannot be read ends the list that it is
//! in, so it is passed on as [`Guarded`]; and a reconcile is not told of deletions in a way that it could act on, so what
//! is remembered of a workload is forgotten here.

mod outage;

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, DynamicResourceScope},
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, store::Writer},
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
    names::Names,
    workload::{Guarded, Kind, View},
};
use outage::Outage;

/// Objects in one page of the first list. A page is in memory as a whole, with all that is not read of it.
const PAGE: u32 = 50;

/// The selected workloads that are new, or have changed in what a reconcile reads, in one namespace or in all.
pub(crate) fn changes(
    client: &Client,
    kind: Kind,
    watch: Watch,
    writer: Writer<Guarded>,
    health: Arc<Health>,
    context: Arc<Context>,
) -> impl Stream<Item = ObjectRef<Guarded>> + Send + use<> {
    let outage = Arc::new(Outage::new(watch.clone(), Arc::clone(&context.retries)));
    let client = &outage.noticed(client);
    let pace = || outage::pace(&watch);
    let quick = watcher(api::<View>(client, kind, &watch), selected()).backoff(pace());
    let careful = watcher(
        api::<DeserializeGuard<View>>(client, kind, &watch),
        selected(),
    );
    let careful = careful.backoff(pace());
    let mut news = News::new(kind, watch, outage, writer, health, context);
    // A guard buffers each object in order to read it twice, which nobody should pay who has no odd one.
    quick
        .take_while(|event| std::future::ready(!event.as_ref().is_err_and(is_unreadable)))
        .map(|event| event.map(guarded))
        .chain(careful)
        .filter_map(move |event| std::future::ready(news.of(event)))
}

/// The objects of a watch, read as such.
pub(crate) fn api<K>(client: &Client, kind: Kind, watch: &Watch) -> Api<K>
where
    K: Resource<DynamicType = Kind, Scope = DynamicResourceScope>,
{
    match &watch.1 {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
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

fn guarded(event: Event<View>) -> Event<DeserializeGuard<View>> {
    each(event, |view| DeserializeGuard(Ok(view)))
}

/// The same event with its object made into another.
fn each<A, B>(event: Event<A>, make: impl FnOnce(A) -> B) -> Event<B> {
    match event {
        Event::Apply(object) => Event::Apply(make(object)),
        Event::Delete(object) => Event::Delete(make(object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(make(object)),
        Event::InitDone => Event::InitDone,
    }
}

/// Tells news from repetition, and keeps the workloads for those who reconcile them.
struct News {
    kind: Kind,
    watch: Watch,
    outage: Arc<Outage>,
    writer: Writer<Guarded>,
    health: Arc<Health>,
    context: Arc<Context>,
    /// With a hash of what a reconcile reads of it.
    seen: HashMap<Identity, u64>,
    /// Those of a list that is under way.
    listed: HashSet<Identity>,
    namespaces: Names,
}

impl News {
    fn new(
        kind: Kind,
        watch: Watch,
        outage: Arc<Outage>,
        writer: Writer<Guarded>,
        health: Arc<Health>,
        context: Arc<Context>,
    ) -> Self {
        context.reports.watching(kind.name());
        Self {
            kind,
            watch,
            outage,
            writer,
            health,
            context,
            seen: HashMap::new(),
            listed: HashSet::new(),
            namespaces: Names::default(),
        }
    }

    fn of(
        &mut self,
        event: Result<Event<DeserializeGuard<View>>, watcher::Error>,
    ) -> Option<ObjectRef<Guarded>> {
        let event = match event {
            Ok(event) => each(event, |object| self.read(object)),
            Err(error) => {
                self.failed(&error);
                return None;
            }
        };
        self.writer.apply_watcher_event(&event);
        match event {
            Event::Init => {
                self.listed.clear();
                None
            }
            Event::InitApply(object) => {
                self.listed.insert(object.identity.clone());
                self.changed(&object)
            }
            Event::InitDone => {
                self.list_done();
                None
            }
            Event::Apply(object) => self.changed(&object),
            Event::Delete(object) => {
                self.gone(&object.identity);
                None
            }
        }
    }

    fn read(&mut self, object: DeserializeGuard<View>) -> Guarded {
        let metadata = object.meta();
        let known = self
            .seen
            .get_key_value(metadata.uid.as_deref().unwrap_or_default());
        let identity = match known {
            Some((identity, _)) => identity.clone(),
            None => Identity::of(self.kind, metadata, &mut self.namespaces),
        };
        Guarded {
            identity,
            read: object.0.map(|view| view.of(self.kind)),
        }
    }

    /// What to reconcile, unless a reconcile has seen all that it would read of it.
    fn changed(&mut self, object: &Guarded) -> Option<ObjectRef<Guarded>> {
        let identity = &object.identity;
        self.context.reports.select(identity);
        self.context.pods.select(identity);
        if let Ok(workload) = &object.read {
            count::note(workload, identity, &self.context);
        }
        let hash = fingerprint(object);
        let before = self.seen.insert(identity.clone(), hash);
        (before != Some(hash)).then(|| identity.object_ref(self.kind))
    }

    fn list_done(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let missing = self.seen.keys().filter(|known| !listed.contains(*known));
        for identity in missing.cloned().collect::<Vec<_>>() {
            self.gone(&identity);
        }
        debug!(
            kind = self.kind.name(),
            namespace = self.watch.1,
            workloads = self.seen.len(),
            "listed"
        );
        self.health.note(&self.watch, Start::Synced);
        self.context.budget.listed(&self.watch);
    }

    fn gone(&mut self, identity: &Identity) {
        if self.seen.remove(identity).is_some() {
            self.context.forget(identity);
        }
    }

    fn failed(&self, error: &watcher::Error) {
        self.context.reports.watch_failed(self.kind.name());
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

/// A hash of all that a reconcile reads of an object.
fn fingerprint(object: &Guarded) -> u64 {
    match &object.read {
        Ok(workload) => workload.fingerprint(),
        Err(unreadable) => {
            let mut hasher = DefaultHasher::new();
            unreadable.error.hash(&mut hasher);
            hasher.finish()
        }
    }
}
