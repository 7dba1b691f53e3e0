//! Deployments.

use std::hash::Hash;

use k8s_openapi::{Resource as _, api::apps::v1};
use serde::{Deserialize, Deserializer};

use super::{
    CurrentPods, History, Metadata, Past, PodSelector, Progress, Template, Workload,
    resource::resource,
};

/// The part of a Deployment that is read.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Deployment {
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
struct Spec {
    #[serde(default)]
    paused: bool,
    replicas: Option<i32>,
    selector: PodSelector,
    template: Template,
}

#[derive(Debug, Clone, Default, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: i32,
    updated_replicas: i32,
    available_replicas: i32,
    #[serde(rename = "conditions", deserialize_with = "deadline_exceeded")]
    deadline_exceeded: bool,
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

impl Workload for Deployment {
    const KIND: &'static str = v1::Deployment::KIND;
    const PLURAL: &'static str = "deployments";
    const HISTORY: Option<History> = Some(History::ReplicaSets);

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// By the rule of `kubectl rollout status`
    /// (<https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go>).
    fn progress(&self) -> Progress {
        let wanted = self.spec.replicas.unwrap_or(1);
        let status = &self.status;
        Progress {
            paused: self.spec.paused,
            generation_observed: status.observed_generation
                >= self.metadata.object.generation.unwrap_or(0),
            wants_pods: wanted > 0,
            complete: status.updated_replicas >= wanted
                && status.replicas <= status.updated_replicas
                && status.available_replicas >= status.updated_replicas,
            deadline_exceeded: status.deadline_exceeded,
            on_delete: false,
        }
    }

    fn template(&self) -> &Template {
        &self.spec.template
    }

    fn selector(&self) -> &PodSelector {
        &self.spec.selector
    }

    /// The pods of the ReplicaSet that carries the Deployment's own revision number, which is the one whose template
    /// is the Deployment's once the generation has been observed.
    fn current(&self, history: &[Past]) -> Option<CurrentPods> {
        let revision = self.metadata.revision.as_deref()?;
        let carries =
            |past: &&Past| past.metadata.annotations.revision.as_deref() == Some(revision);
        let current = history.iter().find(carries)?;
        Some(CurrentPods {
            owner: current.metadata.uid.clone(),
            revision: None,
            from_ordinal: None,
            in_order: false,
        })
    }

    fn body(&self) -> impl Hash + '_ {
        let Spec {
            paused,
            replicas,
            selector: _, // cannot be changed
            template,
        } = &self.spec;
        let revision = &self.metadata.revision;
        (paused, replicas, template, revision, &self.status)
    }
}

resource!(Deployment);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(status: &Value, change: impl FnOnce(&mut Value)) -> Deployment {
        let mut object = json!({
            "metadata": { "name": "web", "generation": 2, "annotations": { "deployment.kubernetes.io/revision": "7" } },
            "spec": { "replicas": 3, "selector": {}, "template": { "spec": { "containers": [{ "name": "app", "image": "a" }] } } },
            "status": status,
        });
        change(&mut object);
        serde_json::from_value(object).expect("a Deployment")
    }

    #[test]
    fn a_rollout_is_complete_when_kubectl_says_so() {
        let cases = [
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3 }),
                true,
                true,
            ),
            (
                json!({ "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3 }),
                false,
                true,
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3 }),
                true,
                false,
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 4 }),
                true,
                false,
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2 }),
                true,
                false,
            ),
            (json!({}), false, false),
        ];
        for (status, observed, complete) in cases {
            let progress = deployment(&status, |_| {}).progress();
            assert_eq!(
                (progress.generation_observed, progress.complete),
                (observed, complete),
                "{status}"
            );
        }
    }

    #[test]
    fn what_a_deployment_says_about_itself_is_read() {
        let progress = |change: fn(&mut Value)| deployment(&json!({}), change).progress();
        assert!(progress(|object| object["spec"]["paused"] = json!(true)).paused);
        assert!(!progress(|object| object["spec"]["replicas"] = json!(0)).wants_pods);
        assert!(
            progress(|object| object["spec"]["replicas"] = Value::Null).wants_pods,
            "one by default"
        );
        let conditions =
            |reason: &str| json!({ "conditions": [{ "type": "Progressing", "reason": reason }] });
        assert!(
            deployment(&conditions("ProgressDeadlineExceeded"), |_| {})
                .progress()
                .deadline_exceeded
        );
        assert!(
            !deployment(&conditions("NewReplicaSetAvailable"), |_| {})
                .progress()
                .deadline_exceeded
        );
    }

    #[test]
    fn the_current_pods_are_those_of_the_replica_set_with_its_revision() {
        let past = |uid: &str, revision: &str| -> Past {
            let annotations = json!({ "deployment.kubernetes.io/revision": revision });
            serde_json::from_value(
                json!({ "metadata": { "uid": uid, "annotations": annotations } }),
            )
            .expect("a ReplicaSet")
        };
        let web = deployment(&json!({}), |_| {});
        let current = |history: &[Past]| web.current(history).map(|current| current.owner);
        assert_eq!(
            current(&[past("old", "6"), past("new", "7")]),
            Some("new".to_owned())
        );
        assert_eq!(
            current(&[past("old", "6")]),
            None,
            "the history does not hold it yet"
        );
    }
}
