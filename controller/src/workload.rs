//! What the controller reads of a workload, whatever its kind.
//!
//! The types here are views: they hold what is decided upon and nothing else, so that memory grows with what matters
//! and a field of a newer Kubernetes version cannot break a watch.

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
    history::{History, OwnerReference, Past, Undone, controlled_by},
    kind::{Kind, Rules},
    object::{Content, Object, Unreadable},
    pods::{CurrentPods, PodSelector},
    template::Template,
};

/// One watch: a kind, and the namespace that it covers; nothing stands for all.
pub(crate) type Watch = (&'static str, Option<String>);

/// Of all kinds.
const GROUP: &str = "apps";
const VERSION: &str = "v1";

/// A workload of any kind, in one state.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    object: Arc<Object>,
    content: Arc<Content>,
    progress: Progress,
}

impl Workload {
    /// The object as a workload of its kind, which an item of a list does not name.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when its `spec` or `status` is not what this version knows.
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

    /// Its annotations that are ours.
    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        self.meta().annotations.as_ref().unwrap_or(NONE)
    }

    /// Where it lives.
    pub(crate) fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// Unique for ever.
    pub(crate) fn uid(&self) -> &str {
        self.object.uid()
    }

    /// Of this state of it.
    pub(crate) fn resource_version(&self) -> Option<&Arc<str>> {
        self.object.resource_version()
    }

    /// When it came: a list that begins later shows pods that are not older than it.
    pub(crate) fn received(&self) -> Instant {
        self.object.metadata.received
    }

    /// Where its rollout stands.
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// The template of its pods.
    pub(crate) fn template(&self) -> &Template {
        &self.content.spec.template
    }

    /// Which pods may be its own.
    pub(crate) fn selector(&self) -> &PodSelector {
        &self.content.spec.selector
    }

    /// Which pods run the current template; nothing while the history does not hold it yet.
    pub(crate) fn current(&self, history: &[Past]) -> Option<CurrentPods> {
        self.kind.current(self, history)
    }

    /// When we rolled it out last, by its own account.
    pub(crate) fn last_rollout(&self, restarted_at: &str) -> Option<Timestamp> {
        self.content.last_rollout(restarted_at)
    }

    /// A hash of all that a reconcile reads.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.object.fingerprint(self.kind, &mut hasher);
        hasher.finish()
    }
}

/// Where a workload's rollout stands: what its kind says about itself, in terms that all kinds share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and they occur in any mixture"
)]
pub(crate) struct Progress {
    /// `spec.paused`.
    pub(crate) paused: bool,
    /// The kind's controller has seen the current generation.
    pub(crate) generation_observed: bool,
    /// It is meant to have pods.
    pub(crate) wants_pods: bool,
    /// Pods of an older template are left, by the numbers in its status. Where the pods of all templates have one owner,
    /// those that are being deleted may be among them: reading the pods leaves them out.
    pub(crate) replacing: bool,
    /// Its rollout is complete by the rule of `kubectl rollout status`: every pod is of its template and available.
    pub(crate) complete: bool,
    /// Its rollout has made no progress for its progress deadline; nothing where its controller keeps none.
    pub(crate) deadline_exceeded: Option<bool>,
    /// A changed template replaces no pod by itself.
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
