//! Lists pods for many workloads at once.
//!
//! Few workloads that wait are served by a list of their own each; many, at a start or after a tag that they share has
//! moved, by one list of their namespace. Nobody waits for others on purpose: who finds the reader idle is served at
//! once, and those who come meanwhile form the next batch.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future;
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, ReplicaSet},
        core::v1,
    },
    apimachinery::pkg::apis::meta::v1::ListMeta,
};
use kube::{
    Client, Resource as _,
    api::{ListParams, Request},
    core::Selector,
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{sync::oneshot, time};

use super::{Error, Pods, view::View};
use crate::{
    clock,
    workload::{History, Past, Workload},
};

/// Up to so many workloads are read with a list of their own each.
const FEW: usize = 4;

/// Objects in one page of a list. A page is in memory as a whole, and pods of ten kilobytes are not rare.
const PAGE: u32 = 100;

/// After which a list counts as lost: kube's client waits for ever by itself.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

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
}

struct Waiting {
    selector: Selector,
    history: Option<History>,
    answer: oneshot::Sender<Result<Arc<Answer>, Error>>,
}

/// A page of a list.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: ListMeta,
    items: Vec<T>,
}

/// Pods and histories of one list, by their owners.
pub(super) struct Answer {
    begun: Timestamp,
    pods: HashMap<String, Vec<View>>,
    /// A kind of history that may not be read is the trouble of those workloads that have it.
    histories: BTreeMap<History, Result<HashMap<String, Vec<Past>>, Error>>,
}

impl Reader {
    /// A reader for all namespaces.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            namespaces: Mutex::default(),
        }
    }

    /// The pods that the selector finds and the history of their owners, or more, from lists that begin after this call.
    pub(super) async fn read(
        &self,
        namespace: &str,
        selector: Selector,
        history: Option<History>,
    ) -> Result<Arc<Answer>, Error> {
        let place = self.namespace(namespace);
        let (answer, mut answered) = oneshot::channel();
        lock(&place.waiting).push(Waiting {
            selector,
            history,
            answer,
        });
        let _turn = place.turn.lock().await;
        if answered.is_empty() {
            // Not served by an earlier turn, so our request is among those that this one takes.
            let batch = mem::take(&mut *lock(&place.waiting));
            self.serve(namespace, batch).await;
        }
        answered.try_recv().unwrap_or_else(|_| {
            Err(Error::Abandoned {
                namespace: namespace.to_owned(),
            })
        })
    }

    async fn serve(&self, namespace: &str, batch: Vec<Waiting>) {
        if batch.len() <= FEW {
            let each = batch.into_iter().map(|waiting| async move {
                let histories = waiting.history.into_iter().collect();
                let selected = self.list(namespace, &waiting.selector, histories).await;
                // Who no longer waits needs no answer.
                drop(waiting.answer.send(selected));
            });
            future::join_all(each).await;
        } else {
            let histories = batch.iter().filter_map(|waiting| waiting.history).collect();
            let all = self.list(namespace, &Selector::default(), histories).await;
            for waiting in batch {
                drop(waiting.answer.send(all.clone()));
            }
        }
    }

    async fn list(
        &self,
        namespace: &str,
        selector: &Selector,
        histories: BTreeSet<History>,
    ) -> Result<Arc<Answer>, Error> {
        let begun = clock::now();
        let lists = async {
            let histories = histories.into_iter().map(|history| async move {
                (history, self.history(namespace, selector, history).await)
            });
            future::join(self.pods(namespace, selector), future::join_all(histories)).await
        };
        let (pods, histories) =
            time::timeout(LIST_TIMEOUT, lists)
                .await
                .map_err(|_| Error::Timeout {
                    namespace: namespace.to_owned(),
                })?;
        Ok(Arc::new(Answer {
            begun,
            pods: pods?,
            histories: histories.into_iter().collect(),
        }))
    }

    async fn pods(
        &self,
        namespace: &str,
        selector: &Selector,
    ) -> Result<HashMap<String, Vec<View>>, Error> {
        let mut pods: HashMap<String, Vec<View>> = HashMap::new();
        let request = Request::new(v1::Pod::url_path(&(), Some(namespace)));
        let pages = self.pages(
            selector,
            |parameters| request.list(parameters),
            |pod: View| {
                if let Some(owner) = pod.owner().map(str::to_owned) {
                    pods.entry(owner).or_default().push(pod);
                }
            },
        );
        let listed = pages.await;
        listed.map_err(|source| Error::list("pods", namespace, source))?;
        Ok(pods)
    }

    async fn history(
        &self,
        namespace: &str,
        selector: &Selector,
        history: History,
    ) -> Result<HashMap<String, Vec<Past>>, Error> {
        let mut objects: HashMap<String, Vec<Past>> = HashMap::new();
        let path = match history {
            History::ReplicaSets => ReplicaSet::url_path(&(), Some(namespace)),
            History::ControllerRevisions => ControllerRevision::url_path(&(), Some(namespace)),
        };
        let request = Request::new(path);
        let pages = self.pages(
            selector,
            |parameters| match history {
                History::ReplicaSets => request.list_metadata(parameters),
                // The number of a revision is not metadata.
                History::ControllerRevisions => request.list(parameters),
            },
            |object: Past| {
                if let Some(owner) = object.owner().map(str::to_owned) {
                    objects.entry(owner).or_default().push(object);
                }
            },
        );
        let listed = pages.await;
        listed.map_err(|source| Error::list(history.plural(), namespace, source))?;
        Ok(objects)
    }

    /// Lists page by page, and hands each object on.
    async fn pages<T: DeserializeOwned>(
        &self,
        selector: &Selector,
        request: impl Fn(&ListParams) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
        mut each: impl FnMut(T),
    ) -> Result<(), kube::Error> {
        let mut parameters = ListParams::default().labels_from(selector).limit(PAGE);
        loop {
            let request = request(&parameters).map_err(kube::Error::BuildRequest)?;
            let page: Page<T> = self.client.request(request).await?;
            page.items.into_iter().for_each(&mut each);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters.continue_token = Some(token),
                None => return Ok(()),
            }
        }
    }

    fn namespace(&self, name: &str) -> Arc<Namespace> {
        let mut namespaces = lock(&self.namespaces);
        Arc::clone(namespaces.entry(name.to_owned()).or_default())
    }
}

impl Answer {
    /// What the lists hold of one workload.
    ///
    /// # Errors
    ///
    /// [`Error`] when its kind of history could not be listed.
    pub(super) fn pods_of<W: Workload>(&self, workload: &W) -> Result<Pods, Error> {
        let uid = workload.meta().uid.as_deref().unwrap_or_default();
        let history = W::HISTORY.and_then(|history| self.histories.get(&history));
        let history = history
            .map(Result::as_ref)
            .transpose()
            .map_err(Clone::clone)?;
        let history = history.and_then(|history| history.get(uid));
        let current = workload.current(history.map_or(&[][..], Vec::as_slice));
        let pods: Vec<&View> = current.as_ref().map_or_else(Vec::new, |current| {
            let owned = self.pods.get(&current.owner).into_iter().flatten();
            owned.filter(|pod| pod.is_of(current)).collect()
        });
        let newest = pods.iter().max_by_key(|pod| pod.created());
        Ok(Pods {
            begun: self.begun,
            template_found: current.is_some(),
            current: pods.iter().map(|pod| pod.reduced()).collect(),
            pull_secrets: newest.map(|pod| pod.pull_secrets()).unwrap_or_default(),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
