//! The parts of a pod's object that a node reads and writes.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::Value;

use crate::admission::PINS;

/// Whether the node lifecycle controller wrote that the pod is not ready, as its node was taken for dead: a kubelet gives a
/// reason where it writes that.
pub(crate) fn is_doubted(pod: &Pod) -> bool {
    let status = pod.status.iter();
    let mut conditions = status.flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| {
        condition.type_ == "Ready" && condition.status == "False" && condition.reason.is_none()
    })
}

/// Takes the reason of before away from conditions that have none now: a patch would leave it.
pub(crate) fn forget_reasons(patch: &mut Value) {
    let conditions = patch.pointer_mut("/status/conditions");
    let conditions = conditions.and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let Some(condition) = condition.as_object_mut() else {
            continue;
        };
        for part in ["reason", "message"] {
            condition.entry(part).or_insert(Value::Null);
        }
    }
}

/// The grace period of a pod that is being deleted.
pub(crate) fn grace_of_deletion(pod: &Pod) -> Option<Duration> {
    pod.metadata.deletion_timestamp.as_ref()?;
    let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// The label `app`, by which the testbed's workloads select their pods.
pub(crate) fn workload(pod: &Pod) -> Option<&str> {
    let labels = pod.metadata.labels.as_ref()?;
    labels.get("app").map(String::as_str)
}

/// The images that the annotation for pins names for the containers of a pod.
pub(crate) fn pins(pod: &Pod) -> BTreeMap<String, String> {
    let annotations = pod.metadata.annotations.as_ref();
    let pins = annotations.and_then(|annotations| annotations.get(PINS));
    let pins = pins.and_then(|pins| serde_json::from_str(pins).ok());
    pins.unwrap_or_default()
}

/// The container of a pod that has this index in [`Pod::containers`].
pub(crate) fn container_spec(pod: &Pod, index: usize) -> Option<&Container> {
    let spec = pod.spec.as_ref()?;
    let init = spec.init_containers.iter().flatten();
    init.chain(&spec.containers).nth(index)
}
