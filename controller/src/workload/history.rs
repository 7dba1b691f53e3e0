//! The objects that keep the past templates of workloads.

use serde::Deserialize;

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
    pub(super) metadata: PastMetadata,
    /// Of a ControllerRevision: the current one has the highest.
    #[serde(default)]
    pub(super) revision: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PastMetadata {
    pub(super) uid: String,
    #[serde(default)]
    pub(super) labels: PastLabels,
    #[serde(default)]
    pub(super) annotations: PastAnnotations,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

/// The one label that is read, of ControllerRevisions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct PastLabels {
    #[serde(rename = "controller-revision-hash")]
    pub(super) revision_hash: Option<Box<str>>,
}

/// The one annotation that is read, of ReplicaSets: [`REVISION`](crate::constants::REVISION).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct PastAnnotations {
    #[serde(rename = "deployment.kubernetes.io/revision")]
    pub(super) revision: Option<Box<str>>,
}

/// A reference to an owner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct OwnerReference {
    uid: String,
    #[serde(default)]
    controller: bool,
}

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
