//! Lists the pods of many workloads with few requests.
//!
//! A few workloads that wait in a namespace get a list each. Many of them, at a start or after a tag that they share has
//! moved, get one list of the namespace, which also serves later requests as long as it is fresh enough. The lists of a
//! namespace follow each other after a pause, which is short where a rollout waits for the next one.

use std::{
    collections::HashMap,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

use futures::future;
use kube::Client;
use parking_lot::Mutex;

use super::{
    Error, PodFreshness, Pods,
    cache::{Cache, Lookup},
    list::list,
    queue::{HELD, Namespace, Request, Requirements},
    snapshot::{HistoryRequest, Snapshot},
};
use crate::{
    lookup::{Fetches, Waiter},
    workload::Workload,
};

/// Up to this many workloads of a namespace get a list each.
const FEW: usize = 4;

/// Lists pods and histories in batches, by one task for each namespace with requests, and caches the pods of selected
/// workloads.
pub(crate) struct PodLister {
    client: Client,
    /// The annotation that holds the time of a rollout.
    restarted_at: &'static str,
    fetches: Fetches,
    pub(crate) cache: Cache,
    pub(super) namespaces: Mutex<HashMap<Arc<str>, Arc<Namespace>>>,
}

impl PodLister {
    /// A lister with an empty cache. `restarted_at` is the annotation that holds the time of a rollout.
    pub(crate) fn new(client: Client, restarted_at: &'static str, fetches: &Fetches) -> Arc<Self> {
        Arc::new(Self {
            client,
            restarted_at,
            fetches: fetches.clone(),
            cache: Cache::default(),
            namespaces: Mutex::default(),
        })
    }

    /// The pods of the workload in its present `resourceVersion`, if they are fresh enough. Otherwise they are listed, and
    /// the waiter is woken afterwards.
    ///
    /// # Errors
    ///
    /// [`Error`] when they had to be listed and could not be.
    pub(crate) fn lookup(
        self: &Arc<Self>,
        workload: &Workload,
        freshness: PodFreshness,
        waiter: &Waiter,
    ) -> Result<Option<Arc<Pods>>, Error> {
        let (listed, others) = match self.cache.lookup(workload, freshness)? {
            Lookup::Hit(pods) => return Ok(Some(pods)),
            Lookup::Miss { listed, others } => (listed, others),
        };
        let selector = workload.selector().as_str();
        let selector = selector.map_err(|error| Error::Selector(error.to_owned()))?;
        let mut since = freshness.since.max(workload.received());
        if let Some(listed) = listed {
            since = since.max(listed + Duration::from_nanos(1)); // the same list shows nothing new
        }
        let finds_pods = listed.is_none() && workload.kind.finds_pods_by_history();
        let templates = freshness.rollbacks && self.cache.history(workload).1.is_none();
        let history = (finds_pods || templates).then(|| HistoryRequest {
            history: workload.kind.history(),
            templates,
        });
        let urgent = freshness.after_request.is_some();
        let requirements = Requirements {
            history,
            freshness: PodFreshness { since, ..freshness },
            urgent,
            whole: others && !urgent,
        };
        self.request(workload, selector, requirements, waiter)
    }

    fn request(
        self: &Arc<Self>,
        workload: &Workload,
        selector: &str,
        requirements: Requirements,
        waiter: &Waiter,
    ) -> Result<Option<Arc<Pods>>, Error> {
        let name = workload.namespace();
        let known = self.namespaces.lock().get(name).cloned();
        let namespace = known
            .unwrap_or_else(|| Arc::clone(self.namespaces.lock().entry(name.into()).or_default()));
        let whole = namespace.whole.lock().clone();
        if let Some(whole) =
            whole.filter(|whole| whole.satisfies(requirements.freshness, requirements.history))
        {
            return self.store(workload, requirements, &whole).map(Some);
        }
        let mut queue = namespace.queue.lock();
        queue.add(workload, selector, requirements, waiter);
        if requirements.urgent {
            namespace.urgent.notify_one();
        }
        if queue.start() {
            let (lister, name, namespace) =
                (Arc::clone(self), name.to_owned(), Arc::clone(&namespace));
            self.fetches
                .spawn(async move { lister.run(&name, &namespace).await });
        }
        Ok(None)
    }

    /// Drops lists that are too old for any request, and namespaces without requests.
    pub(crate) fn tidy(&self) {
        self.namespaces.lock().retain(|_, namespace| {
            let mut whole = namespace.whole.lock();
            whole.take_if(|whole| whole.started.elapsed() > HELD);
            whole.is_some() || namespace.queue.lock().is_running()
        });
    }

    /// Serves the requests of a namespace until there are none.
    async fn run(&self, name: &str, namespace: &Namespace) {
        loop {
            self.serve_from_last_list(namespace);
            if namespace.queue.lock().stop_if_empty() {
                return;
            }
            namespace.pause().await;
            let requests = namespace.queue.lock().begin();
            self.serve(name, namespace, requests).await;
        }
    }

    async fn serve(&self, name: &str, namespace: &Namespace, requests: Vec<Request>) {
        let needs_whole = requests.iter().any(|request| request.requirements.whole);
        if needs_whole || requests.len() > FEW {
            let histories = requests.iter();
            let histories = histories.filter_map(|request| request.requirements.history);
            let whole = list(&self.client, name, "", histories).await;
            *namespace.whole.lock() = whole.as_ref().ok().cloned();
            if let Ok(whole) = &whole
                && needs_whole
            {
                self.cache.refresh(name, whole);
            }
            for request in requests {
                self.complete(&request, &whole);
            }
        } else {
            let each = requests.into_iter().map(|request| async move {
                let history = request.requirements.history.into_iter();
                let selected = list(&self.client, name, &request.selector, history).await;
                self.complete(&request, &selected);
            });
            future::join_all(each).await;
        }
        let waiters = namespace.queue.lock().end();
        Waiter::wake(&waiters, &self.fetches.triggers);
    }

    /// Serves the requests that the last list of the namespace satisfies: it started after they were made.
    fn serve_from_last_list(&self, namespace: &Namespace) {
        let Some(whole) = namespace.whole.lock().clone() else {
            return;
        };
        let satisfied = namespace.queue.lock().satisfied_by(&whole);
        let whole = Ok(whole);
        for request in satisfied {
            self.complete(&request, &whole);
            Waiter::wake(&request.waiters, &self.fetches.triggers);
        }
    }

    /// Caches the pods that a list shows of a workload, or why they could not be listed.
    fn complete(&self, request: &Request, listed: &Result<Arc<Snapshot>, Error>) {
        // A panic affects this workload only, not the others of the batch.
        let stored = panic::catch_unwind(AssertUnwindSafe(|| {
            let snapshot = listed.as_ref().map_err(Clone::clone)?;
            self.store(&request.workload, request.requirements, snapshot)
                .map(drop)
        }));
        if let Err(error) = stored.unwrap_or(Err(Error::Panicked)) {
            self.cache.fail(&request.workload, error);
        }
    }

    fn store(
        &self,
        workload: &Workload,
        requirements: Requirements,
        snapshot: &Snapshot,
    ) -> Result<Arc<Pods>, Error> {
        // What the history shows of a template does not change unless the workload does.
        let (mut current, mut rolled_back) = self.cache.history(workload);
        if current.is_none() {
            current = snapshot.current(workload)?;
        }
        if rolled_back.is_none() {
            let templates = requirements.freshness.rollbacks;
            rolled_back = snapshot.rolled_back(workload, self.restarted_at, templates)?;
        }
        self.cache.store(workload, (current, rolled_back), snapshot)
    }
}
