//! What keeps rollouts from becoming a storm.

use std::{sync::Arc, time::Duration};

use kube_autorollout_core::decide::Policy;

/// Limits, each of which may be off, and when a rollout is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rollouts {
    /// So many of our rollouts may be in flight at once; nothing stands for no limit.
    pub(crate) max_concurrent: Option<usize>,
    /// The shortest time between two rollouts of one workload.
    pub(crate) min_interval: Duration,
    /// For how long a tag must have named a digest before that is rolled out.
    pub(crate) settle: Duration,
    /// How long to wait, each time from the last rollout, before a digest is rolled out again whose rollout is over and
    /// whose pods run another image.
    pub(crate) retry_after: Arc<[Duration]>,
}

impl Rollouts {
    /// The same as a decision knows it, with places left in the budget and without pins.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            settle: self.settle,
            min_interval: self.min_interval,
            retry_after: Arc::clone(&self.retry_after),
            budget_spent: false,
            pin: false,
        }
    }
}
