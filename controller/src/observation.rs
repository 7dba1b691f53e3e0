//! What was found out about a workload: handed from observing to deciding and telling.

use std::{collections::HashSet, sync::Arc};

use kube_autorollout_core::decide::Observed;

use crate::{checker::Key, pods::Pods, registry_error::Failure};

/// What was found out about a workload.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The part that is decided upon.
    pub(crate) observed: Observed,
    /// The pods it rests on.
    pub(crate) pods: Arc<Pods>,
    /// Containers whose registries did not tell, and why not.
    pub(crate) failures: Vec<(String, Failure)>,
    /// The tags that its containers are on.
    pub(crate) tags: HashSet<Key>,
}
