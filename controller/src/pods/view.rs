//! The part of a pod that is read, as the API server sends it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube_autorollout_core::decide::Waiting;
use serde::Deserialize;

use super::{Container, Pod};

/// A page of pods.
#[derive(Debug, Deserialize)]
pub(super) struct List {
    #[serde(default)]
    pub(super) metadata: ListMeta,
    #[serde(default = "Vec::new")]
    pub(super) items: Vec<View>,
}

/// One pod.
#[derive(Debug, Deserialize)]
pub(super) struct View {
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<Timestamp>,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

#[derive(Debug, Deserialize)]
struct OwnerReference {
    uid: String,
    #[serde(default)]
    controller: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    #[serde(default)]
    containers: Vec<SpecContainer>,
    #[serde(default)]
    init_containers: Vec<SpecContainer>,
    #[serde(default)]
    image_pull_secrets: Vec<LocalReference>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecContainer {
    name: String,
    #[serde(default)]
    image_pull_policy: String,
}

#[derive(Debug, Deserialize)]
struct LocalReference {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

#[derive(Debug, Deserialize)]
struct ContainerStatus {
    name: String,
    #[serde(default, rename = "imageID")]
    image_id: String,
    #[serde(default)]
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<WaitingState>,
    running: Option<RunningState>,
}

#[derive(Debug, Deserialize)]
struct WaitingState {
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunningState {
    started_at: Option<Timestamp>,
}

impl View {
    /// The UID of the object that controls the pod, unless the pod is on its way out: evicted pods and the leftovers
    /// of finished ones keep their owner, and no longer say what runs.
    pub(super) fn owner(&self) -> Option<&str> {
        let leaving = self.metadata.deletion_timestamp.is_some()
            || matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        let owners = &self.metadata.owner_references;
        let owner = owners.iter().find(|owner| owner.controller)?;
        (!leaving).then_some(owner.uid.as_str())
    }

    /// When it was created, to tell the newest.
    pub(super) fn created(&self) -> Option<Timestamp> {
        self.metadata.creation_timestamp
    }

    /// The Secrets that its images are pulled with.
    pub(super) fn pull_secrets(&self) -> Vec<String> {
        let references = self.spec.image_pull_secrets.iter();
        references
            .map(|reference| reference.name.clone())
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// What is kept of it.
    pub(super) fn reduced(&self) -> Pod {
        let spec = self
            .spec
            .containers
            .iter()
            .chain(&self.spec.init_containers);
        let ready =
            |condition: &Condition| condition.type_ == "Ready" && condition.status == "True";
        Pod {
            name: self.metadata.name.clone(),
            node: self.spec.node_name.clone(),
            ready: self.status.conditions.iter().any(ready),
            containers: spec.map(|container| self.container(container)).collect(),
        }
    }

    /// Joins a container's specification with its status, by name.
    fn container(&self, spec: &SpecContainer) -> Container {
        let mut statuses = self
            .status
            .container_statuses
            .iter()
            .chain(&self.status.init_container_statuses);
        let status = statuses.find(|status| status.name == spec.name);
        let waiting = status.and_then(|status| status.state.waiting.as_ref());
        let running = status.and_then(|status| status.state.running.as_ref());
        Container {
            name: spec.name.clone(),
            image_id: status.map_or_else(String::new, |status| status.image_id.clone()),
            pulls_always: spec.image_pull_policy == "Always",
            waiting: waiting.and_then(|waiting| Waiting::parse(&waiting.reason)),
            started: running.and_then(|running| running.started_at),
        }
    }
}
