//! What the controller reads of a workload, whatever its kind.
//!
//! The types here are views: they hold what is decided upon and nothing else, so that memory grows with what matters
//! and a field of a newer Kubernetes version cannot break a watch.

mod daemon_set;
mod deployment;
mod metadata;
#[cfg(test)]
pub(crate) mod panicking;
mod resource;
mod stateful_set;

use std::{fmt::Debug, hash::Hash};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{
    Resource,
    core::{DeserializeGuard, NamespaceResourceScope, Selector},
};
use kube_autorollout_core::annotations::{self, ContainerKind, TemplateContainer};
use serde::{Deserialize, de::DeserializeOwned};

pub(crate) use daemon_set::DaemonSet;
pub(crate) use deployment::Deployment;
pub(crate) use stateful_set::StatefulSet;

pub(crate) use self::metadata::Metadata;

/// A kind of object that rolls its pods out when its template changes.
///
/// A new kind implements this in a file of its own; watching, observing, deciding, applying and reporting are shared.
pub(crate) trait Workload:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The kind's name, as in logs, Events and metrics.
    const KIND: &'static str;

    /// The plural under which the API server and its roles know the kind.
    const PLURAL: &'static str;

    /// The objects that keep the kind's past templates, where its status does not tell the current one.
    const HISTORY: Option<History>;

    /// Its metadata.
    fn metadata(&self) -> &Metadata;

    /// Where its rollout stands.
    fn progress(&self) -> Progress;

    /// The template of its pods.
    fn template(&self) -> &Template;

    /// Which pods may be its own.
    fn selector(&self) -> &PodSelector;

    /// Which pods run the current template; nothing while the history does not hold it yet.
    fn current(&self, history: &[Past]) -> Option<CurrentPods>;

    /// All that a reconcile reads except metadata: an update that changes none of it is not news.
    fn body(&self) -> impl Hash + '_;
}

/// All kinds, as they are watched.
pub(crate) const KINDS: [&str; 3] = [Deployment::KIND, StatefulSet::KIND, DaemonSet::KIND];

/// The kinds of objects that keep a workload's past templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum History {
    /// Of Deployments.
    ReplicaSets,
    /// Of DaemonSets.
    ControllerRevisions,
}

impl History {
    /// The plural under which the API server and its roles know the kind.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::ReplicaSets => "replicasets",
            Self::ControllerRevisions => "controllerrevisions",
        }
    }
}

/// An object that keeps a past template, or the current one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Past {
    metadata: PastMetadata,
    /// Of a ControllerRevision: the current one has the highest.
    #[serde(default)]
    revision: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PastMetadata {
    uid: String,
    #[serde(default)]
    labels: PastLabels,
    #[serde(default)]
    annotations: PastAnnotations,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

/// The one label that is read, of ControllerRevisions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct PastLabels {
    #[serde(rename = "controller-revision-hash")]
    revision_hash: Option<Box<str>>,
}

/// The one annotation that is read, of ReplicaSets: [`REVISION`](crate::keys::REVISION).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct PastAnnotations {
    #[serde(rename = "deployment.kubernetes.io/revision")]
    revision: Option<Box<str>>,
}

/// A reference to an owner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct OwnerReference {
    uid: String,
    #[serde(default)]
    controller: bool,
}

/// A workload, or why the API server's object cannot be read as one: then the others of its kind are watched all the same.
pub(crate) type Guarded<W> = DeserializeGuard<W>;

/// The UID of the owner that controls an object: names can be used again.
pub(crate) fn controlled_by(owners: &[OwnerReference]) -> Option<&str> {
    let owner = owners.iter().find(|owner| owner.controller)?;
    Some(&owner.uid)
}

impl Past {
    /// The UID of the workload that it belongs to.
    pub(crate) fn owner(&self) -> Option<&str> {
        controlled_by(&self.metadata.owner_references)
    }
}

/// How to recognise the pods of the current template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CurrentPods {
    /// The UID of the pods' controlling owner.
    pub(crate) owner: String,
    /// The value of their label `controller-revision-hash`, where the owner has pods of other templates too.
    pub(crate) revision: Option<String>,
    /// The lowest ordinal that is looked at, where pods are numbered: those below keep their template.
    pub(crate) from_ordinal: Option<i64>,
    /// They come in order: none is made while a pod of another template is not ready.
    pub(crate) in_order: bool,
}

impl CurrentPods {
    /// Whether one of the owner's pods, by its name and the revision that it is labelled with, is among them.
    pub(crate) fn contain(&self, name: &str, revision: Option<&str>) -> bool {
        self.are_of(revision) && self.reach(name)
    }

    /// Whether such a pod would be replaced by one of them and, if it does not start, never is.
    pub(crate) fn wait_for(&self, name: &str, revision: Option<&str>) -> bool {
        self.in_order && !self.are_of(revision) && self.reach(name)
    }

    fn are_of(&self, revision: Option<&str>) -> bool {
        self.revision.is_none() || self.revision.as_deref() == revision
    }

    fn reach(&self, name: &str) -> bool {
        let ordinal = || name.rsplit_once('-')?.1.parse::<i64>().ok();
        self.from_ordinal
            .is_none_or(|first| ordinal().is_some_and(|ordinal| ordinal >= first))
    }
}

/// Where a workload's rollout stands: what its kind says about itself, in terms that all kinds share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// No rollout is in flight, by the rule of `kubectl rollout status`.
    pub(crate) complete: bool,
    /// The rollout took longer than the workload allows.
    pub(crate) deadline_exceeded: bool,
    /// A changed template replaces no pod by itself.
    pub(crate) on_delete: bool,
}

impl Progress {
    /// Pods are being replaced, or will be.
    pub(crate) const fn is_in_flight(self) -> bool {
        self.wants_pods && !self.paused && !(self.generation_observed && self.complete)
    }
}

/// The part of a pod template that is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Template {
    #[serde(default)]
    metadata: TemplateMetadata,
    #[serde(default)]
    spec: TemplateSpec,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
struct TemplateMetadata {
    #[serde(default)]
    annotations: Option<TemplateAnnotations>,
}

/// The annotations of a template that are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
struct TemplateAnnotations {
    #[serde(rename = "kube-autorollout/digests")]
    digests: Option<Box<str>>,
    #[serde(rename = "kube-autorollout/restartedAt")]
    restarted_at: Option<Box<str>>,
    #[serde(rename = "kubectl.kubernetes.io/restartedAt")]
    kubectl_restarted_at: Option<Box<str>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TemplateSpec {
    #[serde(default)]
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
}

/// The part of a container that is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    /// Unique within its pod.
    pub(crate) name: Box<str>,
    /// The image as the user wrote it.
    #[serde(default)]
    pub(crate) image: Box<str>,
    #[serde(default)]
    restart_policy: Option<Box<str>>,
}

impl Container {
    /// The container as `core` knows it, `init` telling in which list it stands.
    fn described(&self, init: bool) -> TemplateContainer {
        let kind = match (init, self.restart_policy.as_deref()) {
            (false, _) => ContainerKind::Regular,
            (true, Some("Always")) => ContainerKind::Sidecar,
            (true, _) => ContainerKind::Init,
        };
        TemplateContainer {
            name: self.name.clone().into(),
            kind,
        }
    }
}

impl Template {
    /// An annotation of the template, of those that are read.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        let read = self.metadata.annotations.as_ref()?;
        let value = match key {
            annotations::DIGESTS => &read.digests,
            annotations::RESTARTED_AT => &read.restarted_at,
            annotations::KUBECTL_RESTARTED_AT => &read.kubectl_restarted_at,
            _ => &None,
        };
        value.as_deref()
    }

    /// The image of a container of either list.
    pub(crate) fn image(&self, container: &str) -> Option<&str> {
        self.all()
            .find(|candidate| *candidate.name == *container)
            .map(|found| &*found.image)
    }

    /// Every container with its role, in the order of the template.
    pub(crate) fn containers(&self) -> Vec<TemplateContainer> {
        let regular = self
            .spec
            .containers
            .iter()
            .map(|container| container.described(false));
        let init = self
            .spec
            .init_containers
            .iter()
            .map(|container| container.described(true));
        regular.chain(init).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Container> {
        self.spec
            .containers
            .iter()
            .chain(&self.spec.init_containers)
    }
}

/// When we rolled the workload out last, by its own account: the annotation `restarted_at`, which `kubectl` may have set
/// as well, counts only beside our record.
pub(crate) fn last_rollout<W: Workload>(workload: &W, restarted_at: &str) -> Option<Timestamp> {
    let template = workload.template();
    template.annotation(annotations::DIGESTS)?;
    template.annotation(restarted_at)?.parse().ok()
}

/// The selector of a workload's pods, in the form of a list request.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "LabelSelector")]
pub(crate) struct PodSelector(Result<Box<str>, Box<str>>);

impl From<LabelSelector> for PodSelector {
    fn from(selector: LabelSelector) -> Self {
        let selector = Selector::try_from(selector);
        Self(match selector {
            Ok(selector) => Ok(selector.to_string().into()),
            Err(error) => Err(error.to_string().into()),
        })
    }
}

impl PodSelector {
    /// The selector.
    ///
    /// # Errors
    ///
    /// What an API server would have refused: an operator that does not exist.
    pub(crate) fn as_str(&self) -> Result<&str, &str> {
        self.0.as_deref().map_err(|error| &**error)
    }
}

#[cfg(test)]
mod tests;
