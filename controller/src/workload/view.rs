//! A workload as the API server sends it.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::DynamicResourceScope};
use serde::{Deserialize, Deserializer};

use super::{GROUP, Kind, PodSelector, Template, VERSION, Workload, metadata::Metadata};

/// A workload of some kind: what other kinds tell of themselves is empty.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct View {
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    #[serde(default)]
    pub(super) status: Status,
}

impl Resource for View {
    type DynamicType = Kind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &Kind) -> Cow<'_, str> {
        kind.name().into()
    }

    fn group(_: &Kind) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version(_: &Kind) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural(kind: &Kind) -> Cow<'_, str> {
        kind.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata.object
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata.object
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(default)]
    pub(super) paused: bool,
    replicas: Option<i32>,
    selector: PodSelector,
    template: Template,
    #[serde(default)]
    update_strategy: UpdateStrategy,
    pod_management_policy: Option<Box<str>>,
    progress_deadline_seconds: Option<i32>,
    ordinals: Option<Ordinals>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateStrategy {
    #[serde(rename = "type")]
    type_: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RollingUpdate {
    partition: Option<i32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Ordinals {
    start: i32,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    observed_generation: i64,
    pub(super) replicas: i32,
    pub(super) ready_replicas: i32,
    pub(super) updated_replicas: i32,
    pub(super) available_replicas: i32,
    pub(super) desired_number_scheduled: i32,
    pub(super) updated_number_scheduled: i32,
    pub(super) number_available: i32,
    update_revision: Box<str>,
    #[serde(rename = "conditions", deserialize_with = "deadline_exceeded")]
    pub(super) deadline_exceeded: bool,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    #[serde(default)]
    reason: String,
}

/// Reads the one thing that conditions tell beyond the numbers.
fn deadline_exceeded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let conditions = Vec::<Condition>::deserialize(deserializer)?;
    Ok(conditions.iter().any(|condition| {
        condition.type_ == "Progressing" && condition.reason == "ProgressDeadlineExceeded"
    }))
}

impl View {
    /// The same as a workload of the kind that was asked for: an item of a list does not tell its own.
    pub(crate) fn of(self, kind: Kind) -> Workload {
        let progress = kind.progress(&self);
        let start = self
            .spec
            .ordinals
            .as_ref()
            .map_or(0, |ordinals| ordinals.start);
        let first_ordinal = i64::from(start) + i64::from(self.partition());
        let in_order = self.is_in_order();
        let update_revision = self.status.update_revision;
        Workload {
            kind,
            metadata: self.metadata,
            template: self.spec.template,
            selector: self.spec.selector,
            progress,
            update_revision: (!update_revision.is_empty()).then_some(update_revision),
            first_ordinal,
            in_order,
        }
    }

    /// The kind's controller has seen the current generation.
    pub(super) fn generation_observed(&self) -> bool {
        self.status.observed_generation >= self.metadata.object.generation.unwrap_or(0)
    }

    /// How many pods it is to have.
    pub(super) fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// Whether the controller of its kind leaves it to people to replace pods.
    pub(super) fn is_on_delete(&self) -> bool {
        self.spec.update_strategy.type_ == "OnDelete"
    }

    /// Whether no pod is replaced while another one is not ready
    /// (<https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>).
    fn is_in_order(&self) -> bool {
        self.spec.pod_management_policy.as_deref() != Some("Parallel") && !self.is_on_delete()
    }

    /// Whether its controller keeps a progress deadline. Without one, and by this number, it keeps none
    /// (<https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds>).
    pub(super) fn has_deadline(&self) -> bool {
        let deadline = self.spec.progress_deadline_seconds;
        deadline.is_some_and(|seconds| seconds < i32::MAX)
    }

    /// How many of the first pods keep the template that they have.
    pub(super) fn partition(&self) -> i32 {
        let rolling = self.spec.update_strategy.rolling_update.as_ref();
        rolling.and_then(|rolling| rolling.partition).unwrap_or(0)
    }
}
