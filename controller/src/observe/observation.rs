//! What was found out about a workload: handed from observing to deciding and reporting.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::{Digest, decide::Observed};

use crate::{observe::pods::Pods, observe::tags::Key, registry::failure::Failure};

/// The progress deadline of workloads whose controller keeps none, as long as that of a Deployment by default.
pub(crate) const PROGRESS_DEADLINE: SignedDuration = SignedDuration::from_mins(10);

/// What is remembered of a workload's rollout, as far as observing it takes that.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Followed {
    /// The generation that it reached by our last patch; an object of an earlier one is news from the past.
    pub(crate) generation: i64,
    /// The last rollout was ours, and its pods have not all been ready yet.
    pub(crate) unfinished: bool,
    /// When a rollout was first found to be in flight, if one is.
    pub(crate) since: Option<Timestamp>,
}

/// What was found out about a workload.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The part that is decided upon.
    pub(crate) observed: Observed,
    /// The pods it rests on.
    pub(crate) pods: Arc<Pods>,
    /// Containers whose registries did not answer, and why not.
    pub(crate) failures: Vec<(String, Failure)>,
    /// Containers whose pods are pinned to what their registries do not have any more.
    pub(crate) gone: Vec<(String, Digest)>,
    /// Whether the pods of all containers that are checked are pinned, where they are to be and were read.
    pub(crate) pinned: Option<bool>,
    /// When a registry was asked last of those whose answers it rests on.
    pub(crate) asked: Timestamp,
    /// When a registry that failed is asked again, whatever the schedule says.
    pub(crate) retry: Option<Timestamp>,
    /// The tags that its containers are on, each once; nothing where it was decided without them.
    pub(crate) tags: Option<Vec<Key>>,
    /// Who else writes the pod template, where that was asked.
    pub(crate) template_writer: Option<String>,
}

impl Observation {
    /// A workload that says enough of itself, so that neither its pods nor its tags were read.
    pub(crate) fn unseen(observed: Observed) -> Self {
        Self {
            observed,
            pods: Arc::default(),
            failures: Vec::new(),
            gone: Vec::new(),
            pinned: None,
            asked: Timestamp::MIN,
            retry: None,
            tags: None,
            template_writer: None,
        }
    }
}
