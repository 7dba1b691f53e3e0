//! The observation of a workload, on which decisions and reports are based.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::{Digest, compare::Verdict, decide::Observed};

use super::{container::ContainerObservation, pods::Pods, tags::TagKey};
use crate::registry::failure::Failure;

/// The progress deadline of workloads whose controller has none: the default of a Deployment.
pub(crate) const PROGRESS_DEADLINE: SignedDuration = SignedDuration::from_mins(10);

/// The tracked rollout of a workload, as far as the observation needs it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TrackedRollout {
    /// The generation after our last patch; an object of an earlier one is outdated.
    pub(crate) generation: i64,
    /// The last rollout was ours, and not all of its pods have become ready yet.
    pub(crate) unfinished: bool,
    /// When a rollout was first found to be in flight, if one is.
    pub(crate) since: Option<Timestamp>,
}

/// The observation of a workload.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The input of the decision.
    pub(crate) observed: Observed,
    /// The pods that it is based on.
    pub(crate) pods: Arc<Pods>,
    /// The failures of registries, by container.
    pub(crate) failures: Vec<(String, Failure)>,
    /// The digests that pods are pinned to and their registries have deleted, by container.
    pub(crate) gone: Vec<(String, Digest)>,
    /// Whether the pods of all checked containers are pinned, where they are to be and were listed.
    pub(crate) pinned: Option<bool>,
    /// The start of the last request to a registry that it is based on.
    pub(crate) last_request: Timestamp,
    /// When a failed request is repeated, regardless of the schedule.
    pub(crate) retry: Option<Timestamp>,
    /// The tags that its containers follow, each once; `None` where it was observed without them.
    pub(crate) tags: Option<Vec<TagKey>>,
    /// The other field manager of the pod template, where that was requested.
    pub(crate) template_writer: Option<String>,
}

impl Observation {
    /// An observation without pods and tags.
    pub(crate) fn without_pods(observed: Observed) -> Self {
        Self {
            observed,
            pods: Arc::default(),
            failures: Vec::new(),
            gone: Vec::new(),
            pinned: None,
            last_request: Timestamp::MIN,
            retry: None,
            tags: None,
            template_writer: None,
        }
    }

    /// Whether the node of a pod does not exist, so that it has an image but counts as not started. So does a pod that blocks
    /// a StatefulSet.
    pub(crate) fn is_node_gone(&self) -> bool {
        let containers = self.observed.containers.iter();
        let mut pods = containers.flat_map(|container| &container.pods);
        pods.any(|pod| pod.verdict == Verdict::NotStarted && pod.digest.is_some())
    }

    /// Adds a container.
    pub(super) fn add(&mut self, observed: ContainerObservation) {
        let ContainerObservation {
            container,
            failures,
            gone,
            requests,
        } = observed;
        let failures = failures.into_iter();
        let failures = failures.map(|failure| (container.name.clone(), failure));
        self.failures.extend(failures);
        let gone = gone.into_iter();
        self.gone
            .extend(gone.map(|digest| (container.name.clone(), digest)));
        let tags = self.tags.get_or_insert_default();
        for request in requests {
            self.last_request = self.last_request.max(request.started_at);
            self.retry = self.retry.into_iter().chain(request.retry).min();
            if !tags.contains(&request.key) {
                tags.push(request.key);
            }
        }
        self.observed.containers.push(container);
    }
}
