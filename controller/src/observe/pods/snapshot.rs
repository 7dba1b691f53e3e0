//! The pods and histories that one list shows.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Error, Pod, PodFreshness, Pods};
use crate::workload::{CurrentPods, History, Revision, RolledBackRollout, Workload};

/// A request for a kind of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HistoryRequest {
    pub(super) history: History,
    /// With the templates, as far as they are read.
    pub(super) templates: bool,
}

/// The objects of a kind of history.
#[derive(Debug)]
pub(super) struct Revisions {
    /// With the templates, as far as they are read.
    pub(super) templates: bool,
    pub(super) by_owner: ByOwner<Revision>,
}

/// Objects by the UIDs of their owners.
pub(super) type ByOwner<T> = HashMap<String, Vec<T>>;

/// The pods and histories of one list.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// When the list started, by the wall clock; later changes are not in it.
    pub(super) started_at: Timestamp,
    /// The same by the monotonic clock.
    pub(super) started: Instant,
    /// How long the list took.
    pub(super) took: Duration,
    pub(super) pods: ByOwner<ListedPod>,
    /// A kind of history that may not be listed is an error of the workloads that have it.
    pub(super) histories: BTreeMap<History, Result<Revisions, Error>>,
    /// Objects that cannot be read, by the UIDs of their owners.
    pub(super) unreadable: HashMap<String, Arc<str>>,
}

/// A pod that is neither terminating nor finished.
#[derive(Debug)]
pub(super) struct ListedPod {
    /// The template that it was made from, where its owner has pods of several.
    pub(super) revision: Option<Arc<str>>,
    pub(super) created: Option<Timestamp>,
    /// When it was created, or became ready after that.
    pub(super) progressed: Option<Timestamp>,
    pub(super) pod: Arc<Pod>,
}

impl Snapshot {
    /// Whether it is recent enough, and has the requested history.
    pub(super) fn satisfies(
        &self,
        freshness: PodFreshness,
        history: Option<HistoryRequest>,
    ) -> bool {
        let has = |request: HistoryRequest| {
            let history = self.histories.get(&request.history);
            history.is_some_and(|history| {
                !request.templates || history.as_ref().is_ok_and(|history| history.templates)
            })
        };
        freshness.is_met_by(self.started, self.started_at) && history.is_none_or(has)
    }

    /// How to recognise the current pods of a workload.
    ///
    /// # Errors
    ///
    /// [`Error`] when its kind of history could not be listed, or an object of it cannot be read.
    pub(super) fn current(&self, workload: &Workload) -> Result<Option<CurrentPods>, Error> {
        let history = self.histories.get(&workload.kind.history());
        let history = history.filter(|_| workload.kind.finds_pods_by_history());
        let history = history.map(Result::as_ref).transpose();
        let history = history.map_err(Clone::clone)?;
        let uid = workload.uid();
        self.check_readable(uid)?;
        let revisions = history.map(|history| owned(&history.by_owner, uid));
        Ok(workload.current(revisions.unwrap_or_default()))
    }

    /// The rollouts that were rolled back; `None` where the list does not show them. Where the history may not be listed, none
    /// counts as rolled back.
    ///
    /// # Errors
    ///
    /// [`Error`] when the history had to be listed with its `templates` and could not be.
    pub(super) fn rolled_back(
        &self,
        workload: &Workload,
        restarted_at: &str,
        templates: bool,
    ) -> Result<Option<Arc<[RolledBackRollout]>>, Error> {
        let history = match self.histories.get(&workload.kind.history()) {
            None if workload.last_rollout(restarted_at).is_some() => return Ok(None),
            None => return Ok(Some(Arc::default())),
            Some(Err(error)) if error.is_refused() => return Ok(Some(Arc::default())),
            Some(Err(error)) if templates => return Err(error.clone()),
            Some(Err(_)) => return Ok(None),
            Some(Ok(history)) => history,
        };
        let revisions = owned(&history.by_owner, workload.uid());
        if history.templates {
            return Ok(Some(workload.rolled_back(revisions, restarted_at).into()));
        }
        let may_be = workload.may_be_rolled_back(revisions, restarted_at);
        Ok((!may_be).then(Arc::default))
    }

    /// The current pods of a workload; none while its history does not have its template yet.
    ///
    /// # Errors
    ///
    /// [`Error`] when one of them cannot be read.
    pub(super) fn pods_of(&self, current: Option<&CurrentPods>) -> Result<Pods, Error> {
        let none = Pods {
            listed_at: self.started_at,
            ..Pods::default()
        };
        let Some(current) = current else {
            return Ok(none);
        };
        self.check_readable(&current.owner)?;
        let pods = |belongs: fn(&CurrentPods, &str, Option<&str>) -> bool| {
            let owned = owned(&self.pods, &current.owner).iter();
            owned.filter(move |pod| belongs(current, &pod.pod.name, pod.revision.as_deref()))
        };
        let blocking = pods(CurrentPods::waits_for).filter(|pod| pod.pod.is_stuck());
        let progressed = pods(CurrentPods::contains).filter_map(|pod| pod.progressed);
        Ok(Pods {
            template_found: true,
            current: newest_first(pods(CurrentPods::contains)),
            older: (current.revision.as_ref())
                .map(|_| pods(CurrentPods::will_replace).next().is_some()),
            progressed: progressed.max(),
            blocking: newest_first(blocking),
            ..none
        })
    }

    fn check_readable(&self, owner: &str) -> Result<(), Error> {
        let unreadable = self.unreadable.get(owner);
        unreadable.map_or(Ok(()), |detail| Err(Error::Unreadable(Arc::clone(detail))))
    }
}

fn owned<'a, T>(objects: &'a ByOwner<T>, owner: &str) -> &'a [T] {
    objects.get(owner).map_or(&[], Vec::as_slice)
}

fn newest_first<'a>(pods: impl Iterator<Item = &'a ListedPod>) -> Box<[Arc<Pod>]> {
    let mut pods: Vec<_> = pods.collect();
    pods.sort_by_key(|pod| Reverse(pod.created));
    pods.into_iter().map(|pod| Arc::clone(&pod.pod)).collect()
}
