//! A kind of workload whose objects make a reconcile panic, as a defect of ours would.

use super::{Content, CurrentPods, History, Past, Progress, Rules, Workload};

/// One that is paused is left alone before it comes to the panic.
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

    fn latest<'h>(&self, _: &Workload, _: &'h [Past]) -> Option<&'h Past> {
        None
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

    fn current(&self, _: &Workload, _: &[Past]) -> Option<CurrentPods> {
        panic!("planted");
    }
}
