//! What lists said of pods and of the history of their owners.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Error, Pod, Pods};
use crate::{
    clock,
    workload::{CurrentPods, History, Past, Undone, Workload},
};

/// Since when a list must have begun to be of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since {
    /// By our monotonic clock.
    pub(crate) at: Instant,
    /// After a registry was asked, by the same clock as its answers.
    pub(crate) asked: Option<Timestamp>,
    /// The workload has waited since then for its pods: a list that began later serves, if nothing that a reconcile reads
    /// has changed. One that is changed more often than a list takes would wait for ever.
    pub(crate) waited: Option<Instant>,
    /// It must be known whether somebody went back to the current template.
    pub(crate) templates: bool,
}

/// What is asked for of a kind of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PastTemplates {
    pub(super) of: History,
    /// With what is read of the templates.
    pub(super) templates: bool,
}

/// A kind of history.
#[derive(Debug)]
pub(super) struct Pasts {
    /// With what is read of the templates.
    pub(super) templates: bool,
    /// By the UIDs of their owners.
    pub(super) of: HashMap<String, Vec<Past>>,
}

/// Pods and histories of one list, by their owners.
#[derive(Debug)]
pub(super) struct Answer {
    /// When the list began: what happened later is not in it.
    pub(super) begun: Timestamp,
    /// The same by our monotonic clock.
    pub(super) at: Instant,
    /// How long it took until all of it was there.
    pub(super) took: Duration,
    /// By the UIDs of their owners.
    pub(super) pods: HashMap<String, Vec<Listed>>,
    /// A kind of history that may not be read is the trouble of those workloads that have it.
    pub(super) histories: BTreeMap<History, Result<Pasts, Error>>,
    /// Objects that cannot be read, by the UIDs of their owners.
    pub(super) unreadable: HashMap<String, Arc<str>>,
}

/// A pod that is neither terminating nor finished.
#[derive(Debug)]
pub(super) struct Listed {
    /// The template that it was made from, where its owner has pods of several.
    pub(super) revision: Option<Arc<str>>,
    /// Orders pods by age.
    pub(super) created: Option<Timestamp>,
    /// When it was created, or became ready after that.
    pub(super) progressed: Option<Timestamp>,
    /// What is kept of it.
    pub(super) pod: Arc<Pod>,
}

impl Answer {
    /// Whether it is recent enough, and holds the history that is asked for.
    pub(super) fn serves(&self, since: Since, wanted: Option<PastTemplates>) -> bool {
        let has = |wanted: PastTemplates| {
            let history = self.histories.get(&wanted.of);
            history.is_some_and(|history| {
                !wanted.templates || history.as_ref().is_ok_and(|history| history.templates)
            })
        };
        self.at >= since.at
            && since
                .asked
                .is_none_or(|asked| clock::is_since(self.begun, asked))
            && wanted.is_none_or(has)
    }

    /// How to recognise the current pods of a workload.
    ///
    /// # Errors
    ///
    /// [`Error`] when its kind of history could not be listed, or what it has of that cannot be read.
    pub(super) fn current(&self, workload: &Workload) -> Result<Option<CurrentPods>, Error> {
        let history = self.histories.get(&workload.kind.history());
        let history = history.filter(|_| workload.kind.finds_pods_by_history());
        let history = history
            .map(Result::as_ref)
            .transpose()
            .map_err(Clone::clone)?;
        let uid = workload.uid();
        self.readable(uid)?;
        let history = history.map(|history| history.of(uid));
        Ok(workload.current(history.unwrap_or_default()))
    }

    /// The rollouts that somebody went back from; nothing where the list does not show it. Where the history may not be read, it
    /// is taken that nobody did.
    ///
    /// # Errors
    ///
    /// [`Error`] when it had to be listed with its `templates` and could not.
    pub(super) fn undone(
        &self,
        workload: &Workload,
        restarted_at: &str,
        templates: bool,
    ) -> Result<Option<Arc<[Undone]>>, Error> {
        let history = match self.histories.get(&workload.kind.history()) {
            None if workload.last_rollout(restarted_at).is_some() => return Ok(None),
            None => return Ok(Some(Arc::default())),
            Some(Err(error)) if error.is_refused() => return Ok(Some(Arc::default())),
            Some(Err(error)) if templates => return Err(error.clone()),
            Some(Err(_)) => return Ok(None),
            Some(Ok(history)) => history,
        };
        let past = history.of(workload.uid());
        if history.templates {
            return Ok(Some(workload.undone(past, restarted_at).into()));
        }
        let may_be = workload.may_be_rolled_back(past, restarted_at);
        Ok((!may_be).then(Arc::default))
    }

    /// The current pods of a workload; none while its history does not hold its template yet.
    ///
    /// # Errors
    ///
    /// [`Error`] when one of them cannot be read.
    pub(super) fn pods_of(&self, current: Option<&CurrentPods>) -> Result<Pods, Error> {
        if let Some(current) = current {
            self.readable(&current.owner)?;
        }
        let owned = current.and_then(|current| self.pods.get(&*current.owner));
        let owned = owned.map_or(&[][..], Vec::as_slice);
        let is = |of: fn(&CurrentPods, &str, Option<&str>) -> bool| {
            move |pod: &&Listed| {
                current.is_some_and(|current| of(current, &pod.pod.name, pod.revision.as_deref()))
            }
        };
        let current_pods = || owned.iter().filter(is(CurrentPods::contain));
        let others = owned.iter().filter(is(CurrentPods::wait_for));
        Ok(Pods {
            begun: self.begun,
            template_found: current.is_some(),
            current: newest_first(current_pods()),
            older: current
                .filter(|current| current.revision.is_some())
                .map(|_| owned.iter().any(|pod| is(CurrentPods::replace)(&pod))),
            progressed: current_pods().filter_map(|pod| pod.progressed).max(),
            blocking: newest_first(others.filter(|pod| pod.pod.is_stuck())),
            undone: None,
        })
    }

    fn readable(&self, owner: &str) -> Result<(), Error> {
        let unreadable = self.unreadable.get(owner);
        unreadable.map_or(Ok(()), |what| Err(Error::Unreadable(Arc::clone(what))))
    }
}

impl Pasts {
    /// Those of one owner.
    fn of(&self, uid: &str) -> &[Past] {
        self.of.get(uid).map_or(&[][..], Vec::as_slice)
    }
}

fn newest_first<'a>(pods: impl Iterator<Item = &'a Listed>) -> Box<[Arc<Pod>]> {
    let mut pods: Vec<&Listed> = pods.collect();
    pods.sort_by_key(|pod| Reverse(pod.created));
    pods.into_iter().map(|pod| Arc::clone(&pod.pod)).collect()
}
