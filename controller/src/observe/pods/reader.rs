//! Lists pods for many workloads at once.
//!
//! Few workloads that wait are served by a list of their own each; many, at a start or after a tag that they share has
//! moved, by one list of their namespace, which serves those who come later, too, as long as it is recent enough for
//! them. Who needs certainty before a rollout does not wait for others on purpose: the others do, while one list of
//! the namespace follows the other.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, ReplicaSet},
    core::v1,
};
use kube::{
    Client, Resource as _,
    api::{ListParams, Request},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{Notify, oneshot},
    time::{self, Instant},
};

use super::{
    Error,
    answer::{Answer, Listed, Since},
    object::{self, Unreadable},
    shared::Shared,
    view::View,
};
use crate::{
    client::list_stream,
    clock,
    workload::{History, Past},
};

/// Up to so many workloads are read with a list of their own each.
const FEW: usize = 4;

/// How long a list of a whole namespace is held for those who come later.
const HELD: Duration = Duration::from_secs(10);

/// How soon one list of a whole namespace follows the end of the other: each costs the API server as much as many
/// patches do, and while everything is rolled out somebody always waits for the next.
const PAUSE: Pause = Pause {
    least: Duration::from_secs(2),
    times: 4,
};

/// The same where a rollout waits for it.
const SHORT_PAUSE: Pause = Pause {
    least: Duration::from_millis(300),
    times: 1,
};

/// Reads pods and histories in batches, one batch per namespace at a time.
pub(super) struct Reader {
    client: Client,
    namespaces: Mutex<HashMap<String, Arc<Namespace>>>,
}

/// Those who wait in one namespace.
#[derive(Default)]
struct Namespace {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
    /// The last list of all of it.
    whole: Mutex<Option<Arc<Answer>>>,
    /// Somebody has come who must not wait for others.
    urgent: Notify,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The objects that tell the current template, where that is not known already.
    pub(super) history: Option<History>,
    /// Lists that began earlier are of no use.
    pub(super) since: Since,
    /// It must not wait for others.
    pub(super) urgent: bool,
    /// Others are known to need a list of the namespace as well.
    pub(super) whole: bool,
}

/// Objects by the UIDs of their owners, and those that cannot be read.
type ByOwner<T> = (HashMap<String, Vec<T>>, Vec<Unreadable>);

struct Waiting {
    selector: String,
    wanted: Wanted,
    answer: oneshot::Sender<Result<Arc<Answer>, Error>>,
}

impl Reader {
    /// A reader for all namespaces.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            namespaces: Mutex::default(),
        }
    }

    /// The pods that the selector finds and the history of their owners, or more.
    pub(super) async fn read(
        &self,
        namespace: &str,
        selector: &str,
        wanted: Wanted,
    ) -> Result<Arc<Answer>, Error> {
        let place = self.namespace(namespace);
        if let Some(whole) = place.served(wanted) {
            return Ok(whole);
        }
        let (answer, mut answered) = oneshot::channel();
        lock(&place.waiting).push(Waiting {
            selector: selector.to_owned(),
            wanted,
            answer,
        });
        if wanted.urgent {
            place.urgent.notify_one();
        }
        let _turn = place.turn.lock().await;
        place.settle();
        if answered.is_empty() {
            // Not served by an earlier turn, so our request is among those that this one takes.
            place.pause().await;
            let batch = mem::take(&mut *lock(&place.waiting));
            self.serve(namespace, &place, batch).await;
        }
        answered.try_recv().unwrap_or_else(|_| {
            Err(Error::Abandoned {
                namespace: namespace.to_owned(),
            })
        })
    }

    /// Drops lists that are too old to serve anybody, and namespaces where nobody waits.
    pub(super) fn tidy(&self) {
        lock(&self.namespaces).retain(|_, place| {
            let mut whole = lock(&place.whole);
            whole.take_if(|whole| whole.at.elapsed() > HELD);
            whole.is_some() || Arc::strong_count(place) > 1
        });
    }

    /// How many namespaces are known.
    #[cfg(test)]
    pub(super) fn namespaces(&self) -> usize {
        lock(&self.namespaces).len()
    }

    async fn serve(&self, namespace: &str, place: &Namespace, batch: Vec<Waiting>) {
        let whole = batch.len() > FEW || batch.iter().any(|waiting| waiting.wanted.whole);
        if whole {
            let histories = batch.iter().filter_map(|waiting| waiting.wanted.history);
            let all = self.list(namespace, "", histories.collect()).await;
            *lock(&place.whole) = all.as_ref().ok().cloned();
            for waiting in batch {
                // Who no longer waits needs no answer.
                drop(waiting.answer.send(all.clone()));
            }
        } else {
            let each = batch.into_iter().map(|waiting| async move {
                let histories = waiting.wanted.history.into_iter().collect();
                let selected = self.list(namespace, &waiting.selector, histories).await;
                drop(waiting.answer.send(selected));
            });
            future::join_all(each).await;
        }
    }

    async fn list(
        &self,
        namespace: &str,
        selector: &str,
        histories: BTreeSet<History>,
    ) -> Result<Arc<Answer>, Error> {
        let (begun, at) = (clock::now(), Instant::now());
        let lists = async {
            let histories = histories.into_iter().map(|history| async move {
                (history, self.history(namespace, selector, history).await)
            });
            future::join(self.pods(namespace, selector), future::join_all(histories)).await
        };
        let (pods, histories) = time::timeout(list_stream::TIMEOUT, lists)
            .await
            .map_err(|_| Error::Timeout {
                namespace: namespace.to_owned(),
            })?;
        let (pods, mut unreadable) = pods?;
        let histories = histories.into_iter().map(|(history, listed)| {
            let listed = listed.map(|(objects, bad)| {
                unreadable.extend(bad);
                objects
            });
            (history, listed)
        });
        Ok(Arc::new(Answer {
            begun,
            at,
            took: at.elapsed(),
            pods,
            histories: histories.collect(),
            unreadable: unreadable
                .into_iter()
                .map(|object| (object.owner, object.what.into()))
                .collect(),
        }))
    }

    async fn pods(&self, namespace: &str, selector: &str) -> Result<ByOwner<Listed>, Error> {
        let mut pods: HashMap<String, Vec<Listed>> = HashMap::new();
        let mut shared = Shared::default();
        let request = Request::new(v1::Pod::url_path(&(), Some(namespace)));
        let items = self.each(
            selector,
            |parameters| request.list(parameters),
            |pod: View| {
                if let Some(owner) = pod.owner().map(str::to_owned) {
                    let owned = pods.entry(owner).or_insert_with(one);
                    owned.push(pod.reduced(&mut shared));
                }
            },
        );
        let listed = items.await;
        let unreadable = listed.map_err(|source| Error::list("pods", namespace, source))?;
        Ok((pods, unreadable))
    }

    async fn history(
        &self,
        namespace: &str,
        selector: &str,
        history: History,
    ) -> Result<ByOwner<Past>, Error> {
        let mut objects: HashMap<String, Vec<Past>> = HashMap::new();
        let path = match history {
            History::ReplicaSets => ReplicaSet::url_path(&(), Some(namespace)),
            History::ControllerRevisions => ControllerRevision::url_path(&(), Some(namespace)),
        };
        let request = Request::new(path);
        let items = self.each(
            selector,
            |parameters| match history {
                History::ReplicaSets => request.list_metadata(parameters),
                // The number of a revision is not metadata.
                History::ControllerRevisions => request.list(parameters),
            },
            |object: Past| {
                if let Some(owner) = object.owner().map(str::to_owned) {
                    objects.entry(owner).or_insert_with(one).push(object);
                }
            },
        );
        let listed = items.await;
        let unreadable =
            listed.map_err(|source| Error::list(history.plural(), namespace, source))?;
        Ok((objects, unreadable))
    }

    /// Lists, hands each object on while the list comes in, and gives those that cannot be read.
    async fn each<T: DeserializeOwned>(
        &self,
        selector: &str,
        request: impl Fn(&ListParams) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
        mut each: impl FnMut(T) + Send,
    ) -> Result<Vec<Unreadable>, kube::Error> {
        let mut unreadable = Vec::new();
        let parameters = ListParams::default().labels(selector);
        let request = |parameters: &ListParams| {
            let mut request = request(parameters)?;
            if selector.is_empty() {
                list_stream::close_after(&mut request);
            }
            Ok(request)
        };
        let items = list_stream::all(&self.client, request, parameters, |item| {
            match object::read(item)? {
                Ok(object) => each(object),
                Err(object) => unreadable.push(object),
            }
            Ok(())
        });
        items.await?;
        Ok(unreadable)
    }

    fn namespace(&self, name: &str) -> Arc<Namespace> {
        let mut namespaces = lock(&self.namespaces);
        Arc::clone(namespaces.entry(name.to_owned()).or_default())
    }
}

/// Room for one: most owners have one pod, and the first `push` would make room for four.
fn one<T>() -> Vec<T> {
    Vec::with_capacity(1)
}

/// A pause between two lists of a namespace.
#[derive(Clone, Copy)]
struct Pause {
    least: Duration,
    /// So many times as long as the list took, as a large one, or a busy API server, needs more; but not longer than it
    /// is [`HELD`].
    times: u32,
}

impl Pause {
    fn after(self, took: Duration) -> Duration {
        self.least.max(took * self.times).min(HELD)
    }
}

impl Namespace {
    /// While one list of the namespace follows the other, those who wait wait for each other.
    async fn pause(&self) {
        let last = lock(&self.whole).as_ref().map(|last| (last.at, last.took));
        let Some((at, took)) = last else {
            return;
        };
        loop {
            let urgent = lock(&self.waiting)
                .iter()
                .any(|waiting| waiting.wanted.urgent);
            let pause = if urgent { SHORT_PAUSE } else { PAUSE };
            tokio::select! {
                () = time::sleep_until(at + took + pause.after(took)) => return,
                () = self.urgent.notified(), if !urgent => {}
            }
        }
    }

    /// The last list of the namespace, if it serves.
    fn served(&self, wanted: Wanted) -> Option<Arc<Answer>> {
        let whole = lock(&self.whole);
        let whole = whole.as_ref();
        whole
            .filter(|whole| whole.serves(wanted.since, wanted.history))
            .cloned()
    }

    /// Answers those who wait and are served by the last list of the namespace: it began after they came.
    fn settle(&self) {
        let mut waiting = lock(&self.waiting);
        for waiter in mem::take(&mut *waiting) {
            match self.served(waiter.wanted) {
                Some(whole) => drop(waiter.answer.send(Ok(whole))),
                None => waiting.push(waiter),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
