//! Deployments.

use std::{borrow::Cow, hash::Hash};

use k8s_openapi::{
    Resource as _,
    api::apps::v1,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::{Resource, core::NamespaceResourceScope};
use serde::Deserialize;

use super::{CurrentPods, History, Progress, Template, Workload};
use crate::keys;

/// The part of a Deployment that is read.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Deployment {
    metadata: ObjectMeta,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
struct Spec {
    #[serde(default)]
    paused: bool,
    replicas: Option<i32>,
    selector: LabelSelector,
    template: Template,
}

#[derive(Debug, Clone, Default, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: i32,
    updated_replicas: i32,
    available_replicas: i32,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Hash, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    #[serde(default)]
    reason: String,
}

impl Workload for Deployment {
    const KIND: &'static str = v1::Deployment::KIND;
    const PLURAL: &'static str = "deployments";
    const HISTORY: History = History::ReplicaSets;

    /// By the rule of `kubectl rollout status`
    /// (<https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go>).
    fn progress(&self) -> Progress {
        let wanted = self.spec.replicas.unwrap_or(1);
        let status = &self.status;
        Progress {
            paused: self.spec.paused,
            generation_observed: status.observed_generation
                >= self.metadata.generation.unwrap_or(0),
            wants_pods: wanted > 0,
            complete: status.updated_replicas >= wanted
                && status.replicas <= status.updated_replicas
                && status.available_replicas >= status.updated_replicas,
            deadline_exceeded: status.conditions.iter().any(|condition| {
                condition.type_ == "Progressing" && condition.reason == "ProgressDeadlineExceeded"
            }),
            on_delete: false,
        }
    }

    fn template(&self) -> &Template {
        &self.spec.template
    }

    fn template_mut(&mut self) -> &mut Template {
        &mut self.spec.template
    }

    fn selector(&self) -> &LabelSelector {
        &self.spec.selector
    }

    /// The pods of the ReplicaSet that carries the Deployment's own revision number, which is the one whose template
    /// is the Deployment's once the generation has been observed.
    fn current(&self, history: &[ObjectMeta]) -> Option<CurrentPods> {
        let revision = self.metadata.annotations.as_ref()?.get(keys::REVISION)?;
        let current = history.iter().find(|replica_set| {
            let annotations = replica_set.annotations.as_ref();
            annotations.and_then(|annotations| annotations.get(keys::REVISION)) == Some(revision)
        })?;
        Some(CurrentPods {
            owner: current.uid.clone()?,
        })
    }

    fn body(&self) -> impl Hash + '_ {
        let Spec {
            paused,
            replicas,
            selector: _, // cannot be changed
            template,
        } = &self.spec;
        (paused, replicas, template, &self.status)
    }
}

impl Resource for Deployment {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        v1::Deployment::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        v1::Deployment::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        v1::Deployment::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        Self::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
