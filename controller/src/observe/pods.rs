//! The pods of a workload's current template: listed when necessary, and cached.

mod cache;
mod interner;
mod list;
mod lister;
mod object;
mod queue;
mod snapshot;

use std::sync::Arc;

use jiff::Timestamp;
use kube_autorollout_core::{
    Digest, Reference,
    decide::Waiting,
    reference::{self, InvalidReference},
};
use tokio::time::Instant;

pub(crate) use self::{cache::REFRESH, lister::PodLister};
use crate::{clock, workload::RolledBackRollout};

/// How fresh pods must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PodFreshness {
    /// Their list must have started then or later, by the monotonic clock.
    pub(crate) since: Instant,
    /// Their list must have started after this request to a registry, by the wall clock.
    pub(crate) after_request: Option<Timestamp>,
    /// The workload has waited since then for its pods: a list that started later is fresh if nothing that a reconcile reads
    /// has changed. A workload that changes more often than a list takes would wait for ever.
    pub(crate) waited: Option<Instant>,
    /// The rolled-back rollouts must be known.
    pub(crate) rollbacks: bool,
}

impl PodFreshness {
    /// Whether a list that started then, by either clock, is recent enough.
    fn is_met_by(self, started: Instant, started_at: Timestamp) -> bool {
        let is_after = |request| clock::is_since(started_at, request);
        started >= self.since && self.after_request.is_none_or(is_after)
    }
}

/// The pods of a workload's current template, as of one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pods {
    /// When the list started; later changes are not in it.
    pub(crate) listed_at: Timestamp,
    /// The workload's history already has its current template.
    pub(crate) template_found: bool,
    /// Neither terminating nor finished, the newest first.
    pub(crate) current: Box<[Arc<Pod>]>,
    /// Whether a pod of an older template exists that is not being deleted; `None` where those have another owner.
    pub(crate) older: Option<bool>,
    /// When a pod of the current template was last created or became ready.
    pub(crate) progressed: Option<Timestamp>,
    /// Pods of an earlier template that do not start: while one exists, the StatefulSet controller replaces no pod. The newest
    /// first.
    pub(crate) blocking: Box<[Arc<Pod>]>,
    /// The rolled-back rollouts; `None` unless the templates of the history were read for that.
    pub(crate) rolled_back: Option<Arc<[RolledBackRollout]>>,
}

impl Pods {
    /// Whether a rollout of the container to the digest of its tag was rolled back; if that is unknown, to any digest but the
    /// recorded one.
    pub(crate) fn are_rolled_back(
        &self,
        container: &str,
        tag: Option<&Digest>,
        recorded: Option<&Digest>,
    ) -> bool {
        let mut rolled_back = self
            .rolled_back
            .iter()
            .flat_map(|rolled_back| rolled_back.iter());
        let is_later = |to| match tag {
            Some(tag) => tag == to,
            None => recorded != Some(to),
        };
        rolled_back.any(|(name, to)| **name == *container && is_later(to))
    }
}

/// The part of a pod that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    /// For reports.
    pub(crate) name: Box<str>,
    /// The node that it is bound to.
    pub(crate) node: Option<Arc<str>>,
    /// Its condition `Ready`.
    pub(crate) ready: bool,
    /// The Secrets that its images are pulled with: the effective list, which may come from the `ServiceAccount`.
    pub(crate) pull_secrets: Arc<[String]>,
    /// Those of both lists.
    pub(crate) containers: Box<[Container]>,
}

impl Pod {
    /// Whether one of its containers waits for a reason that does not resolve by itself.
    fn is_stuck(&self) -> bool {
        let mut containers = self.containers.iter();
        containers.any(|container| container.waiting.is_some())
    }

    /// Whether one of its containers waits, or has not started on its node.
    fn is_starting_or_stuck(&self) -> bool {
        let mut containers = self.containers.iter();
        let starts = containers.any(|container| container.image_id.is_empty());
        self.is_stuck() || self.node.is_some() && starts
    }
}

/// The part of a pod's container that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// Its specification.
    pub(crate) spec: Arc<ContainerSpec>,
    /// As the runtime reports it, in one of many formats; empty before the first start.
    pub(crate) image_id: Arc<str>,
    /// Why it waits, if for a reason that does not resolve by itself.
    pub(crate) waiting: Option<Waiting>,
    /// When it last started, by its node's clock.
    pub(crate) started: Option<Timestamp>,
}

/// A container's specification in a pod, after admission: this is what the kubelet reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ContainerSpec {
    /// Its name, as in the template.
    pub(crate) name: Box<str>,
    /// Its image, which may differ from the template's.
    pub(crate) image: Box<str>,
    /// Its pull policy is `Always`.
    pub(crate) pulls_always: bool,
    /// The image has the digest of the pod's pin for the container.
    pub(crate) pinned: bool,
    /// The image whose tag it follows, parsed once for all pods.
    pub(crate) reference: Result<Reference, InvalidReference>,
}

impl ContainerSpec {
    /// A specification with these fields.
    pub(crate) fn new(name: Box<str>, image: Box<str>, pulls_always: bool, pinned: bool) -> Self {
        Self {
            reference: reference::parse(followed(&image, pinned)),
            name,
            image,
            pulls_always,
            pinned,
        }
    }

    /// The image whose tag it follows: its image without the digest of our pin.
    pub(crate) fn followed(&self) -> &str {
        followed(&self.image, self.pinned)
    }

    /// The digest of our pin.
    pub(crate) fn pinned_to(&self) -> Option<&str> {
        let (_, digest) = self.image.split_once('@').filter(|_| self.pinned)?;
        Some(digest)
    }

    /// Whether a new pod pulls the image that was rolled out.
    pub(crate) const fn pulls(&self) -> bool {
        self.pulls_always || self.pinned
    }
}

fn followed(image: &str, pinned: bool) -> &str {
    let pinned = image.split_once('@').filter(|_| pinned);
    pinned.map_or(image, |(followed, _)| followed)
}

/// Why the pods of a workload could not be listed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// The API server did not respond to a list.
    #[error("cannot list {plural} in namespace {namespace}")]
    List {
        /// The resource that was listed.
        plural: &'static str,
        /// Where.
        namespace: String,
        /// The error, shared by all waiters.
        #[source]
        source: Arc<kube::Error>,
    },
    /// A list exceeded its deadline.
    #[error("listing the pods in namespace {namespace} timed out")]
    Timeout {
        /// Where.
        namespace: String,
    },
    /// A pod or a revision is not what this version expects.
    #[error("this version of the controller cannot read one of its pods or revisions: {0}")]
    Unreadable(Arc<str>),
    /// A bug of the controller.
    #[error("reading the pods panicked")]
    Panicked,
    /// The workload's pod selector has an operator that does not exist.
    #[error("the selector of the pods cannot be used: {0}")]
    Selector(String),
}

impl Error {
    /// Whether the API server forbids the list, or does not have the resource.
    fn is_refused(&self) -> bool {
        let Self::List { source, .. } = self else {
            return false;
        };
        matches!(&**source, kube::Error::Api(status) if status.is_forbidden() || status.is_not_found())
    }

    fn list(plural: &'static str, namespace: &str, source: kube::Error) -> Self {
        Self::List {
            plural,
            namespace: namespace.to_owned(),
            source: Arc::new(source),
        }
    }
}

#[cfg(test)]
mod tests;
