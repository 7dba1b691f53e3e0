//! A kind of workload whose objects make a reconcile panic, as a defect of ours would.

use std::hash::Hash;

use k8s_openapi::api::apps::v1;
use serde::Deserialize;

use super::{
    CurrentPods, History, Metadata, Past, PodSelector, Progress, Template, Workload,
    resource::resource,
};

/// One that is paused is left alone before it comes to the panic.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Deployment {
    metadata: Metadata,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    template: Template,
}

impl Workload for Deployment {
    const KIND: &'static str = "Deployment";
    const PLURAL: &'static str = "deployments";
    const HISTORY: Option<History> = None;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn progress(&self) -> Progress {
        Progress {
            paused: self.paused,
            generation_observed: true,
            wants_pods: true,
            complete: true,
            deadline_exceeded: false,
            on_delete: false,
        }
    }

    fn template(&self) -> &Template {
        &self.template
    }

    fn selector(&self) -> &PodSelector {
        panic!("planted");
    }

    fn current(&self, _: &[Past]) -> Option<CurrentPods> {
        None
    }

    fn body(&self) -> impl Hash + '_ {
        self.paused
    }
}

resource!(Deployment);
