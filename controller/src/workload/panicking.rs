//! A kind of workload whose objects make a reconcile panic, as a bug would.

use super::{Content, CurrentPods, History, Progress, Revision, Rules, Workload};

/// A paused one is skipped before the panic.
pub(crate) struct Panicking;

impl Rules for Panicking {
    fn name(&self) -> &'static str {
        "Deployment"
    }

    fn plural(&self) -> &'static str {
        "deployments"
    }

    fn history(&self) -> History {
        History::ReplicaSets
    }

    fn finds_pods_by_history(&self) -> bool {
        false
    }

    fn progress(&self, content: &Content) -> Progress {
        Progress {
            paused: content.spec.paused,
            generation_observed: true,
            wants_pods: true,
            replacing: false,
            complete: true,
            deadline_exceeded: None,
            on_delete: false,
        }
    }

    fn current(&self, _: &Workload, _: &[Revision]) -> Option<CurrentPods> {
        panic!("planted");
    }
}
