//! The pods of each selected workload, as they were last listed.

use std::{sync::Arc, time::Duration};

use ahash::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Error, PodFreshness, Pods, snapshot::Snapshot};
use crate::workload::{CurrentPods, RolledBackRollout, Workload, identity::Identity};

/// How long the pods of a workload that does not change stay fresh. What they run can change meanwhile: a later pull on a
/// node can give a running container another `imageID`.
pub(crate) const REFRESH: Duration = Duration::from_secs(10 * 60);

/// The same while a container of one waits or has not started: the kubelet retries, and the workload does not change unless
/// its pod becomes ready.
pub(super) const REFRESH_STARTING_OR_STUCK: Duration = Duration::from_secs(60);

/// How long after its selection a workload without pods counts as one whose first list is due.
const NEW: Duration = Duration::from_secs(10);

/// Up to this many workloads of a namespace that need a list get one each; more share one.
const ALONE: usize = 2;

/// The pods of all selected workloads.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<Arc<str>, Namespace>>);

/// The selected workloads of a namespace.
type Namespace = HashMap<Identity, Box<Entry>>;

/// A selected workload.
struct Entry {
    selected: Instant,
    /// `None` until its pods have been listed.
    cached: Option<CachedPods>,
    /// Why the last list failed, until a reconcile takes the error.
    failure: Option<Box<Error>>,
}

/// The pods of a workload, and the state of the workload that they belong to.
struct CachedPods {
    resource_version: Option<Arc<str>>,
    /// The template, and what is later than it in the history, change only with the generation.
    generation: Option<i64>,
    /// Of everything in the workload that a reconcile reads.
    fingerprint: u64,
    /// When the list started, by the monotonic clock.
    listed: Instant,
    /// How to find its pods in another list, as long as the workload does not change.
    current: Option<CurrentPods>,
    pods: Arc<Pods>,
}

/// What the cache has for a workload.
pub(super) enum Lookup {
    /// Pods that are fresh enough.
    Hit(Arc<Pods>),
    /// The pods have to be listed.
    Miss {
        /// When the last list started that shows how to find the pods of the workload as it is now.
        listed: Option<Instant>,
        /// Other workloads of the namespace need a list, too.
        others: bool,
    },
}

impl Cache {
    /// Caches the pods of the workload from now on.
    pub(crate) fn select(&self, identity: &Identity) {
        let mut all = self.0.lock();
        let namespace = all.entry(Arc::clone(&identity.namespace)).or_default();
        namespace.entry(identity.clone()).or_insert_with(|| {
            Box::new(Entry {
                selected: Instant::now(),
                cached: None,
                failure: None,
            })
        });
    }

    /// Removes a workload that is no longer selected.
    pub(crate) fn forget(&self, identity: &Identity) {
        let mut all = self.0.lock();
        if let Some(namespace) = all.get_mut(&identity.namespace) {
            namespace.remove(identity);
            if namespace.is_empty() {
                all.remove(&identity.namespace);
            }
        }
    }

    /// The pods of a selected workload as they were last listed, however long ago: for the overview, not for decisions.
    pub(crate) fn last(&self, identity: &Identity) -> Option<Arc<Pods>> {
        let all = self.0.lock();
        let entry = all.get(&identity.namespace)?.get(identity)?;
        entry.cached.as_ref().map(|cached| Arc::clone(&cached.pods))
    }

    /// The pods of the workload in its present state, if they are fresh enough.
    ///
    /// # Errors
    ///
    /// The failure of the last list since the previous lookup.
    pub(super) fn lookup(
        &self,
        workload: &Workload,
        freshness: PodFreshness,
    ) -> Result<Lookup, Error> {
        let failure = self.update(workload, |entry| entry.failure.take());
        if let Some(error) = failure.flatten() {
            return Err(*error);
        }
        let all = self.0.lock();
        let namespace = all.get(workload.namespace());
        let entry = namespace.and_then(|namespace| namespace.get(workload.uid()));
        let Some((namespace, entry)) = namespace.zip(entry) else {
            return Ok(Lookup::Miss {
                listed: None,
                others: false,
            });
        };
        let (listed, needs_list): (_, fn(&Entry) -> bool) = match &entry.cached {
            None => (None, Entry::is_new),
            Some(cached) if cached.is_fresh(workload, freshness) => {
                return Ok(Lookup::Hit(Arc::clone(&cached.pods)));
            }
            Some(cached) if cached.current.is_some() && cached.is_unchanged(workload) => {
                (Some(cached.listed), Entry::is_expired)
            }
            Some(_) => (None, |_| false),
        };
        let others = || {
            let others = namespace.values().filter(|entry| needs_list(entry));
            others.take(ALONE + 1).count() > ALONE
        };
        Ok(Lookup::Miss {
            listed,
            others: needs_list(entry) && others(),
        })
    }

    /// How to find the current pods of the workload, and its rolled-back rollouts, where either is known of its present state.
    pub(super) fn history(
        &self,
        workload: &Workload,
    ) -> (Option<CurrentPods>, Option<Arc<[RolledBackRollout]>>) {
        let all = self.0.lock();
        let namespace = all.get(workload.namespace());
        let entry = namespace.and_then(|namespace| namespace.get(workload.uid()));
        let Some(cached) = entry.and_then(|entry| entry.cached.as_ref()) else {
            return (None, None);
        };
        let current = cached.current.as_ref();
        let current = current.filter(|_| cached.is_unchanged(workload));
        let same_template = cached.generation == workload.meta().generation;
        let rolled_back = cached.pods.rolled_back.as_ref().filter(|_| same_template);
        (current.cloned(), rolled_back.cloned())
    }

    /// Stores the pods that a list shows of a workload, if it is still selected.
    ///
    /// # Errors
    ///
    /// [`Error`] when one of its pods cannot be read.
    pub(super) fn store(
        &self,
        workload: &Workload,
        (current, rolled_back): (Option<CurrentPods>, Option<Arc<[RolledBackRollout]>>),
        snapshot: &Snapshot,
    ) -> Result<Arc<Pods>, Error> {
        let pods = snapshot.pods_of(current.as_ref())?;
        let pods = Arc::new(Pods {
            rolled_back,
            ..pods
        });
        self.update(workload, |entry| {
            entry.cached = Some(CachedPods {
                resource_version: workload.resource_version().cloned(),
                generation: workload.meta().generation,
                fingerprint: workload.fingerprint(),
                listed: snapshot.started,
                current,
                pods: Arc::clone(&pods),
            });
        });
        Ok(pods)
    }

    /// Stores why the pods of a workload could not be listed, for the reconcile that waits for them.
    pub(super) fn fail(&self, workload: &Workload, error: Error) {
        self.update(workload, |entry| entry.failure = Some(Box::new(error)));
    }

    /// Updates the entry of the workload, if it is selected.
    fn update<R>(&self, workload: &Workload, update: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let mut all = self.0.lock();
        let namespace = all.get_mut(workload.namespace())?;
        namespace.get_mut(workload.uid()).map(|entry| update(entry))
    }

    /// Refreshes the pods of every workload of a namespace from a list of the whole namespace.
    pub(super) fn refresh(&self, namespace: &str, snapshot: &Snapshot) {
        let mut all = self.0.lock();
        let entries = all.get_mut(namespace).into_iter();
        let entries = entries.flat_map(HashMap::values_mut);
        for cached in entries.filter_map(|entry| entry.cached.as_mut()) {
            cached.refresh(snapshot);
        }
    }
}

impl Entry {
    /// It was selected recently, and its pods have not been listed yet.
    fn is_new(&self) -> bool {
        self.cached.is_none() && self.selected.elapsed() < NEW
    }

    /// Its pods have to be listed again, whether the workload changes or not.
    fn is_expired(&self) -> bool {
        let cached = self.cached.as_ref();
        cached.is_some_and(|cached| cached.listed.elapsed() >= cached.lifetime())
    }
}

impl CachedPods {
    fn is_unchanged(&self, workload: &Workload) -> bool {
        self.resource_version.as_ref() == workload.resource_version()
    }

    /// How long it stays fresh while the workload does not change.
    fn lifetime(&self) -> Duration {
        let mut pods = self.pods.current.iter();
        if pods.any(|pod| pod.is_starting_or_stuck()) {
            REFRESH_STARTING_OR_STUCK
        } else {
            REFRESH
        }
    }

    fn is_fresh(&self, workload: &Workload, freshness: PodFreshness) -> bool {
        let was_awaited = || {
            let waited = freshness.waited.is_some_and(|waited| self.listed >= waited);
            waited && self.fingerprint == workload.fingerprint()
        };
        freshness.is_met_by(self.listed, self.pods.listed_at)
            && self.listed.elapsed() < self.lifetime()
            && (!freshness.rollbacks || self.pods.rolled_back.is_some())
            && (self.is_unchanged(workload) || was_awaited())
    }

    /// Takes the pods from a later list. The workload may have changed, but its present state is not known here.
    fn refresh(&mut self, snapshot: &Snapshot) {
        // A pod that cannot be read is reported when the workload itself requests its pods.
        if let Some(current) = self
            .current
            .as_ref()
            .filter(|_| self.listed < snapshot.started)
            && let Ok(pods) = snapshot.pods_of(Some(current))
        {
            let rolled_back = self.pods.rolled_back.clone();
            self.pods = Arc::new(Pods {
                rolled_back,
                ..pods
            });
            self.listed = snapshot.started;
        }
    }
}
