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
#[serde(from = "View")]
pub(crate) struct Past {
    pub(super) uid: Box<str>,
    /// The UID of the workload that it belongs to, if it belongs to one.
    pub(crate) owner: Option<Box<str>>,
    /// Of a ReplicaSet: the number of its template, as its annotation [`REVISION`](crate::constants::REVISION) has it.
    pub(super) template: Option<Box<str>>,
    /// Of a ControllerRevision: the current one has the highest.
    pub(super) revision: i64,
    /// Of a ControllerRevision: what its pods are labelled with.
    pub(super) hash: Option<Box<str>>,
}

/// The object as the API server sends it.
#[derive(Deserialize)]
struct View {
    metadata: Metadata,
    #[serde(default)]
    revision: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: Box<str>,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: Annotations,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "controller-revision-hash")]
    hash: Option<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "deployment.kubernetes.io/revision")]
    revision: Option<Box<str>>,
}

impl From<View> for Past {
    fn from(View { metadata, revision }: View) -> Self {
        Self {
            uid: metadata.uid,
            owner: controlled_by(&metadata.owner_references).map(Into::into),
            template: metadata.annotations.revision,
            revision,
            hash: metadata.labels.hash,
        }
    }
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
