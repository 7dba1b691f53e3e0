//! Watches the selected workloads of one kind and passes on what is news to a reconcile.
//!
//! An object that cannot be read ends the watch that tells of it, so it is passed on as [`Guarded`]. What is remembered of a
//! workload is forgotten here, as a reconcile learns nothing of a deletion.

mod listed;
mod outage;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{Stream, StreamExt as _, stream};
use http::Request;
use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, DynamicResourceScope},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use tracing::debug;

use crate::{
    constants,
    controller::context::Context,
    controller::count,
    controller::selected::{Guarded, Selected},
    server::health::{Health, Start, Watch},
    workload::identity::Identity,
    workload::interner::Names,
    workload::{Kind, View},
};
use outage::Outage;

/// The selected workloads that are new, or have changed in what a reconcile reads, in one namespace or in all; those of a
/// list when all of it is there, so that whoever is reconciled first may ask for all of them.
pub(crate) fn changes(
    client: &Client,
    kind: Kind,
    watch: &Watch,
    selected: Arc<Selected>,
    health: Arc<Health>,
    context: Arc<Context>,
) -> impl Stream<Item = Identity> + Send + use<> {
    let outage = Arc::new(Outage::new(watch.clone(), Arc::clone(&context.retries)));
    let news = News::new(
        kind,
        watch.clone(),
        Arc::clone(&outage),
        selected,
        health,
        context,
    );
    let news = Arc::new(Mutex::new(news));
    let listed = Arc::clone(&news);
    let client = &listed::apart(&outage.noticed(client), move |object| {
        lock(&listed).listed(object);
    });
    let pace = || outage::pace(watch);
    let quick = watcher(api::<View>(client, kind, watch), labelled()).backoff(pace());
    let careful = watcher(
        api::<DeserializeGuard<View>>(client, kind, watch),
        labelled(),
    );
    let careful = careful.backoff(pace());
    // A guard buffers each object in order to read it twice, which nobody should pay who has no odd one.
    quick
        .take_while(|event| std::future::ready(!event.as_ref().is_err_and(is_unreadable)))
        .map(|event| event.map(guarded))
        .chain(careful)
        .flat_map(move |event| stream::iter(lock(&news).of(event)))
}

/// The objects of a watch, read as such.
fn api<K>(client: &Client, kind: Kind, watch: &Watch) -> Api<K>
where
    K: Resource<DynamicType = Kind, Scope = DynamicResourceScope>,
{
    match &watch.1 {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    }
}

/// Those that are selected, in one list however many they are: [`listed`] reads it as it comes.
fn labelled() -> watcher::Config {
    let config = watcher::Config {
        page_size: None,
        ..watcher::Config::default()
    };
    config.labels(constants::SELECTOR)
}

/// Whether a request of a watcher is to watch; if not, it is to list.
fn is_watch<Body>(request: &Request<Body>) -> bool {
    let query = request.uri().query();
    query.is_some_and(|query| query.contains("watch=true"))
}

/// Whether a watch ended for an object that cannot be read; a list never does. In a stream, kube takes such a line for a
/// `Status` that says nothing.
fn is_unreadable(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchFailed(kube::Error::SerdeError(_)) => true,
        watcher::Error::WatchFailed(kube::Error::Api(status)) => status.code == 0,
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
    selected: Arc<Selected>,
    health: Arc<Health>,
    context: Arc<Context>,
    /// Those of a list that is under way.
    listed: HashSet<Identity>,
    /// What was news in it, or in one before it that was broken off.
    changed: Vec<Identity>,
    namespaces: Names,
}

impl News {
    fn new(
        kind: Kind,
        watch: Watch,
        outage: Arc<Outage>,
        selected: Arc<Selected>,
        health: Arc<Health>,
        context: Arc<Context>,
    ) -> Self {
        context.reports.watching(kind.name());
        Self {
            kind,
            watch,
            outage,
            selected,
            health,
            context,
            listed: HashSet::new(),
            changed: Vec::new(),
            namespaces: Names::default(),
        }
    }

    fn of(
        &mut self,
        event: Result<Event<DeserializeGuard<View>>, watcher::Error>,
    ) -> Vec<Identity> {
        match event {
            Ok(Event::Init) => self.listed.clear(),
            Ok(Event::InitApply(object)) => self.listed(object),
            Ok(Event::InitDone) => {
                self.list_done();
                return std::mem::take(&mut self.changed);
            }
            Ok(Event::Apply(object)) => {
                let object = self.read(object);
                return Vec::from_iter(self.changed(object));
            }
            Ok(Event::Delete(object)) => {
                let object = self.read(object);
                self.gone(&object.identity);
            }
            Err(error) => self.failed(&error),
        }
        Vec::new()
    }

    /// An object of a list that is under way.
    fn listed(&mut self, object: DeserializeGuard<View>) {
        let object = self.read(object);
        self.listed.insert(object.identity.clone());
        let changed = self.changed(object);
        self.changed.extend(changed);
    }

    fn read(&mut self, object: DeserializeGuard<View>) -> Guarded {
        let metadata = object.meta();
        let uid = metadata.uid.as_deref().unwrap_or_default();
        let known = self.selected.identity(uid);
        let identity =
            known.unwrap_or_else(|| Identity::of(self.kind, metadata, &mut self.namespaces));
        Guarded {
            identity,
            read: object.0.map(|view| view.of(self.kind)),
        }
    }

    /// What to reconcile, unless a reconcile has seen all that it would read of it; after a conflict, each later object is
    /// what one waits for.
    fn changed(&self, object: Guarded) -> Option<Identity> {
        let identity = object.identity.clone();
        self.context.reports.select(&identity);
        self.context.pods.select(&identity);
        if let Ok(workload) = &object.read {
            count::note(workload, &identity, &self.context);
        }
        let is_news = self.selected.put(object) || self.context.conflicts.are_of(&identity);
        is_news.then_some(identity)
    }

    fn list_done(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        for identity in self.selected.listed(&listed) {
            self.gone(&identity);
        }
        debug!(
            kind = self.kind.name(),
            namespace = self.watch.1,
            workloads = listed.len(),
            "listed"
        );
        self.health.note(&self.watch, Start::Synced);
        self.context.budget.listed(&self.watch);
    }

    fn gone(&self, identity: &Identity) {
        if self.selected.remove(identity) {
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

fn lock(news: &Mutex<News>) -> MutexGuard<'_, News> {
    news.lock().unwrap_or_else(PoisonError::into_inner)
}
