//! A workload as the API server sends it.

use std::{
    borrow::Cow,
    hash::{Hash as _, Hasher},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::DynamicResourceScope};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{GROUP, Kind, PodSelector, Progress, Template, VERSION, metadata::Metadata};

/// A workload of any kind, as it is stored. Fields that its kind does not have are empty.
///
/// Only metadata that cannot be read fails a list or a watch; a `spec` or `status` that this version does not understand is
/// an error of its workload.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(super) metadata: Metadata,
    pub(super) content: Result<Arc<Content>, Unreadable>,
}

/// This version does not understand the `spec` or `status` of the object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the object cannot be read by this version of the controller: {0}")]
pub(crate) struct Unreadable(Arc<str>);

/// The `spec` and `status`, as far as they are read.
#[derive(Debug)]
pub(crate) struct Content {
    /// `metadata.generation`.
    generation: i64,
    pub(super) spec: Spec,
    pub(super) status: Status,
}

impl Object {
    /// Its UID.
    pub(crate) fn uid(&self) -> &str {
        &self.metadata.uid
    }

    /// Drops the metadata that kube's store does not need: only the watcher reads the `resourceVersion` there.
    pub(crate) fn detach(&mut self) {
        self.metadata.object.resource_version = None;
    }

    /// Its `resourceVersion`.
    pub(crate) fn resource_version(&self) -> Option<&Arc<str>> {
        self.metadata.resource_version.as_ref()
    }

    /// The time of our last rollout and its progress; `None` where the object cannot be read.
    pub(crate) fn rollout(
        &self,
        kind: Kind,
        restarted_at: &str,
    ) -> Option<(Option<Timestamp>, Progress)> {
        let content = self.content.as_ref().ok()?;
        let last_rollout = content.spec.template.last_rollout(restarted_at);
        Some((last_rollout, kind.progress(content)))
    }

    /// Hashes everything that a reconcile reads: an update that changes none of it needs no reconcile. The selector is
    /// immutable.
    pub(crate) fn fingerprint(&self, kind: Kind, hasher: &mut impl Hasher) {
        let object = &self.metadata.object;
        object.generation.hash(hasher);
        object.deletion_timestamp.is_some().hash(hasher);
        object.annotations.hash(hasher);
        self.metadata.revision.hash(hasher);
        match &self.content {
            Ok(content) => {
                content.spec.template.hash(hasher);
                kind.progress(content).hash(hasher);
                content.update_revision().hash(hasher);
                content.first_ordinal().hash(hasher);
                content.is_in_order().hash(hasher);
            }
            Err(unreadable) => unreadable.hash(hasher),
        }
    }
}

/// The status of an object that has none yet.
fn no_status() -> Value {
    Value::Object(serde_json::Map::new())
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            metadata: Metadata,
            #[serde(default)]
            spec: Value,
            #[serde(default = "no_status")]
            status: Value,
        }
        let Raw {
            metadata,
            spec,
            status,
        } = Raw::deserialize(deserializer)?;
        let read = || {
            Ok(Arc::new(Content {
                generation: metadata.object.generation.unwrap_or(0),
                spec: Spec::deserialize(spec)?,
                status: Status::deserialize(status)?,
            }))
        };
        let content =
            read().map_err(|error: serde_json::Error| Unreadable(error.to_string().into()));
        Ok(Self { metadata, content })
    }
}

impl Resource for Object {
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(default)]
    pub(super) paused: bool,
    replicas: Option<i32>,
    pub(super) selector: PodSelector,
    pub(super) template: Template,
    #[serde(default)]
    update_strategy: UpdateStrategy,
    pod_management_policy: Option<Box<str>>,
    progress_deadline_seconds: Option<i32>,
    ordinals: Option<Ordinals>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateStrategy {
    #[serde(rename = "type", deserialize_with = "on_delete")]
    on_delete: bool,
    rolling_update: Option<RollingUpdate>,
}

/// Whether the type is `OnDelete`.
fn on_delete<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(deserializer)? == "OnDelete")
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

/// Whether a condition reports that the progress deadline is exceeded.
fn deadline_exceeded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let conditions = Vec::<Condition>::deserialize(deserializer)?;
    Ok(conditions.iter().any(|condition| {
        condition.type_ == "Progressing" && condition.reason == "ProgressDeadlineExceeded"
    }))
}

impl Content {
    /// The kind's controller has seen the current generation.
    pub(super) fn generation_observed(&self) -> bool {
        self.status.observed_generation >= self.generation
    }

    /// The number of pods that it is scaled to.
    pub(super) fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// Whether its update strategy is `OnDelete`, with which a person has to delete pods.
    pub(super) fn is_on_delete(&self) -> bool {
        self.spec.update_strategy.on_delete
    }

    /// Whether no pod is replaced while another one is not ready
    /// (<https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>).
    pub(super) fn is_in_order(&self) -> bool {
        self.spec.pod_management_policy.as_deref() != Some("Parallel") && !self.is_on_delete()
    }

    /// Of a StatefulSet: the revision label of its pods of the current template.
    pub(super) fn update_revision(&self) -> Option<&str> {
        let revision = &*self.status.update_revision;
        (!revision.is_empty()).then_some(revision)
    }

    /// Of a StatefulSet: the ordinal of its first pod that gets a new template.
    pub(super) fn first_ordinal(&self) -> i64 {
        let ordinals = self.spec.ordinals.as_ref();
        let start = ordinals.map_or(0, |ordinals| ordinals.start);
        i64::from(start) + i64::from(self.partition())
    }

    /// Whether its controller has a progress deadline: a value below the maximum
    /// (<https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds>).
    pub(super) fn has_deadline(&self) -> bool {
        let deadline = self.spec.progress_deadline_seconds;
        deadline.is_some_and(|seconds| seconds < i32::MAX)
    }

    /// How many of the first pods keep their template.
    pub(super) fn partition(&self) -> i32 {
        let rolling = self.spec.update_strategy.rolling_update.as_ref();
        rolling.and_then(|rolling| rolling.partition).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::workload::Workload;

    fn read(object: &Value) -> Result<Object, serde_json::Error> {
        serde_json::from_str(&object.to_string())
    }

    #[test]
    fn an_unreadable_spec_is_an_error_of_its_workload_only() {
        let [deployment, ..] = Kind::ALL;
        for spec in [json!("a text"), json!({ "selector": {} }), Value::Null] {
            let object = json!({ "metadata": { "name": "web", "uid": "1" }, "spec": spec });
            let object = read(&object).expect("metadata");
            assert_eq!(object.meta().name.as_deref(), Some("web"));
            let error = Workload::new(deployment, Arc::new(object)).expect_err("no spec");
            let text = error.to_string();
            assert!(text.starts_with("the object cannot be read"), "{text}");
        }
        read(&json!({ "metadata": 1, "spec": {} })).expect_err("invalid metadata");
    }
}
