//! What is kept of the pods of each selected workload.

use std::{sync::Arc, time::Duration};

use ahash::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Error, Pods,
    answer::{Answer, Since},
};
use crate::{
    clock,
    workload::identity::Identity,
    workload::{CurrentPods, Undone, Workload},
};

/// How long pods that were read serve a workload that does not change. What they run can change meanwhile: a later pull
/// on a node can give a running container another `imageID`.
pub(crate) const REFRESH: Duration = Duration::from_secs(10 * 60);

/// How long they serve while a container of one waits or has not started: the kubelet goes on with it, and nothing changes
/// in the workload where its pod does not become ready then.
pub(super) const REFRESH_UNSETTLED: Duration = Duration::from_secs(60);

/// How long a workload that was not read yet counts as one that is about to be.
const NEW: Duration = Duration::from_secs(10);

/// Up to so many workloads that need a list have one each; of more, each saves the others theirs.
const ALONE: usize = 2;

/// The pods of all selected workloads.
#[derive(Default)]
pub(super) struct KeptPods(Mutex<Namespaces>);

/// By name.
type Namespaces = HashMap<Arc<str>, Namespace>;

/// The selected workloads of a namespace.
type Namespace = HashMap<Identity, Box<Entry>>;

/// A selected workload.
struct Entry {
    selected: Instant,
    /// Nothing as long as its pods were not read.
    kept: Option<Kept>,
    /// Why the last attempt to read them failed, until a reconcile has taken it.
    failed: Option<Box<Error>>,
}

/// What was read of a workload.
struct Kept {
    resource_version: Option<Arc<str>>,
    /// Of the workload: its template and what is later in its history change with it only.
    generation: Option<i64>,
    /// Of what a reconcile reads of the workload.
    fingerprint: u64,
    /// When the list began, by our monotonic clock.
    read: Instant,
    /// How to find its pods in another list, as long as it does not change.
    current: Option<CurrentPods>,
    pods: Arc<Pods>,
}

/// What is kept of a workload.
pub(super) enum Found {
    /// It is good enough.
    Good(Arc<Pods>),
    /// It is too old, but the workload has not changed since.
    Old {
        current: CurrentPods,
        /// When its list began.
        read: Instant,
        /// Others of the namespace are too old, whatever happens.
        others: bool,
    },
    /// Nothing that is of use.
    Nothing {
        /// It is new, and so are others of the namespace.
        others: bool,
    },
}

impl KeptPods {
    /// From now on the workload is kept.
    pub(super) fn select(&self, identity: &Identity) {
        let mut all = self.0.lock();
        let namespace = all.entry(Arc::clone(&identity.namespace)).or_default();
        namespace.entry(identity.clone()).or_insert_with(|| {
            Box::new(Entry {
                selected: Instant::now(),
                kept: None,
                failed: None,
            })
        });
    }

    /// Forgets a workload that is no longer selected.
    pub(super) fn forget(&self, identity: &Identity) {
        let mut all = self.0.lock();
        if let Some(namespace) = all.get_mut(&identity.namespace) {
            namespace.remove(identity);
            if namespace.is_empty() {
                all.remove(&identity.namespace);
            }
        }
    }

    /// What is kept of the workload as it is now, good if its list began then or later.
    ///
    /// # Errors
    ///
    /// Once what a list failed with that was made since the workload was looked up.
    pub(super) fn find(&self, workload: &Workload, since: Since) -> Result<Found, Error> {
        let mut all = self.0.lock();
        let Some(namespace) = all.get_mut(workload.namespace()) else {
            return Ok(Found::Nothing { others: false });
        };
        let Some(entry) = namespace.get_mut(workload.uid()) else {
            return Ok(Found::Nothing { others: false });
        };
        if let Some(error) = entry.failed.take() {
            return Err(*error);
        }
        if let Some(kept) = entry
            .kept
            .as_ref()
            .filter(|kept| kept.is_good(workload, since))
        {
            return Ok(Found::Good(Arc::clone(&kept.pods)));
        }
        Ok(Self::outdated(namespace, workload))
    }

    /// What is kept of a workload for which it is not good enough.
    fn outdated(namespace: &Namespace, workload: &Workload) -> Found {
        let others = |need: fn(&Entry) -> bool| {
            let needy = namespace.values().filter(|entry| need(entry));
            needy.take(ALONE + 1).count() > ALONE
        };
        let Some(entry) = namespace.get(workload.uid()) else {
            return Found::Nothing { others: false };
        };
        let Some(kept) = &entry.kept else {
            let others = entry.is_new() && others(Entry::is_new);
            return Found::Nothing { others };
        };
        match &kept.current {
            Some(current) if kept.is_unchanged(workload) => Found::Old {
                current: current.clone(),
                read: kept.read,
                others: entry.is_old() && others(Entry::is_old),
            },
            _ => Found::Nothing { others: false },
        }
    }

    /// How to find the pods of the workload, if that is known of it as it is now.
    pub(super) fn current(&self, workload: &Workload) -> Option<CurrentPods> {
        let all = self.0.lock();
        let entry = all.get(workload.namespace())?.get(workload.uid())?;
        let kept = entry.kept.as_ref()?;
        let current = kept.current.as_ref();
        current.filter(|_| kept.is_unchanged(workload)).cloned()
    }

    /// The pods of a workload as they were last read, however old that is.
    pub(super) fn last(&self, identity: &Identity) -> Option<Arc<Pods>> {
        let all = self.0.lock();
        let entry = all.get(&identity.namespace)?.get(identity)?;
        entry.kept.as_ref().map(|kept| Arc::clone(&kept.pods))
    }

    /// The rollouts that somebody went back from, if that is known of the workload as it is now.
    pub(super) fn undone(&self, workload: &Workload) -> Option<Arc<[Undone]>> {
        let all = self.0.lock();
        let entry = all.get(workload.namespace())?.get(workload.uid())?;
        let kept = entry.kept.as_ref()?;
        let same = kept.generation == workload.meta().generation;
        kept.pods.undone.clone().filter(|_| same)
    }

    /// Keeps what an answer says of a workload, as long as that is selected.
    ///
    /// # Errors
    ///
    /// [`Error`] when one of its pods cannot be read.
    pub(super) fn keep(
        &self,
        workload: &Workload,
        (current, undone): (Option<CurrentPods>, Option<Arc<[Undone]>>),
        answer: &Answer,
    ) -> Result<Arc<Pods>, Error> {
        let pods = answer.pods_of(current.as_ref())?;
        let pods = Arc::new(Pods { undone, ..pods });
        let mut all = self.0.lock();
        let namespace = all.get_mut(workload.namespace());
        if let Some(entry) = namespace.and_then(|namespace| namespace.get_mut(workload.uid())) {
            entry.kept = Some(Kept {
                resource_version: workload.resource_version().cloned(),
                generation: workload.meta().generation,
                fingerprint: workload.fingerprint(),
                read: answer.at,
                current,
                pods: Arc::clone(&pods),
            });
        }
        Ok(pods)
    }

    /// Keeps why nothing could be read of a workload, for the reconcile that waits for it.
    pub(super) fn fail(&self, workload: &Workload, error: Error) {
        let mut all = self.0.lock();
        let namespace = all.get_mut(workload.namespace());
        if let Some(entry) = namespace.and_then(|namespace| namespace.get_mut(workload.uid())) {
            entry.failed = Some(Box::new(error));
        }
    }

    /// Takes over what a list of a whole namespace says of the pods of those who do not change.
    pub(super) fn refresh(&self, namespace: &str, answer: &Answer) {
        let mut all = self.0.lock();
        let entries = all.get_mut(namespace).into_iter();
        let entries = entries.flat_map(HashMap::values_mut);
        for kept in entries.filter_map(|entry| entry.kept.as_mut()) {
            kept.refresh(answer);
        }
    }
}

impl Entry {
    /// It was selected lately, and not read yet.
    fn is_new(&self) -> bool {
        self.kept.is_none() && self.selected.elapsed() < NEW
    }

    /// What was read of it has to be read again, whatever happens.
    fn is_old(&self) -> bool {
        let kept = self.kept.as_ref();
        kept.is_some_and(|kept| kept.read.elapsed() >= kept.lifetime())
    }
}

impl Kept {
    fn is_unchanged(&self, workload: &Workload) -> bool {
        self.resource_version.as_ref() == workload.resource_version()
    }

    /// How long it serves while the workload does not change.
    fn lifetime(&self) -> Duration {
        let mut pods = self.pods.current.iter();
        if pods.any(|pod| pod.is_unsettled()) {
            REFRESH_UNSETTLED
        } else {
            REFRESH
        }
    }

    fn is_good(&self, workload: &Workload, since: Since) -> bool {
        let is_recent = self.read >= since.at
            && self.read.elapsed() < self.lifetime()
            && since
                .asked
                .is_none_or(|asked| clock::is_since(self.pods.begun, asked));
        let was_awaited = || {
            let waited = since.waited.is_some_and(|waited| self.read >= waited);
            waited && self.fingerprint == workload.fingerprint()
        };
        let shows = !since.templates || self.pods.undone.is_some();
        is_recent && shows && (self.is_unchanged(workload) || was_awaited())
    }

    /// Takes what a later list says of the pods of a workload that may not have changed.
    fn refresh(&mut self, answer: &Answer) {
        // Pods that cannot be read are found so when the workload asks for them itself.
        if let Some(current) = self.current.as_ref().filter(|_| self.read < answer.at)
            && let Ok(pods) = answer.pods_of(Some(current))
        {
            let undone = self.pods.undone.clone();
            self.pods = Arc::new(Pods { undone, ..pods });
            self.read = answer.at;
        }
    }
}
