//! How far a rollout is, for any kind, from as little of the object as possible: lists of thousands are read.

use kube::core::Object;
use serde::{Deserialize, Serialize};

use super::Kind;

/// A workload as far as it is read.
pub(super) type Progress = Object<Spec, Status>;

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Spec {
    /// The desired number of pods; a DaemonSet has it in its status.
    replicas: Option<i32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    observed_generation: Option<i64>,
    replicas: i32,
    updated_replicas: i32,
    available_replicas: i32,
    desired_number_scheduled: i32,
    updated_number_scheduled: i32,
    number_available: i32,
}

/// Whether the rollout of an object of this kind is complete; never that of another object.
pub fn is_rolled_out_as(kind: Kind, object: &impl Serialize) -> bool {
    let object = serde_json::to_value(object).and_then(serde_json::from_value);
    object.is_ok_and(|object| is_complete(kind, &object))
}

/// Whether a rollout is complete, by the rules of `kubectl rollout status`
/// (<https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go>).
pub(super) fn is_complete(kind: Kind, object: &Progress) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    let wanted = object.spec.replicas.unwrap_or(1);
    let complete = match kind {
        Kind::Deployment => {
            status.updated_replicas >= wanted
                && status.replicas <= status.updated_replicas
                && status.available_replicas >= status.updated_replicas
        }
        Kind::StatefulSet => {
            status.updated_replicas >= wanted && status.available_replicas >= wanted
        }
        Kind::DaemonSet => {
            let desired = status.desired_number_scheduled;
            desired > 0
                && status.updated_number_scheduled >= desired
                && status.number_available >= desired
        }
    };
    complete && status.observed_generation >= object.metadata.generation
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn complete(kind: Kind, status: &Value) -> bool {
        let object =
            json!({"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status});
        is_complete(kind, &serde_json::from_value(object).expect("an object"))
    }

    #[test]
    fn a_rollout_is_complete_when_every_pod_is_of_the_seen_template_and_available() {
        let deployment = json!({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
        let daemon_set = json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2});
        for (kind, status) in [
            (Kind::Deployment, &deployment),
            (Kind::StatefulSet, &deployment),
            (Kind::DaemonSet, &daemon_set),
        ] {
            assert!(complete(kind, status), "{kind:?}");
            for (what, value) in status.as_object().expect("a map") {
                if what == "replicas" || what == "desiredNumberScheduled" {
                    continue;
                }
                let mut less = status.clone();
                less[what] = json!(value.as_i64().expect("a number") - 1);
                assert!(!complete(kind, &less), "{kind:?} with less {what}");
            }
        }
        let mut old_pod_left = deployment;
        old_pod_left["replicas"] = json!(2);
        assert!(!complete(Kind::Deployment, &old_pod_left));
        assert!(!complete(
            Kind::DaemonSet,
            &json!({"observedGeneration": 2})
        ));
    }
}
