//! Workloads of all kinds, as far as the controller reads them.
//!
//! The types have only the fields that a decision needs, so that memory stays small and a field of a newer Kubernetes version
//! cannot break a watch.

mod daemon_set;
mod deployment;
mod history;
pub(crate) mod identity;
pub(crate) mod interner;
mod kind;
mod metadata;
mod object;
#[cfg(test)]
pub(crate) mod panicking;
mod pods;
mod stateful_set;
mod template;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hasher as _},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::Instant;

pub(crate) use self::{
    history::{History, OwnerReference, Revision, RevisionLabel, RolledBackRollout, controlled_by},
    kind::{Kind, Rules},
    object::{Content, Object, Unreadable},
    pods::{CurrentPods, PodSelector},
    template::Template,
};

/// A watch: the name of a kind, and a namespace, or `None` for all namespaces.
pub(crate) type Watch = (&'static str, Option<String>);

/// The API group of all kinds.
const GROUP: &str = "apps";
const VERSION: &str = "v1";

/// A workload of any kind, in one `resourceVersion`.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    object: Arc<Object>,
    content: Arc<Content>,
    progress: Progress,
}

impl Workload {
    /// Combines the object with its kind, which is not part of the items of a list.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when this version does not understand its `spec` or `status`.
    pub(crate) fn new(kind: Kind, object: Arc<Object>) -> Result<Self, Unreadable> {
        let content = Arc::clone(object.content.as_ref().map_err(Clone::clone)?);
        Ok(Self {
            kind,
            progress: kind.progress(&content),
            object,
            content,
        })
    }

    /// Its metadata, as far as it is read.
    pub(crate) fn meta(&self) -> &ObjectMeta {
        &self.object.metadata.object
    }

    /// Its annotations with our prefix.
    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        self.meta().annotations.as_ref().unwrap_or(NONE)
    }

    /// Its namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// Its UID.
    pub(crate) fn uid(&self) -> &str {
        self.object.uid()
    }

    /// Its `resourceVersion`.
    pub(crate) fn resource_version(&self) -> Option<&Arc<str>> {
        self.object.resource_version()
    }

    /// When it was received: a list that starts later shows pods that are not older than it.
    pub(crate) fn received(&self) -> Instant {
        self.object.metadata.received
    }

    /// The progress of its rollout.
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// Its pod template.
    pub(crate) fn template(&self) -> &Template {
        &self.content.spec.template
    }

    /// Selects the pods that may belong to it.
    pub(crate) fn selector(&self) -> &PodSelector {
        &self.content.spec.selector
    }

    /// How to recognise the pods of the current template; `None` while the history does not have it yet.
    pub(crate) fn current(&self, history: &[Revision]) -> Option<CurrentPods> {
        self.kind.current(self, history)
    }

    /// The time of our last rollout, by its annotations.
    pub(crate) fn last_rollout(&self, restarted_at: &str) -> Option<Timestamp> {
        self.template().last_rollout(restarted_at)
    }

    /// A hash of everything that a reconcile reads.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.object.fingerprint(self.kind, &mut hasher);
        hasher.finish()
    }
}

/// The progress of a workload's rollout by its own `spec` and `status`, in terms that all kinds share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the facts are independent of each other"
)]
pub(crate) struct Progress {
    /// `spec.paused`.
    pub(crate) paused: bool,
    /// The kind's controller has seen the current generation.
    pub(crate) generation_observed: bool,
    /// It is scaled to at least one pod.
    pub(crate) wants_pods: bool,
    /// Pods of an older template exist, by the numbers in its status. Where the pods of all templates have one owner, pods
    /// that are being deleted may be included: only the list of pods excludes them.
    pub(crate) replacing: bool,
    /// Its rollout is complete by the rule of `kubectl rollout status`: every pod is of its template and available.
    pub(crate) complete: bool,
    /// Its rollout has exceeded its progress deadline; `None` where its controller has none.
    pub(crate) deadline_exceeded: Option<bool>,
    /// Its update strategy is `OnDelete`: its controller does not replace pods when the template changes.
    pub(crate) on_delete: bool,
}

impl Progress {
    /// Pods are being replaced, or will be.
    pub(crate) const fn is_in_flight(self) -> bool {
        self.wants_pods && !self.paused && (!self.generation_observed || self.replacing)
    }
}

#[cfg(test)]
mod tests;
