//! StatefulSets.

use std::hash::Hash;

use k8s_openapi::{Resource as _, api::apps::v1};
use serde::Deserialize;

use super::{
    CurrentPods, History, Metadata, Past, PodSelector, Progress, Template, Workload,
    resource::resource,
};

/// The part of a StatefulSet that is read.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StatefulSet {
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    replicas: Option<i32>,
    selector: PodSelector,
    template: Template,
    #[serde(default)]
    update_strategy: UpdateStrategy,
    pod_management_policy: Option<Box<str>>,
    ordinals: Option<Ordinals>,
}

#[derive(Debug, Clone, Default, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateStrategy {
    #[serde(rename = "type")]
    type_: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Debug, Clone, Default, Hash, Deserialize)]
#[serde(default)]
struct RollingUpdate {
    partition: Option<i32>,
}

#[derive(Debug, Clone, Hash, Deserialize)]
struct Ordinals {
    #[serde(default)]
    start: i32,
}

#[derive(Debug, Clone, Default, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    ready_replicas: i32,
    updated_replicas: i32,
    update_revision: String,
}

impl StatefulSet {
    /// Whether the controller of StatefulSets leaves it to people to replace pods.
    fn is_on_delete(&self) -> bool {
        self.spec.update_strategy.type_ == "OnDelete"
    }

    /// Whether no pod is replaced while another one is not ready
    /// (<https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>).
    fn is_in_order(&self) -> bool {
        self.spec.pod_management_policy.as_deref() != Some("Parallel") && !self.is_on_delete()
    }

    /// How many of the first pods keep the template that they have.
    fn partition(&self) -> i32 {
        let rolling = self.spec.update_strategy.rolling_update.as_ref();
        rolling.and_then(|rolling| rolling.partition).unwrap_or(0)
    }
}

impl Workload for StatefulSet {
    const KIND: &'static str = v1::StatefulSet::KIND;
    const PLURAL: &'static str = "statefulsets";
    const HISTORY: Option<History> = None;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// By the rule of `kubectl rollout status`
    /// (<https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go>), which knows none
    /// for `OnDelete`: there nothing is in flight, whatever waits for people.
    fn progress(&self) -> Progress {
        let wanted = self.spec.replicas.unwrap_or(1);
        let status = &self.status;
        let to_update = wanted.saturating_sub(self.partition());
        let complete = status.ready_replicas >= wanted && status.updated_replicas >= to_update;
        Progress {
            paused: false,
            generation_observed: status.observed_generation
                >= self.metadata.object.generation.unwrap_or(0),
            wants_pods: wanted > 0,
            complete: complete || self.is_on_delete(),
            deadline_exceeded: false,
            on_delete: self.is_on_delete(),
        }
    }

    fn template(&self) -> &Template {
        &self.spec.template
    }

    fn selector(&self) -> &PodSelector {
        &self.spec.selector
    }

    /// Its own pods of the revision that its status calls the update, from the partition on: those below stay old, so
    /// what they run says nothing about a rollout.
    fn current(&self, _: &[Past]) -> Option<CurrentPods> {
        let revision = &self.status.update_revision;
        let start = self
            .spec
            .ordinals
            .as_ref()
            .map_or(0, |ordinals| ordinals.start);
        (!revision.is_empty()).then(|| CurrentPods {
            owner: self.metadata.object.uid.clone().unwrap_or_default(),
            revision: Some(revision.clone()),
            from_ordinal: Some(i64::from(start) + i64::from(self.partition())),
            in_order: self.is_in_order(),
        })
    }

    fn body(&self) -> impl Hash + '_ {
        let Spec {
            replicas,
            selector: _, // cannot be changed
            template,
            update_strategy,
            pod_management_policy: _, // cannot be changed
            ordinals,
        } = &self.spec;
        (replicas, template, update_strategy, ordinals, &self.status)
    }
}

resource!(StatefulSet);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stateful_set(status: &Value, change: impl FnOnce(&mut Value)) -> StatefulSet {
        let mut object = json!({
            "metadata": { "name": "db", "uid": "of-db", "generation": 2 },
            "spec": {
                "replicas": 3,
                "selector": {},
                "template": { "spec": { "containers": [{ "name": "app", "image": "a" }] } },
                "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } },
            },
            "status": status,
        });
        change(&mut object);
        serde_json::from_value(object).expect("a StatefulSet")
    }

    fn status(observed: i64, ready: i32, updated: i32) -> Value {
        json!({ "observedGeneration": observed, "readyReplicas": ready, "updatedReplicas": updated, "updateRevision": "db-2" })
    }

    #[test]
    fn a_rollout_is_complete_when_kubectl_says_so() {
        let cases = [
            (status(2, 3, 3), 0, true, true),
            (status(1, 3, 3), 0, false, true),
            (status(2, 3, 2), 0, true, false),
            (status(2, 2, 3), 0, true, false),
            (status(2, 3, 1), 2, true, true),
            (status(2, 3, 0), 2, true, false),
            (status(2, 3, 0), 5, true, true),
            (json!({}), 0, false, false),
        ];
        for (status, partition, observed, complete) in cases {
            let set = stateful_set(&status, |object| {
                object["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(partition);
            });
            let progress = set.progress();
            assert_eq!(
                (progress.generation_observed, progress.complete),
                (observed, complete),
                "{status} with the partition {partition}"
            );
        }
    }

    #[test]
    fn nothing_is_in_flight_where_people_replace_pods() {
        let set = stateful_set(&status(2, 3, 1), |object| {
            object["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
        });
        let progress = set.progress();
        assert!(progress.on_delete && progress.complete);
    }

    #[test]
    fn the_current_pods_are_those_of_the_update_revision_from_the_partition_on() {
        let current = |change: fn(&mut Value)| stateful_set(&status(2, 3, 3), change).current(&[]);
        let all = current(|_| {}).expect("a revision");
        assert_eq!(all.owner, "of-db");
        assert!(all.contain("db-0", Some("db-2")));
        assert!(!all.contain("db-0", Some("db-1")), "an old one");
        assert!(!all.contain("db-0", None));

        let partition = current(|object| {
            object["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(1);
            object["spec"]["ordinals"] = json!({ "start": 9 });
        });
        let partition = partition.expect("a revision");
        assert!(!partition.contain("db-9", Some("db-2")), "below");
        assert!(partition.contain("db-10", Some("db-2")), "by number");

        assert!(partition.wait_for("db-10", Some("db-1")));
        assert!(!partition.wait_for("db-9", Some("db-1")), "it stays");
        assert!(!partition.wait_for("db-10", Some("db-2")), "it is current");
        let parallel = current(|object| object["spec"]["podManagementPolicy"] = json!("Parallel"));
        let parallel = parallel.expect("a revision");
        assert!(!parallel.wait_for("db-2", Some("db-1")), "it is replaced");

        let none = stateful_set(&json!({}), |_| {}).current(&[]);
        assert_eq!(none, None, "the status does not tell yet");
    }
}
